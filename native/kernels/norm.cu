// One block a row; each thread keeps its values of the row in registers between the passes.
#include "kernels/norm.h"
#include "kernels/residual.cuh"

namespace pairscore {
namespace {

constexpr int kMostThreads = 512;

// This block's row. From the last on: the product before ended there, so that its y is still in L2, and the next begins at
// the first.
__device__ int64_t own_row(const NormArgs & args) { return args.rows - 1 - blockIdx.x; }

// A row of the residual stream in either form.
struct ResidualRow {
  float * const whole;
  const int64_t columns;

  __device__ explicit ResidualRow(const NormArgs & args)
      : whole(args.x + own_row(args) * args.columns), columns(args.columns) {}
  __device__ uint2 * remainder(int64_t column) const {
    return reinterpret_cast<uint2 *>(reinterpret_cast<char *>(whole) + column);
  }
  __device__ float * rms() const { return reinterpret_cast<float *>(remainder(columns)); }
};

// Eight columns of one thread.
struct Columns8 {
  float x[8], y[8];
};

__device__ float squares8(const float (&values)[8]) {
  float sum = 0;
#pragma unroll
  for (int i = 0; i < 8; i++) sum += values[i] * values[i];
  return sum;
}

// x out of what the norm before left, and y. All loads come before the first use of one.
template <typename T>
__device__ void join_row8(const NormArgs & args, int64_t c, Columns8 & it) {
  const ResidualRow residual(args);
  const int64_t at = own_row(args) * args.columns + c;
  Split8 split;
  split.high = __ldcs(reinterpret_cast<const uint4 *>(static_cast<const T *>(args.h_before) + at));
  split.remainder = __ldcs(residual.remainder(c));
  float next[8];
  load8(args.next_before + c, next);
  load8_once(static_cast<const T *>(args.y) + at, it.y);
  const float rms = *residual.rms();
  join8<T>(split, it.x);
#pragma unroll
  for (int i = 0; i < 8; i++) it.x[i] *= rms * reciprocal_fast(next[i]);
}

// x as it is, and y where there is one.
template <typename T>
__device__ void load_row8(const NormArgs & args, int64_t c, Columns8 & it) {
  const int64_t at = own_row(args) * args.columns + c;
  load8(args.x + at, it.x);
  if (!args.y) return;
  load8_once(static_cast<const T *>(args.y) + at, it.y);
  const float scale = args.y_row_scale ? args.y_row_scale[own_row(args)] : 1.f;
#pragma unroll
  for (int i = 0; i < 8; i++) it.y[i] *= scale;
}

__device__ void add_row8(const NormArgs & args, int64_t c, float y_inverse, Columns8 & it) {
  float post[8] = {1, 1, 1, 1, 1, 1, 1, 1};
  if (args.post) load8(args.post + c, post);
#pragma unroll
  for (int i = 0; i < 8; i++) it.x[i] += it.y[i] * y_inverse * post[i];
}

template <typename H>
__device__ void split_row8(H * h, uint2 * remainder, const float (&values)[8], bool finite) {
  Split8 split = split8<H>(values);
  const uint32_t poison = finite ? 0 : 0x7fff7fffu;  // NaN in both types
  split.high.x |= poison, split.high.y |= poison, split.high.z |= poison, split.high.w |= poison;
  *reinterpret_cast<uint4 *>(h) = split.high;
  *remainder = split.remainder;
}

// kEights: groups of 8 columns that one thread holds. Where x comes as a remainder there is a y without row scales.
template <int kEights, typename T, typename H, Residual kBefore, Residual kAfter>
__global__ void __launch_bounds__(kMostThreads, kEights == 1 ? 3 : 1) add_norm_kernel(NormArgs args) {
  __shared__ float shared[33];
  constexpr bool kJoins = kBefore == Residual::remainder, kSplits = kAfter == Residual::remainder;
  const int64_t columns = args.columns;
  const ResidualRow residual(args);
  const bool adds = kJoins || args.y;
  Columns8 eights[kEights];
  float y_squares = 0, x_squares = 0;
  const auto each = [&](auto work) {
#pragma unroll
    for (int e = 0; e < kEights; e++) {
      const int64_t c = (e * int64_t(blockDim.x) + threadIdx.x) * 8;
      if (c < columns) work(c, eights[e]);
    }
  };
  each([&](int64_t c, Columns8 & it) {
    kJoins ? join_row8<T>(args, c, it) : load_row8<T>(args, c, it);
    if (adds) y_squares += squares8(it.y);
  });
  if constexpr (kJoins && !kSplits) __syncthreads();  // whole rows lie where others still read remainders
  float y_inverse = 1;
  if (adds && args.post) y_inverse = rsqrtf(block_reduce(y_squares, shared, Add()) / columns + args.epsilon);
  each([&](int64_t c, Columns8 & it) {
    if (adds) {
      add_row8(args, c, y_inverse, it);
      if constexpr (!kSplits) store8(residual.whole + c, it.x);
    }
    x_squares += squares8(it.x);
  });
  const float inverse = rsqrtf(block_reduce(x_squares, shared, Add()) / columns + args.epsilon);
  const bool finite = inverse > 0 && inverse < INFINITY;
  const float scale = inverse * args.h_scale;
  each([&](int64_t c, Columns8 & it) {
    float next[8];
    load8(args.next + c, next);
#pragma unroll
    for (int i = 0; i < 8; i++) it.x[i] *= scale * next[i];
    H * h = static_cast<H *>(args.h) + own_row(args) * columns + c;
    if constexpr (kSplits) {
      split_row8(h, residual.remainder(c), it.x, finite);
    } else {
      store8(h, it.x);
    }
  });
  if (kSplits && threadIdx.x == 0) *residual.rms() = finite ? 1.f / inverse : NAN;
}

template <typename T, typename H, Residual kBefore, Residual kAfter>
void launch(const NormArgs & args, Stream stream) {
  const int64_t eights = args.columns / 8;
  const int threads = threads_for(eights);
  if (eights <= threads) {
    add_norm_kernel<1, T, H, kBefore, kAfter><<<args.rows, threads, 0, stream>>>(args);
  } else if (eights <= 2 * threads) {
    add_norm_kernel<2, T, H, kBefore, kAfter><<<args.rows, threads, 0, stream>>>(args);
  } else if (eights <= 8 * threads) {
    add_norm_kernel<8, T, H, kBefore, kAfter><<<args.rows, threads, 0, stream>>>(args);
  } else {
    throw Error(Code::internal,
                "Expected at most 32768 columns for add_norm but received " + std::to_string(args.columns));
  }
  check_launch("add_norm");
}

void expect(bool holds, const char * expected, const char * received) {
  if (!holds) throw Error(Code::internal, std::string("Expected ") + expected + " but received " + received);
}

void check(const NormArgs & args) {
  const bool wide = args.h_element == Element::f16 || args.h_element == Element::bf16;
  expect(!wide || args.h_element == args.element, "add_norm's y and h in one 16-bit type", "two");
  if (args.before == Residual::remainder) {
    expect(args.h_before && args.next_before, "what left add_norm's remainder", "null");
    expect(args.y && !args.y_row_scale, "a y without scales beside add_norm's remainder", "none, or scales");
    expect(args.h_element != Element::e4m3, "no e4m3 out of add_norm's remainder", "e4m3");
  }
  if (args.after == Residual::remainder)
    expect(wide && args.h_scale == 1, "an h in 16 bits, unscaled, where add_norm leaves a remainder", "another");
}

template <typename T, typename H, Residual kBefore>
void launch_before(const NormArgs & args, Stream stream) {
  if constexpr (sizeof(H) == 2) {
    if (args.after == Residual::remainder) return launch<T, H, kBefore, Residual::remainder>(args, stream);
  }
  launch<T, H, kBefore, Residual::whole>(args, stream);
}

template <typename T>
void launch_for(const NormArgs & args, Stream stream) {
  const bool whole = args.before == Residual::whole;
  switch (args.h_element) {
    case Element::e4m3:
      return launch<T, __nv_fp8_e4m3, Residual::whole, Residual::whole>(args, stream);
    case Element::f32:
      return whole ? launch_before<T, float, Residual::whole>(args, stream)
                   : launch_before<T, float, Residual::remainder>(args, stream);
    case Element::f16:
    case Element::bf16:
      return whole ? launch_before<T, T, Residual::whole>(args, stream)
                   : launch_before<T, T, Residual::remainder>(args, stream);
  }
}

}  // namespace

void add_norm(const NormArgs & args, Stream stream) {
  if (args.rows == 0) return;
  check(args);
  if (args.element == Element::f16) return launch_for<__half>(args, stream);
  launch_for<__nv_bfloat16>(args, stream);
}

}  // namespace pairscore
