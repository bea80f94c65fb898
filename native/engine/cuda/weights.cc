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

struct PartName {
  const char * name;
  int64_t rows;
  int head_rows;
  std::optional<HeadPlaces> places;
};

class Loader {
 public:
  explicit Loader(const WeightsRequest & request)
      : request_(request), shape_(request.shape), uploader_(stream_.get()) {}

  Weights load();

 private:
  LayerWeights load_layer(int32_t layer);
  PackedWeight load_packed(const std::string & prefix, int64_t depth, const std::vector<PartName> & names);
  PackedWeight::Part load_part(const std::string & name, int64_t depth, const PartName & part);
  void make_resident(PackedWeight & packed);
  DeviceBuffer widen_heads(PackedWeight & packed, const DeviceBuffer & raw);
  void merge_wide_part(PackedWeight::Part & part, int64_t depth);
  DeviceBuffer load_norm(const std::string & name, float * most);
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
  weights.output_norm = load_norm("output_norm.weight", nullptr);
  weights.head_weight = counted(uploader_.upload_f32(request_.head.weight().data(), request_.head.weight().size()));
  weights.head_bias = counted(uploader_.upload_f32(request_.head.bias().data(), request_.head.bias().size()));
  load_rope(weights);
  stream_.wait();
  weights.bytes = bytes_;
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
  const int head_rows = shape_.interleaved_rope ? shape_.head_size : 0;
  LayerWeights weights;
  weights.qkv = load_packed(prefix, shape_.hidden,
                            {{"attn_q.weight", shape_.q_rows(), head_rows, HeadPlaces::turned_rows},
                             {"attn_k.weight", shape_.kv_rows(), head_rows, HeadPlaces::turned_rows},
                             {"attn_v.weight", shape_.kv_rows(), 0, HeadPlaces::rows}});
  weights.output =
      load_packed(prefix, shape_.q_rows(), {{"attn_output.weight", shape_.hidden, 0, HeadPlaces::columns}});
  weights.gate_up =
      load_packed(prefix, shape_.hidden,
                  {{"ffn_gate.weight", shape_.feed_forward, 0, {}}, {"ffn_up.weight", shape_.feed_forward, 0, {}}});
  weights.down = load_packed(prefix, shape_.feed_forward, {{"ffn_down.weight", shape_.hidden, 0, {}}});
  weights.attention_norm = load_norm(prefix + "attn_norm.weight", &weights.attention_norm_most);
  weights.feed_norm = load_norm(prefix + "ffn_norm.weight", &weights.feed_norm_most);
  if (shape_.post_norms) {
    weights.post_attention_norm = load_norm(prefix + "post_attention_norm.weight", nullptr);
    weights.post_feed_norm = load_norm(prefix + "post_ffw_norm.weight", nullptr);
  }
  return weights;
}

