// Masking (RFC 6455 5.3): every payload byte is xored with one of four key bytes in turn.  The
// same operation masks and unmasks.
//
// A key is the four bytes of the wire in memory order, as memcpy into a uint32_t leaves them, on
// either endianness.  Nothing here reads or writes a byte outside the ranges it is given, and no
// range needs any alignment.
//
// Payloads up to kMaskShort are done inline, because most messages are that short and the call
// would cost more than the work.  Longer ones go to the best implementation for this processor.
#pragma once

#include <atomic>
#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "libws/base/cpu.hpp"

namespace libws {

inline constexpr size_t kMaskShort = 64;

// Writes src[i] ^ key byte i % 4 to dst[i].  dst and src are equal, or do not overlap.
using MaskFn = void (*)(uint8_t* dst, const uint8_t* src, size_t len, uint32_t key);

// The implementation for exactly this level; null if there is none or this machine cannot run it.
MaskFn mask_function(CpuLevel level);

// The key as a reader sees it who is `offset` bytes further into the payload.
inline uint32_t mask_rotate(uint32_t key, size_t offset) {
  const int bits = static_cast<int>(offset % 4) * 8;
  return std::endian::native == std::endian::little ? std::rotr(key, bits) : std::rotl(key, bits);
}

namespace detail {

// Starts as a function that chooses and then replaces itself, so that there is neither a static
// constructor to be ordered nor a guard on the hot path.
extern std::atomic<MaskFn> mask_active;

using MaskVec = uint32_t __attribute__((vector_size(16)));  // SSE2 or NEON where they are baseline

inline uint64_t mask_twice(uint32_t key) { return uint64_t{key} << 32 | key; }

template <class T>
inline T mask_load(const uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}

template <class T>
inline void mask_store(uint8_t* p, T value) {
  std::memcpy(p, &value, sizeof(T));
}

// At most kMaskShort bytes.  Each case covers a range of lengths without a loop, with words from
// the front and words from the back that may overlap.  All are loaded before the first is stored,
// so in place the shared bytes are written twice with the same value rather than xored twice.
//
// Returns the or of all words written, in which a caller finds every bit that any byte has; it
// costs nothing where it is not used.
inline uint64_t mask_short(uint8_t* dst, const uint8_t* src, size_t len, uint32_t key) {
  // The last word begins at len minus a multiple of 4; for the key that is the same as at len.
  const uint32_t tail_key = mask_rotate(key, len);
  const uint8_t* const src_end = src + len;
  uint8_t* const dst_end = dst + len;
  if (len >= 16) {
    const MaskVec a = mask_load<MaskVec>(src) ^ key;
    const MaskVec d = mask_load<MaskVec>(src_end - 16) ^ tail_key;
    MaskVec all = a | d;
    if (len > 32) {
      const MaskVec b = mask_load<MaskVec>(src + 16) ^ key;
      const MaskVec c = mask_load<MaskVec>(src_end - 32) ^ tail_key;
      all |= b | c;
      mask_store(dst + 16, b);
      mask_store(dst_end - 32, c);
    }
    mask_store(dst, a);
    mask_store(dst_end - 16, d);
    uint64_t halves[2];
    std::memcpy(halves, &all, sizeof(all));
    return halves[0] | halves[1];
  }
  if (len >= 8) {
    const uint64_t a = mask_load<uint64_t>(src) ^ mask_twice(key);
    const uint64_t b = mask_load<uint64_t>(src_end - 8) ^ mask_twice(tail_key);
    mask_store(dst, a);
    mask_store(dst_end - 8, b);
    return a | b;
  }
  if (len >= 4) {
    const uint32_t a = mask_load<uint32_t>(src) ^ key;
    const uint32_t b = mask_load<uint32_t>(src_end - 4) ^ tail_key;
    mask_store(dst, a);
    mask_store(dst_end - 4, b);
    return a | b;
  }
  uint8_t bytes[4], all = 0;
  std::memcpy(bytes, &key, sizeof(key));
  for (size_t i = 0; i < len; ++i) {
    dst[i] = static_cast<uint8_t>(src[i] ^ bytes[i]);
    all |= dst[i];
  }
  return all;
}

// One per file, for mask_function() only.
void mask_sse2(uint8_t* dst, const uint8_t* src, size_t len, uint32_t key);
void mask_avx2(uint8_t* dst, const uint8_t* src, size_t len, uint32_t key);
void mask_avx512(uint8_t* dst, const uint8_t* src, size_t len, uint32_t key);
void mask_neon(uint8_t* dst, const uint8_t* src, size_t len, uint32_t key);

}  // namespace detail

// Masks while copying: a client's send, or a fragment joining a message.  The ranges do not
// overlap.
inline void mask_copy(uint8_t* dst, const uint8_t* src, size_t len, uint32_t key) {
  if (len <= kMaskShort) {
    detail::mask_short(dst, src, len, key);
  } else {
    detail::mask_active.load(std::memory_order_relaxed)(dst, src, len, key);
  }
}

inline void mask_in_place(uint8_t* data, size_t len, uint32_t key) {
  mask_copy(data, data, len, key);
}

}  // namespace libws
