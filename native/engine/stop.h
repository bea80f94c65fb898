// The stop of the opening that runs on this thread, for the steps below open_engine and open_tokenizer to look at. It is
// the thread's, as LogCapture is, so that no step needs it among its arguments.
#pragma once

#include "engine/engine.h"

namespace pairscore {

class StopScope {
 public:
  explicit StopScope(const Stop & stop);
  ~StopScope();
  StopScope(const StopScope &) = delete;
  StopScope & operator=(const StopScope &) = delete;
};

// nullptr where nothing can stop this thread's work.
const Stop * current_stop();

bool is_stopped();

// Throws Error{closed}.
void throw_if_stopped();

}  // namespace pairscore
