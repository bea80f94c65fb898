// The layers of one batch, or of several side by side, enqueued without a look back at the host.
#pragma once

#include <array>
#include <set>
#include <vector>

#include "engine/cuda/packing.h"
#include "engine/cuda/products.h"
#include "engine/cuda/weights.h"
#include "kernels/residual.h"

namespace pairscore {

struct ForwardSpec {
  Element compute;  // of weights and products: f16, bf16, e4m3
  Element safer;    // what some batches are computed in instead: bf16 beside f16, or the same as compute
  AttentionPath attention;
  float soft_cap;  // 0: none
  BatchLimits limits;
  size_t group;  // most batches that go through a layer one after the other, with its weights expanded once
};

// A batch on the device.
struct DeviceBatch {
  Packing packing;
  const int32_t * run;  // as pack_rows wrote it
  float * logits;       // (rows, labels)
  Element compute;      // one of the two of ForwardSpec
};

class Forward {
 public:
  // Owns the buffers of the largest batches. shape and weights must outlive it.
  Forward(const ModelShape & shape, const Weights & weights, const ForwardSpec & spec, int32_t labels);

  // At most spec.group, all of one type. The first large batch of a type runs several times: see Products' trials.
  void enqueue(View<DeviceBatch> batches);
  cudaStream_t stream() const { return stream_.get(); }
  size_t bytes() const { return bytes_; }

 private:
  // What of a batch lives on from layer to layer.
  struct Kept {
    DeviceBuffer x, h;
  };
  // The weights of a layer, by what they make.
  enum Role { kQkv, kOutput, kGateUp, kDown, kRoles };
  // Where weights are expanded that are not kept as they are used. A group has a place for each role, so that they last for
  // all of its batches; a batch alone has one for all.
  struct Expanded {
    size_t offset;
    const PackedWeight * held;
    Element element;
  };
  // What the products of a run of tokens read and write: the whole batch, or its last tokens.
  struct Rows {
    int64_t count;
    float * x;  // in the form that residual_after says, h being part of it
    void * h;
    const void * q;
    int64_t q_stride;
    int64_t keys;  // rows of k and v: of the whole batch in any case
    const AttentionTile * tiles;
    int32_t tile_count;
  };
  struct Slice {  // rows of a packed weight
    int64_t first;
    int64_t count;
  };

  DeviceBuffer buffer(int64_t rows, int64_t row_bytes);
  void reserve_expanded();
  void try_candidates(View<DeviceBatch> batch);
  void run(View<DeviceBatch> batches);
  void begin(const DeviceBatch & batch, const Kept & kept);
  const PackedWeight & weight_of(int32_t layer, Role role) const;
  const void * use(int32_t layer, Role role);
  Product complete(const PackedWeight & weight, Slice slice, const Product & product) const;
  void multiply(const PackedWeight & weight, Slice slice, const Product & product);
  void run_layer(const DeviceBatch & batch, const Kept & kept, int32_t layer);
  void turn_keys(const DeviceBatch & batch);
  Rows project(const DeviceBatch & batch, const Kept & kept, int32_t layer);
  void attend(const Rows & rows, int32_t window);
  void finish_attention(const Rows & rows, int32_t layer);
  void feed_forward(const Rows & rows, int32_t layer);
  const NormWeight & norm_weight(int32_t norm) const;
  Residual residual_after(int32_t norm) const;
  void normalize(const Rows & rows, int32_t norm, const NormWeight * post, const float * row_scale);
  void set_norm_scales();

  Element wide() const { return compute_ == Element::f16 ? Element::f16 : Element::bf16; }
  bool narrow() const { return compute_ == Element::e4m3; }

  const ModelShape & shape_;
  const Weights & weights_;
  const ForwardSpec spec_;
  const int32_t labels_;
  Element compute_;  // of the batch at hand
  std::set<Element> tried_;
  OwnStream stream_;
  Products products_;
  size_t bytes_ = 0;
  std::vector<Kept> kept_;                            // by place in the group
  DeviceBuffer wide_, gated_, y_;                     // a batch
  char *qkv_, *attention_, *gate_up_;                 // in wide_: attention is over before gate and up begin
  DeviceBuffer last_x_, last_h_, last_q_, hidden_;    // its last tokens
  DeviceBuffer queue_;                                // of attention
  DeviceBuffer narrow_attention_, row_scales_, one_;  // e4m3 only
  DeviceBuffer norm_scales_;                          // (2 layers), what multiplies e4m3 norms back
  std::vector<float> norm_inverses_;                  // (2 layers), 1 / norm_scales_
  DeviceBuffer expanded_;
  std::array<Expanded, kRoles> expansions_{};
};

}  // namespace pairscore
