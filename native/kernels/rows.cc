#include "kernels/rows.h"

#include <cmath>

namespace pairscore {

void head_reference(const HeadArgs & args, float * logits) {
  for (int64_t r = 0; r < args.rows; r++) {
    for (int l = 0; l < args.labels; l++) {
      double sum = args.bias[l];
      for (int64_t c = 0; c < args.columns; c++)
        sum += static_cast<double>(args.hidden[r * args.columns + c]) * args.weight[l * args.columns + c];
      logits[r * args.labels + l] = static_cast<float>(sum);
    }
  }
}

float e4m3_reference(float x) {
  if (std::isnan(x) || x == 0) return x;
  if (std::fabs(x) >= 448) return std::copysign(448.f, x);
  int exponent;
  std::frexp(x, &exponent);  // |x| in [2^(exponent - 1), 2^exponent)
  const float step = std::ldexp(1.f, (exponent - 1 < -6 ? -6 : exponent - 1) - 3);
  return std::nearbyint(x / step) * step;
}

}  // namespace pairscore
