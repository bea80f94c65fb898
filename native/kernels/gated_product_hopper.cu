// On wgmma. A block makes tiles of 128 rows x 128 gated columns, whose gate and up columns meet in one thread's accumulators.
// One warp brings tiles through a ring of stages; two warpgroups multiply 64 rows each. Two blocks of a cluster take tiles below
// each other and share the weights: each brings one half of them to both.
#include "kernels/gated_product.h"

#include <algorithm>
#include <climits>

#include "kernels/activation.cuh"
#include "kernels/device.cuh"
#include "kernels/tensor_map.cuh"
#include "kernels/tma.cuh"
#include "kernels/wgmma.cuh"

namespace pairscore {
namespace {

constexpr int kTile = 128;  // rows, and gated columns
constexpr int kDepth = 64;  // of a stage: 128 bytes, the width of a swizzle
constexpr int kStages = 4;
constexpr int kCluster = 2;
constexpr int kLead = 3;    // stages of a tile that the first warpgroup ends ahead of the second
constexpr int kGroup = 11;  // units of rows that share a walk over the columns, at most
constexpr int kMultipliers = 256, kThreads = kMultipliers + 128;
constexpr int kBoxBytes = kTile * kDepth * 2;
constexpr int kStageBytes = 3 * kBoxBytes;  // a, gate, up
constexpr int kOutBytes = kTile * kTile * 2, kWarpOutBytes = kOutBytes / 8;
constexpr int kAlignment = 1024;  // of swizzled boxes
constexpr int kSharedBytes = kStages * (kStageBytes + 16) + kOutBytes + kAlignment;
constexpr int kWarpRows = 16;  // of an output box, 128 bytes each

struct Maps {
  CUtensorMap a, w, out;
};

struct Plan {
  int row_units;  // of kCluster tiles
  int column_tiles;
  int group;   // row units that share a walk over the columns
  int stages;  // that a tile takes
  int columns;
};

struct Place {
  int unit, column_tile;
};

// Rows run fastest, inside groups of rows whose activations stay in L2 while the weights pass by.
__device__ inline Place place_of(const Plan & plan, int index) {
  const int first = index / (plan.group * plan.column_tiles) * plan.group;
  const int rows = min(plan.group, plan.row_units - first), inside = index - first * plan.column_tiles;
  return {first + inside % rows, inside / rows};
}

#if PAIRSCORE_WGMMA
template <typename T, Activation A>
struct GatedProduct {
  const Maps & maps;
  const Plan & plan;
  const uint32_t stages, full, empty, staged;  // shared addresses
  const int rank, first, step, tiles;          // this block in its cluster; the cluster's first tile and its stride
  int stage = 0, parity = 0;                   // where the ring turns
  float c[32][4];                              // gate in the first half, up in the second

  __device__ GatedProduct(const Maps & m, const Plan & p, uint32_t shared)
      : maps(m),
        plan(p),
        stages(shared),
        full(shared + kStages * kStageBytes + kOutBytes),
        empty(full + kStages * 8),
        staged(shared + kStages * kStageBytes),
        rank(cluster_rank()),
        first(blockIdx.x / kCluster),
        step(gridDim.x / kCluster),
        tiles(p.row_units * p.column_tiles) {}

  __device__ void advance() {
    stage = stage + 1 == kStages ? 0 : stage + 1;
    parity ^= stage == 0;
  }

  __device__ int row_of(const Place & place) const { return (place.unit * kCluster + rank) * kTile; }

  __device__ void bring() {
    for (int index = first; index < tiles; index += step) {
      const Place place = place_of(plan, index);
      const int row = row_of(place), column = place.column_tile * kTile;
      for (int s = 0; s < plan.stages; s++, advance()) {
        const uint32_t target = stages + stage * kStageBytes, barrier = full + stage * 8;
        barrier_wait(empty + stage * 8, parity ^ 1);
        barrier_expect(barrier, kStageBytes);
        load_box(target, &maps.a, s * kDepth, row, barrier);
        load_box(target + (1 + rank) * kBoxBytes, &maps.w, s * kDepth, rank * plan.columns + column, barrier,
                 (1 << kCluster) - 1);
      }
    }
  }

  // Each warp says so to every block that writes to the stage.
  __device__ void release(int done, int lane, int held) {
    barrier_arrive(empty + done * 8, lane, held && lane < kCluster);
  }

  __device__ void multiply(int group, int lane) {
    const uint32_t rows = stages + group * kBoxBytes / 2;
    int before = 0;
    // On short tiles the first group could come by twice before the second once.
    const int meeting = plan.stages > kStages ? plan.stages - kLead : INT_MIN / 2;
    for (int s = 0; s < plan.stages; s++, advance()) {
      // The second group waits here until the first has all its products under way, and ends its tile while that one gates.
      if (group == 1 && s == meeting) asm volatile("bar.sync 1, 256;" ::: "memory");
      barrier_wait(full + stage * 8, parity);
      wgmma_begin();
#pragma unroll
      for (int k = 0; k < kDepth / 16; k++) {
        wgmma_rows(c, wgmma_operand(rows + stage * kStageBytes + k * 32, 16, 1024),
                   wgmma_operand(stages + stage * kStageBytes + kBoxBytes + k * 32, 16, 1024), s + k > 0,
                   static_cast<const T *>(nullptr));
      }
      wgmma_commit();
      if (group == 0 && s == meeting + kLead - 1) asm volatile("bar.arrive 1, 256;" ::: "memory");
      wgmma_wait<1>();
      release(before, lane, s > 0);
      before = stage;
    }
    wgmma_wait<0>();
    release(before, lane, 1);
    wgmma_pin(c);
  }

