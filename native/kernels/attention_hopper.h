// The attention path of compute capability 9.0, in a file of its own because sm_90a code runs nowhere else.
#pragma once

#include "kernels/attention.h"

namespace pairscore {

void attention_hopper(const AttentionArgs & args, Stream stream);

}  // namespace pairscore
