// UTF-8 validation with 128-bit SSSE3 vectors; SSE2 alone has no table lookup.

#include "libws/base/cpu.hpp"

#if defined(LIBWS_CPU_X86)

#include <immintrin.h>

#include <cstdint>

#define LIBWS_SIMD __attribute__((target("ssse3")))

namespace libws {
namespace {

using Vec = __m128i;

LIBWS_SIMD inline Vec load(const uint8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const Vec*>(p));
}

LIBWS_SIMD inline void store(uint8_t* p, Vec v) { _mm_storeu_si128(reinterpret_cast<Vec*>(p), v); }
LIBWS_SIMD inline Vec splat(uint8_t byte) { return _mm_set1_epi8(static_cast<char>(byte)); }
LIBWS_SIMD inline Vec splat_key(uint32_t key) { return _mm_set1_epi32(static_cast<int>(key)); }

LIBWS_SIMD inline Vec table(const uint8_t* p) {
  const __m128i t = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return t;
}

LIBWS_SIMD inline Vec lookup(Vec entries, Vec indices) {
  return _mm_shuffle_epi8(entries, indices);
}

LIBWS_SIMD inline Vec low_nibbles(Vec v) { return v & splat(0x0F); }
LIBWS_SIMD inline Vec high_nibbles(Vec v) { return _mm_srli_epi16(v, 4) & splat(0x0F); }
LIBWS_SIMD inline Vec minus(Vec v, uint8_t byte) { return _mm_subs_epu8(v, splat(byte)); }
LIBWS_SIMD inline bool any_top_bit(Vec v) { return _mm_movemask_epi8(v) != 0; }
LIBWS_SIMD inline bool any(Vec v) {
  return _mm_movemask_epi8(_mm_cmpeq_epi8(v, _mm_setzero_si128())) != 0xFFFF;
}

}  // namespace
}  // namespace libws

#include "libws/protocol/utf8_kernel.hpp"

namespace libws {

const Utf8Ops detail::utf8_ssse3 = {valid_prefix, unmask_ascii};

}  // namespace libws

#endif
