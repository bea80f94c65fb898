# Every switch of the build. Set one with -DNAME=value, or as an environment variable of the same name for
# `node cmake/build.mjs` and `npm ci`.

set(PAIRSCORE_CUDA "auto" CACHE STRING "Our CUDA engine: auto (where a toolkit with cuBLASLt is found), on or off")
set_property(CACHE PAIRSCORE_CUDA PROPERTY STRINGS auto on off)

option(PAIRSCORE_NATIVE "Compile for this very CPU (-march=native); off compiles for the AVX2 class" ON)
option(PAIRSCORE_STATIC_RUNTIME "Link libstdc++ and libgcc statically, for binaries that travel" OFF)
set(PAIRSCORE_SANITIZE "" CACHE STRING "Sanitizers of the whole binary, as -fsanitize takes them: address,undefined")
set(PAIRSCORE_OUTPUT_DIR "${PROJECT_SOURCE_DIR}/build/Release" CACHE PATH "Where pairscore.node goes")
set(LLAMA_CPP_DIR "" CACHE PATH "A llama.cpp tree of your own; empty fetches the pinned one")

if(NOT PAIRSCORE_CUDA MATCHES "^(auto|on|off)$")
  message(FATAL_ERROR "Expected auto, on or off for PAIRSCORE_CUDA but received \"${PAIRSCORE_CUDA}\"")
endif()
option(PAIRSCORE_GGML_CUDA "Also build ggml's CUDA backend: compute 'ggml' on a GPU, the oracle of our engine" OFF)
option(PAIRSCORE_GGML_CUBLAS "There, expand quantised weights and multiply through cuBLAS: the oracle of test/gpu/full-size.test.ts" OFF)
set(PAIRSCORE_CUBLAS_INCLUDE "" CACHE PATH "Folder of cublasLt.h, where the toolkit does not carry it")
