#include "engine/engine.h"
#include "engine/llama/llama_engine.h"
#include "error.h"

namespace pairscore {
namespace {

void require_positive(const char * name, int32_t value) {
  if (value > 0) return;
  throw Error(Code::usage, std::string("Expected ") + name + " of at least 1 but received " + std::to_string(value));
}

}  // namespace

std::unique_ptr<Engine> open_engine(const EngineSpec & spec) {
  require_positive("threads", spec.threads);
  require_positive("maxBatchTokens", spec.max_batch_tokens);
  require_positive("maxSequenceTokens", spec.max_sequence_tokens);
  require_positive("maxBatchSequences", spec.max_batch_sequences);
  if (spec.max_sequence_tokens > spec.max_batch_tokens) {
    throw Error(Code::usage, "Expected maxBatchTokens of at least maxSequenceTokens " +
                                 std::to_string(spec.max_sequence_tokens) + " but received " +
                                 std::to_string(spec.max_batch_tokens));
  }
  return open_llama_engine(spec);
}

}  // namespace pairscore
