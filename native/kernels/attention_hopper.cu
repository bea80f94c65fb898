// Flash attention on wgmma. A block is one warpgroup: 64 query rows of one head, keys in tiles of 64. Two or three blocks
// share a multiprocessor, so that one multiplies while another softens.
#include "kernels/attention_hopper.h"
#include "kernels/attention_softmax.cuh"
#include "kernels/wgmma.cuh"

namespace pairscore {
namespace {

constexpr int kThreads = 128;
constexpr int kRows = 64;  // of queries and of keys in a tile
constexpr int kPanelBytes = kRows * 128;
constexpr int kGroupBytes = 8 * 128;
constexpr int kAlignment = 1024;  // of swizzled tiles

template <int kSize>
constexpr int kTileBytes = kRows * kSize * 2;

// Byte offset of a 16-byte chunk of a tile row: panels of 64 columns, rows of 128 bytes, chunks swapped by row.
__device__ inline int chunk_at(int row, int chunk) { return chunk / 8 * kPanelBytes + row * 128 + ((chunk ^ row) % 8 << 4); }

#if PAIRSCORE_WGMMA
template <typename T, int kSize>
struct AttendHopper {
  static constexpr int kChunks = kSize / 8, kKeyTiles = kRows / 8, kOutTiles = kSize / 8;

  const AttentionArgs & args;
  const AttentionTile tile;
  const int head, warp, lane;
  char * const q, * const k, * const v;  // shared tiles
  float scores[kKeyTiles][4];
  float out[kOutTiles][4] = {};
  float most[2] = {-INFINITY, -INFINITY}, total[2] = {};

  __device__ AttendHopper(const AttentionArgs & a, char * shared)
      : args(a), tile(a.tiles[blockIdx.x / a.q_heads]), head(blockIdx.x % a.q_heads), warp(threadIdx.x / 32), lane(threadIdx.x % 32),
        q(shared), k(shared + kTileBytes<kSize>), v(shared + 2 * kTileBytes<kSize>) {}

  __device__ void load_q() {
    constexpr int half = kSize / 2;
    for (int i = threadIdx.x; i < kRows * (kChunks / 2); i += kThreads) {
      const int row = i / (kChunks / 2), chunk = i % (kChunks / 2);
      float low[8] = {}, high[8] = {};
      if (row < tile.q_count) {
        const T * source = static_cast<const T *>(args.q) + (tile.q_row + row) * args.q_stride + head * kSize + chunk * 8;
        const int64_t table = int64_t(tile.q_position + row) * half + chunk * 8;
        float a[8], b[8], c[8], s[8];
        load8(source, a);
        load8(source + half, b);
        load8(args.cosines + table, c);
        load8(args.sines + table, s);
#pragma unroll
        for (int j = 0; j < 8; j++) {
          low[j] = a[j] * c[j] - b[j] * s[j];
          high[j] = b[j] * c[j] + a[j] * s[j];
        }
      }
      store8(reinterpret_cast<T *>(q + chunk_at(row, chunk)), low);
      store8(reinterpret_cast<T *>(q + chunk_at(row, chunk + kChunks / 2)), high);
    }
  }

  // Keys at `end` and beyond are zeros, so that a masked score never meets a value that is not finite.
  __device__ void load_keys(char * target, const void * source, int first, int end) {
    const T * base = static_cast<const T *>(source) + int64_t(tile.kv_row) * args.kv_stride + head / (args.q_heads / args.kv_heads) * kSize;
#pragma unroll
    for (int i = threadIdx.x; i < kRows * kChunks; i += kThreads) {
      const int row = i / kChunks, chunk = i % kChunks;
      const bool present = first + row < end;
      copy16<AttentionPath::ampere>(target + chunk_at(row, chunk), base + (present ? first + row : 0) * args.kv_stride + chunk * 8, present);
    }
  }

  __device__ void finish() {
    asm volatile("cp.async.wait_all;" ::: "memory");
    wgmma_publish();
    __syncthreads();
  }

  __device__ void multiply_keys() {
    const uint32_t q_at = shared_address(q), k_at = shared_address(k);
    wgmma_pin(scores);
    wgmma_begin();
#pragma unroll
    for (int d = 0; d < kSize / 16; d++) {
      const int offset = d / 4 * kPanelBytes + d % 4 * 32;
      wgmma_rows(scores, wgmma_operand(q_at + offset, 16, kGroupBytes), wgmma_operand(k_at + offset, 16, kGroupBytes), d > 0, static_cast<const T *>(nullptr));
    }
    wgmma_finish();
    wgmma_pin(scores);
  }

