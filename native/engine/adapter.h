// A LoRA adapter in llama.cpp's GGUF form, checked against its base before anything else sees the file.
#pragma once

#include <string>
#include <vector>

#include "engine/gguf_file.h"

namespace pairscore {

// One adapted weight: W' = W + scale * B A.
struct LoraPair {
  std::string base_name;  // "blk.0.attn_q.weight"
  const TensorInfo * a;   // ne = {in, rank}
  const TensorInfo * b;   // ne = {rank, out}
  float scale;            // alpha / rank

  int64_t rank() const { return a->ne[1]; }
};

class Adapter {
 public:
  // Throws Error{model_mismatch} for another architecture, names or shapes that the base lacks, a half pair or a
  // missing alpha; Error{model_values} for values that are not finite; Error{model_file} for wrong types.
  Adapter(const std::string & path, const GgufFile & base);

  const GgufFile & file() const { return file_; }
  const std::vector<LoraPair> & pairs() const { return pairs_; }

 private:
  void check_header(const GgufFile & base);
  void match_pairs(const GgufFile & base);
  void check_pair(const LoraPair & pair, const GgufFile & base) const;

  GgufFile file_;
  float alpha_ = 0;
  std::vector<LoraPair> pairs_;
};

}  // namespace pairscore
