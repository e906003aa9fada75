// UTF-8 validation with 512-bit AVX-512 vectors.

#include "libws/base/cpu.hpp"

#if defined(LIBWS_CPU_X86)

#include <immintrin.h>

#include <cstdint>

#define LIBWS_SIMD __attribute__((target("avx512f,avx512bw,avx512vl")))

namespace libws {
namespace {

using Vec = __m512i;

LIBWS_SIMD inline Vec load(const uint8_t* p) {
  return _mm512_loadu_si512(reinterpret_cast<const Vec*>(p));
}

LIBWS_SIMD inline void store(uint8_t* p, Vec v) {
  _mm512_storeu_si512(reinterpret_cast<Vec*>(p), v);
}
LIBWS_SIMD inline Vec splat(uint8_t byte) { return _mm512_set1_epi8(static_cast<char>(byte)); }
LIBWS_SIMD inline Vec splat_key(uint32_t key) { return _mm512_set1_epi32(static_cast<int>(key)); }

LIBWS_SIMD inline Vec table(const uint8_t* p) {
  const __m128i t = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  // The unmasked intrinsic is the same instruction, but draws a false warning from gcc 12.
  return _mm512_maskz_broadcast_i32x4(static_cast<__mmask16>(-1), t);
}

LIBWS_SIMD inline Vec lookup(Vec entries, Vec indices) {
  return _mm512_shuffle_epi8(entries, indices);
}

LIBWS_SIMD inline Vec low_nibbles(Vec v) { return v & splat(0x0F); }
LIBWS_SIMD inline Vec high_nibbles(Vec v) { return _mm512_srli_epi16(v, 4) & splat(0x0F); }
LIBWS_SIMD inline Vec minus(Vec v, uint8_t byte) { return _mm512_subs_epu8(v, splat(byte)); }
LIBWS_SIMD inline bool any_top_bit(Vec v) { return _mm512_movepi8_mask(v) != 0; }
LIBWS_SIMD inline bool any(Vec v) { return _mm512_test_epi8_mask(v, v) != 0; }

}  // namespace
}  // namespace libws

#include "libws/protocol/utf8_kernel.hpp"

namespace libws {

const Utf8Ops detail::utf8_avx512 = {valid_prefix, unmask_ascii};

}  // namespace libws

#endif
