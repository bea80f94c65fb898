#include "engine/base.h"

#include <unordered_set>

#include "error.h"

namespace pairscore {
namespace {

constexpr uint32_t kMostLayers = 512;  // LLAMA_MAX_LAYERS: llama.cpp aborts above it
constexpr uint32_t kMostWidth = 1u << 20;

uint32_t required(const GgufFile & base, const std::string & key, uint32_t most) {
  const std::optional<uint32_t> value = base.u32(key);
  if (value && *value > 0 && *value <= most) return *value;
  throw Error(Code::model_file, "Expected key " + key + " of " + base.path() + " to be a number from 1 to " +
                                    std::to_string(most) + " but received " +
                                    (value ? std::to_string(*value) : "nothing"));
}

// llama.cpp aborts the process where two tokens are the same.
void check_unique_tokens(const GgufFile & base) {
  std::unordered_set<std::string> seen;
  for (std::string & token : base.texts("tokenizer.ggml.tokens").value_or(std::vector<std::string>{})) {
    if (!seen.insert(token).second) {
      throw Error(Code::model_file, "Expected distinct tokens in the vocabulary of " + base.path() +
                                        " but received \"" + token + "\" twice");
    }
  }
}

}  // namespace

size_t check_vocabulary(const GgufFile & base) {
  const std::string model = base.text("tokenizer.ggml.model").value_or("none");
  if (model == "none" || model == "no_vocab") return 0;
  if (model != "llama" && model != "gpt2") {
    throw Error(Code::model_mismatch,
                "Expected tokenizer.ggml.model llama or gpt2 in " + base.path() + " but received " + model);
  }
  check_unique_tokens(base);
  const size_t tokens = base.array_length("tokenizer.ggml.tokens", GGUF_TYPE_STRING);
  if (base.has("tokenizer.ggml.scores") && base.array_length("tokenizer.ggml.scores", GGUF_TYPE_FLOAT32) != tokens) {
    throw Error(Code::model_file, "Expected one score for each token in " + base.path());
  }
  if (base.has("tokenizer.ggml.token_type") &&
      base.array_length("tokenizer.ggml.token_type", GGUF_TYPE_INT32) != tokens) {
    throw Error(Code::model_file, "Expected one type for each token in " + base.path());
  }
  if (model == "gpt2") base.array_length("tokenizer.ggml.merges", GGUF_TYPE_STRING);
  return tokens;
}

BaseInfo check_base(const GgufFile & base) {
  const std::string architecture = base.text("general.architecture").value_or("nothing");
  if (architecture != "gemma2" && architecture != "llama") {
    throw Error(Code::model_mismatch,
                "Expected architecture gemma2 or llama in " + base.path() + " but received " + architecture);
  }
  const std::string prefix = architecture + ".";
  const uint32_t hidden = required(base, prefix + "embedding_length", kMostWidth);
  const uint32_t layers = required(base, prefix + "block_count", kMostLayers);
  const uint32_t heads = required(base, prefix + "attention.head_count", kMostWidth);
  required(base, prefix + "feed_forward_length", kMostWidth);
  if (base.has(prefix + "attention.head_count_kv")) {
    const uint32_t kv_heads = required(base, prefix + "attention.head_count_kv", heads);
    if (heads % kv_heads != 0) {
      throw Error(Code::model_file, "Expected head_count " + std::to_string(heads) + " of " + base.path() +
                                        " to be a multiple of head_count_kv " + std::to_string(kv_heads));
    }
  }
  if (!base.f32(prefix + "attention.layer_norm_rms_epsilon")) {
    throw Error(Code::model_file,
                "Expected key " + prefix + "attention.layer_norm_rms_epsilon in " + base.path() + " but it is missing");
  }
  const TensorInfo * embedding = base.find("token_embd.weight");
  if (!embedding || embedding->ne[0] != hidden || embedding->ne[1] < 1 || embedding->ne[1] > INT32_MAX) {
    throw Error(Code::model_file, "Expected token_embd.weight of " + base.path() + " with rows of " +
                                      std::to_string(hidden) + " but received " +
                                      (embedding ? shape_text(*embedding) : "nothing"));
  }
  const uint32_t rows = static_cast<uint32_t>(embedding->ne[1]);
  const size_t tokens = check_vocabulary(base);
  if (tokens != 0 && tokens != rows) {
    throw Error(Code::model_file, "Expected " + std::to_string(rows) + " tokens in the vocabulary of " + base.path() +
                                      ", one for each row of token_embd.weight, but received " +
                                      std::to_string(tokens));
  }
  return {architecture, static_cast<int32_t>(hidden), static_cast<int32_t>(layers), static_cast<int32_t>(rows)};
}

}  // namespace pairscore
