#include "engine/cuda/shape.h"

#include <cmath>

#include "engine/base.h"

namespace pairscore {
namespace {

uint32_t number(const GgufFile & base, const std::string & key, uint32_t otherwise) {
  return base.u32(base.text("general.architecture").value_or("") + "." + key).value_or(otherwise);
}

float decimal(const GgufFile & base, const std::string & key, float otherwise) {
  return base.f32(base.text("general.architecture").value_or("") + "." + key).value_or(otherwise);
}

std::string unsupported_rope(const GgufFile & base, const std::string & prefix, uint32_t head_size) {
  const std::string scaling = base.text(prefix + "rope.scaling.type").value_or("linear");
  if (scaling != "none" && scaling != "linear") return "its RoPE scaling is " + scaling;
  if (number(base, "rope.dimension_count", head_size) != head_size) return "its RoPE turns only a part of each head";
  return "";
}

std::string unsupported_tensor(const GgufFile & base) {
  for (const TensorInfo & tensor : base.tensors()) {
    const std::string & name = tensor.name;
    const bool bias = name.size() > 5 && name.compare(name.size() - 5, 5, ".bias") == 0;
    const bool other = name.find("_exps") != std::string::npos || name.find("attn_qkv") != std::string::npos ||
                       name.find(".scale") != std::string::npos;
    if (bias || other) return "it has a tensor " + name;
  }
  return "";
}

}  // namespace

std::string unsupported_reason(const GgufFile & base) {
  const std::string architecture = base.text("general.architecture").value_or("");
  if (architecture != "gemma2" && architecture != "llama") return "its architecture is " + architecture;
  const std::string prefix = architecture + ".";
  const uint32_t hidden = number(base, "embedding_length", 0), heads = number(base, "attention.head_count", 1);
  const uint32_t key = number(base, "attention.key_length", hidden / heads),
                 value = number(base, "attention.value_length", hidden / heads);
  if (key != value) return "its keys and values differ in length";
  if (key % 16 != 0 || key > 256) return "its head size is " + std::to_string(key);
  if (hidden % 16 || number(base, "feed_forward_length", 1) % 16) return "its sizes are no multiples of 16";
  if (hidden > 32768 || number(base, "feed_forward_length", 1) > 32768) return "its rows are longer than 32768";
  if (number(base, "expert_count", 0)) return "it is a mixture of experts";
  if (base.has(prefix + "attention.scale")) return "it sets its own attention scale";
  if (base.has(prefix + "attention.sliding_window_pattern")) return "it sets its own window pattern";
  const std::string rope = unsupported_rope(base, prefix, key);
  return rope.empty() ? unsupported_tensor(base) : rope;
}

ModelShape read_shape(const GgufFile & base) {
  const BaseInfo info = check_base(base);
  const bool gemma = info.architecture == "gemma2";
  ModelShape shape{};
  shape.architecture = info.architecture;
  shape.hidden = info.hidden_size;
  shape.layers = info.layer_count;
  shape.vocabulary = info.vocabulary_size;
  shape.q_heads = static_cast<int32_t>(number(base, "attention.head_count", 1));
  shape.kv_heads = static_cast<int32_t>(number(base, "attention.head_count_kv", static_cast<uint32_t>(shape.q_heads)));
  shape.head_size =
      static_cast<int32_t>(number(base, "attention.key_length", static_cast<uint32_t>(shape.hidden / shape.q_heads)));
  shape.head_width = shape.head_size <= 64 ? 64 : shape.head_size <= 128 ? 128 : 256;
  shape.feed_forward = static_cast<int32_t>(number(base, "feed_forward_length", 0));
  shape.epsilon = decimal(base, "attention.layer_norm_rms_epsilon", 0);
  shape.embedding_scale = gemma ? std::sqrt(static_cast<float>(shape.hidden)) : 1.f;
  // Gemma-2 27B, known by its layers as in llama.cpp, scales by the width of a head of the residual stream.
  const bool wide = gemma && shape.layers == 46;
  shape.attention_scale = 1.f / std::sqrt(static_cast<float>(wide ? shape.hidden / shape.q_heads : shape.head_size));
  shape.attention_soft_cap = gemma ? decimal(base, "attn_logit_softcapping", 50.f) : 0.f;
  shape.window = gemma ? static_cast<int32_t>(number(base, "attention.sliding_window", 4096)) : 0;
  shape.rope_base = decimal(base, "rope.freq_base", 10000.f);
  const float factor = decimal(base, "rope.scaling.factor", 0.f);
  shape.rope_scale = factor == 0.f ? 1.f : 1.f / factor;
  shape.post_norms = gemma;
  shape.interleaved_rope = !gemma;
  shape.activation = gemma ? Activation::gelu_tanh : Activation::silu;
  return shape;
}

}  // namespace pairscore
