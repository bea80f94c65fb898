// What addon.cc exports. Each signature is that of lib/native/contract.ts.
#pragma once

#include <napi.h>

#include <memory>

#include "engine/engine.h"

namespace pairscore {

// Makes the class for one environment; call once each.
Napi::Function DefineEngine(Napi::Env env);
Napi::Function DefineTokenizer(Napi::Env env);
Napi::Function DefineStop(Napi::Env env);

Napi::Value OpenEngine(const Napi::CallbackInfo & info);
Napi::Value OpenTokenizer(const Napi::CallbackInfo & info);
Napi::Value ConvertRows(const Napi::CallbackInfo & info);
Napi::Value NewStop(const Napi::CallbackInfo & info);

// Throws Napi::Error with code ERR_USAGE where the argument is no NativeStop.
std::shared_ptr<Stop> StopArgument(const Napi::CallbackInfo & info, size_t index);

}  // namespace pairscore
