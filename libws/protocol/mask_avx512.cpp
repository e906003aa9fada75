// Masking with 512-bit AVX-512 vectors, where they can be of use: at the head and the tail of a
// payload every 64-byte access straddles a cache line, so short ones are left to AVX2.
// bench/micro_mask.cpp on a Zen 4 core, which splits 512-bit stores: with 6 bytes before the
// payload, 512 bits are 20 % behind AVX2 at 4 KiB and 5 % at 16 KiB, and level from 32 KiB.

#include "libws/base/cpu.hpp"

#if defined(LIBWS_CPU_X86)

#include <immintrin.h>

#include <cstdint>

#define LIBWS_SIMD __attribute__((target("avx512f,avx512bw,avx512vl")))

namespace libws {
namespace {

using Vec = __m512i;

LIBWS_SIMD inline Vec load(const uint8_t* p) { return _mm512_loadu_si512(p); }
LIBWS_SIMD inline void store(uint8_t* p, Vec v) { _mm512_storeu_si512(p, v); }
LIBWS_SIMD inline Vec splat(uint32_t key) { return _mm512_set1_epi32(static_cast<int>(key)); }

}  // namespace
}  // namespace libws

#include "libws/protocol/mask_kernel.hpp"

namespace libws {
namespace {

constexpr size_t kWideFrom = 16384;

}  // namespace

LIBWS_SIMD void detail::mask_avx512(uint8_t* dst, const uint8_t* src, size_t len, uint32_t key) {
  if (len < kWideFrom) return mask_avx2(dst, src, len, key);
  mask_kernel(dst, src, len, key);
}

}  // namespace libws

#endif
