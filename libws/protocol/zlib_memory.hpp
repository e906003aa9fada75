// zlib's allocation callbacks over the hook: what its streams take is counted, and may fail, like
// everything else.  They match alloc_func and free_func without zlib.h.
#pragma once

#include "libws/base/alloc.hpp"

namespace libws {

inline void* zlib_alloc(void*, unsigned items, unsigned size) {
  uint64_t total = uint64_t{items} * size;
  return total <= PTRDIFF_MAX ? try_alloc(static_cast<size_t>(total)) : nullptr;
}
inline void zlib_free(void*, void* ptr) { release(ptr); }

// zlib counts what it is given in 32 bits: more goes to it in pieces of this many bytes.
inline constexpr size_t kZlibPiece = size_t{1} << 30;

}  // namespace libws
