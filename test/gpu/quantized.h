// Blocks of every format that our kernels read, and ggml's own word on their values.
#pragma once

#include "check.h"
#include "ggml.h"
#include "kernels/quant_blocks.h"

namespace pairscore::test {

struct QuantizedType {
  ggml_type type;
  Quant quant;
};

inline constexpr QuantizedType kQuantizedTypes[] = {
    {GGML_TYPE_Q4_K, Quant::q4_k}, {GGML_TYPE_Q5_K, Quant::q5_k}, {GGML_TYPE_Q6_K, Quant::q6_k},
    {GGML_TYPE_Q8_0, Quant::q8_0}, {GGML_TYPE_Q4_0, Quant::q4_0}, {GGML_TYPE_Q4_1, Quant::q4_1},
    {GGML_TYPE_Q5_0, Quant::q5_0}, {GGML_TYPE_Q5_1, Quant::q5_1}, {GGML_TYPE_F16, Quant::f16},
    {GGML_TYPE_BF16, Quant::bf16}, {GGML_TYPE_F32, Quant::f32},
};

// Values of uneven size, quantised by ggml.
inline std::vector<uint8_t> random_blocks(const QuantizedType & type, int64_t rows, int64_t columns) {
  std::vector<float> values = random_normal(static_cast<size_t>(rows * columns), 1);
  for (size_t i = 0; i < values.size(); i += 32) {
    const float size = std::exp2(static_cast<float>(random_int(-12, 4)));
    for (size_t j = i; j < i + 32 && j < values.size(); j++) values[j] *= size;
  }
  std::vector<uint8_t> blocks(static_cast<size_t>(rows) * ggml_row_size(type.type, columns));
  ggml_quantize_chunk(type.type, values.data(), blocks.data(), 0, rows, columns, nullptr);
  return blocks;
}

inline std::vector<float> ggml_values(const QuantizedType & type, const std::vector<uint8_t> & blocks, int64_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  if (type.type == GGML_TYPE_F32) {
    std::memcpy(values.data(), blocks.data(), blocks.size());
  } else {
    ggml_get_type_traits(type.type)->to_float(blocks.data(), values.data(), count);
  }
  return values;
}

}  // namespace pairscore::test
