// The CPU reference of the parity tests against llama.cpp's CPU backend. Needs no GPU.
#include "engine/llama/llama_engine.h"
#include "reference_model.h"
#include "tiny_cases.h"

using namespace pairscore;
using namespace pairscore::test;

namespace {

TEST("the reference gives llama.cpp's logits for every tiny model") {
  const std::string folder = std::getenv("TMPDIR") ? std::getenv("TMPDIR") : "/tmp";
  double worst = 0;
  for (const TinyCase & tiny : tiny_cases()) {
    const TinyPaths paths = write_tiny_model(tiny.model, folder + "/pairscore-tiny-reference");
    const EngineSpec spec = spec_of(paths, "cpu", tiny.soft_cap);
    const TinyRows rows = random_rows({1, 2, 33, 40}, tiny.model.vocabulary);
    const std::vector<float> expected = score_rows(*open_llama_engine(spec), rows);
    const std::vector<float> logits =
        reference_logits(spec, {rows.tokens.data(), rows.tokens.size()}, {rows.offsets.data(), rows.offsets.size()});
    // Products of quantised weights round their activations to 8 bits there; F16 and BF16 ones to 16.
    const double tolerance = tiny.model.type == GGML_TYPE_F32                                        ? 2e-3
                             : tiny.model.type == GGML_TYPE_F16 || tiny.model.type == GGML_TYPE_BF16 ? 2e-2
                                                                                                     : 0.1;
    expect_close(logits, expected, tolerance, tiny.name);
    if (tiny.model.type == GGML_TYPE_F32) worst = std::max(worst, relative_error(logits, expected));
  }
  std::printf("     worst relative error on f32 models: %.1e\n", worst);
}

}  // namespace

int main(int argc, char ** argv) { return run_tests(argc, argv); }
