#include "engine/cuda/cuda_engine.h"

#include <algorithm>
#include <atomic>

#include "engine/cuda/forward.h"
#include "engine/rows.h"
#include "error.h"
#include "kernels/attention_hopper.h"

namespace pairscore {
namespace {

constexpr size_t kSpareBytes = size_t(512) << 20;  // left to the driver, cuBLASLt and others
constexpr int kInFlight = 2;
constexpr int32_t kMostRows = 512;  // of a batch: rows cost little memory

int parse_device(const std::string & name) {
  const std::string digits = name.compare(0, 5, "cuda:") == 0 ? name.substr(5) : "";
  const bool number =
      !digits.empty() && digits.size() < 4 && digits.find_first_not_of("0123456789") == std::string::npos;
  int count = 0;
  if (cudaGetDeviceCount(&count) != cudaSuccess) {
    cudaGetLastError();
    count = 0;
  }
  if (number && std::stoi(digits) < count) return std::stoi(digits);
  throw Error(Code::device_unknown, "Expected a device cuda:0 to cuda:N of " + std::to_string(count) +
                                        " CUDA devices but received \"" + name + "\"");
}

cudaDeviceProp properties_of(int device) {
  cudaDeviceProp properties;
  check_cuda(cudaGetDeviceProperties(&properties, device), "reading the device's properties");
  return properties;
}

Element choose_compute(const CudaOptions & options, const cudaDeviceProp & device) {
  const int capability = device.major * 10 + device.minor;
  const auto require = [&](int least, const char * what) {
    if (capability >= least) return;
    throw Error(Code::usage, std::string("Expected compute capability ") + std::to_string(least / 10) + "." +
                                 std::to_string(least % 10) + " or later for " + what + " but " + device.name +
                                 " has " + std::to_string(device.major) + "." + std::to_string(device.minor));
  };
  if (options.compute == CudaOptions::Compute::fp8) require(89, "fp8");
  if (options.compute == CudaOptions::Compute::bf16) require(80, "bf16");
  if (options.attention == CudaOptions::Attention::turing) return Element::f16;
  if (options.compute == CudaOptions::Compute::fp8) return Element::e4m3;
  if (options.compute == CudaOptions::Compute::bf16) return Element::bf16;
  return options.compute == CudaOptions::Compute::f16 || capability < 80 ? Element::f16 : Element::bf16;
}

AttentionPath choose_attention(const CudaOptions & options, const cudaDeviceProp & device, const ModelShape & shape) {
  if (options.attention == CudaOptions::Attention::turing || device.major < 8) return AttentionPath::turing;
  const bool whole = shape.q_heads / shape.kv_heads % attention_hopper_heads(shape.head_width) == 0;
  const bool hopper =
      device.major == 9 && device.minor == 0 && whole && options.attention == CudaOptions::Attention::automatic;
  return hopper ? AttentionPath::hopper : AttentionPath::ampere;
}

// Batches of whole waves: so many tokens that tiles of 128 x 256 fill all multiprocessors for every width that is a
// multiple of 512. More tokens a batch are no faster, so a larger call is shared out.
BatchLimits choose_limits(const EngineSpec & spec, const cudaDeviceProp & device) {
  const int32_t wave = device.multiProcessorCount / 2 * 128;
  const int32_t tokens = std::max(std::min(spec.max_batch_tokens, wave), spec.max_sequence_tokens);
  return {tokens, std::max(spec.max_batch_sequences, kMostRows)};
}

const char * compute_name(Element element) {
  if (element == Element::e4m3) return "fp8";
  return element == Element::f16 ? "f16" : "bf16";
}

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
  void start(Slot & slot, View<int32_t> tokens, View<int32_t> offsets);
  void collect(Slot & slot, std::vector<float> & logits);

