// Process-wide state of libllama: its log, its devices.
#pragma once

#include <string>
#include <vector>

#include "engine/engine.h"
#include "ggml-backend.h"

namespace pairscore {

// Idempotent, any thread. Must come before any other call to libllama.
void init_llama();

// The ggml device of "cuda:N", nullptr for "cpu". Throws Error{device_unknown}.
ggml_backend_dev_t find_device(const std::string & device);

// Flavour, versions and the CPU alone.
BuildInfo llama_build_info();

// The GPUs that ggml drives: none where its CUDA backend was not built.
std::vector<DeviceInfo> llama_gpus();

}  // namespace pairscore
