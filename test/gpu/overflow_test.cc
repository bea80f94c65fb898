// Models whose activations or weights f16 has no range for: bf16 must answer, or the row must say that nothing does. Needs a
// GPU of sm_80 or later.
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

constexpr double kBf16 = 4e-2, kF16 = 6e-3;  // as in engine_test
constexpr int32_t kLoud = 7;                 // the token that overflows, where not all do

const CudaOptions kAutomatic{Compute::automatic, Keeping::automatic, Path::automatic};

std::string folder() { return std::getenv("TMPDIR") ? std::getenv("TMPDIR") : "/tmp"; }

struct OverflowCase {
  std::string name;
  TinyModel model;
};

TinyChange scaled(const std::string & matrix, float factor) {
  return {matrix, [factor](int, int, float value) { return value * factor; }};
}

// One pair of rows of every head that RoPE turns together.
TinyChange scaled_pair(const TinyModel & m, const std::string & matrix, float factor) {
  const int size = m.head_size, other = m.architecture == "llama" ? 1 : size / 2;
  return {matrix,
          [=](int row, int, float value) { return row % size == 0 || row % size == other ? value * factor : value; }};
}

// The loud token is one large value, which the first column of gate and up makes large again: their product overflows, and
// theirs alone.
std::vector<TinyChange> loud_token(const TinyModel & m) {
  const auto column = [](int, int at, float value) { return at == 0 ? value * 120 : value; };
  const float hidden = static_cast<float>(m.hidden);
  return {{"token_embd", [=](int row, int at, float value) { return row != kLoud ? value
                                                                    : at == 0    ? hidden
                                                                                 : 0.f; }},
          {"ffn_gate", column},
          {"ffn_up", column}};
}

TinyModel with(TinyModel model, const std::vector<TinyChange> & changes) {
  model.changes = changes;
  return model;
}

// Each overflows f16 in another place and keeps the logits that bf16 can compute.
std::vector<OverflowCase> overflow_cases() {
  const std::vector<TinyCase> tiny = tiny_cases();
  std::vector<OverflowCase> cases;
  for (size_t i : {size_t(0), size_t(1), size_t(2)}) {
    TinyModel m = tiny[i].model;
    m.q_heads = 8;  // groups of 4, which the sm_90 path of attention takes
    const std::string name = tiny[i].name;
    if (m.architecture == "gemma2") {
      // The norm after it brings it back.
      cases.push_back({name + ": what attention gives back", with(m, {scaled("attn_output", 1e5f)})});
      cases.push_back({name + ": what the feed-forward gives back", with(m, {scaled("ffn_down", 1e5f)})});
    }
    cases.push_back({name + ": v", with(m, {scaled("attn_v", 6e4f), scaled("attn_output", 1e-2f)})});
    cases.push_back({name + ": gate times up", with(m, {scaled("ffn_up", 1e3f), scaled("ffn_gate", 1e3f)})});
    cases.push_back({name + ": up", with(m, {scaled("ffn_up", 6e4f)})});
    // Finite scores out of a q, or a k, that is not: the soft-cap would make answers of infinite ones.
    cases.push_back(
        {name + ": a pair of q", with(m, {scaled_pair(m, "attn_q", 1e5f), scaled_pair(m, "attn_k", 1e-5f)})});
    cases.push_back(
        {name + ": a pair of k", with(m, {scaled_pair(m, "attn_k", 1e5f), scaled_pair(m, "attn_q", 1e-5f)})});
  }
  return cases;
}

std::vector<float> expected_logits(const EngineSpec & spec, const TinyRows & rows) {
  return reference_logits(spec, {rows.tokens.data(), rows.tokens.size()}, {rows.offsets.data(), rows.offsets.size()});
}

std::vector<float> row_of(const std::vector<float> & logits, size_t row) {
  return {logits.begin() + static_cast<std::ptrdiff_t>(row * 3),
          logits.begin() + static_cast<std::ptrdiff_t>(row * 3 + 3)};
}

void append(std::vector<float> & all, const std::vector<float> & row) { all.insert(all.end(), row.begin(), row.end()); }

bool is_finite(const std::vector<float> & row) {
  return std::all_of(row.begin(), row.end(), [](float value) { return std::isfinite(value); });
}

