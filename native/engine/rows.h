// The rows of one call, checked: every engine and its caller may rely on what check_rows promises.
#pragma once

#include "engine/engine.h"

namespace pairscore {

struct RowLimits {
  int32_t vocabulary_size;
  int32_t max_sequence_tokens;
  int32_t max_batch_sequences;
};

// Promises: 1 to max_batch_sequences rows, each of 1 to max_sequence_tokens ids inside the vocabulary, offsets rising
// from 0 to the number of tokens. Throws Error{usage} otherwise.
void check_rows(View<int32_t> tokens, View<int32_t> offsets, const RowLimits & limits);

// Length of the longest row.
int32_t longest_row(View<int32_t> offsets);

}  // namespace pairscore
