// Attention against its CPU twin: sequences of one token, many tiny ones, a huge one, soft-cap, window, all three paths.
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
  return std::string("attention ") + name_of(c.element) +
         (c.path == AttentionPath::turing   ? " sm_75"
          : c.path == AttentionPath::hopper ? " sm_90"
                                            : "") +
         " head " + std::to_string(c.head_size) + ", " + std::to_string(c.q_heads) + "/" + std::to_string(c.kv_heads) +
         " heads, cap " + std::to_string(c.soft_cap) + ", window " + std::to_string(c.window) + ", " +
         std::to_string(lengths.size()) + " rows from " + std::to_string(lengths[0]);
}

RowList whole(int32_t rows) {
  RowList list(static_cast<size_t>(rows));
  std::iota(list.begin(), list.end(), 0);
  return list;
}

// Rows as the engine packs them, q | k | v of each token, and where the device has them.
struct Scene {
  Scene(const Case & c, const std::vector<int> & lengths);
  // The device's, of all tokens.
  std::vector<float> outputs(const std::vector<float> & qkv);
  std::vector<float> last_outputs(const std::vector<float> & qkv);
  std::vector<float> expected(const std::vector<float> & qkv) const;

  const Case c;
  const int64_t q_size, kv_size, stride;
  std::vector<int32_t> offsets = {0}, run;
  Packing packing;
  std::vector<float> cosines, sines;
  AttentionArgs args{};
  const DeviceBuffer queue = raw_to_device(std::vector<int32_t>{0, 0});

 private:
  const AttentionTile * tiles(const int32_t * at, int64_t first) const {
    return reinterpret_cast<const AttentionTile *>(at + first);
  }
};

Scene::Scene(const Case & wanted, const std::vector<int> & lengths)
    : c(wanted),
      q_size(int64_t(c.q_heads) * c.head_size),
      kv_size(int64_t(c.kv_heads) * c.head_size),
      stride(q_size + 2 * kv_size) {
  for (int length : lengths) offsets.push_back(offsets.back() + length);
  const int32_t tokens = offsets.back(), longest = *std::max_element(lengths.begin(), lengths.end());
  const std::vector<int32_t> ids(static_cast<size_t>(tokens));
  const int32_t tile_rows = attention_tile_rows(c.head_size, c.path), rows = static_cast<int32_t>(lengths.size());
  run.resize(static_cast<size_t>(largest_packing({tokens, rows}, tile_rows)));
  packing = pack_rows({{ids.data(), ids.size()}, {offsets.data(), offsets.size()}}, whole(rows), tile_rows, run.data());
  const size_t half = static_cast<size_t>(c.head_size / 2);
  cosines.resize(static_cast<size_t>(longest) * half), sines.resize(cosines.size());
  for (size_t i = 0; i < cosines.size(); i++) {
    const double angle =
        static_cast<double>(i / half) * std::pow(10000.0, -static_cast<double>(i % half) / static_cast<double>(half));
    cosines[i] = static_cast<float>(std::cos(angle)), sines[i] = static_cast<float>(std::sin(angle));
  }
  args.q_stride = args.kv_stride = stride, args.kv_rows = tokens;
  args.q_heads = c.q_heads, args.kv_heads = c.kv_heads, args.head_size = c.head_size;
  args.scale = 0.7f / std::sqrt(static_cast<float>(c.head_size)), args.soft_cap = c.soft_cap, args.window = c.window;
  args.element = c.element, args.path = c.path, args.queue = queue.as<int32_t>();
}

std::vector<float> Scene::outputs(const std::vector<float> & qkv) {
  const DeviceBuffer qkv_at = to_device(qkv, c.element), c_at = raw_to_device(cosines), s_at = raw_to_device(sines),
                     run_at = raw_to_device(run);
  const size_t count = static_cast<size_t>(packing.tokens * q_size);
  const DeviceBuffer out_at = poisoned(count, c.element);
  AttentionArgs here = args;
  here.q = qkv_at.data(), here.k = qkv_at.as<char>() + q_size * 2;
  here.v = qkv_at.as<char>() + (q_size + kv_size) * 2, here.out = out_at.data();
  here.cosines = c_at.as<float>(), here.sines = s_at.as<float>();
  here.tiles = tiles(run_at.as<int32_t>(), packing.tiles_at()), here.tile_count = packing.tiles;
  attention(here, nullptr);
  return from_device(out_at, count, c.element);
}

