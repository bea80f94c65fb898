#include "engine/cuda/products.h"

#include <algorithm>
#include <cmath>
#include <utility>
#include <vector>

#include "error.h"
#include "kernels/gated_product.h"

namespace pairscore {
namespace {

constexpr size_t kWorkspaceBytes = 64u << 20;
constexpr int kCandidates = 48;        // algorithms asked of cuBLASLt
constexpr int kFinalists = 8;          // of them timed closely
constexpr float kTrialMargin = 1.06f;  // against the best: what goes on into trials
constexpr int64_t kFewRows = 64;       // up to so many, timing costs more than it brings
constexpr int64_t kTrialRows = 2048;   // from so many, trials pay

cudaDataType_t data_type(Element element) {
  switch (element) {
    case Element::f32:
      return CUDA_R_32F;
    case Element::f16:
      return CUDA_R_16F;
    case Element::bf16:
      return CUDA_R_16BF;
    case Element::e4m3:
      return CUDA_R_8F_E4M3;
  }
  return CUDA_R_32F;
}

std::string shape_text(const Product & product) {
  const char * types[] = {"f32", "f16", "bf16", "e4m3"};
  return "a " + std::string(types[static_cast<int>(product.element)]) + " product of " + std::to_string(product.rows) +
         " x " + std::to_string(product.columns) + " x " + std::to_string(product.depth) + " (stride " +
         std::to_string(product.out_stride) + ")";
}

int row_group(int64_t rows) {
  if (rows <= kFewRows) return -static_cast<int>(rows);
  return static_cast<int>(std::floor(std::log2(static_cast<double>(rows)) * 4));
}

}  // namespace

// cuBLASLt's descriptors for one product, and the gate after it, if any. It is column-major: out^T (columns, rows) =
// w (columns, depth) a^T.
struct Products::Call {
  Call(const LtLibrary & library, const Product & p, const GateArgs * g) : lt(library), product(p), gate(g) {
    check_lt(lt.desc_create(&desc, CUBLAS_COMPUTE_32F, CUDA_R_32F), "describing a product");
    const cublasOperation_t transpose = CUBLAS_OP_T;
    check_lt(lt.desc_set(desc, CUBLASLT_MATMUL_DESC_TRANSA, &transpose, sizeof transpose), "describing a product");
    if (p.w_scale)
      check_lt(lt.desc_set(desc, CUBLASLT_MATMUL_DESC_A_SCALE_POINTER, &p.w_scale, sizeof p.w_scale),
               "scaling a product");
    if (p.a_scale)
      check_lt(lt.desc_set(desc, CUBLASLT_MATMUL_DESC_B_SCALE_POINTER, &p.a_scale, sizeof p.a_scale),
               "scaling a product");
    const cudaDataType_t in = data_type(p.element);
    check_lt(lt.layout_create(&w, in, static_cast<uint64_t>(p.depth), static_cast<uint64_t>(p.columns), p.depth),
             "laying out weights");
    check_lt(lt.layout_create(&a, in, static_cast<uint64_t>(p.depth), static_cast<uint64_t>(p.rows), p.depth),
             "laying out activations");
    check_lt(lt.layout_create(&out, data_type(p.out_element), static_cast<uint64_t>(p.columns),
                              static_cast<uint64_t>(p.rows), p.out_stride),
             "laying out a product");
  }

  ~Call() {
    if (w) lt.layout_destroy(w);
    if (a) lt.layout_destroy(a);
    if (out) lt.layout_destroy(out);
    if (desc) lt.desc_destroy(desc);
  }

  GatedProductArgs gated() const {
    return {product.a,     product.w,     gate->out,        gate->rows,
            gate->columns, product.depth, gate->activation, product.element};
  }

