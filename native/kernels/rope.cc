#include "kernels/rope.h"

namespace pairscore {

void rope_reference(const RopeArgs & args, float * heads) {
  const int half = args.head_size / 2;
  for (int64_t r = 0; r < args.rows; r++) {
    for (int h = 0; h < args.count; h++) {
      float * x = heads + r * args.row_stride + h * args.head_size;
      for (int i = 0; i < half; i++) {
        const double c = args.cosines[args.positions[r] * half + i], s = args.sines[args.positions[r] * half + i];
        const double a = x[i], b = x[i + half];
        x[i] = static_cast<float>(a * c - b * s);
        x[i + half] = static_cast<float>(b * c + a * s);
      }
    }
  }
}

}  // namespace pairscore
