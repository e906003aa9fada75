#include "libws/protocol/limits.hpp"

namespace libws {
namespace {

// What fits the state of a connection that has no rates of its own, and the arithmetic of those
// that have.
constexpr uint32_t kMostControlRate = 65535;
constexpr uint64_t kMostByteRate = uint64_t{1} << 40;

Error set_time(const char* name, uint32_t ms, uint64_t* us) {
  if (ms == 0) return Error();
  if (ms == WS_NEVER) {
    *us = kNeverUs;
    return Error();
  }
  if (ms > INT32_MAX) return fail(WS_ERR_INVALID, "%s: %u ms is out of range", name, ms);
  *us = uint64_t{ms} * 1000;
  return Error();
}

void set_bytes(uint64_t value, uint64_t* out) {
  if (value != 0) *out = value;
}

// Frames a message of max_message bytes may come in: enough for 256-byte fragments, plus a
// thousand so that small limits do not refuse an ordinary sender (bad_inputs 95).
uint32_t default_fragments(uint64_t max_message) {
  uint64_t n = 1024 + max_message / 256;
  return n < WS_NEVER ? static_cast<uint32_t>(n) : WS_NEVER;
}

Error set_small(const char* name, uint32_t value, uint32_t least, uint32_t most, uint8_t* out) {
  if (value == 0) return Error();
  if (value < least || value > most) {
    return fail(WS_ERR_INVALID, "%s: %u is not %u to %u", name, value, least, most);
  }
  *out = static_cast<uint8_t>(value);
  return Error();
}

Error set_deflate(const ws_conn_config& c, Limits* l) {
  if (Error e = choose_deflate(number_in(c.deflate), number_in(c.deflate_recv), &l->deflate,
                               &l->deflate_recv)) {
    return e;
  }
  if (Error e = set_small("deflate_level", c.deflate_level, 1, 9, &l->deflate_level)) return e;
  if (Error e =
          set_small("deflate_window_bits", c.deflate_window_bits, 9, 15, &l->deflate_window_bits)) {
    return e;
  }
  if (Error e = set_small("deflate_mem_level", c.deflate_mem_level, 1, 9, &l->deflate_mem_level)) {
    return e;
  }
  if (Error e = set_time("deflate_idle_ms", c.deflate_idle_ms, &l->deflate_idle_us)) return e;
  set_bytes(c.deflate_min_bytes, &l->deflate_min);
  return Error();
}

Error set_waiting(const ws_conn_config& c, Limits* l) {
  // Smaller frames would be mostly headers, of us and of TLS.
  constexpr uint64_t kLeastFragment = 1024;
  const int slow = number_in(c.slow);
  if (Error e = check_slow(slow)) return e;
  if (slow != WS_SLOW_DEFAULT) l->slow = static_cast<ws_slow>(slow);
  set_bytes(c.fragment_bytes, &l->fragment);
  if (l->fragment >= kLeastFragment) return Error();
  return fail(WS_ERR_INVALID, "fragment_bytes: %llu is less than %llu",
              static_cast<unsigned long long>(l->fragment),
              static_cast<unsigned long long>(kLeastFragment));
}

// What the peer may send.
Error set_rates(const ws_conn_config& c, Limits* l) {
  set_bytes(c.read_ahead_bytes, &l->read_ahead);
  if (c.max_control_rate > kMostControlRate && c.max_control_rate != WS_NEVER) {
    return fail(WS_ERR_INVALID, "max_control_rate: %u is above %u", c.max_control_rate,
                kMostControlRate);
  }
  if (c.max_control_rate != 0) l->max_control_rate = c.max_control_rate;
  if (c.max_message_rate != 0) l->max_message_rate = c.max_message_rate;
  if (c.max_byte_rate > kMostByteRate && c.max_byte_rate != WS_UNLIMITED) {
    return fail(WS_ERR_INVALID, "max_byte_rate: %llu is above 2^40",
                static_cast<unsigned long long>(c.max_byte_rate));
  }
  set_bytes(c.max_byte_rate, &l->max_byte_rate);
  const int over = number_in(c.over_rate);
  if (over < WS_RATE_DEFAULT || over > WS_RATE_CLOSE) {
    return fail(WS_ERR_INVALID, "over_rate: %d is not a ws_rate", over);
  }
  if (over != WS_RATE_DEFAULT) l->over_rate = static_cast<ws_rate>(over);
  return set_time("lifetime_ms", c.lifetime_ms, &l->lifetime_us);
}

}  // namespace

Error check_slow(int slow) {
  if (slow >= WS_SLOW_DEFAULT && slow <= WS_SLOW_LATEST) return Error();
  return fail(WS_ERR_INVALID, "slow: %d is not a ws_slow", slow);
}

Error choose_deflate(int send, int recv, ws_deflate* send_out, ws_deflate* recv_out) {
  if (send < WS_DEFLATE_DEFAULT || send > WS_DEFLATE_DEDICATED) {
    return fail(WS_ERR_INVALID, "deflate: %d is not a ws_deflate", send);
  }
  if (recv < WS_DEFLATE_DEFAULT || recv > WS_DEFLATE_DEDICATED) {
    return fail(WS_ERR_INVALID, "deflate_recv: %d is not a ws_deflate", recv);
  }
  if (send != WS_DEFLATE_DEFAULT) *send_out = *recv_out = static_cast<ws_deflate>(send);
  if (recv != WS_DEFLATE_DEFAULT) *recv_out = static_cast<ws_deflate>(recv);
  // Whoever agrees to the extension must take what the peer compresses (RFC 7692 6).
  if (*recv_out == WS_DEFLATE_OFF && *send_out != WS_DEFLATE_OFF) {
    return fail(WS_ERR_INVALID, "deflate_recv is OFF and deflate is not");
  }
  return Error();
}

Error Limits::from(const ws_conn_config& c, Limits* out) {
  constexpr uint32_t kKnownFlags = WS_CONN_NO_AUTO_PONG | WS_CONN_NO_UTF8_CHECK | WS_CONN_NAGLE;
  if ((c.flags & ~kKnownFlags) != 0) {
    return fail(WS_ERR_UNSUPPORTED, "ws_conn_config.flags: unknown bits 0x%x",
                c.flags & ~kKnownFlags);
  }
  Limits l;
  l.flags = c.flags;
  if (Error e = set_time("handshake_timeout_ms", c.handshake_timeout_ms, &l.handshake_us)) return e;
  if (Error e = set_time("idle_timeout_ms", c.idle_timeout_ms, &l.idle_us)) return e;
  if (Error e = set_time("ping_interval_ms", c.ping_interval_ms, &l.ping_us)) return e;
  if (Error e = set_time("send_timeout_ms", c.send_timeout_ms, &l.send_us)) return e;
  if (Error e = set_time("close_timeout_ms", c.close_timeout_ms, &l.close_us)) return e;
  set_bytes(c.max_message_bytes, &l.max_message);
  set_bytes(c.max_header_bytes, &l.max_header_bytes);
  if (c.max_header_count != 0) l.max_header_count = c.max_header_count;
  l.max_fragments = c.max_fragments != 0 ? c.max_fragments : default_fragments(l.max_message);
  set_bytes(c.send_limit_bytes, &l.send_limit);
  // A limit below a default mark moves the mark; marks given must be in order.
  l.send_high = c.send_high_bytes != 0       ? c.send_high_bytes
                : l.send_limit < l.send_high ? l.send_limit
                                             : l.send_high;
  l.send_low = c.send_low_bytes != 0          ? c.send_low_bytes
               : l.send_high / 4 < l.send_low ? l.send_high / 4
                                              : l.send_low;
  if (l.send_low > l.send_high || l.send_high > l.send_limit) {
    return fail(WS_ERR_INVALID, "send marks out of order: low %llu, high %llu, limit %llu",
                static_cast<unsigned long long>(l.send_low),
                static_cast<unsigned long long>(l.send_high),
                static_cast<unsigned long long>(l.send_limit));
  }
  if (c.ping_interval_ms != 0 && l.ping_us != kNeverUs && l.ping_us >= l.idle_us) {
    return fail(WS_ERR_INVALID, "ping_interval_ms %u is not below the idle timeout",
                c.ping_interval_ms);
  }
  if (Error e = set_deflate(c, &l)) return e;
  if (Error e = set_waiting(c, &l)) return e;
  if (Error e = set_rates(c, &l)) return e;
  // A short idle timeout given alone: the default interval would never fire in time.
  if (l.ping_us != kNeverUs && l.ping_us >= l.idle_us) l.ping_us = l.idle_us / 2;
  *out = l;
  return Error();
}

}  // namespace libws
