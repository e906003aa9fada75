// zlib's allocation callbacks over the hook: what its streams take is counted, and may fail, like
// everything else.  They match alloc_func and free_func without zlib.h.
#pragma once

#include "libws/base/alloc.hpp"

namespace libws {

// `taken`, if there is one, is a size_t that what was taken is added to.
inline void* zlib_alloc(void* taken, unsigned items, unsigned size) {
  uint64_t total = uint64_t{items} * size;
  if (total > PTRDIFF_MAX) return nullptr;
  if (taken != nullptr) *static_cast<size_t*>(taken) += static_cast<size_t>(total);
  return try_alloc(static_cast<size_t>(total));
}
inline void zlib_free(void*, void* ptr) { release(ptr); }

// zlib counts what it is given in 32 bits: more goes to it in pieces of this many bytes.
inline constexpr size_t kZlibPiece = size_t{1} << 30;

}  // namespace libws
