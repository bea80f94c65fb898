// What kernel contracts share: where a launch goes and how values are stored. No CUDA header, so that CPU builds read it.
#pragma once

struct CUstream_st;

namespace pairscore {

using Stream = CUstream_st *;

enum class Element { f32, f16, bf16, e4m3 };

inline int element_bytes(Element element) {
  if (element == Element::f32) return 4;
  return element == Element::e4m3 ? 1 : 2;
}

}  // namespace pairscore
