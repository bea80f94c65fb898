#include "engine/engine.h"

#include <algorithm>

#include "engine/llama/llama_backend.h"
#include "engine/llama/llama_engine.h"
#include "engine/stop.h"
#include "error.h"
#ifdef PAIRSCORE_CUDA
#include "engine/cuda/cuda_engine.h"
#endif

namespace pairscore {
namespace {

void require_positive(const char * name, int32_t value) {
  if (value > 0) return;
  throw Error(Code::usage, std::string("Expected ") + name + " of at least 1 but received " + std::to_string(value));
}

void require_one_of(const char * name, const std::string & value, const std::vector<std::string> & values) {
  if (std::find(values.begin(), values.end(), value) != values.end()) return;
  std::string list;
  for (const std::string & one : values) list += (list.empty() ? "" : ", ") + one;
  throw Error(Code::usage, std::string("Expected ") + name + " to be one of " + list + " but received " + value);
}

void check_spec(const EngineSpec & spec) {
  require_positive("threads", spec.threads);
  require_positive("maxBatchTokens", spec.max_batch_tokens);
  require_positive("maxSequenceTokens", spec.max_sequence_tokens);
  require_positive("maxBatchSequences", spec.max_batch_sequences);
  require_one_of("compute", spec.compute, {"auto", "bf16", "f16", "fp8", "ggml"});
  require_one_of("weights", spec.weights, {"auto", "resident", "streamed"});
  if (spec.max_sequence_tokens > spec.max_batch_tokens) {
    throw Error(Code::usage, "Expected maxBatchTokens of at least maxSequenceTokens " +
                                 std::to_string(spec.max_sequence_tokens) + " but received " +
                                 std::to_string(spec.max_batch_tokens));
  }
}

// A setting of the CUDA engine that nothing here would obey must not be passed over in silence.
void refuse_cuda_settings(const EngineSpec & spec) {
  const bool plain = (spec.compute == "auto" || spec.compute == "ggml") && spec.weights == "auto";
  if (plain) return;
  throw Error(Code::usage, "Expected compute auto or ggml and weights auto on " + spec.device + " but received " +
                               spec.compute + " and " + spec.weights + ": they are settings of the CUDA engine");
}

bool is_gpu(const EngineSpec & spec) { return spec.device != "cpu"; }

#ifdef PAIRSCORE_CUDA

CudaOptions cuda_options(const EngineSpec & spec) {
  CudaOptions options = {};
  if (spec.compute == "bf16") options.compute = CudaOptions::Compute::bf16;
  if (spec.compute == "f16") options.compute = CudaOptions::Compute::f16;
  if (spec.compute == "fp8") options.compute = CudaOptions::Compute::fp8;
  if (spec.weights == "resident") options.weights = CudaOptions::Weights::resident;
  if (spec.weights == "streamed") options.weights = CudaOptions::Weights::streamed;
  return options;
}

std::unique_ptr<Engine> open_on_gpu(const EngineSpec & spec) {
  if (spec.compute == "ggml") return open_llama_engine(spec);
  return open_cuda_engine(spec, cuda_options(spec));
}

std::vector<DeviceInfo> gpus() { return cuda_devices(); }

#else

std::unique_ptr<Engine> open_on_gpu(const EngineSpec & spec) {
  // First: a device that is not there is the more useful answer.
  find_device(spec.device);
  refuse_cuda_settings(spec);
  return open_llama_engine(spec);
}

std::vector<DeviceInfo> gpus() { return llama_gpus(); }

#endif

}  // namespace

std::unique_ptr<Engine> open_engine(const EngineSpec & spec, const Stop & stop) {
  const StopScope scope(stop);
  check_spec(spec);
  if (is_gpu(spec)) return open_on_gpu(spec);
  refuse_cuda_settings(spec);
  return open_llama_engine(spec);
}

BuildInfo build_info() {
  BuildInfo info = llama_build_info();
#ifdef PAIRSCORE_CUDA
  info.flavour = "cuda";
#endif
  for (DeviceInfo & gpu : gpus()) info.devices.push_back(std::move(gpu));
  return info;
}

}  // namespace pairscore
