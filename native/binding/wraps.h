// What addon.cc exports. Each signature is that of lib/native/contract.ts.
#pragma once

#include <napi.h>

namespace pairscore {

// Makes the class for one environment; call once each.
Napi::Function DefineEngine(Napi::Env env);
Napi::Function DefineTokenizer(Napi::Env env);

Napi::Value OpenEngine(const Napi::CallbackInfo & info);
Napi::Value OpenTokenizer(const Napi::CallbackInfo & info);
Napi::Value ConvertRows(const Napi::CallbackInfo & info);

}  // namespace pairscore
