// Norms against their CPU twin: odd sizes, poisoned outputs, every form of the residual stream. Needs a GPU.
#include "kernels/norm.h"

#include <algorithm>
#include <cmath>

#include "error.h"
#include "on_device.h"

using namespace pairscore;
using namespace pairscore::test;

namespace {

const int kRows[] = {1, 2, 31, 32, 33, 2047};
constexpr double kSplitError = 1e-5;  // of normal values, in f16; 6.5e-6 in bf16

struct NormCase {
  Element element, h_element;
  int64_t rows, columns;
  int variant;  // 0: x alone; 1: adds y; 2: adds a normalised y; 3: adds y with row scales
};

void check_norm(const NormCase & given) {
  const auto [element, h_element, rows, columns, variant] = given;
  const bool add = variant > 0, post = variant == 2, scaled = variant == 3;
  const size_t count = static_cast<size_t>(rows * columns);
  const std::vector<float> y = rounded(random_normal(count, 2), element),
                           weight = random_normal(static_cast<size_t>(columns), 1);
  const std::vector<float> next = random_normal(static_cast<size_t>(columns), 1),
                           scales = random_normal(static_cast<size_t>(rows), 1);
  std::vector<float> x = random_normal(count, 3), h(count), y_scaled = y;
  const DeviceBuffer y_at = to_device(y, element), weight_at = raw_to_device(weight), next_at = raw_to_device(next),
                     x_at = raw_to_device(x);
  const DeviceBuffer scales_at = raw_to_device(scales), h_at = poisoned(count, h_element);
  const float h_scale = h_element == Element::e4m3 ? 5.f : 1.f;
  NormArgs args{};
  args.rows = rows, args.columns = columns, args.epsilon = 1e-5f;
  args.y = add ? y_at.data() : nullptr, args.y_row_scale = scaled ? scales_at.as<float>() : nullptr;
  args.post = post ? weight_at.as<float>() : nullptr;
  args.x = x_at.as<float>(), args.next = next_at.as<float>(), args.h = h_at.data(), args.h_scale = h_scale;
  args.element = element, args.h_element = h_element;
  add_norm(args, nullptr);
  if (scaled) {
    for (size_t i = 0; i < count; i++) y_scaled[i] *= scales[i / static_cast<size_t>(columns)];
  }
  add_norm_reference({rows, columns, 1e-5f, add ? y_scaled.data() : nullptr, post ? weight.data() : nullptr,
                      next.data(), x.data(), h.data()});
  for (float & value : h) value *= h_scale;
  expect_close(from_device(x_at, count, Element::f32), x, 2e-6,
               label("the residual of add_norm", element, rows, columns));
  expect_close(from_device(h_at, count, h_element), h, tolerance_of(h_element),
               label("the output of add_norm", h_element, rows, columns));
}

TEST("add_norm gives its twin's residual and output for every variant, type and odd size") {
  for (Element element : kWide) {
    for (int rows : kRows) {
      for (int64_t columns : {64, 256, 3584, 4096, 8192}) {
        for (int variant = 0; variant < 4; variant++) check_norm({element, element, rows, columns, variant});
      }
    }
  }
  for (Element h : {Element::f32, Element::e4m3}) {
    for (int64_t columns : {256, 3584, 32768}) check_norm({Element::bf16, h, 33, columns, 2});
  }
}

// Signs and magnitudes of norm weights up to the limits of what leaves a remainder.
std::vector<float> dividing_weights(int64_t columns) {
  std::vector<float> weights = random_normal(static_cast<size_t>(columns), 1);
  for (float & weight : weights) weight = std::copysign(std::exp2(2 * weight), random_int(0, 1) ? 1.f : -1.f);
  weights[0] = std::exp2(-14.f), weights[1] = -std::exp2(-14.f), weights[2] = 40;
  for (float & weight : weights) weight = std::copysign(std::clamp(std::fabs(weight), std::exp2(-14.f), 40.f), weight);
  expect(leaves_remainder(std::exp2(-14.f), 40, columns), "weights of the test that leave no remainder");
  return weights;
}

// A residual stream on the device that goes through one norm after the other, and its twin.
class ResidualStream {
 public:
  ResidualStream(Element element, int64_t rows, int64_t columns)
      : element_(element),
        rows_(rows),
        columns_(columns),
        count_(static_cast<size_t>(rows * columns)),
        x_(random_normal(count_, 30)),
        h_(count_),
        x_at_(raw_to_device(x_)),
        h_at_(poisoned(count_, element)),
        wide_h_at_(poisoned(count_, Element::f32)) {}

