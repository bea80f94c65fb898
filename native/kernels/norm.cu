// One block a row; each thread keeps its values of the row in registers between the passes.
#include "kernels/device.cuh"
#include "kernels/norm.h"

namespace pairscore {
namespace {

constexpr int kMostThreads = 512;

// kEights: groups of 8 columns that one thread holds.
template <int kEights, typename T, typename H>
__global__ void __launch_bounds__(kMostThreads, kEights == 1 ? 3 : 1) add_norm_kernel(NormArgs args) {
  __shared__ float shared[33];
  const int64_t row = blockIdx.x, columns = args.columns;
  float x[kEights][8], y[kEights][8];
  float y_squares = 0;
#pragma unroll
  for (int e = 0; e < kEights; e++) {
    const int64_t c = (e * int64_t(blockDim.x) + threadIdx.x) * 8;
    if (c >= columns) continue;
    load8(args.x + row * columns + c, x[e]);
    if (!args.y) continue;
    load8(static_cast<const T *>(args.y) + row * columns + c, y[e]);
    const float scale = args.y_row_scale ? args.y_row_scale[row] : 1.f;
#pragma unroll
    for (int i = 0; i < 8; i++) {
      y[e][i] *= scale;
      y_squares += y[e][i] * y[e][i];
    }
  }
  float y_inverse = 1;
  if (args.y && args.post) y_inverse = rsqrtf(block_reduce(y_squares, shared, Add()) / columns + args.epsilon);

  float x_squares = 0;
#pragma unroll
  for (int e = 0; e < kEights; e++) {
    const int64_t c = (e * int64_t(blockDim.x) + threadIdx.x) * 8;
    if (c >= columns) continue;
    if (args.y) {
      float post[8] = {1, 1, 1, 1, 1, 1, 1, 1};
      if (args.post) load8(args.post + c, post);
#pragma unroll
      for (int i = 0; i < 8; i++) x[e][i] += y[e][i] * y_inverse * post[i];
      store8(args.x + row * columns + c, x[e]);
    }
#pragma unroll
    for (int i = 0; i < 8; i++) x_squares += x[e][i] * x[e][i];
  }
  const float scale = rsqrtf(block_reduce(x_squares, shared, Add()) / columns + args.epsilon) * args.h_scale;
#pragma unroll
  for (int e = 0; e < kEights; e++) {
    const int64_t c = (e * int64_t(blockDim.x) + threadIdx.x) * 8;
    if (c >= columns) continue;
    float next[8];
    load8(args.next + c, next);
#pragma unroll
    for (int i = 0; i < 8; i++) x[e][i] *= scale * next[i];
    store8(static_cast<H *>(args.h) + row * columns + c, x[e]);
  }
}

template <typename T, typename H>
void launch(const NormArgs & args, Stream stream) {
  const int64_t eights = args.columns / 8;
  const int threads = threads_for(eights);
  if (eights <= threads) {
    add_norm_kernel<1, T, H><<<args.rows, threads, 0, stream>>>(args);
  } else if (eights <= 2 * threads) {
    add_norm_kernel<2, T, H><<<args.rows, threads, 0, stream>>>(args);
  } else if (eights <= 8 * threads) {
    add_norm_kernel<8, T, H><<<args.rows, threads, 0, stream>>>(args);
  } else {
    throw Error(Code::internal,
                "Expected at most 32768 columns for add_norm but received " + std::to_string(args.columns));
  }
  check_launch("add_norm");
}

template <typename T>
void launch_for(const NormArgs & args, Stream stream) {
  switch (args.h_element) {
    case Element::f32:
      return launch<T, float>(args, stream);
    case Element::f16:
      return launch<T, __half>(args, stream);
    case Element::bf16:
      return launch<T, __nv_bfloat16>(args, stream);
    case Element::e4m3:
      return launch<T, __nv_fp8_e4m3>(args, stream);
  }
}

}  // namespace

void add_norm(const NormArgs & args, Stream stream) {
  if (args.rows == 0) return;
  if (args.element == Element::f16) return launch_for<__half>(args, stream);
  launch_for<__nv_bfloat16>(args, stream);
}

}  // namespace pairscore
