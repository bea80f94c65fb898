// Finds the strings of added tokens in a text as transformers does: from left to right, at each place the longest.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace pairscore {

struct AddedToken {
  std::string text;
  int32_t id;
};

// Immutable, so any number of threads may use it.
class AddedTokens {
 public:
  AddedTokens() : AddedTokens(std::vector<AddedToken>()) {}
  explicit AddedTokens(const std::vector<AddedToken> & tokens);

  struct Match {
    size_t begin;
    size_t end;
    int32_t id;
  };

  // The first match at or after `from`; begin is text.size() where there is none.
  Match find(std::string_view text, size_t from) const;

 private:
  struct Node {
    std::vector<std::pair<char, int32_t>> children;
    int32_t id = -1;
  };

  int32_t child(int32_t node, char byte) const;

  std::vector<Node> nodes_;
  std::array<bool, 256> starts_{};
};

}  // namespace pairscore
