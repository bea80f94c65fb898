// Flash attention on wgmma. A block is two warpgroups with 64 query rows of one or two heads each, all of one key head, so
// that keys and values leave L2 once for 128 or 256 query rows. Softmax runs beside products: of the next step, of the
// other head, of the other warpgroup.
#include "kernels/attention_hopper.h"
#include "kernels/attention_softmax.cuh"
#include "kernels/wgmma.cuh"

namespace pairscore {
namespace {

constexpr int kThreads = 256;
constexpr int kGroups = 2;  // warpgroups
constexpr int kRows = 64;   // of queries and of keys in a tile
constexpr int kPanelBytes = kRows * 128;
constexpr int kKeySlots = 2, kValueSlots = 3;
constexpr int kAlignment = 1024;  // of swizzled tiles

template <int kSize>
constexpr int kHeads = kSize == 256 ? 1 : 2;  // of a warpgroup
template <int kSize>
constexpr int kTileBytes = kRows * kSize * 2;
template <int kSize>
constexpr int kSharedBytes = (kGroups * kHeads<kSize> + kKeySlots + kValueSlots) * kTileBytes<kSize>;

#if PAIRSCORE_WGMMA
constexpr int kGroupBytes = 8 * 128;  // 8 rows of a panel

// Byte offset of a 16-byte chunk of a tile row: panels of 64 columns, rows of 128 bytes, chunks swapped by row.
__device__ inline int chunk_at(int row, int chunk) {
  return chunk / 8 * kPanelBytes + row * 128 + ((chunk ^ row) % 8 << 4);
}

template <typename T, int kSize>
struct AttendHopper {
  static constexpr int kOwn = kHeads<kSize>, kBlockHeads = kGroups * kOwn;
  static constexpr int kChunks = kSize / 8, kKeyTiles = kRows / 8, kOutTiles = kSize / 8, kTile = kTileBytes<kSize>;

  const AttentionArgs & args;
  const ScoreShape & shape;
  const AttentionTile tile;
  const int first_head, group, lane, row;  // row: this thread's first query row in the tile
  char *const q, *const k, *const v;       // shared tiles: of every head, of kKeySlots, of kValueSlots
  float scores[kOwn][kKeyTiles][4];
  uint32_t weights[kOwn][kRows / 16][4];
  float out[kOwn][kOutTiles][4] = {};
  float most[kOwn][2], total[kOwn][2] = {};

  __device__ AttendHopper(const AttentionArgs & a, const ScoreShape & s, char * shared)
      : args(a),
        shape(s),
        tile(a.tiles[blockIdx.x / (a.q_heads / kBlockHeads)]),
        first_head(blockIdx.x % (a.q_heads / kBlockHeads) * kBlockHeads),
        group(__shfl_sync(0xffffffffu, threadIdx.x / 128, 0)),
        lane(threadIdx.x % 32),
        row(threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4),
        q(shared),
        k(q + kBlockHeads * kTile),
        v(k + kKeySlots * kTile) {
#pragma unroll
    for (int h = 0; h < kOwn; h++) most[h][0] = most[h][1] = -INFINITY;
  }

  // Turned on the way in; the heads share one read of the cosines and sines. All reads go out before the first is used.
  __device__ void load_q() {
    constexpr int half = kSize / 2, kItems = kRows * (kChunks / 2) / kThreads;
    Eight<T> low[kItems][kBlockHeads], high[kItems][kBlockHeads];
    float c[kItems][8], s[kItems][8];
#pragma unroll
    for (int i = 0; i < kItems; i++) {
      const int item = threadIdx.x + i * kThreads, at = item / (kChunks / 2), chunk = item % (kChunks / 2),
                present = at < tile.q_count ? at : 0;
      const T * source =
          static_cast<const T *>(args.q) + (tile.q_row + present) * args.q_stride + first_head * kSize + chunk * 8;
      const int64_t table = int64_t(tile.q_position + present) * half + chunk * 8;
      load8(args.cosines + table, c[i]);
      load8(args.sines + table, s[i]);
#pragma unroll
      for (int h = 0; h < kBlockHeads; h++) {
        low[i][h] = *reinterpret_cast<const Eight<T> *>(source + h * kSize);
        high[i][h] = *reinterpret_cast<const Eight<T> *>(source + h * kSize + half);
      }
    }
#pragma unroll
    for (int i = 0; i < kItems; i++) {
      const int item = threadIdx.x + i * kThreads, at = item / (kChunks / 2), chunk = item % (kChunks / 2);
#pragma unroll
      for (int h = 0; h < kBlockHeads; h++) {
#pragma unroll
        for (int j = 0; j < 8; j++) {
          const float a = widen(low[i][h].value[j]), b = widen(high[i][h].value[j]);
          low[i][h].value[j] = narrow<T>(at < tile.q_count ? in_range<T>(a * c[i][j] - b * s[i][j]) : 0.f);
          high[i][h].value[j] = narrow<T>(at < tile.q_count ? in_range<T>(b * c[i][j] + a * s[i][j]) : 0.f);
        }
        *reinterpret_cast<Eight<T> *>(q + h * kTile + chunk_at(at, chunk)) = low[i][h];
        *reinterpret_cast<Eight<T> *>(q + h * kTile + chunk_at(at, chunk + kChunks / 2)) = high[i][h];
      }
    }
  }

