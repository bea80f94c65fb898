#include "tiny_model.h"

#include <algorithm>
#include <memory>

#include "check.h"
#include "gguf.h"

namespace pairscore::test {
namespace {

// A GGUF file in the making. Tensors live in one ggml context.
class Writer {
 public:
  explicit Writer(const std::string & architecture)
      : gguf_(gguf_init_empty()), ggml_(ggml_init({size_t(256) << 20, nullptr, false})) {
    text("general.architecture", architecture);
  }
  ~Writer() {
    gguf_free(gguf_);
    ggml_free(ggml_);
  }
  Writer(const Writer &) = delete;
  Writer & operator=(const Writer &) = delete;

  void text(const std::string & key, const std::string & value) { gguf_set_val_str(gguf_, key.c_str(), value.c_str()); }
  void number(const std::string & key, int value) {
    gguf_set_val_u32(gguf_, key.c_str(), static_cast<uint32_t>(value));
  }
  void decimal(const std::string & key, float value) { gguf_set_val_f32(gguf_, key.c_str(), value); }

  void tensor(const std::string & name, ggml_type type, int64_t columns, int64_t rows,
              const std::vector<float> & values) {
    ggml_tensor * tensor =
        rows == 0 ? ggml_new_tensor_1d(ggml_, type, columns) : ggml_new_tensor_2d(ggml_, type, columns, rows);
    ggml_set_name(tensor, name.c_str());
    ggml_quantize_chunk(type, values.data(), tensor->data, 0, std::max<int64_t>(rows, 1), columns, nullptr);
    gguf_add_tensor(gguf_, tensor);
  }

  void write(const std::string & path) const {
    expect(gguf_write_to_file(gguf_, path.c_str(), false), "writing " + path);
  }

