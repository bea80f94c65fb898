#include "binding/promise_worker.h"

#include <exception>
#include <new>

namespace pairscore {

Napi::Error MakeError(Napi::Env env, Code code, const std::string & message) {
  Napi::Error error = Napi::Error::New(env, message);
  error.Set("code", Napi::String::New(env, code_name(code)));
  return error;
}

PromiseWorker::PromiseWorker(Napi::Env env) : deferred_(Napi::Promise::Deferred::New(env)) {
  error_ = Napi::Persistent(Napi::Error::New(env, "").Value());
}

void PromiseWorker::Execute() noexcept {
  try {
    Run();
    return;
  } catch (const Error & error) {
    code_ = error.code();
    message_ = error.what();
  } catch (const std::bad_alloc &) {
    message_ = "Out of memory";
  } catch (const std::exception & error) {
    message_ = error.what();
  } catch (...) {
    message_ = "Unknown native error";
  }
  failed_ = true;
}

void PromiseWorker::Settle(Napi::Env env) {
  Napi::HandleScope scope(env);
  if (!failed_) {
    try {
      deferred_.Resolve(Result(env));
      return;
    } catch (const Error & error) {
      code_ = error.code();
      message_ = error.what();
    } catch (const std::exception & error) {
      message_ = error.what();
    }
  }
  Reject(env);
}

void PromiseWorker::Reject(Napi::Env env) {
  Napi::Object error = error_.Value();
  const std::string stack = error.Get("stack").ToString();
  const size_t frames = stack.find("\n    at ");
  error.Set("message", Napi::String::New(env, message_));
  error.Set("code", Napi::String::New(env, code_name(code_)));
  error.Set("stack",
            Napi::String::New(env, "Error: " + message_ + (frames == std::string::npos ? "" : stack.substr(frames))));
  deferred_.Reject(error);
}

void PromiseWorker::Abandon() { error_.SuppressDestruct(); }

}  // namespace pairscore
