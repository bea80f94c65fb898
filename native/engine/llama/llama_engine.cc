#include "engine/llama/llama_engine.h"

#include <algorithm>
#include <atomic>
#include <cmath>
#include <cstring>
#include <optional>

#include "engine/adapter.h"
#include "engine/base.h"
#include "engine/head.h"
#include "engine/llama/llama_backend.h"
#include "engine/log.h"
#include "engine/rows.h"
#include "engine/stop.h"
#include "engine/values.h"
#include "error.h"
#include "ggml-cpu.h"
#include "llama-cpp.h"

namespace pairscore {
namespace {

struct ThreadpoolFree {
  void operator()(ggml_threadpool * pool) const { ggml_threadpool_free(pool); }
};

// The tokens of one call, in the arrays that llama_batch points at.
struct Batch {
  std::vector<llama_token> tokens;
  std::vector<llama_pos> positions;
  std::vector<int32_t> sequence_counts;
  std::vector<llama_seq_id> sequences;
  std::vector<llama_seq_id *> sequence_lists;
  std::vector<int8_t> outputs;

  void clear() {
    tokens.clear();
    positions.clear();
    sequence_counts.clear();
    sequences.clear();
    outputs.clear();
  }

  llama_batch view() {
    sequence_lists.clear();
    for (llama_seq_id & sequence : sequences) sequence_lists.push_back(&sequence);
    llama_batch batch = {};
    batch.n_tokens = static_cast<int32_t>(tokens.size());
    batch.token = tokens.data();
    batch.pos = positions.data();
    batch.n_seq_id = sequence_counts.data();
    batch.seq_id = sequence_lists.data();
    batch.logits = outputs.data();
    return batch;
  }
};

// KV cells of a stream come in steps of this many (llama.cpp pads to it).
constexpr int32_t kCellStep = 256;

int32_t round_up(int32_t value, int32_t step) { return (value + step - 1) / step * step; }

// (sequences, cells) that a context was made for.
struct Shape {
  int32_t sequences = 0;
  int32_t cells = 0;

  bool holds(const Shape & other) const { return sequences >= other.sequences && cells >= other.cells; }
};

class LlamaEngine final : public Engine {
 public:
  explicit LlamaEngine(const EngineSpec & spec);
  const EngineInfo & info() const override { return info_; }
  std::vector<float> score(View<int32_t> tokens, View<int32_t> offsets) override;
  void cancel() override { cancelled_ = true; }

 private:
  void load_model(const BaseInfo & base);
  void load_adapter(const Adapter & adapter);
  void describe(const BaseInfo & base);
  void ensure_context(const Shape & needed);
  llama_context_params context_params(const Shape & shape);
  void fill_batch(View<int32_t> tokens, View<int32_t> offsets, int32_t width);
  void decode(size_t rows);
  bool on_node(ggml_tensor * node, bool ask);

