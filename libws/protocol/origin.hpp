// Who a request says it is for (Host) and where it says it comes from (Origin): the grammar of
// both, and the comparison that keeps other people's web pages out (RFC 6455 10.2, RFC 6454).
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

namespace libws {

// RFC 3986 3.2 without userinfo: what Host, an origin and a URL hold.
struct Authority {
  std::string_view host;  // IPv6 without its brackets
  bool is_ipv6 = false;
  uint8_t ipv6[16] = {};  // if so, so that "::1" equals "0:0::1"
  bool has_port = false;  // false for "h" and for "h:"
  uint16_t port = 0;
};

// False when `text` is not host[:port].  The host is not empty, at most 255 bytes with labels of
// at most 63 (RFC 1035 2.3.4), or an IPv6 address in brackets without a zone; IPvFuture is not
// taken.  The port is digits up to 65535, or nothing (RFC 3986 3.2.3).
bool parse_authority(std::string_view text, Authority* out);

// True when `origin` (an Origin field) names the same host and port as the request.  `host` is
// the request's Host, `secure` whether it came over TLS.  Over TLS only https will do.  Without
// TLS http and https will, and a Host without a port stands for the default port of either,
// because a proxy may have taken the TLS off.  Exact: no suffix, prefix or substring matching
// (bad_inputs 277).
bool origin_is_same_host(std::string_view origin, std::string_view host, bool secure);

// True when `origin` equals one of the allowed values: scheme and host without case, default
// port of http and https understood.  "*" allows all; what is no origin with a host, such as
// "null", is allowed by the same bytes only.
bool origin_is_allowed(std::string_view origin, std::span<const std::string_view> allowed);

// True for what may stand in that list and can match anything at all.
bool origin_can_be_listed(std::string_view entry);

}  // namespace libws
