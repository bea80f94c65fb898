// Merges the symbols of one unit, the best rank first and of equal ones the leftmost, until no two neighbours merge.
#pragma once

#include <cstdint>
#include <vector>

#include "engine/merge_table.h"

namespace pairscore {

// One character, or what several have become. A merged right neighbour has length 0.
struct Symbol {
  int32_t id;  // negative: no piece
  uint32_t begin;
  uint32_t length;  // bytes
};

// Removes what has been merged: the symbols left are the tokens.
void merge_symbols(std::vector<Symbol> & symbols, const MergeTable & merges);

}  // namespace pairscore
