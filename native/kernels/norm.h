// The residual stream between two products: x += [rms(y) post] or y; h = rms(x) next. One kernel, one pass.
#pragma once

#include <cstdint>

#include "kernels/residual.h"
#include "kernels/stream.h"

namespace pairscore {

struct NormArgs {
  int64_t rows;
  int64_t columns;  // a multiple of 8, at most 32768
  float epsilon;
  const void * y;             // (rows, columns) in `element`, the product's output; null: only h = rms(x) next
  const float * y_row_scale;  // (rows), multiplies y; or null
  const float * post;         // (columns), Gemma's norm of y before the sum; or null
  float * x;                  // (rows, columns) in the forms `before` and `after`, updated in place
  const float * next;         // (columns)
  void * h;                   // (rows, columns) in `h_element`
  float h_scale;              // multiplies h before it is rounded (e4m3), else 1
  Element element;            // of y: f16, bf16
  Element h_element;          // f16, bf16, f32, e4m3
  Residual before;            // remainder: with y, without its row scales
  Residual after;             // remainder: of an h in `element`, unscaled
  const void * h_before;  // (rows, columns) in `element`: what the norm made that left `before`'s remainder; may be h
  const float * next_before;  // (columns), that norm's `next`
};

void add_norm(const NormArgs & args, Stream stream);

struct NormReference {
  int64_t rows;
  int64_t columns;
  float epsilon;
  const float * y;     // or null
  const float * post;  // or null
  const float * next;
  float * x;
  float * h;
};

void add_norm_reference(const NormReference & args);

}  // namespace pairscore
