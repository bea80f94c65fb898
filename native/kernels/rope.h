// Rotary embedding in place, halves paired (i, i + head_size / 2). Llama's interleaved pairs are laid out so at load.
// What the type cannot hold becomes NaN, never infinity.
#pragma once

#include <cstdint>

#include "kernels/stream.h"

namespace pairscore {

struct RopeArgs {
  void * heads;  // (rows, count, head_size) with row_stride elements between rows
  int64_t rows;
  int64_t row_stride;
  int count;
  int head_size;              // a multiple of 16
  const int32_t * positions;  // (rows)
  const float * cosines;      // (positions, head_size / 2)
  const float * sines;        // (positions, head_size / 2)
  Element element;            // f16, bf16
};

void rope(const RopeArgs & args, Stream stream);
// heads as f32.
void rope_reference(const RopeArgs & args, float * heads);

}  // namespace pairscore
