// What needs no GPU: the block formats against ggml, the packing of rows.
#include <algorithm>
#include <limits>
#include <numeric>
#include <set>

#include "engine/cuda/packing.h"
#include "kernels/attention.h"
#include "kernels/residual.h"
#include "kernels/rows.h"
#include "kernels/score_shape.h"
#include "kernels/weight.h"
#include "quantized.h"

using namespace pairscore;
using namespace pairscore::test;

namespace {

ExpandArgs plain_args(const std::vector<uint8_t> & blocks, Quant quant, int64_t rows, int64_t columns) {
  ExpandArgs args{};
  args.source = blocks.data(), args.quant = quant, args.rows = rows, args.columns = columns;
  return args;
}

TEST("every block format gives ggml's numbers bit for bit") {
  for (const QuantizedType & type : kQuantizedTypes) {
    const int64_t rows = 40, columns = 1024;
    const std::vector<uint8_t> blocks = random_blocks(type, rows, columns);
    std::vector<float> values(static_cast<size_t>(rows * columns));
    expand_weight_reference(plain_args(blocks, type.quant, rows, columns), values.data());
    expect(values == ggml_values(type, blocks, rows * columns), ggml_type_name(type.type));
  }
}

TEST("block formats give ggml's numbers on random bytes, negative and subnormal scales included") {
  for (const QuantizedType & type : kQuantizedTypes) {
    if (type.type == GGML_TYPE_F16 || type.type == GGML_TYPE_BF16 || type.type == GGML_TYPE_F32) continue;
    const int64_t columns = 1024;
    std::vector<uint8_t> blocks(ggml_row_size(type.type, columns));
    for (int round = 0; round < 200; round++) {
      for (uint8_t & byte : blocks) byte = static_cast<uint8_t>(random_int(0, 255));
      std::vector<float> values(columns);
      expand_weight_reference(plain_args(blocks, type.quant, 1, columns), values.data());
      const std::vector<float> expected = ggml_values(type, blocks, columns);
      for (size_t i = 0; i < expected.size(); i++)
        expect(values[i] == expected[i] || (std::isnan(values[i]) && std::isnan(expected[i])),
               ggml_type_name(type.type));
    }
  }
}

TEST("a remainder is the next eight bits of bf16, or three of f16") {
  expect(joined_reference(0x3f80, 128, Element::bf16) == 1, "nothing left of 1");
  expect(joined_reference(0x3f80, 129, Element::bf16) == 1 + std::exp2(-15.f), "1 and a little more");
  expect(joined_reference(0xbf80, 0, Element::bf16) == -(1 - std::exp2(-9.f)),
         "bf16: -1 and the most that rounding takes");
  expect(joined_reference(0x3c00, 0, Element::f16) == 1, "nothing left of 1");
  expect(joined_reference(0x3c00, 0x3c, Element::f16) == 1 + std::exp2(-14.f), "1 and a little more");
  expect(joined_reference(0xbc00, 0xc8, Element::f16) == -(1 + std::exp2(-11.f)),
         "-1 and the most that rounding takes");
}

TEST("norms whose weights lose x, or whose output is too large for a remainder, leave none") {
  expect(leaves_remainder(0.5f, 2, 4096), "usual weights");
  expect(leaves_remainder(std::exp2(-14.f), 127, 4096), "the limits");
  expect(!leaves_remainder(0, 2, 4096), "a weight of zero");
  expect(!leaves_remainder(std::exp2(-15.f), 2, 4096), "a weight too small");
  expect(!leaves_remainder(0.5f, 128, 4096), "a weight too large");
}

TEST("rows of interleaved heads each find a place of their own") {
  std::set<int64_t> places;
  const Heads pairs{64, 64, HeadOrder::pairs};
  for (int64_t row = 0; row < 256; row++) places.insert(placed(row, pairs));
  expect(places.size() == 256 && *places.rbegin() == 255, "two rows share a place");
  expect(placed(64, pairs) == 64 && placed(65, pairs) == 96 && placed(66, pairs) == 65, "pairs do not become halves");
}

TEST("narrow heads keep their values apart, in halves or in pairs, and leave the rest of the wider ones free") {
  for (HeadOrder order : {HeadOrder::plain, HeadOrder::halves, HeadOrder::pairs}) {
    const Heads heads{48, 64, order};
    std::set<int64_t> places;
    for (int64_t i = 0; i < 96; i++) places.insert(placed(i, heads));
    expect(places.size() == 96 && *places.rbegin() < placed_count(96, heads), "two values share a place");
    expect(placed(48, heads) == 64, "a head starts inside another");
  }
  expect(placed(23, {48, 64, HeadOrder::halves}) == 23 && placed(24, {48, 64, HeadOrder::halves}) == 32, "halves");
  expect(placed(47, {48, 64, HeadOrder::pairs}) == 32 + 23, "pairs");
}

// q, k or v of `rows` tokens in heads of another width.
std::vector<float> widened(const std::vector<float> & values, int64_t rows, const Heads & heads) {
  const int64_t columns = static_cast<int64_t>(values.size()) / rows, width = placed_count(columns, heads);
  std::vector<float> wide(static_cast<size_t>(rows * width));
  for (int64_t r = 0; r < rows; r++) {
    for (int64_t i = 0; i < columns; i++)
      wide[static_cast<size_t>(r * width + placed(i, heads))] = values[static_cast<size_t>(r * columns + i)];
  }
  return wide;
}

TEST("zeros around narrow heads change no result of attention") {
  for (int size : {16, 32, 80}) {
    const int width = size <= 64 ? 64 : 128, tokens = 30, heads = 2;
    const std::vector<float> q = random_normal(static_cast<size_t>(tokens * heads * size), 1),
                             k = random_normal(q.size(), 1), v = random_normal(q.size(), 1);
    std::vector<float> cosines, sines, wide_cosines, wide_sines;
    for (int p = 0; p < tokens; p++) {
      for (int i = 0; i < width / 2; i++) {
        const double angle = i < size / 2 ? p * std::pow(10000.0, -2.0 * i / size) : 0;
        wide_cosines.push_back(static_cast<float>(std::cos(angle))),
            wide_sines.push_back(static_cast<float>(std::sin(angle)));
        if (i < size / 2) cosines.push_back(wide_cosines.back()), sines.push_back(wide_sines.back());
      }
    }
    const AttentionTile tile{0, tokens, 0, 0};
    AttentionArgs args{};
    args.q_stride = args.kv_stride = heads * size, args.cosines = cosines.data(), args.sines = sines.data();
    args.tiles = &tile, args.tile_count = 1, args.q_heads = args.kv_heads = heads, args.head_size = size,
    args.scale = 0.5f;
    std::vector<float> out(q.size()), wide_out(static_cast<size_t>(tokens * heads * width));
    attention_reference(args, {q.data(), k.data(), v.data(), out.data()});
    const Heads turned{size, width, HeadOrder::halves}, plain{size, width, HeadOrder::plain};
    const std::vector<float> wide_q = widened(q, tokens, turned), wide_k = widened(k, tokens, turned),
                             wide_v = widened(v, tokens, plain);
    args.q_stride = args.kv_stride = heads * width, args.cosines = wide_cosines.data(), args.sines = wide_sines.data(),
    args.head_size = width;
    attention_reference(args, {wide_q.data(), wide_k.data(), wide_v.data(), wide_out.data()});
    expect_close(wide_out, widened(out, tokens, plain), 1e-6, "heads of " + std::to_string(size));
  }
}

TEST("the series of the soft-cap is tanh as far as it is used, and half of the cap is where that ends") {
  for (float cap : {5.f, 20.f, 50.f}) {
    AttentionArgs args{};
    args.scale = 0.0625f, args.soft_cap = cap;
    const ScoreShape shape = score_shape(args);
    expect(std::fabs(shape.most_of_series * args.scale - cap / 2) < 1e-5f * cap, "where the series ends");
    for (int i = 1; i <= 1000; i++) {
      const double x = static_cast<double>(shape.most_of_series) * i / 1000, q = x * x;
      const double expected = static_cast<double>(cap) * std::tanh(x * args.scale / cap) * 1.4426950408889634;
      const double series = x * (shape.series[0] + q * (shape.series[1] + q * (shape.series[2] + q * shape.series[3])));
      expect(std::fabs(series / expected - 1) < 7e-7, "cap " + std::to_string(cap) + " at " + std::to_string(x));
    }
  }
  expect(score_shape({}).limit == 0 && score_shape({}).most_of_series == 0, "a cap where there is none");
}

TEST("e4m3 rounds to nearest, ties to even, and saturates") {
  expect(e4m3_reference(17.f) == 16.f && e4m3_reference(19.f) == 20.f, "ties");
  expect(e4m3_reference(1000.f) == 448.f && e4m3_reference(-1e9f) == -448.f, "saturation");
  expect(e4m3_reference(0.001f) == 0.001953125f, "the smallest value");
}

TEST("every row is in one batch, within both limits, and few batches are not full") {
  for (int round = 0; round < 200; round++) {
    std::vector<int32_t> offsets = {0};
    const int rows = random_int(1, 300), limit = 1000, most_rows = round % 3 ? 1000 : 10;
    for (int row = 0; row < rows; row++) offsets.push_back(offsets.back() + random_int(1, 200));
    const std::vector<RowList> batches = share_rows({offsets.data(), offsets.size()}, {limit, most_rows});
    std::vector<int> seen(static_cast<size_t>(rows));
    int spare = 0;
    for (const RowList & batch : batches) {
      int tokens = 0;
      for (int32_t row : batch) {
        seen[static_cast<size_t>(row)]++;
        tokens += offsets[static_cast<size_t>(row) + 1] - offsets[static_cast<size_t>(row)];
      }
      expect(tokens <= limit && static_cast<int>(batch.size()) <= most_rows, "a batch over its limits");
      spare += tokens < limit - 50;
    }
    for (int count : seen) expect(count == 1, "a row in " + std::to_string(count) + " batches");
    if (most_rows > 100) expect(spare <= 2, std::to_string(spare) + " batches were left with room");
  }
}

TEST("a call that is full is shared out without a gap") {
  for (int round = 0; round < 300; round++) {
    const int batches = round % 2 ? 2 : 3, call = batches * 16896;
    std::vector<int32_t> offsets = {0};
    while (offsets.back() < call) offsets.push_back(std::min(call, offsets.back() + random_int(34, 1500)));
    for (const RowList & batch : share_rows({offsets.data(), offsets.size()}, {16896, 512})) {
      int tokens = 0;
      for (int32_t row : batch) tokens += offsets[static_cast<size_t>(row) + 1] - offsets[static_cast<size_t>(row)];
      expect(tokens == 16896, "a batch of " + std::to_string(tokens) + " tokens");
    }
  }
}

TEST("a batch fills a GPU once, or twice where a call holds two of them, and holds the longest row in any case") {
  expect(batch_tokens(33792, 2048, 132) == 16896 && batch_tokens(33791, 2048, 132) == 8448, "an H100");
  expect(batch_tokens(33792, 2048, 148) == 9472, "a GPU too large for two in a call");
  expect(batch_tokens(33792, 2048, 40) == 5120 && batch_tokens(4224, 2048, 40) == 2560, "a T4");
  expect(batch_tokens(300, 256, 132) == 300 && batch_tokens(33792, 40000, 132) == 40000, "a small call, a long row");
}

TEST("no rows make no batch, and a row longer than the limit goes alone") {
  const std::vector<int32_t> none = {0}, long_row = {0, 5, 25, 30};
  expect(share_rows({none.data(), 1}, {10, 10}).empty(), "a batch of nothing");
  const std::vector<RowList> batches = share_rows({long_row.data(), 4}, {10, 10});
  expect(batches.size() == 2 && batches[0] == RowList{1} && batches[1].size() == 2, "another sharing");
}

TEST("a packing covers every token once, stays inside its bound and puts the longest row's longest walk first") {
  for (int round = 0; round < 300; round++) {
    std::vector<int32_t> offsets = {0};
    const int rows = random_int(1, 20);
    for (int row = 0; row < rows; row++) offsets.push_back(offsets.back() + random_int(1, round % 2 ? 4 : 300));
    std::vector<int32_t> tokens(static_cast<size_t>(offsets.back()), 7),
        run(static_cast<size_t>(largest_packing({offsets.back(), rows}, 64)), -1);
    RowList list(static_cast<size_t>(rows));
    std::iota(list.begin(), list.end(), 0);
    std::shuffle(list.begin(), list.end(), random_bits());
    const Packing packing =
        pack_rows({{tokens.data(), tokens.size()}, {offsets.data(), offsets.size()}}, list, 64, run.data());
    expect(packing.size() <= static_cast<int64_t>(run.size()), "a packing larger than its bound");
    std::vector<int> seen(static_cast<size_t>(packing.tokens));
    const AttentionTile * tiles = reinterpret_cast<const AttentionTile *>(run.data() + packing.tiles_at());
    int32_t length = std::numeric_limits<int32_t>::max();  // of the row at hand
    for (int t = 0; t < packing.tiles; t++) {
      const int32_t end = tiles[t].q_position + tiles[t].q_count;
      if (t > 0 && tiles[t].kv_row == tiles[t - 1].kv_row) {
        expect(end == tiles[t - 1].q_position, "a row's tiles out of order");
      } else {
        expect(t == 0 || tiles[t - 1].q_position == 0, "a row that ends before its first token");
        expect(end <= length, "a longer row after a shorter one");
        length = end;
      }
      for (int i = 0; i < tiles[t].q_count; i++) {
        expect(run[static_cast<size_t>(packing.positions_at() + tiles[t].q_row + i)] == tiles[t].q_position + i,
               "a position");
        expect(tiles[t].kv_row + tiles[t].q_position == tiles[t].q_row, "a sequence's start");
        seen[static_cast<size_t>(tiles[t].q_row + i)]++;
      }
    }
    for (int count : seen) expect(count == 1, "a token covered " + std::to_string(count) + " times");
    int32_t end = 0;
    for (int place = 0; place < packing.rows; place++) {
      const size_t row = static_cast<size_t>(list[static_cast<size_t>(place)]);
      end += offsets[row + 1] - offsets[row];
      expect(run[static_cast<size_t>(packing.last_at() + place)] == end - 1, "a last token");
    }
  }
}

// (multiprocessors, tokens of a call, tokens of its batches) for rows of at most 2048: lib/model/cuda-memory.ts is held to it.
void print_batch_tokens() {
  for (int32_t multiprocessors = 2; multiprocessors <= 192; multiprocessors += 2) {
    for (int32_t call = 2048; call <= 131072; call += 1024)
      std::printf("%d %d %d\n", multiprocessors, call, batch_tokens(call, 2048, multiprocessors));
  }
}

}  // namespace

int main(int argc, char ** argv) {
  if (argc < 2 || std::string(argv[1]) != "--batch-tokens") return run_tests(argc, argv);
  print_batch_tokens();
  return 0;
}
