// Our own prefill engine for CUDA: gemma2 and llama, packed sequences, 16-bit or e4m3 products.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "engine/engine.h"

namespace pairscore {

struct CudaOptions {
  enum class Compute { automatic, f16, bf16, fp8 };
  enum class Weights { automatic, resident, streamed };
  enum class Attention { automatic, ampere, turing };

  Compute compute;      // automatic: f16, and bf16 for what f16 has no range for, on sm_80 and later
  Weights weights;      // automatic: resident where the device has room
  Attention attention;  // turing, ampere: the paths of sm_75 and sm_80, on any later device
};

// Empty where the engine can run this base on this device, else why not. Throws Error{device_unknown} for a device that is not there.
std::string cuda_unsupported_reason(const EngineSpec & spec);

// Throws what open_engine throws.
std::unique_ptr<Engine> open_cuda_engine(const EngineSpec & spec, const CudaOptions & options);

// Empty on a machine without a CUDA driver or device.
std::vector<DeviceInfo> cuda_devices();

}  // namespace pairscore
