// Causal attention inside packed sequences: grouped heads, optional soft-cap, optional window. q is turned on the way in
// (rope), k must be turned already. Where a turned q, a k (NaN then, by rope) or a v is not finite, every output that
// depends on it is NaN or infinite: neither the soft-cap nor a weight of zero hides it.
#pragma once

#include <cstdint>

#include "kernels/stream.h"

namespace pairscore {

// A run of query rows of one sequence, at most attention_tile_rows of them.
struct AttentionTile {
  int32_t q_row;  // first row in q and out
  int32_t q_count;
  int32_t q_position;  // of the first row, inside its sequence
  int32_t kv_row;      // row of the sequence's position 0 in k and v
};

// Which instructions: those of sm_75, those of sm_80 and later, or sm_90a's own.
enum class AttentionPath { turing, ampere, hopper };

struct AttentionArgs {
  const void * q;  // (q rows, q_heads, head_size), q_stride elements between rows
  int64_t q_stride;
  const void * k;  // (rows, kv_heads, head_size), kv_stride elements between rows
  const void * v;  // likewise
  int64_t kv_stride;
  int64_t kv_rows;        // of all sequences; q and out have no more
  const float * cosines;  // (positions, head_size / 2)
  const float * sines;
  void * out;  // (q rows, q_heads, head_size), dense
  const AttentionTile * tiles;
  int tile_count;
  int q_heads;
  int kv_heads;
  int head_size;  // 64, 128 or 256
  float scale;
  float soft_cap;      // 0: none
  int window;          // keys that a query sees, itself included; 0: all
  Element element;     // f16, bf16
  AttentionPath path;  // turing: f16 only; hopper: compute capability 9.0 only
  int32_t * queue;     // hopper: two zeros, which are zeros again in the end; of one launch at a time
};

int attention_tile_rows(int head_size, AttentionPath path);
void attention(const AttentionArgs & args, Stream stream);

// q, k, v, out as f32; q not yet turned. Reads the sizes and tiles of args.
struct AttentionReference {
  const float * q;
  const float * k;
  const float * v;
  float * out;
};

void attention_reference(const AttentionArgs & args, const AttentionReference & values);

}  // namespace pairscore
