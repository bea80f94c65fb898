// cuBLASLt, opened when the first engine needs it, so that the addon loads on machines without it.
#pragma once

#include <cublasLt.h>

#include <string>

namespace pairscore {

struct LtLibrary {
  decltype(&cublasLtCreate) create;
  decltype(&cublasLtDestroy) destroy;
  decltype(&cublasLtGetVersion) version;
  decltype(&cublasLtMatmul) matmul;
  decltype(&cublasLtMatmulDescCreate) desc_create;
  decltype(&cublasLtMatmulDescDestroy) desc_destroy;
  decltype(&cublasLtMatmulDescSetAttribute) desc_set;
  decltype(&cublasLtMatrixLayoutCreate) layout_create;
  decltype(&cublasLtMatrixLayoutDestroy) layout_destroy;
  decltype(&cublasLtMatmulPreferenceCreate) preference_create;
  decltype(&cublasLtMatmulPreferenceDestroy) preference_destroy;
  decltype(&cublasLtMatmulPreferenceSetAttribute) preference_set;
  decltype(&cublasLtMatmulAlgoGetHeuristic) heuristic;
};

// Throws Error{device_failed} where there is no cuBLASLt. Thread-safe; the library stays open.
const LtLibrary & lt_library();

// Throws Error{device_failed}.
void check_lt(cublasStatus_t status, const std::string & what);

}  // namespace pairscore