  const EngineSpec spec_;
  const int device_;
  const cudaDeviceProp properties_;
  const GgufFile base_;
  const ModelShape shape_;
  const Head head_;
  const Element compute_;
  const AttentionPath attention_;
  const BatchLimits limits_;
  EngineInfo info_;
  Weights weights_;
  std::unique_ptr<Forward> forward_;
  std::vector<std::unique_ptr<Slot>> slots_;
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
      attention_(choose_attention(options, properties_, shape_)),
      limits_(choose_limits(spec, properties_)) {
  const DeviceScope scope(device_);
  open_weights(options);
  forward_ = std::make_unique<Forward>(
      shape_, weights_,
      ForwardSpec{compute_, attention_, spec.attention_soft_cap ? shape_.attention_soft_cap : 0.f, limits_},
      head_.label_count());
  const size_t run = static_cast<size_t>(largest_packing(limits_, attention_tile_rows(shape_.head_width, attention_))) *
                     sizeof(int32_t);
  const size_t logits = static_cast<size_t>(limits_.rows) * static_cast<size_t>(head_.label_count()) * sizeof(float);
  for (int i = 0; i < kInFlight; i++) {
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
  info_.adapter_matched = adapter ? static_cast<int32_t>(adapter->pairs().size()) : 0;
  info_.adapter_unmatched = 0;
  info_.adapter_scale = adapter && !adapter->pairs().empty() ? adapter->pairs()[0].scale : 0;
  info_.compute = keep == Keep::resident ? compute_name(compute_) : std::string(compute_name(compute_)) + ", streamed";
}

Keep CudaEngine::choose_keep(const CudaOptions & options, const Adapter * adapter) const {
  const bool streamable = compute_ != Element::e4m3 && !shape_.padded();
  if (options.weights == CudaOptions::Weights::streamed) {
    if (streamable) return Keep::streamed;
    const char * what = shape_.padded() ? "heads of another size than 64, 128 and 256" : "fp8";
    throw Error(Code::usage, std::string("Expected resident weights for ") + what + " but received streamed");
  }
  if (options.weights == CudaOptions::Weights::resident || !streamable) return Keep::resident;
  size_t free = 0, total = 0;
  check_cuda(cudaMemGetInfo(&free, &total), "reading the device's memory");
  const size_t token = static_cast<size_t>(shape_.hidden) * 8 +
                       static_cast<size_t>(shape_.qkv_size() + shape_.q_size()) * 2 +
                       static_cast<size_t>(shape_.feed_forward) * 6;
  const size_t needed = estimated_weight_bytes(request(adapter, Keep::resident)) +
                        token * static_cast<size_t>(limits_.tokens) + kSpareBytes;
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
  int turn = 0;
  try {
    for (RowList & rows_of_batch : share_rows(offsets, limits_)) {
      if (cancelled_) throw Error(Code::closed, "The engine was closed while it was scoring");
      Slot & slot = *slots_[static_cast<size_t>(turn++ % kInFlight)];
      collect(slot, logits);
      slot.rows = std::move(rows_of_batch);
      start(slot, tokens, offsets);
    }
    for (const std::unique_ptr<Slot> & slot : slots_) collect(*slot, logits);
  } catch (...) {
    cudaStreamSynchronize(forward_->stream());
    for (const std::unique_ptr<Slot> & slot : slots_) slot->rows.clear();
    throw;
  }
  return logits;
}

void CudaEngine::start(Slot & slot, View<int32_t> tokens, View<int32_t> offsets) {
  const int32_t tile_rows = attention_tile_rows(shape_.head_width, attention_);
  const Packing packing = pack_rows(tokens, offsets, slot.rows, tile_rows, slot.run.as<int32_t>());
  const cudaStream_t stream = forward_->stream();
  check_cuda(cudaMemcpyAsync(slot.device_run.data(), slot.run.as<char>(),
                             static_cast<size_t>(packing.size()) * sizeof(int32_t), cudaMemcpyHostToDevice, stream),
             "copying a batch to the device");
  forward_->enqueue({packing, slot.device_run.as<int32_t>(), slot.device_logits.as<float>()});
  const size_t bytes = static_cast<size_t>(packing.rows) * static_cast<size_t>(head_.label_count()) * sizeof(float);
  check_cuda(cudaMemcpyAsync(slot.logits.as<char>(), slot.device_logits.data(), bytes, cudaMemcpyDeviceToHost, stream),
             "copying logits from the device");
  slot.done.record(stream);
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
