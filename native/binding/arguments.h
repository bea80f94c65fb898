// Reading what JavaScript passed. TypeScript has validated already; these guard the border itself, so that a wrong call
// throws instead of reading memory that is not there.
#pragma once

#include <napi.h>

#include <cstdint>
#include <string>
#include <vector>

namespace pairscore {

// Each throws Napi::Error with code ERR_USAGE.
std::string TextField(const Napi::Object & object, const char * key);
int32_t IntegerField(const Napi::Object & object, const char * key);
bool FlagField(const Napi::Object & object, const char * key);
Napi::Object ObjectArgument(const Napi::CallbackInfo & info, size_t index);
bool FlagArgument(const Napi::CallbackInfo & info, size_t index);
std::vector<int32_t> Int32Argument(const Napi::CallbackInfo & info, size_t index);
std::vector<uint8_t> Uint8Argument(const Napi::CallbackInfo & info, size_t index);
std::vector<float> Float32Argument(const Napi::CallbackInfo & info, size_t index);
std::vector<std::string> TextsArgument(const Napi::CallbackInfo & info, size_t index);

Napi::Value ToInt32Array(Napi::Env env, const std::vector<int32_t> & values);
Napi::Value ToFloat32Array(Napi::Env env, const std::vector<float> & values);
Napi::Value ToUint8Array(Napi::Env env, const std::vector<uint8_t> & values);
Napi::Value ToTexts(Napi::Env env, const std::vector<std::string> & values);

}  // namespace pairscore
