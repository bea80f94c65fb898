// What a block of attention_hopper.cu works on, and the warp that brings it: tiles off the queue, keys and values through two
// rings of slots in shared memory.
#pragma once

#include "kernels/attention_hopper.h"
#include "kernels/device.cuh"
#include "kernels/tensor_map.cuh"
#include "kernels/tma.cuh"
#include "kernels/wgmma.cuh"

namespace pairscore {
namespace hopper {

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
  static constexpr int last_values = item_empty + kItemSlots * 8, tiles = last_values + 8;
  static constexpr int indices = tiles + kItemSlots * int(sizeof(AttentionTile)), end = indices + kItemSlots * 4;
};

struct Maps {
  CUtensorMap k, v, out;
};

#if PAIRSCORE_WGMMA
// A tile of query rows, the heads of one block, and the keys that they meet.
struct Item {
  AttentionTile tile;
  int first_head;
  int first, end;  // positions of keys

  __device__ Item(const AttentionArgs & args, int index, const AttentionTile & its_tile, int keys) : tile(its_tile) {
    first_head = index % (args.q_heads / kGroups) * kGroups;
    first = args.window > 0 ? max(0, tile.q_position - args.window + 1) / keys * keys : 0;
    end = tile.q_position + tile.q_count;
  }
};

// What all warps of a block know, and what the one that brings does.
template <int kSize>
struct AttentionBlock {
  using At = Layout<kSize>;
  static constexpr int kStep = kKeys<kSize>, kChunks = kSize / 8, kPanels = kSize / kBoxColumns;
  static constexpr int kPanelBytes = kStep * kRowBytes;

  const AttentionArgs & args;
  const Maps & maps;
  char * const shared;
  const uint32_t base;  // of shared
  const int items;
  const int lane;
  Ring<kKeySlots> keys;
  Ring<kValueSlots> values;
  Ring<kItemSlots> turns;

  __device__ AttentionBlock(const AttentionArgs & a, const Maps & m, char * at)
      : args(a),
        maps(m),
        shared(at),
        base(shared_address(at)),
        items(a.tile_count * (a.q_heads / kGroups)),
        lane(threadIdx.x % 32) {}

  struct Slot {
    int at;  // in shared memory
    uint32_t barrier;
  };

  __device__ void bring_boxes(const CUtensorMap & map, const Item & item, int first, Slot slot) {
    const int column = item.first_head / (args.q_heads / args.kv_heads) * kSize;
    barrier_expect(slot.barrier, At::step_bytes);
    for (int p = 0; p < kPanels; p++)
      load_box(base + slot.at + p * kPanelBytes, &map, column + p * kBoxColumns, item.tile.kv_row + first,
               slot.barrier);
  }

  // Rows of others follow in the box: zeros in their place, since a weight of zero times one that is not finite is NaN.
  // Keys need none: the scores of such rows are hidden. (A loud one may still decide which of two ways caps the scores beside
  // it, 6e-7 apart: cap_scores.)
  __device__ void bring_last_values(const Item & item, int first, int & parity) {
    const int at = At::v + values.slot * At::step_bytes, count = item.end - first;
    if (lane == 0) bring_boxes(maps.v, item, first, {at, base + At::last_values});
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

  __device__ AttentionTile tile_of(int index) const { return args.tiles[max(index, 0) / (args.q_heads / kGroups)]; }

  // The next item that no block has: -1 when there are no more.
  __device__ int take_item() {
    int index = 0;
    if (lane == 0) index = int(gridDim.x) + atomicAdd(args.queue, 1);
    index = __shfl_sync(0xffffffffu, index, 0);
    return index < items ? index : -1;
  }

  // To the warps that multiply.
  __device__ void tell_item(int index, const AttentionTile & tile) {
    barrier_wait(base + At::item_empty + turns.slot * 8, turns.parity ^ 1);
    if (lane == 0) {
      *reinterpret_cast<AttentionTile *>(shared + At::tiles + turns.slot * int(sizeof tile)) = tile;
      *reinterpret_cast<int *>(shared + At::indices + turns.slot * 4) = index;
    }
    barrier_arrive(base + At::item_full + turns.slot * 8, lane == 0);
    turns.advance();
  }

  // The last block to find no more leaves the queue as it was.
  __device__ void leave_queue() {
    if (lane > 0) return;
    __threadfence();
    if (atomicAdd(args.queue + 1, 1) < int(gridDim.x) - 1) return;
    __threadfence();
    args.queue[0] = args.queue[1] = 0;
  }

  __device__ void bring() {
    int last_parity = 0, index = blockIdx.x;
    AttentionTile tile = tile_of(index);
    while (index >= 0) {
      const Item item(args, index, tile, kStep);
      for (int first = item.first; first < item.end; first += kStep) {
        if (first + kStep >= item.end) {
          // No earlier, since another block may be free for it before this one is; no later, so that the wait for slots
          // hides how long it takes.
          index = take_item();
          tile = tile_of(index);
        }
        barrier_wait(base + At::key_empty + keys.slot * 8, keys.parity ^ 1);
        if (lane == 0)
          bring_boxes(maps.k, item, first, {At::k + keys.slot * At::step_bytes, base + At::key_full + keys.slot * 8});
        keys.advance();
        barrier_wait(base + At::value_empty + values.slot * 8, values.parity ^ 1);
        if (first + kStep > item.end) {
          bring_last_values(item, first, last_parity);
        } else if (lane == 0) {
          bring_boxes(maps.v, item, first,
                      {At::v + values.slot * At::step_bytes, base + At::value_full + values.slot * 8});
        }
        values.advance();
      }
      tell_item(index, tile);
    }
    leave_queue();
  }
};
#endif

}  // namespace hopper
}  // namespace pairscore
