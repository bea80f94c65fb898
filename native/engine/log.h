// ggml and llama.cpp report why they failed through one process-wide log callback only. A LogCapture keeps the warnings
// and errors that its own thread logs while it lives, so that an Error can carry them as its reason.
#pragma once

#include <string>

namespace pairscore {

class LogCapture {
 public:
  LogCapture();
  ~LogCapture();
  LogCapture(const LogCapture &) = delete;
  LogCapture & operator=(const LogCapture &) = delete;

  // ": the last lines", or "" when nothing was logged.
  std::string reason() const;
  void append(const char * text);

 private:
  LogCapture * outer_;
  std::string lines_;
};

}  // namespace pairscore
