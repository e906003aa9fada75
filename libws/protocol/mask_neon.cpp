// Masking with 128-bit NEON vectors, part of every aarch64.

#include "libws/base/cpu.hpp"

#if defined(LIBWS_CPU_ARM64)

#include <arm_neon.h>

#include <cstdint>

#define LIBWS_SIMD

namespace libws {
namespace {

using Vec = uint8x16_t;

LIBWS_SIMD inline Vec load(const uint8_t* p) { return vld1q_u8(p); }
LIBWS_SIMD inline void store(uint8_t* p, Vec v) { vst1q_u8(p, v); }
LIBWS_SIMD inline Vec splat(uint32_t key) { return vreinterpretq_u8_u32(vdupq_n_u32(key)); }

}  // namespace
}  // namespace libws

#include "libws/protocol/mask_kernel.hpp"

namespace libws {

LIBWS_SIMD void detail::mask_neon(uint8_t* dst, const uint8_t* src, size_t len, uint32_t key) {
  mask_kernel(dst, src, len, key);
}

}  // namespace libws

#endif