// The last token of each row alone, as the last layer asks.
std::vector<float> Scene::last_outputs(const std::vector<float> & qkv) {
  std::vector<float> q;
  for (size_t row = 0; row + 1 < offsets.size(); row++) {
    const auto at = qkv.begin() + (offsets[row + 1] - 1) * stride;
    q.insert(q.end(), at, at + q_size);
  }
  const DeviceBuffer qkv_at = to_device(qkv, c.element), q_at = to_device(q, c.element), c_at = raw_to_device(cosines),
                     s_at = raw_to_device(sines), run_at = raw_to_device(run), out_at = poisoned(q.size(), c.element);
  AttentionArgs here = args;
  here.q = q_at.data(), here.q_stride = q_size, here.k = qkv_at.as<char>() + q_size * 2;
  here.v = qkv_at.as<char>() + (q_size + kv_size) * 2, here.out = out_at.data();
  here.cosines = c_at.as<float>(), here.sines = s_at.as<float>();
  here.tiles = tiles(run_at.as<int32_t>(), packing.last_tiles_at()), here.tile_count = packing.last_tiles;
  attention(here, nullptr);
  return from_device(out_at, q.size(), c.element);
}

std::vector<float> Scene::expected(const std::vector<float> & qkv) const {
  std::vector<float> out(static_cast<size_t>(packing.tokens * q_size));
  AttentionArgs here = args;
  here.cosines = cosines.data(), here.sines = sines.data();
  here.tiles = tiles(run.data(), packing.tiles_at()), here.tile_count = packing.tiles;
  attention_reference(here, {qkv.data(), qkv.data() + q_size, qkv.data() + q_size + kv_size, out.data()});
  return out;
}

void check_attention(const Case & c, const std::vector<int> & lengths) {
  Scene scene(c, lengths);
  const std::vector<float> qkv =
      rounded(random_normal(static_cast<size_t>(scene.packing.tokens * scene.stride), 2.f), c.element);
  const std::vector<float> expected = scene.expected(qkv);
  const std::vector<float> received = scene.outputs(qkv);
  expect_close(received, expected, 3 * tolerance_of(c.element), text_of(c, lengths));
  std::vector<float> last_expected;
  for (size_t row = 0; row < lengths.size(); row++) {
    const auto at = expected.begin() + (scene.offsets[row + 1] - 1) * scene.q_size;
    last_expected.insert(last_expected.end(), at, at + scene.q_size);
  }
  expect_close(scene.last_outputs(qkv), last_expected, 3 * tolerance_of(c.element),
               "last tokens of " + text_of(c, lengths));
  for (float left : from_device(scene.queue, 2, Element::f32)) expect(left == 0, "a queue that is not as it was");
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
          const int group = kHopperHeads;
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
      const int heads = path == AttentionPath::hopper ? kHopperHeads : 1;
      check_attention({head_size, heads, 1, 50, 0, Element::f16, path}, {2047});
      // Some scores are beyond the series of the cap and most are not.
      check_attention({head_size, heads, 1, 20, 0, Element::f16, path}, {2047});
      check_attention({head_size, heads, 1, 0, 300, Element::f16, path}, {2047});
    }
  }
}

// A block of the sm_90 path stays for several tiles: its rings go on turning, and its tile of q is written once more.
TEST("attention gives its twin's rows where blocks take several tiles each, and leaves its queue for the next launch") {
  if (!on_hopper()) return;
  int multiprocessors = 0;
  check_cuda(cudaDeviceGetAttribute(&multiprocessors, cudaDevAttrMultiProcessorCount, 0), "reading the device");
  std::vector<int> lengths;
  for (int i = 0; i < 6; i++) lengths.insert(lengths.end(), {40, 128, 129, 300, 513});
  for (int head_size : {64, 128, 256}) {
    for (int window : {0, 150}) {
      const Case c{head_size, 8, 2, window > 0 ? 5.f : 0.f, window, Element::f16, AttentionPath::hopper};
      Scene scene(c, lengths);
      expect(scene.packing.tiles * c.q_heads / kHopperHeads > 2 * multiprocessors, "too few tiles to go round");
      const std::vector<float> qkv =
          rounded(random_normal(static_cast<size_t>(scene.packing.tokens * scene.stride), 2.f), c.element);
      const std::vector<float> expected = scene.expected(qkv);
      for (int launch = 0; launch < 2; launch++)
        expect_close(scene.outputs(qkv), expected, 3 * tolerance_of(c.element), text_of(c, lengths));
    }
  }
}

