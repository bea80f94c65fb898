// Helpers of every .cu: attributes of the device, conversions, shared addresses, 8-element vectors, block sums, launch checks.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>
#include <cuda_runtime.h>

#include <cstdint>
#include <string>

#include "error.h"
#include "kernels/stream.h"

namespace pairscore {

inline void check_launch(const char * kernel) {
  const cudaError_t status = cudaGetLastError();
  if (status == cudaSuccess) return;
  throw Error(Code::device_failed,
              std::string("Expected kernel ") + kernel + " to launch but received: " + cudaGetErrorString(status));
}

// Of the current device.
inline int device_attribute(cudaDeviceAttr which) {
  int device = 0, value = 0;
  cudaError_t status = cudaGetDevice(&device);
  if (status == cudaSuccess) status = cudaDeviceGetAttribute(&value, which, device);
  if (status == cudaSuccess) return value;
  throw Error(Code::device_failed,
              std::string("Expected an attribute of the device but received: ") + cudaGetErrorString(status));
}

__device__ inline float widen(float x) { return x; }
__device__ inline float widen(__half x) { return __half2float(x); }
__device__ inline float widen(__nv_bfloat16 x) { return __bfloat162float(x); }

template <typename T>
__device__ inline T narrow(float x);
template <>
__device__ inline float narrow<float>(float x) {
  return x;
}
template <>
__device__ inline __half narrow<__half>(float x) {
  return __float2half_rn(x);
}
template <>
__device__ inline __nv_bfloat16 narrow<__nv_bfloat16>(float x) {
  return __float2bfloat16_rn(x);
}
// Saturates at 448: e4m3 has no infinity. NaN stays NaN.
template <>
__device__ inline __nv_fp8_e4m3 narrow<__nv_fp8_e4m3>(float x) {
  return __nv_fp8_e4m3(x);
}

// Both to about 2^-22, without the handling of tiny numbers.
__device__ inline float exp2_fast(float x) {
  float y;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

__device__ inline float reciprocal_fast(float x) {
  float y;
  asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(y) : "f"(x));
  return y;
}

// From here on T holds infinity, being rounded to nearest.
template <typename T>
constexpr float kOverflow = 3.3961775e38f;
template <>
constexpr float kOverflow<__half> = 65520.f;

// NaN in place of what T would hold as infinity. q and k need it: a score of -inf hides a key and one of +inf ends at the
// soft-cap, and both would look like answers; NaN reaches the logits of every row that depends on it.
template <typename T>
__device__ inline float in_range(float x) {
  return fabsf(x) < kOverflow<T> ? x : NAN;
}

template <typename T>
struct alignas(sizeof(T) * 8 > 16 ? 16 : sizeof(T) * 8) Eight {
  T value[8];
};

// source: 8 values, aligned to their own size (16 bytes at most).
template <typename T>
__device__ inline void load8(const T * source, float (&values)[8]) {
  const Eight<T> eight = *reinterpret_cast<const Eight<T> *>(source);
#pragma unroll
  for (int i = 0; i < 8; i++) values[i] = widen(eight.value[i]);
}

// The same of 16-bit values that nobody reads again: L2 gives them up first.
template <typename T>
__device__ inline void load8_once(const T * source, float (&values)[8]) {
  const uint4 raw = __ldcs(reinterpret_cast<const uint4 *>(source));
  const Eight<T> & eight = reinterpret_cast<const Eight<T> &>(raw);
#pragma unroll
  for (int i = 0; i < 8; i++) values[i] = widen(eight.value[i]);
}

template <typename T>
__device__ inline void store8(T * target, const float (&values)[8]) {
  Eight<T> eight;
#pragma unroll
  for (int i = 0; i < 8; i++) eight.value[i] = narrow<T>(values[i]);
  *reinterpret_cast<Eight<T> *>(target) = eight;
}

__device__ inline uint32_t shared_address(const void * p) { return static_cast<uint32_t>(__cvta_generic_to_shared(p)); }

// Two 16-bit values, a in the lower half.
template <typename T>
__device__ inline uint32_t pack2(float a, float b);
template <>
__device__ inline uint32_t pack2<__half>(float a, float b) {
  const __half2 pair = __floats2half2_rn(a, b);
  return *reinterpret_cast<const uint32_t *>(&pair);
}
template <>
__device__ inline uint32_t pack2<__nv_bfloat16>(float a, float b) {
  const __nv_bfloat162 pair = __floats2bfloat162_rn(a, b);
  return *reinterpret_cast<const uint32_t *>(&pair);
}

// Eight 16-bit values, rounded.
template <typename T>
__device__ inline uint4 pack8(const float (&x)[8]) {
  return make_uint4(pack2<T>(x[0], x[1]), pack2<T>(x[2], x[3]), pack2<T>(x[4], x[5]), pack2<T>(x[6], x[7]));
}

struct Add {
  __device__ float operator()(float a, float b) const { return a + b; }
};
struct Max {
  __device__ float operator()(float a, float b) const { return fmaxf(a, b); }
};

// The same result in every thread of the block. shared: 33 floats; a multiple of 32 threads; identity 0 for both operations.
template <typename Operation>
__device__ inline float block_reduce(float x, float * shared, Operation operation) {
  for (int offset = 16; offset > 0; offset /= 2) x = operation(x, __shfl_xor_sync(0xffffffffu, x, offset));
  const int warps = blockDim.x / 32, warp = threadIdx.x / 32, lane = threadIdx.x % 32;
  __syncthreads();  // the previous reduction's readers
  if (lane == 0) shared[warp] = x;
  __syncthreads();
  x = lane < warps ? shared[lane] : 0.f;
  for (int offset = 16; offset > 0; offset /= 2) x = operation(x, __shfl_xor_sync(0xffffffffu, x, offset));
  return x;
}

inline int threads_for(int64_t items) {
  const int64_t rounded = (items + 31) / 32 * 32;
  return static_cast<int>(rounded < 32 ? 32 : rounded > 512 ? 512 : rounded);
}

}  // namespace pairscore
