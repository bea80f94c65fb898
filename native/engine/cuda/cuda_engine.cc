#include "engine/cuda/cuda_engine.h"

#include <algorithm>
#include <atomic>
#include <cmath>

#include "engine/cuda/choices.h"
#include "engine/cuda/forward.h"
#include "engine/rows.h"
#include "error.h"

namespace pairscore {
namespace {

constexpr size_t kSpareBytes = size_t(512) << 20;  // left to the driver, cuBLASLt and others
constexpr size_t kInFlight = 2;                    // groups of batches
// Where one row in kMostRedone of so many is computed twice, f16's closer answers for the others are not worth it.
constexpr int64_t kWatchedRows = 64, kMostRedone = 4;

class CudaEngine : public Engine {
 public:
  CudaEngine(const EngineSpec & spec, const CudaOptions & options);
  ~CudaEngine() override;
  const EngineInfo & info() const override { return info_; }
  std::vector<float> score(View<int32_t> tokens, View<int32_t> offsets) override;
  void cancel() override { cancelled_ = true; }

 private:
  // Host and device sides of one batch in flight.
  struct Slot {
    PinnedBuffer run, logits;
    DeviceBuffer device_run, device_logits;
    OwnEvent done;
    RowList rows;  // empty: nothing in flight
  };

  Keep choose_keep(const CudaOptions & options, const Adapter * adapter) const;
  WeightsRequest request(const Adapter * adapter, Keep keep) const {
    return {base_, adapter, head_, shape_, compute_, keep, spec_.max_sequence_tokens};
  }
  void open_weights(const CudaOptions & options);
  void describe();
  void run(Element compute, View<int32_t> tokens, View<int32_t> offsets, std::vector<float> & logits);
  DeviceBatch send(Slot & slot, Element compute, View<int32_t> tokens, View<int32_t> offsets);
  void start(const std::vector<Slot *> & slots, const std::vector<DeviceBatch> & batches);
  void collect(Slot & slot, std::vector<float> & logits);
  RowList rows_not_finite(const std::vector<float> & logits) const;
  void redo(const RowList & rows, View<int32_t> tokens, View<int32_t> offsets, std::vector<float> & logits);
  void watch(size_t rows, size_t redone);

