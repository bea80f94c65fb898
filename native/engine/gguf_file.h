// A GGUF file, read without trust: every getter checks the type first, because ggml aborts the process on a wrong one.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "ggml.h"
#include "gguf.h"

namespace pairscore {

struct TensorInfo {
  std::string name;
  ggml_type type;
  int64_t ne[4];    // ggml order: ne[0] is the contiguous dimension
  uint64_t offset;  // from the start of the file
  uint64_t bytes;

  int64_t elements() const { return ne[0] * ne[1] * ne[2] * ne[3]; }
};

std::string shape_text(const TensorInfo & tensor);

class GgufFile {
 public:
  // Throws Error{model_file} when the file cannot be read, is no GGUF, or is shorter than its tensors.
  explicit GgufFile(const std::string & path);

  const std::string & path() const { return path_; }
  uint64_t bytes() const { return bytes_; }

  // Each throws Error{model_file} when the key exists with another type.
  std::optional<std::string> text(const std::string & key) const;
  std::optional<uint32_t> u32(const std::string & key) const;
  std::optional<float> f32(const std::string & key) const;
  std::optional<std::vector<std::string>> texts(const std::string & key) const;

  bool has(const std::string & key) const;
  // Length of an array of this element type; throws when the key is missing or of another type.
  size_t array_length(const std::string & key, gguf_type element) const;

  const std::vector<TensorInfo> & tensors() const { return tensors_; }
  // nullptr where there is none.
  const TensorInfo * find(const std::string & name) const;

  // Values of a tensor as f32, dequantised by ggml. Throws Error{model_file} on a short read.
  std::vector<float> read_f32(const TensorInfo & tensor) const;

 private:
  struct Free {
    void operator()(gguf_context * context) const { gguf_free(context); }
  };

  int64_t find_key(const std::string & key, gguf_type type) const;
  void read_tensors();

  std::string path_;
  uint64_t bytes_ = 0;
  std::unique_ptr<gguf_context, Free> gguf_;
  std::vector<TensorInfo> tensors_;
};

}  // namespace pairscore
