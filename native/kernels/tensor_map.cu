#include "kernels/tensor_map.cuh"

#include <cuda_runtime.h>

#include <string>

#include "error.h"

namespace pairscore {
namespace {

using Encode = decltype(&cuTensorMapEncodeTiled);

// Of the driver, which a machine without a GPU has not.
Encode encoder() {
  void * found = nullptr;
  cudaDriverEntryPointQueryResult result = cudaDriverEntryPointSymbolNotFound;
#if CUDART_VERSION >= 12050
  const cudaError_t status =
      cudaGetDriverEntryPointByVersion("cuTensorMapEncodeTiled", &found, 12000, cudaEnableDefault, &result);
#else
  const cudaError_t status = cudaGetDriverEntryPoint("cuTensorMapEncodeTiled", &found, cudaEnableDefault, &result);
#endif
  if (status != cudaSuccess || result != cudaDriverEntryPointSuccess || !found) {
    cudaGetLastError();
    return nullptr;
  }
  return reinterpret_cast<Encode>(found);
}

}  // namespace

CUtensorMap tensor_map(const TensorMapArgs & args) {
  static const Encode encode = encoder();
  const cuuint64_t sizes[] = {static_cast<cuuint64_t>(args.columns), static_cast<cuuint64_t>(args.rows)},
                   strides[] = {static_cast<cuuint64_t>(args.stride) * 2};
  const cuuint32_t box[] = {kBoxColumns, static_cast<cuuint32_t>(args.box_rows)}, steps[] = {1, 1};
  const CUtensorMapDataType type =
      args.element == Element::f16 ? CU_TENSOR_MAP_DATA_TYPE_FLOAT16 : CU_TENSOR_MAP_DATA_TYPE_BFLOAT16;
  CUtensorMap map;
  const CUresult status = !encode ? CUDA_ERROR_NOT_FOUND
                                  : encode(&map, type, 2, const_cast<void *>(args.data), sizes, strides, box, steps,
                                           CU_TENSOR_MAP_INTERLEAVE_NONE, CU_TENSOR_MAP_SWIZZLE_128B,
                                           CU_TENSOR_MAP_L2_PROMOTION_L2_256B, CU_TENSOR_MAP_FLOAT_OOB_FILL_NONE);
  if (status == CUDA_SUCCESS) return map;
  throw Error(Code::device_failed, "Expected a tensor map of " + std::to_string(args.rows) + " x " +
                                       std::to_string(args.columns) + " but received CUDA driver status " +
                                       std::to_string(static_cast<int>(status)));
}

}  // namespace pairscore
