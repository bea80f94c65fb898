# Finds or fetches the pinned llama.cpp and offers one target, pairscore-llama: libllama, ggml and ggml's CPU backend,
# static. No tools, tests, network or OpenMP.

set(llama_version "0.5.0")
set(llama_commit "de3ff815ea7d559ee917f063901b8986f038abc6")
# The npm package whose tarball carries llama.cpp's release as a git bundle, and the digest of that tarball.
set(llama_package "node-llama-cpp@3.22.1")
set(llama_package_file "node-llama-cpp-3.22.1.tgz")
set(llama_package_sha512
    "6e5b488a9b9699cd76dc7eed30880318a4ac4ab866865418795502e3c5d38d55bb5c624988927209d95333343f2e25a83e4183a5c2f816f883a60c3ba9f4e20f")

function(run_or_stop what)
  execute_process(COMMAND ${ARGN} RESULT_VARIABLE status OUTPUT_VARIABLE output ERROR_VARIABLE output)
  if(NOT status EQUAL 0)
    message(FATAL_ERROR "${what} failed (${status}):\n${output}")
  endif()
endfunction()

function(fetch_llama target_dir)
  find_package(Git REQUIRED)
  find_program(NPM_PROGRAM npm REQUIRED)
  set(scratch "${target_dir}.fetch")
  file(REMOVE_RECURSE "${scratch}")
  file(MAKE_DIRECTORY "${scratch}")

  message(STATUS "Fetching llama.cpp ${llama_version} from npm's ${llama_package} (36 MB)")
  run_or_stop("npm pack ${llama_package} (set LLAMA_CPP_DIR to a llama.cpp ${llama_version} tree to do without it)"
              "${NPM_PROGRAM}" pack "${llama_package}" --ignore-scripts --dry-run=false
              --workspaces=false "--pack-destination=${scratch}" WORKING_DIRECTORY "${scratch}")
  file(SHA512 "${scratch}/${llama_package_file}" received)
  if(NOT received STREQUAL llama_package_sha512)
    message(FATAL_ERROR "Expected SHA-512 ${llama_package_sha512} for ${llama_package_file} but received ${received}")
  endif()

  file(ARCHIVE_EXTRACT INPUT "${scratch}/${llama_package_file}" DESTINATION "${scratch}"
       PATTERNS "package/llama/gitRelease.bundle")
  run_or_stop("git clone of the llama.cpp bundle" "${GIT_EXECUTABLE}" -c advice.detachedHead=false clone --quiet
              "${scratch}/package/llama/gitRelease.bundle" "${scratch}/tree")
  execute_process(COMMAND "${GIT_EXECUTABLE}" rev-parse HEAD WORKING_DIRECTORY "${scratch}/tree"
                  OUTPUT_VARIABLE commit OUTPUT_STRIP_TRAILING_WHITESPACE)
  if(NOT commit STREQUAL llama_commit)
    message(FATAL_ERROR "Expected llama.cpp commit ${llama_commit} but received \"${commit}\"")
  endif()
  # The rename comes last: a tree that exists is a whole one.
  file(RENAME "${scratch}/tree" "${target_dir}")
  file(REMOVE_RECURSE "${scratch}")
endfunction()

if(LLAMA_CPP_DIR)
  get_filename_component(llama_dir "${LLAMA_CPP_DIR}" ABSOLUTE BASE_DIR "${PROJECT_SOURCE_DIR}")
else()
  string(SUBSTRING "${llama_commit}" 0 7 llama_short_commit)
  set(llama_dir "${PROJECT_SOURCE_DIR}/build/llama.cpp-${llama_version}-${llama_short_commit}")
  file(MAKE_DIRECTORY "${PROJECT_SOURCE_DIR}/build")
  file(LOCK "${PROJECT_SOURCE_DIR}/build/llama.lock" GUARD FILE TIMEOUT 600)
  if(NOT EXISTS "${llama_dir}/CMakeLists.txt")
    fetch_llama("${llama_dir}")
  endif()
  file(LOCK "${PROJECT_SOURCE_DIR}/build/llama.lock" RELEASE)
endif()
if(NOT EXISTS "${llama_dir}/include/llama.h")
  message(FATAL_ERROR "Expected a llama.cpp tree in LLAMA_CPP_DIR but found no include/llama.h in ${llama_dir}")
endif()
message(STATUS "llama.cpp tree: ${llama_dir}")

# A function, so that what llama.cpp's build reads does not leak into ours.
function(add_llama)
  set(CMAKE_POLICY_DEFAULT_CMP0077 NEW)
  set(BUILD_SHARED_LIBS OFF)
  set(CMAKE_POSITION_INDEPENDENT_CODE ON)
  set(CMAKE_C_VISIBILITY_PRESET hidden)
  set(CMAKE_CXX_VISIBILITY_PRESET hidden)
  set(LLAMA_ALL_WARNINGS OFF)
  set(LLAMA_BUILD_COMMON OFF)
  set(LLAMA_BUILD_TESTS OFF)
  set(LLAMA_BUILD_TOOLS OFF)
  set(LLAMA_BUILD_EXAMPLES OFF)
  set(LLAMA_BUILD_SERVER OFF)
  set(LLAMA_BUILD_APP OFF)
  set(LLAMA_OPENSSL OFF)
  set(LLAMA_CURL OFF)
  set(GGML_ALL_WARNINGS OFF)
  set(GGML_OPENMP OFF)
  set(GGML_CCACHE OFF)
  set(GGML_LLAMAFILE ON)
  set(GGML_NATIVE ${PAIRSCORE_NATIVE})
  set(GGML_CUDA ${PAIRSCORE_GGML_CUDA})
  set(GGML_CUDA_FORCE_CUBLAS ${PAIRSCORE_GGML_CUBLAS})
  set(GGML_CUDA_NCCL OFF)
  if(NOT PAIRSCORE_NATIVE)
    foreach(feature SSE42 AVX AVX2 FMA F16C BMI2)
      set(GGML_${feature} ON)
    endforeach()
  endif()
  add_subdirectory("${llama_dir}" "${CMAKE_BINARY_DIR}/llama" EXCLUDE_FROM_ALL)
endfunction()
add_llama()

# Their headers are not ours to warn about.
foreach(library llama ggml ggml-base ggml-cpu)
  get_target_property(headers ${library} INTERFACE_INCLUDE_DIRECTORIES)
  if(headers)
    set_target_properties(${library} PROPERTIES INTERFACE_SYSTEM_INCLUDE_DIRECTORIES "${headers}")
  endif()
endforeach()

add_library(pairscore-llama INTERFACE)
target_link_libraries(pairscore-llama INTERFACE llama ggml)
target_compile_definitions(pairscore-llama INTERFACE PAIRSCORE_LLAMA_VERSION="${llama_version}")
