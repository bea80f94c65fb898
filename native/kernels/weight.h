// Weights as stored in a GGUF file -> weights as the products want them, and rows of the embedding table.
#pragma once

#include <cstdint>

#include "kernels/quant_blocks.h"
#include "kernels/stream.h"

namespace pairscore {

// How the values of a head of `size` lie in one of `width`: from its start, or in the two halves that RoPE pairs, each from
// its own start, out of halves or out of pairs (2i, 2i + 1).
enum class HeadOrder { plain, halves, pairs };

// Places along one side of a matrix. What no value goes to stays as it is.
struct Heads {
  int size;   // of a head, a multiple of 16; 0: everything keeps its place
  int width;  // of the head that it goes to
  HeadOrder order;
};

PAIRSCORE_BOTH int64_t placed(int64_t index, Heads heads) {
  if (heads.size == 0) return index;
  const int64_t start = index / heads.size * heads.width, inside = index % heads.size;
  if (heads.order == HeadOrder::pairs) return start + inside % 2 * (heads.width / 2) + inside / 2;
  const bool second = heads.order == HeadOrder::halves && inside >= heads.size / 2;
  return start + inside + (second ? (heads.width - heads.size) / 2 : 0);
}

PAIRSCORE_BOTH int64_t placed_count(int64_t count, Heads heads) {
  return heads.size == 0 ? count : count / heads.size * heads.width;
}

// target[placed(r)][placed(c)] = round(dequantise(source[r][c]) + scale * lora_b[r] lora_a[c])
struct ExpandArgs {
  const void * source;  // (rows, columns) in blocks of quant; columns a multiple of 8
  Quant quant;
  int64_t rows;
  int64_t columns;
  const float * lora_a;  // (rank, columns), or null
  const float * lora_b;  // (rows, rank)
  int rank;
  float scale;
  Heads row_heads;
  Heads column_heads;  // plain
  void * target;       // (placed_count(rows), placed_count(columns))
  Element element;     // f32, f16, bf16
};

void expand_weight(const ExpandArgs & args, Stream stream);
// target holds f32 whatever args.element says; LoRA summed in double.
void expand_weight_reference(const ExpandArgs & args, float * target);

struct EmbedArgs {
  const int32_t * tokens;  // (count)
  int64_t count;
  const void * table;  // (vocabulary, columns) in blocks of quant
  Quant quant;
  int64_t columns;
  float scale;
  float * out;  // (count, columns)
};

void embed(const EmbedArgs & args, Stream stream);
void embed_reference(const EmbedArgs & args);

}  // namespace pairscore
