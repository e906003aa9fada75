// UTF-8 validation with 128-bit NEON vectors, part of every aarch64.

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
LIBWS_SIMD inline Vec splat(uint8_t byte) { return vdupq_n_u8(byte); }
LIBWS_SIMD inline Vec splat_key(uint32_t key) { return vreinterpretq_u8_u32(vdupq_n_u32(key)); }

LIBWS_SIMD inline Vec table(const uint8_t* p) { return vld1q_u8(p); }
LIBWS_SIMD inline Vec lookup(Vec entries, Vec indices) { return vqtbl1q_u8(entries, indices); }
LIBWS_SIMD inline Vec low_nibbles(Vec v) { return vandq_u8(v, splat(0x0F)); }
LIBWS_SIMD inline Vec high_nibbles(Vec v) { return vshrq_n_u8(v, 4); }
LIBWS_SIMD inline Vec minus(Vec v, uint8_t byte) { return vqsubq_u8(v, splat(byte)); }
LIBWS_SIMD inline bool any_top_bit(Vec v) { return vmaxvq_u8(v) >= 0x80; }
LIBWS_SIMD inline bool any(Vec v) { return vmaxvq_u8(v) != 0; }

}  // namespace
}  // namespace libws

#include "libws/protocol/utf8_kernel.hpp"

namespace libws {

const Utf8Ops detail::utf8_neon = {valid_prefix, unmask_ascii};

}  // namespace libws

#endif
