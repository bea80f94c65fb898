#include "kernels/attention.h"

#include <algorithm>
#include <cmath>
#include <vector>

namespace pairscore {
namespace {

std::vector<double> turned(const AttentionArgs & args, const float * q, int position) {
  const int half = args.head_size / 2;
  std::vector<double> out(static_cast<size_t>(args.head_size));
  for (int i = 0; i < half; i++) {
    const double c = args.cosines[position * half + i], s = args.sines[position * half + i];
    out[static_cast<size_t>(i)] = q[i] * c - q[i + half] * s;
    out[static_cast<size_t>(i + half)] = q[i + half] * c + q[i] * s;
  }
  return out;
}

void attend(const AttentionArgs & args, const std::vector<double> & q, const float * k, const float * v, int last,
            float * out) {
  const int first = args.window > 0 ? std::max(0, last - args.window + 1) : 0;
  std::vector<double> weights(static_cast<size_t>(last - first + 1));
  double most = -INFINITY, total = 0;
  for (int j = first; j <= last; j++) {
    double score = 0;
    for (int i = 0; i < args.head_size; i++) score += q[static_cast<size_t>(i)] * k[j * args.kv_stride + i];
    score *= args.scale;
    if (args.soft_cap > 0) score = args.soft_cap * std::tanh(score / args.soft_cap);
    weights[static_cast<size_t>(j - first)] = score;
    most = std::max(most, score);
  }
  for (double & weight : weights) total += weight = std::exp(weight - most);
  for (int i = 0; i < args.head_size; i++) {
    double sum = 0;
    for (int j = first; j <= last; j++) sum += weights[static_cast<size_t>(j - first)] * v[j * args.kv_stride + i];
    out[i] = static_cast<float>(sum / total);
  }
}

}  // namespace

void attention_reference(const AttentionArgs & args, const AttentionReference & values) {
  const int group = args.q_heads / args.kv_heads;
  for (int t = 0; t < args.tile_count; t++) {
    const AttentionTile & tile = args.tiles[t];
    for (int r = 0; r < tile.q_count; r++) {
      for (int h = 0; h < args.q_heads; h++) {
        const int64_t kv = tile.kv_row * args.kv_stride + h / group * args.head_size, row = tile.q_row + r;
        const float * q = values.q + row * args.q_stride + h * args.head_size;
        float * out = values.out + (row * args.q_heads + h) * args.head_size;
        attend(args, turned(args, q, tile.q_position + r), values.k + kv, values.v + kv, tile.q_position + r, out);
      }
    }
  }
}

}  // namespace pairscore
