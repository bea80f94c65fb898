// The one error that native code throws, and the table of its codes: the strings of lib/errors.ts.
#pragma once

#include <stdexcept>
#include <string>
#include <utility>

namespace pairscore {

enum class Code {
  internal,
  closed,
  usage,
  model_file,
  model_mismatch,
  model_values,
  device_unknown,
  device_memory,
  device_failed,
};

struct CodeName {
  Code code;
  const char * name;
};

inline constexpr CodeName kCodeNames[] = {
    {Code::internal, "ERR_INTERNAL"},
    {Code::closed, "ERR_CLOSED"},
    {Code::usage, "ERR_USAGE"},
    {Code::model_file, "ERR_MODEL_FILE"},
    {Code::model_mismatch, "ERR_MODEL_MISMATCH"},
    {Code::model_values, "ERR_MODEL_VALUES"},
    {Code::device_unknown, "ERR_DEVICE_UNKNOWN"},
    {Code::device_memory, "ERR_DEVICE_MEMORY"},
    {Code::device_failed, "ERR_DEVICE_FAILED"},
};

inline const char * code_name(Code code) {
  for (const CodeName & entry : kCodeNames) {
    if (entry.code == code) return entry.name;
  }
  return "ERR_INTERNAL";
}

class Error : public std::runtime_error {
 public:
  Error(Code code, const std::string & message) : std::runtime_error(message), code_(code) {}
  Code code() const { return code_; }

 private:
  Code code_;
};

}  // namespace pairscore
