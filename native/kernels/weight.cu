// Dequantisation fused with the LoRA product and the placing of rows; 8 columns of kRows rows a thread.
#include "kernels/device.cuh"
#include "kernels/weight.h"

namespace pairscore {
namespace {

constexpr int kThreads = 256;

// Eight columns at a time: no group of them lies in two heads.
template <typename T>
__device__ inline T * target_of(const ExpandArgs & args, int64_t row, int64_t column) {
  return static_cast<T *>(args.target) + placed(row, args.row_heads) * placed_count(args.columns, args.column_heads) +
         placed(column, args.column_heads);
}

template <Quant Q, typename T>
__global__ void expand_kernel(ExpandArgs args) {
  const int64_t groups = args.columns / 8, index = blockIdx.x * int64_t(kThreads) + threadIdx.x;
  if (index >= args.rows * groups) return;
  const int64_t row = index / groups, column = index % groups * 8;
  float values[8];
  dequantize8<Q>(static_cast<const uint8_t *>(args.source) + row * quant_row_bytes(Q, args.columns), column, values);
  store8(target_of<T>(args, row, column), values);
}

template <Quant Q, typename T>
__global__ void expand_lora_kernel(ExpandArgs args) {
  constexpr int kRows = 4;  // rows that share one read of lora_a
  const int64_t groups = args.columns / 8, index = blockIdx.x * int64_t(kThreads) + threadIdx.x;
  const int64_t row0 = index / groups * kRows, column = index % groups * 8;
  if (row0 >= args.rows) return;
  float sums[kRows][8] = {};
  for (int k = 0; k < args.rank; k++) {
    float a[8];
    load8(args.lora_a + k * args.columns + column, a);
#pragma unroll
    for (int r = 0; r < kRows; r++) {
      const float b = row0 + r < args.rows ? args.lora_b[(row0 + r) * args.rank + k] : 0.f;
#pragma unroll
      for (int i = 0; i < 8; i++) sums[r][i] += b * a[i];
    }
  }
#pragma unroll
  for (int r = 0; r < kRows; r++) {
    const int64_t row = row0 + r;
    if (row >= args.rows) return;
    float values[8];
    dequantize8<Q>(static_cast<const uint8_t *>(args.source) + row * quant_row_bytes(Q, args.columns), column, values);
#pragma unroll
    for (int i = 0; i < 8; i++) values[i] += args.scale * sums[r][i];
    store8(target_of<T>(args, row, column), values);
  }
}

template <Quant Q, typename T>
void launch(const ExpandArgs & args, Stream stream) {
  const int64_t groups = args.columns / 8;
  if (args.lora_a) {
    const int64_t items = (args.rows + 3) / 4 * groups;
    expand_lora_kernel<Q, T><<<(items + kThreads - 1) / kThreads, kThreads, 0, stream>>>(args);
  } else {
    const int64_t items = args.rows * groups;
    expand_kernel<Q, T><<<(items + kThreads - 1) / kThreads, kThreads, 0, stream>>>(args);
  }
  check_launch("expand_weight");
}

template <Quant Q>
__global__ void embed_kernel(EmbedArgs args) {
  const int64_t row = args.tokens[blockIdx.x];
  const uint8_t * source = static_cast<const uint8_t *>(args.table) + row * quant_row_bytes(Q, args.columns);
  for (int64_t c = threadIdx.x * 8; c < args.columns; c += blockDim.x * 8) {
    float values[8];
    dequantize8<Q>(source, c, values);
#pragma unroll
    for (int i = 0; i < 8; i++) values[i] = __fmul_rn(values[i], args.scale);
    store8(args.out + blockIdx.x * args.columns + c, values);
  }
}

}  // namespace

void expand_weight(const ExpandArgs & args, Stream stream) {
  visit_quant(args.quant, [&](auto tag) {
    constexpr Quant quant = decltype(tag)::value;
    switch (args.element) {
      case Element::f32:
        return launch<quant, float>(args, stream);
      case Element::f16:
        return launch<quant, __half>(args, stream);
      case Element::bf16:
        return launch<quant, __nv_bfloat16>(args, stream);
      case Element::e4m3:
        throw Error(Code::internal, "Expected a 16-bit target of expand_weight but received e4m3");
    }
  });
}

void embed(const EmbedArgs & args, Stream stream) {
  if (args.count == 0) return;
  visit_quant(args.quant, [&](auto tag) {
    embed_kernel<decltype(tag)::value><<<args.count, threads_for(args.columns / 8), 0, stream>>>(args);
  });
  check_launch("embed");
}

}  // namespace pairscore
