#include "engine/stop.h"

#include "error.h"

namespace pairscore {
namespace {

thread_local const Stop * current = nullptr;

}  // namespace

StopScope::StopScope(const Stop & stop) { current = &stop; }

StopScope::~StopScope() { current = nullptr; }

const Stop * current_stop() { return current; }

bool is_stopped() { return current && current->requested(); }

void throw_if_stopped() {
  if (is_stopped()) throw Error(Code::closed, "The opening was stopped before it was done");
}

}  // namespace pairscore
