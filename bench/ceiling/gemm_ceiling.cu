// What a GPU can do at most: cuBLASLt at the layer shapes of a model, best algorithm by timing, and a device copy.
// usage: gemm_ceiling DEVICE TOKENS,TOKENS,... INPUTSxOUTPUTS,...
// Prints one JSON object a line: the milliseconds of all shapes together, by type and number of tokens.
#include <cublasLt.h>
#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

namespace {

enum class Type { f16, bf16, fp8_tensor, fp8_row };

struct Shape {
  int inputs;
  int outputs;
};

struct Times {
  float first_ms;  // the heuristic's first choice
  float best_ms;
  float lasting_ms;  // the best one back to back, at the clock that the chip holds
};

constexpr size_t kWorkspaceBytes = size_t(64) << 20;
constexpr size_t kCopyBytes = size_t(2) << 30;
constexpr int kAlgorithms = 24;
constexpr int kRepeats = 7;
// An algorithm this much slower than the best in its first timed run is not timed again.
constexpr float kHopeless = 1.3f;
constexpr float kLastingMs = 400;

const char * name_of(Type type) {
  switch (type) {
    case Type::f16:
      return "f16";
    case Type::bf16:
      return "bf16";
    case Type::fp8_tensor:
      return "fp8 tensor";
    case Type::fp8_row:
      return "fp8 row";
  }
  return "";
}

bool is_fp8(Type type) { return type == Type::fp8_tensor || type == Type::fp8_row; }

void check(cudaError_t status, const char * what) {
  if (status != cudaSuccess) throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status));
}

void check(cublasStatus_t status, const char * what) {
  if (status != CUBLAS_STATUS_SUCCESS) {
    throw std::runtime_error(std::string(what) + ": " + cublasLtGetStatusString(status));
  }
}

struct DeviceFree {
  void operator()(void * memory) const { cudaFree(memory); }
};
using DeviceMemory = std::unique_ptr<void, DeviceFree>;

DeviceMemory allocate(size_t bytes) {
  void * memory = nullptr;
  check(cudaMalloc(&memory, bytes), "cudaMalloc");
  return DeviceMemory(memory);
}

template <typename T, cublasStatus_t (*Destroy)(T)>
struct Destroyer {
  using pointer = T;
  void operator()(T handle) const { Destroy(handle); }
};
template <typename T, cublasStatus_t (*Destroy)(T)>
using Owned = std::unique_ptr<T, Destroyer<T, Destroy>>;
using Library = Owned<cublasLtHandle_t, cublasLtDestroy>;
using Operation = Owned<cublasLtMatmulDesc_t, cublasLtMatmulDescDestroy>;
using Layout = Owned<cublasLtMatrixLayout_t, cublasLtMatrixLayoutDestroy>;
using Preference = Owned<cublasLtMatmulPreference_t, cublasLtMatmulPreferenceDestroy>;

class Stopwatch {
 public:
  Stopwatch() {
    check(cudaEventCreate(&from_), "cudaEventCreate");
    check(cudaEventCreate(&to_), "cudaEventCreate");
  }
  ~Stopwatch() {
    cudaEventDestroy(from_);
    cudaEventDestroy(to_);
  }
  Stopwatch(const Stopwatch &) = delete;
  Stopwatch & operator=(const Stopwatch &) = delete;

  template <typename Run>
  float milliseconds(Run run) {
    check(cudaEventRecord(from_), "cudaEventRecord");
    run();
    check(cudaEventRecord(to_), "cudaEventRecord");
    check(cudaEventSynchronize(to_), "cudaEventSynchronize");
    float ms = 0;
    check(cudaEventElapsedTime(&ms, from_, to_), "cudaEventElapsedTime");
    return ms;
  }

 private:
  cudaEvent_t from_ = nullptr;
  cudaEvent_t to_ = nullptr;
};

// Random values: products of zeros draw less power and run at a higher clock.
__global__ void fill_kernel(void * out, size_t count, Type type, unsigned seed) {
  for (size_t i = blockIdx.x * size_t(blockDim.x) + threadIdx.x; i < count; i += size_t(gridDim.x) * blockDim.x) {
    unsigned hash = unsigned(i * 2654435761u) ^ seed;
    hash ^= hash >> 15;
    hash *= 2246822519u;
    hash ^= hash >> 13;
    const float value = (int(hash % 2001) - 1000) / 1000.f;
    if (type == Type::f16)
      static_cast<__half *>(out)[i] = __float2half(value);
    else if (type == Type::bf16)
      static_cast<__nv_bfloat16 *>(out)[i] = __float2bfloat16(value);
    else
      static_cast<__nv_fp8_e4m3 *>(out)[i] = __nv_fp8_e4m3(value);
  }
}

__global__ void ones_kernel(float * out, int count) {
  const int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < count) out[i] = 1.f;
}

