// Few threads take a row and hold many columns each, so that many rows are on their way at once and few threads wait for each
// other. Values stay in registers between the passes, as they are stored until they are used.
#include "kernels/norm.h"
#include "kernels/residual.cuh"

namespace pairscore {
namespace {

constexpr int kMostEights = 8;                    // groups of 8 columns that one thread holds
constexpr int kThreads = 64, kMostThreads = 512;  // of a row: as usual, and of wide rows
constexpr int kFewColumns = kThreads * 8;

// Eight columns of a row, as they are stored.
template <typename T>
struct Stored {
  Residual8 x;
  Eight<T> y;
};

template <int kEights, typename T, typename H>
struct AddNorm {
  const NormArgs & args;
  const int64_t row, columns;
  char * const residual;
  float * const shared;
  float x[kEights][8];

  __device__ AddNorm(const NormArgs & a, float * s)
      : args(a),
        row(blockIdx.x),
        columns(a.columns),
        residual(static_cast<char *>(a.x) + row * residual_row_bytes(columns)),
        shared(s) {}

  __device__ int64_t column(int e) const { return (e * int64_t(blockDim.x) + threadIdx.x) * 8; }

  __device__ float inverse_rms(float squares) const {
    return rsqrtf(block_reduce(squares, shared, Add()) / columns + args.epsilon);
  }

  __device__ float load() {
    Stored<T> stored[kEights];
#pragma unroll
    for (int e = 0; e < kEights; e++) {
      const int64_t c = column(e);
      if (c >= columns) continue;
      stored[e].x = load_residual8(residual, columns, c);
      if (args.y) stored[e].y = *reinterpret_cast<const Eight<T> *>(static_cast<const T *>(args.y) + row * columns + c);
    }
    const float y_scale = args.y_row_scale ? args.y_row_scale[row] : 1.f;
    float y_inverse = y_scale;
    if (args.y && args.post) y_inverse *= inverse_rms(y_scale * y_scale * squares_of(stored));
    float squares = 0;
#pragma unroll
    for (int e = 0; e < kEights; e++) {
      const int64_t c = column(e);
      if (c >= columns) continue;
      widen_residual8(stored[e].x, x[e]);
      if (args.y) add(stored[e].y, y_inverse, c, x[e]);
#pragma unroll
      for (int i = 0; i < 8; i++) squares += x[e][i] * x[e][i];
    }
    return squares;
  }

  __device__ float squares_of(const Stored<T> (&stored)[kEights]) const {
    float squares = 0;
#pragma unroll
    for (int e = 0; e < kEights; e++) {
      if (column(e) >= columns) continue;
#pragma unroll
      for (int i = 0; i < 8; i++) squares += widen(stored[e].y.value[i]) * widen(stored[e].y.value[i]);
    }
    return squares;
  }

  __device__ void add(const Eight<T> & y, float y_inverse, int64_t c, float (&into)[8]) const {
    float post[8] = {1, 1, 1, 1, 1, 1, 1, 1};
    if (args.post) load8(args.post + c, post);
#pragma unroll
    for (int i = 0; i < 8; i++) into[i] += widen(y.value[i]) * y_inverse * post[i];
    store_residual8(residual, columns, c, into);
  }

  __device__ void run() {
    const float scale = inverse_rms(load()) * args.h_scale;
#pragma unroll
    for (int e = 0; e < kEights; e++) {
      const int64_t c = column(e);
      if (c >= columns) continue;
      float weights[8];
      load8(args.next + c, weights);
#pragma unroll
      for (int i = 0; i < 8; i++) x[e][i] *= scale * weights[i];
      store8(static_cast<H *>(args.h) + row * columns + c, x[e]);
    }
  }
};

template <int kEights, int kBlock, typename T, typename H>
__global__ void __launch_bounds__(kBlock) add_norm_kernel(const NormArgs args) {
  __shared__ float shared[33];
  AddNorm<kEights, T, H>(args, shared).run();
}

template <typename T, typename H>
void launch(const NormArgs & args, Stream stream) {
  const auto rows = static_cast<unsigned>(args.rows);
  if (args.columns <= kFewColumns) {
    add_norm_kernel<1, kThreads, T, H><<<rows, kThreads, 0, stream>>>(args);
  } else if (args.columns <= kFewColumns * kMostEights) {
    add_norm_kernel<kMostEights, kThreads, T, H><<<rows, kThreads, 0, stream>>>(args);
  } else if (args.columns <= kMostThreads * 8 * kMostEights) {
    const int threads = threads_for((args.columns / 8 + kMostEights - 1) / kMostEights);
    add_norm_kernel<kMostEights, kMostThreads, T, H><<<rows, threads, 0, stream>>>(args);
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
