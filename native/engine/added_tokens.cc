#include "engine/added_tokens.h"

namespace pairscore {

AddedTokens::AddedTokens(const std::vector<AddedToken> & tokens) : nodes_(1) {
  for (const AddedToken & token : tokens) {
    if (token.text.empty()) continue;
    starts_[static_cast<uint8_t>(token.text[0])] = true;
    int32_t node = 0;
    for (const char byte : token.text) {
      int32_t next = child(node, byte);
      if (next < 0) {
        next = static_cast<int32_t>(nodes_.size());
        nodes_.emplace_back();
        nodes_[static_cast<size_t>(node)].children.emplace_back(byte, next);
      }
      node = next;
    }
    nodes_[static_cast<size_t>(node)].id = token.id;
  }
}

int32_t AddedTokens::child(int32_t node, char byte) const {
  for (const auto & [key, next] : nodes_[static_cast<size_t>(node)].children) {
    if (key == byte) return next;
  }
  return -1;
}

AddedTokens::Match AddedTokens::find(std::string_view text, size_t from) const {
  for (size_t begin = from; begin < text.size(); begin++) {
    if (!starts_[static_cast<uint8_t>(text[begin])]) continue;
    Match match{begin, begin, -1};
    int32_t node = 0;
    for (size_t at = begin; at < text.size(); at++) {
      node = child(node, text[at]);
      if (node < 0) break;
      const int32_t id = nodes_[static_cast<size_t>(node)].id;
      if (id >= 0) match = {begin, at + 1, id};
    }
    if (match.id >= 0) return match;
  }
  return {text.size(), text.size(), -1};
}

}  // namespace pairscore
