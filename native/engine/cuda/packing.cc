#include "engine/cuda/packing.h"

#include <algorithm>
#include <cstring>
#include <map>
#include <numeric>

namespace pairscore {

static_assert(sizeof(AttentionTile) == 4 * sizeof(int32_t), "tiles travel as int32s");

int32_t batch_tokens(int32_t call_tokens, int32_t max_sequence_tokens, int32_t multiprocessors) {
  const int32_t filling = multiprocessors / 2 * 128;
  const int32_t wave = call_tokens >= 4 * filling ? 2 * filling : filling;
  return std::max(std::min(call_tokens, wave), max_sequence_tokens);
}

std::vector<RowList> share_rows(View<int32_t> offsets, BatchLimits limits) {
  const auto length = [&](int32_t row) {
    return offsets[static_cast<size_t>(row) + 1] - offsets[static_cast<size_t>(row)];
  };
  RowList order(offsets.size - 1);
  std::iota(order.begin(), order.end(), 0);
  std::stable_sort(order.begin(), order.end(), [&](int32_t a, int32_t b) { return length(a) > length(b); });
  std::vector<RowList> batches;
  std::multimap<int32_t, size_t> room;  // tokens left -> batch
  for (int32_t row : order) {
    const auto best = room.lower_bound(length(row));
    size_t batch = batches.size();
    int32_t left = limits.tokens;
    if (best == room.end()) {
      batches.emplace_back();
    } else {
      left = best->first;
      batch = best->second;
      room.erase(best);
    }
    batches[batch].push_back(row);
    if (static_cast<int32_t>(batches[batch].size()) < limits.rows) room.emplace(left - length(row), batch);
  }
  return batches;
}

int64_t largest_packing(BatchLimits limits, int32_t tile_rows) {
  const int64_t tiles = limits.tokens / tile_rows + limits.rows;
  return 2 * int64_t(limits.tokens) + limits.rows + 4 * (tiles + limits.rows);
}

Packing pack_rows(const TokenRows & rows, const RowList & list, int32_t tile_rows, int32_t * target) {
  const View<int32_t> &tokens = rows.tokens, &offsets = rows.offsets;
  std::vector<AttentionTile> tiles, last_tiles;
  Packing packing{static_cast<int32_t>(list.size()), 0, 0, static_cast<int32_t>(list.size())};
  for (int32_t row : list) packing.tokens += offsets[static_cast<size_t>(row) + 1] - offsets[static_cast<size_t>(row)];
  int32_t *ids = target, *positions = target + packing.positions_at(), *last = target + packing.last_at();
  int32_t begin = 0, place = 0;
  for (int32_t row : list) {
    const int32_t first = offsets[static_cast<size_t>(row)], length = offsets[static_cast<size_t>(row) + 1] - first;
    std::memcpy(ids + begin, tokens.data + first, sizeof(int32_t) * static_cast<size_t>(length));
    std::iota(positions + begin, positions + begin + length, 0);
    last_tiles.push_back({place++, 1, length - 1, begin});
    begin += length;
    *last++ = begin - 1;
  }
  std::stable_sort(last_tiles.begin(), last_tiles.end(),
                   [](const AttentionTile & a, const AttentionTile & b) { return a.q_position > b.q_position; });
  for (const AttentionTile & tile : last_tiles) {
    const int32_t length = tile.q_position + 1;
    for (int32_t i = tile.q_position / tile_rows * tile_rows; i >= 0; i -= tile_rows)
      tiles.push_back({tile.kv_row + i, std::min(tile_rows, length - i), i, tile.kv_row});
  }
  packing.tiles = static_cast<int32_t>(tiles.size());
  std::memcpy(target + packing.tiles_at(), tiles.data(), tiles.size() * sizeof(AttentionTile));
  std::memcpy(target + packing.last_tiles_at(), last_tiles.data(), last_tiles.size() * sizeof(AttentionTile));
  return packing;
}

}  // namespace pairscore
