// The gated activation: out = act(gate) * up.
#pragma once

#include <cstdint>

#include "kernels/stream.h"

namespace pairscore {

enum class Activation { gelu_tanh, silu };

struct GateArgs {
  const void * gate_up;  // (rows, 2 * columns) in `element`: gate then up
  int64_t rows;
  int64_t columns;  // a multiple of 8, at most 32768
  Activation activation;
  void * out;           // (rows, columns) in `out_element`
  float * row_scale;    // (rows), written when out is e4m3: out * row_scale is the value
  Element element;      // f16, bf16
  Element out_element;  // the same, or e4m3
};

void gate(const GateArgs & args, Stream stream);
void gate_reference(const float * gate_up, int64_t rows, int64_t columns, Activation activation, float * out);

}  // namespace pairscore
