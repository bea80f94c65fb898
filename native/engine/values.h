// Whether the weights of a file are numbers.
#pragma once

#include "engine/gguf_file.h"

namespace pairscore {

// Reads the whole file once, on several threads, and looks at this thread's stop all along. Throws Error{model_values},
// Error{model_file} where it cannot be read, Error{closed}.
void check_values(const GgufFile & file, int32_t threads);

}  // namespace pairscore
