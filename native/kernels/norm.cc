#include "kernels/norm.h"

#include <cmath>

namespace pairscore {
namespace {

double inverse_rms(const float * row, int64_t columns, float epsilon) {
  double sum = 0;
  for (int64_t c = 0; c < columns; c++) sum += static_cast<double>(row[c]) * row[c];
  return 1 / std::sqrt(sum / static_cast<double>(columns) + epsilon);
}

}  // namespace

void add_norm_reference(const NormReference & args) {
  for (int64_t r = 0; r < args.rows; r++) {
    float * x = args.x + r * args.columns;
    if (args.y) {
      const float * y = args.y + r * args.columns;
      const double inverse = args.post ? inverse_rms(y, args.columns, args.epsilon) : 1;
      for (int64_t c = 0; c < args.columns; c++)
        x[c] = static_cast<float>(x[c] + inverse * y[c] * (args.post ? args.post[c] : 1.f));
    }
    const double inverse = inverse_rms(x, args.columns, args.epsilon);
    for (int64_t c = 0; c < args.columns; c++)
      args.h[r * args.columns + c] = static_cast<float>(inverse * x[c] * args.next[c]);
  }
}

}  // namespace pairscore
