// The running softmax of a tile of queries, on accumulators as mma and wgmma lay them out: value i of column group n is row
// i / 2 (of two, 8 apart), column n * 8 + lane % 4 * 2 + i % 2.
#pragma once

#include "kernels/attention_mma.cuh"
#include "kernels/score_shape.h"

namespace pairscore {

template <int kKeyTiles>
__device__ inline void cap_scores(float (&scores)[kKeyTiles][4], const ScoreShape & shape) {
  constexpr int kSlice = 4;  // column groups that are capped alike: few registers at a time
  static_assert(kKeyTiles % kSlice == 0, "whole slices");
#pragma unroll
  for (int first = 0; first < kKeyTiles; first += kSlice) {
    float most = 0;
#pragma unroll
    for (int n = first; n < first + kSlice; n++) {
#pragma unroll
      for (int i = 0; i < 4; i++) most = fmaxf(most, fabsf(scores[n][i]));
    }
    if (__any_sync(0xffffffffu, most > shape.most_of_series)) {
#pragma unroll
      for (int n = first; n < first + kSlice; n++) {
#pragma unroll
        for (int i = 0; i < 4; i++) scores[n][i] = capped(scores[n][i], shape.limit, shape.before_cap);
      }
    } else {
#pragma unroll
      for (int n = first; n < first + kSlice; n++) {
#pragma unroll
        for (int i = 0; i < 4; i++) {
          const float q = scores[n][i] * scores[n][i];
          scores[n][i] *= fmaf(q, fmaf(q, fmaf(q, shape.series[3], shape.series[2]), shape.series[1]), shape.series[0]);
        }
      }
    }
  }
}

// Keys past the query and before its window. first: key of this thread's first value; last: position of its first query.
template <int kKeyTiles>
__device__ inline void hide_scores(float (&scores)[kKeyTiles][4], int window, int first, int last) {
#pragma unroll
  for (int n = 0; n < kKeyTiles; n++) {
#pragma unroll
    for (int i = 0; i < 4; i++) {
      const int key = first + n * 8 + i % 2, query = last + i / 2 * 8;
      if (key > query || (window > 0 && key <= query - window)) scores[n][i] = -INFINITY;
    }
  }
}

// Scores become weights. shrink: of what was summed so far, where a larger score came.
template <int kKeyTiles>
__device__ inline void soften(float (&scores)[kKeyTiles][4], float (&most)[2], float (&total)[2], float (&shrink)[2],
                              float scale) {
#pragma unroll
  for (int half = 0; half < 2; half++) {
    float high = most[half];
#pragma unroll
    for (int n = 0; n < kKeyTiles; n++) high = fmaxf(high, fmaxf(scores[n][2 * half], scores[n][2 * half + 1]));
    high = fmaxf(high, __shfl_xor_sync(0xffffffffu, high, 1));
    high = fmaxf(high, __shfl_xor_sync(0xffffffffu, high, 2));
    const float base = high == -INFINITY ? 0.f : high * scale;
    shrink[half] = exp2_fast(most[half] * scale - base);
    most[half] = high;
    float sum = 0;
#pragma unroll
    for (int n = 0; n < kKeyTiles; n++) {
#pragma unroll
      for (int i = 2 * half; i < 2 * half + 2; i++) sum += scores[n][i] = exp2_fast(scores[n][i] * scale - base);
    }
    total[half] = total[half] * shrink[half] + sum;
  }
}

template <int kOutTiles>
__device__ inline void rescale(float (&out)[kOutTiles][4], const float (&shrink)[2]) {
  if (!__any_sync(0xffffffffu, shrink[0] != 1.f || shrink[1] != 1.f)) return;
#pragma unroll
  for (int n = 0; n < kOutTiles; n++) {
#pragma unroll
    for (int i = 0; i < 4; i++) out[n][i] *= shrink[i / 2];
  }
}

// The four registers of an (16, 16) operand out of weights of columns 16 * step and on.
template <typename T, int kKeyTiles>
__device__ inline void pack_weights(const float (&scores)[kKeyTiles][4], int step, uint32_t (&a)[4]) {
#pragma unroll
  for (int i = 0; i < 4; i++)
    a[i] = pack2<T>(scores[2 * step + i / 2][i % 2 * 2], scores[2 * step + i / 2][i % 2 * 2 + 1]);
}

__device__ inline float quad_sum(float x) {
  x += __shfl_xor_sync(0xffffffffu, x, 1);
  return x + __shfl_xor_sync(0xffffffffu, x, 2);
}

}  // namespace pairscore