  const EngineSpec spec_;
  const int device_;
  const cudaDeviceProp properties_;
  const GgufFile base_;
  const ModelShape shape_;
  const Head head_;
  Element compute_;
  const Element safer_;  // than compute_, or the same
  Element opened_in_;
  const AttentionPath attention_;
  const BatchLimits limits_;
  EngineInfo info_{};
  Weights weights_;
  size_t group_ = 1;  // batches
  std::unique_ptr<Forward> forward_;
  std::vector<std::unique_ptr<Slot>> slots_;
  int64_t watched_ = 0, redone_ = 0;  // rows
  std::atomic<bool> cancelled_{false};
};

CudaEngine::CudaEngine(const EngineSpec & spec, const CudaOptions & options)
    : spec_(spec),
      device_(parse_device(spec.device)),
      properties_(properties_of(device_)),
      base_(spec.base_path),
      shape_(read_shape(base_)),
      head_(spec.head_path, base_),
      compute_(choose_compute(options, properties_)),
      safer_(choose_safer(options, properties_, compute_)),
      opened_in_(compute_),
      attention_(choose_attention(options, properties_, shape_)),
      limits_(choose_limits(spec, properties_)) {
  const DeviceScope scope(device_);
  open_weights(options);
  forward_ =
      std::make_unique<Forward>(shape_, weights_,
                                ForwardSpec{compute_, safer_, attention_,
                                            spec.attention_soft_cap ? shape_.attention_soft_cap : 0.f, limits_, group_},
                                head_.label_count());
  const size_t run = static_cast<size_t>(largest_packing(limits_, attention_tile_rows(shape_.head_width, attention_))) *
                     sizeof(int32_t);
  const size_t logits = static_cast<size_t>(limits_.rows) * static_cast<size_t>(head_.label_count()) * sizeof(float);
  for (size_t i = 0; i < kInFlight * group_; i++) {
    slots_.push_back(std::make_unique<Slot>());
    slots_.back()->run = PinnedBuffer(run), slots_.back()->device_run = DeviceBuffer(run);
    slots_.back()->logits = PinnedBuffer(logits), slots_.back()->device_logits = DeviceBuffer(logits);
  }
  describe();
}

CudaEngine::~CudaEngine() {
  int before = 0;
  const bool known = cudaGetDevice(&before) == cudaSuccess;
  cudaSetDevice(device_);
  if (forward_) cudaStreamSynchronize(forward_->stream());
  forward_.reset();
  weights_ = Weights();
  slots_.clear();
  if (known) cudaSetDevice(before);
}

void CudaEngine::open_weights(const CudaOptions & options) {
  std::unique_ptr<Adapter> adapter;
  if (!spec_.adapter_path.empty()) adapter = std::make_unique<Adapter>(spec_.adapter_path, base_);
  const Keep keep = choose_keep(options, adapter.get());
  weights_ = load_weights(request(adapter.get(), keep));
  if (compute_ != safer_ && !suits_f16(weights_.range)) {
    compute_ = opened_in_ = safer_;
    weights_ = Weights();  // before the others take memory
    weights_ = load_weights(request(adapter.get(), keep));
  }
  if (!std::isfinite(weights_.range.most)) {
    throw Error(Code::model_values, "Expected weights within the range of " + std::string(compute_name(compute_)) +
                                        " in tensor " + weights_.range.widest + " of " + spec_.base_path +
                                        " but received values that are larger, infinite or NaN");
  }
  if (keep == Keep::streamed) group_ = choose_group(spec_, limits_);
  info_.adapter_matched = adapter ? static_cast<int32_t>(adapter->pairs().size()) : 0;
  info_.adapter_unmatched = 0;
  info_.adapter_scale = adapter && !adapter->pairs().empty() ? adapter->pairs()[0].scale : 0;
  info_.compute = keep == Keep::resident ? compute_name(compute_) : std::string(compute_name(compute_)) + ", streamed";
}

Keep CudaEngine::choose_keep(const CudaOptions & options, const Adapter * adapter) const {
  const bool streamable = compute_ != Element::e4m3;
  if (options.weights == CudaOptions::Weights::streamed) {
    if (streamable) return Keep::streamed;
    throw Error(Code::usage, "Expected resident weights for fp8 but received streamed");
  }
  if (options.weights == CudaOptions::Weights::resident || !streamable) return Keep::resident;
  size_t free = 0, total = 0;
  check_cuda(cudaMemGetInfo(&free, &total), "reading the device's memory");
  const int64_t wide = std::max((shape_.qkv_size() + shape_.q_size()) * 2, int64_t(shape_.feed_forward) * 4);
  const size_t token = static_cast<size_t>(shape_.hidden * 8 + wide + int64_t(shape_.feed_forward) * 2);
  const size_t expanded = compute_ == safer_ ? 0 : static_cast<size_t>(shape_.feed_forward) * 4 * shape_.hidden;
  const size_t needed = estimated_weight_bytes(request(adapter, Keep::resident)) +
                        token * static_cast<size_t>(limits_.tokens) + expanded + kSpareBytes;
  return needed <= free ? Keep::resident : Keep::streamed;
}

void CudaEngine::describe() {
  info_.architecture = shape_.architecture;
  const TensorInfo * layer = base_.find("blk.0.ffn_down.weight");
  info_.quantization = layer ? ggml_type_name(layer->type) : "";
  info_.device = spec_.device;
  info_.device_name = properties_.name;
  info_.hidden_size = shape_.hidden;
  info_.layer_count = shape_.layers;
  info_.vocabulary_size = shape_.vocabulary;
  info_.label_count = head_.label_count();
  info_.labels = head_.label_names();
  info_.weight_bytes = weights_.bytes;
}

std::vector<float> CudaEngine::score(View<int32_t> tokens, View<int32_t> offsets) {
  const int32_t rows = static_cast<int32_t>(offsets.size) - 1;
  // Any number of rows: they are split here.
  check_rows(tokens, offsets, {shape_.vocabulary, spec_.max_sequence_tokens, std::max(rows, 1)});
  const DeviceScope scope(device_);
  std::vector<float> logits(static_cast<size_t>(rows) * static_cast<size_t>(head_.label_count()));
  try {
    run(compute_, tokens, offsets, logits);
    if (compute_ != safer_) redo(rows_not_finite(logits), tokens, offsets, logits);
  } catch (...) {
    cudaStreamSynchronize(forward_->stream());
    for (const std::unique_ptr<Slot> & slot : slots_) slot->rows.clear();
    throw;
  }
  return logits;
}

void CudaEngine::run(Element compute, View<int32_t> tokens, View<int32_t> offsets, std::vector<float> & logits) {
  std::vector<RowList> shared = share_rows(offsets, limits_);
  for (size_t next = 0; next < shared.size();) {
    if (cancelled_) throw Error(Code::closed, "The engine was closed while it was scoring");
    std::vector<Slot *> group;
    std::vector<DeviceBatch> batches;
    for (size_t i = 0; i < group_ && next < shared.size(); i++, next++) {
      Slot & slot = *slots_[next % slots_.size()];
      collect(slot, logits);
      slot.rows = std::move(shared[next]);
      group.push_back(&slot);
      batches.push_back(send(slot, compute, tokens, offsets));
    }
    start(group, batches);
  }
  for (const std::unique_ptr<Slot> & slot : slots_) collect(*slot, logits);
  if (compute != opened_in_) info_.rows_in_bf16 += static_cast<int64_t>(offsets.size) - 1;
}

// An activation that its type cannot hold is infinite, and from there on nothing of its row is finite that depends on it:
// docs/performance.md goes through the places. So the logits tell.
RowList CudaEngine::rows_not_finite(const std::vector<float> & logits) const {
  const size_t labels = static_cast<size_t>(head_.label_count());
  RowList rows;
  for (size_t i = 0; i < logits.size(); i++) {
    const int32_t row = static_cast<int32_t>(i / labels);
    if (!std::isfinite(logits[i]) && (rows.empty() || rows.back() != row)) rows.push_back(row);
  }
  return rows;
}

void CudaEngine::redo(const RowList & rows, View<int32_t> tokens, View<int32_t> offsets, std::vector<float> & logits) {
  watch(offsets.size - 1, rows.size());
  if (rows.empty()) return;
  std::vector<int32_t> their_tokens, their_offsets = {0};
  for (int32_t row : rows) {
    const int32_t *first = tokens.data + offsets[static_cast<size_t>(row)],
                  *end = tokens.data + offsets[static_cast<size_t>(row) + 1];
    their_tokens.insert(their_tokens.end(), first, end);
    their_offsets.push_back(static_cast<int32_t>(their_tokens.size()));
  }
  const size_t labels = static_cast<size_t>(head_.label_count());
  std::vector<float> again(rows.size() * labels);
  run(safer_, {their_tokens.data(), their_tokens.size()}, {their_offsets.data(), their_offsets.size()}, again);
  for (size_t i = 0; i < rows.size(); i++)
    std::copy_n(again.begin() + static_cast<std::ptrdiff_t>(i * labels), labels,
                logits.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(rows[i]) * labels));
}

// A model that needs bf16 often gets it for good, so that its rows are not computed twice.
void CudaEngine::watch(size_t rows, size_t redone) {
  watched_ += static_cast<int64_t>(rows), redone_ += static_cast<int64_t>(redone);
  if (watched_ < kWatchedRows) return;
  if (redone_ * kMostRedone >= watched_) {
    weights_.convert(safer_, forward_->stream());
    compute_ = safer_;
  }
  watched_ = redone_ = 0;
}

DeviceBatch CudaEngine::send(Slot & slot, Element compute, View<int32_t> tokens, View<int32_t> offsets) {
  const int32_t tile_rows = attention_tile_rows(shape_.head_width, attention_);
  const Packing packing = pack_rows({tokens, offsets}, slot.rows, tile_rows, slot.run.as<int32_t>());
  const cudaStream_t stream = forward_->stream();
  check_cuda(cudaMemcpyAsync(slot.device_run.data(), slot.run.as<char>(),
                             static_cast<size_t>(packing.size()) * sizeof(int32_t), cudaMemcpyHostToDevice, stream),
             "copying a batch to the device");
  return {packing, slot.device_run.as<int32_t>(), slot.device_logits.as<float>(), compute};
}

void CudaEngine::start(const std::vector<Slot *> & slots, const std::vector<DeviceBatch> & batches) {
  const cudaStream_t stream = forward_->stream();
  forward_->enqueue({batches.data(), batches.size()});
  for (Slot * slot : slots) {
    const size_t bytes = slot->rows.size() * static_cast<size_t>(head_.label_count()) * sizeof(float);
    check_cuda(
        cudaMemcpyAsync(slot->logits.as<char>(), slot->device_logits.data(), bytes, cudaMemcpyDeviceToHost, stream),
        "copying logits from the device");
    slot->done.record(stream);
  }
}

void CudaEngine::collect(Slot & slot, std::vector<float> & logits) {
  if (slot.rows.empty()) return;
  slot.done.wait();
  const size_t labels = static_cast<size_t>(head_.label_count());
  const float * values = slot.logits.as<float>();
  for (int32_t row : slot.rows) {
    std::copy(values, values + labels, logits.begin() + static_cast<std::ptrdiff_t>(static_cast<size_t>(row) * labels));
    values += labels;
  }
  slot.rows.clear();
}

}  // namespace

