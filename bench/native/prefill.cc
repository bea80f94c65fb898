// Tokens per second of the CUDA engine over the length distribution of LMSYS rows, or the logits of given rows.
// usage: prefill BASE ADAPTER|- HEAD COMPUTE WEIGHTS BATCH_TOKENS ROWS [cap|nocap] [LENGTH] [ENGINES]    COMPUTE: auto, bf16, f16, fp8
//        prefill BASE ADAPTER|- HEAD COMPUTE WEIGHTS BATCH_TOKENS @TOKENS_FILE [cap|nocap]     one row a line, ids
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <fstream>
#include <iostream>
#include <random>
#include <sstream>
#include <thread>

#include "engine/cuda/cuda_engine.h"
#include "error.h"
#include "lengths.h"

using namespace pairscore;

namespace {

struct Rows {
  std::vector<int32_t> tokens;
  std::vector<int32_t> offsets = {0};
};

Rows random_rows(int count, int length, int vocabulary) {
  std::mt19937 random(3);
  std::vector<int> lengths = length ? std::vector<int>(static_cast<size_t>(count), length) : lmsys_lengths(count);
  std::sort(lengths.rbegin(), lengths.rend());
  Rows rows;
  for (int tokens : lengths) {
    for (int i = 0; i < tokens; i++)
      rows.tokens.push_back(std::uniform_int_distribution<int>(5, vocabulary - 1)(random));
    rows.offsets.push_back(static_cast<int32_t>(rows.tokens.size()));
  }
  return rows;
}

Rows read_rows(const std::string & path) {
  Rows rows;
  std::ifstream file(path);
  for (std::string line; std::getline(file, line);) {
    std::istringstream ids(line);
    for (int32_t id; ids >> id;) rows.tokens.push_back(id);
    rows.offsets.push_back(static_cast<int32_t>(rows.tokens.size()));
  }
  return rows;
}

double now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

std::vector<float> score(Engine & engine, const Rows & rows) {
  return engine.score({rows.tokens.data(), rows.tokens.size()}, {rows.offsets.data(), rows.offsets.size()});
}

void print_logits(const std::vector<float> & logits, int labels) {
  for (size_t i = 0; i < logits.size(); i++)
    std::printf("%.9g%c", logits[i], (i + 1) % static_cast<size_t>(labels) ? ' ' : '\n');
}

CudaOptions options_of(const std::string & compute, const std::string & weights) {
  CudaOptions options{};
  options.compute = compute == "f16"    ? CudaOptions::Compute::f16
                    : compute == "fp8"  ? CudaOptions::Compute::fp8
                    : compute == "bf16" ? CudaOptions::Compute::bf16
                                        : CudaOptions::Compute::automatic;
  options.weights = weights == "streamed" ? CudaOptions::Weights::streamed : CudaOptions::Weights::resident;
  return options;
}

int run(int argc, char ** argv) {
  EngineSpec spec{};
  spec.base_path = argv[1], spec.adapter_path = std::string(argv[2]) == "-" ? "" : argv[2], spec.head_path = argv[3];
  spec.device = "cuda:0", spec.threads = 4;
  spec.max_batch_tokens = std::stoi(argv[6]), spec.max_sequence_tokens = 2048, spec.max_batch_sequences = 256;
  spec.attention_soft_cap = argc < 9 || std::string(argv[8]) == "cap";
  const bool given = argv[7][0] == '@';
  const double opened_at = now();
  const std::unique_ptr<Engine> engine = open_cuda_engine(spec, options_of(argv[4], argv[5]));
  const double open_seconds = now() - opened_at;
  const Rows rows =
      given ? read_rows(argv[7] + 1)
            : random_rows(std::stoi(argv[7]), argc > 9 ? std::stoi(argv[9]) : 0, engine->info().vocabulary_size);
  double first = now();
  const std::vector<float> logits = score(*engine, rows);
  first = now() - first;
  if (given) {
    print_logits(logits, engine->info().label_count);
    return 0;
  }
  std::vector<std::unique_ptr<Engine>> others;  // that share the device, each with its own stream
  for (int i = 1; i < (argc > 10 ? std::stoi(argv[10]) : 1); i++) {
    others.push_back(open_cuda_engine(spec, options_of(argv[4], argv[5])));
    score(*others.back(), rows);
  }
  std::vector<double> seconds;
  for (int i = 0; i < 3; i++) {
    const double start = now();
    std::vector<std::thread> threads;
    for (const std::unique_ptr<Engine> & other : others) threads.emplace_back([&] { score(*other, rows); });
    const std::vector<float> again = score(*engine, rows);
    for (std::thread & thread : threads) thread.join();
    seconds.push_back((now() - start) / static_cast<double>(others.size() + 1));
    if (again != logits) std::printf("  (logits differ between two runs of the same rows)\n");
  }
  std::sort(seconds.begin(), seconds.end());
  const double tokens = static_cast<double>(rows.tokens.size());
  std::printf(
      "%s %s %s batch %s %s%s: %8.0f tokens/s, %.1f rows/s (spread %.1f %%), %zu rows of %.0f tokens on average; "
      "opened in %.2f s, first pass %.2f s, weights %.2f GiB, %lld rows in bf16\n",
      engine->info().architecture.c_str(), engine->info().compute.c_str(), argv[5], argv[6],
      spec.attention_soft_cap ? "cap" : "nocap", argc > 9 ? " fixed length" : "", tokens / seconds[1],
      static_cast<double>(rows.offsets.size() - 1) / seconds[1], (seconds[2] / seconds[0] - 1) * 100,
      rows.offsets.size() - 1, tokens / static_cast<double>(rows.offsets.size() - 1), open_seconds, first,
      static_cast<double>(engine->info().weight_bytes) / (1 << 30),
      static_cast<long long>(engine->info().rows_in_bf16));
  return 0;
}

}  // namespace

int main(int argc, char ** argv) {
  if (argc < 8) {
    std::fprintf(stderr,
                 "usage: prefill BASE ADAPTER|- HEAD auto|bf16|f16|fp8 resident|streamed BATCH_TOKENS ROWS|@FILE "
                 "[cap|nocap] [LENGTH]\n");
    return 2;
  }
  try {
    return run(argc, argv);
  } catch (const Error & error) {
    std::fprintf(stderr, "%s: %s\n", code_name(error.code()), error.what());
    return 1;
  }
}