// A row that bf16's rounding alone turns into another one, as the square in loud_token's models can, must not hide the others:
// all rows have logits, half of them within the tolerance and 19 of 20 within five times that.
void expect_rows_close(const std::vector<float> & found, const std::vector<float> & wanted, double tolerance,
                       const std::string & what) {
  expect(is_finite(found) && is_finite(wanted), what + ": a row without logits");
  std::vector<double> errors;
  for (size_t row = 0; row < found.size() / 3; row++)
    errors.push_back(relative_error(row_of(found, row), row_of(wanted, row)));
  std::sort(errors.begin(), errors.end());
  const size_t turned = errors.size() / 20;
  const double median = errors[errors.size() / 2], rest = errors[errors.size() - 1 - turned];
  expect(median <= tolerance && rest <= 5 * tolerance,
         what + ": half of the rows are off by up to " + std::to_string(median) + ", all but " +
             std::to_string(turned) + " by up to " + std::to_string(rest) + ", where " + std::to_string(tolerance) +
             " and five times that are allowed");
}

int lost_rows(const std::vector<float> & logits) {
  int lost = 0;
  for (size_t row = 0; row < logits.size() / 3; row++) lost += !is_finite(row_of(logits, row));
  return lost;
}

TEST("what f16 has no range for is computed in bf16, wherever it overflows, resident or streamed, by every kernel") {
  for (const OverflowCase & it : overflow_cases()) {
    const TinyPaths paths = write_tiny_model(it.model, folder() + "/pairscore-overflow");
    const EngineSpec spec = spec_of(paths, "cuda:0", it.name.find("without") == std::string::npos);
    const TinyRows rows = random_rows({1, 90, 33, 2, 64}, it.model.vocabulary);
    const std::vector<float> expected = expected_logits(spec, rows);
    for (Keeping keeping : {Keeping::resident, Keeping::streamed}) {
      for (Path path : {Path::automatic, Path::ampere}) {
        const std::unique_ptr<Engine> engine = open_cuda_engine(spec, {Compute::automatic, keeping, path});
        expect(engine->info().compute.find("f16") == 0, it.name + " opened in " + engine->info().compute);
        expect_close(score_rows(*engine, rows), expected, kBf16, it.name);
        expect(engine->info().rows_in_bf16 > 0, it.name + ": no row in bf16");
      }
    }
  }
}

TEST("where f16 is asked for, or nothing else is there, a row that it has no range for has no logits") {
  for (const OverflowCase & it : overflow_cases()) {
    const TinyPaths paths = write_tiny_model(it.model, folder() + "/pairscore-overflow");
    const EngineSpec spec = spec_of(paths, "cuda:0", it.name.find("without") == std::string::npos);
    const TinyRows rows = random_rows({1, 90, 33, 2, 64}, it.model.vocabulary);
    const std::vector<float> expected = expected_logits(spec, rows);
    for (const CudaOptions & options : {CudaOptions{Compute::f16, Keeping::resident, Path::automatic},
                                        CudaOptions{Compute::f16, Keeping::streamed, Path::ampere},
                                        CudaOptions{Compute::automatic, Keeping::resident, Path::turing}}) {
      const std::unique_ptr<Engine> engine = open_cuda_engine(spec, options);
      const std::vector<float> logits = score_rows(*engine, rows);
      expect(lost_rows(logits) > 0, it.name + ": every row has logits");
      expect(engine->info().rows_in_bf16 == 0, it.name + ": a row in bf16");
      for (size_t row = 0; row < 5; row++) {
        if (is_finite(row_of(logits, row)))
          expect_close(row_of(logits, row), row_of(expected, row), 5 * kF16, it.name + ", row " + std::to_string(row));
      }
    }
  }
}

// Rows of which every third has the loud token, somewhere.
TinyRows partly_loud_rows(int count, int vocabulary) {
  std::vector<int> lengths;
  for (int i = 0; i < count; i++) lengths.push_back(random_int(3, 60));
  TinyRows rows = random_rows(lengths, vocabulary);
  std::replace(rows.tokens.begin(), rows.tokens.end(), kLoud, kLoud + 1);
  for (int i = 0; i < count; i += 3)
    rows.tokens[static_cast<size_t>(
        random_int(rows.offsets[static_cast<size_t>(i)], rows.offsets[static_cast<size_t>(i) + 1] - 1))] = kLoud;
  return rows;
}

