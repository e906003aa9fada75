// Masking with 128-bit SSE2 vectors.

#include "libws/base/cpu.hpp"

#if defined(LIBWS_CPU_X86)

#include <immintrin.h>

#include <cstdint>

#define LIBWS_SIMD __attribute__((target("sse2")))

namespace libws {
namespace {

using Vec = __m128i;

LIBWS_SIMD inline Vec load(const uint8_t* p) {
  return _mm_loadu_si128(reinterpret_cast<const __m128i*>(p));
}
LIBWS_SIMD inline void store(uint8_t* p, Vec v) {
  _mm_storeu_si128(reinterpret_cast<__m128i*>(p), v);
}
LIBWS_SIMD inline Vec splat(uint32_t key) { return _mm_set1_epi32(static_cast<int>(key)); }

}  // namespace
}  // namespace libws

#include "libws/protocol/mask_kernel.hpp"

namespace libws {

LIBWS_SIMD void detail::mask_sse2(uint8_t* dst, const uint8_t* src, size_t len, uint32_t key) {
  mask_kernel(dst, src, len, key);
}

}  // namespace libws

#endif
