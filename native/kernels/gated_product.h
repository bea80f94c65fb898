// The product of the feed-forward's gate and up matrices with the gated activation in it: out = act(a gate^T) * (a up^T).
#pragma once

#include <cstdint>

#include "kernels/gate.h"

namespace pairscore {

struct GatedProductArgs {
  const void * a;  // (rows, depth)
  const void * w;  // (2 * columns, depth): gate then up
  void * out;      // (rows, columns)
  int64_t rows;
  int64_t columns;
  int64_t depth;
  Activation activation;
  Element element;  // of all three: f16, bf16
};

// Whether the current device and these sizes can: compute capability 9.0, columns and depth in steps of 8.
bool gated_product_fits(const GatedProductArgs & args);

void gated_product(const GatedProductArgs & args, Stream stream);

// The same of f32 values; args gives the sizes and the activation.
void gated_product_reference(const GatedProductArgs & args, const float * a, const float * w, float * out);

}  // namespace pairscore
