// Flash attention on mma tensor cores. A block of 4 warps owns a tile of query rows of one head and walks the keys in
// tiles of kKeys: k arrives while v is multiplied, v while k is.
#include "kernels/attention_hopper.h"
#include "kernels/attention_softmax.cuh"

namespace pairscore {
namespace {

constexpr int kThreads = 128;

template <typename T, int kSize, int kKeys, int kRowTiles, AttentionPath P>
struct Attend {
  static constexpr int kQueries = 64 * kRowTiles, kChunks = kSize / 8, kKeyTiles = kKeys / 8, kOutTiles = kSize / 8;
  static constexpr int kSharedBytes = (kQueries + 2 * kKeys) * kSize * 2;

  const AttentionArgs & args;
  const ScoreShape & shape;
  const AttentionTile tile;
  const int head, warp, lane;
  T *q, *k, *v;  // shared tiles
  float scores[kRowTiles][kKeyTiles][4];
  float out[kRowTiles][kOutTiles][4] = {};
  float most[kRowTiles][2], total[kRowTiles][2] = {};

  __device__ Attend(const AttentionArgs & a, const ScoreShape & s, T * shared)
      : args(a),
        shape(s),
        tile(a.tiles[blockIdx.x / a.q_heads]),
        head(blockIdx.x % a.q_heads),
        warp(threadIdx.x / 32),
        lane(threadIdx.x % 32),
        q(shared),
        k(shared + kQueries * kSize),
        v(k + kKeys * kSize) {
#pragma unroll
    for (int r = 0; r < kRowTiles; r++) most[r][0] = most[r][1] = -INFINITY;
  }

  // Query row inside the tile of this thread's accumulator rows.
  __device__ int query(int row_tile, int half) const {
    return (warp * kRowTiles + row_tile) * 16 + half * 8 + lane / 4;
  }

  __device__ void load_q() {
    const int half = kSize / 2;
    for (int i = threadIdx.x; i < kQueries * (kChunks / 2); i += kThreads) {
      const int row = i / (kChunks / 2), chunk = i % (kChunks / 2);
      float low[8] = {}, high[8] = {};
      if (row < tile.q_count) {
        const T * source =
            static_cast<const T *>(args.q) + (tile.q_row + row) * args.q_stride + head * kSize + chunk * 8;
        const int64_t table = int64_t(tile.q_position + row) * half + chunk * 8;
        float a[8], b[8], c[8], s[8];
        load8(source, a);
        load8(source + half, b);
        load8(args.cosines + table, c);
        load8(args.sines + table, s);
#pragma unroll
        for (int j = 0; j < 8; j++) {
          low[j] = in_range<T>(a[j] * c[j] - b[j] * s[j]);
          high[j] = in_range<T>(b[j] * c[j] + a[j] * s[j]);
        }
      }
      store8(q + swizzled<kSize>(row, chunk), low);
      store8(q + swizzled<kSize>(row, chunk + kChunks / 2), high);
    }
  }

  // Keys at `end` and beyond are zeros, so that a masked score never meets a value that is not finite.
  __device__ void load_keys(T * target, const void * source, int first, int end) {
    const T * base = static_cast<const T *>(source) + int64_t(tile.kv_row) * args.kv_stride +
                     head / (args.q_heads / args.kv_heads) * kSize;
#pragma unroll
    for (int i = threadIdx.x; i < kKeys * kChunks; i += kThreads) {
      const int row = i / kChunks, chunk = i % kChunks;
      const bool present = first + row < end;
      copy16<P>(target + swizzled<kSize>(row, chunk), base + (present ? first + row : 0) * args.kv_stride + chunk * 8,
                present);
    }
  }

  __device__ void multiply_keys() {
#pragma unroll
    for (int r = 0; r < kRowTiles; r++) {
#pragma unroll
      for (int n = 0; n < kKeyTiles; n++) scores[r][n][0] = scores[r][n][1] = scores[r][n][2] = scores[r][n][3] = 0;
    }
#pragma unroll
    for (int d = 0; d < kSize / 16; d++) {
      uint32_t a[kRowTiles][4];
#pragma unroll
      for (int r = 0; r < kRowTiles; r++) {
        load_matrices(a[r],
                      shared_address(q + swizzled<kSize>((warp * kRowTiles + r) * 16 + lane % 16, d * 2 + lane / 16)));
      }
#pragma unroll
      for (int n = 0; n < kKeyTiles; n += 2) {
        uint32_t b[4];
        load_matrices(b, shared_address(k + swizzled<kSize>(n * 8 + lane % 8 + lane / 16 * 8, d * 2 + lane / 8 % 2)));
#pragma unroll
        for (int r = 0; r < kRowTiles; r++) {
          multiply_add<T, P>(scores[r][n], a[r], b[0], b[1]);
          multiply_add<T, P>(scores[r][n + 1], a[r], b[2], b[3]);
        }
      }
    }
  }

  __device__ void weigh(int first, bool edge) {
    const int key = first + lane % 4 * 2;
#pragma unroll
    for (int r = 0; r < kRowTiles; r++) {
      if (shape.limit > 0) cap_scores(scores[r], shape);
      if (edge) hide_scores(scores[r], shape.window, key, tile.q_position + query(r, 0));
      float shrink[2];
      soften(scores[r], most[r], total[r], shrink, shape.scale);
      rescale(out[r], shrink);
    }
  }

