// A piece of work off the event loop that settles a promise. All asynchronous work derives from it.
#pragma once

#include <napi.h>

#include <memory>
#include <string>

#include "error.h"

namespace pairscore {

class PromiseWorker {
 public:
  // JavaScript thread. Keeps the caller's stack, for an error that it may have to report later.
  explicit PromiseWorker(Napi::Env env);
  virtual ~PromiseWorker() = default;
  PromiseWorker(const PromiseWorker &) = delete;
  PromiseWorker & operator=(const PromiseWorker &) = delete;

  Napi::Promise promise() const { return deferred_.Promise(); }

  // Work thread. Never throws.
  void Execute() noexcept;
  // JavaScript thread.
  void Settle(Napi::Env env);
  // JavaScript thread, while the environment goes down: nobody can be told any more.
  virtual void Abandon();

 protected:
  // Work thread. Sees C++ values only; throws Error.
  virtual void Run() = 0;
  // JavaScript thread, after a Run that did not throw.
  virtual Napi::Value Result(Napi::Env env) = 0;

 private:
  void Reject(Napi::Env env);

  Napi::Promise::Deferred deferred_;
  Napi::ObjectReference error_;
  bool failed_ = false;
  Code code_ = Code::internal;
  std::string message_;
};

// An error object with `.code`, thrown synchronously where a call's arguments are wrong.
Napi::Error MakeError(Napi::Env env, Code code, const std::string & message);

}  // namespace pairscore
