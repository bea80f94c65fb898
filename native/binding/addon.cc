#include <napi.h>

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
  exports.Set("buildInfo", Napi::Function::New<BuildInfoObject>(env, "buildInfo"));
  exports.Set("newStop", Napi::Function::New<NewStop>(env, "newStop"));
  exports.Set("openEngine", Napi::Function::New<OpenEngine>(env, "openEngine"));
  exports.Set("openTokenizer", Napi::Function::New<OpenTokenizer>(env, "openTokenizer"));
  exports.Set("convertRows", Napi::Function::New<ConvertRows>(env, "convertRows"));
  return exports;
}

}  // namespace
}  // namespace pairscore

static Napi::Object InitAddon(Napi::Env env, Napi::Object exports) { return pairscore::Init(env, exports); }

NODE_API_MODULE(pairscore, InitAddon)

// process.exit() runs the destructors of this library's statics while the threads of engines and tokenizers are still at
// work: Node ends no environment first. They read such statics (llama.cpp's Unicode tables, ggml's registry), so here
// nobody registers a destructor: this hidden function takes the C library's place for everything linked into the addon.
extern "C" __attribute__((visibility("hidden"))) int __cxa_atexit(void (*)(void *), void *, void *) { return 0; }