DeviceMemory random_matrix(size_t count, Type type, unsigned seed) {
  DeviceMemory memory = allocate(count * (is_fp8(type) ? 1 : 2));
  fill_kernel<<<1024, 256>>>(memory.get(), count, type, seed);
  check(cudaGetLastError(), "fill_kernel");
  return memory;
}

DeviceMemory ones(int count) {
  DeviceMemory memory = allocate(sizeof(float) * count);
  ones_kernel<<<(count + 255) / 256, 256>>>(static_cast<float *>(memory.get()), count);
  check(cudaGetLastError(), "ones_kernel");
  return memory;
}

Layout layout(cudaDataType_t type, int rows, int columns) {
  cublasLtMatrixLayout_t made = nullptr;
  check(cublasLtMatrixLayoutCreate(&made, type, rows, columns, rows), "cublasLtMatrixLayoutCreate");
  return Layout(made);
}

template <typename T>
void set(cublasLtMatmulDesc_t operation, cublasLtMatmulDescAttributes_t attribute, T value) {
  check(cublasLtMatmulDescSetAttribute(operation, attribute, &value, sizeof value), "cublasLtMatmulDescSetAttribute");
}

Operation make_operation(Type type, void * weight_scales, void * activation_scales) {
  cublasLtMatmulDesc_t made = nullptr;
  check(cublasLtMatmulDescCreate(&made, CUBLAS_COMPUTE_32F, CUDA_R_32F), "cublasLtMatmulDescCreate");
  Operation operation(made);
  set(made, CUBLASLT_MATMUL_DESC_TRANSA, CUBLAS_OP_T);
  if (!is_fp8(type)) return operation;
  set(made, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, weight_scales);
  set(made, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, activation_scales);
#if CUDART_VERSION >= 12090
  if (type == Type::fp8_row) {
    set(made, CUBLASLT_MATMUL_DESC_A_SCALE_MODE, CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F);
    set(made, CUBLASLT_MATMUL_DESC_B_SCALE_MODE, CUBLASLT_MATMUL_MATRIX_SCALE_OUTER_VEC_32F);
  }
#else
  if (type == Type::fp8_row) throw std::runtime_error("one scale a row needs CUDA 12.9");
#endif
  return operation;
}

template <typename Run>
float median_ms(Stopwatch & watch, float best, Run run) {
  std::vector<float> times;
  for (int i = 0; i < kRepeats; i++) {
    times.push_back(watch.milliseconds(run));
    if (i == 0 && times[0] > best * kHopeless) return times[0];
  }
  std::sort(times.begin(), times.end());
  return times[times.size() / 2];
}

// Mean over enough runs without a pause that clocks and power settle.
template <typename Run>
float lasting_ms(Stopwatch & watch, float once_ms, Run run) {
  const int runs = std::max(10, int(kLastingMs / once_ms));
  return watch.milliseconds([&] {
    for (int i = 0; i < runs; i++) run();
  }) / runs;
}

// y (tokens, outputs) = x (tokens, inputs) W (outputs, inputs)^T. Column-major to cuBLASLt: y^T = W x^T.
Times time_product(cublasLtHandle_t library, Type type, int tokens, Shape shape) {
  const DeviceMemory x = random_matrix(size_t(tokens) * shape.inputs, type, 1);
  const DeviceMemory w = random_matrix(size_t(shape.outputs) * shape.inputs, type, 7);
  const DeviceMemory y = allocate(size_t(2) * tokens * shape.outputs);
  const DeviceMemory workspace = allocate(kWorkspaceBytes);
  const DeviceMemory x_scales = ones(tokens), w_scales = ones(shape.outputs);
  const cudaDataType_t in = type == Type::f16 ? CUDA_R_16F : type == Type::bf16 ? CUDA_R_16BF : CUDA_R_8F_E4M3;
  const cudaDataType_t out = type == Type::f16 ? CUDA_R_16F : CUDA_R_16BF;
  const Operation operation = make_operation(type, w_scales.get(), x_scales.get());
  const Layout w_layout = layout(in, shape.inputs, shape.outputs);
  const Layout x_layout = layout(in, shape.inputs, tokens);
  const Layout y_layout = layout(out, shape.outputs, tokens);

  cublasLtMatmulPreference_t made = nullptr;
  check(cublasLtMatmulPreferenceCreate(&made), "cublasLtMatmulPreferenceCreate");
  const Preference preference(made);
  const size_t limit = kWorkspaceBytes;
  check(cublasLtMatmulPreferenceSetAttribute(made, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &limit, sizeof limit),
        "cublasLtMatmulPreferenceSetAttribute");
  std::vector<cublasLtMatmulHeuristicResult_t> found(kAlgorithms);
  int count = 0;
  check(cublasLtMatmulAlgoGetHeuristic(library, operation.get(), w_layout.get(), x_layout.get(), y_layout.get(),
                                       y_layout.get(), made, kAlgorithms, found.data(), &count),
        "cublasLtMatmulAlgoGetHeuristic");

  Stopwatch watch;
  const auto run = [&](const cublasLtMatmulAlgo_t & algorithm) {
    const float one = 1, zero = 0;
    return cublasLtMatmul(library, operation.get(), &one, w.get(), w_layout.get(), x.get(), x_layout.get(), &zero,
                          y.get(), y_layout.get(), y.get(), y_layout.get(), &algorithm, workspace.get(),
                          kWorkspaceBytes, nullptr);
  };
  Times times{0, 1e9f, 0};
  int best = -1;
  for (int i = 0; i < count; i++) {
    const cublasLtMatmulAlgo_t & algorithm = found[i].algo;
    if (run(algorithm) != CUBLAS_STATUS_SUCCESS || cudaDeviceSynchronize() != cudaSuccess) continue;
    const float ms = median_ms(watch, times.best_ms, [&] { check(run(algorithm), "cublasLtMatmul"); });
    if (times.first_ms == 0) times.first_ms = ms;
    if (ms < times.best_ms) best = i;
    times.best_ms = std::min(times.best_ms, ms);
  }
  if (best < 0) throw std::runtime_error("cublasLt has no algorithm for it");
  times.lasting_ms = lasting_ms(watch, times.best_ms, [&] { check(run(found[best].algo), "cublasLtMatmul"); });
  return times;
}

