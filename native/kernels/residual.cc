#include "kernels/residual.h"

#include <cmath>
#include <cstring>

namespace pairscore {
namespace {

uint32_t rounded_bits(float x) {
  uint32_t bits = 0;
  std::memcpy(&bits, &x, sizeof bits);
  return (std::isnan(x) ? bits : bits + 0x80u) & 0xffffff00u;
}

float from_bits(uint32_t bits) {
  float x = 0;
  std::memcpy(&x, &bits, sizeof x);
  return x;
}

}  // namespace

float residual_reference(float x) { return from_bits(rounded_bits(x)); }

void pack_residual_reference(const float * values, int64_t rows, int64_t columns, void * packed) {
  for (int64_t r = 0; r < rows; r++) {
    uint8_t * row = static_cast<uint8_t *>(packed) + r * residual_row_bytes(columns);
    for (int64_t c = 0; c < columns; c++) {
      const uint32_t bits = rounded_bits(values[r * columns + c]);
      row[2 * c] = static_cast<uint8_t>(bits >> 16), row[2 * c + 1] = static_cast<uint8_t>(bits >> 24);
      row[2 * columns + c] = static_cast<uint8_t>(bits >> 8);
    }
  }
}

void unpack_residual_reference(const void * packed, int64_t rows, int64_t columns, float * values) {
  for (int64_t r = 0; r < rows; r++) {
    const uint8_t * row = static_cast<const uint8_t *>(packed) + r * residual_row_bytes(columns);
    for (int64_t c = 0; c < columns; c++) {
      values[r * columns + c] =
          from_bits(uint32_t(row[2 * c]) << 16 | uint32_t(row[2 * c + 1]) << 24 | uint32_t(row[2 * columns + c]) << 8);
    }
  }
}

}  // namespace pairscore
