#include "engine/log.h"

#include <mutex>

#include "ggml.h"

namespace pairscore {
namespace {

constexpr size_t kMostBytes = 2000;

thread_local LogCapture * innermost = nullptr;

void on_log(ggml_log_level level, const char * text, void *) {
  if (!innermost) return;
  // CONT continues a line whose level is no longer known; such lines are progress dots, not errors.
  if (level == GGML_LOG_LEVEL_ERROR || level == GGML_LOG_LEVEL_WARN) innermost->append(text);
}

}  // namespace

LogCapture::LogCapture() : outer_(innermost) {
  static std::once_flag installed;
  std::call_once(installed, [] { ggml_log_set(on_log, nullptr); });
  innermost = this;
}

LogCapture::~LogCapture() { innermost = outer_; }

void LogCapture::append(const char * text) {
  lines_ += text;
  if (lines_.size() > kMostBytes) lines_.erase(0, lines_.size() - kMostBytes);
}

std::string LogCapture::reason() const {
  const size_t end = lines_.find_last_not_of(" \n");
  if (end == std::string::npos) return "";
  std::string text = ": ";
  for (char c : lines_.substr(0, end + 1)) {
    if (c == '\n') {
      text += "; ";
    } else {
      text += c;
    }
  }
  return text;
}

}  // namespace pairscore
