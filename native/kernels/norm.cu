// Blocks walk over rows. Each thread keeps its values of a row in registers between the passes, and has its part of the next row
// on the way meanwhile: otherwise memory rests while a block adds up.
#include "kernels/norm.h"

#include <algorithm>

#include "kernels/residual.cuh"

namespace pairscore {
namespace {

constexpr int kMostThreads = 512;
constexpr int kBlocks = 2;  // of a multiprocessor

// Eight columns of a row, as they are stored.
template <typename T>
struct Stored {
  Residual8 x;
  Eight<T> y;
};

// kEights: groups of 8 columns that one thread holds.
template <int kEights, typename T, typename H>
struct AddNorm {
  static constexpr bool kAhead = kEights <= 2;  // more do not fit into registers twice

  const NormArgs & args;
  float * const shared;
  Stored<T> next[kEights];
  float x[kEights][8], y[kEights][8];

  __device__ AddNorm(const NormArgs & a, float * s) : args(a), shared(s) {}

  __device__ int64_t column(int e) const { return (e * int64_t(blockDim.x) + threadIdx.x) * 8; }
  __device__ char * residual(int64_t row) const {
    return static_cast<char *>(args.x) + row * residual_row_bytes(args.columns);
  }

  __device__ void bring(int64_t row) {
#pragma unroll
    for (int e = 0; e < kEights; e++) {
      const int64_t c = column(e);
      if (c >= args.columns) continue;
      next[e].x = load_residual8(residual(row), args.columns, c);
      if (args.y)
        next[e].y = *reinterpret_cast<const Eight<T> *>(static_cast<const T *>(args.y) + row * args.columns + c);
    }
  }

  __device__ void unpack(int64_t row) {
    const float scale = args.y_row_scale ? args.y_row_scale[row] : 1.f;
#pragma unroll
    for (int e = 0; e < kEights; e++) {
      widen_residual8(next[e].x, x[e]);
#pragma unroll
      for (int i = 0; i < 8; i++) y[e][i] = widen(next[e].y.value[i]) * scale;
    }
  }

  __device__ float inverse_rms(const float (&values)[kEights][8]) const {
    float squares = 0;
#pragma unroll
    for (int e = 0; e < kEights; e++) {
      if (column(e) >= args.columns) continue;
#pragma unroll
      for (int i = 0; i < 8; i++) squares += values[e][i] * values[e][i];
    }
    return rsqrtf(block_reduce(squares, shared, Add()) / args.columns + args.epsilon);
  }

  __device__ void add(int64_t row) {
    const float y_inverse = args.post ? inverse_rms(y) : 1.f;
#pragma unroll
    for (int e = 0; e < kEights; e++) {
      const int64_t c = column(e);
      if (c >= args.columns) continue;
      float post[8] = {1, 1, 1, 1, 1, 1, 1, 1};
      if (args.post) load8(args.post + c, post);
#pragma unroll
      for (int i = 0; i < 8; i++) x[e][i] += y[e][i] * y_inverse * post[i];
      store_residual8(residual(row), args.columns, c, x[e]);
    }
  }

  __device__ void store(int64_t row) {
    const float scale = inverse_rms(x) * args.h_scale;
#pragma unroll
    for (int e = 0; e < kEights; e++) {
      const int64_t c = column(e);
      if (c >= args.columns) continue;
      float weights[8];
      load8(args.next + c, weights);
#pragma unroll
      for (int i = 0; i < 8; i++) x[e][i] *= scale * weights[i];
      store8(static_cast<H *>(args.h) + row * args.columns + c, x[e]);
    }
  }

  __device__ void run() {
    const int64_t step = gridDim.x;
    if (kAhead) bring(blockIdx.x);
    for (int64_t row = blockIdx.x; row < args.rows; row += step) {
      if (!kAhead) bring(row);
      unpack(row);
      if (kAhead && row + step < args.rows) bring(row + step);
      if (args.y) add(row);
      store(row);
    }
  }
};

template <int kEights, typename T, typename H>
__global__ void __launch_bounds__(kMostThreads, kEights == 1 ? kBlocks : 1) add_norm_kernel(const NormArgs args) {
  __shared__ float shared[33];
  AddNorm<kEights, T, H>(args, shared).run();
}

int multiprocessors() {
  int device = 0, count = 0;
  if (cudaGetDevice(&device) != cudaSuccess ||
      cudaDeviceGetAttribute(&count, cudaDevAttrMultiProcessorCount, device) != cudaSuccess)
    check_launch("add_norm");
  return count;
}

template <typename T, typename H>
void launch(const NormArgs & args, Stream stream) {
  const int64_t eights = args.columns / 8;
  const int threads = threads_for(eights);
  const auto blocks = [&](int each) {
    return static_cast<unsigned>(std::min<int64_t>(args.rows, int64_t(multiprocessors()) * each));
  };
  if (eights <= threads) {
    // Narrow rows leave room for more blocks.
    add_norm_kernel<1, T, H><<<blocks(kBlocks * kMostThreads / threads), threads, 0, stream>>>(args);
  } else if (eights <= 2 * threads) {
    add_norm_kernel<2, T, H><<<blocks(1), threads, 0, stream>>>(args);
  } else if (eights <= 8 * threads) {
    add_norm_kernel<8, T, H><<<blocks(1), threads, 0, stream>>>(args);
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
