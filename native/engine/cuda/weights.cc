#include "engine/cuda/weights.h"

#include <algorithm>
#include <cmath>

#include "engine/cuda/upload.h"
#include "error.h"
#include "kernels/rows.h"

namespace pairscore {
namespace {

const TensorInfo & required(const GgufFile & base, const std::string & name, int64_t columns, int64_t rows) {
  const TensorInfo * tensor = base.find(name);
  if (tensor && tensor->ne[0] == columns && tensor->ne[1] == rows && tensor->ne[2] * tensor->ne[3] == 1) return *tensor;
  throw Error(Code::model_file, "Expected tensor " + name + " of shape [" + std::to_string(columns) + ", " +
                                    std::to_string(rows) + "] in " + base.path() + " but received " +
                                    (tensor ? shape_text(*tensor) : "nothing"));
}

const LoraPair * find_pair(const Adapter * adapter, const std::string & name) {
  if (!adapter) return nullptr;
  for (const LoraPair & pair : adapter->pairs()) {
    if (pair.base_name == name) return &pair;
  }
  return nullptr;
}

constexpr size_t kMostParts = 3;  // of a packed weight

ExpandArgs expand_args(const PackedWeight::Part & part) {
  ExpandArgs args{};
  args.source = part.source.data(), args.quant = part.quant;
  args.rows = part.rows, args.columns = part.columns;
  if (part.rank) args.lora_a = part.lora_a.as<float>(), args.lora_b = part.lora_b.as<float>();
  args.rank = part.rank, args.scale = part.scale;
  args.row_heads = part.row_heads, args.column_heads = part.column_heads;
  return args;
}

struct PartName {
  const char * name;
  int64_t rows;
  Heads row_heads;
  Heads column_heads;
};

class Loader {
 public:
  explicit Loader(const WeightsRequest & request)
      : request_(request), shape_(request.shape), uploader_(stream_.get()), largest_(kMostParts * sizeof(float)) {}

  Weights load();

 private:
  LayerWeights load_layer(int32_t layer);
  PackedWeight load_packed(const std::string & prefix, int64_t depth, const std::vector<PartName> & names);
  PackedWeight::Part load_part(const std::string & name, int64_t depth, const PartName & part);
  void make_resident(PackedWeight & packed, DeviceBuffer wide);
  void merge_wide_part(PackedWeight::Part & part);
  void note_range(const PackedWeight & packed, const char * wide, const std::vector<std::string> & names);
  NormWeight load_norm(const std::string & name);
  void load_rope(Weights & weights);
  void check_adapter_targets() const;
  Element wide_element() const { return request_.compute == Element::f16 ? Element::f16 : Element::bf16; }
  DeviceBuffer counted(DeviceBuffer buffer) {
    bytes_ += buffer.bytes();
    return buffer;
  }

