# pairscore_add_node_addon(<target> <sources...>): a .node module on N-API alone, so that one binary serves every
# Node from 20 on. cmake-js passes CMAKE_JS_INC (node-api-headers and node-addon-api).

# What all of our own targets are compiled with.
function(pairscore_compile target)
  set_target_properties(${target} PROPERTIES
    CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF POSITION_INDEPENDENT_CODE ON
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_include_directories(${target} PRIVATE native)
  target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-Wall -Wextra -fno-plt>)
  if(PAIRSCORE_NATIVE)
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-march=native>)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    target_compile_options(${target} PRIVATE $<$<COMPILE_LANGUAGE:CXX>:-mavx2 -mfma -mf16c -mbmi2>)
  endif()
endfunction()

# pairscore_add_test(<target> <sources...>): a program of tests in C++, built only when asked for.
function(pairscore_add_test target)
  add_executable(${target} EXCLUDE_FROM_ALL ${ARGN})
  pairscore_compile(${target})
  target_include_directories(${target} PRIVATE test/gpu)
  target_link_libraries(${target} PRIVATE pairscore-engine pairscore-twins)
endfunction()

function(pairscore_add_node_addon target)
  if(NOT CMAKE_JS_INC)
    message(FATAL_ERROR "Expected CMAKE_JS_INC from cmake-js: build with `node cmake/build.mjs`, not with cmake alone")
  endif()
  add_library(${target} MODULE ${ARGN})
  set_target_properties(${target} PROPERTIES
    PREFIX "" SUFFIX ".node"
    LIBRARY_OUTPUT_DIRECTORY "${PAIRSCORE_OUTPUT_DIR}")
  pairscore_compile(${target})
  target_include_directories(${target} SYSTEM PRIVATE ${CMAKE_JS_INC})
  target_compile_definitions(${target} PRIVATE NAPI_VERSION=8 NAPI_CPP_EXCEPTIONS NODE_ADDON_API_DISABLE_DEPRECATED
    # Behind native/binding/guard.h, for what is thrown where that has no part: no exception ends the process.
    NODE_ADDON_API_CPP_EXCEPTIONS_ALL
    # In a worker thread that is being terminated nothing can be thrown any more: not even that ends the process.
    NODE_API_SWALLOW_UNTHROWABLE_EXCEPTIONS)
  # Nothing of the static libraries may meet node's own symbols of the same names.
  target_link_options(${target} PRIVATE LINKER:--exclude-libs,ALL LINKER:--as-needed)
  # Once loaded it stays: its statics are never destroyed (native/binding/addon.cc), so each loading anew would leak them.
  target_link_options(${target} PRIVATE LINKER:-z,nodelete)
  if(PAIRSCORE_STATIC_RUNTIME)
    target_link_options(${target} PRIVATE -static-libstdc++ -static-libgcc)
  endif()
endfunction()
