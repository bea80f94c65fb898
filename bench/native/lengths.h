// Tokens a row (prompt and both replies) as LMSYS has them, truncated at 2048, but for the shortest sixteenth.
#pragma once

#include <random>
#include <vector>

namespace pairscore {

// Draws `count` lengths, the same for the same count.
inline std::vector<int> lmsys_lengths(int count) {
  constexpr int kBins = 15;  // of as many rows each
  constexpr int kEdges[kBins + 1] = {34, 133, 196, 263, 333, 406, 481, 551, 623, 703, 782, 878, 999, 1194, 1639, 2048};
  std::mt19937 random(3);
  std::vector<int> lengths;
  for (int i = 0; i < count; i++)
    lengths.push_back(std::uniform_int_distribution<int>(kEdges[i % kBins], kEdges[i % kBins + 1])(random));
  return lengths;
}

}  // namespace pairscore
