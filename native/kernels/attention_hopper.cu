// Flash attention on wgmma. A block stays on its multiprocessor and takes tiles of 64 query rows of two heads of one key head.
// Two warpgroups multiply, a head each, so that keys and values leave L2 once for 128 query rows; one warp brings these through
// two rings of slots, ahead into the next tile. A warpgroup softens the scores of a step while the values of the step before
// are multiplied, and while the other warpgroup multiplies.
#include "kernels/attention_hopper.h"

#include <algorithm>

#include "kernels/attention_hopper_bring.cuh"
#include "kernels/attention_softmax.cuh"

namespace pairscore {
namespace {

using namespace hopper;

#if PAIRSCORE_WGMMA
template <typename T, int kSize>
struct AttendHopper : AttentionBlock<kSize> {
  using Block = AttentionBlock<kSize>;
  using At = Layout<kSize>;
  using Block::args, Block::base, Block::keys, Block::lane, Block::maps, Block::shared, Block::turns, Block::values;
  static constexpr int kStep = Block::kStep, kChunks = Block::kChunks, kPanels = Block::kPanels,
                       kPanelBytes = Block::kPanelBytes;
  static constexpr int kKeyTiles = kStep / 8, kOutTiles = kSize / 8;

  const ScoreShape & shape;
  const int group, row;  // row: this thread's first query row in the tile

  __device__ AttendHopper(const AttentionArgs & a, const ScoreShape & s, const Maps & m, char * at)
      : Block(a, m, at),
        shape(s),
        group(__shfl_sync(0xffffffffu, threadIdx.x / 128, 0)),
        row(threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4) {}

  float scores[kKeyTiles][4];
  uint32_t weights[kStep / 16][4];
  float out[kOutTiles][4];
  float most[2], total[2], shrink[2];

  __device__ int q_at() const { return At::q + group * At::q_bytes; }

  // Byte offset of a 16-byte chunk of a row of q: panels of 64 columns, chunks swapped by row.
  static __device__ int chunk_at(int at, int chunk) {
    return chunk / 8 * (kRows * kRowBytes) + at * kRowBytes + ((chunk ^ at) % 8 << 4);
  }

  __device__ void meet_group() { asm volatile("bar.sync %0, 128;" ::"r"(1 + group) : "memory"); }

  // A lane brings kFetches chunks of the lower half of a head and their partners of the upper half, each of another row.
  static constexpr int kHalfChunks = kChunks / 2, kFetchRows = 32 / kHalfChunks, kFetches = kWarpRows / kFetchRows;
  static constexpr int kEarly = kFetches < 4 ? kFetches : 4;  // what registers hold beside the sums
  Eight<T> low[kFetches], high[kFetches];

  __device__ int fetch_row(int i) const { return first_row() + lane / kHalfChunks + i * kFetchRows; }
  __device__ int first_row() const { return threadIdx.x % 128 / 32 * kWarpRows; }

  // Rows past the tile's last are its first: nobody reads what becomes of them.
  template <int kFrom, int kTo>
  __device__ void fetch_q(const Item & item) {
#pragma unroll
    for (int i = kFrom; i < kTo; i++) {
      const int at = fetch_row(i), present = at < item.tile.q_count ? at : 0;
      const T * source = static_cast<const T *>(args.q) + (item.tile.q_row + present) * args.q_stride +
                         (item.first_head + group) * kSize + lane % kHalfChunks * 8;
      low[i] = *reinterpret_cast<const Eight<T> *>(source);
      high[i] = *reinterpret_cast<const Eight<T> *>(source + kSize / 2);
    }
  }

  // Turns what was fetched on its way into shared memory.
  __device__ void place_q(const Item & item) {
    float c[kFetches][8], s[kFetches][8];
#pragma unroll
    for (int i = 0; i < kFetches; i++) {
      const int at = fetch_row(i), present = at < item.tile.q_count ? at : 0;
      const int64_t table = int64_t(item.tile.q_position + present) * (kSize / 2) + lane % kHalfChunks * 8;
      load8(args.cosines + table, c[i]);
      load8(args.sines + table, s[i]);
    }
    if (lane == 0) store_wait();  // what the tile before left there is on its way out
    __syncwarp();
#pragma unroll
    for (int i = 0; i < kFetches; i++) turn_chunks(i, c[i], s[i]);
    wgmma_publish();
    meet_group();
  }

  __device__ void turn_chunks(int i, const float (&c)[8], const float (&s)[8]) {
    float a[8], b[8], largest = 0;
#pragma unroll
    for (int j = 0; j < 8; j++) {
      const float x = widen(low[i].value[j]), y = widen(high[i].value[j]);
      a[j] = x * c[j] - y * s[j], b[j] = y * c[j] + x * s[j];
      largest = fmaxf(largest, fmaxf(fabsf(a[j]), fabsf(b[j])));
    }
    if (largest >= kOverflow<T>) {
#pragma unroll
      for (int j = 0; j < 8; j++) a[j] = in_range<T>(a[j]), b[j] = in_range<T>(b[j]);
    }
    const int at = fetch_row(i), chunk = lane % kHalfChunks;
    *reinterpret_cast<uint4 *>(shared + q_at() + chunk_at(at, chunk)) = pack8<T>(a);
    *reinterpret_cast<uint4 *>(shared + q_at() + chunk_at(at, chunk + kHalfChunks)) = pack8<T>(b);
  }

