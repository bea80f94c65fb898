// The residual stream between two products: x += [rms(y) post] or y; h = rms(x) next. One kernel, one pass. It moves bytes and
// little else, so two in turn write x once: the first puts its y off, which the second reads again.
#pragma once

#include <cstdint>

#include "kernels/stream.h"

namespace pairscore {

// What an add_norm put off.
struct OwedSum {
  const void * y;        // as it was; null: nothing is owed
  const float * factor;  // (rows), multiplies y
  const float * post;    // (columns), likewise; or null
};

struct NormArgs {
  int64_t rows;
  int64_t columns;  // a multiple of 8, at most 32768
  float epsilon;
  const void * y;             // (rows, columns) in `element`, the product's output; null: only h = rms(x) next
  const float * y_row_scale;  // (rows), multiplies y; or null
  const float * post;         // (columns), Gemma's norm of y before the sum; or null
  float * x;                  // (rows, columns), updated in place unless y is put off
  const float * next;         // (columns)
  void * h;                   // (rows, columns) in `h_element`
  float h_scale;              // multiplies h before it is rounded (e4m3), else 1
  Element element;            // of y: f16, bf16
  Element h_element;          // f16, bf16, f32, e4m3
  OwedSum owed;               // added to x first
  float * put_off;            // (rows): takes the factor of y, which h knows and x does not; or null
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
