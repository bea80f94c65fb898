// Each kernel of the CUDA engine at the shapes of Gemma-2 9B and Llama-3 8B: time, and bytes moved a second.
// usage: kernels [TOKENS] [PART]    PART: of the names of kernels, to time these alone
#include <algorithm>
#include <cstdio>
#include <functional>
#include <numeric>
#include <random>

#include "engine/cuda/packing.h"
#include "engine/cuda/products.h"
#include "kernels/attention.h"
#include "kernels/gated_product.h"
#include "kernels/norm.h"
#include "kernels/rope.h"
#include "kernels/rows.h"
#include "kernels/weight.h"
#include "lengths.h"

using namespace pairscore;

namespace {

struct Sizes {
  const char * name;
  int layers, hidden, q_heads, kv_heads, head_size, feed_forward;
  float soft_cap;
  Quant quant;
};

class Bench {
 public:
  Bench(const Sizes & sizes, int tokens, const char * part)
      : s_(sizes), tokens_(tokens), part_(part), products_(stream_.get(), Gating::fused) {}
  void run();

 private:
  void time(const char * what, double bytes, const std::function<void()> & launch);
  bool wanted(const std::string & name) const { return name.find(part_) != std::string::npos; }
  void products(Element element);
  void time_gated(const Product & product);
  void norms();
  void gates();
  void expansions();
  void attend(const char * what, const std::vector<int> & lengths, float soft_cap);
  DeviceBuffer random_values(size_t bytes, unsigned seed);

