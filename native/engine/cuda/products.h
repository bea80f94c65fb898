// out = a w^T through cuBLASLt. A new shape's algorithms are timed alone at first, and the best of them once more where they
// will work: in whole passes, with the caches, clocks and power that other kernels leave.
#pragma once

#include <map>
#include <memory>
#include <tuple>
#include <vector>

#include "engine/cuda/device.h"
#include "engine/cuda/lt_library.h"
#include "kernels/stream.h"

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

class Products {
 public:
  explicit Products(cudaStream_t stream);
  ~Products();
  Products(const Products &) = delete;
  Products & operator=(const Products &) = delete;

  // Enqueues; times the algorithms first where the shape is new, which overwrites `out` with the same values.
  void run(const Product & product);

  // Between the two, calls of a shape take its candidates in turn, so that all meet the same clocks; then each shape has
  // its best.
  void start_trials();
  void finish_trials();

 private:
  // Rows are grouped by quarters of an octave: an algorithm that is best for 8192 rows serves 8000 as well.
  using Key = std::tuple<int, int64_t, int64_t, int64_t, Element>;
  struct Choice {
    std::vector<cublasLtMatmulAlgo_t> candidates;  // the best when timed alone first
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

  Choice find(const Product & product, Call & call);
  float time(Call & call, const cublasLtMatmulAlgo_t & algorithm, int repeats);
  cublasStatus_t multiply(Call & call, const cublasLtMatmulAlgo_t * algorithm);

  const LtLibrary & lt_;
  cublasLtHandle_t handle_ = nullptr;
  cudaStream_t stream_;
  DeviceBuffer workspace_;
  OwnEvent start_, stop_;
  std::map<Key, Choice> choices_;
  bool trying_ = false;
  std::vector<std::unique_ptr<Trial>> trials_;
};

}  // namespace pairscore
