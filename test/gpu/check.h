// A test is a sentence and a function; a failed expectation throws. main() runs them all, or those whose name contains argv[1].
#pragma once

#include <cmath>
#include <cstdio>
#include <cstring>
#include <exception>
#include <random>
#include <sstream>
#include <stdexcept>
#include <string>
#include <vector>

namespace pairscore::test {

struct Test {
  std::string name;
  void (*run)();
};

inline std::vector<Test> & tests() {
  static std::vector<Test> all;
  return all;
}

struct Register {
  Register(const char * name, void (*run)()) { tests().push_back({name, run}); }
};

#define PAIRSCORE_JOIN2(a, b) a##b
#define PAIRSCORE_JOIN(a, b) PAIRSCORE_JOIN2(a, b)
#define TEST(sentence)                                                                                               \
  static void PAIRSCORE_JOIN(test_, __LINE__)();                                                                     \
  static ::pairscore::test::Register PAIRSCORE_JOIN(register_, __LINE__)(sentence, PAIRSCORE_JOIN(test_, __LINE__)); \
  static void PAIRSCORE_JOIN(test_, __LINE__)()

inline void expect(bool holds, const std::string & what) {
  if (!holds) throw std::runtime_error(what);
}

// |out - expected| / |expected|; infinite where a value is not a number.
inline double relative_error(const std::vector<float> & out, const std::vector<float> & expected) {
  if (out.size() != expected.size()) return INFINITY;
  double difference = 0, norm = 0;
  for (size_t i = 0; i < out.size(); i++) {
    if (!std::isfinite(out[i])) return INFINITY;
    difference += (static_cast<double>(out[i]) - expected[i]) * (static_cast<double>(out[i]) - expected[i]);
    norm += static_cast<double>(expected[i]) * expected[i];
  }
  return norm == 0 ? std::sqrt(difference) : std::sqrt(difference / norm);
}

inline void expect_close(const std::vector<float> & out, const std::vector<float> & expected, double tolerance,
                         const std::string & what) {
  const double error = relative_error(out, expected);
  if (error <= tolerance) return;
  std::ostringstream text;
  text << what << ": expected a relative error of at most " << tolerance << " but received " << error;
  throw std::runtime_error(text.str());
}

inline std::mt19937 & random_bits() {
  static std::mt19937 generator(20261123);
  return generator;
}

inline int random_int(int low, int high) { return std::uniform_int_distribution<int>(low, high)(random_bits()); }

inline std::vector<float> random_normal(size_t count, float deviation) {
  std::normal_distribution<float> normal(0, deviation);
  std::vector<float> values(count);
  for (float & value : values) value = normal(random_bits());
  return values;
}

inline int run_tests(int argc, char ** argv) {
  int failed = 0, ran = 0;
  for (const Test & test : tests()) {
    if (argc > 1 && test.name.find(argv[1]) == std::string::npos) continue;
    ran++;
    try {
      test.run();
      std::printf("ok   %s\n", test.name.c_str());
    } catch (const std::exception & error) {
      failed++;
      std::printf("FAIL %s\n     %s\n", test.name.c_str(), error.what());
    }
    std::fflush(stdout);
  }
  std::printf("%d tests, %d failed\n", ran, failed);
  return failed || !ran ? 1 : 0;
}

}  // namespace pairscore::test
