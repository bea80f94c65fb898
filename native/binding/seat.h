// A native object and its thread, shared by its JavaScript wrapper and by the work in flight on it. The object is made,
// used and destroyed on that thread; whoever lets go last frees what is left from the JavaScript thread.
#pragma once

#include <functional>
#include <memory>

#include "binding/work_queue.h"

namespace pairscore {

template <typename Resource>
struct Seat {
  std::unique_ptr<Resource> resource;  // work thread only, while the queue lives
  std::unique_ptr<WorkQueue> queue;
  bool closed = false;  // JavaScript thread only

  Seat(Napi::Env env, std::function<void()> on_teardown)
      : queue(std::make_unique<WorkQueue>(env, std::move(on_teardown))) {}
  // The queue's thread must have stopped before the resource goes.
  ~Seat() { queue.reset(); }
};

// Runs behind every call that was made before it, so closing waits for them.
template <typename SeatType>
class CloseWorker final : public PromiseWorker {
 public:
  CloseWorker(Napi::Env env, std::shared_ptr<SeatType> seat) : PromiseWorker(env), seat_(std::move(seat)) {}

 protected:
  void Run() override { seat_->resource.reset(); }
  Napi::Value Result(Napi::Env env) override { return env.Undefined(); }

 private:
  std::shared_ptr<SeatType> seat_;
};

}  // namespace pairscore
