// A thread turns 8 pairs of every head of a row, so that it reads its cosines and sines once.
#include "kernels/device.cuh"
#include "kernels/rope.h"

namespace pairscore {
namespace {

constexpr int kThreads = 128;

template <typename T>
__global__ void rope_kernel(RopeArgs args) {
  const int half = args.head_size / 2, groups = half / 8;
  const int64_t index = blockIdx.x * int64_t(kThreads) + threadIdx.x, row = index / groups;
  const int first = index % groups * 8;
  if (row >= args.rows) return;
  float c[8], s[8];
  const int64_t table = int64_t(args.positions[row]) * half + first;
  load8(args.cosines + table, c);
  load8(args.sines + table, s);
  T * x = static_cast<T *>(args.heads) + row * args.row_stride + first;
#pragma unroll 4
  for (int h = 0; h < args.count; h++, x += args.head_size) {
    float a[8], b[8], low[8], high[8];
    load8(x, a);
    load8(x + half, b);
#pragma unroll
    for (int i = 0; i < 8; i++) {
      low[i] = in_range<T>(a[i] * c[i] - b[i] * s[i]);
      high[i] = in_range<T>(b[i] * c[i] + a[i] * s[i]);
    }
    store8(x, low);
    store8(x + half, high);
  }
}

template <typename T>
void launch(const RopeArgs & args, Stream stream) {
  const int64_t items = args.rows * (args.head_size / 16);
  rope_kernel<T><<<(items + kThreads - 1) / kThreads, kThreads, 0, stream>>>(args);
  check_launch("rope");
}

}  // namespace

void rope(const RopeArgs & args, Stream stream) {
  if (args.rows == 0) return;
  if (args.element == Element::f16) return launch<__half>(args, stream);
  launch<__nv_bfloat16>(args, stream);
}

}  // namespace pairscore
