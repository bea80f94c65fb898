#include <napi.h>

#include "binding/guard.h"
#include "binding/instance.h"
#include "binding/wraps.h"
#include "engine/engine.h"
#include "error.h"

namespace pairscore {
namespace {

Napi::Object ToObject(Napi::Env env, const DeviceInfo & device) {
  Napi::Object object = Napi::Object::New(env);
  object.Set("device", device.device);
  object.Set("name", device.name);
  object.Set("totalBytes", static_cast<double>(device.total_bytes));
  object.Set("freeBytes", static_cast<double>(device.free_bytes));
  return object;
}

// buildInfo(): BuildInfo
Napi::Value BuildInfoObject(const Napi::CallbackInfo & info) {
  const Napi::Env env = info.Env();
  const BuildInfo build = build_info();
  Napi::Object object = Napi::Object::New(env);
  object.Set("flavour", build.flavour);
  object.Set("llamaVersion", build.llama_version);
  object.Set("systemInfo", build.system_info);
  Napi::Array devices = Napi::Array::New(env, build.devices.size());
  for (uint32_t i = 0; i < build.devices.size(); i++) devices[i] = ToObject(env, build.devices[i]);
  object.Set("devices", devices);
  Napi::Array codes = Napi::Array::New(env);
  for (const CodeName & entry : kCodeNames) codes[codes.Length()] = Napi::String::New(env, entry.name);
  object.Set("errorCodes", codes);
  return object;
}

Napi::Object Init(Napi::Env env, Napi::Object exports) {
  Instance * instance = new Instance;  // the environment owns it from here and deletes it
  env.SetInstanceData(instance);
  instance->engine_class = Napi::Persistent(DefineEngine(env));
  instance->tokenizer_class = Napi::Persistent(DefineTokenizer(env));
  instance->stop_class = Napi::Persistent(DefineStop(env));
  exports.Set("buildInfo", Napi::Function::New<GuardedFunction<BuildInfoObject>>(env, "buildInfo"));
  exports.Set("newStop", Napi::Function::New<GuardedFunction<NewStop>>(env, "newStop"));
  exports.Set("openEngine", Napi::Function::New<GuardedFunction<OpenEngine>>(env, "openEngine"));
  exports.Set("openTokenizer", Napi::Function::New<GuardedFunction<OpenTokenizer>>(env, "openTokenizer"));
  exports.Set("convertRows", Napi::Function::New<GuardedFunction<ConvertRows>>(env, "convertRows"));
  return exports;
}

}  // namespace
}  // namespace pairscore

static Napi::Object InitAddon(Napi::Env env, Napi::Object exports) { return pairscore::Init(env, exports); }

NODE_API_MODULE(pairscore, InitAddon)

// No static of this library is ever destroyed: this function takes the C library's place for everything that is linked
// into the addon, so that no destructor is registered.
//
// Why: process.exit() on the main thread calls exit(), which destroys statics while threads of engines and tokenizers are
// at work on them (llama.cpp's Unicode tables, ggml's registry). Nothing of Node-API runs before: cleanup hooks run when an
// environment ends, which is at a natural end or in a worker thread, and there WorkQueue stops its thread and waits. A
// handler of the addon's own, registered early, would run too late for statics that are made at their first use; and to
// wait at every exit for a batch to end helps nobody. What the destructors would give back, the system takes back.
//
// What it reaches: being hidden, only calls from inside this library, those of its static parts (ggml, libstdc++ where that
// is static, the CUDA runtime's exit handlers) included. Not reached: Node, other addons, shared libraries; the flush of
// stdio, which is exit()'s own; destructors of thread_locals (__cxa_thread_atexit); objects with owners, which engines are.
// The library is linked with -z nodelete: were it unloaded with the last worker thread that uses it, its statics would leak
// once a worker.
extern "C" __attribute__((visibility("hidden"))) int __cxa_atexit(void (*)(void *), void *, void *) { return 0; }
