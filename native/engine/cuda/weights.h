// A model's weights on one device: packed for our products, LoRA merged, kept wide (resident) or expanded when used (streamed).
#pragma once

#include <limits>
#include <string>
#include <vector>

#include "engine/adapter.h"
#include "engine/cuda/device.h"
#include "engine/cuda/shape.h"
#include "engine/head.h"
#include "kernels/weight.h"

namespace pairscore {

// Several matrices of one depth below each other: q|k|v, gate|up.
class PackedWeight {
 public:
  // One matrix as it lies in the file, with its LoRA pair where it has one.
  struct Part {
    DeviceBuffer source;
    Quant quant;
    int64_t rows;  // of the source, as are columns
    int64_t columns;
    int64_t first_row;  // in our buffers
    Heads row_heads, column_heads;
    DeviceBuffer lora_a, lora_b;
    int rank = 0;
    float scale = 0;

    int64_t placed_rows() const { return placed_count(rows, row_heads); }
  };

  int64_t rows = 0;
  int64_t depth = 0;
  std::vector<Part> parts;          // empty when resident
  DeviceBuffer wide;                // (rows, depth), empty when streamed
  Element element = Element::bf16;  // of wide
  DeviceBuffer scale;               // (1), of e4m3

  // Enqueues what makes (rows, depth) of 16-bit weights in target, which may be `wide` itself. Not for e4m3.
  void expand(void * target, Element to, Stream stream) const;
};

struct NormWeight {
  DeviceBuffer values;        // (hidden), f32
  float least = 0, most = 0;  // magnitudes
};

struct LayerWeights {
  PackedWeight qkv, output, gate_up, down;
  NormWeight attention_norm, post_attention_norm, feed_norm, post_feed_norm;
};

// Of the largest magnitudes of all matrices, merged and rounded to 16 bits: what tells whether a type can hold them.
struct WeightRange {
  float least = std::numeric_limits<float>::infinity();  // matrices of zeros apart
  float most = 0;                                        // infinite: an element is not finite
  std::string widest;                                    // the tensor that has it
};

struct Weights {
  std::vector<LayerWeights> layers;
  DeviceBuffer embedding;  // in its file's format
  Quant embedding_quant;
  NormWeight output_norm;
  DeviceBuffer head_weight, head_bias;
  DeviceBuffer cosines, sines;  // (positions, head_size / 2)
  size_t bytes = 0;             // of everything above
  WeightRange range;

  // Enqueues it, for resident 16-bit weights; streamed ones are expanded to any type.
  void convert(Element to, Stream stream);
};

enum class Keep { resident, streamed };

struct WeightsRequest {
  const GgufFile & base;
  const Adapter * adapter;  // or null
  const Head & head;
  const ModelShape & shape;
  Element compute;  // f16, bf16, e4m3
  Keep keep;
  int32_t positions;
};

// On the current device; waits until all is there. Throws Error{model_file, model_mismatch, device_memory, device_failed}.
Weights load_weights(const WeightsRequest & request);

// What load_weights would take on the device.
size_t estimated_weight_bytes(const WeightsRequest & request);

}  // namespace pairscore
