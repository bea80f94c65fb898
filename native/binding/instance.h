// What one environment (the main thread, or a worker thread) keeps of the addon.
#pragma once

#include <napi.h>

namespace pairscore {

struct Instance {
  Napi::FunctionReference engine_class;
  Napi::FunctionReference tokenizer_class;
  Napi::FunctionReference stop_class;
};

}  // namespace pairscore
