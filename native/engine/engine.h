// One model on one device, in std types. The binding knows this file and nothing below it.
#pragma once

#include <atomic>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace pairscore {

// A borrowed run of values. C++17 has no std::span.
template <typename T>
struct View {
  const T * data;
  size_t size;
  const T & operator[](size_t i) const { return data[i]; }
};

struct EngineSpec {
  std::string base_path;
  std::string adapter_path;  // empty: the adapter is merged into the base
  std::string head_path;
  std::string device;  // "cpu" or "cuda:N"
  int32_t threads;
  int32_t max_batch_tokens;  // padding included
  int32_t max_sequence_tokens;
  int32_t max_batch_sequences;
  bool attention_soft_cap;
  std::string compute;  // "auto", "bf16", "f16", "fp8", or "ggml": libllama's engine on any device
  std::string weights;  // "auto", "resident" or "streamed": how the CUDA engine keeps them
};

struct EngineInfo {
  std::string architecture;
  std::string quantization;
  std::string compute;   // "ggml", "bf16", "f16" or "fp8", with ", streamed" where weights are
  int64_t rows_in_bf16;  // so far, out of an engine of f16: rows that f16 has no range for
  std::string device;
  std::string device_name;
  int32_t hidden_size;
  int32_t layer_count;
  int32_t vocabulary_size;
  int32_t label_count;
  std::vector<std::string> labels;
  int32_t adapter_matched;
  int32_t adapter_unmatched;
  float adapter_scale;
  uint64_t weight_bytes;
};

// Not thread-safe but for cancel(): the caller runs one call at a time, on any thread.
class Engine {
 public:
  virtual ~Engine() = default;
  // What it says changes with score() alone.
  virtual const EngineInfo & info() const = 0;
  // tokens: (total), offsets: (rows + 1). Returns logits (rows, labels), not finite where a row's activations were not,
  // in the safest type that the engine may use. Throws Error.
  virtual std::vector<float> score(View<int32_t> tokens, View<int32_t> offsets) = 0;
  // Any thread: the call in flight, and every later one, ends soon with Error{closed}. For a process that is going down.
  virtual void cancel() = 0;
};

// Ends openings early. Belongs to whoever may ask for it; an opening looks at it from its own threads.
class Stop {
 public:
  // Any thread.
  void request() { requested_ = true; }
  bool requested() const { return requested_; }

 private:
  std::atomic<bool> requested_{false};
};

// Throws Error: model_file, model_mismatch, model_values, device_unknown, device_memory, device_failed, and closed, soon,
// where it is stopped.
std::unique_ptr<Engine> open_engine(const EngineSpec & spec, const Stop & stop);

struct TokenLists {
  std::vector<int32_t> tokens;
  std::vector<int32_t> offsets;  // (texts + 1)
};

// Thread-safe after opening.
class Tokenizer {
 public:
  virtual ~Tokenizer() = default;
  // texts: UTF-8, spread over the tokenizer's threads. Adds no bos, no eos.
  virtual TokenLists tokenize(const std::vector<std::string> & texts, bool parse_special) const = 0;
};

std::unique_ptr<Tokenizer> open_tokenizer(const std::string & base_path, int32_t threads, const Stop & stop);

struct RowsSpec {
  std::string from;  // ggml's name of the type of the rows that come in
  std::string to;    // and of those that go out
  int64_t columns;
  int32_t threads;
};

// rows: whole rows (rows, columns) of type `from`, to which b (rows, rank) x a (rank, columns) is added; both are empty
// where nothing is. By ggml's own quantisers. Throws Error: usage, model_values.
std::vector<uint8_t> convert_rows(const RowsSpec & spec, View<uint8_t> rows, View<float> a, View<float> b);

struct DeviceInfo {
  std::string device;
  std::string name;
  uint64_t total_bytes;
  uint64_t free_bytes;
};

struct BuildInfo {
  std::string flavour;
  std::string llama_version;
  std::string system_info;
  std::vector<DeviceInfo> devices;
};

BuildInfo build_info();

}  // namespace pairscore
