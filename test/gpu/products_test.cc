// The race between algorithms of a product. Needs a GPU.
#include "engine/cuda/products.h"

#include <cmath>
#include <stdexcept>

#include "kernels/gated_product.h"
#include "on_device.h"

using namespace pairscore;
using namespace pairscore::test;

namespace {

// Large enough for a race between cuBLASLt's algorithms and our own kernel.
class RacingProduct {
 public:
  RacingProduct()
      : a_(rounded(random_normal(kRows * kDepth, 1), Element::bf16)),
        w_(rounded(random_normal(2 * kColumns * kDepth, 0.1f), Element::bf16)),
        a_at_(to_device(a_, Element::bf16)),
        w_at_(to_device(w_, Element::bf16)),
        wide_at_(poisoned(2 * kRows * kColumns, Element::bf16)),
        out_at_(poisoned(kRows * kColumns, Element::bf16)),
        expected_(kRows * kColumns),
        products_(stream_.get(), Gating::fused) {
    gated_product_reference({nullptr, nullptr, nullptr, kRows, kColumns, kDepth, Activation::silu, Element::bf16},
                            a_.data(), w_.data(), expected_.data());
    run();  // times every candidate
  }

  Products & products() { return products_; }

  void run() {
    poison(out_at_);
    products_.run_gated(
        {a_at_.data(), w_at_.data(), wide_at_.data(), kRows, 2 * kColumns, kDepth, 2 * kColumns, nullptr, nullptr,
         Element::bf16, Element::bf16},
        {wide_at_.data(), kRows, kColumns, Activation::silu, out_at_.data(), nullptr, Element::bf16, Element::bf16});
    stream_.wait();
    expect_close(from_device(out_at_, kRows * kColumns, Element::bf16), expected_, 2 * tolerance_of(Element::bf16),
                 "gated");
  }

  // Our own kernel leaves the wide product out.
  bool runs_fused() {
    poison(wide_at_);
    run();
    return std::isnan(from_device(wide_at_, 1, Element::bf16)[0]);
  }

  void expect_no_turns(const std::string & after) {
    const bool fused = runs_fused();
    for (int i = 0; i < 8; i++) expect(runs_fused() == fused, "candidates take turns after " + after);
  }

 private:
  static constexpr int64_t kRows = 2100, kColumns = 256, kDepth = 192;
  const std::vector<float> a_, w_;
  const DeviceBuffer a_at_, w_at_, wide_at_, out_at_;
  std::vector<float> expected_;
  OwnStream stream_;
  Products products_;
};

TEST("a gated product is the same whichever kernels the race chooses, and apart from the race") {
  RacingProduct product;
  product.expect_no_turns("being timed");
  product.products().race([&] {
    for (int i = 0; i < 20; i++) product.run();
  });
  product.expect_no_turns("a race");
}

TEST("a race that fails is over, and another can be run") {
  RacingProduct product;
  const auto failing = [&] {
    product.run();
    throw std::runtime_error("a pass that fails");
  };
  try {
    product.products().race(failing);
    expect(false, "a pass that fails was not heard of");
  } catch (const std::runtime_error & error) {
    expect(std::string(error.what()) == "a pass that fails", error.what());
  }
  product.expect_no_turns("a race that failed");
  product.products().race([&] {
    for (int i = 0; i < 20; i++) product.run();
  });
  product.expect_no_turns("a race after one that failed");
}

}  // namespace

int main(int argc, char ** argv) { return run_tests(argc, argv); }