  // Keys at `end` and beyond are zeros, so that a masked score never meets a value that is not finite.
  __device__ void load_keys(char * target, const void * source, int first, int end) {
    constexpr int kStep =
        kThreads / kChunks;  // rows between a thread's chunks: a multiple of 8, so that its swizzle stays
    const int at = threadIdx.x / kChunks, chunk = threadIdx.x % kChunks;
    const T * from = static_cast<const T *>(source) + (int64_t(tile.kv_row) + first + at) * args.kv_stride +
                     first_head / (args.q_heads / args.kv_heads) * kSize + chunk * 8;
    const int64_t step = kStep * args.kv_stride;
    char * to = target + chunk_at(at, chunk);
    if (first + kRows <= end) {
#pragma unroll
      for (int i = 0; i < kRows / kStep; i++)
        copy16<AttentionPath::ampere>(to + i * kStep * 128, from + i * step, true);
    } else {
#pragma unroll
      for (int i = 0; i < kRows / kStep; i++) {
        const bool present = first + at + i * kStep < end;
        copy16<AttentionPath::ampere>(to + i * kStep * 128, present ? from + i * step : static_cast<const T *>(source),
                                      present);
      }
    }
  }

  __device__ void multiply_keys(float (&into)[kOwn][kKeyTiles][4], int slot) {
    const uint32_t k_at = shared_address(k + slot * kTile);
#pragma unroll
    for (int h = 0; h < kOwn; h++) wgmma_pin(into[h]);
    wgmma_begin();
#pragma unroll
    for (int h = 0; h < kOwn; h++) {
      const uint32_t q_at = shared_address(q + (group * kOwn + h) * kTile);
#pragma unroll
      for (int d = 0; d < kSize / 16; d++) {
        const int offset = d / 4 * kPanelBytes + d % 4 * 32;
        wgmma_rows(into[h], wgmma_operand(q_at + offset, 16, kGroupBytes),
                   wgmma_operand(k_at + offset, 16, kGroupBytes), d > 0, static_cast<const T *>(nullptr));
      }
      wgmma_commit();
    }
  }

  __device__ void weigh(int h, int first, bool edge) {
    if (shape.limit > 0) cap_scores(scores[h], shape);
    if (edge) hide_scores(scores[h], shape.window, first + lane % 4 * 2, tile.q_position + row);
    soften(scores[h], out[h], most[h], total[h], shape.scale);
#pragma unroll
    for (int s = 0; s < kRows / 16; s++) pack_weights<T>(scores[h], s, weights[h][s]);
  }

  __device__ void start_values(int slot) {
    const uint32_t v_at = shared_address(v + slot * kTile);
#pragma unroll
    for (int h = 0; h < kOwn; h++) wgmma_pin(out[h]);
    wgmma_begin();
#pragma unroll
    for (int h = 0; h < kOwn; h++) {
#pragma unroll
      for (int s = 0; s < kRows / 16; s++) {
        wgmma_columns(out[h], weights[h][s], wgmma_operand(v_at + s * 2 * kGroupBytes, kPanelBytes, kGroupBytes),
                      static_cast<const T *>(nullptr));
      }
    }
    wgmma_commit();
  }

  __device__ void finish_values() {
    wgmma_wait<0>();
#pragma unroll
    for (int h = 0; h < kOwn; h++) wgmma_pin(out[h]);
  }

  // Through the head's own q tile to whole 16-byte writes; a warp meets its own rows only.
  __device__ void store() {
#pragma unroll
    for (int h = 0; h < kOwn; h++) {
      char * staged = q + (group * kOwn + h) * kTile;
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const float inverse = 1.f / quad_sum(total[h][half]);
#pragma unroll
        for (int n = 0; n < kOutTiles; n++) {
          *(reinterpret_cast<uint32_t *>(staged + chunk_at(row + half * 8, n)) + lane % 4) =
              pack2<T>(out[h][n][2 * half] * inverse, out[h][n][2 * half + 1] * inverse);
        }
      }
      __syncwarp();
      const int head = first_head + group * kOwn + h, first_row = threadIdx.x % 128 / 32 * 16;
      for (int i = lane; i < 16 * kChunks; i += 32) {
        const int at = first_row + i / kChunks, chunk = i % kChunks;
        if (at >= tile.q_count) continue;
        T * target = static_cast<T *>(args.out) + (int64_t(tile.q_row + at) * args.q_heads + head) * kSize + chunk * 8;
        *reinterpret_cast<uint4 *>(target) = *reinterpret_cast<const uint4 *>(staged + chunk_at(at, chunk));
      }
    }
  }

  // What the copies of this thread brought is there for all, and all are done with the step before.
  __device__ void meet() {
    asm volatile("cp.async.wait_all;" ::: "memory");
    wgmma_publish();
    __syncthreads();
  }

