// Chooses the masking implementation, and holds the one that runs everywhere.

#include "libws/protocol/mask.hpp"

namespace libws {
namespace {

void mask_scalar(uint8_t* dst, const uint8_t* src, size_t len, uint32_t key) {
  const uint64_t wide = detail::mask_twice(key);
  size_t i = 0;
  for (; len - i >= 32; i += 32) {
    const uint64_t a = detail::mask_load<uint64_t>(src + i) ^ wide;
    const uint64_t b = detail::mask_load<uint64_t>(src + i + 8) ^ wide;
    const uint64_t c = detail::mask_load<uint64_t>(src + i + 16) ^ wide;
    const uint64_t d = detail::mask_load<uint64_t>(src + i + 24) ^ wide;
    detail::mask_store(dst + i, a);
    detail::mask_store(dst + i + 8, b);
    detail::mask_store(dst + i + 16, c);
    detail::mask_store(dst + i + 24, d);
  }
  for (; len - i >= 8; i += 8) {
    detail::mask_store(dst + i, detail::mask_load<uint64_t>(src + i) ^ wide);
  }
  uint8_t bytes[4];
  std::memcpy(bytes, &key, sizeof(key));
  for (; i < len; ++i) dst[i] = static_cast<uint8_t>(src[i] ^ bytes[i % 4]);
}

void mask_choose(uint8_t* dst, const uint8_t* src, size_t len, uint32_t key) {
  MaskFn best = mask_scalar;
  for (CpuLevel level : kCpuLevels) {
    const MaskFn fn = cpu_includes(cpu_level(), level) ? mask_function(level) : nullptr;
    if (fn != nullptr) best = fn;
  }
  // Threads that race here all store the same value.
  detail::mask_active.store(best, std::memory_order_relaxed);
  best(dst, src, len, key);
}

}  // namespace

constinit std::atomic<MaskFn> detail::mask_active{mask_choose};

MaskFn mask_function(CpuLevel level) {
  if (!cpu_includes(cpu_hardware_level(), level)) return nullptr;
  switch (level) {
    case CpuLevel::kScalar: return mask_scalar;
#if defined(LIBWS_CPU_X86)
    case CpuLevel::kSse2: return detail::mask_sse2;
    case CpuLevel::kAvx2: return detail::mask_avx2;
    case CpuLevel::kAvx512: return detail::mask_avx512;
#elif defined(LIBWS_CPU_ARM64)
    case CpuLevel::kNeon: return detail::mask_neon;
#endif
    default: return nullptr;
  }
}

}  // namespace libws
