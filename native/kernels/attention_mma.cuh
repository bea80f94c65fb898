// What the attention kernel is made of: tensor-core products, swizzled tiles in shared memory, asynchronous copies.
#pragma once

#include "kernels/attention.h"
#include "kernels/device.cuh"

namespace pairscore {

// c (16, 8) += a (16, 16) b (16, 8); fragments as PTX lays them out.
template <typename T, AttentionPath P>
__device__ inline void multiply_add(float (&c)[4], const uint32_t (&a)[4], uint32_t b0, uint32_t b1) {
  if constexpr (P == AttentionPath::turing) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[0]), "r"(a[1]), "r"(b0));
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5}, {%6}, {%0,%1,%2,%3};"
                 : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
                 : "r"(a[2]), "r"(a[3]), "r"(b1));
  } else if constexpr (sizeof(T) == 2) {
#if __CUDA_ARCH__ >= 800
    if constexpr (std::is_same<T, __half>::value) {
      asm volatile(
          "mma.sync.aligned.m16n8k16.row.col.f32.f16.f16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
          : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    } else {
      asm volatile(
          "mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
          : "+f"(c[0]), "+f"(c[1]), "+f"(c[2]), "+f"(c[3])
          : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
    }
#else
    __trap();
#endif
  }
}

__device__ inline void load_matrices(uint32_t (&r)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address));
}

__device__ inline void load_matrices_transposed(uint32_t (&r)[4], uint32_t address) {
  asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
               : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3])
               : "r"(address));
}

// Copies 16 bytes to shared memory, or zeros.
template <AttentionPath P>
__device__ inline void copy16(void * target, const void * source, bool present) {
#if __CUDA_ARCH__ >= 800
  if constexpr (P == AttentionPath::ampere) {
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(target)), "l"(source),
                 "r"(present ? 16 : 0));
    return;
  }
#endif
  *static_cast<uint4 *>(target) = present ? *static_cast<const uint4 *>(source) : make_uint4(0, 0, 0, 0);
}

template <AttentionPath P>
__device__ inline void finish_copies() {
#if __CUDA_ARCH__ >= 800
  if constexpr (P == AttentionPath::ampere) asm volatile("cp.async.wait_all;");
#endif
  __syncthreads();
}

// Element offset of a 16-byte chunk of a tile row: rows of kSize elements, chunks swapped so that 8 rows meet no bank twice.
template <int kSize>
__device__ inline int swizzled(int row, int chunk) {
  return row * kSize + ((chunk ^ (row & 7)) << 3);
}

// limit * tanh(x * before / (2 log2 e)).
__device__ inline float capped(float x, float limit, float before) {
  return fmaf(-2.f * limit, reciprocal_fast(exp2_fast(x * before) + 1.f), limit);
}

}  // namespace pairscore
