# Our CUDA engine. Sets pairscore_cuda (ON or OFF) and, where it is ON, enables the language CUDA for the architectures in
# CMAKE_CUDA_ARCHITECTURES: those of this machine's GPUs, or else all that a binary should run on.

set(pairscore_cuda OFF)

function(detect_cuda_architectures result)
  execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
                  RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_QUIET OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT status EQUAL 0 OR output STREQUAL "" OR NOT PAIRSCORE_NATIVE)
    # The last as PTX too, for GPUs that come later.
    set(${result} 75-real 80-real 86-real 89-real 90 PARENT_SCOPE)
    return()
  endif()
  string(REPLACE "." "" output "${output}")
  string(REGEX MATCHALL "[0-9]+" architectures "${output}")
  list(REMOVE_DUPLICATES architectures)
  list(TRANSFORM architectures APPEND "-real")
  set(${result} ${architectures} PARENT_SCOPE)
endfunction()

function(find_cuda_parts missing)
  include(CheckLanguage)
  check_language(CUDA)
  if(NOT CMAKE_CUDA_COMPILER)
    set(${missing} "no nvcc" PARENT_SCOPE)
    return()
  endif()
  find_package(CUDAToolkit 12 QUIET)
  if(NOT CUDAToolkit_FOUND)
    set(${missing} "no CUDA toolkit of version 12 or later" PARENT_SCOPE)
    return()
  endif()
  find_path(PAIRSCORE_CUBLAS_HEADERS cublasLt.h
            HINTS ${PAIRSCORE_CUBLAS_INCLUDE} ${CUDAToolkit_INCLUDE_DIRS} NO_CACHE)
  if(NOT PAIRSCORE_CUBLAS_HEADERS)
    set(${missing} "no cublasLt.h (PAIRSCORE_CUBLAS_INCLUDE names its folder)" PARENT_SCOPE)
    return()
  endif()
  set(${missing} "" PARENT_SCOPE)
  set(PAIRSCORE_CUBLAS_HEADERS "${PAIRSCORE_CUBLAS_HEADERS}" PARENT_SCOPE)
endfunction()

if(NOT PAIRSCORE_CUDA STREQUAL "off")
  find_cuda_parts(missing)
  if(missing STREQUAL "")
    set(pairscore_cuda ON)
    if(NOT CMAKE_CUDA_ARCHITECTURES)
      detect_cuda_architectures(CMAKE_CUDA_ARCHITECTURES)
    endif()
    enable_language(CUDA)
    message(STATUS "CUDA: ${CUDAToolkit_VERSION}, for ${CMAKE_CUDA_ARCHITECTURES}")
  elseif(PAIRSCORE_CUDA STREQUAL "on")
    message(FATAL_ERROR "PAIRSCORE_CUDA=on: ${missing}")
  else()
    message(STATUS "CUDA: left out, ${missing}")
  endif()
endif()

# pairscore_add_cuda(<target> <sources...>): links cudart statically and cuBLASLt not at all (lt_library.cc opens it when
# the first engine needs it), so that the binary loads on machines that have neither.
function(pairscore_add_cuda target)
  add_library(${target} STATIC ${ARGN})
  set_target_properties(${target} PROPERTIES
    POSITION_INDEPENDENT_CODE ON CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON CUDA_STANDARD 17 CUDA_STANDARD_REQUIRED ON
    CXX_VISIBILITY_PRESET hidden CUDA_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON CUDA_RUNTIME_LIBRARY Static)
  target_include_directories(${target} PRIVATE native)
  target_include_directories(${target} SYSTEM PRIVATE ${CUDAToolkit_INCLUDE_DIRS} ${PAIRSCORE_CUBLAS_HEADERS})
  # The expansions of eleven formats are much alike: compressed, an architecture takes a tenth.
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra>
                                           $<$<COMPILE_LANGUAGE:CUDA>:-Xfatbin=-compress-all>)
  target_link_libraries(${target} PUBLIC pairscore-llama CUDA::cudart_static)
endfunction()
