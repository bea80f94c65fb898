# Tests in C++, for what has no JavaScript face: kernels, their CPU twins, the CUDA engine. Nothing builds them but
# `cmake --build <folder> --target <name>`, which test/native/native-tests.ts calls.

set(native_test_engine
  native/engine/adapter.cc
  native/engine/base.cc
  native/engine/cuda/packing.cc
  native/engine/cuda/shape.cc
  native/engine/gguf_file.cc
  native/engine/head.cc
  native/engine/llama/llama_backend.cc
  native/engine/llama/llama_engine.cc
  native/engine/log.cc
  native/engine/rows.cc
)
set(native_test_twins
  native/kernels/attention.cc
  native/kernels/gate.cc
  native/kernels/norm.cc
  native/kernels/rope.cc
  native/kernels/rows.cc
  native/kernels/weight.cc
)

function(pairscore_add_native_test target)
  add_executable(${target} EXCLUDE_FROM_ALL ${ARGN})
  set_target_properties(${target} PROPERTIES
    RUNTIME_OUTPUT_DIRECTORY "${CMAKE_BINARY_DIR}/native-tests" CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON)
  target_include_directories(${target} PRIVATE native test/gpu)
  # The twins are held to ggml's numbers bit for bit: no product may melt into a sum.
  target_compile_options(${target} PRIVATE -Wall -Wextra -ffp-contract=off)
  target_link_libraries(${target} PRIVATE pairscore-llama)
endfunction()

pairscore_add_native_test(twins_test test/gpu/twins_test.cc native/engine/cuda/packing.cc ${native_test_twins})
pairscore_add_native_test(reference_test
  test/gpu/reference_test.cc test/gpu/reference_model.cc test/gpu/tiny_model.cc ${native_test_twins} ${native_test_engine})

if(pairscore_cuda)
  # packing.cc and shape.cc are in the library here.
  list(REMOVE_ITEM native_test_engine native/engine/cuda/packing.cc native/engine/cuda/shape.cc)
  set(reference test/gpu/reference_model.cc test/gpu/tiny_model.cc)
  foreach(test kernels_test attention_test engine_test)
    pairscore_add_native_test(${test} test/gpu/${test}.cc ${reference} ${native_test_twins} ${native_test_engine})
    target_include_directories(${test} SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS})
    target_link_libraries(${test} PRIVATE pairscore-cuda)
  endforeach()
  foreach(bench prefill kernels)
    pairscore_add_native_test(bench_${bench} bench/native/${bench}.cc ${native_test_engine})
    target_include_directories(bench_${bench} SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS} ${PAIRSCORE_CUBLAS_HEADERS})
    target_link_libraries(bench_${bench} PRIVATE pairscore-cuda)
  endforeach()
endif()
