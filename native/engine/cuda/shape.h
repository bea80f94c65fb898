// The sizes and constants of a model that our own kernels can run, read from its GGUF header.
#pragma once

#include <string>
#include <vector>

#include "engine/gguf_file.h"
#include "kernels/gate.h"

namespace pairscore {

struct ModelShape {
  std::string architecture;
  int32_t hidden;
  int32_t layers;
  int32_t vocabulary;
  int32_t q_heads;
  int32_t kv_heads;
  int32_t head_size;
  int32_t head_width;  // of a head in our buffers: 64, 128 or 256, zeros where the model has nothing
  int32_t feed_forward;
  float epsilon;
  float embedding_scale;
  float attention_scale;
  float attention_soft_cap;  // 0: none
  int32_t window;            // 0: none
  float rope_base;
  float rope_scale;       // multiplies positions
  bool post_norms;        // Gemma normalises what attention and the feed-forward give back
  bool interleaved_rope;  // q and k rows are pairs (2i, 2i + 1), as llama.cpp converts Llama
  Activation activation;

  // Rows of the model's own matrices.
  int64_t q_rows() const { return int64_t(q_heads) * head_size; }
  int64_t kv_rows() const { return int64_t(kv_heads) * head_size; }
  // In our buffers.
  bool padded() const { return head_width != head_size; }
  int64_t q_size() const { return int64_t(q_heads) * head_width; }
  int64_t kv_size() const { return int64_t(kv_heads) * head_width; }
  int64_t qkv_size() const { return q_size() + 2 * kv_size(); }
  // Gemma's even layers see a window only.
  int32_t window_of(int32_t layer) const { return layer % 2 == 0 ? window : 0; }
};

// Empty where our own engine can run the model, else why not.
std::string unsupported_reason(const GgufFile & base);

// For a supported model.
ModelShape read_shape(const GgufFile & base);

}  // namespace pairscore