  // Products are issued in turns, so that one warpgroup softens while the other's run.
  __device__ void await_turn() { asm volatile("bar.sync %0, 256;" ::"r"(3 + group) : "memory"); }
  __device__ void pass_turn() { asm volatile("bar.arrive %0, 256;" ::"r"(4 - group) : "memory"); }

  __device__ void start_scores() {
    barrier_wait(base + At::key_full + keys.slot * 8, keys.parity);
    const uint32_t q = base + q_at(), k = base + At::k + keys.slot * At::step_bytes;
    wgmma_pin(scores);
    wgmma_begin();
#pragma unroll
    for (int d = 0; d < kSize / 16; d++) {
      wgmma_rows(scores, wgmma_operand(q + d / 4 * (kRows * kRowBytes) + d % 4 * 32, 16, kEightRows),
                 wgmma_operand(k + d / 4 * kPanelBytes + d % 4 * 32, 16, kEightRows), d > 0,
                 static_cast<const T *>(nullptr));
    }
    wgmma_commit();
  }

  __device__ void start_values() {
    barrier_wait(base + At::value_full + values.slot * 8, values.parity);
    const uint32_t v = base + At::v + values.slot * At::step_bytes;
    wgmma_pin(out);
    wgmma_begin();
#pragma unroll
    for (int s = 0; s < kStep / 16; s++) {
      wgmma_columns(out, weights[s], wgmma_operand(v + s * 2 * kEightRows, kPanelBytes, kEightRows),
                    static_cast<const T *>(nullptr));
    }
    wgmma_commit();
  }

  template <int kPending>
  __device__ void finish_scores() {
    wgmma_wait<kPending>();
    wgmma_pin(scores);
    barrier_arrive(base + At::key_empty + keys.slot * 8, lane == 0);
    keys.advance();
  }

  __device__ void finish_values() {
    wgmma_wait<0>();
    wgmma_pin(out);
    barrier_arrive(base + At::value_empty + values.slot * 8, lane == 0);
    values.advance();
  }

  __device__ void soften_scores(const Item & item, int first) {
    const AttentionTile & tile = item.tile;
    if (shape.limit > 0) cap_scores(scores, shape);
    const bool edge = first + kStep - 1 > tile.q_position ||
                      (args.window > 0 && first <= tile.q_position + tile.q_count - 1 - args.window);
    if (edge) hide_scores(scores, shape.window, first + lane % 4 * 2, tile.q_position + row);
    soften(scores, most, total, shrink, shape.scale);
  }

  __device__ void pack() {
#pragma unroll
    for (int s = 0; s < kStep / 16; s++) pack_weights<T>(scores, s, weights[s]);
  }

  // All but the last product with values.
  __device__ void attend(const Item & item) {
    most[0] = most[1] = -INFINITY, total[0] = total[1] = 0;
#pragma unroll
    for (int n = 0; n < kOutTiles; n++) out[n][0] = out[n][1] = out[n][2] = out[n][3] = 0;
    int first = item.first;
    await_turn();
    start_scores();
    pass_turn();
    finish_scores<0>();
    soften_scores(item, first);
    pack();
    for (first += kStep; first < item.end; first += kStep) {
      await_turn();
      start_scores();
      start_values();
      pass_turn();
      finish_scores<1>();
      soften_scores(item, first);
      finish_values();
      rescale(out, shrink);
      pack();
    }
  }

  // Through the head's own q tile; a warp meets its own rows only.
  __device__ void store(const Item & item) {
    const float inverse[2] = {1.f / quad_sum(total[0]), 1.f / quad_sum(total[1])};
    const int from = first_row(), head = item.first_head + group, count = item.tile.q_count - from;
#pragma unroll
    for (int n = 0; n < kOutTiles; n += 2) {
      uint32_t values[4];
#pragma unroll
      for (int i = 0; i < 4; i++) {
        const float(&pair)[4] = out[n + i / 2];
        values[i] = pack2<T>(pair[i % 2 * 2] * inverse[i % 2], pair[i % 2 * 2 + 1] * inverse[i % 2]);
      }
      store_matrices(base + q_at() + chunk_at(from + lane % 16, n + lane / 16), values);
    }
    wgmma_publish();
    __syncwarp();
    if (count >= kWarpRows) {
      if (lane > 0) return;
      for (int p = 0; p < kPanels; p++)
        store_box(&maps.out, head * kSize + p * kBoxColumns, item.tile.q_row + from,
                  base + q_at() + chunk_at(from, p * 8));
      store_commit();
      return;
    }
    // Rows of others follow.
    for (int i = lane; i < count * kChunks; i += 32) {
      const int at = from + i / kChunks, chunk = i % kChunks;
      T * target =
          static_cast<T *>(args.out) + (int64_t(item.tile.q_row + at) * args.q_heads + head) * kSize + chunk * 8;
      *reinterpret_cast<uint4 *>(target) = *reinterpret_cast<const uint4 *>(shared + q_at() + chunk_at(at, chunk));
    }
  }

