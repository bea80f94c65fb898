// Helpers of one piece of work, joined wherever it ends: a thread that is destroyed unjoined ends the process.
#pragma once

#include <new>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace pairscore {

// Declare it after everything that its threads use.
class Threads {
 public:
  Threads() = default;
  ~Threads() { join(); }
  Threads(const Threads &) = delete;
  Threads & operator=(const Threads &) = delete;

  // False where the system grants no more: then those that started, and the caller, have to do all of the work.
  template <typename... Call>
  bool start(Call &&... call) {
    try {
      threads_.emplace_back(std::forward<Call>(call)...);
      return true;
    } catch (const std::system_error &) {
      return false;
    } catch (const std::bad_alloc &) {
      return false;
    }
  }

  void join() {
    for (std::thread & thread : threads_) thread.join();
    threads_.clear();
  }

 private:
  std::vector<std::thread> threads_;
};

}  // namespace pairscore
