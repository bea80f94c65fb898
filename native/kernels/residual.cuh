// Eight values, split into 16 bits and a remainder each, and joined again: kernels/residual.h.
#pragma once

#include "kernels/device.cuh"
#include "kernels/residual.h"

namespace pairscore {

struct Split8 {
  uint4 high;
  uint2 remainder;
};

template <typename T>
__device__ inline Split8 split8(const float (&values)[8]);

template <typename T>
__device__ inline void join8(const Split8 & split, float (&values)[8]);

// 24 bits of the f32, rounded, of which the upper 16 are rounded to nearest by a remainder from -128 to 127, kept plus 128.
// Not for NaN.
template <>
__device__ inline Split8 split8<__nv_bfloat16>(const float (&values)[8]) {
  uint32_t bits[8];
#pragma unroll
  for (int i = 0; i < 8; i++) bits[i] = __float_as_uint(values[i]) + 0x8080u;
  const auto uppers = [&](int i) { return __byte_perm(bits[i], bits[i + 1], 0x7632); };
  const auto seconds = [&](int i) { return __byte_perm(bits[i], bits[i + 1], 0x0051); };
  return {make_uint4(uppers(0), uppers(2), uppers(4), uppers(6)),
          make_uint2(__byte_perm(seconds(0), seconds(2), 0x5410), __byte_perm(seconds(4), seconds(6), 0x5410))};
}

template <>
__device__ inline void join8<__nv_bfloat16>(const Split8 & split, float (&values)[8]) {
  const uint32_t high[4] = {split.high.x, split.high.y, split.high.z, split.high.w};
  const uint32_t remainder[2] = {split.remainder.x, split.remainder.y};
#pragma unroll
  for (int i = 0; i < 8; i++) {
    const uint32_t place = i % 2 ? 0x3200u : 0x1000u, second = 4 + i % 4;
    const uint32_t bits = __byte_perm(high[i / 2], remainder[i / 4], place | second << 4) & 0xffffff00u;
    values[i] = __uint_as_float(bits - 0x8000u);
  }
}

template <>
__device__ inline Split8 split8<__half>(const float (&values)[8]) {
  const uint4 high = pack8<__half>(values);
  const __half * rounded = reinterpret_cast<const __half *>(&high);
  float rest[8];
#pragma unroll
  for (int i = 0; i < 8; i++) rest[i] = (values[i] - widen(rounded[i])) * kRemainderScale;
  const uint4 halves = pack8<__half>(rest);
  // Half of a byte's last place: rounds to the nearest.
  const auto uppers = [](uint32_t a, uint32_t b) { return __byte_perm(a + 0x00800080u, b + 0x00800080u, 0x7531); };
  return {high, make_uint2(uppers(halves.x, halves.y), uppers(halves.z, halves.w))};
}

template <>
__device__ inline void join8<__half>(const Split8 & split, float (&values)[8]) {
  const auto lower = [](uint32_t bytes) { return __byte_perm(bytes, 0, 0x1404); };
  const auto upper = [](uint32_t bytes) { return __byte_perm(bytes, 0, 0x3424); };
  const uint4 halves = make_uint4(lower(split.remainder.x), upper(split.remainder.x), lower(split.remainder.y),
                                  upper(split.remainder.y));
  const __half *high = reinterpret_cast<const __half *>(&split.high), *rest = reinterpret_cast<const __half *>(&halves);
#pragma unroll
  for (int i = 0; i < 8; i++) values[i] = fmaf(widen(rest[i]), 1 / kRemainderScale, widen(high[i]));
}

}  // namespace pairscore
