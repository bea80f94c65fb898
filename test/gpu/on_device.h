// Values of a test on the device: rounded to an element type on the way in, poisoned with NaN where they are outputs.
#pragma once

#include <cuda_bf16.h>
#include <cuda_fp16.h>
#include <cuda_fp8.h>

#include "check.h"
#include "engine/cuda/device.h"
#include "kernels/rows.h"
#include "kernels/stream.h"

namespace pairscore::test {

constexpr Element kWide[] = {Element::f16, Element::bf16};

inline float rounded(float x, Element element) {
  switch (element) {
    case Element::f32:
      return x;
    case Element::f16:
      return __half2float(__float2half_rn(x));
    case Element::bf16:
      return __bfloat162float(__float2bfloat16_rn(x));
    case Element::e4m3:
      return e4m3_reference(x);
  }
  return x;
}

inline std::vector<float> rounded(std::vector<float> values, Element element) {
  for (float & value : values) value = rounded(value, element);
  return values;
}

// Streams of our own do not wait for what was begun without one, and that may go on after its call.
inline void wait_for_device() { check_cuda(cudaDeviceSynchronize(), "work on the device"); }

template <typename T>
DeviceBuffer raw_to_device(const std::vector<T> & values) {
  DeviceBuffer buffer(values.size() * sizeof(T) + 64);
  check_cuda(cudaMemcpy(buffer.data(), values.data(), values.size() * sizeof(T), cudaMemcpyHostToDevice),
             "copying to the device");
  wait_for_device();
  return buffer;
}

inline DeviceBuffer to_device(const std::vector<float> & values, Element element) {
  if (element == Element::f32) return raw_to_device(values);
  std::vector<uint16_t> narrow(values.size());
  for (size_t i = 0; i < values.size(); i++) {
    const __half half = __float2half_rn(values[i]);
    const __nv_bfloat16 brain = __float2bfloat16_rn(values[i]);
    std::memcpy(&narrow[i], element == Element::f16 ? static_cast<const void *>(&half) : &brain, 2);
  }
  return raw_to_device(narrow);
}

// 0xff in every byte is NaN in every element type.
inline void poison(const DeviceBuffer & buffer) {
  check_cuda(cudaMemset(buffer.data(), 0xff, buffer.bytes()), "poisoning an output");
  wait_for_device();
}

inline DeviceBuffer poisoned(size_t count, Element element) {
  DeviceBuffer buffer(count * static_cast<size_t>(element_bytes(element)) + 64);
  poison(buffer);
  return buffer;
}

inline std::vector<float> from_device(const DeviceBuffer & buffer, size_t count, Element element) {
  check_cuda(cudaDeviceSynchronize(), "a kernel");
  std::vector<char> raw(count * static_cast<size_t>(element_bytes(element)));
  check_cuda(cudaMemcpy(raw.data(), buffer.data(), raw.size(), cudaMemcpyDeviceToHost), "copying from the device");
  std::vector<float> values(count);
  for (size_t i = 0; i < count; i++) {
    if (element == Element::f32) values[i] = reinterpret_cast<const float *>(raw.data())[i];
    if (element == Element::f16) values[i] = __half2float(reinterpret_cast<const __half *>(raw.data())[i]);
    if (element == Element::bf16) values[i] = __bfloat162float(reinterpret_cast<const __nv_bfloat16 *>(raw.data())[i]);
    if (element == Element::e4m3)
      values[i] = static_cast<float>(reinterpret_cast<const __nv_fp8_e4m3 *>(raw.data())[i]);
  }
  return values;
}

inline double tolerance_of(Element element) {
  switch (element) {
    case Element::f32:
      return 2e-6;
    case Element::f16:
      return 6e-4;
    case Element::bf16:
      return 4e-3;
    case Element::e4m3:
      return 4e-2;
  }
  return 0;
}

inline const char * name_of(Element element) {
  switch (element) {
    case Element::f32:
      return "f32";
    case Element::f16:
      return "f16";
    case Element::bf16:
      return "bf16";
    case Element::e4m3:
      return "e4m3";
  }
  return "";
}

inline std::string label(const std::string & what, Element element, int64_t rows, int64_t columns) {
  return what + " " + name_of(element) + " " + std::to_string(rows) + " x " + std::to_string(columns);
}

}  // namespace pairscore::test