  __device__ void multiply_values() {
    const uint32_t v_at = shared_address(v);
    uint32_t a[kRows / 16][4];
#pragma unroll
    for (int s = 0; s < kRows / 16; s++) pack_weights<T>(scores, s, a[s]);
    wgmma_pin(out);
    wgmma_begin();
#pragma unroll
    for (int s = 0; s < kRows / 16; s++) {
      wgmma_columns(out, a[s], wgmma_operand(v_at + s * 2 * kGroupBytes, kPanelBytes, kGroupBytes), static_cast<const T *>(nullptr));
    }
    wgmma_finish();
    wgmma_pin(out);
  }

  // Through the q tile to whole 16-byte writes.
  __device__ void store() {
#pragma unroll
    for (int half = 0; half < 2; half++) {
      const float inverse = 1.f / quad_sum(total[half]);
      const int row = warp * 16 + half * 8 + lane / 4;
#pragma unroll
      for (int n = 0; n < kOutTiles; n++) {
        *(reinterpret_cast<uint32_t *>(q + chunk_at(row, n)) + lane % 4) = pack2<T>(out[n][2 * half] * inverse, out[n][2 * half + 1] * inverse);
      }
    }
    __syncwarp();
    for (int i = lane; i < 16 * kChunks; i += 32) {
      const int row = warp * 16 + i / kChunks, chunk = i % kChunks;
      if (row >= tile.q_count) continue;
      T * target = static_cast<T *>(args.out) + (int64_t(tile.q_row + row) * args.q_heads + head) * kSize + chunk * 8;
      *reinterpret_cast<uint4 *>(target) = *reinterpret_cast<const uint4 *>(q + chunk_at(row, chunk));
    }
  }

  __device__ void run() {
    const ScoreShape shape(args);
    const int last = tile.q_position + tile.q_count - 1, end = last + 1, query = tile.q_position + warp * 16 + lane / 4;
    int first = args.window > 0 ? max(0, tile.q_position - args.window + 1) / kRows * kRows : 0;
    load_keys(k, args.k, first, end);
    load_q();
    for (; first < end; first += kRows) {
      finish();  // k is here; v is free
      load_keys(v, args.v, first, end);
      multiply_keys();
      finish();  // v is here; k is free
      if (first + kRows < end) load_keys(k, args.k, first + kRows, end);
      if (first + kRows - 1 > tile.q_position || (args.window > 0 && first <= last - args.window)) {
        shape_scores<true>(scores, shape, first + lane % 4 * 2, query);
      } else {
        shape_scores<false>(scores, shape, first + lane % 4 * 2, query);
      }
      soften(scores, out, most, total);
      multiply_values();
    }
    __syncthreads();
    store();
  }
};
#endif

template <typename T, int kSize>
__global__ void __launch_bounds__(kThreads, kSize == 256 ? 2 : 3) attention_hopper_kernel(const AttentionArgs args) {
  extern __shared__ char unaligned[];
#if PAIRSCORE_WGMMA
  const uint32_t address = shared_address(unaligned);
  AttendHopper<T, kSize>(args, unaligned + (kAlignment - address % kAlignment) % kAlignment).run();
#endif
}

template <typename T, int kSize>
void launch(const AttentionArgs & args, Stream stream) {
  constexpr int bytes = 3 * kTileBytes<kSize> + kAlignment;
  const auto kernel = attention_hopper_kernel<T, kSize>;
  if (cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes) != cudaSuccess) check_launch("attention_hopper");
  kernel<<<static_cast<unsigned>(args.tile_count) * args.q_heads, kThreads, bytes, stream>>>(args);
  check_launch("attention_hopper");
}

template <typename T>
void launch_for(const AttentionArgs & args, Stream stream) {
  switch (args.head_size) {
    case 64: return launch<T, 64>(args, stream);
    case 128: return launch<T, 128>(args, stream);
    default: return launch<T, 256>(args, stream);
  }
}

}  // namespace

void attention_hopper(const AttentionArgs & args, Stream stream) {
  if (args.element == Element::f16) return launch_for<__half>(args, stream);
  launch_for<__nv_bfloat16>(args, stream);
}

}  // namespace pairscore
