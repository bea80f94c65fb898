#include <memory>
#include <utility>

#include "binding/arguments.h"
#include "binding/guard.h"
#include "binding/instance.h"
#include "binding/scoring.h"
#include "binding/seat.h"
#include "binding/wraps.h"
#include "engine/engine.h"

namespace pairscore {
namespace {

struct EngineSeat : Seat<Engine> {
  const std::shared_ptr<Stop> stop;
  EngineInfo info;
  Scoring scoring;

  // A worker thread that ends waits neither for an opening nor for a batch.
  EngineSeat(Napi::Env env, std::shared_ptr<Stop> stop_of_opening)
      : Seat(env,
             [this] {
               stop->request();
               scoring.cancel();
             }),
        stop(std::move(stop_of_opening)) {}
};

class NativeEngine : public GuardedWrap<NativeEngine> {
 public:
  explicit NativeEngine(const Napi::CallbackInfo & info);
  static Napi::Function Constructor(Napi::Env env);

 private:
  Napi::Value Info(const Napi::CallbackInfo & info);
  Napi::Value Score(const Napi::CallbackInfo & info);
  Napi::Value Close(const Napi::CallbackInfo & info);

  std::shared_ptr<EngineSeat> seat_;
};

class OpenWorker final : public PromiseWorker {
 public:
  OpenWorker(Napi::Env env, EngineSpec spec, std::shared_ptr<EngineSeat> seat)
      : PromiseWorker(env), spec_(std::move(spec)), seat_(std::move(seat)) {}

 protected:
  void Run() override {
    seat_->resource = open_engine(spec_, *seat_->stop);
    seat_->info = seat_->resource->info();
  }
  Napi::Value Result(Napi::Env env) override {
    auto handle = Napi::External<std::shared_ptr<EngineSeat>>::New(env, &seat_);
    return env.GetInstanceData<Instance>()->engine_class.New({handle});
  }

 private:
  const EngineSpec spec_;
  std::shared_ptr<EngineSeat> seat_;
};

class ScoreWorker final : public PromiseWorker {
 public:
  ScoreWorker(Napi::Env env, std::shared_ptr<EngineSeat> seat, std::vector<int32_t> tokens,
              std::vector<int32_t> offsets)
      : PromiseWorker(env), seat_(std::move(seat)), tokens_(std::move(tokens)), offsets_(std::move(offsets)) {}

 protected:
  void Run() override {
    if (!seat_->resource) throw Error(Code::closed, "Expected an open engine but it is closed");
    const Scoring::Scope scope(seat_->scoring, seat_->resource.get());
    logits_ = seat_->resource->score({tokens_.data(), tokens_.size()}, {offsets_.data(), offsets_.size()});
    rows_in_bf16_ = seat_->resource->info().rows_in_bf16;
  }
  Napi::Value Result(Napi::Env env) override {
    // The engine may be at its next call already: seat_->info is this thread's.
    seat_->info.rows_in_bf16 = rows_in_bf16_;
    return ToFloat32Array(env, logits_);
  }

 private:
  std::shared_ptr<EngineSeat> seat_;
  const std::vector<int32_t> tokens_;
  const std::vector<int32_t> offsets_;
  std::vector<float> logits_;
  int64_t rows_in_bf16_ = 0;
};

EngineSpec ReadSpec(const Napi::Object & object) {
  EngineSpec spec;
  spec.base_path = TextField(object, "basePath");
  spec.adapter_path = TextField(object, "adapterPath");
  spec.head_path = TextField(object, "headPath");
  spec.device = TextField(object, "device");
  spec.threads = IntegerField(object, "threads");
  spec.max_batch_tokens = IntegerField(object, "maxBatchTokens");
  spec.max_sequence_tokens = IntegerField(object, "maxSequenceTokens");
  spec.max_batch_sequences = IntegerField(object, "maxBatchSequences");
  spec.attention_soft_cap = FlagField(object, "attentionSoftCap");
  spec.compute = TextField(object, "compute");
  spec.weights = TextField(object, "weights");
  return spec;
}

NativeEngine::NativeEngine(const Napi::CallbackInfo & info) : GuardedWrap<NativeEngine>(info) {
  // Only OpenWorker holds such a handle; `new engine.constructor()` from JavaScript does not.
  if (!info[0].IsExternal()) throw MakeError(info.Env(), Code::usage, "Expected engines to be opened by openEngine");
  seat_ = *info[0].As<Napi::External<std::shared_ptr<EngineSeat>>>().Data();
}

Napi::Function NativeEngine::Constructor(Napi::Env env) {
  return DefineClass(env, "NativeEngine",
                     {InstanceMethod<&NativeEngine::Info>("info"), InstanceMethod<&NativeEngine::Score>("score"),
                      InstanceMethod<&NativeEngine::Close>("close")});
}

// info(): EngineInfo
Napi::Value NativeEngine::Info(const Napi::CallbackInfo & info) {
  const Napi::Env env = info.Env();
  const EngineInfo & engine = seat_->info;
  Napi::Object object = Napi::Object::New(env);
  object.Set("architecture", engine.architecture);
  object.Set("quantization", engine.quantization);
  object.Set("compute", engine.compute);
  object.Set("rowsInBf16", static_cast<double>(engine.rows_in_bf16));
  object.Set("device", engine.device);
  object.Set("deviceName", engine.device_name);
  object.Set("hiddenSize", engine.hidden_size);
  object.Set("layerCount", engine.layer_count);
  object.Set("vocabularySize", engine.vocabulary_size);
  object.Set("labelCount", engine.label_count);
  object.Set("labels", ToTexts(env, engine.labels));
  object.Set("adapterMatched", engine.adapter_matched);
  object.Set("adapterUnmatched", engine.adapter_unmatched);
  object.Set("adapterScale", engine.adapter_scale);
  object.Set("weightBytes", static_cast<double>(engine.weight_bytes));
  return object;
}

// score(tokens: Int32Array, offsets: Int32Array): Promise<Float32Array>
Napi::Value NativeEngine::Score(const Napi::CallbackInfo & info) {
  std::vector<int32_t> tokens = Int32Argument(info, 0);
  std::vector<int32_t> offsets = Int32Argument(info, 1);
  if (seat_->closed) throw MakeError(info.Env(), Code::closed, "Expected an open engine but it is closed");
  return seat_->queue->Submit(std::make_unique<ScoreWorker>(info.Env(), seat_, std::move(tokens), std::move(offsets)));
}

// close(): Promise<void>
Napi::Value NativeEngine::Close(const Napi::CallbackInfo & info) {
  seat_->closed = true;
  return seat_->queue->Submit(std::make_unique<CloseWorker<EngineSeat>>(info.Env(), seat_));
}

}  // namespace

Napi::Function DefineEngine(Napi::Env env) { return NativeEngine::Constructor(env); }

// openEngine(spec: EngineSpec, stop: NativeStop): Promise<NativeEngine>
Napi::Value OpenEngine(const Napi::CallbackInfo & info) {
  EngineSpec spec = ReadSpec(ObjectArgument(info, 0));
  auto seat = std::make_shared<EngineSeat>(info.Env(), StopArgument(info, 1));
  return seat->queue->Submit(std::make_unique<OpenWorker>(info.Env(), std::move(spec), seat));
}

}  // namespace pairscore
