// Tensors of a file -> device memory, through two pinned buffers: one is read into while the other is copied.
#pragma once

#include <string>

#include "engine/cuda/device.h"
#include "engine/gguf_file.h"
#include "kernels/quant_blocks.h"

namespace pairscore {

struct Uploaded {
  DeviceBuffer data;
  Quant quant;
};

// Of a tensor as `upload` keeps it.
size_t uploaded_bytes(const TensorInfo & tensor);

class Uploader {
 public:
  explicit Uploader(cudaStream_t stream);
  ~Uploader();
  Uploader(const Uploader &) = delete;
  Uploader & operator=(const Uploader &) = delete;

  // As stored, or as f32 where ggml knows the format and our kernels do not. The copy may still be under way on the stream.
  Uploaded upload(const GgufFile & file, const TensorInfo & tensor);
  DeviceBuffer upload_f32(const float * values, size_t count);
  DeviceBuffer upload_f32(const GgufFile & file, const TensorInfo & tensor);

 private:
  static constexpr int kBuffers = 2;

  void copy(char * target, const char * source, size_t bytes);
  void copy_from_file(char * target, const GgufFile & file, const TensorInfo & tensor);
  int next_buffer();

  cudaStream_t stream_;
  PinnedBuffer pinned_[kBuffers];
  OwnEvent copied_[kBuffers];
  int turn_ = 0;
  int file_ = -1;
  std::string file_path_;
};

}  // namespace pairscore
