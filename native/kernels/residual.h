// The two forms of the residual stream x between a norm and the next.
#pragma once

#include <cstdint>

#include "kernels/stream.h"

namespace pairscore {

// whole: (rows, columns) f32.
// remainder: the norm's output h = x next / rms, in 16 bits, serves as x too. A row keeps what rounding h left, a byte a value,
// and behind these its rms in f32; rows lie as far apart as whole ones, 4 columns bytes. x is then known to 2^-16 of itself in
// bf16, and in f16 to 2^-15, or to 2^-31 rms / next where that is more; and a norm moves 8 bytes a value instead of 12. A row
// that is not finite keeps an rms of NaN.
enum class Residual { whole, remainder };

// Whether x can be had back from a norm of these weights, in either 16-bit type: they are divided by, and the remainder of the
// largest possible h must stay in its range. least, most: magnitudes.
bool leaves_remainder(float least, float most, int64_t columns);

// In f16 the remainder is the upper byte of an f16: h's error times this.
constexpr float kRemainderScale = 16384.f;

// The value before it was rounded to `high`, a bit pattern of `element`: f16, bf16.
float joined_reference(uint16_t high, uint8_t remainder, Element element);

}  // namespace pairscore
