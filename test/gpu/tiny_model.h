// Small random models as GGUF files: every combination that the engine must get right, in a few megabytes.
#pragma once

#include <functional>
#include <string>
#include <vector>

#include "ggml.h"

namespace pairscore::test {

// What becomes of the values of a matrix, in every layer.
struct TinyChange {
  std::string matrix;  // "attn_q", ..., "token_embd"
  std::function<float(int row, int column, float value)> value;
};

struct TinyModel {
  std::string architecture;  // "gemma2" or "llama"
  int hidden;
  int layers;
  int q_heads;
  int kv_heads;
  int head_size;
  int feed_forward;
  int vocabulary;
  float soft_cap;
  int window;
  ggml_type type;                 // of the blocks' matrices and the embedding
  std::vector<std::string> lora;  // "attn_q", ...; empty: no adapter
  int labels;
  bool head_bias;
  std::vector<TinyChange> changes = {};
};

struct TinyPaths {
  std::string base;
  std::string adapter;  // "" without a LoRA
  std::string head;
};

// Writes prefix-base.gguf, prefix-adapter.gguf, prefix-head.gguf.
TinyPaths write_tiny_model(const TinyModel & model, const std::string & prefix);

}  // namespace pairscore::test
