// What must hold of a base GGUF before llama.cpp or an engine of our own reads it.
#pragma once

#include <string>

#include "engine/gguf_file.h"

namespace pairscore {

struct BaseInfo {
  std::string architecture;  // "gemma2" or "llama"
  int32_t hidden_size;
  int32_t layer_count;
  int32_t vocabulary_size;
};

// What must hold of a vocabulary alone. Returns its size, 0 where there is none.
size_t check_vocabulary(const GgufFile & base);

// Throws Error{model_mismatch} for an architecture that no engine has, Error{model_file} for missing or mistyped keys.
BaseInfo check_base(const GgufFile & base);

}  // namespace pairscore
