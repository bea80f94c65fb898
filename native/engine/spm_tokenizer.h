// SentencePiece BPE as transformers' fast tokenizers do it: spaces become U+2581, neighbours merge by rank, what is no
// piece falls back to bytes. libllama's own loop gives other ids for runs of spaces, and is several times slower.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "engine/merge_table.h"

namespace pairscore {

struct SpmPiece {
  // other: control, unknown and unused pieces, and added ones that are matched before merging.
  enum class Kind { normal, byte, other };
  std::string text;
  float score;
  Kind kind;
};

// Ids of the units seen last. One thread at a time.
class SpmCache;

// Immutable after construction.
class SpmTokenizer {
 public:
  explicit SpmTokenizer(const std::vector<SpmPiece> & pieces);
  ~SpmTokenizer();

  // text: UTF-8 without added tokens. Appends.
  void encode(std::string_view text, SpmCache & cache, std::vector<int32_t> & ids) const;

  static std::shared_ptr<SpmCache> make_cache();

 private:
  using Vocabulary = std::unordered_map<std::string_view, int32_t>;

  void read_characters(const std::vector<SpmPiece> & pieces, const Vocabulary & vocabulary);
  void read_merges(const std::vector<SpmPiece> & pieces, const Vocabulary & vocabulary);
  int32_t character_id(std::string_view character) const;
  size_t unit_end(std::string_view text, size_t from) const;
  void encode_unit(std::string_view unit, std::vector<int32_t> & ids) const;
  void append_bytes(std::string_view character, std::vector<int32_t> & ids) const;

  MergeTable merges_;
  std::unordered_map<uint32_t, int32_t> characters_;
  std::array<int32_t, 128> ascii_{};
  std::array<int32_t, 256> bytes_{};
  // Whether no piece holds U+2581 after another character: then no merge crosses into a new word.
  bool splits_words_ = true;
};

}  // namespace pairscore
