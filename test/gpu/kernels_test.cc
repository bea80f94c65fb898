// Every kernel against its CPU twin, over odd sizes and poisoned outputs. Needs a GPU.
#include <algorithm>

#include "ggml.h"
#include "kernels/gated_product.h"
#include "kernels/rope.h"
#include "kernels/rows.h"
#include "kernels/weight.h"
#include "on_device.h"
#include "quantized.h"

using namespace pairscore;
using namespace pairscore::test;

namespace {

const int kRows[] = {1, 2, 31, 32, 33, 2047};

void check_rope(Element element, int rows, int heads, int head_size) {
  const int64_t stride = int64_t(heads) * head_size + 64, positions = 128, half = head_size / 2;
  std::vector<float> values = rounded(random_normal(static_cast<size_t>(rows * stride), 1), element);
  std::vector<float> cosines, sines;
  for (int64_t i = 0; i < positions * half; i++) {
    const double angle =
        static_cast<double>(i / half) * std::pow(10000.0, -static_cast<double>(i % half) / static_cast<double>(half));
    cosines.push_back(static_cast<float>(std::cos(angle)));
    sines.push_back(static_cast<float>(std::sin(angle)));
  }
  std::vector<int32_t> at(static_cast<size_t>(rows));
  for (int32_t & position : at) position = random_int(0, positions - 1);
  const DeviceBuffer heads_at = to_device(values, element), c = raw_to_device(cosines), s = raw_to_device(sines),
                     p = raw_to_device(at);
  RopeArgs args{heads_at.data(), rows,          stride,        heads,  head_size,
                p.as<int32_t>(), c.as<float>(), s.as<float>(), element};
  rope(args, nullptr);
  args.positions = at.data(), args.cosines = cosines.data(), args.sines = sines.data();
  rope_reference(args, values.data());
  expect_close(from_device(heads_at, values.size(), element), values, tolerance_of(element),
               label("rope", element, rows, heads * head_size));
}

TEST("rope turns heads as its twin does and leaves the columns beside them alone") {
  for (Element element : kWide) {
    for (int rows : kRows) {
      for (int head_size : {64, 128, 256}) check_rope(element, rows, random_int(1, 9), head_size);
    }
  }
}

TEST("rope gives NaN, not infinity, for what its type cannot hold, and leaves the other pairs alone") {
  for (Element element : kWide) {
    const float most = element == Element::f16 ? 65504.f : 3.38e38f;
    const std::vector<float> cosines(64, std::sqrt(0.5f)), sines(64, std::sqrt(0.5f));
    std::vector<float> values = rounded(random_normal(2 * 64, 1), element);
    values[0] = INFINITY, values[40] = -INFINITY, values[64 + 3] = values[64 + 35] = most;
    const std::vector<int32_t> positions = {0, 1};
    const DeviceBuffer heads = to_device(values, element), c = raw_to_device(cosines), s = raw_to_device(sines),
                       p = raw_to_device(positions);
    rope({heads.data(), 2, 64, 1, 64, p.as<int32_t>(), c.as<float>(), s.as<float>(), element}, nullptr);
    const std::vector<float> out = from_device(heads, values.size(), element);
    for (size_t i = 0; i < out.size(); i++) {
      // x cos - y sin of two equal values is small; x cos + y sin is beyond the range.
      const bool lost = i == 0 || i == 32 || i == 8 || i == 40 || i == 64 + 35;
      expect(lost ? std::isnan(out[i]) : std::isfinite(out[i]), name_of(element) + (" value " + std::to_string(i)));
    }
  }
}

void check_gate(Element element, Element out_element, int64_t rows, int64_t columns, Activation activation) {
  const size_t count = static_cast<size_t>(rows * columns);
  std::vector<float> in = rounded(random_normal(2 * count, 2), element), expected(count);
  in[0] = 60, in[static_cast<size_t>(columns) - 1] = -60;  // where exp overflows and vanishes
  in = rounded(in, element);
  const DeviceBuffer in_at = to_device(in, element), out_at = poisoned(count, out_element),
                     scales = poisoned(static_cast<size_t>(rows), Element::f32);
  gate({in_at.data(), rows, columns, activation, out_at.data(), scales.as<float>(), element, out_element}, nullptr);
  gate_reference(in.data(), rows, columns, activation, expected.data());
  std::vector<float> out = from_device(out_at, count, out_element);
  if (out_element == Element::e4m3) {
    const std::vector<float> row_scales = from_device(scales, static_cast<size_t>(rows), Element::f32);
    for (size_t i = 0; i < count; i++) out[i] *= row_scales[i / static_cast<size_t>(columns)];
  }
  expect_close(out, expected, tolerance_of(out_element), label("gate", out_element, rows, columns));
}

TEST("gate gives its twin's products for both activations, in 16 bits and in e4m3 with a scale a row") {
  for (Activation activation : {Activation::gelu_tanh, Activation::silu}) {
    for (int rows : kRows) {
      for (int64_t columns : {16, 1000, 4096}) {
        for (Element element : kWide) check_gate(element, element, rows, columns, activation);
        check_gate(Element::bf16, Element::e4m3, rows, columns, activation);
      }
    }
    check_gate(Element::bf16, Element::e4m3, 3, 14336, activation);
    check_gate(Element::bf16, Element::e4m3, 3, 32768, activation);
    check_gate(Element::bf16, Element::bf16, 70000, 16, activation);
  }
}

void check_gated_product(Element element, int64_t rows, int64_t columns, int64_t depth, Activation activation) {
  const size_t count = static_cast<size_t>(rows * columns);
  const std::vector<float> a = rounded(random_normal(static_cast<size_t>(rows * depth), 1), element),
                           w = rounded(random_normal(static_cast<size_t>(2 * columns * depth), 0.1f), element);
  std::vector<float> expected(count);
  const DeviceBuffer a_at = to_device(a, element), w_at = to_device(w, element), out_at = poisoned(count + 64, element);
  const GatedProductArgs args{a_at.data(), w_at.data(), out_at.data(), rows, columns, depth, activation, element};
  if (!gated_product_fits(args)) return;
  gated_product(args, nullptr);
  gated_product_reference(args, a.data(), w.data(), expected.data());
  const std::string what = label("gated_product of depth " + std::to_string(depth), element, rows, columns);
  std::vector<float> out = from_device(out_at, count + 64, element);
  for (size_t i = count; i < out.size(); i++) expect(std::isnan(out[i]), what + ": wrote past its output");
  out.resize(count);
  expect_close(out, expected, tolerance_of(element), what);
}

TEST("gated_product gives its twin's values for tiles that rows, columns and depth fill in part") {
  for (Activation activation : {Activation::gelu_tanh, Activation::silu}) {
    for (Element element : kWide) {
      for (int64_t rows : {1, 2, 31, 32, 33, 127, 129}) {
        for (int64_t columns : {16, 136, 272}) {
          for (int64_t depth : {16, 80, 592}) check_gated_product(element, rows, columns, depth, activation);
        }
      }
      check_gated_product(element, 2047, 144, 320, activation);
    }
  }
}

TEST("gated_product gives its twin's values where a block makes several tiles") {
  check_gated_product(Element::f16, 1300, 2192, 208, Activation::gelu_tanh);
  check_gated_product(Element::bf16, 600, 4112, 272, Activation::silu);
}

TEST("quantize_rows keeps values within e4m3's step and a row of zeros at zero") {
  for (Element element : kWide) {
    for (int64_t columns : {64, 4096, 16384}) {
      const int64_t rows = 33;
      const size_t count = static_cast<size_t>(rows * columns);
      std::vector<float> in = rounded(random_normal(count, 3), element);
      for (int64_t c = 0; c < columns; c++) in[static_cast<size_t>(5 * columns + c)] = 0;
      const DeviceBuffer in_at = to_device(in, element), out_at = poisoned(count, Element::e4m3),
                         scales = poisoned(rows, Element::f32);
      quantize_rows({in_at.data(), rows, columns, out_at.data(), scales.as<float>(), element}, nullptr);
      std::vector<float> out = from_device(out_at, count, Element::e4m3);
      const std::vector<float> row_scales = from_device(scales, rows, Element::f32);
      for (size_t i = 0; i < count; i++) out[i] *= row_scales[i / static_cast<size_t>(columns)];
      expect_close(out, in, tolerance_of(Element::e4m3), label("quantize_rows", element, rows, columns));
    }
  }
}

TEST("quantize_matrix finds the largest magnitude and rounds to the nearest e4m3 value") {
  const int64_t count = 8 * 12345;
  const std::vector<float> in = rounded(random_normal(count, 0.02f), Element::bf16);
  const DeviceBuffer in_at = to_device(in, Element::bf16), out_at = poisoned(count, Element::e4m3),
                     scale_at = poisoned(1, Element::f32);
  quantize_matrix({in_at.data(), count, out_at.data(), scale_at.as<float>(), Element::bf16}, nullptr);
  const float scale = from_device(scale_at, 1, Element::f32)[0];
  float most = 0;
  for (float value : in) most = std::max(most, std::fabs(value));
  expect(std::fabs(scale * 448.f / most - 1) < 1e-5, "the scale is not the largest magnitude over 448");
  std::vector<float> expected;
  for (float value : in) expected.push_back(e4m3_reference(value / scale));
  expect_close(from_device(out_at, count, Element::e4m3), expected, 1e-3, "quantize_matrix");
}

TEST("largest_magnitude finds it wherever it is, and infinity for what is not finite") {
  const int64_t count = 8 * 70001;
  for (Element element : kWide) {
    for (int64_t at : {int64_t(0), int64_t(12345), count - 1}) {
      std::vector<float> in = rounded(random_normal(static_cast<size_t>(count), 1), element);
      for (float value : {-512.f, INFINITY, -INFINITY, NAN}) {
        in[static_cast<size_t>(at)] = value;
        const DeviceBuffer in_at = to_device(in, element), largest = poisoned(1, Element::f32);
        largest_magnitude({in_at.data(), count, largest.as<float>(), element}, nullptr);
        const float expected = std::isfinite(value) ? 512.f : INFINITY;
        expect(from_device(largest, 1, Element::f32)[0] == expected, std::string(name_of(element)));
      }
    }
  }
}

TEST("gather_rows and head give what the host computes") {
  const int64_t columns = 264, rows = 77;
  const std::vector<float> in = random_normal(static_cast<size_t>(rows * columns), 1),
                           weight = random_normal(5 * columns, 1), bias = random_normal(5, 1);
  const std::vector<int32_t> chosen = {0, 76, 33, 33, 5};
  std::vector<float> gathered, logits(chosen.size() * 5);
  for (int32_t row : chosen)
    gathered.insert(gathered.end(), in.begin() + row * columns, in.begin() + (row + 1) * columns);
  const DeviceBuffer in_at = raw_to_device(in), chosen_at = raw_to_device(chosen), weight_at = raw_to_device(weight),
                     bias_at = raw_to_device(bias);
  const DeviceBuffer out_at = poisoned(gathered.size(), Element::f32),
                     logits_at = poisoned(logits.size(), Element::f32);
  gather_rows(in_at.data(), chosen_at.as<int32_t>(), 5, columns * 4, out_at.data(), nullptr);
  expect(from_device(out_at, gathered.size(), Element::f32) == gathered, "gather_rows moved other values");
  head({out_at.as<float>(), 5, columns, weight_at.as<float>(), bias_at.as<float>(), 5, logits_at.as<float>()}, nullptr);
  head_reference({gathered.data(), 5, columns, weight.data(), bias.data(), 5, nullptr}, logits.data());
  expect_close(from_device(logits_at, logits.size(), Element::f32), logits, 1e-5, "head");
}

TEST("expand_weight gives ggml's numbers bit for bit in f32, and their nearest 16-bit values") {
  for (const QuantizedType & type : kQuantizedTypes) {
    const int64_t rows = 37, columns = 768;
    const std::vector<uint8_t> blocks = random_blocks(type, rows, columns);
    const std::vector<float> expected = ggml_values(type, blocks, rows * columns);
    const DeviceBuffer source = raw_to_device(blocks);
    for (Element element : {Element::f32, Element::f16, Element::bf16}) {
      const DeviceBuffer target = poisoned(expected.size(), element);
      expand_weight({source.data(), type.quant, rows, columns, nullptr, nullptr, 0, 0, {}, {}, target.data(), element},
                    nullptr);
      expect(from_device(target, expected.size(), element) == rounded(expected, element),
             std::string(ggml_type_name(type.type)) + " as " + name_of(element));
    }
  }
}

void check_expand(int rank, Heads row_heads, Heads column_heads) {
  const int64_t rows = 64 * 3, columns = 512;
  const size_t count = static_cast<size_t>(placed_count(rows, row_heads) * placed_count(columns, column_heads));
  const std::vector<uint8_t> blocks = random_blocks(kQuantizedTypes[0], rows, columns);
  const std::vector<float> a = random_normal(static_cast<size_t>(rank * columns), 1),
                           b = random_normal(static_cast<size_t>(rows * rank), 1);
  std::vector<float> expected(count, 7);
  const DeviceBuffer source = raw_to_device(blocks), a_at = raw_to_device(a), b_at = raw_to_device(b),
                     target = to_device(expected, Element::f32);
  ExpandArgs args{source.data(), kQuantizedTypes[0].quant,
                  rows,          columns,
                  nullptr,       b_at.as<float>(),
                  rank,          0.7f,
                  row_heads,     column_heads,
                  target.data(), Element::f32};
  if (rank) args.lora_a = a_at.as<float>();
  expand_weight(args, nullptr);
  args.source = blocks.data(), args.lora_b = b.data();
  if (rank) args.lora_a = a.data();
  expand_weight_reference(args, expected.data());
  expect_close(from_device(target, count, Element::f32), expected, 1e-6,
               "expand_weight with a LoRA of " + std::to_string(rank));
}

TEST("expand_weight adds the LoRA product and places the values of heads as its twin does, touching nothing else") {
  const Heads none{}, pairs{64, 64, HeadOrder::pairs};
  for (int rank : {0, 1, 16, 33}) {
    check_expand(rank, none, none);
    check_expand(rank, pairs, none);
    for (HeadOrder order : {HeadOrder::plain, HeadOrder::halves, HeadOrder::pairs})
      check_expand(rank, {48, 64, order}, none);
    check_expand(rank, none, {32, 64, HeadOrder::plain});
  }
}

TEST("expand_weight turns a matrix of f16 into bf16 in its place") {
  const int64_t rows = 70, columns = 1000;
  const std::vector<float> values = rounded(random_normal(static_cast<size_t>(rows * columns), 1), Element::f16);
  const DeviceBuffer matrix = to_device(values, Element::f16);
  expand_weight(
      {matrix.data(), Quant::f16, rows, columns, nullptr, nullptr, 0, 0, {}, {}, matrix.data(), Element::bf16},
      nullptr);
  expect(from_device(matrix, values.size(), Element::bf16) == rounded(values, Element::bf16), "other values");
}

TEST("embed gathers rows of every format, times the scale in f32") {
  for (const QuantizedType & type : kQuantizedTypes) {
    const int64_t vocabulary = 50, columns = 512;
    const std::vector<uint8_t> blocks = random_blocks(type, vocabulary, columns);
    const std::vector<int32_t> tokens = {49, 0, 7, 7, 31};
    const DeviceBuffer table = raw_to_device(blocks), tokens_at = raw_to_device(tokens),
                       out = poisoned(tokens.size() * columns, Element::f32);
    EmbedArgs args{
        tokens_at.as<int32_t>(), static_cast<int64_t>(tokens.size()), table.data(), type.quant, columns, 59.866518f,
        out.as<float>()};
    embed(args, nullptr);
    std::vector<float> expected(tokens.size() * columns);
    args.tokens = tokens.data(), args.table = blocks.data(), args.out = expected.data();
    embed_reference(args);
    expect(from_device(out, expected.size(), Element::f32) == expected,
           std::string("embed of ") + ggml_type_name(type.type));
  }
}

}  // namespace

int main(int argc, char ** argv) { return run_tests(argc, argv); }
