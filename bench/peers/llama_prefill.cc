// Peer: stock libllama on given rows, as its server and bindings drive it (embedding mode, one unified KV), and as well as
// its public API allows without them (logits of last tokens, one stream a sequence).
// usage: llama_prefill MODEL.gguf LORA.gguf|- cpu|CUDA_INDEX ROWS MODE...
//   ROWS: a file of token ids, one row a line. MODE: embedding | logits | streams, each with :UBATCH
// Prints one JSON object a mode.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <memory>
#include <sstream>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "llama-cpp.h"

namespace {

using Row = std::vector<llama_token>;

struct Mode {
  std::string name;
  int32_t ubatch;

  bool is_embedding() const { return name == "embedding"; }
  bool is_unified() const { return name != "streams"; }
};

struct BatchFree {
  void operator()(llama_batch * batch) const {
    llama_batch_free(*batch);
    delete batch;
  }
};
using Batch = std::unique_ptr<llama_batch, BatchFree>;

constexpr size_t kSequences = 8;
constexpr int32_t kCellStep = 256;

double seconds() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::vector<Row> read_rows(const std::string & path) {
  std::ifstream file(path);
  std::vector<Row> rows;
  for (std::string line; std::getline(file, line);) {
    std::istringstream ids(line);
    Row row;
    for (llama_token id; ids >> id;) row.push_back(id);
    if (!row.empty()) rows.push_back(row);
  }
  if (rows.empty()) throw std::runtime_error("Expected rows of token ids in " + path);
  std::sort(rows.begin(), rows.end(), [](const Row & a, const Row & b) { return a.size() > b.size(); });
  return rows;
}

Mode read_mode(const std::string & text) {
  const size_t colon = text.find(':');
  if (colon == std::string::npos) throw std::runtime_error("Expected MODE:UBATCH but received " + text);
  return {text.substr(0, colon), std::stoi(text.substr(colon + 1))};
}

llama_model_ptr load_model(const char * path, const std::string & device) {
  llama_model_params params = llama_model_default_params();
  params.n_gpu_layers = device == "cpu" ? 0 : 999;
  params.split_mode = LLAMA_SPLIT_MODE_NONE;
  params.main_gpu = device == "cpu" ? -1 : std::stoi(device);
  llama_model_ptr model(llama_model_load_from_file(path, params));
  if (!model) throw std::runtime_error(std::string("Expected to load ") + path);
  return model;
}

llama_context_ptr make_context(llama_model * model, const Mode & mode, size_t longest) {
  llama_context_params params = llama_context_default_params();
  const uint32_t cells = (uint32_t(longest) + kCellStep - 1) / kCellStep * kCellStep;
  params.n_seq_max = kSequences;
  params.n_ctx = kSequences * cells;
  params.n_batch = uint32_t(kSequences * longest);
  params.n_ubatch = std::min(uint32_t(mode.ubatch), params.n_batch);
  params.kv_unified = mode.is_unified();
  params.embeddings = mode.is_embedding();
  params.pooling_type = mode.is_embedding() ? LLAMA_POOLING_TYPE_LAST : LLAMA_POOLING_TYPE_NONE;
  // llama.cpp's own default is four, which spin against each other on fewer cores.
  params.n_threads = params.n_threads_batch = int32_t(std::max(1u, std::thread::hardware_concurrency()));
  params.no_perf = true;
  llama_context_ptr context(llama_init_from_model(model, params));
  if (!context) throw std::runtime_error("Expected a context for mode " + mode.name);
  return context;
}

// Rows of one group, end to end; streams want them of equal length.
void fill(llama_batch & batch, const std::vector<Row> & rows, size_t from, const Mode & mode) {
  batch.n_tokens = 0;
  const size_t to = std::min(rows.size(), from + kSequences);
  for (size_t row = from; row < to; row++) {
    const size_t length = rows[row].size();
    const size_t width = mode.is_unified() ? length : rows[from].size();
    for (size_t i = 0; i < width; i++) {
      const int32_t at = batch.n_tokens++;
      batch.token[at] = rows[row][std::min(i, length - 1)];
      batch.pos[at] = llama_pos(i);
      batch.n_seq_id[at] = 1;
      batch.seq_id[at][0] = llama_seq_id(row - from);
      batch.logits[at] = mode.is_embedding() || i == length - 1;
    }
  }
}

void decode_group(llama_context * context, llama_batch & batch) {
  llama_memory_clear(llama_get_memory(context), false);
  const int32_t status = llama_decode(context, batch);
  if (status != 0) throw std::runtime_error("llama_decode answered " + std::to_string(status));
  llama_synchronize(context);
}

void run_mode(llama_model * model, llama_adapter_lora * adapter, const std::vector<Row> & rows, const Mode & mode) {
  const size_t longest = rows.front().size();
  const llama_context_ptr context = make_context(model, mode, longest);
  float scale = 1;
  if (adapter && llama_set_adapters_lora(context.get(), &adapter, 1, &scale) != 0) {
    throw std::runtime_error("Expected to apply the adapter");
  }
  const Batch batch(new llama_batch(llama_batch_init(int32_t(kSequences * longest), 0, 1)));
  fill(*batch, rows, 0, mode);
  decode_group(context.get(), *batch);

  size_t tokens = 0;
  for (const Row & row : rows) tokens += row.size();
  const double started = seconds();
  for (size_t from = 0; from < rows.size(); from += kSequences) {
    fill(*batch, rows, from, mode);
    decode_group(context.get(), *batch);
  }
  const double took = seconds() - started;
  printf("{\"peer\":\"llama.cpp\",\"mode\":\"%s, ubatch %d\",\"tokens\":%zu,\"seconds\":%g,\"tokensPerSecond\":%g}\n",
         mode.name.c_str(), mode.ubatch, tokens, took, tokens / took);
  fflush(stdout);
}

void run(int argc, char ** argv) {
  if (argc < 6) throw std::runtime_error("usage: llama_prefill MODEL LORA|- cpu|INDEX ROWS MODE:UBATCH...");
  llama_log_set(
      [](ggml_log_level level, const char * text, void *) {
        if (level >= GGML_LOG_LEVEL_ERROR) fputs(text, stderr);
      },
      nullptr);
  llama_backend_init();
  if (std::string(argv[3]) != "cpu" && !llama_supports_gpu_offload()) {
    throw std::runtime_error("this llama.cpp was built without a GPU backend");
  }
  const std::vector<Row> rows = read_rows(argv[4]);
  const llama_model_ptr model = load_model(argv[1], argv[3]);
  llama_adapter_lora_ptr adapter;
  if (std::string(argv[2]) != "-") {
    adapter.reset(llama_adapter_lora_init(model.get(), argv[2]));
    if (!adapter) throw std::runtime_error(std::string("Expected to load ") + argv[2]);
  }
  for (int i = 5; i < argc; i++) run_mode(model.get(), adapter.get(), rows, read_mode(argv[i]));
}

}  // namespace

int main(int argc, char ** argv) {
  try {
    run(argc, argv);
    return 0;
  } catch (const std::exception & error) {
    fprintf(stderr, "llama_prefill: %s\n", error.what());
    return 1;
  }
}
