// Row moves and reductions around the products: last tokens out, rows and matrices into e4m3, the head.
#pragma once

#include <cstdint>

#include "kernels/stream.h"

namespace pairscore {

// out[i] = in[rows[i]]; rows of `bytes` bytes, a multiple of 8.
void gather_rows(const void * in, const int32_t * rows, int64_t count, int64_t bytes, void * out, Stream stream);

struct QuantizeRowsArgs {
  const void * in;  // (rows, columns) in `element`
  int64_t rows;
  int64_t columns;    // a multiple of 8, at most 32768
  void * out;         // (rows, columns) e4m3
  float * row_scale;  // (rows): out * row_scale is the value
  Element element;    // f16, bf16
};

void quantize_rows(const QuantizeRowsArgs & args, Stream stream);

struct LargestArgs {
  const void * in;  // (count) in `element`
  int64_t count;    // a multiple of 8
  float * largest;  // (1)
  Element element;  // f16, bf16
};

// largest[0] = max |in|, infinity where one of them is infinite or NaN.
void largest_magnitude(const LargestArgs & args, Stream stream);

// scale[0] = max |in| / 448 (1 where all are zero), out = in / scale[0] in e4m3.
struct QuantizeMatrixArgs {
  const void * in;  // (count) in `element`
  int64_t count;    // a multiple of 8
  void * out;       // (count) e4m3
  float * scale;    // (1)
  Element element;  // f16, bf16
};

void quantize_matrix(const QuantizeMatrixArgs & args, Stream stream);

struct HeadArgs {
  const float * hidden;  // (rows, columns)
  int64_t rows;
  int64_t columns;
  const float * weight;  // (labels, columns)
  const float * bias;    // (labels)
  int labels;
  float * logits;  // (rows, labels)
};

void head(const HeadArgs & args, Stream stream);
void head_reference(const HeadArgs & args, float * logits);

// The value that e4m3 would hold for x: nearest, ties to even, saturating at 448.
float e4m3_reference(float x);

}  // namespace pairscore
