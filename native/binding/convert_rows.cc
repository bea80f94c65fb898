#include <cstring>
#include <memory>
#include <utility>

#include "binding/arguments.h"
#include "binding/seat.h"
#include "binding/wraps.h"
#include "engine/engine.h"

namespace pairscore {
namespace {

struct Rows {};
using RowsSeat = Seat<Rows>;

class ConvertWorker final : public PromiseWorker {
 public:
  ConvertWorker(const Napi::CallbackInfo & info, std::shared_ptr<RowsSeat> seat)
      : PromiseWorker(info.Env()),
        spec_(ReadSpec(ObjectArgument(info, 0))),
        rows_(Uint8Argument(info, 1)),
        a_(Float32Argument(info, 2)),
        b_(Float32Argument(info, 3)),
        seat_(std::move(seat)) {}

 protected:
  void Run() override {
    result_ = convert_rows(spec_, {rows_.data(), rows_.size()}, {a_.data(), a_.size()}, {b_.data(), b_.size()});
  }
  Napi::Value Result(Napi::Env env) override { return ToUint8Array(env, result_); }

 private:
  static RowsSpec ReadSpec(const Napi::Object & spec) {
    return {TextField(spec, "from"), TextField(spec, "to"), IntegerField(spec, "columns"),
            IntegerField(spec, "threads")};
  }

  const RowsSpec spec_;
  const std::vector<uint8_t> rows_;
  const std::vector<float> a_;
  const std::vector<float> b_;
  std::shared_ptr<RowsSeat> seat_;  // keeps the thread until the promise has settled
  std::vector<uint8_t> result_;
};

}  // namespace

// convertRows(spec: RowsSpec, rows: Uint8Array, a: Float32Array, b: Float32Array): Promise<Uint8Array>
Napi::Value ConvertRows(const Napi::CallbackInfo & info) {
  auto seat = std::make_shared<RowsSeat>(info.Env(), nullptr);
  return seat->queue->Submit(std::make_unique<ConvertWorker>(info, seat));
}

}  // namespace pairscore
