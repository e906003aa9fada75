// Agreeing on permessage-deflate in the opening handshake (RFC 7692 5, 7.1), both roles.
//
// Windows are 8 to 15 bits.  zlib inflates any of them, but cannot deflate raw data into a window
// of 8 bits: a side that has to keep to 8 sends its messages as they are.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/protocol/extension.hpp"

#include <cstdint>
#include <span>

namespace libws {

inline constexpr int kMinWindowBits = 8;
inline constexpr int kMaxWindowBits = 15;

// What this side would like.
struct DeflateWish {
  bool on = false;
  bool compresses = false;               // false: it only decompresses
  bool send_takeover = false;            // messages it sends may refer to earlier ones
  bool recv_takeover = false;            // it keeps a window for the peer's messages
  uint8_t window_bits = kMaxWindowBits;  // of either, where there is takeover
};

// What both sides keep to.
struct DeflateAgreed {
  bool on = false;
  bool send_takeover = false;
  bool recv_takeover = false;
  uint8_t send_bits = kMaxWindowBits;
  uint8_t recv_bits = kMaxWindowBits;
  bool compresses = false;  // wished, and zlib can keep to send_bits
};

// Server: takes the first offer it can (RFC 7692 5), and appends the value of the response's
// Sec-WebSocket-Extensions.  An offer with a parameter that is unknown, repeated or wrong, or that
// cannot be kept to, is passed over.  None can be taken: `on` is false and nothing is appended.
// Throws std::bad_alloc.
DeflateAgreed accept_deflate(std::span<const Extension> offers, const DeflateWish& wish,
                             String& answer);

// Client: the value of the request's Sec-WebSocket-Extensions; nothing when the wish is off.  A
// limited window is asked for in a first offer, and in a second, for servers that cannot limit
// theirs, that the server's messages refer to nothing.
// Throws std::bad_alloc.
void append_deflate_offer(String& out, const DeflateWish& wish);

// Client: what a response's extensions mean for one that offered `wish`.  Null, or what is wrong
// (static), and then the connection fails (RFC 6455 4.1, RFC 7692 7.1).
const char* check_deflate_answer(std::span<const Extension> answers, const DeflateWish& wish,
                                 DeflateAgreed* agreed);

}  // namespace libws
