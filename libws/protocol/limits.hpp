// ws_conn_config with its defaults applied and its bounds checked: what an engine works with.
// The defaults are listed, with what the peer sees, in docs/limits.md.
#pragma once

#include "libws/base/error.hpp"

#include <libws/config.h>

#include <cstdint>
#include <cstring>

namespace libws {

constexpr uint64_t kNeverUs = UINT64_MAX;

// Fixed bounds of a handshake, RFC 9112 3 and bad_inputs section 0.
constexpr size_t kMaxStartLine = 8 * 1024;
constexpr size_t kMaxFieldLine = 8 * 1024;
constexpr unsigned kMaxInterimResponses = 8;
constexpr size_t kMaxRefusalBody = 64 * 1024;
// After a refusal or a failure what still arrives is thrown away, so that our answer is not lost
// to a reset; for at most this long, and after an HTTP refusal for at most this much.
constexpr uint64_t kLingerUs = 1000 * 1000;
constexpr uint64_t kLingerBytes = 64 * 1024;

struct Limits {
  uint32_t flags = 0;
  uint64_t handshake_us = 10'000'000;
  uint64_t idle_us = 40'000'000;
  uint64_t ping_us = 20'000'000;
  uint64_t send_us = 30'000'000;
  uint64_t close_us = 5'000'000;
  uint64_t max_message = 1 << 20;
  uint64_t max_header_bytes = 16 * 1024;
  uint32_t max_header_count = 100;
  uint32_t max_fragments = 1024 + (1 << 20) / 256;
  uint64_t send_high = 256 * 1024;
  uint64_t send_low = 64 * 1024;
  uint64_t send_limit = 16 << 20;
  ws_deflate deflate = WS_DEFLATE_SHARED;
  ws_deflate deflate_recv = WS_DEFLATE_SHARED;
  uint8_t deflate_level = 1;
  uint8_t deflate_window_bits = 12;
  uint8_t deflate_mem_level = 5;
  uint64_t deflate_idle_us = 30'000'000;
  uint64_t deflate_min = 0;        // 0: as the mode has it
  ws_slow slow = WS_SLOW_REFUSE;   // never DEFAULT
  uint64_t fragment = UINT64_MAX;  // larger messages are cut into frames of this size
  uint64_t read_ahead = 64 * 1024;
  uint32_t max_control_rate = 100;
  uint32_t max_message_rate = WS_NEVER;
  uint64_t max_byte_rate = WS_UNLIMITED;
  ws_rate over_rate = WS_RATE_DELAY;
  uint64_t lifetime_us = kNeverUs;
  const char* server_header = nullptr;  // not a limit, but shared the same way; null: none sent

  // There is a rate that each message is judged by.
  bool has_rates() const { return max_message_rate != WS_NEVER || max_byte_rate != WS_UNLIMITED; }

  // Errors: INVALID, with the member's name.
  static Error from(const ws_conn_config& config, Limits* out);
};

// What a C program put there, which may be anything; C++ must not load it as the enum before it
// is known to be one.
template <class Enum>
int number_in(const Enum& value) {
  int number;
  static_assert(sizeof number == sizeof value);
  std::memcpy(&number, &value, sizeof number);
  return number;
}

// A ws_slow, by number.  Errors: INVALID.
Error check_slow(int slow);

// The modes of the two directions, by number: what is DEFAULT here leaves *_out as it is, or
// follows the other.  Errors: INVALID.
Error choose_deflate(int send, int recv, ws_deflate* send_out, ws_deflate* recv_out);

}  // namespace libws