  __device__ void multiply_values() {
#pragma unroll
    for (int s = 0; s < kKeys / 16; s++) {
      uint32_t a[kRowTiles][4];
#pragma unroll
      for (int r = 0; r < kRowTiles; r++) pack_weights<T>(scores[r], s, a[r]);
#pragma unroll
      for (int n = 0; n < kOutTiles; n += 2) {
        uint32_t b[4];
        load_matrices_transposed(b, shared_address(v + swizzled<kSize>(s * 16 + lane % 16, n + lane / 16)));
#pragma unroll
        for (int r = 0; r < kRowTiles; r++) {
          multiply_add<T, P>(out[r][n], a[r], b[0], b[1]);
          multiply_add<T, P>(out[r][n + 1], a[r], b[2], b[3]);
        }
      }
    }
  }

  // Through the q tile, whose rows of this warp no other warp reads, to whole 16-byte writes.
  __device__ void store() {
#pragma unroll
    for (int r = 0; r < kRowTiles; r++) {
#pragma unroll
      for (int half = 0; half < 2; half++) {
        const float inverse = 1.f / quad_sum(total[r][half]);
        const int row = query(r, half);
#pragma unroll
        for (int n = 0; n < kOutTiles; n++) {
          uint32_t * target = reinterpret_cast<uint32_t *>(q + swizzled<kSize>(row, n)) + lane % 4;
          *target = pack2<T>(out[r][n][2 * half] * inverse, out[r][n][2 * half + 1] * inverse);
        }
      }
    }
    __syncwarp();
    for (int i = lane; i < 16 * kRowTiles * kChunks; i += 32) {
      const int row = warp * kRowTiles * 16 + i / kChunks, chunk = i % kChunks;
      if (row >= tile.q_count) continue;
      T * target = static_cast<T *>(args.out) + (int64_t(tile.q_row + row) * args.q_heads + head) * kSize + chunk * 8;
      *reinterpret_cast<uint4 *>(target) = *reinterpret_cast<const uint4 *>(q + swizzled<kSize>(row, chunk));
    }
  }

  __device__ void run() {
    const int last = tile.q_position + tile.q_count - 1, end = last + 1;
    const int oldest = args.window > 0 ? max(0, tile.q_position - args.window + 1) : 0;
    int first = oldest / kKeys * kKeys;
    load_keys(k, args.k, first, end);
    load_q();
    for (; first < end; first += kKeys) {
      finish_copies<P>();  // k is here; v is free
      load_keys(v, args.v, first, end);
      multiply_keys();
      finish_copies<P>();  // v is here; k is free
      if (first + kKeys < end) load_keys(k, args.k, first + kKeys, end);
      weigh(first, first + kKeys - 1 > tile.q_position || (args.window > 0 && first <= last - args.window));
      multiply_values();
    }
    __syncwarp();
    store();
  }
};

template <typename T, int kSize, int kKeys, int kRowTiles, AttentionPath P>
__global__ void __launch_bounds__(kThreads, 2) attention_kernel(const AttentionArgs args, const ScoreShape shape) {
  extern __shared__ uint4 shared[];
#if __CUDA_ARCH__ < 800
  if constexpr (P == AttentionPath::ampere) return;
#endif
  Attend<T, kSize, kKeys, kRowTiles, P>(args, shape, reinterpret_cast<T *>(shared)).run();
}

template <typename T, int kSize, int kKeys, int kRowTiles, AttentionPath P>
void launch(const AttentionArgs & args, Stream stream) {
  constexpr int bytes = Attend<T, kSize, kKeys, kRowTiles, P>::kSharedBytes;
  const auto kernel = attention_kernel<T, kSize, kKeys, kRowTiles, P>;
  if (bytes > 48 * 1024 &&
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, bytes) != cudaSuccess)
    check_launch("attention");
  kernel<<<static_cast<unsigned>(args.tile_count) * args.q_heads, kThreads, bytes, stream>>>(args, score_shape(args));
  check_launch("attention");
}

template <typename T>
void launch_ampere(const AttentionArgs & args, Stream stream) {
  switch (args.head_size) {
    case 64:
      return launch<T, 64, 64, 2, AttentionPath::ampere>(args, stream);
    case 128:
      return launch<T, 128, 64, 2, AttentionPath::ampere>(args, stream);
    default:
      return launch<T, 256, 64, 1, AttentionPath::ampere>(args, stream);
  }
}

// 64 KiB of shared memory are all that sm_75 has.
void launch_turing(const AttentionArgs & args, Stream stream) {
  switch (args.head_size) {
    case 64:
      return launch<__half, 64, 64, 1, AttentionPath::turing>(args, stream);
    case 128:
      return launch<__half, 128, 64, 1, AttentionPath::turing>(args, stream);
    default:
      return launch<__half, 256, 32, 1, AttentionPath::turing>(args, stream);
  }
}

}  // namespace

int attention_tile_rows(int head_size, AttentionPath path) {
  return path == AttentionPath::ampere && head_size < 256 ? 128 : 64;
}

void attention(const AttentionArgs & args, Stream stream) {
  if (args.tile_count == 0) return;
  if (args.head_size != 64 && args.head_size != 128 && args.head_size != 256) {
    throw Error(Code::internal,
                "Expected a head size of 64, 128 or 256 for attention but received " + std::to_string(args.head_size));
  }
  if (args.path == AttentionPath::turing && args.element != Element::f16) {
    throw Error(Code::internal, "Expected f16 on the sm_75 path of attention");
  }
  if (args.path == AttentionPath::turing) return launch_turing(args, stream);
  if (args.path == AttentionPath::hopper) return attention_hopper(args, stream);
  if (args.element == Element::f16) return launch_ampere<__half>(args, stream);
  launch_ampere<__nv_bfloat16>(args, stream);
}

}  // namespace pairscore
