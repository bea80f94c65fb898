// The engine on libllama: every backend that ggml has. The reference, and the fallback.
#pragma once

#include <memory>

#include "engine/engine.h"

namespace pairscore {

std::unique_ptr<Engine> open_llama_engine(const EngineSpec & spec);

}  // namespace pairscore
