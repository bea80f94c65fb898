// How the copy engine of sm_90 sees a matrix.
#pragma once

#include <cuda.h>

#include <cstdint>

#include "kernels/stream.h"

namespace pairscore {

// A matrix of 16-bit values in boxes of box_rows x 64, swizzled over 128 bytes.
struct TensorMapArgs {
  const void * data;  // 16-byte aligned
  Element element;    // f16, bf16
  int64_t rows;
  int64_t columns;
  int64_t stride;  // elements between rows, a multiple of 8
  int box_rows;
};

constexpr int kBoxColumns = 64;

CUtensorMap tensor_map(const TensorMapArgs & args);

}  // namespace pairscore