  const LtLibrary & lt;
  const Product & product;
  const GateArgs * const gate;  // or null
  cublasLtMatmulDesc_t desc = nullptr;
  cublasLtMatrixLayout_t w = nullptr, a = nullptr, out = nullptr;
};

Products::Products(cudaStream_t stream, Gating gating)
    : lt_(lt_library()), stream_(stream), gating_(gating), workspace_(kWorkspaceBytes) {
  check_lt(lt_.create(&handle_), "creating a cuBLASLt handle");
}

Products::~Products() { lt_.destroy(handle_); }

void Products::run(const Product & product) {
  if (product.rows == 0) return;
  Call call(lt_, product, nullptr);
  run(call);
}

void Products::run_gated(const Product & product, const GateArgs & gate) {
  if (product.rows == 0) return;
  Call call(lt_, product, &gate);
  run(call);
}

void Products::run(Call & call) {
  const Product & p = call.product;
  const Key key{row_group(p.rows), p.columns, p.depth, p.out_stride, p.element, call.gate != nullptr};
  auto known = choices_.find(key);
  if (known == choices_.end()) known = choices_.emplace(key, find(call)).first;
  Choice & choice = known->second;
  const bool tried = trying_ && !choice.settled;
  const size_t candidate = tried ? choice.calls++ % choice.candidates : choice.best;
  if (tried) {
    trials_.push_back(std::make_unique<Trial>());
    trials_.back()->choice = &choice;
    trials_.back()->candidate = candidate;
    trials_.back()->start.record(stream_);
  }
  launch(call, choice, candidate);
  if (tried) trials_.back()->stop.record(stream_);
}

void Products::launch(Call & call, const Choice & choice, size_t candidate) {
  if (candidate == choice.algorithms.size()) return gated_product(call.gated(), stream_);
  // An algorithm may serve its group's first shape and not this one: cuBLASLt then chooses by itself.
  if (!multiply(call, &choice.algorithms[candidate]) && !multiply(call, nullptr))
    throw Error(Code::device_failed, "Expected cuBLASLt to take " + shape_text(call.product) + " but it refused");
  if (call.gate) gate(*call.gate, stream_);
}

bool Products::multiply(Call & call, const cublasLtMatmulAlgo_t * algorithm) {
  const float one = 1, zero = 0;
  const Product & p = call.product;
  return lt_.matmul(handle_, call.desc, &one, p.w, call.w, p.a, call.a, &zero, p.out, call.out, p.out, call.out,
                    algorithm, workspace_.data(), kWorkspaceBytes, stream_) == CUBLAS_STATUS_SUCCESS;
}

void Products::race(const std::function<void()> & passes) {
  trying_ = true;
  try {
    passes();
  } catch (...) {
    trying_ = false;
    trials_.clear();
    throw;
  }
  trying_ = false;
  choose(std::exchange(trials_, {}));
}

void Products::choose(const std::vector<std::unique_ptr<Trial>> & trials) {
  std::map<std::pair<Choice *, size_t>, std::vector<float>> times;
  for (const std::unique_ptr<Trial> & trial : trials) {
    trial->stop.wait();
    times[{trial->choice, trial->candidate}].push_back(trial->stop.since(trial->start));
  }
  std::map<Choice *, float> best;
  for (auto & [of, each] : times) {
    std::sort(each.begin(), each.end());
    const float median = each[each.size() / 2];
    const auto known = best.find(of.first);
    if (known == best.end() || median < known->second) best[of.first] = median, of.first->best = of.second;
    of.first->settled = true;
  }
}

// Milliseconds of one launch; infinite where it fails.
float Products::time(const std::function<bool()> & launch, int repeats) {
  start_.record(stream_);
  for (int i = 0; i < repeats; i++) {
    if (!launch()) return INFINITY;
  }
  stop_.record(stream_);
  stop_.wait();
  return stop_.since(start_) / static_cast<float>(repeats);
}

Products::Choice Products::find(Call & call) {
  cublasLtMatmulPreference_t preference = nullptr;
  check_lt(lt_.preference_create(&preference), "asking for algorithms");
  check_lt(lt_.preference_set(preference, CUBLASLT_MATMUL_PREF_MAX_WORKSPACE_BYTES, &kWorkspaceBytes,
                              sizeof kWorkspaceBytes),
           "asking for algorithms");
  std::vector<cublasLtMatmulHeuristicResult_t> results(kCandidates);
  int count = 0;
  const cublasStatus_t status = lt_.heuristic(handle_, call.desc, call.w, call.a, call.out, call.out, preference,
                                              kCandidates, results.data(), &count);
  lt_.preference_destroy(preference);
  check_lt(status, "finding an algorithm for " + shape_text(call.product));
  if (count == 0)
    throw Error(Code::device_failed,
                "Expected an algorithm of cuBLASLt for " + shape_text(call.product) + " but received none");
  Choice choice;
  for (int i = 0; i < count; i++) choice.algorithms.push_back(results[static_cast<size_t>(i)].algo);
  if (call.product.rows <= kFewRows) {
    choice.algorithms.resize(1);
    return choice;
  }
  compare(call, choice);
  return choice;
}

// Keeps what may be the fastest, in order; our own kernel comes last, as the candidate past the algorithms.
void Products::compare(Call & call, Choice & choice) {
  std::vector<std::pair<float, size_t>> times;
  const auto multiplied = [&](size_t i) { return [&, i] { return multiply(call, &choice.algorithms[i]); }; };
  for (size_t i = 0; i < choice.algorithms.size(); i++) {
    time(multiplied(i), 1);  // loads its code
    times.emplace_back(time(multiplied(i), 1), i);
  }
  std::sort(times.begin(), times.end());
  times.resize(std::min<size_t>(times.size(), kFinalists));
  for (auto & [best, i] : times) {
    for (int round = 0; round < 2; round++) best = std::min(best, time(multiplied(i), 2));
  }
  std::sort(times.begin(), times.end());
  std::vector<cublasLtMatmulAlgo_t> kept;
  for (const auto & [best, i] : times) {
    if (best <= kTrialMargin * times[0].first) kept.push_back(choice.algorithms[i]);
  }
  choice.algorithms = kept;
  choice.candidates = kept.size();
  if (call.gate && gating_ == Gating::fused && gated_product_fits(call.gated())) {
    choice.candidates++;
    if (time_candidate(call, choice, kept.size()) < time_candidate(call, choice, 0)) choice.best = kept.size();
  }
  choice.settled = call.product.rows < kTrialRows || choice.candidates == 1;
}

float Products::time_candidate(Call & call, const Choice & choice, size_t candidate) {
  const auto launched = [&] {
    launch(call, choice, candidate);
    return true;
  };
  float best = time(launched, 1);  // loads its code
  for (int round = 0; round < 3; round++) best = std::min(best, time(launched, 2));
  return best;
}

}  // namespace pairscore
