// The CUDA engine against the CPU reference on tiny models, in every mode. Needs a GPU.
#include <algorithm>

#include "engine/cuda/cuda_engine.h"
#include "error.h"
#include "reference_model.h"
#include "tiny_cases.h"

using namespace pairscore;
using namespace pairscore::test;

namespace {

using Compute = CudaOptions::Compute;
using Keeping = CudaOptions::Weights;
using Path = CudaOptions::Attention;

struct Mode {
  const char * name;
  CudaOptions options;
  double tolerance;
};

// Logits' relative error: what 11, 8 and 4 bits leave after a few layers.
const Mode kModes[] = {
    {"automatic", {Compute::automatic, Keeping::automatic, Path::automatic}, 6e-3},
    {"f16", {Compute::f16, Keeping::resident, Path::automatic}, 6e-3},
    {"bf16", {Compute::bf16, Keeping::resident, Path::automatic}, 4e-2},
    {"f16 streamed", {Compute::f16, Keeping::streamed, Path::automatic}, 6e-3},
    {"bf16 streamed", {Compute::bf16, Keeping::streamed, Path::automatic}, 4e-2},
    {"sm_80", {Compute::bf16, Keeping::resident, Path::ampere}, 4e-2},
    {"sm_75", {Compute::automatic, Keeping::resident, Path::turing}, 6e-3},
    {"fp8", {Compute::fp8, Keeping::resident, Path::automatic}, 0.35},
};

std::string folder() { return std::getenv("TMPDIR") ? std::getenv("TMPDIR") : "/tmp"; }

void check_modes(const std::string & architecture) {
  std::vector<double> worst(std::size(kModes));
  for (const TinyCase & tiny : tiny_cases()) {
    if (tiny.model.architecture != architecture) continue;
    const TinyPaths paths = write_tiny_model(tiny.model, folder() + "/pairscore-" + architecture);
    const EngineSpec spec = spec_of(paths, "cuda:0", tiny.soft_cap);
    const TinyRows rows = random_rows({1, 2, 31, 33, 90, 1, 64, 17, 3}, tiny.model.vocabulary);
    const std::vector<float> expected =
        reference_logits(spec, {rows.tokens.data(), rows.tokens.size()}, {rows.offsets.data(), rows.offsets.size()});
    for (size_t i = 0; i < std::size(kModes); i++) {
      const std::vector<float> logits = score_rows(*open_cuda_engine(spec, kModes[i].options), rows);
      expect_close(logits, expected, kModes[i].tolerance, tiny.name + " in " + kModes[i].name);
      worst[i] = std::max(worst[i], relative_error(logits, expected));
    }
  }
  for (size_t i = 0; i < std::size(kModes); i++)
    std::printf("     %-14s worst relative error %.1e\n", kModes[i].name, worst[i]);
}

TEST("the engine gives the reference's logits for every tiny Gemma in every mode") { check_modes("gemma2"); }

TEST("the engine gives the reference's logits for every tiny Llama in every mode") { check_modes("llama"); }

const TinyCase & case_named(const std::vector<TinyCase> & cases, const std::string & name) {
  const auto found = std::find_if(cases.begin(), cases.end(), [&](const TinyCase & it) { return it.name == name; });
  expect(found != cases.end(), "the case " + name + " is gone");
  return *found;
}

TEST("streamed weights give the same logits as resident ones, whatever the width of their heads") {
  const std::vector<TinyCase> cases = tiny_cases();
  for (const char * name : {"gemma2, q4_K, LoRA on q k v", "llama, q8_0, LoRA on q k v", "gemma2, heads of 32",
                            "llama, heads of 16, groups of 4", "llama, heads of 80", "gemma2, heads of 80"}) {
    const TinyCase & tiny = case_named(cases, name);
    const TinyPaths paths = write_tiny_model(tiny.model, folder() + "/pairscore-tiny");
    const EngineSpec spec = spec_of(paths, "cuda:0", true);
    const TinyRows rows = random_rows({20, 5, 100}, tiny.model.vocabulary);
    const auto with = [&](Keeping keeping) {
      return score_rows(*open_cuda_engine(spec, {Compute::f16, keeping, Path::automatic}), rows);
    };
    // Not bit for bit: each engine times its products' algorithms itself.
    expect_close(with(Keeping::streamed), with(Keeping::resident), 2e-3, name);
  }
}

// Of 25 to 60 thousand tokens: on any GPU some fill several batches, 128 tokens a multiprocessor at most, an odd number of them too.
TEST("batches that share a layer's expanded weights answer as each alone, in a call of any number of them") {
  const std::vector<TinyCase> cases = tiny_cases();
  for (const char * name : {"gemma2, q4_K, LoRA on q k v", "llama, q8_0, LoRA on q k v", "llama, one layer"}) {
    const TinyCase & tiny = case_named(cases, name);
    EngineSpec spec = spec_of(write_tiny_model(tiny.model, folder() + "/pairscore-tiny"), "cuda:0", true);
    const std::unique_ptr<Engine> resident = open_cuda_engine(spec, {Compute::f16, Keeping::resident, Path::automatic});
    spec.max_batch_tokens = 65536;
    const std::unique_ptr<Engine> streamed = open_cuda_engine(spec, {Compute::f16, Keeping::streamed, Path::automatic});
    for (int count : {10, 250, 400, 600}) {
      std::vector<int> lengths;
      for (int i = 0; i < count; i++) lengths.push_back(random_int(1, 200));
      const TinyRows rows = random_rows(lengths, tiny.model.vocabulary);
      expect_close(score_rows(*streamed, rows), score_rows(*resident, rows), 2e-3,
                   std::string(name) + ", " + std::to_string(count) + " rows");
    }
  }
}

TEST("a row's logits do not depend on the rows beside it") {
  const TinyCase tiny = tiny_cases()[0];
  const TinyPaths paths = write_tiny_model(tiny.model, folder() + "/pairscore-tiny");
  const std::unique_ptr<Engine> engine =
      open_cuda_engine(spec_of(paths, "cuda:0", true), {Compute::f16, Keeping::resident, Path::automatic});
  std::vector<int> lengths;
  for (int i = 0; i < 200; i++) lengths.push_back(random_int(1, 60));  // several batches
  const TinyRows rows = random_rows(lengths, tiny.model.vocabulary);
  const std::vector<float> together = score_rows(*engine, rows);
  for (size_t row = 0; row < lengths.size(); row += 7) {
    const TinyRows alone{{rows.tokens.begin() + rows.offsets[row], rows.tokens.begin() + rows.offsets[row + 1]},
                         {0, rows.offsets[row + 1] - rows.offsets[row]}};
    const std::vector<float> logits = score_rows(*engine, alone);
    expect_close(logits,
                 {together.begin() + static_cast<std::ptrdiff_t>(row * 3),
                  together.begin() + static_cast<std::ptrdiff_t>(row * 3 + 3)},
                 6e-3, "row " + std::to_string(row));
  }
}

void expect_refused(const EngineSpec & spec, const CudaOptions & options, Code code, const std::string & what) {
  try {
    open_cuda_engine(spec, options);
  } catch (const Error & error) {
    expect(error.code() == code, what + ": " + error.what());
    return;
  }
  expect(false, what + " was taken");
}

TEST("opening refuses devices that are not there, heads of odd sizes and fp8 that is streamed") {
  TinyCase tiny = tiny_cases()[0];
  const TinyPaths paths = write_tiny_model(tiny.model, folder() + "/pairscore-tiny");
  const CudaOptions automatic{Compute::automatic, Keeping::automatic, Path::automatic};
  for (const char * device : {"cuda:99", "cuda:", "cuda:-1", "cuda:0x0", "gpu"})
    expect_refused(spec_of(paths, device, true), automatic, Code::device_unknown, device);
  expect_refused(spec_of(paths, "cuda:0", true), {Compute::fp8, Keeping::streamed, Path::automatic}, Code::usage,
                 "fp8 streamed");
  tiny.model.head_size = 24;
  expect_refused(spec_of(write_tiny_model(tiny.model, folder() + "/pairscore-tiny"), "cuda:0", true), automatic,
                 Code::model_mismatch, "heads of 24");
}

TEST("scoring refuses tokens outside the vocabulary and goes on working") {
  const TinyCase tiny = tiny_cases()[2];
  const TinyPaths paths = write_tiny_model(tiny.model, folder() + "/pairscore-tiny");
  const std::unique_ptr<Engine> engine =
      open_cuda_engine(spec_of(paths, "cuda:0", true), {Compute::automatic, Keeping::automatic, Path::automatic});
  bool refused = false;
  try {
    score_rows(*engine, {{0, 100}, {0, 2}});
  } catch (const Error & error) {
    refused = error.code() == Code::usage;
  }
  expect(refused, "token 100 of 100 was taken");
  expect(score_rows(*engine, {{0, 99}, {0, 2}}).size() == 3, "no logits after a refusal");
  engine->cancel();
  bool closed = false;
  try {
    score_rows(*engine, {{0, 99}, {0, 2}});
  } catch (const Error & error) {
    closed = error.code() == Code::closed;
  }
  expect(closed, "a cancelled engine went on");
}

}  // namespace

int main(int argc, char ** argv) { return run_tests(argc, argv); }