  const EngineSpec spec_;
  ggml_backend_dev_t device_;
  EngineInfo info_{};
  std::unique_ptr<Head> head_;
  llama_model_ptr model_;
  llama_adapter_lora_ptr adapter_;
  std::unique_ptr<ggml_threadpool, ThreadpoolFree> threads_;
  // Declared after what it uses, so that it goes first.
  llama_context_ptr context_;
  Shape shape_;
  Batch batch_;
  std::vector<float> hidden_;  // (rows, hidden): the final norm's output for each last token
  std::atomic<bool> cancelled_{false};
};

LlamaEngine::LlamaEngine(const EngineSpec & spec) : spec_(spec) {
  init_llama();
  device_ = find_device(spec.device);
  const GgufFile base(spec.base_path);
  const BaseInfo base_info = check_base(base);
  head_ = std::make_unique<Head>(spec.head_path, base);
  std::optional<Adapter> adapter;
  if (!spec.adapter_path.empty()) adapter.emplace(spec.adapter_path, base);

  check_values(base, spec.threads);
  load_model(base_info);
  throw_if_stopped();
  if (adapter) load_adapter(*adapter);
  describe(base_info);

  ggml_threadpool_params params = ggml_threadpool_params_default(spec.threads);
  threads_.reset(ggml_threadpool_new(&params));
  if (!threads_)
    throw Error(Code::internal, "Expected to start " + std::to_string(spec.threads) + " threads but could not");
}

void LlamaEngine::load_model(const BaseInfo & base) {
  LogCapture log;
  ggml_backend_dev_t devices[] = {device_, nullptr};
  llama_model_kv_override overrides[2] = {};
  llama_model_params params = llama_model_default_params();
  params.devices = devices;
  params.n_gpu_layers = device_ ? -1 : 0;
  params.split_mode = LLAMA_SPLIT_MODE_NONE;
  params.main_gpu = device_ ? 0 : -1;
  // check_values has looked at them: llama.cpp would do so on a thread for each tensor, and hear of a stop only after.
  params.check_tensors = false;
  params.progress_callback = [](float, void *) { return !is_stopped(); };
  if (base.architecture == "gemma2" && !spec_.attention_soft_cap) {
    overrides[0].tag = LLAMA_KV_OVERRIDE_TYPE_FLOAT;
    std::strcpy(overrides[0].key, "gemma2.attn_logit_softcapping");
    // Flash attention, which GPUs run, reads 0 as "no cap". Plain attention divides by the cap: a large power of two
    // makes cap * tanh(x / cap) exactly x.
    overrides[0].val_f64 = device_ ? 0.0 : std::ldexp(1.0, 100);
    params.kv_overrides = overrides;
  }
  model_.reset(llama_model_load_from_file(spec_.base_path.c_str(), params));
  if (!model_) {
    throw_if_stopped();
    const std::string reason = log.reason();
    const bool memory = device_ && reason.find("alloc") != std::string::npos;
    throw Error(memory ? Code::device_memory : Code::model_file,
                "Expected to load " + spec_.base_path + " on " + spec_.device + " but llama.cpp could not" + reason);
  }
}

void LlamaEngine::load_adapter(const Adapter & adapter) {
  LogCapture log;
  adapter_.reset(llama_adapter_lora_init(model_.get(), spec_.adapter_path.c_str()));
  if (!adapter_)
    throw Error(Code::model_mismatch,
                "Expected to load " + spec_.adapter_path + " but llama.cpp could not" + log.reason());
  info_.adapter_matched = static_cast<int32_t>(adapter.pairs().size());
  info_.adapter_scale = adapter.pairs().front().scale;
}

void LlamaEngine::describe(const BaseInfo & base) {
  info_.architecture = base.architecture;
  info_.quantization = llama_ftype_name(llama_model_ftype(model_.get()));
  info_.compute = "ggml";
  info_.device = spec_.device;
  ggml_backend_dev_t device = device_ ? device_ : ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU);
  info_.device_name = ggml_backend_dev_description(device);
  info_.hidden_size = base.hidden_size;
  info_.layer_count = base.layer_count;
  info_.vocabulary_size = base.vocabulary_size;
  info_.label_count = head_->label_count();
  info_.labels = head_->label_names();
  info_.weight_bytes = llama_model_size(model_.get());
}

llama_context_params LlamaEngine::context_params(const Shape & shape) {
  llama_context_params params = llama_context_default_params();
  params.n_seq_max = static_cast<uint32_t>(shape.sequences);
  params.n_ctx = static_cast<uint32_t>(shape.sequences) * static_cast<uint32_t>(shape.cells);
  // One ubatch a call: the order of its outputs is then the order of the rows.
  params.n_batch = params.n_ubatch = static_cast<uint32_t>(spec_.max_batch_tokens);
  params.n_outputs_max = params.n_seq_max;
  params.n_threads = params.n_threads_batch = spec_.threads;
  params.pooling_type = LLAMA_POOLING_TYPE_NONE;
  // Flash attention rounds keys and values to f16; on the CPU, which is the reference, they stay f32.
  params.flash_attn_type = device_ ? LLAMA_FLASH_ATTN_TYPE_ENABLED : LLAMA_FLASH_ATTN_TYPE_DISABLED;
  params.type_k = params.type_v = device_ ? GGML_TYPE_F16 : GGML_TYPE_F32;
  params.kv_unified = false;  // unified computes attention across the packed sequences
  params.swa_full = false;
  params.no_perf = true;
  params.cb_eval = [](ggml_tensor * node, bool ask, void * self) {
    return static_cast<LlamaEngine *>(self)->on_node(node, ask);
  };
  params.cb_eval_user_data = this;
  params.abort_callback = [](void * self) { return static_cast<LlamaEngine *>(self)->cancelled_.load(); };
  params.abort_callback_data = this;
  return params;
}

// Keys and values live in one stream a sequence, so memory is sequences x cells. A context for the most sequences of the
// most tokens would be many times a batch; this one fits the batches at hand and is made anew when their shape grows.
void LlamaEngine::ensure_context(const Shape & needed) {
  if (context_ && shape_.holds(needed)) return;
  Shape shape;
  shape.cells = needed.cells;
  shape.sequences = std::clamp(spec_.max_batch_tokens / needed.cells, needed.sequences, spec_.max_batch_sequences);
  LogCapture log;
  context_.reset();
  context_.reset(llama_init_from_model(model_.get(), context_params(shape)));
  if (!context_) {
    throw Error(Code::device_memory,
                "Expected memory on " + spec_.device + " for batches of " + std::to_string(spec_.max_batch_tokens) +
                    " tokens but llama.cpp could not get it (a smaller batch needs less)" + log.reason());
  }
  shape_ = shape;
  llama_attach_threadpool(context_.get(), threads_.get(), threads_.get());
  if (adapter_) {
    llama_adapter_lora * adapters[] = {adapter_.get()};
    float scales[] = {1.0f};
    if (llama_set_adapters_lora(context_.get(), adapters, 1, scales) != 0) {
      throw Error(Code::internal,
                  "Expected to apply " + spec_.adapter_path + " but llama.cpp could not" + log.reason());
    }
  }
}

// Streams of one ubatch must be of equal length. Rows are padded on the right: attention is causal, so that no token that
// counts sees the padding.
void LlamaEngine::fill_batch(View<int32_t> tokens, View<int32_t> offsets, int32_t width) {
  batch_.clear();
  for (size_t row = 0; row + 1 < offsets.size; row++) {
    const int32_t length = offsets[row + 1] - offsets[row];
    for (int32_t i = 0; i < width; i++) {
      batch_.tokens.push_back(tokens[static_cast<size_t>(offsets[row] + std::min(i, length - 1))]);
      batch_.positions.push_back(i);
      batch_.sequence_counts.push_back(1);
      batch_.sequences.push_back(static_cast<llama_seq_id>(row));
      batch_.outputs.push_back(i == length - 1);
    }
  }
}

// Takes the hidden states after the final norm and stops the graph there: the vocabulary projection never runs.
bool LlamaEngine::on_node(ggml_tensor * node, bool ask) {
  const bool wanted = std::strcmp(node->name, "result_norm") == 0;
  if (ask || !wanted) return wanted;
  const size_t at = hidden_.size();
  hidden_.resize(at + static_cast<size_t>(ggml_nelements(node)));
  ggml_backend_tensor_get(node, hidden_.data() + at, 0, ggml_nbytes(node));
  return false;
}

void LlamaEngine::decode(size_t rows) {
  LogCapture log;
  llama_memory_clear(llama_get_memory(context_.get()), false);
  hidden_.clear();
  const int32_t status = llama_decode(context_.get(), batch_.view());
  if (status == 0) llama_synchronize(context_.get());
  if (cancelled_) throw Error(Code::closed, "The engine was closed while it was scoring");
  if (status != 0) {
    throw Error(device_ ? Code::device_failed : Code::internal,
                "Expected llama.cpp to compute a batch but it answered " + std::to_string(status) + log.reason());
  }
  const size_t expected = rows * static_cast<size_t>(info_.hidden_size);
  if (hidden_.size() != expected) {
    throw Error(Code::internal, "Expected " + std::to_string(expected) + " hidden values but received " +
                                    std::to_string(hidden_.size()));
  }
}

std::vector<float> LlamaEngine::score(View<int32_t> tokens, View<int32_t> offsets) {
  check_rows(tokens, offsets, {info_.vocabulary_size, spec_.max_sequence_tokens, spec_.max_batch_sequences});
  const size_t rows = offsets.size - 1;
  const int32_t width = longest_row(offsets);
  if (static_cast<int64_t>(width) * static_cast<int64_t>(rows) > spec_.max_batch_tokens) {
    throw Error(Code::usage, "Expected a batch of at most " + std::to_string(spec_.max_batch_tokens) +
                                 " padded tokens but received " + std::to_string(rows) + " rows of " +
                                 std::to_string(width));
  }
  ensure_context({static_cast<int32_t>(rows), round_up(width, kCellStep)});
  fill_batch(tokens, offsets, width);
  decode(rows);

  const size_t labels = static_cast<size_t>(info_.label_count);
  const size_t hidden = static_cast<size_t>(info_.hidden_size);
  std::vector<float> logits(rows * labels);
  for (size_t row = 0; row < rows; row++) head_->apply(hidden_.data() + row * hidden, logits.data() + row * labels);
  return logits;
}

}  // namespace

std::unique_ptr<Engine> open_llama_engine(const EngineSpec & spec) { return std::make_unique<LlamaEngine>(spec); }

}  // namespace pairscore
