#include "engine/cuda/forward.h"

#include <algorithm>
#include <cmath>

#include "error.h"
#include "kernels/norm.h"
#include "kernels/rope.h"
#include "kernels/rows.h"

namespace pairscore {
namespace {

constexpr int64_t kRowMultiple = 16;     // e4m3 products want it
constexpr double kTrialShare = 0.9;      // of a full batch: what serves for trials
constexpr int64_t kTrialTokens = 32768;  // through all layers
constexpr int64_t kMostTrialPasses = 4;
constexpr int64_t kScaleStride = 4;  // floats: cuBLASLt refuses scales that are not 16-byte aligned

int64_t padded(int64_t rows) { return (rows + kRowMultiple - 1) / kRowMultiple * kRowMultiple; }

template <typename T>
const T * at(const DeviceBuffer & buffer, int64_t offset) {
  return buffer.as<T>() + offset;
}

}  // namespace

Forward::Forward(const ModelShape & shape, const Weights & weights, const ForwardSpec & spec, int32_t labels)
    : shape_(shape),
      weights_(weights),
      spec_(spec),
      labels_(labels),
      compute_(spec.compute),
      products_(stream_.get(), spec.attention == AttentionPath::turing ? Gating::apart : Gating::fused) {
  const int64_t tokens = spec.limits.tokens, rows = spec.limits.rows, activation = element_bytes(spec.compute);
  for (size_t i = 0; i < spec.group; i++) {
    kept_.push_back({buffer(tokens, shape.hidden * 4), buffer(tokens, shape.hidden * activation)});
  }
  const int64_t qkv = shape.qkv_size() * 2, attention = shape.q_size() * 2, gate_up = int64_t(shape.feed_forward) * 4;
  wide_ = buffer(tokens, std::max(qkv + attention, gate_up));
  qkv_ = gate_up_ = wide_.as<char>();
  attention_ = qkv_ + padded(tokens) * qkv;
  gated_ = buffer(tokens, shape.feed_forward * activation);
  y_ = buffer(tokens, shape.hidden * 2);
  last_x_ = buffer(rows, shape.hidden * 4);
  last_h_ = buffer(rows, shape.hidden * activation);
  last_q_ = buffer(rows, shape.q_size() * 2);
  hidden_ = buffer(rows, shape.hidden * 4);
  queue_ = buffer(1, 2 * sizeof(int32_t));
  if (narrow()) {
    narrow_attention_ = buffer(tokens, shape.q_size());
    row_scales_ = buffer(tokens, 4);
    set_norm_scales();
  }
  reserve_expanded();
}

void Forward::reserve_expanded() {
  size_t largest[kRoles] = {}, end = 0;
  for (int32_t layer = 0; layer < shape_.layers; layer++) {
    for (int role = 0; role < kRoles; role++) {
      const PackedWeight & weight = weight_of(layer, static_cast<Role>(role));
      const bool expands = !weight.parts.empty() || spec_.safer != spec_.compute;
      if (expands) largest[role] = std::max(largest[role], static_cast<size_t>(weight.rows * weight.depth) * 2);
    }
  }
  for (int role = 0; role < kRoles; role++) {
    expansions_[role].offset = spec_.group > 1 ? end : 0;
    end = spec_.group > 1 ? end + largest[role] : std::max(end, largest[role]);
  }
  expanded_ = DeviceBuffer(end);
  bytes_ += end;
}

DeviceBuffer Forward::buffer(int64_t rows, int64_t row_bytes) {
  DeviceBuffer made(static_cast<size_t>(padded(rows) * row_bytes));
  bytes_ += made.bytes();
  check_cuda(cudaMemsetAsync(made.data(), 0, made.bytes(), stream_.get()), "clearing a buffer");
  return made;
}

// A normalised row's values stay below sqrt(hidden) times its weight: one fixed scale a norm can never overflow, and in a
// floating format it costs nothing that it is rarely reached.
void Forward::set_norm_scales() {
  std::vector<float> scales;
  for (const LayerWeights & layer : weights_.layers) {
    for (float most : {layer.attention_norm.most, layer.feed_norm.most}) {
      norm_inverses_.push_back(448.f / (std::sqrt(static_cast<float>(shape_.hidden)) * std::max(most, 1e-6f)));
      scales.resize(norm_inverses_.size() * kScaleStride, 1.f / norm_inverses_.back());
    }
  }
  const float one = 1;
  one_ = DeviceBuffer(sizeof one);
  // On the stream that reads them: it does not wait for others.
  check_cuda(cudaMemcpyAsync(one_.data(), &one, sizeof one, cudaMemcpyHostToDevice, stream_.get()),
             "copying scales to the device");
  norm_scales_ = DeviceBuffer(scales.size() * sizeof(float));
  check_cuda(
      cudaMemcpyAsync(norm_scales_.data(), scales.data(), norm_scales_.bytes(), cudaMemcpyHostToDevice, stream_.get()),
      "copying scales to the device");
  stream_.wait();  // scales goes
}

void Forward::enqueue(View<DeviceBatch> batches) {
  compute_ = batches[0].compute;
  for (size_t i = 0; i < batches.size; i++) {
    if (batches[i].packing.tokens < kTrialShare * spec_.limits.tokens || tried_.count(compute_)) continue;
    try_candidates({&batches[i], 1});
    tried_.insert(compute_);
  }
  run(batches);
}

void Forward::try_candidates(View<DeviceBatch> batch) {
  run(batch);  // brings them
  const int64_t passes = (kTrialTokens + batch[0].packing.tokens - 1) / batch[0].packing.tokens;
  products_.race([&] {
    for (int64_t pass = 0; pass < std::min(passes, kMostTrialPasses); pass++) run(batch);
  });
}

void Forward::run(View<DeviceBatch> batches) {
  for (size_t i = 0; i < batches.size; i++) begin(batches[i], kept_[i]);
  for (int32_t layer = 0; layer < shape_.layers; layer++) {
    for (size_t i = 0; i < batches.size; i++) run_layer(batches[i], kept_[i], layer);
  }
}

void Forward::begin(const DeviceBatch & batch, const Kept & kept) {
  const Packing & packing = batch.packing;
  embed({batch.run + packing.tokens_at(), packing.tokens, weights_.embedding.data(), weights_.embedding_quant,
         shape_.hidden, shape_.embedding_scale, kept.x.as<float>()},
        stream_.get());
  NormArgs first{};
  first.rows = packing.tokens, first.columns = shape_.hidden, first.epsilon = shape_.epsilon;
  first.x = kept.x.as<float>(), first.next = norm_weight(0).values.as<float>();
  first.h = kept.h.data(), first.h_scale = narrow() ? norm_inverses_[0] : 1.f;
  first.element = wide(), first.h_element = compute_;
  first.before = Residual::whole, first.after = residual_after(0);
  add_norm(first, stream_.get());
}

void Forward::run_layer(const DeviceBatch & batch, const Kept & kept, int32_t layer) {
  const Rows rows = project(batch, kept, layer);
  const bool last = layer == shape_.layers - 1;
  attend(rows, shape_.window_of(layer));
  finish_attention(rows, layer);
  feed_forward(rows, layer);
  if (!last) return;
  head({hidden_.as<float>(), batch.packing.rows, shape_.hidden, weights_.head_weight.as<float>(),
        weights_.head_bias.as<float>(), labels_, batch.logits},
       stream_.get());
}

const PackedWeight & Forward::weight_of(int32_t layer, Role role) const {
  const LayerWeights & weights = weights_.layers[static_cast<size_t>(layer)];
  const PackedWeight * of_roles[kRoles] = {&weights.qkv, &weights.output, &weights.gate_up, &weights.down};
  return *of_roles[role];
}

const void * Forward::use(int32_t layer, Role role) {
  const PackedWeight & weight = weight_of(layer, role);
  if (weight.parts.empty() && weight.element == compute_) return weight.wide.data();
  Expanded & place = expansions_[role];
  void * target = expanded_.as<char>() + place.offset;
  if (spec_.group == 1 || place.held != &weight || place.element != compute_) {
    place.held = nullptr;  // where expanding fails halfway
    weight.expand(target, wide(), stream_.get());
    place.held = &weight, place.element = compute_;
  }
  return target;
}

// product.w is the packed weight in use; the slice chooses its rows.
Product Forward::complete(const PackedWeight & weight, Slice slice, const Product & product) const {
  Product sliced = product;
  sliced.w = static_cast<const char *>(product.w) + slice.first * weight.depth * element_bytes(compute_);
  sliced.columns = slice.count;
  sliced.depth = weight.depth;
  sliced.element = compute_;
  sliced.out_element = wide();
  if (narrow()) {
    sliced.rows = padded(product.rows);
    sliced.w_scale = weight.scale.as<float>();
    if (!sliced.a_scale) sliced.a_scale = one_.as<float>();
  }
  return sliced;
}

void Forward::multiply(const PackedWeight & weight, Slice slice, const Product & product) {
  products_.run(complete(weight, slice, product));
}

// q, k, v of all tokens; in the last layer q of the last tokens only, which are all that goes on from there.
Forward::Rows Forward::project(const DeviceBatch & batch, const Kept & kept, int32_t layer) {
  const PackedWeight & weight = weight_of(layer, kQkv);
  const Packing & packing = batch.packing;
  const void *w = use(layer, kQkv), *h = kept.h.data();
  const float * scale = narrow() ? at<float>(norm_scales_, 2 * layer * kScaleStride) : nullptr;
  const int64_t q = shape_.q_size(), qkv = shape_.qkv_size();
  if (layer < shape_.layers - 1) {
    multiply(weight, {0, qkv}, {h, w, qkv_, packing.tokens, 0, 0, qkv, scale, nullptr, {}, {}});
    turn_keys(batch);
    const AttentionTile * tiles = reinterpret_cast<const AttentionTile *>(batch.run + packing.tiles_at());
    return {packing.tokens, kept.x.as<float>(), kept.h.data(), qkv_, qkv, packing.tokens, tiles, packing.tiles};
  }
  multiply(weight, {q, qkv - q}, {h, w, qkv_ + q * 2, packing.tokens, 0, 0, qkv, scale, nullptr, {}, {}});
  turn_keys(batch);
  const int32_t * last = batch.run + packing.last_at();
  gather_rows(kept.x.data(), last, packing.rows, shape_.hidden * 4, last_x_.data(), stream_.get());
  gather_rows(h, last, packing.rows, shape_.hidden * element_bytes(compute_), last_h_.data(), stream_.get());
  multiply(weight, {0, q}, {last_h_.data(), w, last_q_.data(), packing.rows, 0, 0, q, scale, nullptr, {}, {}});
  const AttentionTile * tiles = reinterpret_cast<const AttentionTile *>(batch.run + packing.last_tiles_at());
  return {packing.rows, last_x_.as<float>(), last_h_.data(), last_q_.data(), q, packing.tokens,
          tiles,        packing.last_tiles};
}

void Forward::turn_keys(const DeviceBatch & batch) {
  RopeArgs args{};
  args.heads = qkv_ + shape_.q_size() * 2;
  args.rows = batch.packing.tokens, args.row_stride = shape_.qkv_size();
  args.count = shape_.kv_heads, args.head_size = shape_.head_width;
  args.positions = batch.run + batch.packing.positions_at();
  args.cosines = weights_.cosines.as<float>(), args.sines = weights_.sines.as<float>();
  args.element = wide();
  rope(args, stream_.get());
}

void Forward::attend(const Rows & rows, int32_t window) {
  AttentionArgs args{};
  args.q = rows.q, args.q_stride = rows.q_stride;
  args.k = qkv_ + shape_.q_size() * 2;
  args.v = qkv_ + (shape_.q_size() + shape_.kv_size()) * 2;
  args.kv_stride = shape_.qkv_size(), args.kv_rows = rows.keys;
  args.cosines = weights_.cosines.as<float>(), args.sines = weights_.sines.as<float>();
  args.out = attention_;
  args.tiles = rows.tiles, args.tile_count = rows.tile_count;
  args.q_heads = shape_.q_heads, args.kv_heads = shape_.kv_heads, args.head_size = shape_.head_width;
  args.scale = shape_.attention_scale, args.soft_cap = spec_.soft_cap, args.window = window;
  args.element = wide(), args.path = spec_.attention, args.queue = queue_.as<int32_t>();
  attention(args, stream_.get());
}

void Forward::finish_attention(const Rows & rows, int32_t layer) {
  const LayerWeights & weights = weights_.layers[static_cast<size_t>(layer)];
  const void * in = attention_;
  const float * row_scale = nullptr;
  if (narrow()) {
    quantize_rows({attention_, rows.count, shape_.q_size(), narrow_attention_.data(), row_scales_.as<float>(), wide()},
                  stream_.get());
    in = narrow_attention_.data();
    row_scale = row_scales_.as<float>();
  }
  multiply(weights.output, {0, shape_.hidden},
           {in, use(layer, kOutput), y_.data(), rows.count, 0, 0, shape_.hidden, nullptr, nullptr, {}, {}});
  normalize(rows, 2 * layer + 1, shape_.post_norms ? &weights.post_attention_norm : nullptr, row_scale);
}

void Forward::feed_forward(const Rows & rows, int32_t layer) {
  const LayerWeights & weights = weights_.layers[static_cast<size_t>(layer)];
  const float * scale = narrow() ? at<float>(norm_scales_, (2 * layer + 1) * kScaleStride) : nullptr;
  const int64_t wide_columns = 2 * int64_t(shape_.feed_forward);
  const Product gate_up =
      complete(weights.gate_up, {0, wide_columns},
               {rows.h, use(layer, kGateUp), gate_up_, rows.count, 0, 0, wide_columns, scale, nullptr, {}, {}});
  products_.run_gated(gate_up, {gate_up_, rows.count, shape_.feed_forward, shape_.activation, gated_.data(),
                                row_scales_.as<float>(), wide(), compute_});
  multiply(weights.down, {0, shape_.hidden},
           {gated_.data(), use(layer, kDown), y_.data(), rows.count, 0, 0, shape_.hidden, nullptr, nullptr, {}, {}});
  normalize(rows, 2 * layer + 2, shape_.post_norms ? &weights.post_feed_norm : nullptr,
            narrow() ? row_scales_.as<float>() : nullptr);
}

// Norm 2l is before attention of layer l, norm 2l + 1 before its feed-forward, the one past these before the head.
const NormWeight & Forward::norm_weight(int32_t norm) const {
  if (norm == 2 * shape_.layers) return weights_.output_norm;
  const LayerWeights & layer = weights_.layers[static_cast<size_t>(norm / 2)];
  return norm % 2 == 0 ? layer.attention_norm : layer.feed_norm;
}

Residual Forward::residual_after(int32_t norm) const {
  const NormWeight & weight = norm_weight(norm);
  const bool splits =
      !narrow() && norm < 2 * shape_.layers && leaves_remainder(weight.least, weight.most, shape_.hidden);
  return splits ? Residual::remainder : Residual::whole;
}

// Adds y to the residual stream and makes the input of what follows.
void Forward::normalize(const Rows & rows, int32_t norm, const NormWeight * post, const float * row_scale) {
  const bool last = norm == 2 * shape_.layers;
  NormArgs args{};
  args.rows = rows.count, args.columns = shape_.hidden, args.epsilon = shape_.epsilon;
  args.y = y_.data(), args.y_row_scale = row_scale, args.post = post ? post->values.as<float>() : nullptr;
  args.x = rows.x, args.next = norm_weight(norm).values.as<float>();
  args.h = last ? hidden_.data() : rows.h;
  args.h_scale = last || !narrow() ? 1.f : norm_inverses_[static_cast<size_t>(norm)];
  args.element = wide(), args.h_element = last ? Element::f32 : compute_;
  args.before = residual_after(norm - 1), args.after = residual_after(norm);
  args.h_before = rows.h, args.next_before = norm_weight(norm - 1).values.as<float>();
  add_norm(args, stream_.get());
}

}  // namespace pairscore
