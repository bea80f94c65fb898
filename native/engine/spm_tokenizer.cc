#include "engine/spm_tokenizer.h"

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <limits>

#include "engine/spm_merge.h"

namespace pairscore {
namespace {

constexpr std::string_view kSpaceMark = "\xe2\x96\x81";

size_t character_length(char first) {
  const auto byte = static_cast<uint8_t>(first);
  if (byte < 0xc0) return 1;
  if (byte < 0xe0) return 2;
  return byte < 0xf0 ? 3 : 4;
}

std::string_view character_at(std::string_view text, size_t at) { return text.substr(at, character_length(text[at])); }

// The bytes as one number: as good a key as the code point, and never wrong about malformed text.
uint32_t packed(std::string_view character) {
  uint32_t key = 0;
  for (const char byte : character) key = key << 8 | static_cast<uint8_t>(byte);
  return key;
}

bool is_space(std::string_view character) { return character == " " || character == kSpaceMark; }

// Whether a space mark stands at `at`, and something else before it.
bool starts_word(std::string_view text, size_t at) {
  const size_t size = kSpaceMark.size();
  return text.substr(at, size) == kSpaceMark && (at < size || text.substr(at - size, size) != kSpaceMark);
}

size_t count_characters(std::string_view text) {
  size_t count = 0;
  for (size_t at = 0; at < text.size(); at += character_length(text[at])) count++;
  return count;
}

struct RankedMerge {
  Merge merge;
  float score;
  uint32_t left_length;  // characters
  uint32_t right_length;
};

// The order that transformers' conversion of a SentencePiece model gives its merges.
bool ranks_before(const RankedMerge & a, const RankedMerge & b) {
  if (a.score != b.score) return a.score > b.score;
  if (a.left_length != b.left_length) return a.left_length > b.left_length;
  return a.right_length > b.right_length;
}

}  // namespace

// Direct-mapped: a unit replaces another of the same slot.
class SpmCache {
 public:
  static constexpr size_t kLongest = 27;
  static constexpr size_t kMostIds = 8;

  struct Slot {
    uint8_t length = 0;
    uint8_t count = 0;
    char text[kLongest + 3] = {};
    int32_t ids[kMostIds] = {};
  };

  Slot & slot(std::string_view unit) { return slots_[std::hash<std::string_view>()(unit) & (slots_.size() - 1)]; }