void print_products(cublasLtHandle_t library, Type type, int tokens, const std::vector<Shape> & shapes) {
  try {
    Times all{0, 0, 0};
    double flops = 0;
    for (const Shape & shape : shapes) {
      const Times times = time_product(library, type, tokens, shape);
      all.first_ms += times.first_ms;
      all.best_ms += times.best_ms;
      all.lasting_ms += times.lasting_ms;
      flops += 2.0 * tokens * shape.inputs * shape.outputs;
    }
    printf("{\"type\":\"%s\",\"tokens\":%d,\"firstMs\":%g,\"bestMs\":%g,\"lastingMs\":%g,\"teraflops\":%g}\n",
           name_of(type), tokens, all.first_ms, all.best_ms, all.lasting_ms, flops / all.best_ms / 1e9);
  } catch (const std::exception & error) {
    printf("{\"type\":\"%s\",\"tokens\":%d,\"skipped\":\"%s\"}\n", name_of(type), tokens, error.what());
  }
  fflush(stdout);
}

void print_copy() {
  const DeviceMemory from = allocate(kCopyBytes), to = allocate(kCopyBytes);
  Stopwatch watch;
  auto copy = [&] {
    check(cudaMemcpyAsync(to.get(), from.get(), kCopyBytes, cudaMemcpyDeviceToDevice), "cudaMemcpyAsync");
  };
  copy();
  const float ms = median_ms(watch, 1e9f, copy);
  printf("{\"copyBytesPerSecond\":%g}\n", 2.0 * kCopyBytes / ms * 1e3);
  fflush(stdout);
}

std::vector<int> read_numbers(const std::string & text, char separator) {
  std::vector<int> numbers;
  for (size_t at = 0; at < text.size();) {
    const size_t end = std::min(text.find(separator, at), text.size());
    numbers.push_back(std::stoi(text.substr(at, end - at)));
    at = end + 1;
  }
  return numbers;
}

std::vector<Shape> read_shapes(std::string text) {
  std::replace(text.begin(), text.end(), 'x', ',');
  const std::vector<int> numbers = read_numbers(text, ',');
  if (numbers.size() % 2 != 0) throw std::runtime_error("Expected shapes as INPUTSxOUTPUTS but received " + text);
  std::vector<Shape> shapes;
  for (size_t i = 0; i < numbers.size(); i += 2) shapes.push_back({numbers[i], numbers[i + 1]});
  return shapes;
}

void run(int argc, char ** argv) {
  if (argc != 4) throw std::runtime_error("usage: gemm_ceiling DEVICE TOKENS,... INPUTSxOUTPUTS,...");
  check(cudaSetDevice(std::stoi(argv[1])), "cudaSetDevice");
  const std::vector<int> tokens = read_numbers(argv[2], ',');
  const std::vector<Shape> shapes = read_shapes(argv[3]);
  cublasLtHandle_t made = nullptr;
  check(cublasLtCreate(&made), "cublasLtCreate");
  const Library library(made);
  printf("{\"cublasLt\":%zu}\n", cublasLtGetVersion());
  print_copy();
  for (Type type : {Type::f16, Type::bf16, Type::fp8_tensor, Type::fp8_row}) {
    for (int count : tokens) print_products(made, type, count, shapes);
  }
}

}  // namespace

int main(int argc, char ** argv) {
  try {
    run(argc, argv);
    return 0;
  } catch (const std::exception & error) {
    fprintf(stderr, "gemm_ceiling: %s\n", error.what());
    return 1;
  }
}