 private:
  gguf_context * gguf_;
  ggml_context * ggml_;
};

struct Matrix {
  const char * name;
  int rows;
  int columns;
  float deviation = 0;  // 0: what keeps values about as large as they come in
};

std::vector<Matrix> matrices(const TinyModel & m) {
  return {{"attn_q", m.q_heads * m.head_size, m.hidden},  {"attn_k", m.kv_heads * m.head_size, m.hidden},
          {"attn_v", m.kv_heads * m.head_size, m.hidden}, {"attn_output", m.hidden, m.q_heads * m.head_size},
          {"ffn_gate", m.feed_forward, m.hidden},         {"ffn_up", m.feed_forward, m.hidden},
          {"ffn_down", m.hidden, m.feed_forward}};
}

void apply_changes(const TinyModel & m, const Matrix & matrix, std::vector<float> & values) {
  for (const TinyChange & change : m.changes) {
    if (change.matrix != matrix.name) continue;
    for (size_t i = 0; i < values.size(); i++)
      values[i] = change.value(static_cast<int>(i) / matrix.columns, static_cast<int>(i) % matrix.columns, values[i]);
  }
}

void add_matrix(Writer & writer, const std::string & prefix, const TinyModel & m, const Matrix & matrix) {
  const float deviation =
      matrix.deviation != 0 ? matrix.deviation : 1.5f / std::sqrt(static_cast<float>(matrix.columns));
  std::vector<float> values =
      random_normal(static_cast<size_t>(matrix.rows) * static_cast<size_t>(matrix.columns), deviation);
  apply_changes(m, matrix, values);
  writer.tensor(prefix + matrix.name + ".weight", m.type, matrix.columns, matrix.rows, values);
}

void add_norm(Writer & writer, const std::string & prefix, const TinyModel & m, const std::string & name) {
  std::vector<float> values = random_normal(static_cast<size_t>(m.hidden), 0.2f);
  for (float & value : values) value += 1;
  apply_changes(m, {name.c_str(), 1, m.hidden}, values);
  writer.tensor(prefix + name + ".weight", GGML_TYPE_F32, m.hidden, 0, values);
}

void add_header(Writer & writer, const TinyModel & m) {
  const std::string prefix = m.architecture + ".";
  const bool gemma = m.architecture == "gemma2";
  writer.number(prefix + "context_length", 4096);
  writer.number(prefix + "embedding_length", m.hidden);
  writer.number(prefix + "block_count", m.layers);
  writer.number(prefix + "feed_forward_length", m.feed_forward);
  writer.number(prefix + "attention.head_count", m.q_heads);
  writer.number(prefix + "attention.head_count_kv", m.kv_heads);
  writer.number(prefix + "attention.key_length", m.head_size);
  writer.number(prefix + "attention.value_length", m.head_size);
  writer.number(prefix + "vocab_size", m.vocabulary);
  writer.decimal(prefix + "attention.layer_norm_rms_epsilon", gemma ? 1e-6f : 1e-5f);
  writer.text("tokenizer.ggml.model", "none");
  if (gemma) {
    writer.decimal(prefix + "attn_logit_softcapping", m.soft_cap);
    writer.decimal(prefix + "final_logit_softcapping", 30);
    writer.number(prefix + "attention.sliding_window", m.window);
  } else {
    writer.decimal(prefix + "rope.freq_base", 500000);
    writer.number(prefix + "rope.dimension_count", m.head_size);
  }
}

void write_base(const TinyModel & m, const std::string & path) {
  Writer writer(m.architecture);
  const bool gemma = m.architecture == "gemma2";
  add_header(writer, m);
  add_matrix(writer, "", m, {"token_embd", m.vocabulary, m.hidden, gemma ? 0.05f : 0.8f});
  add_norm(writer, "", m, "output_norm");
  for (int layer = 0; layer < m.layers; layer++) {
    const std::string prefix = "blk." + std::to_string(layer) + ".";
    add_norm(writer, prefix, m, "attn_norm");
    add_norm(writer, prefix, m, "ffn_norm");
    if (gemma) add_norm(writer, prefix, m, "post_attention_norm");
    if (gemma) add_norm(writer, prefix, m, "post_ffw_norm");
    for (const Matrix & matrix : matrices(m)) add_matrix(writer, prefix, m, matrix);
  }
  writer.write(path);
}

// The second half of the layers only, as the reference checkpoint has it.
void write_adapter(const TinyModel & m, const std::string & path) {
  Writer writer(m.architecture);
  const int rank = 8;
  writer.text("general.type", "adapter");
  writer.text("adapter.type", "lora");
  writer.decimal("adapter.lora.alpha", 16);
  for (int layer = m.layers / 2; layer < m.layers; layer++) {
    for (const Matrix & matrix : matrices(m)) {
      if (std::find(m.lora.begin(), m.lora.end(), matrix.name) == m.lora.end()) continue;
      const std::string name = "blk." + std::to_string(layer) + "." + matrix.name + ".weight.lora_";
      writer.tensor(name + "a", GGML_TYPE_F32, matrix.columns, rank,
                    random_normal(static_cast<size_t>(rank * matrix.columns),
                                  0.5f / std::sqrt(static_cast<float>(matrix.columns))));
      writer.tensor(name + "b", GGML_TYPE_F32, rank, matrix.rows,
                    random_normal(static_cast<size_t>(rank * matrix.rows), 0.3f));
    }
  }
  writer.write(path);
}

void write_head(const TinyModel & m, const std::string & path) {
  Writer writer("pairscore-head");
  writer.text("pairscore.head.architecture", m.architecture);
  writer.number("pairscore.head.hidden_size", m.hidden);
  writer.tensor("score.weight", GGML_TYPE_F32, m.hidden, m.labels,
                random_normal(static_cast<size_t>(m.labels * m.hidden), 1 / std::sqrt(static_cast<float>(m.hidden))));
  if (m.head_bias)
    writer.tensor("score.bias", GGML_TYPE_F32, m.labels, 0, random_normal(static_cast<size_t>(m.labels), 1));
  writer.write(path);
}

}  // namespace

TinyPaths write_tiny_model(const TinyModel & model, const std::string & prefix) {
  TinyPaths paths{prefix + "-base.gguf", model.lora.empty() ? "" : prefix + "-adapter.gguf", prefix + "-head.gguf"};
  write_base(model, paths.base);
  if (!model.lora.empty()) write_adapter(model, paths.adapter);
  write_head(model, paths.head);
  return paths;
}

}  // namespace pairscore::test