TEST("rows beside one that overflows keep f16's answers, and it alone is computed again") {
  for (size_t i : {size_t(0), size_t(2)}) {
    TinyModel model = tiny_cases()[i].model;
    model.changes = loud_token(model);
    const TinyPaths paths = write_tiny_model(model, folder() + "/pairscore-overflow");
    const EngineSpec spec = spec_of(paths, "cuda:0", true);
    const TinyRows rows = partly_loud_rows(30, model.vocabulary);
    const std::unique_ptr<Engine> f16 = open_cuda_engine(spec, {Compute::f16, Keeping::resident, Path::automatic}),
                                  automatic = open_cuda_engine(spec, kAutomatic);
    const std::vector<float> alone = score_rows(*f16, rows), logits = score_rows(*automatic, rows),
                             expected = expected_logits(spec, rows);
    expect(automatic->info().rows_in_bf16 == 10, std::to_string(automatic->info().rows_in_bf16) + " rows in bf16");
    std::vector<float> found[2], wanted[2], before;
    for (size_t row = 0; row < 30; row++) {
      const bool loud = row % 3 == 0;
      expect(is_finite(row_of(alone, row)) != loud, model.architecture + " in f16, row " + std::to_string(row));
      append(found[loud], row_of(logits, row));
      append(wanted[loud], row_of(expected, row));
      if (!loud) append(before, row_of(alone, row));
    }
    expect_close(found[0], wanted[0], kF16, model.architecture + ", the rows beside");
    expect_close(found[0], before, kF16, model.architecture + ", the same rows in f16 alone");
    // Its first column makes gate times up a square, which is unkind to rounding.
    expect_close(found[1], wanted[1], 5 * kBf16, model.architecture + ", the rows in bf16");
  }
}

// More loud rows than a batch holds, so that those computed again share expanded weights of bf16 too.
TEST("rows that overflow are computed again in batches that share expanded weights, with f16's beside them") {
  TinyModel model = tiny_cases()[2].model;
  model.changes = loud_token(model);
  EngineSpec spec = spec_of(write_tiny_model(model, folder() + "/pairscore-overflow"), "cuda:0", true);
  const std::unique_ptr<Engine> bf16 = open_cuda_engine(spec, {Compute::bf16, Keeping::resident, Path::automatic}),
                                f16 = open_cuda_engine(spec, {Compute::f16, Keeping::resident, Path::automatic});
  spec.max_batch_tokens = 65536;
  const std::unique_ptr<Engine> engine =
      open_cuda_engine(spec, {Compute::automatic, Keeping::streamed, Path::automatic});
  const TinyRows rows = partly_loud_rows(1800, model.vocabulary);
  const size_t checked = 60;  // against the truth, which takes its time
  const TinyRows some{{rows.tokens.begin(), rows.tokens.begin() + rows.offsets[checked]},
                      {rows.offsets.begin(), rows.offsets.begin() + checked + 1}};
  const std::vector<float> truth = expected_logits(spec, some);
  const std::vector<float> wide = score_rows(*bf16, rows), narrow = score_rows(*f16, rows);
  for (int call = 0; call < 2; call++) {
    const std::vector<float> logits = score_rows(*engine, rows);
    std::vector<float> found[2], wanted[2];
    for (size_t row = 0; row < 1800; row++) {
      const bool loud = row % 3 == 0;
      append(found[loud], row_of(logits, row));
      append(wanted[loud], row_of(loud || call > 0 ? wide : narrow, row));
    }
    // From the second call on the engine is one of bf16: too many rows had to be computed twice.
    if (call == 0) expect_close(found[0], wanted[0], 2e-3, "quiet rows in f16");
    if (call == 1) expect_rows_close(found[0], wanted[0], 2e-2, "quiet rows in bf16");
    expect_rows_close(found[1], wanted[1], kBf16, "loud rows, call " + std::to_string(call));
    std::vector<float> loud_found, loud_truth;
    for (size_t row = 0; row < checked; row += 3) {
      append(loud_found, row_of(logits, row));
      append(loud_truth, row_of(truth, row));
    }
    expect_rows_close(loud_found, loud_truth, kBf16, "loud rows against the truth, call " + std::to_string(call));
    expect(engine->info().rows_in_bf16 == 600 + call * 1800,
           std::to_string(engine->info().rows_in_bf16) + " rows in bf16");
  }
}

