// The activations of gates: x sigmoid(t), t = x or sqrt(8 / pi) (x + 0.044715 x^3).
#pragma once

#include "kernels/device.cuh"
#include "kernels/gate.h"

namespace pairscore {

template <Activation A>
__device__ inline float activate(float x) {
  const float power = A == Activation::silu ? -1.4426950409f * x : x * fmaf(-0.10294324f, x * x, -2.3022082f);
  return x * reciprocal_fast(1.f + exp2_fast(power));
}

}  // namespace pairscore