  // y_changed: on the device alone.
  struct Step {
    Residual after;
    bool adds, post, last;
  };
  void run(const Step & step, const std::vector<std::pair<size_t, float>> & y_changed = {});
  std::vector<float> residual() const;
  std::vector<float> output() const { return from_device(h_at_, count_, element_); }
  void check(const Step & step, double tolerance) const;

 private:
  const Element element_;
  const int64_t rows_, columns_;
  const size_t count_;
  std::vector<float> x_, h_;
  DeviceBuffer x_at_, h_at_, wide_h_at_;
  Residual form_ = Residual::whole;
  std::vector<float> next_;
  DeviceBuffer next_at_;
};

void ResidualStream::run(const Step & step, const std::vector<std::pair<size_t, float>> & y_changed) {
  const std::vector<float> y = rounded(random_normal(count_, 20), element_), post = dividing_weights(columns_),
                           next = dividing_weights(columns_);
  std::vector<float> y_given = y;
  for (const auto & [at, value] : y_changed) y_given[at] = value;
  const DeviceBuffer y_at = to_device(y_given, element_), post_at = raw_to_device(post);
  DeviceBuffer next_at = raw_to_device(next);
  NormArgs args{};
  args.rows = rows_, args.columns = columns_, args.epsilon = 1e-5f;
  args.y = step.adds ? y_at.data() : nullptr, args.post = step.post ? post_at.as<float>() : nullptr;
  args.x = x_at_.as<float>(), args.next = next_at.as<float>(), args.h_scale = 1;
  args.h = step.last ? wide_h_at_.data() : h_at_.data();
  args.element = element_, args.h_element = step.last ? Element::f32 : element_;
  args.before = form_, args.after = step.after, args.h_before = h_at_.data(), args.next_before = next_at_.as<float>();
  add_norm(args, nullptr);
  check_cuda(cudaDeviceSynchronize(), "add_norm");
  add_norm_reference({rows_, columns_, 1e-5f, step.adds ? y.data() : nullptr, step.post ? post.data() : nullptr,
                      next.data(), x_.data(), h_.data()});
  form_ = step.after, next_ = next, next_at_ = std::move(next_at);
}

std::vector<float> ResidualStream::residual() const {
  if (form_ == Residual::whole) return from_device(x_at_, count_, Element::f32);
  std::vector<char> rows(count_ * 4);
  std::vector<uint16_t> high(count_);
  check_cuda(cudaMemcpy(rows.data(), x_at_.data(), rows.size(), cudaMemcpyDeviceToHost), "copying remainders");
  check_cuda(cudaMemcpy(high.data(), h_at_.data(), count_ * 2, cudaMemcpyDeviceToHost), "copying h");
  std::vector<float> x(count_);
  const size_t columns = static_cast<size_t>(columns_);
  for (size_t i = 0; i < count_; i++) {
    const char * row = rows.data() + i / columns * columns * 4;
    float rms;
    std::memcpy(&rms, row + columns, sizeof rms);
    const uint8_t remainder = static_cast<uint8_t>(row[i % columns]);
    x[i] = joined_reference(high[i], remainder, element_) * rms / next_[i % columns];
  }
  return x;
}

void ResidualStream::check(const Step & step, double tolerance) const {
  const std::string what = std::string(step.post ? "post norm, " : "") + (step.last ? "last, " : "");
  expect_close(residual(), x_, tolerance, label(what + "x from a remainder of add_norm", element_, rows_, columns_));
  const Element h_element = step.last ? Element::f32 : element_;
  expect_close(from_device(step.last ? wide_h_at_ : h_at_, count_, h_element), h_,
               step.last ? tolerance : tolerance_of(element_),
               label(what + "h of add_norm", element_, rows_, columns_));
}

TEST("a norm finds x in what the norm before left of it, through every change of form") {
  const Residual whole = Residual::whole, remainder = Residual::remainder;
  for (Element element : kWide) {
    for (int rows : kRows) {
      for (int64_t columns : {64, 256, 3584, 4096, 8192, 32768}) {
        if (columns > 8192 && rows > 33) continue;
        for (bool post : {false, true}) {
          ResidualStream stream(element, rows, columns);
          for (const ResidualStream::Step & step : {ResidualStream::Step{remainder, false, false, false},
                                                    {remainder, true, post, false},
                                                    {whole, true, post, false},
                                                    {remainder, true, post, false},
                                                    {remainder, true, post, false},
                                                    {whole, true, post, true}}) {
            stream.run(step);
            stream.check(step, 3 * kSplitError);
          }
        }
      }
    }
  }
}

TEST("x out of remainders drifts in a hundred norms as independent errors add up") {
  for (Element element : kWide) {
    ResidualStream stream(element, 5, 3584);
    const ResidualStream::Step step{Residual::remainder, true, true, false};
    stream.run({Residual::remainder, false, false, false});
    for (int i = 0; i < 100; i++) stream.run(step);
    stream.check(step, 15 * kSplitError);
  }
}

// Of three rows the second, from the second norm on.
void check_spoilt_row(Element element, int64_t columns, float value, bool post) {
  ResidualStream stream(element, 3, columns);
  stream.run({Residual::remainder, false, false, false});
  stream.run({Residual::remainder, true, post, false}, {{static_cast<size_t>(columns) + 77, value}});
  for (Residual next : {Residual::remainder, Residual::whole, Residual::remainder}) {
    const std::vector<float> h = stream.output(), x = stream.residual();
    for (size_t i = 0; i < h.size(); i++) {
      const bool spoilt = i / static_cast<size_t>(columns) == 1;
      expect(std::isnan(h[i]) == spoilt && std::isnan(x[i]) == spoilt,
             label("element " + std::to_string(i) + " beside " + std::to_string(value), element, 3, columns));
    }
    stream.run({next, true, post, false});
  }
}

TEST("a row with a value that is not finite stays so, all of it and alone") {
  for (Element element : kWide) {
    for (int64_t columns : {128, 3584, 8192, 32768}) {
      for (float value : {INFINITY, -INFINITY, NAN}) {
        for (bool post : {false, true}) check_spoilt_row(element, columns, value, post);
      }
    }
  }
}

TEST("add_norm refuses forms that it has no kernel for, and rows that it has no registers for") {
  const auto refuses = [](auto change) {
    NormArgs args{};
    const float some = 0;
    args.rows = 1, args.columns = 64, args.y = args.h_before = &some, args.next_before = &some, args.h_scale = 1;
    args.element = args.h_element = Element::bf16;
    change(args);
    try {
      add_norm(args, nullptr);
    } catch (const Error & error) {
      return error.code() == Code::internal;
    }
    return false;
  };
  expect(refuses([](NormArgs & a) { a.columns = 40000; }), "40000 columns were taken");
  expect(refuses([](NormArgs & a) { a.h_element = Element::f16; }), "an h of another type was taken");
  expect(refuses([](NormArgs & a) { a.before = Residual::remainder, a.y = nullptr; }), "a remainder alone was taken");
  expect(refuses([](NormArgs & a) { a.before = Residual::remainder, a.h_before = nullptr; }),
         "a remainder of nothing was taken");
  expect(refuses([](NormArgs & a) { a.after = Residual::remainder, a.h_element = Element::e4m3; }),
         "a remainder of e4m3 was taken");
  expect(refuses([](NormArgs & a) { a.after = Residual::remainder, a.h_scale = 2; }), "a remainder was scaled");
}

}  // namespace

int main(int argc, char ** argv) { return run_tests(argc, argv); }
