#include "kernels/gate.h"

#include <cmath>

namespace pairscore {

void gate_reference(const float * gate_up, int64_t rows, int64_t columns, Activation activation, float * out) {
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t c = 0; c < columns; c++) {
      const double x = gate_up[r * 2 * columns + c], up = gate_up[r * 2 * columns + columns + c];
      const double tanh_form = 0.5 * x * (1 + std::tanh(0.79788456080286535588 * (x + 0.044715 * x * x * x)));
      out[r * columns + c] =
          static_cast<float>(up * (activation == Activation::silu ? x / (1 + std::exp(-x)) : tanh_form));
    }
  }
}

}  // namespace pairscore
