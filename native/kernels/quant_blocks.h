// The block formats of GGUF weights: 8 consecutive values of a row, bit for bit as ggml's to_float gives them on x86-64
// (products and sums rounded separately). Host and device run this same text; ggml judges it on both.
#pragma once

#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#include <cuda_fp16.h>
#include <vector_types.h>

#define PAIRSCORE_BOTH __host__ __device__ inline
#else
#define PAIRSCORE_BOTH inline
#endif

namespace pairscore {

enum class Quant { f32, f16, bf16, q4_0, q4_1, q5_0, q5_1, q8_0, q4_k, q5_k, q6_k };

struct QuantShape {
  int values;  // in one block
  int bytes;
};

PAIRSCORE_BOTH QuantShape quant_shape(Quant quant) {
  switch (quant) {
    case Quant::f32:
      return {1, 4};
    case Quant::f16:
      return {1, 2};
    case Quant::bf16:
      return {1, 2};
    case Quant::q4_0:
      return {32, 18};
    case Quant::q4_1:
      return {32, 20};
    case Quant::q5_0:
      return {32, 22};
    case Quant::q5_1:
      return {32, 24};
    case Quant::q8_0:
      return {32, 34};
    case Quant::q4_k:
      return {256, 144};
    case Quant::q5_k:
      return {256, 176};
    case Quant::q6_k:
      return {256, 210};
  }
  return {1, 4};
}

PAIRSCORE_BOTH int64_t quant_row_bytes(Quant quant, int64_t columns) {
  const QuantShape shape = quant_shape(quant);
  return columns / shape.values * shape.bytes;
}

namespace quant {

PAIRSCORE_BOTH float multiply(float a, float b) {
#ifdef __CUDA_ARCH__
  return __fmul_rn(a, b);  // never contracted into an fma
#else
  volatile float product = a * b;  // nor here: the twin is not in a hurry
  return product;
#endif
}

PAIRSCORE_BOTH uint32_t u16_at(const uint8_t * p) {
  uint16_t bits;
#ifdef __CUDA_ARCH__
  bits = *reinterpret_cast<const uint16_t *>(p);  // every block of every format is 2-byte aligned
#else
  std::memcpy(&bits, p, 2);
#endif
  return bits;
}

PAIRSCORE_BOTH float bits_to_float(uint32_t bits) {
#ifdef __CUDA_ARCH__
  return __uint_as_float(bits);
#else
  float value;
  std::memcpy(&value, &bits, 4);
  return value;
#endif
}

PAIRSCORE_BOTH float half_at(const uint8_t * p) {
  const uint32_t bits = u16_at(p);
#ifdef __CUDA_ARCH__
  return __half2float(__ushort_as_half(static_cast<unsigned short>(bits)));
#else
  const uint32_t sign = (bits & 0x8000u) << 16, exponent = bits >> 10 & 31, fraction = bits & 1023;
  if (exponent == 31) return bits_to_float(sign | 0x7f800000u | fraction << 13);
  if (exponent != 0) return bits_to_float(sign | (exponent + 112) << 23 | fraction << 13);
  const float small = static_cast<float>(fraction) * bits_to_float(0x33800000u);  // 2^-24
  return sign ? -small : small;
#endif
}

// 8 bytes from an address that is 2-byte aligned.
PAIRSCORE_BOTH void bytes8(const uint8_t * p, uint8_t (&bytes)[8]) {
  for (int i = 0; i < 4; i++) {
    const uint32_t pair = u16_at(p + 2 * i);
    bytes[2 * i] = static_cast<uint8_t>(pair & 255);
    bytes[2 * i + 1] = static_cast<uint8_t>(pair >> 8);
  }
}

// 8 bytes from an address that is 8-byte aligned.
PAIRSCORE_BOTH void aligned_bytes8(const uint8_t * p, uint8_t (&bytes)[8]) {
#ifdef __CUDA_ARCH__
  const uint2 pair = *reinterpret_cast<const uint2 *>(p);
  for (int i = 0; i < 4; i++) {
    bytes[i] = static_cast<uint8_t>(pair.x >> 8 * i & 255);
    bytes[4 + i] = static_cast<uint8_t>(pair.y >> 8 * i & 255);
  }
#else
  std::memcpy(bytes, p, 8);
#endif
}

PAIRSCORE_BOTH void scale_and_min(int j, const uint8_t * scales, int & scale, int & min) {
  if (j < 4) {
    scale = scales[j] & 63;
    min = scales[j + 4] & 63;
  } else {
    scale = (scales[j + 4] & 15) | (scales[j - 4] >> 6 << 4);
    min = (scales[j + 4] >> 4) | (scales[j] >> 6 << 4);
  }
}

template <Quant Q>
PAIRSCORE_BOTH void plain8(const uint8_t * row, int64_t first, float (&out)[8]) {
  for (int i = 0; i < 8; i++) {
    const uint8_t * p = row + (first + i) * (Q == Quant::f32 ? 4 : 2);
    if (Q == Quant::f32) out[i] = bits_to_float(u16_at(p) | u16_at(p + 2) << 16);
    if (Q == Quant::f16) out[i] = half_at(p);
    if (Q == Quant::bf16) out[i] = bits_to_float(u16_at(p) << 16);
  }
}

template <Quant Q>
PAIRSCORE_BOTH void small8(const uint8_t * row, int64_t first, float (&out)[8]) {
  constexpr bool has_min = Q == Quant::q4_1 || Q == Quant::q5_1, five = Q == Quant::q5_0 || Q == Quant::q5_1;
  constexpr int head = has_min ? 4 : 2, block_bytes = head + (five ? 4 : 0) + 16;
  const uint8_t * block = row + first / 32 * block_bytes;
  const int start = static_cast<int>(first % 32);
  const float d = half_at(block), m = has_min ? half_at(block + 2) : 0.f;
  const uint32_t high = five ? u16_at(block + head) | u16_at(block + head + 2) << 16 : 0;
  uint8_t q[8];
  bytes8(block + head + (five ? 4 : 0) + start % 16, q);
  for (int i = 0; i < 8; i++) {
    int x = start >= 16 ? q[i] >> 4 : q[i] & 15;
    if (five) x |= (high >> (start + i) & 1) << 4;
    if (!has_min) x -= five ? 16 : 8;
    out[i] = multiply(static_cast<float>(x), d);
    if (has_min) out[i] = out[i] + m;
  }
}

PAIRSCORE_BOTH void q8_0(const uint8_t * row, int64_t first, float (&out)[8]) {
  const uint8_t * block = row + first / 32 * 34;
  const float d = half_at(block);
  uint8_t q[8];
  bytes8(block + 2 + first % 32, q);
  for (int i = 0; i < 8; i++) out[i] = multiply(static_cast<float>(static_cast<int8_t>(q[i])), d);
}

template <Quant Q>
PAIRSCORE_BOTH void k45(const uint8_t * row, int64_t first, float (&out)[8]) {
  constexpr bool five = Q == Quant::q5_k;
  const uint8_t * block = row + first / 256 * (five ? 176 : 144);
  const int e = static_cast<int>(first % 256), sub = e / 32, l = e % 32;
  int scale, min;
  scale_and_min(sub, block + 4, scale, min);
  const float d = multiply(half_at(block), static_cast<float>(scale));
  const float m = multiply(half_at(block + 2), static_cast<float>(min));
  uint8_t q[8], h[8] = {};
  aligned_bytes8(block + (five ? 48 : 16) + sub / 2 * 32 + l, q);  // blocks are multiples of 16 bytes
  if (five) aligned_bytes8(block + 16 + l, h);
  for (int i = 0; i < 8; i++) {
    int x = sub & 1 ? q[i] >> 4 : q[i] & 15;
    if (five) x += (h[i] >> sub & 1) << 4;
    out[i] = multiply(d, static_cast<float>(x)) - m;
  }
}

PAIRSCORE_BOTH void q6_k(const uint8_t * row, int64_t first, float (&out)[8]) {
  const uint8_t * block = row + first / 256 * 210;
  const int e = static_cast<int>(first % 256), half = e / 128, quarter = e % 128 / 32, l = e % 32;
  const int8_t scale = static_cast<int8_t>(block[192 + half * 8 + l / 16 + 2 * quarter]);
  const float d = multiply(half_at(block + 208), static_cast<float>(scale));
  uint8_t low[8], high[8];
  bytes8(block + half * 64 + (quarter & 1) * 32 + l, low);
  bytes8(block + 128 + half * 32 + l, high);
  for (int i = 0; i < 8; i++) {
    const int nibble = quarter >= 2 ? low[i] >> 4 : low[i] & 15;
    out[i] = multiply(d, static_cast<float>((nibble | (high[i] >> 2 * quarter & 3) << 4) - 32));
  }
}

}  // namespace quant

// row: the first byte of a row; first: a multiple of 8 inside it.
template <Quant Q>
PAIRSCORE_BOTH void dequantize8(const uint8_t * row, int64_t first, float (&out)[8]) {
  if constexpr (Q == Quant::f32 || Q == Quant::f16 || Q == Quant::bf16) {
    quant::plain8<Q>(row, first, out);
  } else if constexpr (Q == Quant::q8_0) {
    quant::q8_0(row, first, out);
  } else if constexpr (Q == Quant::q4_k || Q == Quant::q5_k) {
    quant::k45<Q>(row, first, out);
  } else if constexpr (Q == Quant::q6_k) {
    quant::q6_k(row, first, out);
  } else {
    quant::small8<Q>(row, first, out);
  }
}

// Calls visit(std::integral_constant-like tag) for a run-time format.
template <Quant Q>
struct QuantTag {
  static constexpr Quant value = Q;
};

template <typename Visit>
void visit_quant(Quant quant, Visit visit) {
  switch (quant) {
    case Quant::f32:
      return visit(QuantTag<Quant::f32>());
    case Quant::f16:
      return visit(QuantTag<Quant::f16>());
    case Quant::bf16:
      return visit(QuantTag<Quant::bf16>());
    case Quant::q4_0:
      return visit(QuantTag<Quant::q4_0>());
    case Quant::q4_1:
      return visit(QuantTag<Quant::q4_1>());
    case Quant::q5_0:
      return visit(QuantTag<Quant::q5_0>());
    case Quant::q5_1:
      return visit(QuantTag<Quant::q5_1>());
    case Quant::q8_0:
      return visit(QuantTag<Quant::q8_0>());
    case Quant::q4_k:
      return visit(QuantTag<Quant::q4_k>());
    case Quant::q5_k:
      return visit(QuantTag<Quant::q5_k>());
    case Quant::q6_k:
      return visit(QuantTag<Quant::q6_k>());
  }
}

}  // namespace pairscore
