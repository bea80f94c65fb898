// Eight values of a row of the residual stream (residual.h), into registers and out of them.
#pragma once

#include "kernels/device.cuh"
#include "kernels/residual.h"

namespace pairscore {

struct Residual8 {
  uint4 upper;  // two values a word
  uint2 lower;  // four third bytes a word
};

// row: of residual_row_bytes(columns); column: a multiple of 8.
__device__ inline Residual8 load_residual8(const char * row, int64_t columns, int64_t column) {
  return {*reinterpret_cast<const uint4 *>(row + 2 * column),
          *reinterpret_cast<const uint2 *>(row + 2 * columns + column)};
}

__device__ inline void widen_residual8(const Residual8 & stored, float (&values)[8]) {
  const uint32_t uppers[4] = {stored.upper.x, stored.upper.y, stored.upper.z, stored.upper.w},
                 lowers[2] = {stored.lower.x, stored.lower.y};
#pragma unroll
  for (int i = 0; i < 8; i++) {
    // Bytes 3 and 2 of a value from its half of a word, byte 1 from its third byte.
    const uint32_t half = i % 2 ? 0x3200 : 0x1000, third = (4 + i % 4) << 4;
    values[i] = __uint_as_float(__byte_perm(uppers[i / 2], lowers[i / 4], half | third) & 0xffffff00u);
  }
}

__device__ inline void store_residual8(char * row, int64_t columns, int64_t column, const float (&values)[8]) {
  uint32_t bits[8];
#pragma unroll
  for (int i = 0; i < 8; i++) {
    const uint32_t exact = __float_as_uint(values[i]);
    bits[i] = isnan(values[i]) ? exact : exact + 0x80u;
  }
  uint32_t uppers[4], lowers[2];
#pragma unroll
  for (int i = 0; i < 4; i++) uppers[i] = __byte_perm(bits[2 * i], bits[2 * i + 1], 0x7632);
#pragma unroll
  for (int i = 0; i < 2; i++) {
    lowers[i] = __byte_perm(__byte_perm(bits[4 * i], bits[4 * i + 1], 0x0051),
                            __byte_perm(bits[4 * i + 2], bits[4 * i + 3], 0x0051), 0x5410);
  }
  *reinterpret_cast<uint4 *>(row + 2 * column) = make_uint4(uppers[0], uppers[1], uppers[2], uppers[3]);
  *reinterpret_cast<uint2 *>(row + 2 * columns + column) = make_uint2(lowers[0], lowers[1]);
}

}  // namespace pairscore
