#include "engine/merge_table.h"

namespace pairscore {

MergeTable::MergeTable(const std::vector<Merge> & merges) {
  size_t size = 16;
  while (size < merges.size() * 2) size *= 2;
  entries_.resize(size);
  mask_ = size - 1;
  uint32_t rank = 0;
  for (const Merge & merge : merges) {
    const uint64_t key = static_cast<uint64_t>(merge.left) << 32 | static_cast<uint32_t>(merge.right);
    size_t slot = hash(key);
    while (entries_[slot].key != key && entries_[slot].key != UINT64_MAX) slot = (slot + 1) & mask_;
    if (entries_[slot].key == UINT64_MAX) entries_[slot] = {key, rank, merge.result};
    rank++;
  }
}

}  // namespace pairscore
