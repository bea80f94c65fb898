// How the residual stream lies in memory between two norms: f32 rounded to 24 bits, a quarter less to move for a rounding 32
// times finer than f16's. A row is the upper two bytes of all its values, then their third bytes.
#pragma once

#include <cstdint>

#include "kernels/stream.h"

namespace pairscore {

// columns: a multiple of 8. Rows start at multiples of 16 bytes.
PAIRSCORE_BOTH int64_t residual_row_bytes(int64_t columns) { return (columns * 3 + 15) / 16 * 16; }

// Nearest, halves away from zero; infinity and NaN stay what they are.
float residual_reference(float x);
void pack_residual_reference(const float * values, int64_t rows, int64_t columns, void * packed);
void unpack_residual_reference(const void * packed, int64_t rows, int64_t columns, float * values);

}  // namespace pairscore
