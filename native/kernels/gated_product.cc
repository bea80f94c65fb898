#include "kernels/gated_product.h"

#include <cstddef>
#include <vector>

namespace pairscore {

void gated_product_reference(const GatedProductArgs & args, const float * a, const float * w, float * out) {
  const int64_t wide = 2 * args.columns;
  std::vector<float> gate_up(static_cast<size_t>(args.rows * wide));
  for (int64_t r = 0; r < args.rows; r++) {
    for (int64_t c = 0; c < wide; c++) {
      double sum = 0;
      for (int64_t d = 0; d < args.depth; d++)
        sum += static_cast<double>(a[r * args.depth + d]) * w[c * args.depth + d];
      gate_up[static_cast<size_t>(r * wide + c)] = static_cast<float>(sum);
    }
  }
  gate_reference(gate_up.data(), args.rows, args.columns, args.activation, out);
}

}  // namespace pairscore
