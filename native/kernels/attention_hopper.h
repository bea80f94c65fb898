// The attention path of compute capability 9.0, in a file of its own because sm_90a code runs nowhere else.
#pragma once

#include "kernels/attention.h"

namespace pairscore {

// Query heads that one block takes, all of one key head: the group must be a multiple of it.
constexpr int kHopperHeads = 2;

void attention_hopper(const AttentionArgs & args, Stream stream);

}  // namespace pairscore
