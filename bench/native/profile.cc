// Where the device's time goes: every kernel of one pass over LMSYS-like rows, summed by name through CUPTI.
// usage: profile BASE ADAPTER|- HEAD bf16|f16|fp8 resident|streamed BATCH_TOKENS ROWS
#include <cupti.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <map>
#include <random>
#include <string>

#include "engine/cuda/cuda_engine.h"
#include "error.h"
#include "lengths.h"

using namespace pairscore;

namespace {

struct Run {
  uint64_t start, end;  // ns
  std::string name;
};

struct Sum {
  double microseconds = 0, waited = 0, longest = 0;  // of the kernel, of the device before it, and at most
  int calls = 0;
};

std::vector<Run> runs;

// "void pairscore::(anonymous namespace)::gate_kernel<...>(...)" -> "gate_kernel"; cuBLASLt's own names as they are.
std::string short_name(const char * mangled) {
  const std::string name = mangled;
  for (const char * kernel : {"attention_hopper_kernel", "attention_kernel", "add_norm_kernel", "gate_e4m3_kernel",
                              "gated_product_kernel", "gate_kernel", "rope_kernel", "embed_kernel", "gather_kernel",
                              "head_kernel", "quantize_rows_kernel", "expand_lora_kernel", "expand_kernel"}) {
    if (name.find(kernel) != std::string::npos) return kernel;
  }
  return name.substr(0, 90);
}

void CUPTIAPI give_buffer(uint8_t ** buffer, size_t * size, size_t * most) {
  *size = 8 << 20;
  *buffer = static_cast<uint8_t *>(std::aligned_alloc(8, *size));
  *most = 0;
}

void CUPTIAPI take_buffer(CUcontext, uint32_t, uint8_t * buffer, size_t, size_t valid) {
  CUpti_Activity * record = nullptr;
  while (cuptiActivityGetNextRecord(buffer, valid, &record) == CUPTI_SUCCESS) {
    if (record->kind != CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) continue;
    const auto * kernel = reinterpret_cast<const CUpti_ActivityKernel9 *>(record);
    runs.push_back({kernel->start, kernel->end, short_name(kernel->name)});
  }
  std::free(buffer);
}

int run(char ** argv) {
  EngineSpec spec{};
  spec.base_path = argv[1], spec.adapter_path = std::string(argv[2]) == "-" ? "" : argv[2], spec.head_path = argv[3];
  spec.device = "cuda:0", spec.threads = 4, spec.max_batch_tokens = std::stoi(argv[6]), spec.max_sequence_tokens = 2048,
  spec.max_batch_sequences = 256;
  spec.attention_soft_cap = true;
  const std::string compute = argv[4];
  CudaOptions options{};
  options.compute = compute == "fp8"   ? CudaOptions::Compute::fp8
                    : compute == "f16" ? CudaOptions::Compute::f16
                                       : CudaOptions::Compute::bf16;
  options.weights =
      std::string(argv[5]) == "streamed" ? CudaOptions::Weights::streamed : CudaOptions::Weights::resident;
  const std::unique_ptr<Engine> engine = open_cuda_engine(spec, options);
  std::mt19937 random(3);
  std::vector<int32_t> tokens, offsets = {0};
  for (int length : lmsys_lengths(std::stoi(argv[7]))) {
    for (int k = 0; k < length; k++)
      tokens.push_back(std::uniform_int_distribution<int>(5, engine->info().vocabulary_size - 1)(random));
    offsets.push_back(static_cast<int32_t>(tokens.size()));
  }
  const auto score = [&] { engine->score({tokens.data(), tokens.size()}, {offsets.data(), offsets.size()}); };
  score();
  score();
  cuptiActivityRegisterCallbacks(give_buffer, take_buffer);
  if (cuptiActivityEnable(CUPTI_ACTIVITY_KIND_CONCURRENT_KERNEL) != CUPTI_SUCCESS) return 1;
  score();  // CUPTI itself makes its first kernels wait
  cuptiActivityFlushAll(1);
  runs.clear();
  score();
  cuptiActivityFlushAll(1);
  std::sort(runs.begin(), runs.end(), [](const Run & a, const Run & b) { return a.start < b.start; });
  std::map<std::string, Sum> sums;
  uint64_t end = runs.front().start;
  for (const Run & run : runs) {
    Sum & sum = sums[run.name];
    sum.microseconds += static_cast<double>(run.end - run.start) / 1e3;
    const double wait = run.start > end ? static_cast<double>(run.start - end) / 1e3 : 0;
    sum.waited += wait;
    sum.longest = std::max(sum.longest, wait);
    sum.calls++;
    end = std::max(end, run.end);
  }
  std::vector<std::pair<double, std::string>> order;
  double busy = 0;
  for (const auto & [name, sum] : sums) {
    order.emplace_back(sum.microseconds, name);
    busy += sum.microseconds;
  }
  std::sort(order.rbegin(), order.rend());
  const double wall = static_cast<double>(end - runs.front().start) / 1e3, count = static_cast<double>(tokens.size());
  std::printf("%s %s %s: %.3f us a token on the device, of which %.3f in kernels and %.3f between them\n",
              engine->info().architecture.c_str(), argv[4], argv[5], wall / count, busy / count, (wall - busy) / count);
  for (const auto & [time, name] : order)
    std::printf("  %7.3f us a token %5.1f %% %6d calls of %8.1f us, %5.1f us after another (%.1f at most)  %s\n",
                time / count, 100 * time / wall, sums[name].calls, time / sums[name].calls,
                sums[name].waited / sums[name].calls, sums[name].longest, name.c_str());
  return 0;
}

}  // namespace

int main(int argc, char ** argv) {
  if (argc < 8) return 2;
  try {
    return run(argv);
  } catch (const Error & error) {
    std::fprintf(stderr, "%s: %s\n", code_name(error.code()), error.what());
    return 1;
  }
}
