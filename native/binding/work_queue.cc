#include "binding/work_queue.h"

#include <exception>
#include <string>
#include <utility>

namespace pairscore {

WorkQueue::WorkQueue(Napi::Env env, std::function<void()> on_teardown)
    : env_(env), on_teardown_(std::move(on_teardown)) {
  const napi_value name = Napi::String::New(env, "pairscore");
  const napi_status status =
      napi_create_threadsafe_function(env, nullptr, nullptr, name, 0, 1, nullptr, nullptr, this, OnSettle, &settle_);
  if (status != napi_ok) throw Error(Code::internal, "Expected a thread-safe function but Node-API refused one");
  // An idle queue must not keep the process alive.
  napi_unref_threadsafe_function(env, settle_);
  // Hooks run last in, first out: this one precedes the thread-safe function's own, whose queue it still needs.
  napi_add_env_cleanup_hook(env, OnTeardown, this);
  try {
    thread_ = std::thread([this] { Loop(); });
  } catch (const std::exception & error) {
    // An object that was never made is never destroyed either, and nothing may call back into it.
    Withdraw();
    throw Error(Code::internal, std::string("Expected a thread for native work but received: ") + error.what());
  }
}

WorkQueue::~WorkQueue() {
  if (torn_down_) return;
  Stop();
  Withdraw();
}

// JavaScript thread.
void WorkQueue::Withdraw() {
  napi_remove_env_cleanup_hook(env_, OnTeardown, this);
  napi_release_threadsafe_function(settle_, napi_tsfn_abort);
}

void WorkQueue::OnTeardown(void * self) {
  WorkQueue & queue = *static_cast<WorkQueue *>(self);
  queue.torn_down_ = true;
  if (queue.on_teardown_) queue.on_teardown_();
  queue.Stop();
  // The last worker may hold the last owner of this queue, so the workers go after everything else here.
  const std::deque<std::unique_ptr<PromiseWorker>> abandoned = std::move(queue.waiting_);
  for (const std::unique_ptr<PromiseWorker> & worker : abandoned) worker->Abandon();
  napi_release_threadsafe_function(queue.settle_, napi_tsfn_abort);
}

void WorkQueue::Stop() {
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_one();
  thread_.join();
}

Napi::Promise WorkQueue::Submit(std::unique_ptr<PromiseWorker> worker) {
  const Napi::Promise promise = worker->promise();
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    waiting_.push_back(std::move(worker));
  }
  // Settles on this thread, so not before this. A push that failed must not keep the process alive.
  if (in_flight_++ == 0) napi_ref_threadsafe_function(env_, settle_);
  wake_.notify_one();
  return promise;
}

void WorkQueue::Loop() {
  for (;;) {
    std::unique_ptr<PromiseWorker> worker;
    {
      std::unique_lock<std::mutex> lock(mutex_);
      wake_.wait(lock, [this] { return stopping_ || !waiting_.empty(); });
      if (stopping_) return;
      worker = std::move(waiting_.front());
      waiting_.pop_front();
    }
    worker->Execute();
    // The call takes the worker over; OnSettle deletes it. It fails only when the environment is going down.
    PromiseWorker * settled = worker.release();
    if (napi_call_threadsafe_function(settle_, settled, napi_tsfn_nonblocking) != napi_ok) {
      const std::lock_guard<std::mutex> lock(mutex_);
      waiting_.emplace_front(settled);
    }
  }
}

void WorkQueue::OnSettle(napi_env env, napi_value, void * context, void * data) {
  const std::unique_ptr<PromiseWorker> worker(static_cast<PromiseWorker *>(data));
  if (!env) {
    worker->Abandon();
    return;
  }
  WorkQueue & queue = *static_cast<WorkQueue *>(context);
  if (--queue.in_flight_ == 0) napi_unref_threadsafe_function(env, queue.settle_);
  try {
    worker->Settle(env);
  } catch (const std::exception &) {
    // A worker thread that is being terminated runs no JavaScript any more, or no memory is left: nobody can be told.
    worker->Abandon();
  }
}

}  // namespace pairscore
