// The frame header of RFC 6455 5.2: the only place that knows its bit layout.
//
//   byte 0: FIN RSV1 RSV2 RSV3 opcode(4)     byte 1: MASK length(7)
//   then 0, 2 or 8 bytes of length, then 4 bytes of masking key when MASK is set.
#pragma once

#include "libws/base/bytes.hpp"

#include <cstddef>
#include <cstdint>

namespace libws {

enum Opcode : uint8_t {
  kContinuation = 0,
  kText = 1,
  kBinary = 2,
  kClose = 8,
  kPing = 9,
  kPong = 10
};

constexpr size_t kMaxControlPayload = 125;  // RFC 6455 5.5
constexpr size_t kMaxFrameHeader = 14;
constexpr uint8_t kFinBit = 0x80;
constexpr uint8_t kRsvBits = 0x70;
constexpr uint8_t kRsv1Bit = 0x40;  // a compressed message begins (RFC 7692 6)
constexpr uint8_t kMaskBit = 0x80;

inline bool is_control(uint8_t opcode) { return (opcode & 8) != 0; }

struct FrameHeader {
  uint64_t length;
  uint32_t key;  // as it stands on the wire; 0 when not masked
  uint8_t opcode;
  bool fin;
  bool rsv1;
  uint8_t size;  // bytes of the header itself
};

enum class FrameStatus : uint8_t {
  kOk,
  kNeedMore,  // the header is not whole, and what is there is fine
  kBad,       // RFC violation: close 1002
  kTooBig     // the payload would exceed max_length: close 1009
};

// What is wrong with the first two bytes alone, or null.  Nothing after them is looked at first,
// so a reserved opcode is refused before its length is believed (hardening 7.1).  `deflate`: RSV1
// may stand on the first frame of a message.
const char* check_frame_start(uint8_t first, uint8_t second, bool expect_masked, bool deflate);

// Decodes from `n` bytes at `p`.  `max_length` bounds data frames.  `why` is set for kBad.
FrameStatus decode_frame(const uint8_t* p, size_t n, bool expect_masked, bool deflate,
                         uint64_t max_length, FrameHeader* out, const char** why);

// Writes a minimal header (RFC 6455 5.2: "the minimal number of bytes MUST be used"); kRsv1Bit may
// be set in `opcode`, `key` is null for an unmasked frame.  Returns its size.
inline size_t encode_frame(uint8_t* out, bool fin, uint8_t opcode, uint64_t length,
                           const uint32_t* key) {
  out[0] = static_cast<uint8_t>((fin ? kFinBit : 0) | opcode);
  uint8_t mask = key != nullptr ? kMaskBit : uint8_t{0};
  size_t n;
  if (length <= 125) {
    out[1] = static_cast<uint8_t>(mask | length);
    n = 2;
  } else if (length <= 0xffff) {
    out[1] = mask | 126;
    store_be16(out + 2, static_cast<uint16_t>(length));
    n = 4;
  } else {
    out[1] = mask | 127;
    store_be64(out + 2, length);
    n = 10;
  }
  if (key != nullptr) {
    std::memcpy(out + n, key, 4);
    n += 4;
  }
  return n;
}

// Size of the header encode_frame writes.
inline size_t frame_header_size(uint64_t length, bool masked) {
  return (length <= 125 ? 2u : length <= 0xffff ? 4u : 10u) + (masked ? 4u : 0u);
}

}  // namespace libws