  const Sizes s_;
  const int tokens_;
  const std::string part_;
  OwnStream stream_;
  Products products_;
};

// The stream does not wait for them.
void wait_for_copies() { check_cuda(cudaDeviceSynchronize(), "copying"); }

// 16-bit patterns of bf16 values from -2 to 2.
DeviceBuffer Bench::random_values(size_t bytes, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<uint16_t> some(1 << 20);
  for (uint16_t & value : some) value = static_cast<uint16_t>((random() & 0x80ff) | 0x3f00);
  DeviceBuffer buffer(bytes + 64);
  for (size_t at = 0; at < bytes; at += some.size() * 2) {
    check_cuda(
        cudaMemcpy(buffer.as<char>() + at, some.data(), std::min(some.size() * 2, bytes - at), cudaMemcpyHostToDevice),
        "copying");
  }
  wait_for_copies();
  return buffer;
}

void Bench::time(const char * what, double bytes, const std::function<void()> & launch) {
  if (!wanted(what)) return;
  wait_for_copies();
  OwnEvent start, stop;
  launch();
  launch();
  std::vector<float> times;
  for (int i = 0; i < 9; i++) {
    start.record(stream_.get());
    launch();
    launch();
    stop.record(stream_.get());
    stop.wait();
    times.push_back(stop.since(start) / 2);
  }
  std::sort(times.begin(), times.end());
  const double ms = times[times.size() / 2];
  std::printf("  %-28s %8.3f ms", what, ms);
  if (bytes > 0) std::printf("  %5.2f TB/s", bytes / ms / 1e9);
  std::printf("  %6.3f us a token over all layers\n", ms * 1e3 * s_.layers / tokens_);
}

void Bench::products(Element element) {
  const int64_t q = int64_t(s_.q_heads) * s_.head_size, qkv = q + 2 * int64_t(s_.kv_heads) * s_.head_size;
  const std::pair<int64_t, int64_t> shapes[] = {
      {s_.hidden, qkv}, {q, s_.hidden}, {s_.hidden, 2 * s_.feed_forward}, {s_.feed_forward, s_.hidden}};
  const char * names[] = {"product q|k|v", "product o", "product gate|up", "product down"};
  for (int i = 0; i < 4; i++) {
    const auto [depth, columns] = shapes[i];
    const DeviceBuffer a = random_values(static_cast<size_t>(tokens_ * depth) * 2, 1),
                       w = random_values(static_cast<size_t>(columns * depth) * 2, 2);
    const DeviceBuffer out(static_cast<size_t>(tokens_ * columns) * 2);
    const std::vector<float> one = {1.f};
    DeviceBuffer scale(4);
    check_cuda(cudaMemcpy(scale.data(), one.data(), 4, cudaMemcpyHostToDevice), "copying");
    const float * at = element == Element::e4m3 ? scale.as<float>() : nullptr;
    const Product product{a.data(), w.data(), out.data(), tokens_, columns,      depth,
                          columns,  at,       at,         element, Element::bf16};
    time(names[i], 0, [&] { products_.run(product); });
    if (i == 2 && element != Element::e4m3) time_gated(product);
  }
}

// gate|up and the gate: our own kernel, to be held against the sum of the two apart.
void Bench::time_gated(const Product & product) {
  const DeviceBuffer gated(static_cast<size_t>(product.rows * product.columns));
  const Activation activation = s_.soft_cap > 0 ? Activation::gelu_tanh : Activation::silu;
  const GatedProductArgs args{product.a,           product.w,     gated.data(), product.rows,
                              product.columns / 2, product.depth, activation,   product.element};
  if (gated_product_fits(args)) time("gated product", 0, [&] { gated_product(args, stream_.get()); });
}

void Bench::norms() {
  const size_t t = static_cast<size_t>(tokens_), hidden = static_cast<size_t>(s_.hidden);
  const DeviceBuffer y = random_values(t * hidden * 2, 3), x = random_values(t * hidden * 4, 4), h(t * hidden * 2),
                     weight = random_values(hidden * 4, 5);
  const float * post = s_.soft_cap > 0 ? weight.as<float>() : nullptr;
  NormArgs norm{};
  norm.rows = tokens_, norm.columns = s_.hidden, norm.epsilon = 1e-6f;
  norm.post = post, norm.x = x.as<float>(), norm.next = weight.as<float>(), norm.h = h.data(), norm.h_scale = 1;
  norm.element = norm.h_element = Element::bf16;
  norm.h_before = h.data(), norm.next_before = weight.as<float>();
  norm.after = Residual::remainder;
  add_norm(norm, stream_.get());
  norm.y = y.data();
  for (Residual form : {Residual::remainder, Residual::whole}) {
    const bool splits = form == Residual::remainder;
    norm.before = norm.after = form;
    time(splits ? "add_norm" : "add_norm, x in f32", static_cast<double>(t * hidden) * (splits ? 8 : 12),
         [&] { add_norm(norm, stream_.get()); });
  }
}

void Bench::gates() {
  const size_t t = static_cast<size_t>(tokens_), feed = static_cast<size_t>(s_.feed_forward);
  const DeviceBuffer gate_up = random_values(t * feed * 4, 6), gated(t * feed * 2), scales(t * 4);
  const Activation activation = s_.soft_cap > 0 ? Activation::gelu_tanh : Activation::silu;
  time("gate", static_cast<double>(t * feed) * 6, [&] {
    gate({gate_up.data(), tokens_, s_.feed_forward, activation, gated.data(), nullptr, Element::bf16, Element::bf16},
         stream_.get());
  });
  time("gate to e4m3", static_cast<double>(t * feed) * 5, [&] {
    gate({gate_up.data(), tokens_, s_.feed_forward, activation, gated.data(), scales.as<float>(), Element::bf16,
          Element::e4m3},
         stream_.get());
  });
  const int64_t q = int64_t(s_.q_heads) * s_.head_size;
  time("quantize_rows (attention)", static_cast<double>(tokens_) * static_cast<double>(q) * 3, [&] {
    quantize_rows({gate_up.data(), tokens_, q, gated.data(), scales.as<float>(), Element::bf16}, stream_.get());
  });
}

void Bench::expansions() {
  const int64_t rows = 2 * s_.feed_forward;
  const DeviceBuffer blocks = random_values(static_cast<size_t>(rows * quant_row_bytes(s_.quant, s_.hidden)), 7),
                     wide(static_cast<size_t>(rows * s_.hidden) * 2);
  ExpandArgs args{};
  args.source = blocks.data(), args.quant = s_.quant, args.rows = rows, args.columns = s_.hidden;
  args.target = wide.data(), args.element = Element::bf16;
  time("expand gate|up",
       static_cast<double>(rows) * (static_cast<double>(quant_row_bytes(s_.quant, s_.hidden)) + 2.0 * s_.hidden),
       [&] { expand_weight(args, stream_.get()); });
  const DeviceBuffer lora = random_values(static_cast<size_t>(16 * (rows + s_.hidden)) * 4, 8);
  args.lora_a = lora.as<float>(), args.lora_b = lora.as<float>() + 16 * s_.hidden;
  args.rank = 16, args.scale = 1;
  time("expand with LoRA of rank 16", 0, [&] { expand_weight(args, stream_.get()); });
}

// As many rows as the batch has room for, ready for attention.
struct PackedRows {
  std::vector<int32_t> offsets = {0};
  Packing packing{};
  DeviceBuffer run;
};

PackedRows pack(const std::vector<int> & lengths, int64_t most_tokens, int32_t tile_rows) {
  PackedRows packed;
  for (int length : lengths) {
    if (packed.offsets.back() + length <= most_tokens) packed.offsets.push_back(packed.offsets.back() + length);
  }
  const std::vector<int32_t> & offsets = packed.offsets;
  const int32_t total = offsets.back(), rows = static_cast<int32_t>(offsets.size()) - 1;
  const std::vector<int32_t> ids(static_cast<size_t>(total));
  std::vector<int32_t> run(static_cast<size_t>(largest_packing({total, rows}, tile_rows)));
  RowList list(static_cast<size_t>(rows));
  std::iota(list.begin(), list.end(), 0);
  packed.packing = pack_rows({{ids.data(), ids.size()}, {offsets.data(), offsets.size()}}, list, tile_rows, run.data());
  packed.run = DeviceBuffer(run.size() * 4);
  check_cuda(cudaMemcpy(packed.run.data(), run.data(), packed.run.bytes(), cudaMemcpyHostToDevice), "copying");
  return packed;
}

void Bench::attend(const char * what, const std::vector<int> & lengths, float soft_cap) {
  if (!wanted(what) && !wanted("rope of k")) return;
  const AttentionPath path = AttentionPath::hopper;
  const PackedRows packed = pack(lengths, tokens_, attention_tile_rows(s_.head_size, path));
  const Packing & packing = packed.packing;
  const int32_t * run = packed.run.as<int32_t>();
  const int64_t q = int64_t(s_.q_heads) * s_.head_size, kv = int64_t(s_.kv_heads) * s_.head_size, stride = q + 2 * kv;
  const DeviceBuffer qkv = random_values(static_cast<size_t>(tokens_ * stride) * 2, 9),
                     out(static_cast<size_t>(tokens_ * q) * 2);
  const DeviceBuffer table = random_values(static_cast<size_t>(2048 * s_.head_size) * 4, 10);
  const DeviceBuffer queue(8);
  check_cuda(cudaMemsetAsync(queue.data(), 0, queue.bytes(), stream_.get()), "clearing");
  const char * base = qkv.as<char>();
  AttentionArgs args{};
  args.q = base, args.k = base + q * 2, args.v = base + (q + kv) * 2, args.q_stride = args.kv_stride = stride;
  args.kv_rows = packing.tokens, args.cosines = args.sines = table.as<float>(), args.out = out.data();
  args.tiles = reinterpret_cast<const AttentionTile *>(run + packing.tiles_at()), args.tile_count = packing.tiles;
  args.q_heads = s_.q_heads, args.kv_heads = s_.kv_heads, args.head_size = s_.head_size;
  args.scale = 0.01f, args.soft_cap = soft_cap, args.element = Element::bf16;
  args.path = path, args.queue = queue.as<int32_t>();
  time(what, 0, [&] { attention(args, stream_.get()); });
  double flops = 0;
  for (size_t row = 0; row + 1 < packed.offsets.size(); row++) {
    const double length = packed.offsets[row + 1] - packed.offsets[row];
    flops += 2 * length * length * static_cast<double>(q);
  }
  std::printf("    (%d rows, %d tokens, %.1f GFLOP counted causally)\n", packing.rows, packing.tokens, flops / 1e9);
  const RopeArgs turn{const_cast<char *>(base) + q * 2,
                      packing.tokens,
                      stride,
                      s_.kv_heads,
                      s_.head_size,
                      run + packing.positions_at(),
                      table.as<float>(),
                      table.as<float>(),
                      Element::bf16};
  time("rope of k", static_cast<double>(packing.tokens * kv) * 4, [&] { rope(turn, stream_.get()); });
}

void Bench::run() {
  std::printf("%s, %d tokens\n", s_.name, tokens_);
  products(Element::bf16);
  products(Element::e4m3);
  norms();
  gates();
  expansions();
  attend("attention, rows of 704", std::vector<int>(64, 704), s_.soft_cap);
  attend("attention, rows of 2048", std::vector<int>(16, 2048), s_.soft_cap);
  attend("attention, rows of LMSYS", lmsys_lengths(45), s_.soft_cap);
  if (s_.soft_cap > 0) attend("attention, rows of 704, no cap", std::vector<int>(64, 704), 0);
}

}  // namespace

int main(int argc, char ** argv) {
  const int tokens = argc > 1 ? std::atoi(argv[1]) : 8192;
  const char * part = argc > 2 ? argv[2] : "";
  Bench({"gemma-2 9b", 42, 3584, 16, 8, 256, 14336, 50.f, Quant::q4_k}, tokens, part).run();
  Bench({"llama-3 8b", 32, 4096, 32, 8, 128, 14336, 0.f, Quant::q8_0}, tokens, part).run();
  return 0;
}
