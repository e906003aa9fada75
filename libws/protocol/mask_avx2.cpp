// Masking with 256-bit AVX2 vectors.

#include "libws/base/cpu.hpp"

#if defined(LIBWS_CPU_X86)

#include <immintrin.h>

#include <cstdint>

#define LIBWS_SIMD __attribute__((target("avx2")))

namespace libws {
namespace {

using Vec = __m256i;

LIBWS_SIMD inline Vec load(const uint8_t* p) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
}
LIBWS_SIMD inline void store(uint8_t* p, Vec v) {
  _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), v);
}
LIBWS_SIMD inline Vec splat(uint32_t key) { return _mm256_set1_epi32(static_cast<int>(key)); }

}  // namespace
}  // namespace libws

#include "libws/protocol/mask_kernel.hpp"

namespace libws {

LIBWS_SIMD void detail::mask_avx2(uint8_t* dst, const uint8_t* src, size_t len, uint32_t key) {
  mask_kernel(dst, src, len, key);
}

}  // namespace libws

#endif
