#include "binding/arguments.h"
#include "binding/guard.h"
#include "binding/instance.h"
#include "binding/promise_worker.h"
#include "binding/wraps.h"

namespace pairscore {
namespace {

class NativeStop : public GuardedWrap<NativeStop> {
 public:
  explicit NativeStop(const Napi::CallbackInfo & info)
      : GuardedWrap<NativeStop>(info), stop_(Guarded(info.Env(), [] { return std::make_shared<Stop>(); })) {}
  static Napi::Function Constructor(Napi::Env env) {
    return DefineClass(env, "NativeStop", {InstanceMethod<&NativeStop::Request>("request")});
  }
  const std::shared_ptr<Stop> & stop() const { return stop_; }

 private:
  Napi::Value Request(const Napi::CallbackInfo & info);

  // Shared with the openings, which may outlive this object.
  const std::shared_ptr<Stop> stop_;
};

// request(): void
Napi::Value NativeStop::Request(const Napi::CallbackInfo & info) {
  stop_->request();
  return info.Env().Undefined();
}

}  // namespace

Napi::Function DefineStop(Napi::Env env) { return NativeStop::Constructor(env); }

// newStop(): NativeStop
Napi::Value NewStop(const Napi::CallbackInfo & info) {
  return info.Env().GetInstanceData<Instance>()->stop_class.New({});
}

std::shared_ptr<Stop> StopArgument(const Napi::CallbackInfo & info, size_t index) {
  const Napi::Env env = info.Env();
  const bool is_stop = info[index].IsObject() &&
                       info[index].As<Napi::Object>().InstanceOf(env.GetInstanceData<Instance>()->stop_class.Value());
  if (!is_stop) throw MakeError(env, Code::usage, "Expected argument " + std::to_string(index + 1) + " from newStop");
  return NativeStop::Unwrap(info[index].As<Napi::Object>())->stop();
}

}  // namespace pairscore
