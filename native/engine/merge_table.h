// Which two neighbours merge into what, and how early: one look-up a pair.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

namespace pairscore {

struct Merge {
  int32_t left;
  int32_t right;
  int32_t result;
};

// Immutable. Open addressing, at most half full.
class MergeTable {
 public:
  static constexpr uint32_t kNoRank = UINT32_MAX;

  struct Entry {
    uint64_t key = UINT64_MAX;
    uint32_t rank = kNoRank;
    int32_t result = -1;
  };

  MergeTable() : MergeTable(std::vector<Merge>()) {}
  // In order of rank, best first. Of two merges of one pair the first counts.
  explicit MergeTable(const std::vector<Merge> & merges);

  // rank is kNoRank where the two do not merge, or where one of them is no piece (negative).
  const Entry & find(int32_t left, int32_t right) const {
    if ((left | right) < 0) return none_;
    const uint64_t key = static_cast<uint64_t>(left) << 32 | static_cast<uint32_t>(right);
    for (size_t slot = hash(key);; slot = (slot + 1) & mask_) {
      const Entry & entry = entries_[slot];
      if (entry.key == key || entry.key == UINT64_MAX) return entry;
    }
  }

 private:
  size_t hash(uint64_t key) const { return static_cast<size_t>((key * 0x9e3779b97f4a7c15ULL) >> 20) & mask_; }

  std::vector<Entry> entries_;
  size_t mask_ = 0;
  Entry none_;
};

}  // namespace pairscore
