#include <algorithm>
#include <atomic>
#include <exception>
#include <limits>
#include <mutex>

#include "engine/added_tokens.h"
#include "engine/base.h"
#include "engine/engine.h"
#include "engine/llama/llama_backend.h"
#include "engine/log.h"
#include "engine/spm_tokenizer.h"
#include "engine/stop.h"
#include "engine/threads.h"
#include "error.h"
#include "llama-cpp.h"

namespace pairscore {
namespace {

// SentencePiece vocabularies that put no space before a text are merged by SpmTokenizer, all others by libllama. Added
// tokens are matched here in either case: as transformers does, and libllama's own search is quadratic in their number.
class LlamaTokenizer final : public Tokenizer {
 public:
  LlamaTokenizer(const std::string & base_path, int32_t threads) : threads_(std::max(threads, 1)) {
    open_vocabulary(base_path);
    std::vector<AddedToken> user_defined;
    std::vector<AddedToken> all;
    for (int32_t id = 0; id < llama_vocab_n_tokens(vocab_); id++) {
      const int32_t attr = llama_vocab_get_attr(vocab_, id);
      if (attr & (LLAMA_TOKEN_ATTR_LSTRIP | LLAMA_TOKEN_ATTR_RSTRIP)) matches_added_ = false;
      if (!(attr & (LLAMA_TOKEN_ATTR_CONTROL | LLAMA_TOKEN_ATTR_UNKNOWN | LLAMA_TOKEN_ATTR_USER_DEFINED))) continue;
      const AddedToken token{token_text(id), id};
      all.push_back(token);
      if (attr & LLAMA_TOKEN_ATTR_USER_DEFINED) user_defined.push_back(token);
    }
    all_added_ = AddedTokens(all);
    user_defined_ = AddedTokens(user_defined);
    throw_if_stopped();
    if (is_spm_ && matches_added_) open_spm();
  }

