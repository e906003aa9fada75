// Compressing with ISA-L (igzip) what stands for itself: faster than zlib's lowest levels, the more
// so the longer a message is (bench/micro_deflate).  Built when meson is told -Ddeflate=isal.
#pragma once

#include "libws/protocol/deflater.hpp"

namespace libws {

// Its levels are 1 to this; zlib has those above.
inline constexpr int kMostIsalLevel = 3;

// window_bits 9 to 15.  Null: out of memory.
Deflater* create_isal_deflater(int window_bits, int level);

}  // namespace libws
