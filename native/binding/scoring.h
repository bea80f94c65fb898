// The engine that is scoring right now, for the JavaScript thread to cancel while an environment goes down.
#pragma once

#include <mutex>

#include "engine/engine.h"

namespace pairscore {

class Scoring {
 public:
  // Work thread, around a call of score.
  class Scope {
   public:
    Scope(Scoring & scoring, Engine * engine) : scoring_(scoring) { scoring_.set(engine); }
    ~Scope() { scoring_.set(nullptr); }
    Scope(const Scope &) = delete;
    Scope & operator=(const Scope &) = delete;

   private:
    Scoring & scoring_;
  };

  // Any thread. Holds for every later call too: one may be about to begin.
  void cancel() {
    const std::lock_guard<std::mutex> lock(mutex_);
    cancelled_ = true;
    if (engine_) engine_->cancel();
  }

 private:
  void set(Engine * engine) {
    const std::lock_guard<std::mutex> lock(mutex_);
    engine_ = engine;
    if (engine_ && cancelled_) engine_->cancel();
  }

  std::mutex mutex_;
  Engine * engine_ = nullptr;
  bool cancelled_ = false;
};

}  // namespace pairscore
