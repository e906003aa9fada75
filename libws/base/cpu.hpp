// Which vector instructions this process may use.  Read once from the hardware; everything with
// more than one implementation (masking, UTF-8) chooses by this level.
//
// LIBWS_CPU=scalar|sse2|ssse3|avx2|avx512|neon in the environment lowers the level, so that a test
// can run every implementation on one machine.  It cannot raise it, and a name that is unknown or
// belongs to another architecture changes nothing.
#pragma once

#include <cstdint>

#if defined(__x86_64__) || defined(__i386__)
#define LIBWS_CPU_X86 1
#elif defined(__aarch64__)
#define LIBWS_CPU_ARM64 1
#endif

namespace libws {

// Ordered within an architecture: each x86 level includes those before it.  kAvx512 stands for
// F + BW + VL, the least that offers byte operations.
enum class CpuLevel : uint8_t { kScalar, kSse2, kSsse3, kAvx2, kAvx512, kNeon };

inline constexpr CpuLevel kCpuLevels[] = {CpuLevel::kScalar, CpuLevel::kSse2,   CpuLevel::kSsse3,
                                          CpuLevel::kAvx2,   CpuLevel::kAvx512, CpuLevel::kNeon};

// The level to use: the hardware's, lowered by LIBWS_CPU.  The first call decides for the process.
CpuLevel cpu_level();

// The highest level the processor and the operating system support, whatever LIBWS_CPU says.
CpuLevel cpu_hardware_level();

// True if code of `level` runs where `hardware` is the highest level.  Not a plain comparison,
// because no x86 level runs on ARM nor the other way round.
bool cpu_includes(CpuLevel hardware, CpuLevel level);

// `hardware` lowered by `limit`, the text of LIBWS_CPU or null.
CpuLevel cpu_limited(CpuLevel hardware, const char* limit);

// The name as LIBWS_CPU and ws_build_info() spell it: "avx2".
const char* cpu_level_name(CpuLevel level);

}  // namespace libws
