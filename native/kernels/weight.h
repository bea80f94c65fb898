// Weights as stored in a GGUF file -> weights as the products want them, and rows of the embedding table.
#pragma once

#include <cstdint>

#include "kernels/quant_blocks.h"
#include "kernels/stream.h"

namespace pairscore {

// target[place(r)] = round(dequantise(source[r]) + scale * lora_b[r] lora_a)
struct ExpandArgs {
  const void * source;  // (rows, columns) in blocks of quant; columns a multiple of 8
  Quant quant;
  int64_t rows;
  int64_t columns;
  const float * lora_a;  // (rank, columns), or null
  const float * lora_b;  // (rows, rank)
  int rank;
  float scale;
  int head_rows;    // 0: rows keep their place; else rows 2i, 2i+1 of each head go to i, i + head_rows / 2
  void * target;    // (rows, columns)
  Element element;  // f32, f16, bf16
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

inline int64_t expanded_row(int64_t row, int head_rows) {
  if (head_rows == 0) return row;
  const int64_t head = row / head_rows, inside = row % head_rows;
  return head * head_rows + inside % 2 * (head_rows / 2) + inside / 2;
}

}  // namespace pairscore
