#include <ggml.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <exception>
#include <limits>

#include "engine/engine.h"
#include "engine/threads.h"
#include "error.h"

namespace pairscore {
namespace {

// Rows that one thread holds as f32 at a time.
constexpr size_t kScratchBytes = 1 << 20;

ggml_type type_named(const std::string & name) {
  for (int id = 0; id < GGML_TYPE_COUNT; id++) {
    const ggml_type type = static_cast<ggml_type>(id);
    if (ggml_blck_size(type) > 0 && name == ggml_type_name(type)) return type;
  }
  throw Error(Code::usage, "Expected a tensor type of ggml but received " + name);
}

struct Conversion {
  ggml_type from;
  ggml_type to;
  int64_t columns;
  int64_t rows;
  size_t rank;
  const uint8_t * source;  // (rows, columns) of type from
  const float * a;         // (rank, columns)
  const float * b;         // (rows, rank)
  uint8_t * target;        // (rows, columns) of type to
};

void check_type(ggml_type type, int64_t columns, bool is_target) {
  const std::string name = ggml_type_name(type);
  if (columns % ggml_blck_size(type) != 0) {
    throw Error(Code::usage, "Expected rows of a multiple of " + std::to_string(ggml_blck_size(type)) +
                                 " values for type " + name + " but received " + std::to_string(columns));
  }
  if (!is_target && type != GGML_TYPE_F32 && ggml_get_type_traits(type)->to_float == nullptr) {
    throw Error(Code::usage, "Expected a type that ggml turns into floats but received " + name);
  }
  if (!is_target) return;
  const bool is_float = type == GGML_TYPE_F32 || type == GGML_TYPE_F16 || type == GGML_TYPE_BF16;
  if (!is_float && (ggml_get_type_traits(type)->from_float_ref == nullptr || ggml_quantize_requires_imatrix(type))) {
    throw Error(Code::usage,
                "Expected a type that ggml quantises to without an importance matrix but received " + name);
  }
}

Conversion plan(const RowsSpec & spec, View<uint8_t> rows, View<float> a, View<float> b) {
  Conversion conversion{};
  conversion.from = type_named(spec.from);
  conversion.to = type_named(spec.to);
  conversion.columns = spec.columns;
  if (spec.columns < 1 || spec.columns > (int64_t{1} << 31))
    throw Error(Code::usage, "Expected rows of at least one value");
  check_type(conversion.from, spec.columns, false);
  check_type(conversion.to, spec.columns, true);
  const size_t row_bytes = ggml_row_size(conversion.from, spec.columns);
  if (rows.size % row_bytes != 0) {
    throw Error(Code::usage, "Expected whole rows of " + std::to_string(row_bytes) + " bytes but received " +
                                 std::to_string(rows.size) + " bytes");
  }
  conversion.rows = static_cast<int64_t>(rows.size / row_bytes);
  conversion.rank = a.size / static_cast<size_t>(spec.columns);
  const bool fits = a.size == conversion.rank * static_cast<size_t>(spec.columns) &&
                    b.size == conversion.rank * static_cast<size_t>(conversion.rows);
  if (!fits) throw Error(Code::usage, "Expected factors (rank, columns) and (rows, rank) of the same rank");
  conversion.source = rows.data;
  conversion.a = a.data;
  conversion.b = b.data;
  return conversion;
}

void read_rows(const Conversion & c, int64_t first, int64_t count, float * values) {
  const uint8_t * source = c.source + static_cast<size_t>(first) * ggml_row_size(c.from, c.columns);
  if (c.from == GGML_TYPE_F32) {
    std::memcpy(values, source, static_cast<size_t>(count * c.columns) * sizeof(float));
  } else {
    ggml_get_type_traits(c.from)->to_float(source, values, count * c.columns);
  }
}

// values (count, columns) += b (count, rank) x a (rank, columns)
void add_product(const Conversion & c, int64_t first, int64_t count, float * values) {
  for (int64_t row = 0; row < count; row++) {
    float * out = values + row * c.columns;
    const float * factors = c.b + static_cast<size_t>(first + row) * c.rank;
    for (size_t r = 0; r < c.rank; r++) {
      const float factor = factors[r];
      const float * in = c.a + r * static_cast<size_t>(c.columns);
      for (int64_t i = 0; i < c.columns; i++) out[i] += factor * in[i];
    }
  }
}

// An f16 beyond its range would be infinite.
void check_values(const float * values, size_t count, ggml_type target) {
  const float most = target == GGML_TYPE_F16 ? 65504.0f : std::numeric_limits<float>::max();
  for (size_t i = 0; i < count; i++) {
    if (std::fabs(values[i]) <= most) continue;
    if (!std::isfinite(values[i]))
      throw Error(Code::model_values, "Expected finite weights but received NaN or infinity");
    throw Error(Code::model_values, "Expected weights of at most 65504 for type f16 but received " +
                                        std::to_string(values[i]) + ": choose bf16");
  }
}

void convert_range(const Conversion & c, int64_t first, int64_t last) {
  const int64_t step = std::max<int64_t>(1, static_cast<int64_t>(kScratchBytes / sizeof(float)) / c.columns);
  std::vector<float> values(static_cast<size_t>(std::min(step, last - first) * c.columns));
  for (int64_t row = first; row < last; row += step) {
    const int64_t count = std::min(step, last - row);
    read_rows(c, row, count, values.data());
    if (c.rank > 0) add_product(c, row, count, values.data());
    check_values(values.data(), static_cast<size_t>(count * c.columns), c.to);
    uint8_t * target = c.target + static_cast<size_t>(row) * ggml_row_size(c.to, c.columns);
    ggml_quantize_chunk(c.to, values.data(), target, 0, count, c.columns, nullptr);
  }
}

}  // namespace

std::vector<uint8_t> convert_rows(const RowsSpec & spec, View<uint8_t> rows, View<float> a, View<float> b) {
  Conversion conversion = plan(spec, rows, a, b);
  std::vector<uint8_t> target(static_cast<size_t>(conversion.rows) * ggml_row_size(conversion.to, spec.columns));
  conversion.target = target.data();
  const int64_t threads = std::clamp<int64_t>(spec.threads, 1, std::max<int64_t>(1, conversion.rows));
  std::vector<std::exception_ptr> failures(static_cast<size_t>(threads));
  const auto share = [&](int64_t index) {
    try {
      convert_range(conversion, conversion.rows * index / threads, conversion.rows * (index + 1) / threads);
    } catch (...) {
      failures[static_cast<size_t>(index)] = std::current_exception();
    }
  };
  Threads others;
  int64_t started = 1;
  while (started < threads && others.start(share, started)) started++;
  share(0);
  for (int64_t i = started; i < threads; i++) share(i);
  others.join();
  for (const std::exception_ptr & failure : failures) {
    if (failure) std::rethrow_exception(failure);
  }
  return target;
}

}  // namespace pairscore
