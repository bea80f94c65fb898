// Flash attention on wgmma. A block stays on its multiprocessor and takes tiles of 64 query rows of two heads of one key head.
// Two warpgroups multiply, a head each, so that keys and values leave L2 once for 128 query rows; one warp brings these through
// two rings of slots, ahead into the next tile. A warpgroup softens the scores of a step while the values of the step before
// are multiplied, and while the other warpgroup multiplies.
#include "kernels/attention_hopper.h"

#include <algorithm>

#include "kernels/attention_softmax.cuh"
#include "kernels/tensor_map.h"
#include "kernels/tma.cuh"
#include "kernels/wgmma.cuh"

namespace pairscore {
namespace {

constexpr int kGroups = kHopperHeads;  // warpgroups that multiply
constexpr int kMultipliers = kGroups * 128, kThreads = kMultipliers + 128;
constexpr int kRows = 64;  // of queries in a tile
constexpr int kKeySlots = 2, kValueSlots = 3, kItemSlots = 2;
constexpr int kWarpRows = 16;                               // of these
constexpr int kAlignment = 1024;                            // of swizzled boxes
constexpr int kRowBytes = 128, kEightRows = 8 * kRowBytes;  // of a box

// Keys of a step.
template <int kSize>
constexpr int kKeys = kSize == 256 ? 64 : 128;

// Shared memory, from its first aligned byte on.
template <int kSize>
struct Layout {
  static constexpr int q = 0, q_bytes = kRows * kSize * 2;
  static constexpr int k = kGroups * q_bytes, step_bytes = kKeys<kSize> * kSize * 2;
  static constexpr int v = k + kKeySlots * step_bytes;
  static constexpr int key_full = v + kValueSlots * step_bytes, key_empty = key_full + kKeySlots * 8;
  static constexpr int value_full = key_empty + kKeySlots * 8, value_empty = value_full + kValueSlots * 8;
  static constexpr int item_full = value_empty + kValueSlots * 8, item_empty = item_full + kItemSlots * 8;
  static constexpr int last_values = item_empty + kItemSlots * 8, indices = last_values + 8;
  static constexpr int end = indices + kItemSlots * 4;
};

struct Maps {
  CUtensorMap k, v, out;
};

#if PAIRSCORE_WGMMA
// Where a ring of slots turns.
template <int kSlots>
struct Ring {
  int slot = 0, parity = 0;

  __device__ void advance() {
    slot = slot + 1 == kSlots ? 0 : slot + 1;
    parity ^= slot == 0;
  }
};

// A tile of query rows, the heads of one block, and the keys that they meet.
struct Item {
  AttentionTile tile;
  int first_head;
  int first, end;  // positions of keys

  __device__ Item(const AttentionArgs & args, int index, int keys) {
    const int units = args.q_heads / kGroups;
    tile = args.tiles[index / units];
    first_head = index % units * kGroups;
    first = args.window > 0 ? max(0, tile.q_position - args.window + 1) / keys * keys : 0;
    end = tile.q_position + tile.q_count;
  }
};

template <typename T, int kSize>
struct AttendHopper {
  using At = Layout<kSize>;
  static constexpr int kStep = kKeys<kSize>, kChunks = kSize / 8, kPanels = kSize / kBoxColumns;
  static constexpr int kKeyTiles = kStep / 8, kOutTiles = kSize / 8, kPanelBytes = kStep * kRowBytes;

  const AttentionArgs & args;
  const ScoreShape & shape;
  const Maps & maps;
  char * const shared;
  const uint32_t base;  // of shared
  const int items;
  const int group, lane, row;  // row: this thread's first query row in the tile
  Ring<kKeySlots> keys;
  Ring<kValueSlots> values;
  Ring<kItemSlots> turns;

  __device__ AttendHopper(const AttentionArgs & a, const ScoreShape & s, const Maps & m, char * at)
      : args(a),
        shape(s),
        maps(m),
        shared(at),
        base(shared_address(at)),
        items(a.tile_count * (a.q_heads / kGroups)),
        group(__shfl_sync(0xffffffffu, threadIdx.x / 128, 0)),
        lane(threadIdx.x % 32),
        row(threadIdx.x % 128 / 32 * 16 + threadIdx.x % 32 / 4) {}

  // ---- the warp that brings keys and values

