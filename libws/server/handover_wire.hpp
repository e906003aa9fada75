// What the two processes of a handover say to each other, on a unix stream socket:
//
//   offerer   kMagic, how many sockets (a byte, at least 1), for each its name as a byte for the
//             length and that many bytes; the descriptors come with the first byte
//   taker     kReady, once it accepts on them
//   offerer   kTaken, and the end of the stream
//
// The magic ends in a version; another version is refused, which leaves the old process running.
#pragma once

#include <libws/handover.h>

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace libws {

inline constexpr std::string_view kHandoverMagic = "ws-handover 1\n";
inline constexpr size_t kMaxHandoverName = 255;
inline constexpr size_t kMaxHandoverBytes =
    kHandoverMagic.size() + 1 + WS_HANDOVER_MAX * (1 + kMaxHandoverName);
inline constexpr uint8_t kHandoverReady = 'R';
inline constexpr uint8_t kHandoverTaken = 'T';

}  // namespace libws