// Of one head of each token: whether any, and whether every one of its values is finite.
struct Finite {
  bool any;
  bool all;
};

Finite finite_of(const std::vector<float> & out, const Scene & scene, int64_t token, int head) {
  Finite finite{false, true};
  for (int i = 0; i < scene.c.head_size; i++) {
    const float value = out[static_cast<size_t>(token * scene.q_size + head * scene.c.head_size + i)];
    finite.any |= std::isfinite(value), finite.all &= std::isfinite(value);
  }
  return finite;
}

// One value of token `at` of the first of two rows is not finite. `lost`: the heads and the first token that depend on it.
void check_lost(const Case & c, int64_t column, float value, int lost_heads) {
  constexpr int kAt = 70, kTokens = 140;
  const int tile_rows = attention_tile_rows(c.head_size, c.path);
  Scene scene(c, {kTokens, 30});
  std::vector<float> qkv =
      rounded(random_normal(static_cast<size_t>(scene.packing.tokens * scene.stride), 2.f), c.element);
  qkv[static_cast<size_t>(kAt * scene.stride + column)] = value;
  const std::vector<float> out = scene.outputs(qkv);
  const bool of_query = column < scene.q_size, of_value = column >= scene.q_size + scene.kv_size;
  for (int64_t token = 0; token < scene.packing.tokens; token++) {
    for (int head = 0; head < c.q_heads; head++) {
      const bool lost = head < lost_heads && token < kTokens && (of_query ? token == kAt : token >= kAt);
      const Finite finite = finite_of(out, scene, token, head);
      const std::string what = text_of(c, {kTokens, 30}) + ", column " + std::to_string(column) + ", token " +
                               std::to_string(token) + ", head " + std::to_string(head);
      if (!lost) {
        // A value of weight zero makes NaN too, for tokens before it in its tile.
        const bool beside = of_value && head < lost_heads && token >= kAt / tile_rows * tile_rows && token < kTokens;
        expect(finite.all || beside, what + " was lost");
      } else {
        expect(of_value ? !finite.all : !finite.any, what + " looks like an answer");
      }
    }
  }
}

TEST("attention makes no answer out of q, k or v that are not finite, with a soft-cap and without") {
  for (const Case & c : cases()) {
    if (c.window) continue;
    const int64_t q_size = int64_t(c.q_heads) * c.head_size, kv_size = int64_t(c.kv_heads) * c.head_size;
    const int group = c.q_heads / c.kv_heads;
    for (float infinite : {INFINITY, -INFINITY}) {
      check_lost(c, 3, infinite, 1);
      check_lost(c, q_size + kv_size + 3, infinite, group);
    }
    check_lost(c, q_size + 3, NAN, group);
  }
}

TEST("attention turns a q that its type can hold into one that it cannot, and gives NaN") {
  for (const Case & c : cases()) {
    if (c.window || c.element != Element::f16) continue;
    Scene scene(c, {40});
    std::vector<float> qkv = rounded(random_normal(static_cast<size_t>(40 * scene.stride), 2.f), c.element);
    // At position 1 the first pair turns by a radian: 65504 (sin 1 + cos 1) is beyond f16.
    qkv[static_cast<size_t>(scene.stride)] = qkv[static_cast<size_t>(scene.stride + c.head_size / 2)] = 65504;
    const std::vector<float> out = scene.outputs(qkv);
    for (int64_t token = 0; token < 40; token++)
      expect(finite_of(out, scene, token, 0).any == (token != 1),
             text_of(c, {40}) + ", token " + std::to_string(token));
  }
}

TEST(
    "attention refuses a head size that it was not compiled for, bf16 on the sm_75 path, and odd groups and a missing "
    "queue on that of sm_90") {
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
  args.q_heads = 2;  // and no queue
  try {
    attention(args, nullptr);
  } catch (const std::exception &) {
    refused++;
  }
  expect(refused == 4, "a launch was tried");
}

}  // namespace

int main(int argc, char ** argv) { return run_tests(argc, argv); }
