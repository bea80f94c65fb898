#include <memory>
#include <utility>

#include "binding/arguments.h"
#include "binding/guard.h"
#include "binding/instance.h"
#include "binding/seat.h"
#include "binding/wraps.h"
#include "engine/engine.h"

namespace pairscore {
namespace {

struct TokenizerSeat : Seat<Tokenizer> {
  const std::shared_ptr<Stop> stop;

  TokenizerSeat(Napi::Env env, std::shared_ptr<Stop> stop_of_opening)
      : Seat(env, [this] { stop->request(); }), stop(std::move(stop_of_opening)) {}
};

class NativeTokenizer : public GuardedWrap<NativeTokenizer> {
 public:
  explicit NativeTokenizer(const Napi::CallbackInfo & info);
  static Napi::Function Constructor(Napi::Env env);

 private:
  Napi::Value Tokenize(const Napi::CallbackInfo & info);
  Napi::Value Close(const Napi::CallbackInfo & info);

  std::shared_ptr<TokenizerSeat> seat_;
};

class OpenWorker final : public PromiseWorker {
 public:
  OpenWorker(Napi::Env env, std::string base_path, int32_t threads, std::shared_ptr<TokenizerSeat> seat)
      : PromiseWorker(env), base_path_(std::move(base_path)), threads_(threads), seat_(std::move(seat)) {}

 protected:
  void Run() override { seat_->resource = open_tokenizer(base_path_, threads_, *seat_->stop); }
  Napi::Value Result(Napi::Env env) override {
    auto handle = Napi::External<std::shared_ptr<TokenizerSeat>>::New(env, &seat_);
    return env.GetInstanceData<Instance>()->tokenizer_class.New({handle});
  }

 private:
  const std::string base_path_;
  const int32_t threads_;
  std::shared_ptr<TokenizerSeat> seat_;
};

class TokenizeWorker final : public PromiseWorker {
 public:
  TokenizeWorker(Napi::Env env, std::vector<std::string> texts, bool parse_special, std::shared_ptr<TokenizerSeat> seat)
      : PromiseWorker(env), texts_(std::move(texts)), parse_special_(parse_special), seat_(std::move(seat)) {}

 protected:
  void Run() override {
    if (!seat_->resource) throw Error(Code::closed, "Expected an open tokenizer but it is closed");
    lists_ = seat_->resource->tokenize(texts_, parse_special_);
  }
  Napi::Value Result(Napi::Env env) override {
    Napi::Object object = Napi::Object::New(env);
    object.Set("tokens", ToInt32Array(env, lists_.tokens));
    object.Set("offsets", ToInt32Array(env, lists_.offsets));
    return object;
  }

 private:
  const std::vector<std::string> texts_;
  const bool parse_special_;
  std::shared_ptr<TokenizerSeat> seat_;
  TokenLists lists_;
};

NativeTokenizer::NativeTokenizer(const Napi::CallbackInfo & info) : GuardedWrap<NativeTokenizer>(info) {
  if (!info[0].IsExternal())
    throw MakeError(info.Env(), Code::usage, "Expected tokenizers to be opened by openTokenizer");
  seat_ = *info[0].As<Napi::External<std::shared_ptr<TokenizerSeat>>>().Data();
}

Napi::Function NativeTokenizer::Constructor(Napi::Env env) {
  return DefineClass(
      env, "NativeTokenizer",
      {InstanceMethod<&NativeTokenizer::Tokenize>("tokenize"), InstanceMethod<&NativeTokenizer::Close>("close")});
}

// tokenize(texts: readonly string[], parseSpecial: boolean): Promise<TokenLists>
Napi::Value NativeTokenizer::Tokenize(const Napi::CallbackInfo & info) {
  if (seat_->closed) throw MakeError(info.Env(), Code::closed, "Expected an open tokenizer but it is closed");
  // Read before the worker exists: its promise could no longer be settled if an argument were refused.
  std::vector<std::string> texts = TextsArgument(info, 0);
  const bool parse_special = FlagArgument(info, 1);
  return seat_->queue->Submit(std::make_unique<TokenizeWorker>(info.Env(), std::move(texts), parse_special, seat_));
}

// close(): Promise<void>
Napi::Value NativeTokenizer::Close(const Napi::CallbackInfo & info) {
  seat_->closed = true;
  return seat_->queue->Submit(std::make_unique<CloseWorker<TokenizerSeat>>(info.Env(), seat_));
}

}  // namespace

Napi::Function DefineTokenizer(Napi::Env env) { return NativeTokenizer::Constructor(env); }

// openTokenizer(spec: TokenizerSpec, stop: NativeStop): Promise<NativeTokenizer>
Napi::Value OpenTokenizer(const Napi::CallbackInfo & info) {
  const Napi::Object spec = ObjectArgument(info, 0);
  std::string base_path = TextField(spec, "basePath");
  const int32_t threads = IntegerField(spec, "threads");
  auto seat = std::make_shared<TokenizerSeat>(info.Env(), StopArgument(info, 1));
  return seat->queue->Submit(std::make_unique<OpenWorker>(info.Env(), std::move(base_path), threads, seat));
}

}  // namespace pairscore
