#include "engine/cuda/device.h"

#include "error.h"

namespace pairscore {

void check_cuda(cudaError_t status, const std::string & what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // an error that is not sticky must not surface at the next launch
  const Code code = status == cudaErrorMemoryAllocation ? Code::device_memory : Code::device_failed;
  throw Error(code, "Expected " + what + " to succeed but received: " + cudaGetErrorString(status));
}

DeviceScope::DeviceScope(int device) {
  check_cuda(cudaGetDevice(&before_), "reading the current CUDA device");
  check_cuda(cudaSetDevice(device), "choosing CUDA device " + std::to_string(device));
}

DeviceScope::~DeviceScope() { cudaSetDevice(before_); }

DeviceBuffer::DeviceBuffer(size_t bytes) : bytes_(bytes) {
  if (bytes) check_cuda(cudaMalloc(&data_, bytes), "allocating " + std::to_string(bytes >> 20) + " MiB on the device");
}

DeviceBuffer::~DeviceBuffer() {
  if (data_) cudaFree(data_);
}

DeviceBuffer & DeviceBuffer::operator=(DeviceBuffer && other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

PinnedBuffer::PinnedBuffer(size_t bytes) : bytes_(bytes) {
  if (bytes)
    check_cuda(cudaMallocHost(&data_, bytes), "allocating " + std::to_string(bytes >> 20) + " MiB of pinned memory");
}

PinnedBuffer::~PinnedBuffer() {
  if (data_) cudaFreeHost(data_);
}

PinnedBuffer & PinnedBuffer::operator=(PinnedBuffer && other) noexcept {
  std::swap(data_, other.data_);
  std::swap(bytes_, other.bytes_);
  return *this;
}

OwnStream::OwnStream() { check_cuda(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking), "creating a stream"); }

OwnStream::~OwnStream() { cudaStreamDestroy(stream_); }

void OwnStream::wait() const { check_cuda(cudaStreamSynchronize(stream_), "work on the device"); }

OwnEvent::OwnEvent() { check_cuda(cudaEventCreate(&event_), "creating an event"); }

OwnEvent::~OwnEvent() { cudaEventDestroy(event_); }

void OwnEvent::record(cudaStream_t stream) const { check_cuda(cudaEventRecord(event_, stream), "recording an event"); }

void OwnEvent::wait() const { check_cuda(cudaEventSynchronize(event_), "work on the device"); }

float OwnEvent::since(const OwnEvent & start) const {
  float milliseconds = 0;
  check_cuda(cudaEventElapsedTime(&milliseconds, start.event_, event_), "timing work on the device");
  return milliseconds;
}

}  // namespace pairscore