PackedWeight Loader::load_packed(const std::string & prefix, int64_t depth, const std::vector<PartName> & names) {
  PackedWeight packed;
  packed.depth = depth;
  for (const PartName & name : names) {
    packed.parts.push_back(load_part(prefix + name.name, depth, name));
    packed.parts.back().first_row = packed.rows;
    packed.rows += name.rows;
  }
  if (request_.keep == Keep::resident) {
    make_resident(packed);
  } else {
    for (PackedWeight::Part & part : packed.parts) merge_wide_part(part, depth);
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
  part.rows = part_name.rows;
  part.head_rows = part_name.head_rows;
  if (shape_.padded()) part.places = part_name.places;
  if (const LoraPair * pair = find_pair(request_.adapter, name)) {
    part.lora_a = uploader_.upload_f32(request_.adapter->file(), *pair->a);
    part.lora_b = uploader_.upload_f32(request_.adapter->file(), *pair->b);
    part.rank = static_cast<int>(pair->rank());
    part.scale = pair->scale;
  }
  return part;
}

void Loader::make_resident(PackedWeight & packed) {
  DeviceBuffer wide(static_cast<size_t>(packed.rows * packed.depth) * 2);
  packed.expand(wide.data(), wide_element(), stream_.get());
  if (packed.parts[0].places) wide = widen_heads(packed, wide);
  if (request_.compute == Element::e4m3) {
    const int64_t values = packed.rows * packed.depth;
    packed.wide = DeviceBuffer(static_cast<size_t>(values));
    packed.scale = DeviceBuffer(sizeof(float));
    quantize_matrix({wide.data(), values, packed.wide.data(), packed.scale.as<float>(), wide_element()}, stream_.get());
    stream_.wait();
  } else {
    packed.wide = std::move(wide);
  }
  stream_.wait();  // the sources go
  packed.parts.clear();
}

// Zeros around heads that are narrower than those of our kernels change no score and no sum.
DeviceBuffer Loader::widen_heads(PackedWeight & packed, const DeviceBuffer & raw) {
  const bool columns = packed.parts[0].places == HeadPlaces::columns;
  const auto widened = [&](int64_t values) { return values / shape_.head_size * shape_.head_width; };
  const int64_t rows = columns ? packed.rows : widened(packed.rows),
                depth = columns ? widened(packed.depth) : packed.depth;
  DeviceBuffer wide(static_cast<size_t>(rows * depth) * 2);
  check_cuda(cudaMemsetAsync(wide.data(), 0, wide.bytes(), stream_.get()), "clearing weights");
  for (const PackedWeight::Part & part : packed.parts) {
    const int64_t first = columns ? part.first_row : widened(part.first_row);
    place_heads({raw.as<char>() + part.first_row * packed.depth * 2, part.rows, packed.depth, shape_.head_size,
                 shape_.head_width, *part.places, wide.as<char>() + first * depth * 2},
                stream_.get());
  }
  stream_.wait();  // raw goes
  packed.rows = rows;
  packed.depth = depth;
  return wide;
}

// A format that our kernels lack came as f32: streamed weights keep it merged, in 16 bits.
void Loader::merge_wide_part(PackedWeight::Part & part, int64_t depth) {
  if (part.quant != Quant::f32) return;
  DeviceBuffer merged(static_cast<size_t>(part.rows * depth) * 2);
  expand_weight({part.source.data(), part.quant, part.rows, depth, part.rank ? part.lora_a.as<float>() : nullptr,
                 part.lora_b.as<float>(), part.rank, part.scale, part.head_rows, merged.data(), wide_element()},
                stream_.get());
  stream_.wait();
  part.source = std::move(merged);
  part.quant = wide_element() == Element::f16 ? Quant::f16 : Quant::bf16;
  part.head_rows = part.rank = 0;
  part.lora_a = DeviceBuffer();
  part.lora_b = DeviceBuffer();
}

DeviceBuffer Loader::load_norm(const std::string & name, float * most) {
  const std::vector<float> values = request_.base.read_f32(required(request_.base, name, shape_.hidden, 1));
  if (most) {
    *most = 0;
    for (float value : values) *most = std::max(*most, std::fabs(value));
  }
  return counted(uploader_.upload_f32(values.data(), values.size()));
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

}  // namespace

void PackedWeight::expand(void * target, Element element, Stream stream) const {
  for (const Part & part : parts) {
    char * rows_at = static_cast<char *>(target) + part.first_row * depth * element_bytes(element);
    expand_weight({part.source.data(), part.quant, part.rows, depth, part.rank ? part.lora_a.as<float>() : nullptr,
                   part.lora_b.as<float>(), part.rank, part.scale, part.head_rows, rows_at, element},
                  stream);
  }
}

Weights load_weights(const WeightsRequest & request) { return Loader(request).load(); }

size_t estimated_weight_bytes(const WeightsRequest & request) {
  size_t bytes = 0;
  for (const TensorInfo & tensor : request.base.tensors()) {
    const bool block = tensor.name.compare(0, 4, "blk.") == 0;
    if (!block && tensor.name == "output.weight") continue;
    const bool wide = block && request.keep == Keep::resident && tensor.ne[1] > 1;
    bytes += wide ? static_cast<size_t>(tensor.elements()) * static_cast<size_t>(element_bytes(request.compute))
                  : tensor.bytes;
  }
  if (request.adapter) bytes += request.adapter->file().bytes() * 2;
  return bytes;
}

}  // namespace pairscore
