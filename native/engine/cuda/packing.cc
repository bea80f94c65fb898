#include "engine/cuda/packing.h"

#include <algorithm>
#include <cstring>

namespace pairscore {

static_assert(sizeof(AttentionTile) == 4 * sizeof(int32_t), "tiles travel as int32s");

std::vector<RowRange> split_rows(View<int32_t> offsets, BatchLimits limits) {
  std::vector<RowRange> ranges;
  const int32_t rows = static_cast<int32_t>(offsets.size) - 1;
  RowRange range{0, 0};
  for (int32_t row = 0; row < rows; row++) {
    const bool full = range.end > range.first &&
                      (offsets[static_cast<size_t>(row) + 1] - offsets[static_cast<size_t>(range.first)] > limits.tokens || row - range.first == limits.rows);
    if (full) {
      ranges.push_back(range);
      range.first = row;
    }
    range.end = row + 1;
  }
  if (range.end > range.first) ranges.push_back(range);
  return ranges;
}

int64_t largest_packing(BatchLimits limits, int32_t tile_rows) {
  const int64_t tiles = limits.tokens / tile_rows + limits.rows;
  return 2 * int64_t(limits.tokens) + limits.rows + 4 * (tiles + limits.rows);
}

Packing pack_rows(View<int32_t> tokens, View<int32_t> offsets, RowRange range, int32_t tile_rows, int32_t * target) {
  const int32_t start = offsets[static_cast<size_t>(range.first)];
  std::vector<AttentionTile> tiles, last_tiles;
  Packing packing{range.end - range.first, offsets[static_cast<size_t>(range.end)] - start, 0, range.end - range.first};
  std::memcpy(target, tokens.data + start, sizeof(int32_t) * static_cast<size_t>(packing.tokens));
  int32_t * positions = target + packing.positions_at(), * last = target + packing.last_at();
  for (int32_t row = range.first; row < range.end; row++) {
    const int32_t begin = offsets[static_cast<size_t>(row)] - start, length = offsets[static_cast<size_t>(row) + 1] - start - begin;
    for (int32_t i = 0; i < length; i++) positions[begin + i] = i;
    *last++ = begin + length - 1;
    for (int32_t i = 0; i < length; i += tile_rows) tiles.push_back({begin + i, std::min(tile_rows, length - i), i, begin});
    last_tiles.push_back({row - range.first, 1, length - 1, begin});
  }
  const auto longer = [](const AttentionTile & a, const AttentionTile & b) { return a.q_position + a.q_count > b.q_position + b.q_count; };
  std::stable_sort(tiles.begin(), tiles.end(), longer);
  std::stable_sort(last_tiles.begin(), last_tiles.end(), longer);
  packing.tiles = static_cast<int32_t>(tiles.size());
  std::memcpy(target + packing.tiles_at(), tiles.data(), tiles.size() * sizeof(AttentionTile));
  std::memcpy(target + packing.last_tiles_at(), last_tiles.data(), last_tiles.size() * sizeof(AttentionTile));
  return packing;
}

}  // namespace pairscore
