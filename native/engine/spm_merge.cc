#include "engine/spm_merge.h"

#include <algorithm>
#include <queue>

namespace pairscore {
namespace {

// Up to here a scan for the best pair is faster than a heap.
constexpr size_t kScanned = 32;

void merge_by_scan(std::vector<Symbol> & symbols, const MergeTable & merges) {
  MergeTable::Entry pairs[kScanned];
  size_t count = symbols.size();
  for (size_t i = 0; i + 1 < count; i++) pairs[i] = merges.find(symbols[i].id, symbols[i + 1].id);
  while (count > 1) {
    size_t best = 0;
    for (size_t i = 1; i + 1 < count; i++) {
      if (pairs[i].rank < pairs[best].rank) best = i;
    }
    if (pairs[best].rank == MergeTable::kNoRank) break;
    symbols[best].id = pairs[best].result;
    symbols[best].length += symbols[best + 1].length;
    std::move(symbols.begin() + best + 2, symbols.begin() + count, symbols.begin() + best + 1);
    std::move(pairs + best + 1, pairs + count - 1, pairs + best);
    count--;
    if (best > 0) pairs[best - 1] = merges.find(symbols[best - 1].id, symbols[best].id);
    if (best + 1 < count) pairs[best] = merges.find(symbols[best].id, symbols[best + 1].id);
  }
  symbols.resize(count);
}

struct Candidate {
  uint32_t rank;
  int32_t left;
  int32_t left_id;
  int32_t right_id;
  int32_t result;

  // For a heap whose top is the smallest.
  bool operator<(const Candidate & other) const { return rank != other.rank ? rank > other.rank : left > other.left; }
};

struct Link {
  int32_t previous;
  int32_t next;
};

class HeapMerge {
 public:
  HeapMerge(std::vector<Symbol> & symbols, const MergeTable & merges) : symbols_(symbols), merges_(merges) {
    const int32_t count = static_cast<int32_t>(symbols.size());
    links_.reserve(symbols.size());
    for (int32_t i = 0; i < count; i++) links_.push_back({i - 1, i + 1 < count ? i + 1 : -1});
  }

  void run() {
    for (int32_t i = 0; i + 1 < static_cast<int32_t>(symbols_.size()); i++) push(i, i + 1);
    while (!heap_.empty()) {
      const Candidate top = heap_.top();
      heap_.pop();
      if (is_current(top)) merge(top);
    }
    const auto is_merged = [](const Symbol & symbol) { return symbol.length == 0; };
    symbols_.erase(std::remove_if(symbols_.begin(), symbols_.end(), is_merged), symbols_.end());
  }

 private:
  Symbol & symbol(int32_t i) { return symbols_[static_cast<size_t>(i)]; }
  Link & link(int32_t i) { return links_[static_cast<size_t>(i)]; }

  void push(int32_t left, int32_t right) {
    if (left < 0 || right < 0) return;
    const int32_t left_id = symbol(left).id;
    const int32_t right_id = symbol(right).id;
    const MergeTable::Entry & entry = merges_.find(left_id, right_id);
    if (entry.rank != MergeTable::kNoRank) heap_.push({entry.rank, left, left_id, right_id, entry.result});
  }

  bool is_current(const Candidate & candidate) {
    const Symbol & left = symbol(candidate.left);
    const int32_t right = link(candidate.left).next;
    return left.length > 0 && left.id == candidate.left_id && right >= 0 && symbol(right).id == candidate.right_id;
  }

  void merge(const Candidate & candidate) {
    const int32_t left = candidate.left;
    const int32_t right = link(left).next;
    symbol(left).id = candidate.result;
    symbol(left).length += symbol(right).length;
    symbol(right).length = 0;
    link(left).next = link(right).next;
    if (link(right).next >= 0) link(link(right).next).previous = left;
    push(link(left).previous, left);
    push(left, link(left).next);
  }

  std::vector<Symbol> & symbols_;
  const MergeTable & merges_;
  std::vector<Link> links_;
  std::priority_queue<Candidate> heap_;
};

}  // namespace

void merge_symbols(std::vector<Symbol> & symbols, const MergeTable & merges) {
  if (symbols.size() <= kScanned) {
    merge_by_scan(symbols, merges);
  } else {
    HeapMerge(symbols, merges).run();
  }
}

}  // namespace pairscore