std::string cuda_unsupported_reason(const EngineSpec & spec) {
  const cudaDeviceProp properties = properties_of(parse_device(spec.device));
  if (properties.major * 10 + properties.minor < 75)
    return std::string(properties.name) + " is older than compute capability 7.5";
  return unsupported_reason(GgufFile(spec.base_path));
}

std::unique_ptr<Engine> open_cuda_engine(const EngineSpec & spec, const CudaOptions & options) {
  const std::string reason = cuda_unsupported_reason(spec);
  if (!reason.empty())
    throw Error(Code::model_mismatch,
                "Expected a model that the CUDA engine can run in " + spec.base_path + " but " + reason);
  return std::make_unique<CudaEngine>(spec, options);
}

std::vector<DeviceInfo> cuda_devices() {
  std::vector<DeviceInfo> devices;
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();
    return devices;
  }
  for (int i = 0; i < count; i++) {
    const cudaDeviceProp properties = properties_of(i);
    size_t free = 0, total = properties.totalGlobalMem;
    {
      const DeviceScope scope(i);
      check_cuda(cudaMemGetInfo(&free, &total), "reading the device's memory");
    }
    devices.push_back({"cuda:" + std::to_string(i), properties.name, total, free});
  }
  return devices;
}

}  // namespace pairscore
