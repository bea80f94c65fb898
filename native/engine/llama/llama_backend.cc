#include "engine/llama/llama_backend.h"

#include <mutex>

#include "engine/engine.h"
#include "engine/log.h"
#include "error.h"
#include "llama.h"

namespace pairscore {
namespace {

// Calls use with each GPU in ggml's order, which is CUDA's.
template <typename Use>
void for_each_gpu(Use use) {
  int index = 0;
  for (size_t i = 0; i < ggml_backend_dev_count(); i++) {
    ggml_backend_dev_t device = ggml_backend_dev_get(i);
    if (ggml_backend_dev_type(device) == GGML_BACKEND_DEVICE_TYPE_GPU) use(device, index++);
  }
}

DeviceInfo describe(ggml_backend_dev_t device, const std::string & name) {
  size_t free_bytes = 0;
  size_t total_bytes = 0;
  ggml_backend_dev_memory(device, &free_bytes, &total_bytes);
  return {name, ggml_backend_dev_description(device), total_bytes, free_bytes};
}

bool built_with_ggml_cuda() {
#ifdef PAIRSCORE_GGML_CUDA
  return true;
#else
  return false;
#endif
}

}  // namespace

void init_llama() {
  static std::once_flag done;
  std::call_once(done, [] {
    LogCapture installs_the_callback;
    ggml_log_callback callback = nullptr;
    void * data = nullptr;
    ggml_log_get(&callback, &data);
    llama_log_set(callback, data);
    llama_backend_init();
  });
}

ggml_backend_dev_t find_device(const std::string & device) {
  if (device == "cpu") return nullptr;
  ggml_backend_dev_t found = nullptr;
  int count = 0;
  for_each_gpu([&](ggml_backend_dev_t gpu, int index) {
    count++;
    if ("cuda:" + std::to_string(index) == device) found = gpu;
  });
  if (found) return found;
  const std::string why =
      !built_with_ggml_cuda()
          ? "this build of pairscore drives no GPU in this way (PAIRSCORE_CUDA, PAIRSCORE_GGML_CUDA)"
      : count == 0 ? "no GPU or no driver was found"
                   : "the GPUs here are cuda:0 to cuda:" + std::to_string(count - 1);
  throw Error(Code::device_unknown, "Expected an existing device but received " + device + ": " + why);
}

BuildInfo llama_build_info() {
  init_llama();
  BuildInfo info;
  info.flavour = built_with_ggml_cuda() ? "cuda" : "cpu";
  info.llama_version = llama_version();
  info.system_info = llama_print_system_info();
  if (ggml_backend_dev_t cpu = ggml_backend_dev_by_type(GGML_BACKEND_DEVICE_TYPE_CPU)) {
    info.devices.push_back(describe(cpu, "cpu"));
  }
  return info;
}

std::vector<DeviceInfo> llama_gpus() {
  init_llama();
  std::vector<DeviceInfo> gpus;
  for_each_gpu(
      [&](ggml_backend_dev_t gpu, int index) { gpus.push_back(describe(gpu, "cuda:" + std::to_string(index))); });
  return gpus;
}

}  // namespace pairscore
