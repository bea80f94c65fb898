#include "reference_model.h"

#include <cmath>
#include <numeric>
#include <optional>

#include "engine/adapter.h"
#include "engine/cuda/packing.h"
#include "engine/cuda/shape.h"
#include "engine/head.h"
#include "kernels/attention.h"
#include "kernels/gate.h"
#include "kernels/norm.h"
#include "kernels/rope.h"
#include "kernels/weight.h"

namespace pairscore::test {
namespace {

using Values = std::vector<float>;

class Reference {
 public:
  explicit Reference(const EngineSpec & spec)
      : base_(spec.base_path), shape_(read_shape(base_)), head_(spec.head_path, base_), cap_(spec.attention_soft_cap) {
    if (!spec.adapter_path.empty()) adapter_.emplace(spec.adapter_path, base_);
  }

  Values score(View<int32_t> tokens, View<int32_t> offsets);

 private:
  Values values(const std::string & name) const { return base_.read_f32(*base_.find(name)); }
  Values matrix(const std::string & name, int head_rows) const;
  Values multiply(const Values & a, const std::string & name, int head_rows = 0) const;
  void attend(Values & x, int layer, const std::vector<int32_t> & run, const Packing & packing);
  void feed(Values & x, int layer) const;
  Values normalized(Values & x, const Values * y, const std::string & post, const std::string & next) const;