 private:
  std::vector<Slot> slots_ = std::vector<Slot>(1 << 15);
};

SpmTokenizer::~SpmTokenizer() = default;

std::shared_ptr<SpmCache> SpmTokenizer::make_cache() { return std::make_shared<SpmCache>(); }

SpmTokenizer::SpmTokenizer(const std::vector<SpmPiece> & pieces) {
  Vocabulary vocabulary;
  vocabulary.reserve(pieces.size());
  for (size_t i = 0; i < pieces.size(); i++) {
    if (pieces[i].kind == SpmPiece::Kind::normal) vocabulary.emplace(pieces[i].text, static_cast<int32_t>(i));
  }
  read_characters(pieces, vocabulary);
  read_merges(pieces, vocabulary);
}

void SpmTokenizer::read_characters(const std::vector<SpmPiece> & pieces, const Vocabulary & vocabulary) {
  ascii_.fill(-1);
  bytes_.fill(-1);
  for (const auto & [text, id] : vocabulary) {
    if (text.empty() || character_length(text[0]) != text.size()) continue;
    characters_.emplace(packed(text), id);
    if (text.size() == 1 && static_cast<uint8_t>(text[0]) < 0x80) {
      ascii_[static_cast<uint8_t>(text[0])] = id;
      bytes_[static_cast<uint8_t>(text[0])] = id;
    }
  }
  const auto mark = characters_.find(packed(kSpaceMark));
  ascii_[' '] = mark == characters_.end() ? -1 : mark->second;
  for (size_t i = 0; i < pieces.size(); i++) {
    if (pieces[i].kind != SpmPiece::Kind::byte || pieces[i].text.size() != 6) continue;
    bytes_[std::strtoul(pieces[i].text.substr(3, 2).c_str(), nullptr, 16) & 0xff] = static_cast<int32_t>(i);
  }
}

void SpmTokenizer::read_merges(const std::vector<SpmPiece> & pieces, const Vocabulary & vocabulary) {
  std::vector<RankedMerge> ranked;
  for (size_t i = 0; i < pieces.size(); i++) {
    const std::string_view text = pieces[i].text;
    if (pieces[i].kind != SpmPiece::Kind::normal || text.empty()) continue;
    const auto length = static_cast<uint32_t>(count_characters(text));
    uint32_t left_length = 1;
    for (size_t at = character_length(text[0]); at < text.size(); at += character_length(text[at]), left_length++) {
      if (starts_word(text, at)) splits_words_ = false;
      const auto left = vocabulary.find(text.substr(0, at));
      if (left == vocabulary.end()) continue;
      const auto right = vocabulary.find(text.substr(at));
      if (right == vocabulary.end()) continue;
      const Merge merge{left->second, right->second, static_cast<int32_t>(i)};
      ranked.push_back({merge, pieces[i].score, left_length, length - left_length});
    }
  }
  std::stable_sort(ranked.begin(), ranked.end(), ranks_before);
  std::vector<Merge> merges;
  merges.reserve(ranked.size());
  for (const RankedMerge & one : ranked) merges.push_back(one.merge);
  merges_ = MergeTable(merges);
}

int32_t SpmTokenizer::character_id(std::string_view character) const {
  const auto first = static_cast<uint8_t>(character[0]);
  if (first < 0x80) return ascii_[first];
  const auto found = characters_.find(packed(character));
  return found == characters_.end() ? -1 : found->second;
}

// Units are merged one by one: a word with the spaces before it, or all of the text.
size_t SpmTokenizer::unit_end(std::string_view text, size_t from) const {
  if (!splits_words_) return text.size();
  bool in_word = false;
  for (size_t at = from; at < text.size();) {
    const std::string_view character = character_at(text, at);
    const bool space = is_space(character);
    if (in_word && space) return at;
    in_word = !space;
    at += character.size();
  }
  return text.size();
}

void SpmTokenizer::encode(std::string_view text, SpmCache & cache, std::vector<int32_t> & ids) const {
  for (size_t from = 0; from < text.size();) {
    const std::string_view unit = text.substr(from, unit_end(text, from) - from);
    from += unit.size();
    if (unit.size() > SpmCache::kLongest) {
      encode_unit(unit, ids);
      continue;
    }
    SpmCache::Slot & slot = cache.slot(unit);
    if (slot.length == unit.size() && std::memcmp(slot.text, unit.data(), unit.size()) == 0) {
      ids.insert(ids.end(), slot.ids, slot.ids + slot.count);
      continue;
    }
    const size_t before = ids.size();
    encode_unit(unit, ids);
    if (ids.size() - before > SpmCache::kMostIds) continue;
    slot.length = static_cast<uint8_t>(unit.size());
    slot.count = static_cast<uint8_t>(ids.size() - before);
    std::memcpy(slot.text, unit.data(), unit.size());
    std::copy(ids.begin() + static_cast<std::ptrdiff_t>(before), ids.end(), slot.ids);
  }
}

void SpmTokenizer::encode_unit(std::string_view unit, std::vector<int32_t> & ids) const {
  std::vector<Symbol> symbols;
  symbols.reserve(unit.size());
  for (size_t at = 0; at < unit.size();) {
    const std::string_view character = character_at(unit, at);
    symbols.push_back({character_id(character), static_cast<uint32_t>(at), static_cast<uint32_t>(character.size())});
    at += character.size();
  }
  merge_symbols(symbols, merges_);
  for (const Symbol & symbol : symbols) {
    if (symbol.id >= 0) {
      ids.push_back(symbol.id);
    } else {
      append_bytes(unit.substr(symbol.begin, symbol.length), ids);
    }
  }
}

void SpmTokenizer::append_bytes(std::string_view character, std::vector<int32_t> & ids) const {
  for (const char byte : character) {
    const int32_t id = bytes_[static_cast<uint8_t>(byte)];
    if (id >= 0) ids.push_back(id);
  }
}

}  // namespace pairscore
