#include "engine/cuda/choices.h"

#include <algorithm>
#include <cmath>

#include "error.h"
#include "kernels/attention_hopper.h"

namespace pairscore {
namespace {

constexpr int32_t kMostRows = 512;   // of a batch: rows cost little memory
constexpr int32_t kMostSharing = 2;  // batches: more would take the memory that streaming is there to save

// f16 keeps fewer bits below 2^-14 and none below 2^-24: little beside a matrix's largest value, if that is no smaller.
constexpr float kLeastOfF16 = 0x1p-10f;

}  // namespace

int parse_device(const std::string & name) {
  const std::string digits = name.compare(0, 5, "cuda:") == 0 ? name.substr(5) : "";
  const bool number =
      !digits.empty() && digits.size() < 4 && digits.find_first_not_of("0123456789") == std::string::npos;
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();
    count = 0;
  }
  if (number && std::stoi(digits) < count) return std::stoi(digits);
  throw Error(Code::device_unknown, "Expected a device cuda:0 to cuda:N of " + std::to_string(count) +
                                        " CUDA devices but received \"" + name + "\"");
}

cudaDeviceProp properties_of(int device) {
  cudaDeviceProp properties;
  check_cuda(cudaGetDeviceProperties(&properties, device), "reading the device's properties");
  return properties;
}

Element choose_compute(const CudaOptions & options, const cudaDeviceProp & device) {
  const int capability = device.major * 10 + device.minor;
  const auto require = [&](int least, const char * what) {
    if (capability >= least) return;
    throw Error(Code::usage, std::string("Expected compute capability ") + std::to_string(least / 10) + "." +
                                 std::to_string(least % 10) + " or later for " + what + " but " + device.name +
                                 " has " + std::to_string(device.major) + "." + std::to_string(device.minor));
  };
  if (options.compute == CudaOptions::Compute::fp8) require(89, "fp8");
  if (options.compute == CudaOptions::Compute::bf16) require(80, "bf16");
  if (options.attention == CudaOptions::Attention::turing) return Element::f16;
  if (options.compute == CudaOptions::Compute::fp8) return Element::e4m3;
  return options.compute == CudaOptions::Compute::bf16 ? Element::bf16 : Element::f16;
}

// fp8 has nothing safer: it keeps activations in bf16 and scales what it narrows by its largest value.
Element choose_safer(const CudaOptions & options, const cudaDeviceProp & device, Element compute) {
  const bool has_bf16 = device.major >= 8 && options.attention != CudaOptions::Attention::turing;
  return options.compute == CudaOptions::Compute::automatic && has_bf16 ? Element::bf16 : compute;
}

bool suits_f16(const WeightRange & range) { return std::isfinite(range.most) && range.least >= kLeastOfF16; }

AttentionPath choose_attention(const CudaOptions & options, const cudaDeviceProp & device, const ModelShape & shape) {
  if (options.attention == CudaOptions::Attention::turing || device.major < 8) return AttentionPath::turing;
  const bool whole = shape.q_heads / shape.kv_heads % kHopperHeads == 0;
  const bool hopper =
      device.major == 9 && device.minor == 0 && whole && options.attention == CudaOptions::Attention::automatic;
  return hopper ? AttentionPath::hopper : AttentionPath::ampere;
}

BatchLimits choose_limits(const EngineSpec & spec, const cudaDeviceProp & device) {
  return {batch_tokens(spec.max_batch_tokens, spec.max_sequence_tokens, device.multiProcessorCount),
          std::max(spec.max_batch_sequences, kMostRows)};
}

size_t choose_group(const EngineSpec & spec, const BatchLimits & limits) {
  return static_cast<size_t>(std::clamp(spec.max_batch_tokens / limits.tokens, 1, kMostSharing));
}

const char * compute_name(Element element) {
  if (element == Element::e4m3) return "fp8";
  return element == Element::f16 ? "f16" : "bf16";
}

}  // namespace pairscore
