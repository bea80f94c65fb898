// One block a row; each thread keeps its values of the row in registers between the passes.
#include "kernels/device.cuh"
#include "kernels/norm.h"

namespace pairscore {
namespace {

constexpr int kMostThreads = 512;

__device__ void add_scaled(const float (&y)[8], float factor, const float * post, int64_t column, float (&x)[8]) {
  float weight[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  if (post) load8(post + column, weight);
#pragma unroll
  for (int i = 0; i < 8; i++) x[i] += y[i] * factor * weight[i];
}

template <typename T>
__device__ void add_owed(const OwedSum & owed, int64_t first, int64_t column, float factor, float (&x)[8]) {
  float y[8];
  load8(static_cast<const T *>(owed.y) + first + column, y);
  add_scaled(y, factor, owed.post, column, x);
}

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
    if (args.y) load8(static_cast<const T *>(args.y) + row * columns + c, y[e]);
    if (args.owed.y) add_owed<T>(args.owed, row * columns, c, args.owed.factor[row], x[e]);
    if (!args.y) continue;
#pragma unroll
    for (int i = 0; i < 8; i++) y_squares += y[e][i] * y[e][i];
  }
  float y_factor = args.y && args.y_row_scale ? args.y_row_scale[row] : 1.f;
  if (args.y && args.post)
    y_factor *= rsqrtf(y_factor * y_factor * block_reduce(y_squares, shared, Add()) / columns + args.epsilon);
  if (args.put_off && threadIdx.x == 0) args.put_off[row] = y_factor;

  float x_squares = 0;
#pragma unroll
  for (int e = 0; e < kEights; e++) {
    const int64_t c = (e * int64_t(blockDim.x) + threadIdx.x) * 8;
    if (c >= columns) continue;
    if (args.y) {
      add_scaled(y[e], y_factor, args.post, c, x[e]);
      if (!args.put_off) store8(args.x + row * columns + c, x[e]);
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
