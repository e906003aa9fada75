#include "libws/base/cpu.hpp"

#include <cstddef>
#include <cstdlib>
#include <cstring>

namespace libws {

CpuLevel cpu_hardware_level() {
#if defined(LIBWS_CPU_X86)
  // The builtin also asks the operating system (XGETBV) whether it saves the wide registers, which
  // the CPUID bits alone do not tell.
  __builtin_cpu_init();
  if (!__builtin_cpu_supports("sse2")) return CpuLevel::kScalar;
  if (!__builtin_cpu_supports("ssse3")) return CpuLevel::kSse2;
  if (!__builtin_cpu_supports("avx2")) return CpuLevel::kSsse3;
  if (!__builtin_cpu_supports("avx512f") || !__builtin_cpu_supports("avx512bw") ||
      !__builtin_cpu_supports("avx512vl")) {
    return CpuLevel::kAvx2;
  }
  return CpuLevel::kAvx512;
#elif defined(LIBWS_CPU_ARM64)
  return CpuLevel::kNeon;  // part of the architecture's baseline
#else
  return CpuLevel::kScalar;
#endif
}

CpuLevel cpu_level() {
  static const CpuLevel level = cpu_limited(cpu_hardware_level(), std::getenv("LIBWS_CPU"));
  return level;
}

bool cpu_includes(CpuLevel hardware, CpuLevel level) {
  if (level == CpuLevel::kScalar) return true;
  if ((level == CpuLevel::kNeon) != (hardware == CpuLevel::kNeon)) return false;
  return level <= hardware;
}

CpuLevel cpu_limited(CpuLevel hardware, const char* limit) {
  if (limit == nullptr) return hardware;
  for (CpuLevel level : kCpuLevels) {
    if (std::strcmp(limit, cpu_level_name(level)) == 0 && cpu_includes(hardware, level)) {
      return level;
    }
  }
  return hardware;
}

const char* cpu_level_name(CpuLevel level) {
  static constexpr const char* kNames[] = {"scalar", "sse2", "ssse3", "avx2", "avx512", "neon"};
  return kNames[static_cast<size_t>(level)];
}

}  // namespace libws
