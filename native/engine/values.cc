#include "engine/values.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <exception>
#include <mutex>

#include "engine/stop.h"
#include "engine/threads.h"
#include "error.h"

namespace pairscore {
namespace {

constexpr uint64_t kChunkBytes = 4u << 20;

struct Chunk {
  const TensorInfo * tensor;
  uint64_t offset;  // from the start of the file
  uint64_t bytes;
};

class OpenFile {
 public:
  explicit OpenFile(const std::string & path) : file_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {}
  ~OpenFile() {
    if (file_ >= 0) close(file_);
  }
  OpenFile(const OpenFile &) = delete;
  OpenFile & operator=(const OpenFile &) = delete;

  bool read(char * target, uint64_t bytes, uint64_t offset) const {
    while (bytes > 0) {
      const ssize_t got = pread(file_, target, bytes, static_cast<off_t>(offset));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) return false;
      target += got;
      bytes -= static_cast<uint64_t>(got);
      offset += static_cast<uint64_t>(got);
    }
    return true;
  }

 private:
  const int file_;
};

// Whole blocks each, in the file's order: a disk is read from front to back.
std::vector<Chunk> chunks_of(const GgufFile & file) {
  std::vector<Chunk> chunks;
  for (const TensorInfo & tensor : file.tensors()) {
    const uint64_t block = ggml_type_size(tensor.type);
    const uint64_t step = std::max<uint64_t>(1, kChunkBytes / block) * block;
    for (uint64_t done = 0; done < tensor.bytes; done += step) {
      chunks.push_back({&tensor, tensor.offset + done, std::min(step, tensor.bytes - done)});
    }
  }
  std::sort(chunks.begin(), chunks.end(), [](const Chunk & a, const Chunk & b) { return a.offset < b.offset; });
  return chunks;
}

class ValueCheck {
 public:
  explicit ValueCheck(const GgufFile & file)
      : path_(file.path()), file_(file.path()), chunks_(chunks_of(file)), stop_(current_stop()) {}

  // Any thread, any number of them at once.
  void work() {
    try {
      std::vector<char> bytes(kChunkBytes);
      for (size_t i; !is_over() && (i = next_++) < chunks_.size();) check(chunks_[i], bytes);
    } catch (...) {
      const std::lock_guard<std::mutex> lock(failing_);
      if (!failure_) failure_ = std::current_exception();
      failed_ = true;
    }
  }

  void finish() {
    if (failure_) std::rethrow_exception(failure_);
    throw_if_stopped();
  }

 private:
  bool is_over() const { return failed_ || (stop_ && stop_->requested()); }

  void check(const Chunk & chunk, std::vector<char> & bytes) const {
    bytes.resize(std::max<size_t>(bytes.size(), chunk.bytes));
    if (!file_.read(bytes.data(), chunk.bytes, chunk.offset)) {
      throw Error(Code::model_file,
                  "Expected to read tensor " + chunk.tensor->name + " of " + path_ + " but the read failed");
    }
    if (ggml_validate_row_data(chunk.tensor->type, bytes.data(), chunk.bytes)) return;
    throw Error(Code::model_values, "Expected finite values in tensor " + chunk.tensor->name + " of " + path_ +
                                        " but received NaN, infinity or a scale that is none");
  }

  const std::string path_;
  const OpenFile file_;
  const std::vector<Chunk> chunks_;
  const Stop * const stop_;
  std::atomic<size_t> next_{0};
  std::atomic<bool> failed_{false};
  std::mutex failing_;
  std::exception_ptr failure_;
};

}  // namespace

void check_values(const GgufFile & file, int32_t threads) {
  ValueCheck check(file);
  Threads others;
  for (int32_t i = 1; i < threads && others.start([&check] { check.work(); });) i++;
  check.work();
  others.join();
  check.finish();
}

}  // namespace pairscore
