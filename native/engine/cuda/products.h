// out = a w^T through cuBLASLt. A new shape's algorithms are timed alone at first, and the best of them once more where they
// will work: in whole passes, with the caches, clocks and power that other kernels leave.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "engine/cuda/device.h"
#include "engine/cuda/lt_library.h"
#include "kernels/gate.h"

namespace pairscore {

struct Product {
  const void * a;  // (rows, depth)
  const void * w;  // (columns, depth)
  void * out;      // (rows, columns), out_stride elements between rows
  int64_t rows;
  int64_t columns;
  int64_t depth;
  int64_t out_stride;
  const float * a_scale;  // one on the device, where element is e4m3; else null
  const float * w_scale;
  Element element;      // of a and w
  Element out_element;  // f16, bf16
};

// Gates follow their product in a kernel of their own, or are part of it where the device can and that is faster.
enum class Gating { apart, fused };

class Products {
 public:
  Products(cudaStream_t stream, Gating gating);
  ~Products();
  Products(const Products &) = delete;
  Products & operator=(const Products &) = delete;

  // Enqueues; times the algorithms first where the shape is new, which overwrites `out` with the same values.
  void run(const Product & product);
  // The product of gate and up, then the gate of product.out, which may stay unwritten.
  void run_gated(const Product & product, const GateArgs & gate);

  // Where calls of a shape take its candidates in turn, so that all meet the same clocks; then each shape has its best.
  void race(const std::function<void()> & passes);

 private:
  // Rows are grouped by quarters of an octave: an algorithm that is best for 8192 rows serves 8000 as well.
  using Key = std::tuple<int, int64_t, int64_t, int64_t, Element, bool>;
  struct Choice {
    std::vector<cublasLtMatmulAlgo_t> algorithms;  // the best when timed alone first
    size_t candidates = 1;                         // these, and one more where our own kernel is in the race
    size_t best = 0;
    size_t calls = 0;  // in trials
    bool settled = true;
  };
  struct Trial {
    Choice * choice;
    size_t candidate;
    OwnEvent start, stop;
  };
  struct Call;

  void run(Call & call);
  Choice find(Call & call);
  void choose(const std::vector<std::unique_ptr<Trial>> & trials);
  void compare(Call & call, Choice & choice);
  float time(const std::function<bool()> & launch, int repeats);
  float time_candidate(Call & call, const Choice & choice, size_t candidate);
  bool multiply(Call & call, const cublasLtMatmulAlgo_t * algorithm);
  void launch(Call & call, const Choice & choice, size_t candidate);

  const LtLibrary & lt_;
  cublasLtHandle_t handle_ = nullptr;
  cudaStream_t stream_;
  const Gating gating_;
  DeviceBuffer workspace_;
  OwnEvent start_, stop_;
  std::map<Key, Choice> choices_;
  bool trying_ = false;
  std::vector<std::unique_ptr<Trial>> trials_;
};

}  // namespace pairscore
