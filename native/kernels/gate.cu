// 16-bit: a thread makes 8 values. e4m3: a block makes a row, whose largest value sets the row's scale.
#include "kernels/gate.h"

#include "kernels/activation.cuh"
#include "kernels/device.cuh"

namespace pairscore {
namespace {

constexpr int kThreads = 256;
constexpr int kRowThreads = 512;

template <Activation A, typename T>
__device__ inline void gate8(const T * row, int64_t columns, int64_t c, float (&out)[8]) {
  float up[8];
  load8(row + c, out);
  load8(row + columns + c, up);
#pragma unroll
  for (int i = 0; i < 8; i++) out[i] = activate<A>(out[i]) * up[i];
}

template <Activation A, typename T>
__global__ void gate_kernel(GateArgs args) {
  const int64_t c = (blockIdx.x * int64_t(kThreads) + threadIdx.x) * 8, row = blockIdx.y;
  if (c >= args.columns) return;
  float out[8];
  gate8<A>(static_cast<const T *>(args.gate_up) + row * 2 * args.columns, args.columns, c, out);
  store8(static_cast<T *>(args.out) + row * args.columns + c, out);
}

template <int kEights, Activation A, typename T>
__global__ void __launch_bounds__(kRowThreads) gate_e4m3_kernel(GateArgs args) {
  __shared__ float shared[33];
  const int64_t row = blockIdx.x;
  float out[kEights][8], largest = 0;
#pragma unroll
  for (int e = 0; e < kEights; e++) {
    const int64_t c = (e * int64_t(blockDim.x) + threadIdx.x) * 8;
    if (c >= args.columns) continue;
    gate8<A>(static_cast<const T *>(args.gate_up) + row * 2 * args.columns, args.columns, c, out[e]);
#pragma unroll
    for (int i = 0; i < 8; i++) largest = fmaxf(largest, fabsf(out[e][i]));
  }
  largest = fmaxf(block_reduce(largest, shared, Max()), 1e-12f);
  const float inverse = 448.f / largest;
  if (threadIdx.x == 0) args.row_scale[row] = largest / 448.f;
#pragma unroll
  for (int e = 0; e < kEights; e++) {
    const int64_t c = (e * int64_t(blockDim.x) + threadIdx.x) * 8;
    if (c >= args.columns) continue;
#pragma unroll
    for (int i = 0; i < 8; i++) out[e][i] *= inverse;
    store8(static_cast<__nv_fp8_e4m3 *>(args.out) + row * args.columns + c, out[e]);
  }
}

template <Activation A, typename T>
void launch(const GateArgs & args, Stream stream) {
  const int64_t eights = args.columns / 8;
  if (args.out_element != Element::e4m3) {
    const unsigned across = static_cast<unsigned>((eights + kThreads - 1) / kThreads);
    // grid.y ends at 65535
    for (int64_t first = 0; first < args.rows; first += 65535) {
      GateArgs part = args;
      part.rows = args.rows - first < 65535 ? args.rows - first : 65535;
      part.gate_up = static_cast<const T *>(args.gate_up) + first * 2 * args.columns;
      part.out = static_cast<T *>(args.out) + first * args.columns;
      gate_kernel<A, T><<<dim3(across, static_cast<unsigned>(part.rows)), kThreads, 0, stream>>>(part);
    }
  } else if (eights <= 4 * kRowThreads) {
    gate_e4m3_kernel<4, A, T><<<args.rows, kRowThreads, 0, stream>>>(args);
  } else {
    gate_e4m3_kernel<8, A, T><<<args.rows, kRowThreads, 0, stream>>>(args);
  }
  check_launch("gate");
}

template <typename T>
void launch_for(const GateArgs & args, Stream stream) {
  if (args.activation == Activation::silu) return launch<Activation::silu, T>(args, stream);
  launch<Activation::gelu_tanh, T>(args, stream);
}

}  // namespace

void gate(const GateArgs & args, Stream stream) {
  if (args.rows == 0) return;
  if (args.columns > 32768)
    throw Error(Code::internal, "Expected at most 32768 columns for gate but received " + std::to_string(args.columns));
  if (args.element == Element::f16) return launch_for<__half>(args, stream);
  launch_for<__nv_bfloat16>(args, stream);
}

}  // namespace pairscore
