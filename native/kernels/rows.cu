#include "kernels/device.cuh"
#include "kernels/rows.h"

namespace pairscore {
namespace {

constexpr int kThreads = 512;

__global__ void gather_kernel(const uint2 * in, const int32_t * rows, int64_t width, uint2 * out) {
  const uint2 * source = in + rows[blockIdx.x] * width;
  for (int64_t c = threadIdx.x; c < width; c += blockDim.x) out[blockIdx.x * width + c] = source[c];
}

// kEights: groups of 8 columns that one thread holds.
template <int kEights, typename T>
__global__ void __launch_bounds__(kThreads) quantize_rows_kernel(QuantizeRowsArgs args) {
  __shared__ float shared[33];
  const int64_t row = blockIdx.x, columns = args.columns;
  float values[kEights][8], largest = 0;
#pragma unroll
  for (int e = 0; e < kEights; e++) {
    const int64_t c = (e * int64_t(blockDim.x) + threadIdx.x) * 8;
    if (c >= columns) continue;
    load8(static_cast<const T *>(args.in) + row * columns + c, values[e]);
#pragma unroll
    for (int i = 0; i < 8; i++) largest = fmaxf(largest, fabsf(values[e][i]));
  }
  largest = fmaxf(block_reduce(largest, shared, Max()), 1e-12f);
  if (threadIdx.x == 0) args.row_scale[row] = largest / 448.f;
#pragma unroll
  for (int e = 0; e < kEights; e++) {
    const int64_t c = (e * int64_t(blockDim.x) + threadIdx.x) * 8;
    if (c >= columns) continue;
#pragma unroll
    for (int i = 0; i < 8; i++) values[e][i] *= 448.f / largest;
    store8(static_cast<__nv_fp8_e4m3 *>(args.out) + row * columns + c, values[e]);
  }
}

template <typename T>
void launch_rows(const QuantizeRowsArgs & args, Stream stream) {
  const int64_t eights = args.columns / 8;
  const int threads = threads_for(eights);
  if (eights <= threads) {
    quantize_rows_kernel<1, T><<<args.rows, threads, 0, stream>>>(args);
  } else if (eights <= 8 * threads) {
    quantize_rows_kernel<8, T><<<args.rows, threads, 0, stream>>>(args);
  } else {
    throw Error(Code::internal,
                "Expected at most 32768 columns for quantize_rows but received " + std::to_string(args.columns));
  }
  check_launch("quantize_rows");
}

template <typename T>
__global__ void largest_kernel(const T * in, int64_t count, float * largest) {
  __shared__ float shared[33];
  float most = 0;
  for (int64_t i = (blockIdx.x * int64_t(blockDim.x) + threadIdx.x) * 8; i < count;
       i += int64_t(gridDim.x) * blockDim.x * 8) {
    float values[8];
    load8(in + i, values);
#pragma unroll
    for (int k = 0; k < 8; k++) most = fmaxf(most, isfinite(values[k]) ? fabsf(values[k]) : INFINITY);
  }
  most = block_reduce(most, shared, Max());
  // Non-negative floats order as their bits do.
  if (threadIdx.x == 0) atomicMax(reinterpret_cast<int *>(largest), __float_as_int(most));
}

__global__ void scale_kernel(float * scale) { *scale = *scale > 0 ? *scale / 448.f : 1.f; }

template <typename T>
__global__ void quantize_kernel(const T * in, int64_t count, const float * scale, __nv_fp8_e4m3 * out) {
  const int64_t i = (blockIdx.x * int64_t(blockDim.x) + threadIdx.x) * 8;
  if (i >= count) return;
  float values[8];
  load8(in + i, values);
#pragma unroll
  for (int k = 0; k < 8; k++) values[k] /= *scale;
  store8(out + i, values);
}

template <typename T>
void launch_largest(const LargestArgs & args, Stream stream) {
  if (cudaMemsetAsync(args.largest, 0, sizeof(float), stream) != cudaSuccess) check_launch("largest_magnitude");
  largest_kernel<<<1024, 256, 0, stream>>>(static_cast<const T *>(args.in), args.count, args.largest);
  check_launch("largest_magnitude");
}

template <typename T>
void launch_matrix(const QuantizeMatrixArgs & args, Stream stream) {
  const T * in = static_cast<const T *>(args.in);
  launch_largest<T>({args.in, args.count, args.scale, args.element}, stream);
  scale_kernel<<<1, 1, 0, stream>>>(args.scale);
  quantize_kernel<<<(args.count / 8 + 255) / 256, 256, 0, stream>>>(in, args.count, args.scale,
                                                                    static_cast<__nv_fp8_e4m3 *>(args.out));
  check_launch("quantize_matrix");
}

// One block a row and label.
__global__ void head_kernel(HeadArgs args) {
  __shared__ float shared[33];
  const float *hidden = args.hidden + blockIdx.x * args.columns, *weight = args.weight + blockIdx.y * args.columns;
  float sum = 0;
  for (int64_t c = threadIdx.x; c < args.columns; c += blockDim.x) sum += hidden[c] * weight[c];
  sum = block_reduce(sum, shared, Add());
  if (threadIdx.x == 0) args.logits[blockIdx.x * args.labels + blockIdx.y] = sum + args.bias[blockIdx.y];
}

}  // namespace

void gather_rows(const void * in, const int32_t * rows, int64_t count, int64_t bytes, void * out, Stream stream) {
  if (count == 0) return;
  gather_kernel<<<count, 256, 0, stream>>>(static_cast<const uint2 *>(in), rows, bytes / 8, static_cast<uint2 *>(out));
  check_launch("gather_rows");
}

void quantize_rows(const QuantizeRowsArgs & args, Stream stream) {
  if (args.rows == 0) return;
  if (args.element == Element::f16) return launch_rows<__half>(args, stream);
  launch_rows<__nv_bfloat16>(args, stream);
}

void largest_magnitude(const LargestArgs & args, Stream stream) {
  if (args.element == Element::f16) return launch_largest<__half>(args, stream);
  launch_largest<__nv_bfloat16>(args, stream);
}

void quantize_matrix(const QuantizeMatrixArgs & args, Stream stream) {
  if (args.element == Element::f16) return launch_matrix<__half>(args, stream);
  launch_matrix<__nv_bfloat16>(args, stream);
}

void head(const HeadArgs & args, Stream stream) {
  if (args.rows == 0) return;
  head_kernel<<<dim3(static_cast<unsigned>(args.rows), args.labels), 256, 0, stream>>>(args);
  check_launch("head");
}

}  // namespace pairscore
