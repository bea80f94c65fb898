// The activations of gates: x sigmoid(t), t = x or sqrt(8 / pi) (x + 0.044715 x^3).
#pragma once

#include "kernels/gate.h"

namespace pairscore {

// The power of two and the reciprocal are good to about 2^-22, without the handling of tiny results.
template <Activation A>
__device__ inline float activate(float x) {
  const float power = A == Activation::silu ? -1.4426950409f * x : x * fmaf(-0.10294324f, x * x, -2.3022082f);
  float e, inverse;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(e) : "f"(power));
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(inverse) : "f"(1.f + e));
  return x * inverse;
}

}  // namespace pairscore