  __device__ void bring_boxes(const CUtensorMap & map, int at, const Item & item, int first, uint32_t barrier) {
    const int column = item.first_head / (args.q_heads / args.kv_heads) * kSize;
    barrier_expect(barrier, At::step_bytes);
    for (int p = 0; p < kPanels; p++)
      load_box(base + at + p * kPanelBytes, &map, column + p * kBoxColumns, item.tile.kv_row + first, barrier);
  }

  // Rows of others follow in the box: zeros in their place, since a weight of zero times one that is not finite is NaN.
  // Keys need none: the scores of such rows are hidden.
  __device__ void bring_last_values(const Item & item, int first, int & parity) {
    const int at = At::v + values.slot * At::step_bytes, count = item.end - first;
    if (lane == 0) bring_boxes(maps.v, at, item, first, base + At::last_values);
    barrier_wait(base + At::last_values, parity);
    parity ^= 1;
    for (int i = lane; i < (kStep - count) * kChunks; i += 32) {
      const int chunk = i % kChunks;
      *reinterpret_cast<uint4 *>(shared + at + chunk / 8 * kPanelBytes + (count + i / kChunks) * kRowBytes +
                                 chunk % 8 * 16) = make_uint4(0, 0, 0, 0);
    }
    wgmma_publish();
    __syncwarp();
    barrier_arrive(base + At::value_full + values.slot * 8, lane == 0);
  }

  // The next item that no block has, for all warps of this one: -1 when there are no more.
  __device__ int take_item() {
    int index = 0;
    if (lane == 0) index = int(gridDim.x) + atomicAdd(args.queue, 1);
    index = __shfl_sync(0xffffffffu, index, 0);
    return index < items ? index : -1;
  }

  __device__ void tell_item(int index) {
    barrier_wait(base + At::item_empty + turns.slot * 8, turns.parity ^ 1);
    if (lane == 0) *reinterpret_cast<volatile int *>(shared + At::indices + turns.slot * 4) = index;
    barrier_arrive(base + At::item_full + turns.slot * 8, lane == 0);
    turns.advance();
  }

  // The last block to find no more leaves the queue as it was.
  __device__ void leave_queue() {
    if (lane > 0) return;
    __threadfence();
    if (atomicAdd(args.queue + 1, 1) == int(gridDim.x) - 1) args.queue[0] = args.queue[1] = 0;
  }

  __device__ void bring() {
    int last_parity = 0;
    for (int index = blockIdx.x, following; index >= 0; index = following) {
      following = take_item();
      tell_item(following);
      const Item item(args, index, kStep);
      for (int first = item.first; first < item.end; first += kStep) {
        barrier_wait(base + At::key_empty + keys.slot * 8, keys.parity ^ 1);
        if (lane == 0)
          bring_boxes(maps.k, At::k + keys.slot * At::step_bytes, item, first, base + At::key_full + keys.slot * 8);
        keys.advance();
        barrier_wait(base + At::value_empty + values.slot * 8, values.parity ^ 1);
        if (first + kStep > item.end) {
          bring_last_values(item, first, last_parity);
        } else if (lane == 0) {
          bring_boxes(maps.v, At::v + values.slot * At::step_bytes, item, first,
                      base + At::value_full + values.slot * 8);
        }
        values.advance();
      }
    }
    leave_queue();
  }

  // ---- a warpgroup that multiplies

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

  __device__ int hear_item() {
    barrier_wait(base + At::item_full + turns.slot * 8, turns.parity);
    const int index = *reinterpret_cast<volatile int *>(shared + At::indices + turns.slot * 4);
    __syncwarp();
    barrier_arrive(base + At::item_empty + turns.slot * 8, lane == 0);
    turns.advance();
    return index;
  }

  __device__ void multiply() {
    if (group == 1) pass_turn();
    int index = blockIdx.x;
    Item item(args, index, kStep);
    fetch_q<0, kFetches>(item);
    while (index >= 0) {
      place_q(item);
      index = hear_item();
      const Item next(args, max(index, 0), kStep);
      attend(item);
      start_values();
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
      if (threadIdx.x < kMultipliers + 32) bring();
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
  if (args.q_heads / args.kv_heads % kGroups != 0) {
    throw Error(Code::internal, "Expected groups of a multiple of " + std::to_string(kGroups) +
                                    " heads on the sm_90 path of attention");
  }
  if (args.element == Element::f16) return launch_for<__half>(args, stream);
  launch_for<__nv_bfloat16>(args, stream);
}

}  // namespace pairscore