  const WeightsRequest & request_;
  const ModelShape & shape_;
  OwnStream stream_;
  Uploader uploader_;
  DeviceBuffer scratch_, largest_;
  WeightRange range_;
  size_t bytes_ = 0;
};

Weights Loader::load() {
  check_adapter_targets();
  Weights weights;
  for (int32_t layer = 0; layer < shape_.layers; layer++) weights.layers.push_back(load_layer(layer));
  Uploaded embedding =
      uploader_.upload(request_.base, required(request_.base, "token_embd.weight", shape_.hidden, shape_.vocabulary));
  weights.embedding = counted(std::move(embedding.data));
  weights.embedding_quant = embedding.quant;
  weights.output_norm = load_norm("output_norm.weight");
  weights.head_weight = counted(uploader_.upload_f32(request_.head.weight().data(), request_.head.weight().size()));
  weights.head_bias = counted(uploader_.upload_f32(request_.head.bias().data(), request_.head.bias().size()));
  load_rope(weights);
  stream_.wait();
  weights.bytes = bytes_;
  weights.range = range_;
  return weights;
}

// Every pair must reach a product: one on the embedding, a norm or the vocabulary head would be dropped in silence.
void Loader::check_adapter_targets() const {
  if (!request_.adapter) return;
  const char * targets[] = {"attn_q", "attn_k", "attn_v", "attn_output", "ffn_gate", "ffn_up", "ffn_down"};
  for (const LoraPair & pair : request_.adapter->pairs()) {
    const std::string & name = pair.base_name;
    const size_t dot = name.compare(0, 4, "blk.") == 0 ? name.find('.', 4) : std::string::npos;
    const bool known =
        dot != std::string::npos && std::any_of(std::begin(targets), std::end(targets), [&](const char * target) {
          return name.substr(dot + 1) == std::string(target) + ".weight";
        });
    if (known) continue;
    throw Error(Code::model_mismatch, "Expected LoRA pairs on the products of the blocks but received one on " + name);
  }
}

LayerWeights Loader::load_layer(int32_t layer) {
  const std::string prefix = "blk." + std::to_string(layer) + ".";
  // Zeros around heads that are narrower than those of our kernels change no score and no sum.
  const Heads none{}, plain{shape_.padded() ? shape_.head_size : 0, shape_.head_width, HeadOrder::plain};
  const Heads turned{shape_.interleaved_rope || shape_.padded() ? shape_.head_size : 0, shape_.head_width,
                     shape_.interleaved_rope ? HeadOrder::pairs : HeadOrder::halves};
  LayerWeights weights;
  weights.qkv = load_packed(prefix, shape_.hidden,
                            {{"attn_q.weight", shape_.q_rows(), turned, none},
                             {"attn_k.weight", shape_.kv_rows(), turned, none},
                             {"attn_v.weight", shape_.kv_rows(), plain, none}});
  weights.output = load_packed(prefix, shape_.q_rows(), {{"attn_output.weight", shape_.hidden, none, plain}});
  weights.gate_up = load_packed(
      prefix, shape_.hidden,
      {{"ffn_gate.weight", shape_.feed_forward, none, none}, {"ffn_up.weight", shape_.feed_forward, none, none}});
  weights.down = load_packed(prefix, shape_.feed_forward, {{"ffn_down.weight", shape_.hidden, none, none}});
  weights.attention_norm = load_norm(prefix + "attn_norm.weight");
  weights.feed_norm = load_norm(prefix + "ffn_norm.weight");
  if (shape_.post_norms) {
    weights.post_attention_norm = load_norm(prefix + "post_attention_norm.weight");
    weights.post_feed_norm = load_norm(prefix + "post_ffw_norm.weight");
  }
  return weights;
}

PackedWeight Loader::load_packed(const std::string & prefix, int64_t depth, const std::vector<PartName> & parts) {
  PackedWeight packed;
  packed.depth = placed_count(depth, parts[0].column_heads);
  std::vector<std::string> names;
  for (const PartName & part : parts) {
    names.push_back(prefix + part.name);
    packed.parts.push_back(load_part(names.back(), depth, part));
    packed.parts.back().first_row = packed.rows;
    packed.rows += packed.parts.back().placed_rows();
  }
  const size_t bytes = static_cast<size_t>(packed.rows * packed.depth) * 2;
  if (request_.keep == Keep::resident) {
    DeviceBuffer wide(bytes);
    packed.expand(wide.data(), wide_element(), stream_.get());
    note_range(packed, wide.as<char>(), names);
    make_resident(packed, std::move(wide));
  } else {
    for (PackedWeight::Part & part : packed.parts) merge_wide_part(part);
    if (scratch_.bytes() < bytes) scratch_ = DeviceBuffer(bytes);
    packed.expand(scratch_.data(), wide_element(), stream_.get());
    note_range(packed, scratch_.as<char>(), names);
  }
  for (const PackedWeight::Part & part : packed.parts)
    bytes_ += part.source.bytes() + part.lora_a.bytes() + part.lora_b.bytes();
  bytes_ += packed.wide.bytes() + packed.scale.bytes();
  return packed;
}

PackedWeight::Part Loader::load_part(const std::string & name, int64_t depth, const PartName & part_name) {
  PackedWeight::Part part;
  Uploaded uploaded = uploader_.upload(request_.base, required(request_.base, name, depth, part_name.rows));
  part.source = std::move(uploaded.data);
  part.quant = uploaded.quant;
  part.rows = part_name.rows, part.columns = depth;
  part.row_heads = part_name.row_heads, part.column_heads = part_name.column_heads;
  if (const LoraPair * pair = find_pair(request_.adapter, name)) {
    part.lora_a = uploader_.upload_f32(request_.adapter->file(), *pair->a);
    part.lora_b = uploader_.upload_f32(request_.adapter->file(), *pair->b);
    part.rank = static_cast<int>(pair->rank());
    part.scale = pair->scale;
  }
  return part;
}

// Waits for the stream, so that the sources can go.
void Loader::note_range(const PackedWeight & packed, const char * wide, const std::vector<std::string> & names) {
  for (size_t i = 0; i < names.size(); i++) {
    const PackedWeight::Part & part = packed.parts[i];
    largest_magnitude({wide + part.first_row * packed.depth * 2, part.placed_rows() * packed.depth,
                       largest_.as<float>() + i, wide_element()},
                      stream_.get());
  }
  float largest[kMostParts];
  check_cuda(
      cudaMemcpyAsync(largest, largest_.data(), names.size() * sizeof(float), cudaMemcpyDeviceToHost, stream_.get()),
      "copying the range of weights from the device");
  stream_.wait();
  for (size_t i = 0; i < names.size(); i++) {
    if (largest[i] > 0) range_.least = std::min(range_.least, largest[i]);
    if (largest[i] <= range_.most) continue;
    range_.most = largest[i];
    range_.widest = names[i];
  }
}

void Loader::make_resident(PackedWeight & packed, DeviceBuffer wide) {
  packed.parts.clear();
  packed.element = request_.compute;
  packed.wide = std::move(wide);
  if (request_.compute != Element::e4m3) return;
  const int64_t values = packed.rows * packed.depth;
  DeviceBuffer narrow(static_cast<size_t>(values));
  packed.scale = DeviceBuffer(sizeof(float));
  quantize_matrix({packed.wide.data(), values, narrow.data(), packed.scale.as<float>(), wide_element()}, stream_.get());
  stream_.wait();  // what is quantised goes
  packed.wide = std::move(narrow);
}

// A format that our kernels lack came as f32: streamed weights keep it merged, in 16 bits.
void Loader::merge_wide_part(PackedWeight::Part & part) {
  if (part.quant != Quant::f32) return;
  DeviceBuffer merged(static_cast<size_t>(part.rows * part.columns) * 2);
  ExpandArgs args = expand_args(part);
  args.row_heads = args.column_heads = {};
  args.target = merged.data(), args.element = wide_element();
  expand_weight(args, stream_.get());
  stream_.wait();
  part.source = std::move(merged);
  part.quant = wide_element() == Element::f16 ? Quant::f16 : Quant::bf16;
  part.rank = 0;
  part.lora_a = DeviceBuffer();
  part.lora_b = DeviceBuffer();
}

NormWeight Loader::load_norm(const std::string & name) {
  const std::vector<float> values = request_.base.read_f32(required(request_.base, name, shape_.hidden, 1));
  NormWeight norm{{}, INFINITY, 0};
  for (float value : values) {
    if (!std::isfinite(value)) {
      throw Error(Code::model_values, "Expected finite values in tensor " + name + " of " + request_.base.path() +
                                          " but received NaN or infinity");
    }
    norm.least = std::min(norm.least, std::fabs(value));
    norm.most = std::max(norm.most, std::fabs(value));
  }
  norm.values = counted(uploader_.upload_f32(values.data(), values.size()));
  return norm;
}

// Frequencies in f32, their products with positions in f32: as transformers has them. Pairs past the head's own stand still.
void Loader::load_rope(Weights & weights) {
  const size_t pairs = static_cast<size_t>(shape_.head_size / 2), half = static_cast<size_t>(shape_.head_width / 2);
  std::vector<float> factors(pairs, 1.f);
  if (const TensorInfo * tensor = request_.base.find("rope_freqs.weight")) {
    factors = request_.base.read_f32(*tensor);
    if (factors.size() != pairs) {
      throw Error(Code::model_file, "Expected " + std::to_string(pairs) + " values in rope_freqs.weight but received " +
                                        shape_text(*tensor));
    }
  }
  const size_t positions = static_cast<size_t>(request_.positions);
  std::vector<float> cosines(positions * half, 1.f), sines(positions * half, 0.f);
  for (size_t i = 0; i < pairs; i++) {
    const double power = -2.0 * static_cast<double>(i) / shape_.head_size;
    const float frequency = static_cast<float>(std::pow(static_cast<double>(shape_.rope_base), power)) / factors[i];
    for (size_t p = 0; p < positions; p++) {
      const float angle = static_cast<float>(p) * shape_.rope_scale * frequency;
      cosines[p * half + i] = static_cast<float>(std::cos(static_cast<double>(angle)));
      sines[p * half + i] = static_cast<float>(std::sin(static_cast<double>(angle)));
    }
  }
  weights.cosines = counted(uploader_.upload_f32(cosines.data(), cosines.size()));
  weights.sines = counted(uploader_.upload_f32(sines.data(), sines.size()));
}

// Of a block's matrix; a streamed one that came as f32 is merged.
size_t kept_bytes(const TensorInfo & tensor, const WeightsRequest & request) {
  const size_t elements = static_cast<size_t>(tensor.elements());
  if (request.keep == Keep::streamed) return std::min(uploaded_bytes(tensor), elements * 2);
  const bool headed = tensor.name.find(".attn_") != std::string::npos;
  const size_t placed =
      headed ? elements / static_cast<size_t>(request.shape.head_size) * static_cast<size_t>(request.shape.head_width)
             : elements;
  return placed * static_cast<size_t>(element_bytes(request.compute));
}

}  // namespace

void PackedWeight::expand(void * target, Element to, Stream stream) const {
  if (parts.empty()) {
    const Quant quant = element == Element::f16 ? Quant::f16 : Quant::bf16;
    expand_weight({wide.data(), quant, rows, depth, nullptr, nullptr, 0, 0, {}, {}, target, to}, stream);
    return;
  }
  for (const Part & part : parts) {
    const int64_t rows_at = part.first_row * depth * element_bytes(to), row_bytes = depth * element_bytes(to);
    ExpandArgs args = expand_args(part);
    args.target = static_cast<char *>(target) + rows_at, args.element = to;
    if (part.placed_rows() != part.rows || depth != part.columns) {
      check_cuda(cudaMemsetAsync(args.target, 0, static_cast<size_t>(part.placed_rows() * row_bytes), stream),
                 "clearing weights");
    }
    expand_weight(args, stream);
  }
}

void Weights::convert(Element to, Stream stream) {
  for (LayerWeights & layer : layers) {
    for (PackedWeight * weight : {&layer.qkv, &layer.output, &layer.gate_up, &layer.down}) {
      if (!weight->parts.empty()) continue;
      weight->expand(weight->wide.data(), to, stream);
      weight->element = to;
    }
  }
}

Weights load_weights(const WeightsRequest & request) { return Loader(request).load(); }

size_t estimated_weight_bytes(const WeightsRequest & request) {
  // Cosines and sines of half a head each.
  size_t bytes = static_cast<size_t>(request.positions) * static_cast<size_t>(request.shape.head_width) * sizeof(float);
  for (const TensorInfo & tensor : request.base.tensors()) {
    const bool block = tensor.name.compare(0, 4, "blk.") == 0;
    if (!block && tensor.name == "output.weight") continue;
    bytes += block && tensor.ne[1] > 1 ? kept_bytes(tensor, request) : uploaded_bytes(tensor);
  }
  if (request.adapter) bytes += request.adapter->file().bytes() * 2;
  return bytes;
}

}  // namespace pairscore
