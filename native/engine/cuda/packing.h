// What the kernels need to know about the rows of one batch, as one run of int32 that a single copy takes to the device.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/engine.h"
#include "kernels/attention.h"

namespace pairscore {

using RowList = std::vector<int32_t>;

struct TokenRows {
  View<int32_t> tokens;   // of all rows, one after the other
  View<int32_t> offsets;  // rows + 1
};

struct BatchLimits {
  int32_t tokens;
  int32_t rows;
};

// Tokens of a batch, where calls have at most call_tokens and rows at most max_sequence_tokens: as many as let tiles of
// 128 x 256 fill all multiprocessors for every width that is a multiple of 512, or twice as many where a call holds two such
// batches, since at every kernel's end multiprocessors are idle for a while. Four times as many are slower than twice.
int32_t batch_tokens(int32_t call_tokens, int32_t max_sequence_tokens, int32_t multiprocessors);

// Whole rows, so shared out that few batches but the last have room: each takes the longest row that waits and, of the
// longest others (limits.rows in all), those that fill it best. A row longer than the limit goes alone.
std::vector<RowList> share_rows(View<int32_t> offsets, BatchLimits limits);

struct Packing {
  int32_t rows;
  int32_t tokens;
  int32_t tiles;
  int32_t last_tiles;  // one a row: only its last token asks

  // Places in the run, in int32s.
  int64_t tokens_at() const { return 0; }
  int64_t positions_at() const { return tokens; }
  int64_t last_at() const { return positions_at() + tokens; }
  int64_t tiles_at() const { return last_at() + rows; }
  int64_t last_tiles_at() const { return tiles_at() + int64_t(tiles) * 4; }
  int64_t size() const { return last_tiles_at() + int64_t(last_tiles) * 4; }
};

// int32s that a batch within the limits can take at most.
int64_t largest_packing(BatchLimits limits, int32_t tile_rows);

// Writes the run of the listed rows into target, which has room for it. Tiles of one row stay together, so that its keys and
// values stay in L2; the longest row and the longest way to walk come first, so that no block ends late.
Packing pack_rows(const TokenRows & rows, const RowList & list, int32_t tile_rows, int32_t * target);

}  // namespace pairscore