  // Values i and i + 1 of both column groups become two results.
  __device__ uint32_t gated2(int n, int i) const {
    return pack2<T>(activate<A>(c[n][i]) * c[n + 16][i], activate<A>(c[n][i + 1]) * c[n + 16][i + 1]);
  }

  // A warp meets its own rows only.
  __device__ void store(const Place & place, int lane) {
    const int warp = threadIdx.x / 32;
    const uint32_t target = staged + warp * kWarpOutBytes, panel_bytes = kWarpRows * 128;
    if (lane == 0) store_wait();
    __syncwarp();
#pragma unroll
    for (int n = 0; n < 16; n += 2) {
      const uint32_t values[4] = {gated2(n, 0), gated2(n, 2), gated2(n + 1, 0), gated2(n + 1, 2)};
      const int row = lane % 16, chunk = n + lane / 16;
      store_matrices(target + chunk / 8 * panel_bytes + row * 128 + ((chunk ^ row) % 8 << 4), values);
    }
    wgmma_publish();
    __syncwarp();
    if (lane != 0) return;
    const int row = row_of(place) + warp * kWarpRows, column = place.column_tile * kTile;
    store_box(&maps.out, column, row, target);
    store_box(&maps.out, column + kBoxColumns, row, target + panel_bytes);
    store_commit();
  }

  __device__ void run() {
    const int group = __shfl_sync(0xffffffffu, threadIdx.x / 128, 0), lane = threadIdx.x % 32;
    if (threadIdx.x == 0) {
      for (int s = 0; s < kStages; s++) {
        barrier_init(full + s * 8, 1);
        barrier_init(empty + s * 8, kCluster * kMultipliers / 32);
      }
      barrier_publish();
    }
    __syncthreads();
    cluster_meet();
    if (group == 2) {
      asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
      if (threadIdx.x == kMultipliers) bring();
      __syncwarp();
    } else {
      asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
      for (int index = first; index < tiles; index += step) {
        multiply(group, lane);
        store(place_of(plan, index), lane);
      }
      if (lane == 0) store_wait();
      __syncwarp();
    }
    cluster_meet();  // a block that still works writes to the other
  }
};
#endif

template <typename T, Activation A>
__global__ void __cluster_dims__(kCluster, 1, 1) __launch_bounds__(kThreads, 1)
    gated_product_kernel(const __grid_constant__ Maps maps, const __grid_constant__ Plan plan) {
  extern __shared__ char unaligned[];
#if PAIRSCORE_WGMMA
  const uint32_t address = shared_address(unaligned);
  GatedProduct<T, A>(maps, plan, address + (kAlignment - address % kAlignment) % kAlignment).run();
#endif
}

int tiles_of(int64_t size, int64_t tile) { return static_cast<int>((size + tile - 1) / tile); }

template <typename T, Activation A>
void launch(const GatedProductArgs & args, Stream stream) {
  const auto kernel = gated_product_kernel<T, A>;
  if (cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, kSharedBytes) != cudaSuccess)
    check_launch("gated_product");
  const Maps maps{tensor_map({args.a, args.element, args.rows, args.depth, args.depth, kTile}),
                  tensor_map({args.w, args.element, 2 * args.columns, args.depth, args.depth, kTile}),
                  tensor_map({args.out, args.element, args.rows, args.columns, args.columns, kWarpRows})};
  Plan plan{};
  plan.row_units = tiles_of(args.rows, kTile * kCluster);
  plan.column_tiles = tiles_of(args.columns, kTile);
  const int groups = tiles_of(plan.row_units, kGroup);
  plan.group = tiles_of(plan.row_units, groups);
  plan.stages = tiles_of(args.depth, kDepth);
  plan.columns = static_cast<int>(args.columns);
  const int clusters =
      std::min(device_attribute(cudaDevAttrMultiProcessorCount) / kCluster, plan.row_units * plan.column_tiles);
  kernel<<<static_cast<unsigned>(clusters * kCluster), kThreads, kSharedBytes, stream>>>(maps, plan);
  check_launch("gated_product");
}

template <typename T>
void launch_for(const GatedProductArgs & args, Stream stream) {
  if (args.activation == Activation::silu) return launch<T, Activation::silu>(args, stream);
  launch<T, Activation::gelu_tanh>(args, stream);
}

}  // namespace

bool gated_product_fits(const GatedProductArgs & args) {
  const bool wide = args.element == Element::f16 || args.element == Element::bf16;
  return wide && args.columns % 8 == 0 && args.depth % 8 == 0 && args.rows > 0 &&
         device_attribute(cudaDevAttrComputeCapabilityMajor) == 9 &&
         device_attribute(cudaDevAttrComputeCapabilityMinor) == 0;
}

void gated_product(const GatedProductArgs & args, Stream stream) {
  if (args.element == Element::f16) return launch_for<__half>(args, stream);
  launch_for<__nv_bfloat16>(args, stream);
}

}  // namespace pairscore
