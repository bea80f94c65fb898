#include "kernels/residual.h"

#include <cmath>
#include <cstring>

#include "kernels/quant_blocks.h"

namespace pairscore {
namespace {

// Below it, f16 holds h with so few bits that its remainder would not make up for them.
constexpr float kLeastWeight = 1.f / 16384;
// A remainder is at most 2^-11 of h.
constexpr float kMostOutput = 65504.f / kRemainderScale * 2048;

float half_of(uint16_t bits) {
  uint8_t bytes[2];
  std::memcpy(bytes, &bits, sizeof bytes);
  return quant::half_at(bytes);
}

}  // namespace

// |x| / rms is at most sqrt(columns).
bool leaves_remainder(float least, float most, int64_t columns) {
  return least >= kLeastWeight && most * std::sqrt(static_cast<float>(columns)) < kMostOutput;
}

float joined_reference(uint16_t high, uint8_t remainder, Element element) {
  if (element == Element::f16) return half_of(high) + half_of(static_cast<uint16_t>(remainder << 8)) / kRemainderScale;
  // The next eight bits of the f32, less 128.
  return quant::bits_to_float((uint32_t{high} << 16 | uint32_t{remainder} << 8) - 0x8000u);
}

}  // namespace pairscore
