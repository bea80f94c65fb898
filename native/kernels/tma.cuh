// The copy engine of sm_90: boxes of a matrix to and from shared memory, barriers that count their bytes, clusters of blocks.
#pragma once

#include <cuda.h>

#include <cstdint>

namespace pairscore {

__device__ inline uint32_t cluster_rank() {
  uint32_t rank;
  asm volatile("mov.u32 %0, %%cluster_ctarank;" : "=r"(rank));
  return rank;
}

// Of all threads of the cluster; what they wrote before is there for all after.
__device__ inline void cluster_meet() {
  asm volatile("barrier.cluster.arrive.release;\nbarrier.cluster.wait.acquire;" ::: "memory");
}

// Where a ring of slots turns.
template <int kSlots>
struct Ring {
  int slot = 0, parity = 0;

  __device__ void advance() {
    slot = slot + 1 == kSlots ? 0 : slot + 1;
    parity ^= slot == 0;
  }
};

__device__ inline void barrier_init(uint32_t barrier, int arrivals) {
  asm volatile("mbarrier.init.shared::cta.b64 [%0], %1;" ::"r"(barrier), "r"(arrivals) : "memory");
}

// Makes barriers known to the copy engine and to other blocks, which a meeting of all who use them must follow.
__device__ inline void barrier_publish() {
  asm volatile("fence.mbarrier_init.release.cluster;\nfence.proxy.async.shared::cta;" ::: "memory");
}

// Waits for the end of a phase of this parity.
__device__ inline void barrier_wait(uint32_t barrier, uint32_t parity) {
  asm volatile(
      "{\n.reg .pred done;\n"
      "again:\n"
      "mbarrier.try_wait.parity.shared::cta.b64 done, [%0], %1;\n"
      "@!done bra again;\n}" ::"r"(barrier),
      "r"(parity)
      : "memory");
}

// Arrives, and holds the phase open until so many bytes have come.
__device__ inline void barrier_expect(uint32_t barrier, int bytes) {
  asm volatile("mbarrier.arrive.expect_tx.shared::cta.b64 _, [%0], %1;" ::"r"(barrier), "r"(bytes) : "memory");
}

// Arrives where so told, without a branch.
__device__ inline void barrier_arrive(uint32_t barrier, int arrives) {
  asm volatile(
      "{\n.reg .pred p;\nsetp.ne.b32 p, %1, 0;\n"
      "@p mbarrier.arrive.shared::cta.b64 _, [%0];\n}" ::"r"(barrier),
      "r"(arrives)
      : "memory");
}

// Arrives, where so told, at the same barrier of a block of this cluster. Without a branch, which would let the compiler pull
// work of later in front.
__device__ inline void barrier_arrive(uint32_t barrier, uint32_t rank, int arrives) {
  asm volatile(
      "{\n.reg .pred p;\n.reg .b32 there;\nsetp.ne.b32 p, %2, 0;\n"
      "mapa.shared::cluster.u32 there, %0, %1;\n"
      "@p mbarrier.arrive.shared::cluster.b64 _, [there];\n}" ::"r"(barrier),
      "r"(rank), "r"(arrives)
      : "memory");
}

// Copies the box at (row, column) of the matrix to shared memory; zeros stand for what lies outside.
__device__ inline void load_box(uint32_t target, const CUtensorMap * map, int column, int row, uint32_t barrier) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes [%0], [%1, {%2, %3}], "
      "[%4];" ::"r"(target),
      "l"(map), "r"(column), "r"(row), "r"(barrier)
      : "memory");
}

// The same into every block of the cluster whose bit is set, each of whose barriers hears of it.
__device__ inline void load_box(uint32_t target, const CUtensorMap * map, int column, int row, uint32_t barrier,
                                uint16_t blocks) {
  asm volatile(
      "cp.async.bulk.tensor.2d.shared::cluster.global.mbarrier::complete_tx::bytes.multicast::cluster "
      "[%0], [%1, {%2, %3}], [%4], %5;" ::"r"(target),
      "l"(map), "r"(column), "r"(row), "r"(barrier), "h"(blocks)
      : "memory");
}

// Copies a box out of shared memory, less what lies outside the matrix.
__device__ inline void store_box(const CUtensorMap * map, int column, int row, uint32_t source) {
  asm volatile("cp.async.bulk.tensor.2d.global.shared::cta.bulk_group [%0, {%1, %2}], [%3];" ::"l"(map), "r"(column),
               "r"(row), "r"(source)
               : "memory");
}

__device__ inline void store_commit() { asm volatile("cp.async.bulk.commit_group;" ::: "memory"); }

// Waits until this thread's stores have left shared memory.
__device__ inline void store_wait() { asm volatile("cp.async.bulk.wait_group.read 0;" ::: "memory"); }

// Four 8 x 8 matrices of 16-bit values, of which this lane gives the address of one row.
__device__ inline void store_matrices(uint32_t address, const uint32_t (&r)[4]) {
  asm volatile("stmatrix.sync.aligned.m8n8.x4.shared.b16 [%0], {%1,%2,%3,%4};" ::"r"(address), "r"(r[0]), "r"(r[1]),
               "r"(r[2]), "r"(r[3])
               : "memory");
}

}  // namespace pairscore
