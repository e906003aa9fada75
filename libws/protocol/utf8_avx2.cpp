// UTF-8 validation with 256-bit AVX2 vectors.

#include "libws/base/cpu.hpp"

#if defined(LIBWS_CPU_X86)

#include <immintrin.h>

#include <cstdint>

#define LIBWS_SIMD __attribute__((target("avx2")))

namespace libws {
namespace {

using Vec = __m256i;

LIBWS_SIMD inline Vec load(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const Vec*>(p));
}

LIBWS_SIMD inline void store(uint8_t* p, Vec v) {
  _mm256_storeu_si256(reinterpret_cast<Vec*>(p), v);
}
LIBWS_SIMD inline Vec splat(uint8_t byte) { return _mm256_set1_epi8(static_cast<char>(byte)); }
LIBWS_SIMD inline Vec splat_key(uint32_t key) { return _mm256_set1_epi32(static_cast<int>(key)); }

LIBWS_SIMD inline Vec table(const uint8_t* p) {
  const __m128i t = _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
  return _mm256_broadcastsi128_si256(t);
}

LIBWS_SIMD inline Vec lookup(Vec entries, Vec indices) {
  return _mm256_shuffle_epi8(entries, indices);
}

LIBWS_SIMD inline Vec low_nibbles(Vec v) { return v & splat(0x0F); }
LIBWS_SIMD inline Vec high_nibbles(Vec v) { return _mm256_srli_epi16(v, 4) & splat(0x0F); }
LIBWS_SIMD inline Vec minus(Vec v, uint8_t byte) { return _mm256_subs_epu8(v, splat(byte)); }
LIBWS_SIMD inline bool any_top_bit(Vec v) { return _mm256_movemask_epi8(v) != 0; }
LIBWS_SIMD inline bool any(Vec v) { return !_mm256_testz_si256(v, v); }

}  // namespace
}  // namespace libws

#include "libws/protocol/utf8_kernel.hpp"

namespace libws {

const Utf8Ops detail::utf8_avx2 = {valid_prefix, unmask_ascii};

}  // namespace libws

#endif
