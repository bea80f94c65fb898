// The classification head: logits = score.weight hidden + score.bias, in f32.
#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"
#include "engine/gguf_file.h"

namespace pairscore {

class Head {
 public:
  // Throws Error{model_mismatch} when the head was made for another base, Error{model_values} when it is not finite.
  Head(const std::string & path, const GgufFile & base);

  int32_t label_count() const { return labels_; }
  int32_t hidden_size() const { return hidden_; }
  const std::vector<std::string> & label_names() const { return names_; }
  const std::vector<float> & weight() const { return weight_; }  // (labels, hidden)
  const std::vector<float> & bias() const { return bias_; }      // (labels), zeros where the file has none

  // hidden: (hidden), logits: (labels). Sums in double: the head is too small for speed to matter.
  void apply(const float * hidden, float * logits) const;

 private:
  int32_t labels_ = 0;
  int32_t hidden_ = 0;
  std::vector<std::string> names_;
  std::vector<float> weight_;
  std::vector<float> bias_;
};

}  // namespace pairscore
