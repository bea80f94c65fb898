# pairscore_add_node_addon(<target> <sources...>): a .node module on N-API alone, so that one binary serves every
# Node from 20 on. cmake-js passes CMAKE_JS_INC (node-api-headers and node-addon-api).

function(pairscore_add_node_addon target)
  if(NOT CMAKE_JS_INC)
    message(FATAL_ERROR "Expected CMAKE_JS_INC from cmake-js: build with `node cmake/build.mjs`, not with cmake alone")
  endif()
  add_library(${target} MODULE ${ARGN})
  set_target_properties(${target} PROPERTIES
    PREFIX "" SUFFIX ".node"
    LIBRARY_OUTPUT_DIRECTORY "${PAIRSCORE_OUTPUT_DIR}"
    CXX_STANDARD 17 CXX_STANDARD_REQUIRED ON CXX_EXTENSIONS OFF
    CXX_VISIBILITY_PRESET hidden VISIBILITY_INLINES_HIDDEN ON)
  target_include_directories(${target} SYSTEM PRIVATE ${CMAKE_JS_INC})
  target_compile_definitions(${target} PRIVATE NAPI_VERSION=8 NAPI_CPP_EXCEPTIONS NODE_ADDON_API_DISABLE_DEPRECATED)
  target_compile_options(${target} PRIVATE -Wall -Wextra -fno-plt)
  # Nothing of the static libraries may meet node's own symbols of the same names.
  target_link_options(${target} PRIVATE LINKER:--exclude-libs,ALL LINKER:--as-needed)
  if(PAIRSCORE_NATIVE)
    target_compile_options(${target} PRIVATE -march=native)
  elseif(CMAKE_SYSTEM_PROCESSOR MATCHES "x86_64|AMD64")
    target_compile_options(${target} PRIVATE -mavx2 -mfma -mf16c -mbmi2)
  endif()
  if(PAIRSCORE_STATIC_RUNTIME)
    target_link_options(${target} PRIVATE -static-libstdc++ -static-libgcc)
  endif()
endfunction()
