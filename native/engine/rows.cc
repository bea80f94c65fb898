#include "engine/rows.h"

#include <algorithm>
#include <string>

#include "error.h"

namespace pairscore {

void check_rows(View<int32_t> tokens, View<int32_t> offsets, const RowLimits & limits) {
  if (offsets.size < 2)
    throw Error(Code::usage,
                "Expected offsets of at least one row but received " + std::to_string(offsets.size) + " values");
  const size_t rows = offsets.size - 1;
  if (rows > static_cast<size_t>(limits.max_batch_sequences)) {
    throw Error(Code::usage, "Expected at most " + std::to_string(limits.max_batch_sequences) + " rows but received " +
                                 std::to_string(rows));
  }
  if (offsets[0] != 0 || static_cast<size_t>(offsets[rows]) != tokens.size) {
    throw Error(Code::usage, "Expected offsets from 0 to " + std::to_string(tokens.size) + " but received " +
                                 std::to_string(offsets[0]) + " to " + std::to_string(offsets[rows]));
  }
  for (size_t row = 0; row < rows; row++) {
    const int64_t length = static_cast<int64_t>(offsets[row + 1]) - offsets[row];
    if (length < 1 || length > limits.max_sequence_tokens) {
      throw Error(Code::usage, "Expected row " + std::to_string(row) + " to have 1 to " +
                                   std::to_string(limits.max_sequence_tokens) + " tokens but received " +
                                   std::to_string(length));
    }
  }
  for (size_t i = 0; i < tokens.size; i++) {
    if (tokens[i] < 0 || tokens[i] >= limits.vocabulary_size) {
      throw Error(Code::usage, "Expected token ids from 0 to " + std::to_string(limits.vocabulary_size - 1) +
                                   " but received " + std::to_string(tokens[i]) + " at " + std::to_string(i));
    }
  }
}

int32_t longest_row(View<int32_t> offsets) {
  int32_t longest = 0;
  for (size_t row = 0; row + 1 < offsets.size; row++) longest = std::max(longest, offsets[row + 1] - offsets[row]);
  return longest;
}

}  // namespace pairscore
