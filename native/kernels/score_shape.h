// What becomes of attention's scores before they are weights, worked out once a launch.
#pragma once

#include "kernels/attention.h"

namespace pairscore {

constexpr float kLog2e = 1.4426950408889634f;

// A parameter of the kernels, so that products take it out of constant memory.
struct ScoreShape {
  float limit;       // of the soft-cap, in units of log2; 0: none
  float before_cap;  // scores to the exponent inside tanh
  float scale;       // shaped scores to units of log2
  int window;
  // Scores up to this size are capped by a series: tanh takes two special functions, a weight one more.
  float most_of_series;
  float series[4];  // score * (series[0] + series[1] * score^2 + ...) is capped
};

// tanh(u) / u for u up to a half in powers of u^2, within 6e-7.
constexpr float kTanhSeries[] = {0.99999946f, -0.33326376f, 0.13190912f, -0.04441858f};

inline ScoreShape score_shape(const AttentionArgs & args) {
  const bool caps = args.soft_cap > 0;
  ScoreShape shape{args.soft_cap * kLog2e, 0, args.scale * kLog2e, args.window, 0, {}};
  if (!caps) return shape;
  const float to_u = args.scale / args.soft_cap;
  shape.before_cap = to_u * 2.f * kLog2e;
  shape.scale = 1.f;
  shape.most_of_series = 0.5f / to_u;
  float power = to_u * shape.limit;
  for (int i = 0; i < 4; i++, power *= to_u * to_u) shape.series[i] = kTanhSeries[i] * power;
  return shape;
}

}  // namespace pairscore
