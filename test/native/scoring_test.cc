// An environment that goes down cancels scoring once; that must not be lost on a call that is just about to begin.
#include "binding/scoring.h"

#include "../gpu/check.h"

namespace pairscore {
namespace {

using test::expect;

class FakeEngine final : public Engine {
 public:
  const EngineInfo & info() const override { return info_; }
  std::vector<float> score(View<int32_t>, View<int32_t>) override { return {}; }
  void cancel() override { cancels++; }

  int cancels = 0;

 private:
  EngineInfo info_{};
};

TEST("a cancel reaches the engine that is scoring") {
  FakeEngine engine;
  Scoring scoring;
  const Scoring::Scope scope(scoring, &engine);
  scoring.cancel();
  expect(engine.cancels == 1, "one cancel");
}

TEST("a cancel between two calls reaches the engine before the next one scores") {
  FakeEngine engine;
  Scoring scoring;
  { const Scoring::Scope first(scoring, &engine); }
  scoring.cancel();
  expect(engine.cancels == 0, "nothing to cancel yet");
  const Scoring::Scope second(scoring, &engine);
  expect(engine.cancels == 1, "the second call is cancelled");
}

TEST("calls that nobody cancels are not cancelled") {
  FakeEngine engine;
  Scoring scoring;
  { const Scoring::Scope first(scoring, &engine); }
  { const Scoring::Scope second(scoring, &engine); }
  expect(engine.cancels == 0, "no cancel");
}

TEST("a cancel after the last call touches no engine") {
  FakeEngine engine;
  Scoring scoring;
  { const Scoring::Scope only(scoring, &engine); }
  scoring.cancel();
  expect(engine.cancels == 0, "the engine may be gone");
}

}  // namespace
}  // namespace pairscore

int main(int argc, char ** argv) { return pairscore::test::run_tests(argc, argv); }