  TokenLists tokenize(const std::vector<std::string> & texts, bool parse_special) const override {
    std::vector<std::vector<int32_t>> ids(texts.size());
    std::atomic<size_t> next{0};
    std::exception_ptr failure;
    std::mutex failing;
    const auto work = [&] {
      try {
        const std::shared_ptr<SpmCache> cache = take_cache();
        for (size_t i; (i = next++) < texts.size();) tokenize_one(texts[i], parse_special, *cache, ids[i]);
        give_back(cache);
      } catch (...) {
        const std::lock_guard<std::mutex> lock(failing);
        failure = std::current_exception();
      }
    };
    Threads helpers;
    const size_t count = std::min(static_cast<size_t>(threads_), texts.size());
    for (size_t i = 1; i < count && helpers.start(work);) i++;
    work();
    helpers.join();
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
  void open_vocabulary(const std::string & base_path) {
    init_llama();
    check_vocabulary(GgufFile(base_path));
    throw_if_stopped();
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
    throw_if_stopped();
    vocab_ = llama_model_get_vocab(model_.get());
    const enum llama_vocab_type type = llama_vocab_type(vocab_);
    if (type == LLAMA_VOCAB_TYPE_NONE) {
      throw Error(Code::model_file, "Expected a vocabulary in " + base_path + " but it holds none");
    }
    char prefix[8] = "true";
    llama_model_meta_val_str(model_.get(), "tokenizer.ggml.add_space_prefix", prefix, sizeof(prefix));
    is_spm_ = type == LLAMA_VOCAB_TYPE_SPM && std::string(prefix) == "false";
  }

  // Converters store user-defined runs of U+2581 as spaces. transformers matches them before it replaces spaces.
  std::string token_text(int32_t id) const {
    std::string text = llama_vocab_get_text(vocab_, id);
    const bool user_defined = llama_vocab_get_attr(vocab_, id) & LLAMA_TOKEN_ATTR_USER_DEFINED;
    if (!is_spm_ || !user_defined) return text;
    std::string marked;
    for (const char byte : text) marked += byte == ' ' ? kSpaceMark : std::string(1, byte);
    return marked;
  }

  void open_spm() {
    std::vector<SpmPiece> pieces;
    for (int32_t id = 0; id < llama_vocab_n_tokens(vocab_); id++) {
      const int32_t attr = llama_vocab_get_attr(vocab_, id);
      SpmPiece piece{token_text(id), llama_vocab_get_score(vocab_, id), SpmPiece::Kind::other};
      if (attr & LLAMA_TOKEN_ATTR_NORMAL) piece.kind = SpmPiece::Kind::normal;
      if (attr & LLAMA_TOKEN_ATTR_BYTE) piece.kind = SpmPiece::Kind::byte;
      // SentencePiece scores user-defined pieces 0, the best there is; converters overwrite it. Only runs of spaces can
      // come out of merging: others are matched before it.
      if ((attr & LLAMA_TOKEN_ATTR_USER_DEFINED) && is_space_run(piece.text)) {
        piece.kind = SpmPiece::Kind::normal;
        piece.score = std::numeric_limits<float>::infinity();
      }
      pieces.push_back(std::move(piece));
    }
    spm_ = std::make_unique<SpmTokenizer>(pieces);
  }

  static bool is_space_run(const std::string & text) {
    std::string run;
    while (run.size() < text.size()) run += kSpaceMark;
    return run == text;
  }

  void tokenize_one(const std::string & text, bool parse_special, SpmCache & cache, std::vector<int32_t> & ids) const {
    if (!matches_added_) return tokenize_with_llama(text, parse_special, ids);
    const AddedTokens & added = parse_special ? all_added_ : user_defined_;
    for (size_t from = 0; from < text.size();) {
      const AddedTokens::Match match = added.find(text, from);
      const std::string_view between = std::string_view(text).substr(from, match.begin - from);
      if (spm_) {
        spm_->encode(between, cache, ids);
      } else {
        tokenize_with_llama(between, /*parse_special=*/false, ids);
      }
      if (match.id >= 0) ids.push_back(match.id);
      from = match.end;
    }
  }

  void tokenize_with_llama(std::string_view text, bool parse_special, std::vector<int32_t> & ids) const {
    if (text.empty()) return;
    const size_t before = ids.size();
    ids.resize(before + text.size() + 2);
    const int32_t count =
        llama_tokenize(vocab_, text.data(), static_cast<int32_t>(text.size()), ids.data() + before,
                       static_cast<int32_t>(ids.size() - before), /*add_special=*/false, parse_special);
    ids.resize(before + static_cast<size_t>(std::max(count, 0)));
  }

  std::shared_ptr<SpmCache> take_cache() const {
    const std::lock_guard<std::mutex> lock(caching_);
    if (caches_.empty()) return SpmTokenizer::make_cache();
    std::shared_ptr<SpmCache> cache = std::move(caches_.back());
    caches_.pop_back();
    return cache;
  }

  void give_back(std::shared_ptr<SpmCache> cache) const {
    const std::lock_guard<std::mutex> lock(caching_);
    caches_.push_back(std::move(cache));
  }

  static constexpr const char * kSpaceMark = "\xe2\x96\x81";

  const int32_t threads_;
  llama_model_ptr model_;
  const llama_vocab * vocab_ = nullptr;
  bool is_spm_ = false;
  bool matches_added_ = true;
  AddedTokens all_added_;
  AddedTokens user_defined_;
  std::unique_ptr<SpmTokenizer> spm_;
  // Caches that no call uses.
  mutable std::mutex caching_;
  mutable std::vector<std::shared_ptr<SpmCache>> caches_;
};

}  // namespace

std::unique_ptr<Tokenizer> open_tokenizer(const std::string & base_path, int32_t threads, const Stop & stop) {
  const StopScope scope(stop);
  return std::make_unique<LlamaTokenizer>(base_path, threads);
}

}  // namespace pairscore
