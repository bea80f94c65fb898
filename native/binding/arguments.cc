#include "binding/arguments.h"

#include <cmath>
#include <cstring>
#include <limits>

#include "binding/promise_worker.h"

namespace pairscore {
namespace {

[[noreturn]] void Refuse(Napi::Env env, const std::string & expected) {
  throw MakeError(env, Code::usage, "Expected " + expected);
}

std::string ArgumentName(size_t index) { return "argument " + std::to_string(index + 1); }

}  // namespace

std::string TextField(const Napi::Object & object, const char * key) {
  const Napi::Value value = object.Get(key);
  if (!value.IsString()) Refuse(object.Env(), std::string(key) + " to be a string");
  return value.As<Napi::String>();
}

int32_t IntegerField(const Napi::Object & object, const char * key) {
  const Napi::Value value = object.Get(key);
  const double number = value.IsNumber() ? value.As<Napi::Number>().DoubleValue() : std::nan("");
  const bool fits = number >= 0 && number <= std::numeric_limits<int32_t>::max() && number == std::floor(number);
  if (!fits) Refuse(object.Env(), std::string(key) + " to be a whole number");
  return static_cast<int32_t>(number);
}

bool FlagField(const Napi::Object & object, const char * key) {
  const Napi::Value value = object.Get(key);
  if (!value.IsBoolean()) Refuse(object.Env(), std::string(key) + " to be true or false");
  return value.As<Napi::Boolean>();
}

Napi::Object ObjectArgument(const Napi::CallbackInfo & info, size_t index) {
  if (!info[index].IsObject()) Refuse(info.Env(), ArgumentName(index) + " to be an object");
  return info[index].As<Napi::Object>();
}

bool FlagArgument(const Napi::CallbackInfo & info, size_t index) {
  if (!info[index].IsBoolean()) Refuse(info.Env(), ArgumentName(index) + " to be true or false");
  return info[index].As<Napi::Boolean>();
}

std::vector<int32_t> Int32Argument(const Napi::CallbackInfo & info, size_t index) {
  const bool typed =
      info[index].IsTypedArray() && info[index].As<Napi::TypedArray>().TypedArrayType() == napi_int32_array;
  if (!typed) Refuse(info.Env(), ArgumentName(index) + " to be an Int32Array");
  const Napi::Int32Array array = info[index].As<Napi::Int32Array>();
  if (array.ElementLength() == 0) return {};
  return std::vector<int32_t>(array.Data(), array.Data() + array.ElementLength());
}

std::vector<uint8_t> Uint8Argument(const Napi::CallbackInfo & info, size_t index) {
  const bool typed =
      info[index].IsTypedArray() && info[index].As<Napi::TypedArray>().TypedArrayType() == napi_uint8_array;
  if (!typed) Refuse(info.Env(), ArgumentName(index) + " to be a Uint8Array");
  const Napi::Uint8Array array = info[index].As<Napi::Uint8Array>();
  if (array.ElementLength() == 0) return {};
  return std::vector<uint8_t>(array.Data(), array.Data() + array.ElementLength());
}

std::vector<float> Float32Argument(const Napi::CallbackInfo & info, size_t index) {
  const bool typed =
      info[index].IsTypedArray() && info[index].As<Napi::TypedArray>().TypedArrayType() == napi_float32_array;
  if (!typed) Refuse(info.Env(), ArgumentName(index) + " to be a Float32Array");
  const Napi::Float32Array array = info[index].As<Napi::Float32Array>();
  if (array.ElementLength() == 0) return {};
  return std::vector<float>(array.Data(), array.Data() + array.ElementLength());
}

std::vector<std::string> TextsArgument(const Napi::CallbackInfo & info, size_t index) {
  if (!info[index].IsArray()) Refuse(info.Env(), ArgumentName(index) + " to be an array of strings");
  const Napi::Array array = info[index].As<Napi::Array>();
  std::vector<std::string> texts;
  texts.reserve(array.Length());
  for (uint32_t i = 0; i < array.Length(); i++) {
    Napi::HandleScope scope(info.Env());
    const Napi::Value text = array[i];
    if (!text.IsString()) Refuse(info.Env(), ArgumentName(index) + " to be an array of strings");
    texts.push_back(text.As<Napi::String>());
  }
  return texts;
}

Napi::Value ToInt32Array(Napi::Env env, const std::vector<int32_t> & values) {
  Napi::Int32Array array = Napi::Int32Array::New(env, values.size());
  if (!values.empty()) std::memcpy(array.Data(), values.data(), values.size() * sizeof(int32_t));
  return array;
}

Napi::Value ToFloat32Array(Napi::Env env, const std::vector<float> & values) {
  Napi::Float32Array array = Napi::Float32Array::New(env, values.size());
  if (!values.empty()) std::memcpy(array.Data(), values.data(), values.size() * sizeof(float));
  return array;
}

Napi::Value ToUint8Array(Napi::Env env, const std::vector<uint8_t> & values) {
  Napi::Uint8Array array = Napi::Uint8Array::New(env, values.size());
  if (!values.empty()) std::memcpy(array.Data(), values.data(), values.size());
  return array;
}

Napi::Value ToTexts(Napi::Env env, const std::vector<std::string> & values) {
  Napi::Array array = Napi::Array::New(env, values.size());
  for (uint32_t i = 0; i < values.size(); i++) array[i] = Napi::String::New(env, values[i]);
  return array;
}

}  // namespace pairscore
