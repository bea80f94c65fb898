// wgmma (sm_90a): products of a warpgroup with operands in shared memory, in the 128-byte swizzle.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>

#include <cstdint>
#include <type_traits>

#if defined(__CUDA_ARCH_FEAT_SM90_ALL)
#define PAIRSCORE_WGMMA 1
#else
#define PAIRSCORE_WGMMA 0
#endif

namespace pairscore {

// Of an operand at a shared address: rows (or columns, when transposed) in groups of 8 that lie stride_bytes apart; panels of
// 64 values that lie panel_bytes apart.
__device__ inline uint64_t wgmma_operand(uint32_t address, int panel_bytes, int stride_bytes) {
  return uint64_t(address >> 4 & 0x3fff) | uint64_t(panel_bytes >> 4) << 16 | uint64_t(stride_bytes >> 4) << 32 |
         uint64_t(1) << 62;
}

#if PAIRSCORE_WGMMA
__device__ inline void wgmma_begin() { asm volatile("wgmma.fence.sync.aligned;" ::: "memory"); }

// Ends a batch of products.
__device__ inline void wgmma_commit() { asm volatile("wgmma.commit_group.sync.aligned;" ::: "memory"); }

// Waits until all but the latest kPending batches are over: their accumulators may be read then.
template <int kPending>
__device__ inline void wgmma_wait() {
  asm volatile("wgmma.wait_group.sync.aligned %0;" ::"n"(kPending) : "memory");
}

// Keeps the compiler from moving accumulators across the asynchronous products.
template <int kTiles>
__device__ inline void wgmma_pin(float (&c)[kTiles][4]) {
#pragma unroll
  for (int n = 0; n < kTiles; n++) {
#pragma unroll
    for (int i = 0; i < 4; i++) asm volatile("" : "+f"(c[n][i])::"memory");
  }
}

// Makes what this thread wrote to shared memory visible to products and to the copy engine, which a barrier of the threads
// concerned must follow.
__device__ inline void wgmma_publish() { asm volatile("fence.proxy.async.shared::cta;" ::: "memory"); }

// The sums of a thread, as operands of one instruction: their names in it, and what they are. A group is 8 columns.
#define PAIRSCORE_NAMES_8                                                                                              \
  "%0,%1,%2,%3,%4,%5,%6,%7,%8,%9,%10,%11,%12,%13,%14,%15,%16,%17,%18,%19,%20,%21,%22,%23,%24,%25,%26,%27,%28,%29,%30," \
  "%31"
#define PAIRSCORE_NAMES_16                                                                                        \
  PAIRSCORE_NAMES_8                                                                                               \
  ","                                                                                                             \
  "%32,%33,%34,%35,%36,%37,%38,%39,%40,%41,%42,%43,%44,%45,%46,%47,%48,%49,%50,%51,%52,%53,%54,%55,%56,%57,%58,%" \
  "59,%60,%61,%62,%63"
#define PAIRSCORE_NAMES_32                                                                                        \
  PAIRSCORE_NAMES_16                                                                                              \
  ","                                                                                                             \
  "%64,%65,%66,%67,%68,%69,%70,%71,%72,%73,%74,%75,%76,%77,%78,%79,%80,%81,%82,%83,%84,%85,%86,%87,%88,%89,%90,%" \
  "91,%92,%93,%94,%95,"                                                                                           \
  "%96,%97,%98,%99,%100,%101,%102,%103,%104,%105,%106,%107,%108,%109,%110,%111,%112,%113,%114,%115,%116,%117,%"   \
  "118,%119,%120,%121,%122,%123,%124,%125,%126,%127"
#define PAIRSCORE_SUMS_1(c, n) "+f"(c[n][0]), "+f"(c[n][1]), "+f"(c[n][2]), "+f"(c[n][3])
#define PAIRSCORE_SUMS_4(c, n) \
  PAIRSCORE_SUMS_1(c, n), PAIRSCORE_SUMS_1(c, n + 1), PAIRSCORE_SUMS_1(c, n + 2), PAIRSCORE_SUMS_1(c, n + 3)
#define PAIRSCORE_SUMS_8(c, n) PAIRSCORE_SUMS_4(c, n), PAIRSCORE_SUMS_4(c, n + 4)
#define PAIRSCORE_SUMS_16(c, n) PAIRSCORE_SUMS_8(c, n), PAIRSCORE_SUMS_8(c, n + 8)
#define PAIRSCORE_SUMS_32(c, n) PAIRSCORE_SUMS_16(c, n), PAIRSCORE_SUMS_16(c, n + 16)

// The products of one width (columns: 8 groups' worth) and type; o0 to o4: numbers of the operands after the sums.
// wgmma_rows: c (64, columns) = or += a (64, 16) b (columns, 16)^T, both with their 16 values contiguous.
// wgmma_columns: c (64, columns) += a (64, 16), in registers, times b (16, columns) with its columns contiguous.
#define PAIRSCORE_PRODUCTS(T, type, groups, columns, o0, o1, o2, o3, o4)                                               \
  __device__ inline void wgmma_rows(float(&c)[groups][4], uint64_t a, uint64_t b, int accumulate, const T *) {         \
    asm volatile("{\n.reg .pred p;\nsetp.ne.b32 p, %" #o2                                                              \
                 ", 0;\n"                                                                                              \
                 "wgmma.mma_async.sync.aligned.m64n" #columns "k16.f32." #type "." #type " {" PAIRSCORE_NAMES_##groups \
                 "}, %" #o0 ", %" #o1 ", p, 1, 1, 0, 0;\n}"                                                            \
                 : PAIRSCORE_SUMS_##groups(c, 0)                                                                       \
                 : "l"(a), "l"(b), "r"(accumulate));                                                                   \
  }                                                                                                                    \
  __device__ inline void wgmma_columns(float(&c)[groups][4], const uint32_t(&a)[4], uint64_t b, const T *) {           \
    asm volatile("wgmma.mma_async.sync.aligned.m64n" #columns "k16.f32." #type "." #type " {" PAIRSCORE_NAMES_##groups \
                 "}, {%" #o0 ",%" #o1 ",%" #o2 ",%" #o3 "}, %" #o4 ", 1, 1, 1, 1;"                                     \
                 : PAIRSCORE_SUMS_##groups(c, 0)                                                                       \
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "l"(b));                                                \
  }
#define PAIRSCORE_PRODUCTS_OF(T, type)                     \
  PAIRSCORE_PRODUCTS(T, type, 8, 64, 32, 33, 34, 35, 36)   \
  PAIRSCORE_PRODUCTS(T, type, 16, 128, 64, 65, 66, 67, 68) \
  PAIRSCORE_PRODUCTS(T, type, 32, 256, 128, 129, 130, 131, 132)

PAIRSCORE_PRODUCTS_OF(__nv_bfloat16, bf16)
PAIRSCORE_PRODUCTS_OF(__half, f16)

#undef PAIRSCORE_PRODUCTS_OF
#undef PAIRSCORE_PRODUCTS
#undef PAIRSCORE_SUMS_32
#undef PAIRSCORE_SUMS_16
#undef PAIRSCORE_SUMS_8
#undef PAIRSCORE_SUMS_4
#undef PAIRSCORE_SUMS_1
#undef PAIRSCORE_NAMES_32
#undef PAIRSCORE_NAMES_16
#undef PAIRSCORE_NAMES_8
#endif

}  // namespace pairscore