  __device__ bool on_edge(int first) const {
    return first + kRows - 1 > tile.q_position ||
           (args.window > 0 && first <= tile.q_position + tile.q_count - 1 - args.window);
  }

  // One head a warpgroup: the scores of the next step are multiplied while those of this one soften.
  __device__ void walk_ahead(int first, int end) {
    float next[kOwn][kKeyTiles][4];
    meet();
    if (first + kRows < end) load_keys(k + kTile, args.k, first + kRows, end);
    multiply_keys(scores, 0);
    finish_values();
    wgmma_pin(scores[0]);
    int step = 0;
    for (; first + kRows < end; first += kRows, step++) {
      meet();
      if (first + 2 * kRows < end) load_keys(k + step % kKeySlots * kTile, args.k, first + 2 * kRows, end);
      load_keys(v + (step + 1) % kValueSlots * kTile, args.v, first + kRows, end);
      multiply_keys(next, (step + 1) % kKeySlots);
      weigh(0, first, on_edge(first));
      start_values(step % kValueSlots);
      finish_values();  // and the next scores; waiting for these alone makes ptxas put all products in a row
      wgmma_pin(next[0]);
#pragma unroll
      for (int n = 0; n < kKeyTiles; n++) {
#pragma unroll
        for (int i = 0; i < 4; i++) scores[0][n][i] = next[0][n][i];
      }
    }
    meet();
    weigh(0, first, on_edge(first));
    start_values(step % kValueSlots);
    finish_values();
  }

  // Two heads a warpgroup: one is multiplied while the other softens; the second warpgroup multiplies values a step late.
  __device__ void walk(int first, int end) {
    const bool late = group == 1;
    int step = 0;
    for (; first < end; first += kRows, step++) {
      meet();
      if (first + kRows < end) {
        load_keys(k + (step + 1) % kKeySlots * kTile, args.k, first + kRows, end);
        load_keys(v + (step + 1) % kValueSlots * kTile, args.v, first + kRows, end);
      }
      if (late && step > 0) {
        start_values((step - 1) % kValueSlots);
        finish_values();
      }
      multiply_keys(scores, step % kKeySlots);
      wgmma_wait<1>();
      wgmma_pin(scores[0]);
      weigh(0, first, on_edge(first));
      wgmma_wait<0>();
      wgmma_pin(scores[kOwn - 1]);
      weigh(kOwn - 1, first, on_edge(first));
      if (!late) {
        start_values(step % kValueSlots);
        finish_values();
      }
    }
    if (!late) return;
    start_values((step - 1) % kValueSlots);
    finish_values();
  }

  __device__ void run() {
    const int end = tile.q_position + tile.q_count;
    const int first = args.window > 0 ? max(0, tile.q_position - args.window + 1) / kRows * kRows : 0;
    load_keys(k, args.k, first, end);
    load_keys(v, args.v, first, end);
    load_q();
    if constexpr (kOwn == 1) {
      walk_ahead(first, end);
    } else {
      walk(first, end);
    }
    __syncthreads();  // all are done with the q tiles
    store();
  }
};
#endif

template <typename T, int kSize>
__global__ void __launch_bounds__(kThreads, 1)
    attention_hopper_kernel(const AttentionArgs args, const ScoreShape shape) {
  extern __shared__ char unaligned[];
#if PAIRSCORE_WGMMA
  const uint32_t address = shared_address(unaligned);
  AttendHopper<T, kSize>(args, shape, unaligned + (kAlignment - address % kAlignment) % kAlignment).run();
#endif
}

template <typename T, int kSize>
void launch(const AttentionArgs & args, Stream stream) {
  constexpr int bytes = kSharedBytes<kSize> + kAlignment;
  const auto kernel = attention_hopper_kernel<T, kSize>;
  if (cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes) != cudaSuccess)
    check_launch("attention_hopper");
  const int blocks = args.tile_count * (args.q_heads / attention_hopper_heads(kSize));
  kernel<<<static_cast<unsigned>(blocks), kThreads, bytes, stream>>>(args, score_shape(args));
  check_launch("attention_hopper");
}

template <typename T>
void launch_for(const AttentionArgs & args, Stream stream) {
  switch (args.head_size) {
    case 64:
      return launch<T, 64>(args, stream);
    case 128:
      return launch<T, 128>(args, stream);
    default:
      return launch<T, 256>(args, stream);
  }
}

}  // namespace

int attention_hopper_heads(int head_size) { return kGroups * (head_size == 256 ? kHeads<256> : kHeads<128>); }

void attention_hopper(const AttentionArgs & args, Stream stream) {
  if (args.q_heads / args.kv_heads % attention_hopper_heads(args.head_size) != 0) {
    throw Error(Code::internal, "Expected groups of a multiple of " +
                                    std::to_string(attention_hopper_heads(args.head_size)) +
                                    " heads on the sm_90 path of attention");
  }
  if (args.element == Element::f16) return launch_for<__half>(args, stream);
  launch_for<__nv_bfloat16>(args, stream);
}

}  // namespace pairscore
