// Attention against its CPU twin: sequences of one token, many tiny ones, a huge one, soft-cap, window, both paths.
#include <algorithm>
#include <numeric>

#include "engine/cuda/packing.h"
#include "kernels/attention.h"
#include "kernels/attention_hopper.h"
#include "on_device.h"

using namespace pairscore;
using namespace pairscore::test;

namespace {

struct Case {
  int head_size;
  int q_heads;
  int kv_heads;
  float soft_cap;
  int window;
  Element element;
  AttentionPath path;
};

std::string text_of(const Case & c, const std::vector<int> & lengths) {
  return std::string("attention ") + name_of(c.element) + (c.path == AttentionPath::turing ? " sm_75" : "") + " head " +
         std::to_string(c.head_size) + ", " + std::to_string(c.q_heads) + "/" + std::to_string(c.kv_heads) +
         " heads, cap " + std::to_string(c.soft_cap) + ", window " + std::to_string(c.window) + ", " +
         std::to_string(lengths.size()) + " rows from " + std::to_string(lengths[0]);
}

RowList whole(int32_t rows) {
  RowList list(static_cast<size_t>(rows));
  std::iota(list.begin(), list.end(), 0);
  return list;
}

// Rows as the engine packs them; v is offset so that an average over wrong keys shows.
void check_attention(const Case & c, const std::vector<int> & lengths) {
  std::vector<int32_t> offsets = {0};
  for (int length : lengths) offsets.push_back(offsets.back() + length);
  const int32_t tokens = offsets.back(), longest = *std::max_element(lengths.begin(), lengths.end());
  const std::vector<int32_t> ids(static_cast<size_t>(tokens));
  const View<int32_t> ids_view{ids.data(), ids.size()}, offsets_view{offsets.data(), offsets.size()};
  const int32_t tile_rows = attention_tile_rows(c.head_size, c.path), rows = static_cast<int32_t>(lengths.size());
  std::vector<int32_t> run(static_cast<size_t>(largest_packing({tokens, rows}, tile_rows)));
  const Packing packing = pack_rows(ids_view, offsets_view, whole(rows), tile_rows, run.data());

  const int64_t q_size = int64_t(c.q_heads) * c.head_size, kv_size = int64_t(c.kv_heads) * c.head_size,
                stride = q_size + 2 * kv_size;
  std::vector<float> qkv = random_normal(static_cast<size_t>(tokens * stride), 2.f);
  qkv = rounded(qkv, c.element);
  const size_t half = static_cast<size_t>(c.head_size / 2);
  std::vector<float> cosines(static_cast<size_t>(longest) * half), sines(cosines.size());
  for (size_t i = 0; i < cosines.size(); i++) {
    const double angle =
        static_cast<double>(i / half) * std::pow(10000.0, -static_cast<double>(i % half) / static_cast<double>(half));
    cosines[i] = static_cast<float>(std::cos(angle)), sines[i] = static_cast<float>(std::sin(angle));
  }
  const size_t count = static_cast<size_t>(tokens * q_size);
  const DeviceBuffer qkv_at = to_device(qkv, c.element), c_at = raw_to_device(cosines), s_at = raw_to_device(sines),
                     run_at = raw_to_device(run);
  const DeviceBuffer out_at = poisoned(count, c.element);
  const char * base = qkv_at.as<char>();
  AttentionArgs args{base,
                     stride,
                     base + q_size * 2,
                     base + (q_size + kv_size) * 2,
                     stride,
                     c_at.as<float>(),
                     s_at.as<float>(),
                     out_at.data(),
                     reinterpret_cast<const AttentionTile *>(run_at.as<int32_t>() + packing.tiles_at()),
                     packing.tiles,
                     c.q_heads,
                     c.kv_heads,
                     c.head_size,
                     0.7f / std::sqrt(static_cast<float>(c.head_size)),
                     c.soft_cap,
                     c.window,
                     c.element,
                     c.path};
  attention(args, nullptr);

  std::vector<float> expected(count);
  AttentionArgs host = args;
  host.cosines = cosines.data(), host.sines = sines.data();
  host.tiles = reinterpret_cast<const AttentionTile *>(run.data() + packing.tiles_at());
  attention_reference(host, {qkv.data(), qkv.data() + q_size, qkv.data() + q_size + kv_size, expected.data()});
  expect_close(from_device(out_at, count, c.element), expected, 3 * tolerance_of(c.element), text_of(c, lengths));

  // The last token of each row alone, as the last layer asks.
  std::vector<float> last_q, last_expected;
  for (int row = 0; row < rows; row++) {
    const int64_t at = offsets[static_cast<size_t>(row) + 1] - 1;
    last_q.insert(last_q.end(), qkv.begin() + at * stride, qkv.begin() + at * stride + q_size);
    last_expected.insert(last_expected.end(), expected.begin() + at * q_size, expected.begin() + (at + 1) * q_size);
  }
  const DeviceBuffer last_at = to_device(last_q, c.element), last_out = poisoned(last_expected.size(), c.element);
  args.q = last_at.data(), args.q_stride = q_size, args.out = last_out.data();
  args.tiles = reinterpret_cast<const AttentionTile *>(run_at.as<int32_t>() + packing.last_tiles_at()),
  args.tile_count = packing.last_tiles;
  attention(args, nullptr);
  expect_close(from_device(last_out, last_expected.size(), c.element), last_expected, 3 * tolerance_of(c.element),
               "last tokens of " + text_of(c, lengths));
}

bool on_hopper() {
  int major = 0, minor = 0;
  check_cuda(cudaDeviceGetAttribute(&major, cudaDevAttrComputeCapabilityMajor, 0), "reading the device");
  check_cuda(cudaDeviceGetAttribute(&minor, cudaDevAttrComputeCapabilityMinor, 0), "reading the device");
  return major == 9 && minor == 0;
}

std::vector<Case> cases() {
  std::vector<Case> all;
  for (int head_size : {64, 128, 256}) {
    for (int kv_heads : {1, 2}) {
      for (float cap : {0.f, 5.f}) {
        for (int window : {0, 20}) {
          all.push_back({head_size, 2 * kv_heads, kv_heads, cap, window, Element::bf16, AttentionPath::ampere});
          all.push_back({head_size, 2 * kv_heads, kv_heads, cap, window, Element::f16, AttentionPath::ampere});
          all.push_back({head_size, 2 * kv_heads, kv_heads, cap, window, Element::f16, AttentionPath::turing});
          if (!on_hopper()) continue;
          const int group = attention_hopper_heads(head_size);
          all.push_back({head_size, group * kv_heads, kv_heads, cap, window, Element::bf16, AttentionPath::hopper});
          all.push_back({head_size, 2 * group * kv_heads, kv_heads, cap, window, Element::f16, AttentionPath::hopper});
        }
      }
    }
  }
  return all;
}

TEST("attention gives its twin's rows for odd lengths") {
  for (const Case & c : cases()) check_attention(c, {1, 2, 31, 32, 33, 63, 64, 65, 127, 129});
}

TEST("attention keeps many tiny sequences apart") {
  std::vector<int> lengths;
  for (int i = 0; i < 300; i++) lengths.push_back(random_int(1, 5));
  for (const Case & c : cases()) check_attention(c, lengths);
}

TEST("attention handles rows of single tokens alone") {
  for (const Case & c : cases()) check_attention(c, {1});
  for (const Case & c : cases()) check_attention(c, {1, 1, 1});
}

TEST("attention handles one huge row, with a window inside it and without") {
  for (AttentionPath path : {AttentionPath::ampere, AttentionPath::turing, AttentionPath::hopper}) {
    if (path == AttentionPath::hopper && !on_hopper()) continue;
    for (int head_size : {64, 128, 256}) {
      const int heads = path == AttentionPath::hopper ? attention_hopper_heads(head_size) : 1;
      check_attention({head_size, heads, 1, 50, 0, Element::f16, path}, {2047});
      check_attention({head_size, heads, 1, 0, 300, Element::f16, path}, {2047});
    }
  }
}

TEST(
    "attention refuses a head size that it was not compiled for, bf16 on the sm_75 path, and odd groups on that of "
    "sm_90") {
  int refused = 0;
  AttentionArgs args{};
  args.tile_count = 1, args.q_heads = args.kv_heads = 1, args.head_size = 96, args.element = Element::bf16,
  args.path = AttentionPath::ampere;
  try {
    attention(args, nullptr);
  } catch (const std::exception &) {
    refused++;
  }
  args.head_size = 64, args.path = AttentionPath::turing;
  try {
    attention(args, nullptr);
  } catch (const std::exception &) {
    refused++;
  }
  args.path = AttentionPath::hopper;
  try {
    attention(args, nullptr);
  } catch (const std::exception &) {
    refused++;
  }
  expect(refused == 3, "a launch was tried");
}

}  // namespace

int main(int argc, char ** argv) { return run_tests(argc, argv); }
