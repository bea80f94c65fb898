// The tiny models of the parity tests: each varies what the others keep.
#pragma once

#include "check.h"
#include "engine/engine.h"
#include "tiny_model.h"

namespace pairscore::test {

struct TinyCase {
  std::string name;
  TinyModel model;
  bool soft_cap;
};

inline std::vector<TinyCase> tiny_cases() {
  const std::vector<std::string> all = {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"};
  const TinyModel gemma{"gemma2", 256, 2, 4, 2, 64, 512, 100, 5.f, 16, GGML_TYPE_F32, {}, 3, false};
  const TinyModel llama{"llama", 256, 2, 4, 2, 64, 512, 100, 0.f, 0, GGML_TYPE_F32, {}, 3, false};
  std::vector<TinyCase> cases = {
      {"gemma2", gemma, true}, {"gemma2 without its soft-cap", gemma, false}, {"llama", llama, true}};
  const auto add = [&](const std::string & name, TinyModel model, const auto & change) {
    change(model);
    cases.push_back({name, model, true});
  };
  for (const TinyModel & base : {gemma, llama}) {
    const std::string name = base.architecture;
    add(name + ", heads of 128, groups of 4", base,
        [](TinyModel & m) { m.head_size = 128, m.q_heads = 4, m.kv_heads = 1; });
    add(name + ", heads of 256, no groups", base,
        [](TinyModel & m) { m.head_size = 256, m.q_heads = 2, m.kv_heads = 2; });
    add(name + ", groups of 8", base, [](TinyModel & m) { m.q_heads = 8, m.kv_heads = 1; });
    add(name + ", heads of 256, groups of 2", base,
        [](TinyModel & m) { m.head_size = 256, m.q_heads = 4, m.kv_heads = 2; });
    add(name + ", heads of 32", base, [](TinyModel & m) { m.head_size = 32; });
    add(name + ", heads of 16, groups of 4", base, [](TinyModel & m) { m.head_size = 16, m.kv_heads = 1; });
    add(name + ", heads of 80", base, [](TinyModel & m) { m.head_size = 80, m.q_heads = 4, m.kv_heads = 2; });
    add(name + ", one layer", base, [](TinyModel & m) { m.layers = 1; });
    add(name + ", three layers, two labels with a bias", base,
        [](TinyModel & m) { m.layers = 3, m.labels = 2, m.head_bias = true; });
    // x cannot be had back from what such a norm made.
    for (const char * norm : {"attn_norm", "ffn_norm"}) {
      add(name + ", a zero in every " + norm, base, [&](TinyModel & m) {
        m.changes = {{norm, [](int, int at, float value) { return at == 3 ? 0.f : value; }}};
      });
    }
    add(name + ", LoRA on q k v", base, [](TinyModel & m) { m.lora = {"attn_q", "attn_k", "attn_v"}; });
    add(name + ", LoRA on v and o", base, [](TinyModel & m) { m.lora = {"attn_v", "attn_output"}; });
    add(name + ", LoRA on everything", base, [&](TinyModel & m) { m.lora = all; });
    for (ggml_type type : {GGML_TYPE_Q4_K, GGML_TYPE_Q5_K, GGML_TYPE_Q6_K, GGML_TYPE_Q8_0, GGML_TYPE_Q4_0,
                           GGML_TYPE_F16, GGML_TYPE_BF16, GGML_TYPE_Q3_K}) {
      add(name + ", " + ggml_type_name(type) + ", LoRA on q k v", base, [&](TinyModel & m) {
        m.type = type, m.lora = {"attn_q", "attn_k", "attn_v"};
      });
    }
  }
  add("gemma2, a window wider than the rows", gemma, [](TinyModel & m) { m.window = 4096; });
  return cases;
}

struct TinyRows {
  std::vector<int32_t> tokens;
  std::vector<int32_t> offsets;
};

inline TinyRows random_rows(const std::vector<int> & lengths, int vocabulary) {
  TinyRows rows{{}, {0}};
  for (int length : lengths) {
    for (int i = 0; i < length; i++) rows.tokens.push_back(random_int(0, vocabulary - 1));
    rows.offsets.push_back(static_cast<int32_t>(rows.tokens.size()));
  }
  return rows;
}

inline EngineSpec spec_of(const TinyPaths & paths, const std::string & device, bool soft_cap) {
  EngineSpec spec{};
  spec.base_path = paths.base, spec.adapter_path = paths.adapter, spec.head_path = paths.head;
  spec.device = device, spec.threads = 1;
  spec.max_batch_tokens = 256, spec.max_sequence_tokens = 256, spec.max_batch_sequences = 64;
  spec.attention_soft_cap = soft_cap;
  return spec;
}

inline std::vector<float> score_rows(Engine & engine, const TinyRows & rows) {
  return engine.score({rows.tokens.data(), rows.tokens.size()}, {rows.offsets.data(), rows.offsets.size()});
}

}  // namespace pairscore::test
