#include "engine/cuda/lt_library.h"

#include <dlfcn.h>

#include "error.h"

namespace pairscore {
namespace {

// The last ones for toolkits that are installed without an entry for the loader.
const char * const kNames[] = {"libcublasLt.so.13", "libcublasLt.so.12", "libcublasLt.so",
                               "/usr/local/cuda/lib64/libcublasLt.so",
                               "/usr/local/cuda/targets/x86_64-linux/lib/libcublasLt.so"};

void * open_library() {
  std::string reason;
  for (const char * name : kNames) {
    if (void * library = dlopen(name, RTLD_NOW | RTLD_LOCAL)) return library;
    reason = dlerror();
  }
  throw Error(
      Code::device_failed,
      "Expected cuBLASLt 12 or 13 (libcublasLt.so, of the CUDA toolkit) on the library path but received: " + reason);
}

template <typename Function>
void bind(void * library, const char * name, Function & function) {
  function = reinterpret_cast<Function>(dlsym(library, name));
  if (!function) throw Error(Code::device_failed, std::string("Expected ") + name + " in cuBLASLt but it is missing");
}

LtLibrary load_library() {
  void * library = open_library();
  LtLibrary lt;
  bind(library, "cublasLtCreate", lt.create);
  bind(library, "cublasLtDestroy", lt.destroy);
  bind(library, "cublasLtGetVersion", lt.version);
  bind(library, "cublasLtMatmul", lt.matmul);
  bind(library, "cublasLtMatmulDescCreate", lt.desc_create);
  bind(library, "cublasLtMatmulDescDestroy", lt.desc_destroy);
  bind(library, "cublasLtMatmulDescSetAttribute", lt.desc_set);
  bind(library, "cublasLtMatrixLayoutCreate", lt.layout_create);
  bind(library, "cublasLtMatrixLayoutDestroy", lt.layout_destroy);
  bind(library, "cublasLtMatmulPreferenceCreate", lt.preference_create);
  bind(library, "cublasLtMatmulPreferenceDestroy", lt.preference_destroy);
  bind(library, "cublasLtMatmulPreferenceSetAttribute", lt.preference_set);
  bind(library, "cublasLtMatmulAlgoGetHeuristic", lt.heuristic);
  return lt;
}

}  // namespace

const LtLibrary & lt_library() {
  static const LtLibrary library = load_library();
  return library;
}

void check_lt(cublasStatus_t status, const std::string & what) {
  if (status == CUBLAS_STATUS_SUCCESS) return;
  throw Error(Code::device_failed, "Expected " + what + " to succeed but received cuBLAS status " +
                                       std::to_string(static_cast<int>(status)));
}

}  // namespace pairscore
