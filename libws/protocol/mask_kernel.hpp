// The masking loop, written once for all vector widths.  The file of an instruction set defines
// LIBWS_SIMD (its target attribute) and, in an unnamed namespace, Vec with load(), store() and
// splat(); then it includes this and calls mask_kernel().  So the loop is compiled for that set
// without per-file compiler flags, which would also let the set leak into inline functions that
// the linker shares with files for every processor.
//
// A vector at the front and vectors at the back are loaded before anything is stored, and stored
// last.  They overlap what the loop does, which is right in place as well: no byte is xored twice,
// some are only written twice.  It leaves no remainder to be done byte by byte.
#pragma once

#include <cassert>

#include "libws/protocol/mask.hpp"

namespace libws {
namespace {

LIBWS_SIMD inline void mask_kernel(uint8_t* dst, const uint8_t* src, size_t len, uint32_t key) {
  constexpr size_t kWidth = sizeof(Vec);
  if (len <= kMaskShort) {
    detail::mask_short(dst, src, len, key);
    return;
  }
  assert(len >= 2 * kWidth);  // holds up to 256 bits; the file of a wider set sees to it

  const uint8_t* const src_end = src + len;
  uint8_t* const dst_end = dst + len;
  const Vec head_key = splat(key);
  const Vec tail_key = splat(mask_rotate(key, len));
  const Vec head0 = load(src) ^ head_key;
  const Vec tail0 = load(src_end - kWidth) ^ tail_key;
  const Vec head1 = load(src + kWidth) ^ head_key;
  const Vec tail1 = load(src_end - 2 * kWidth) ^ tail_key;
  if (len <= 4 * kWidth) {
    store(dst, head0);
    store(dst + kWidth, head1);
    store(dst_end - 2 * kWidth, tail1);
    store(dst_end - kWidth, tail0);
    return;
  }
  const Vec tail2 = load(src_end - 3 * kWidth) ^ tail_key;
  const Vec tail3 = load(src_end - 4 * kWidth) ^ tail_key;
  if (len <= 8 * kWidth) {
    const Vec head2 = load(src + 2 * kWidth) ^ head_key;
    const Vec head3 = load(src + 3 * kWidth) ^ head_key;
    store(dst, head0);
    store(dst + kWidth, head1);
    store(dst + 2 * kWidth, head2);
    store(dst + 3 * kWidth, head3);
  } else {
    // Stores that straddle cache lines cost more than loads that do, so dst is what gets aligned.
    size_t i = kWidth - reinterpret_cast<uintptr_t>(dst) % kWidth;
    const Vec body_key = splat(mask_rotate(key, i));
    do {
      const Vec a = load(src + i) ^ body_key;
      const Vec b = load(src + i + kWidth) ^ body_key;
      const Vec c = load(src + i + 2 * kWidth) ^ body_key;
      const Vec d = load(src + i + 3 * kWidth) ^ body_key;
      store(dst + i, a);
      store(dst + i + kWidth, b);
      store(dst + i + 2 * kWidth, c);
      store(dst + i + 3 * kWidth, d);
      i += 4 * kWidth;
    } while (i < len - 4 * kWidth);
    store(dst, head0);
  }
  store(dst_end - 4 * kWidth, tail3);
  store(dst_end - 3 * kWidth, tail2);
  store(dst_end - 2 * kWidth, tail1);
  store(dst_end - kWidth, tail0);
}

}  // namespace
}  // namespace libws
