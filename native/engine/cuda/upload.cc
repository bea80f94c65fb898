#include "engine/cuda/upload.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <future>
#include <optional>
#include <vector>

#include "engine/stop.h"
#include "error.h"

namespace pairscore {
namespace {

constexpr size_t kBufferBytes = 64u << 20;
constexpr size_t kReaders = 4;  // threads that share one read: the page cache gives each of them a few GB/s

std::optional<Quant> quant_of(ggml_type type) {
  switch (type) {
    case GGML_TYPE_F32:
      return Quant::f32;
    case GGML_TYPE_F16:
      return Quant::f16;
    case GGML_TYPE_BF16:
      return Quant::bf16;
    case GGML_TYPE_Q4_0:
      return Quant::q4_0;
    case GGML_TYPE_Q4_1:
      return Quant::q4_1;
    case GGML_TYPE_Q5_0:
      return Quant::q5_0;
    case GGML_TYPE_Q5_1:
      return Quant::q5_1;
    case GGML_TYPE_Q8_0:
      return Quant::q8_0;
    case GGML_TYPE_Q4_K:
      return Quant::q4_k;
    case GGML_TYPE_Q5_K:
      return Quant::q5_k;
    case GGML_TYPE_Q6_K:
      return Quant::q6_k;
    default:
      return std::nullopt;
  }
}

bool read_range(int file, char * target, size_t bytes, uint64_t offset) {
  while (bytes > 0) {
    const ssize_t got = pread(file, target, bytes, static_cast<off_t>(offset));
    if (got <= 0) {
      if (got < 0 && errno == EINTR) continue;
      return false;
    }
    target += got;
    bytes -= static_cast<size_t>(got);
    offset += static_cast<uint64_t>(got);
  }
  return true;
}

bool read_shared(int file, char * target, size_t bytes, uint64_t offset) {
  const size_t share = (bytes + kReaders - 1) / kReaders;
  if (share < (1u << 20)) return read_range(file, target, bytes, offset);
  std::vector<std::future<bool>> reads;
  for (size_t first = 0; first < bytes; first += share) {
    reads.push_back(std::async(std::launch::async, read_range, file, target + first, std::min(share, bytes - first),
                               offset + first));
  }
  bool whole = true;
  for (std::future<bool> & read : reads) whole = read.get() && whole;
  return whole;
}

}  // namespace

size_t uploaded_bytes(const TensorInfo & tensor) {
  return quant_of(tensor.type) ? tensor.bytes : static_cast<size_t>(tensor.elements()) * sizeof(float);
}

Uploader::Uploader(cudaStream_t stream) : stream_(stream) {
  for (PinnedBuffer & buffer : pinned_) buffer = PinnedBuffer(kBufferBytes);
}

Uploader::~Uploader() {
  cudaStreamSynchronize(stream_);  // copies still read the pinned buffers
  if (file_ >= 0) close(file_);
}

int Uploader::next_buffer() {
  turn_ = (turn_ + 1) % kBuffers;
  copied_[turn_].wait();
  return turn_;
}

void Uploader::copy(char * target, const char * source, size_t bytes) {
  for (size_t done = 0; done < bytes; done += kBufferBytes) {
    const size_t part = std::min(kBufferBytes, bytes - done);
    const int buffer = next_buffer();
    std::memcpy(pinned_[buffer].as<char>(), source + done, part);
    check_cuda(cudaMemcpyAsync(target + done, pinned_[buffer].as<char>(), part, cudaMemcpyHostToDevice, stream_),
               "copying weights to the device");
    copied_[buffer].record(stream_);
  }
}

void Uploader::copy_from_file(char * target, const GgufFile & file, const TensorInfo & tensor) {
  if (file_ < 0 || file_path_ != file.path()) {
    if (file_ >= 0) close(file_);
    file_path_ = file.path();
    file_ = open(file_path_.c_str(), O_RDONLY | O_CLOEXEC);
    if (file_ < 0)
      throw Error(Code::model_file,
                  "Expected a readable file at " + file_path_ + " but received: " + std::strerror(errno));
  }
  for (size_t done = 0; done < tensor.bytes; done += kBufferBytes) {
    throw_if_stopped();
    const size_t part = std::min<size_t>(kBufferBytes, tensor.bytes - done);
    const int buffer = next_buffer();
    if (!read_shared(file_, pinned_[buffer].as<char>(), part, tensor.offset + done)) {
      throw Error(Code::model_file,
                  "Expected to read tensor " + tensor.name + " of " + file_path_ + " but the read failed");
    }
    check_cuda(cudaMemcpyAsync(target + done, pinned_[buffer].as<char>(), part, cudaMemcpyHostToDevice, stream_),
               "copying weights to the device");
    copied_[buffer].record(stream_);
  }
}

Uploaded Uploader::upload(const GgufFile & file, const TensorInfo & tensor) {
  const std::optional<Quant> quant = quant_of(tensor.type);
  if (!quant) return {upload_f32(file, tensor), Quant::f32};
  DeviceBuffer buffer(tensor.bytes);
  copy_from_file(buffer.as<char>(), file, tensor);
  return {std::move(buffer), *quant};
}

DeviceBuffer Uploader::upload_f32(const float * values, size_t count) {
  DeviceBuffer buffer(count * sizeof(float));
  copy(buffer.as<char>(), reinterpret_cast<const char *>(values), count * sizeof(float));
  return buffer;
}

DeviceBuffer Uploader::upload_f32(const GgufFile & file, const TensorInfo & tensor) {
  const std::vector<float> values = file.read_f32(tensor);
  return upload_f32(values.data(), values.size());
}

}  // namespace pairscore
