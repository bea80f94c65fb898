// The whole model in f32 with sums in double, on the CPU, out of the kernels' twins: what the engine's logits are judged by.
#pragma once

#include <vector>

#include "engine/engine.h"

namespace pairscore::test {

// Logits (rows, labels) of the model of spec.
std::vector<float> reference_logits(const EngineSpec & spec, View<int32_t> tokens, View<int32_t> offsets);

}  // namespace pairscore::test
