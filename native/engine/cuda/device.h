// Owners of what a CUDA device lends: memory, streams, events; and the one place that turns its statuses into Errors.
#pragma once

#include <cuda_runtime_api.h>

#include <cstddef>
#include <string>
#include <utility>

namespace pairscore {

// Throws Error{device_memory} when memory ran out, Error{device_failed} otherwise.
void check_cuda(cudaError_t status, const std::string & what);

// Makes a device current for a scope of this thread.
class DeviceScope {
 public:
  explicit DeviceScope(int device);
  ~DeviceScope();
  DeviceScope(const DeviceScope &) = delete;
  DeviceScope & operator=(const DeviceScope &) = delete;

 private:
  int before_ = 0;
};

// Memory of the device that was current when it was made.
class DeviceBuffer {
 public:
  DeviceBuffer() = default;
  explicit DeviceBuffer(size_t bytes);
  ~DeviceBuffer();
  DeviceBuffer(DeviceBuffer && other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  DeviceBuffer & operator=(DeviceBuffer && other) noexcept;

  size_t bytes() const { return bytes_; }
  void * data() const { return data_; }
  template <typename T>
  T * as() const {
    return static_cast<T *>(data_);
  }

 private:
  void * data_ = nullptr;
  size_t bytes_ = 0;
};

// Page-locked memory of the host, which copies reach without a detour.
class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  explicit PinnedBuffer(size_t bytes);
  ~PinnedBuffer();
  PinnedBuffer(PinnedBuffer && other) noexcept
      : data_(std::exchange(other.data_, nullptr)), bytes_(std::exchange(other.bytes_, 0)) {}
  PinnedBuffer & operator=(PinnedBuffer && other) noexcept;

  size_t bytes() const { return bytes_; }
  template <typename T>
  T * as() const {
    return static_cast<T *>(data_);
  }

 private:
  void * data_ = nullptr;
  size_t bytes_ = 0;
};

class OwnStream {
 public:
  OwnStream();
  ~OwnStream();
  OwnStream(const OwnStream &) = delete;
  OwnStream & operator=(const OwnStream &) = delete;
  cudaStream_t get() const { return stream_; }
  void wait() const;

 private:
  cudaStream_t stream_ = nullptr;
};

class OwnEvent {
 public:
  OwnEvent();
  ~OwnEvent();
  OwnEvent(const OwnEvent &) = delete;
  OwnEvent & operator=(const OwnEvent &) = delete;
  void record(cudaStream_t stream) const;
  void wait() const;
  // Milliseconds from start, once both have happened.
  float since(const OwnEvent & start) const;

 private:
  cudaEvent_t event_ = nullptr;
};

}  // namespace pairscore
