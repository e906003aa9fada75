// How long to wait before the next attempt: full jitter, so that clients who lost one server
// together do not come back together (RFC 6455 7.2.3), and what the server asks for.
#pragma once

#include <cstdint>
#include <string_view>

namespace libws {

class Backoff {
 public:
  // min_ms is taken as at least 1, max_ms as at least min_ms.
  Backoff(uint32_t min_ms, uint32_t max_ms);

  // Uniform in [0, bound]; the bound is min_ms at first and doubles each time up to max_ms.
  // `random` is all 32 bits of a random number.
  uint32_t next_delay_ms(uint32_t random);
  void reset() { bound_ms_ = min_ms_; }

 private:
  uint32_t min_ms_;
  uint32_t max_ms_;
  uint32_t bound_ms_;
};

// No server can keep a client away for longer.
constexpr uint32_t kMaxRetryAfterMs = 60 * 60 * 1000;

// Retry-After (RFC 9110 10.2.3), seconds or a date in any of the three forms of 5.6.7, as
// milliseconds from now_s (Unix time).  At most kMaxRetryAfterMs; 0 for a date that has passed,
// and for what is neither.
uint32_t parse_retry_after(std::string_view value, int64_t now_s);

}  // namespace libws
