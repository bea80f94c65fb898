// A thread of its own for one engine or tokenizer, so that any number of devices can be busy at once: libuv's pool has
// four threads, and a call holds its thread for as long as a batch takes. Everything that touches a device runs here, in
// the order in which it was submitted.
#pragma once

#include <condition_variable>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <thread>

#include "binding/promise_worker.h"

namespace pairscore {

class WorkQueue {
 public:
  // JavaScript thread. on_teardown runs there when the environment goes down with work still in flight.
  WorkQueue(Napi::Env env, std::function<void()> on_teardown);
  // JavaScript thread. Waits for the work in flight.
  ~WorkQueue();
  WorkQueue(const WorkQueue &) = delete;
  WorkQueue & operator=(const WorkQueue &) = delete;

  // JavaScript thread. The event loop stays alive until the worker has settled.
  Napi::Promise Submit(std::unique_ptr<PromiseWorker> worker);

 private:
  static void OnSettle(napi_env env, napi_value callback, void * context, void * data);
  static void OnTeardown(void * self);
  void Loop();
  void Stop();
  void Withdraw();

  napi_env env_;
  std::function<void()> on_teardown_;
  napi_threadsafe_function settle_ = nullptr;
  size_t in_flight_ = 0;    // JavaScript thread only
  bool torn_down_ = false;  // JavaScript thread only
  std::mutex mutex_;
  std::condition_variable wake_;
  std::deque<std::unique_ptr<PromiseWorker>> waiting_;
  bool stopping_ = false;
  std::thread thread_;
};

}  // namespace pairscore
