#include <algorithm>
#include <atomic>
#include <exception>
#include <mutex>
#include <thread>

#include "engine/base.h"
#include "engine/engine.h"
#include "engine/llama/llama_backend.h"
#include "engine/log.h"
#include "error.h"
#include "llama-cpp.h"

namespace pairscore {
namespace {

class LlamaTokenizer final : public Tokenizer {
 public:
  LlamaTokenizer(const std::string & base_path, int32_t threads) : threads_(std::max(threads, 1)) {
    init_llama();
    check_base(GgufFile(base_path));
    LogCapture log;
    llama_model_params params = llama_model_default_params();
    ggml_backend_dev_t no_devices[] = {nullptr};
    params.devices = no_devices;
    params.n_gpu_layers = 0;
    params.vocab_only = true;
    model_.reset(llama_model_load_from_file(base_path.c_str(), params));
    if (!model_)
      throw Error(Code::model_file,
                  "Expected to read the vocabulary of " + base_path + " but llama.cpp could not" + log.reason());
    vocab_ = llama_model_get_vocab(model_.get());
    if (llama_vocab_type(vocab_) == LLAMA_VOCAB_TYPE_NONE) {
      throw Error(Code::model_file, "Expected a vocabulary in " + base_path + " but it holds none");
    }
  }

  TokenLists tokenize(const std::vector<std::string> & texts, bool parse_special) const override {
    std::vector<std::vector<int32_t>> ids(texts.size());
    std::atomic<size_t> next{0};
    std::exception_ptr failure;
    std::mutex failing;
    const auto work = [&] {
      try {
        for (size_t i; (i = next++) < texts.size();) ids[i] = tokenize_one(texts[i], parse_special);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(failing);
        failure = std::current_exception();
      }
    };
    std::vector<std::thread> helpers;
    const size_t count = std::min(static_cast<size_t>(threads_), texts.size());
    for (size_t i = 1; i < count; i++) helpers.emplace_back(work);
    work();
    for (std::thread & helper : helpers) helper.join();
    if (failure) std::rethrow_exception(failure);

    TokenLists lists;
    lists.offsets.push_back(0);
    for (const std::vector<int32_t> & row : ids) {
      lists.tokens.insert(lists.tokens.end(), row.begin(), row.end());
      lists.offsets.push_back(static_cast<int32_t>(lists.tokens.size()));
    }
    return lists;
  }

 private:
  std::vector<int32_t> tokenize_one(const std::string & text, bool parse_special) const {
    std::vector<int32_t> ids(text.size() + 2);
    const int32_t count = llama_tokenize(vocab_, text.data(), static_cast<int32_t>(text.size()), ids.data(),
                                         static_cast<int32_t>(ids.size()), /*add_special=*/false, parse_special);
    ids.resize(static_cast<size_t>(std::max(count, 0)));
    return ids;
  }

  const int32_t threads_;
  llama_model_ptr model_;
  const llama_vocab * vocab_ = nullptr;
};

}  // namespace

std::unique_ptr<Tokenizer> open_tokenizer(const std::string & base_path, int32_t threads) {
  return std::make_unique<LlamaTokenizer>(base_path, threads);
}

}  // namespace pairscore
