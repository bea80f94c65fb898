// Between Node-API, which is C, and C++: an exception that passed it would end the process. Everything that JavaScript
// calls runs inside one of these, and throws errors of JavaScript's, with a code, alone.
#pragma once

#include <napi.h>

#include <exception>
#include <new>

#include "binding/promise_worker.h"
#include "error.h"

namespace pairscore {

template <typename Body>
auto Guarded(Napi::Env env, const Body & body) -> decltype(body()) {
  try {
    return body();
  } catch (const Napi::Error &) {
    throw;
  } catch (const Error & error) {
    throw MakeError(env, error.code(), error.what());
  } catch (const std::bad_alloc &) {
    throw MakeError(env, Code::internal, "Out of memory");
  } catch (const std::exception & error) {
    throw MakeError(env, Code::internal, error.what());
  }
}

template <Napi::Value (*Function)(const Napi::CallbackInfo &)>
Napi::Value GuardedFunction(const Napi::CallbackInfo & info) {
  return Guarded(info.Env(), [&info] { return Function(info); });
}

// An object whose methods are guarded. Its constructor is not: what may throw there needs a Guarded of its own.
template <typename T>
class GuardedWrap : public Napi::ObjectWrap<T> {
 public:
  using Napi::ObjectWrap<T>::ObjectWrap;

 protected:
  using Method = Napi::Value (T::*)(const Napi::CallbackInfo &);

  // Hides the one that guards nothing.
  template <Method method>
  static Napi::ClassPropertyDescriptor<T> InstanceMethod(const char * name) {
    return Napi::ObjectWrap<T>::InstanceMethod(name, static_cast<Method>(&GuardedWrap::template Call<method>));
  }

 private:
  template <Method method>
  Napi::Value Call(const Napi::CallbackInfo & info) {
    return Guarded(info.Env(), [this, &info] { return (static_cast<T *>(this)->*method)(info); });
  }
};

}  // namespace pairscore