TEST("an engine whose rows overflow often goes over to bf16, and one whose rows rarely do stays with f16") {
  TinyModel model = tiny_cases()[0].model;
  model.changes = loud_token(model);
  const TinyPaths paths = write_tiny_model(model, folder() + "/pairscore-overflow");
  const EngineSpec spec = spec_of(paths, "cuda:0", true);
  for (Keeping keeping : {Keeping::resident, Keeping::streamed}) {
    const std::unique_ptr<Engine> engine = open_cuda_engine(spec, {Compute::automatic, keeping, Path::automatic});
    const TinyRows often = partly_loud_rows(70, model.vocabulary), rarely = random_rows({20, 30}, kLoud);
    expect_close(score_rows(*engine, often), expected_logits(spec, often), 2 * kBf16, "the rows that decide");
    const int64_t before = engine->info().rows_in_bf16;
    expect_close(score_rows(*engine, rarely), expected_logits(spec, rarely), 2 * kBf16, "the rows after them");
    expect(engine->info().rows_in_bf16 == before + 2, "not gone over");
    expect_close(score_rows(*engine, often), expected_logits(spec, often), 2 * kBf16, "the same rows again");
    expect(engine->info().rows_in_bf16 == before + 72, "rows were computed twice");

    const std::unique_ptr<Engine> quiet = open_cuda_engine(spec, {Compute::automatic, keeping, Path::automatic});
    TinyRows few = random_rows(std::vector<int>(100, 5), kLoud);
    few.tokens[7] = kLoud;
    for (int i = 0; i < 3; i++) score_rows(*quiet, few);
    expect(quiet->info().rows_in_bf16 == 3, std::to_string(quiet->info().rows_in_bf16) + " rows in bf16");
  }
}

TEST("weights that f16 has no range for make the engine bf16, and refuse f16 where it is asked for") {
  const TinyModel plain = tiny_cases()[2].model;
  const auto one_value = [](float value) {
    return TinyChange{"ffn_down",
                      [=](int row, int column, float old) { return row == 3 && column == 5 ? value : old; }};
  };
  for (Keeping keeping : {Keeping::resident, Keeping::streamed}) {
    for (float value : {1e5f, 1e-6f}) {
      const bool large = value > 1;
      const TinyModel model = with(plain, {large ? one_value(value) : scaled("attn_v", value)});
      const EngineSpec spec = spec_of(write_tiny_model(model, folder() + "/pairscore-overflow"), "cuda:0", true);
      const TinyRows rows = random_rows({20, 33}, model.vocabulary);
      const std::unique_ptr<Engine> engine = open_cuda_engine(spec, {Compute::automatic, keeping, Path::automatic});
      expect(engine->info().compute.find("bf16") == 0, "opened in " + engine->info().compute);
      expect_close(score_rows(*engine, rows), expected_logits(spec, rows), kBf16, std::to_string(value));
      expect(engine->info().rows_in_bf16 == 0, "rows of an engine of bf16 were counted");
      if (!large) continue;
      std::string message;
      try {
        open_cuda_engine(spec, {Compute::f16, keeping, Path::automatic});
      } catch (const Error & error) {
        if (error.code() == Code::model_values) message = error.what();
      }
      expect(message.find("blk.0.ffn_down.weight") != std::string::npos, "f16 was taken: " + message);
    }
  }
}

TEST("weights and norms that are no numbers are refused in every type") {
  const TinyModel plain = tiny_cases()[2].model;
  for (const char * matrix : {"attn_k", "ffn_down"}) {
    const TinyModel model =
        with(plain, {{matrix, [](int row, int column, float value) { return row == 1 && column == 2 ? NAN : value; }}});
    const EngineSpec spec = spec_of(write_tiny_model(model, folder() + "/pairscore-overflow"), "cuda:0", true);
    for (Compute compute : {Compute::automatic, Compute::f16, Compute::bf16, Compute::fp8}) {
      bool refused = false;
      try {
        open_cuda_engine(spec, {compute, Keeping::automatic, Path::automatic});
      } catch (const Error & error) {
        refused = error.code() == Code::model_values;
      }
      expect(refused, std::string(matrix) + " was taken");
    }
  }
}

TEST("a row that bf16 has no range for either has no logits, and the next call works") {
  TinyModel model = tiny_cases()[2].model;
  model.changes = {{"token_embd", [](int row, int, float value) { return row == kLoud ? INFINITY : value; }}};
  const EngineSpec spec = spec_of(write_tiny_model(model, folder() + "/pairscore-overflow"), "cuda:0", true);
  const std::unique_ptr<Engine> engine = open_cuda_engine(spec, kAutomatic);
  const TinyRows quiet = random_rows({10, 20}, kLoud);
  TinyRows rows = quiet;
  rows.tokens[4] = kLoud;
  const std::vector<float> expected = expected_logits(spec, quiet), logits = score_rows(*engine, rows);
  expect(!is_finite(row_of(logits, 0)), "an answer out of nothing");
  expect_close(row_of(logits, 1), row_of(expected, 1), 2 * kF16, "the row beside it");
  expect_close(score_rows(*engine, quiet), expected, kF16, "the next call");
}

}  // namespace

int main(int argc, char ** argv) { return run_tests(argc, argv); }