  // -1 when there are no more.
  __device__ int hear_item(AttentionTile & tile) {
    barrier_wait(base + At::item_full + turns.slot * 8, turns.parity);
    const int index = *reinterpret_cast<const int *>(shared + At::indices + turns.slot * 4);
    tile = *reinterpret_cast<const AttentionTile *>(shared + At::tiles + turns.slot * int(sizeof tile));
    __syncwarp();
    barrier_arrive(base + At::item_empty + turns.slot * 8, lane == 0);
    turns.advance();
    return index;
  }

  __device__ void multiply() {
    if (group == 1) pass_turn();
    int index = blockIdx.x;
    AttentionTile tile = Block::tile_of(index);
    Item item(args, index, tile, kStep);
    fetch_q<0, kFetches>(item);
    while (index >= 0) {
      place_q(item);
      attend(item);
      start_values();
      index = hear_item(tile);
      const Item next(args, max(index, 0), tile, kStep);
      fetch_q<0, kEarly>(next);
      finish_values();
      meet_group();  // all are done with the q tile
      store(item);
      fetch_q<kEarly, kFetches>(next);
      item = next;
    }
    if (lane == 0) store_wait();
    if (group == 0) await_turn();
  }

  __device__ void run() {
    if (threadIdx.x == 0) {
      for (int s = 0; s < kKeySlots; s++) {
        barrier_init(base + At::key_full + s * 8, 1);
        barrier_init(base + At::key_empty + s * 8, kMultipliers / 32);
      }
      for (int s = 0; s < kValueSlots; s++) {
        barrier_init(base + At::value_full + s * 8, 1);
        barrier_init(base + At::value_empty + s * 8, kMultipliers / 32);
      }
      for (int s = 0; s < kItemSlots; s++) {
        barrier_init(base + At::item_full + s * 8, 1);
        barrier_init(base + At::item_empty + s * 8, kMultipliers / 32);
      }
      barrier_init(base + At::last_values, 1);
      barrier_publish();
    }
    __syncthreads();
    if (group == kGroups) {
      asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");
      if (threadIdx.x < kMultipliers + 32) Block::bring();
    } else {
      asm volatile("setmaxnreg.inc.sync.aligned.u32 232;");
      multiply();
    }
  }
};
#endif

template <typename T, int kSize>
__global__ void __launch_bounds__(kThreads, 1)
    attention_hopper_kernel(const AttentionArgs args, const ScoreShape shape, const __grid_constant__ Maps maps) {
  extern __shared__ char unaligned[];
#if PAIRSCORE_WGMMA
  const uint32_t address = shared_address(unaligned);
  AttendHopper<T, kSize>(args, shape, maps, unaligned + (kAlignment - address % kAlignment) % kAlignment).run();
#endif
}

template <typename T, int kSize>
void launch(const AttentionArgs & args, Stream stream) {
  constexpr int bytes = Layout<kSize>::end + kAlignment;
  const auto kernel = attention_hopper_kernel<T, kSize>;
  if (cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes) != cudaSuccess)
    check_launch("attention_hopper");
  const int64_t columns = int64_t(args.kv_heads) * kSize, q_columns = int64_t(args.q_heads) * kSize;
  const Maps maps{tensor_map({args.k, args.element, args.kv_rows, columns, args.kv_stride, kKeys<kSize>}),
                  tensor_map({args.v, args.element, args.kv_rows, columns, args.kv_stride, kKeys<kSize>}),
                  tensor_map({args.out, args.element, args.kv_rows, q_columns, q_columns, kWarpRows})};
  const int blocks =
      std::min(args.tile_count * (args.q_heads / kGroups), device_attribute(cudaDevAttrMultiProcessorCount));
  kernel<<<static_cast<unsigned>(blocks), kThreads, bytes, stream>>>(args, score_shape(args), maps);
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

void attention_hopper(const AttentionArgs & args, Stream stream) {
  if (!args.queue || args.kv_rows <= 0)
    throw Error(Code::internal, "Expected a queue and the number of keys on the sm_90 path of attention");
  if (args.q_heads / args.kv_heads % kGroups != 0) {
    throw Error(Code::internal, "Expected groups of a multiple of " + std::to_string(kGroups) +
                                    " heads on the sm_90 path of attention");
  }
  if (args.element == Element::f16) return launch_for<__half>(args, stream);
  launch_for<__nv_bfloat16>(args, stream);
}

}  // namespace pairscore
