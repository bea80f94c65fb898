#include "engine/cuda/packing.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace pairscore {

static_assert(sizeof(AttentionTile) == 4 * sizeof(int32_t), "tiles travel as int32s");

int32_t batch_tokens(int32_t call_tokens, int32_t max_sequence_tokens, int32_t multiprocessors) {
  const int32_t filling = multiprocessors / 2 * 128;
  const int32_t wave = call_tokens >= 4 * filling ? 2 * filling : filling;
  return std::max(std::min(call_tokens, wave), max_sequence_tokens);
}

namespace {

constexpr int32_t kTaken = -1;  // for a row's number

// Which sums the first few of some lengths make, up to a limit: a bit a sum, a set of bits for each number of lengths.
class SubsetSums {
 public:
  SubsetSums(const std::vector<int32_t> & lengths, int32_t limit)
      : lengths_(lengths), limit_(limit), words_(static_cast<size_t>(limit) / 64 + 1) {
    bits_.resize((lengths.size() + 1) * words_);
    bits_[0] = 1;
    for (size_t i = 0; i < lengths.size(); i++) add(i);
  }

  // Places of lengths whose sum is the largest within the limit; of several such choices one of few and large lengths.
  std::vector<size_t> largest() const {
    int32_t sum = limit_;
    while (!makes(lengths_.size(), sum)) sum--;
    std::vector<size_t> chosen;
    for (size_t i = lengths_.size(); i-- > 0;) {
      if (makes(i, sum)) continue;
      chosen.push_back(i);
      sum -= lengths_[i];
    }
    std::reverse(chosen.begin(), chosen.end());
    return chosen;
  }

 private:
  bool makes(size_t count, int32_t sum) const {
    return bits_[count * words_ + static_cast<size_t>(sum) / 64] >> (sum % 64) & 1;
  }

  void add(size_t i) {
    const uint64_t * before = bits_.data() + i * words_;
    uint64_t * after = bits_.data() + (i + 1) * words_;
    const size_t words = static_cast<size_t>(lengths_[i]) / 64, bits = static_cast<size_t>(lengths_[i]) % 64;
    std::copy(before, before + words_, after);
    for (size_t to = words; to < words_; to++) {
      after[to] |= before[to - words] << bits;
      if (bits && to > words) after[to] |= before[to - words - 1] >> (64 - bits);
    }
  }

  const std::vector<int32_t> & lengths_;
  const int32_t limit_;
  const size_t words_;
  std::vector<uint64_t> bits_;
};

}  // namespace

std::vector<RowList> share_rows(View<int32_t> offsets, BatchLimits limits) {
  const auto length = [&](int32_t row) {
    return offsets[static_cast<size_t>(row) + 1] - offsets[static_cast<size_t>(row)];
  };
  RowList waiting(offsets.size - 1);
  std::iota(waiting.begin(), waiting.end(), 0);
  std::stable_sort(waiting.begin(), waiting.end(), [&](int32_t a, int32_t b) { return length(a) > length(b); });
  std::vector<RowList> batches;
  while (!waiting.empty()) {
    std::vector<int32_t> others;
    for (size_t i = 1; i < waiting.size() && static_cast<int32_t>(i) < limits.rows; i++)
      others.push_back(length(waiting[i]));
    RowList batch = {waiting[0]};
    for (size_t i : SubsetSums(others, std::max(0, limits.tokens - length(waiting[0]))).largest()) {
      batch.push_back(waiting[i + 1]);
      waiting[i + 1] = kTaken;
    }
    waiting[0] = kTaken;
    waiting.erase(std::remove(waiting.begin(), waiting.end(), kTaken), waiting.end());
    batches.push_back(std::move(batch));
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