  GgufFile base_;
  ModelShape shape_;
  Head head_;
  bool cap_;
  std::optional<Adapter> adapter_;
  Values cosines_, sines_;
};

Values Reference::matrix(const std::string & name, int head_rows) const {
  const TensorInfo & tensor = *base_.find(name);
  const Values plain = base_.read_f32(tensor);
  Values a, b, out(plain.size());
  ExpandArgs args{};
  args.source = plain.data(), args.quant = Quant::f32, args.rows = tensor.ne[1], args.columns = tensor.ne[0];
  args.row_heads = {head_rows, head_rows, HeadOrder::pairs};
  for (const LoraPair & pair : adapter_ ? adapter_->pairs() : std::vector<LoraPair>()) {
    if (pair.base_name != name) continue;
    a = adapter_->file().read_f32(*pair.a), b = adapter_->file().read_f32(*pair.b);
    args.lora_a = a.data(), args.lora_b = b.data(), args.rank = static_cast<int>(pair.rank()), args.scale = pair.scale;
  }
  expand_weight_reference(args, out.data());
  return out;
}

Values Reference::multiply(const Values & a, const std::string & name, int head_rows) const {
  const Values w = matrix(name, head_rows);
  const size_t depth = static_cast<size_t>(base_.find(name)->ne[0]), columns = w.size() / depth,
               rows = a.size() / depth;
  Values out(rows * columns);
  for (size_t r = 0; r < rows; r++) {
    for (size_t c = 0; c < columns; c++) {
      double sum = 0;
      for (size_t k = 0; k < depth; k++) sum += static_cast<double>(a[r * depth + k]) * w[c * depth + k];
      out[r * columns + c] = static_cast<float>(sum);
    }
  }
  return out;
}

Values Reference::normalized(Values & x, const Values * y, const std::string & post, const std::string & next) const {
  const Values next_weight = values(next), post_weight = post.empty() ? Values() : values(post);
  Values h(x.size());
  add_norm_reference({static_cast<int64_t>(x.size()) / shape_.hidden, shape_.hidden, shape_.epsilon,
                      y ? y->data() : nullptr, post.empty() ? nullptr : post_weight.data(), next_weight.data(),
                      x.data(), h.data()});
  return h;
}

void Reference::attend(Values & x, int layer, const std::vector<int32_t> & run, const Packing & packing) {
  const std::string prefix = "blk." + std::to_string(layer) + ".";
  const int head_rows = shape_.interleaved_rope ? shape_.head_size : 0;
  const Values h = normalized(x, nullptr, "", prefix + "attn_norm.weight");
  Values q = multiply(h, prefix + "attn_q.weight", head_rows), k = multiply(h, prefix + "attn_k.weight", head_rows),
         v = multiply(h, prefix + "attn_v.weight");
  Values out(q.size());
  rope_reference({nullptr, packing.tokens, shape_.kv_rows(), shape_.kv_heads, shape_.head_size,
                  run.data() + packing.positions_at(), cosines_.data(), sines_.data(), Element::f32},
                 k.data());
  AttentionArgs args{};
  args.q_stride = shape_.q_rows(), args.kv_stride = shape_.kv_rows();
  args.cosines = cosines_.data(), args.sines = sines_.data();
  args.tiles = reinterpret_cast<const AttentionTile *>(run.data() + packing.tiles_at()),
  args.tile_count = packing.tiles;
  args.q_heads = shape_.q_heads, args.kv_heads = shape_.kv_heads, args.head_size = shape_.head_size;
  args.scale = shape_.attention_scale, args.soft_cap = cap_ ? shape_.attention_soft_cap : 0.f,
  args.window = shape_.window_of(layer);
  attention_reference(args, {q.data(), k.data(), v.data(), out.data()});
  const Values y = multiply(out, prefix + "attn_output.weight");
  normalized(x, &y, shape_.post_norms ? prefix + "post_attention_norm.weight" : "", prefix + "ffn_norm.weight");
}

void Reference::feed(Values & x, int layer) const {
  const std::string prefix = "blk." + std::to_string(layer) + ".";
  const Values h = normalized(x, nullptr, "", prefix + "ffn_norm.weight");
  const Values gate = multiply(h, prefix + "ffn_gate.weight"), up = multiply(h, prefix + "ffn_up.weight");
  const int64_t columns = shape_.feed_forward, rows = static_cast<int64_t>(gate.size()) / columns;
  Values both, gated(gate.size());
  for (int64_t r = 0; r < rows; r++) {
    both.insert(both.end(), gate.begin() + r * columns, gate.begin() + (r + 1) * columns);
    both.insert(both.end(), up.begin() + r * columns, up.begin() + (r + 1) * columns);
  }
  gate_reference(both.data(), rows, columns, shape_.activation, gated.data());
  const Values y = multiply(gated, prefix + "ffn_down.weight");
  normalized(x, &y, shape_.post_norms ? prefix + "post_ffw_norm.weight" : "", "output_norm.weight");
}

Values Reference::score(View<int32_t> tokens, View<int32_t> offsets) {
  const int32_t rows = static_cast<int32_t>(offsets.size) - 1, total = offsets[offsets.size - 1];
  std::vector<int32_t> run(static_cast<size_t>(largest_packing({total, rows}, 64)));
  RowList list(static_cast<size_t>(rows));
  std::iota(list.begin(), list.end(), 0);
  const Packing packing = pack_rows({tokens, offsets}, list, 64, run.data());
  const size_t half = static_cast<size_t>(shape_.head_size / 2), hidden = static_cast<size_t>(shape_.hidden);
  cosines_.assign(static_cast<size_t>(total) * half, 0), sines_ = cosines_;
  for (size_t i = 0; i < cosines_.size(); i++) {
    const double angle =
        static_cast<double>(i / half) *
        std::pow(static_cast<double>(shape_.rope_base), -static_cast<double>(i % half) / static_cast<double>(half));
    cosines_[i] = static_cast<float>(std::cos(angle)), sines_[i] = static_cast<float>(std::sin(angle));
  }
  const Values table = values("token_embd.weight");
  Values x;
  for (int32_t i = 0; i < total; i++) {
    for (size_t c = 0; c < hidden; c++)
      x.push_back(table[static_cast<size_t>(tokens[static_cast<size_t>(i)]) * hidden + c] * shape_.embedding_scale);
  }
  for (int layer = 0; layer < shape_.layers; layer++) {
    attend(x, layer, run, packing);
    feed(x, layer);
  }
  const Values h = normalized(x, nullptr, "", "output_norm.weight");
  Values logits(static_cast<size_t>(rows) * static_cast<size_t>(head_.label_count()));
  for (size_t row = 0; row < static_cast<size_t>(rows); row++) {
    head_.apply(h.data() + static_cast<size_t>(offsets[row + 1] - 1) * hidden,
                logits.data() + row * static_cast<size_t>(head_.label_count()));
  }
  return logits;
}

}  // namespace

std::vector<float> reference_logits(const EngineSpec & spec, View<int32_t> tokens, View<int32_t> offsets) {
  return Reference(spec).score(tokens, offsets);
}

}  // namespace pairscore::test
