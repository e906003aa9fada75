#include "libws/protocol/origin.hpp"

#include "libws/protocol/chars.hpp"
#include "libws/protocol/http.hpp"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <cstring>

namespace libws {
namespace {

constexpr size_t kMaxHost = 255;
constexpr size_t kMaxLabel = 63;
constexpr uint32_t kMaxPort = 65535;

// RFC 3986 3.2.2, which covers IPv4 addresses too.
bool is_reg_name(std::string_view s) {
  if (s.empty() || s.size() > kMaxHost) return false;
  size_t label = 0;
  for (size_t i = 0; i < s.size(); ++i) {
    scan_step();
    if (s[i] == '%') {
      if (s.size() - i < 3 || !char_is(s[i + 1], kHexChar) || !char_is(s[i + 2], kHexChar)) {
        return false;
      }
    } else if (!char_is(s[i], kHostChar)) {
      // The two digits after '%' are host characters themselves.
      return false;
    }
    label = s[i] == '.' ? 0 : label + 1;
    if (label > kMaxLabel) return false;
  }
  return true;
}

bool parse_ipv6(std::string_view s, uint8_t (&out)[16]) {
  char buffer[INET6_ADDRSTRLEN];
  if (s.size() >= sizeof buffer) return false;
  std::memcpy(buffer, s.data(), s.size());
  buffer[s.size()] = '\0';
  // inet_pton knows no zones ("%eth0"), and stops at a NUL, which a view may hold.
  return std::strlen(buffer) == s.size() && inet_pton(AF_INET6, buffer, out) == 1;
}

bool parse_port(std::string_view digits, uint16_t* out) {
  uint32_t port = 0;
  for (char c : digits) {
    scan_step();
    if (!char_is(c, kDigitChar)) return false;
    port = port * 10 + static_cast<uint32_t>(c - '0');
    if (port > kMaxPort) return false;
  }
  *out = static_cast<uint16_t>(port);
  return true;
}

// A serialised origin (RFC 6454 6.2): scheme "://" host [":" port], and nothing after it.
struct Origin {
  std::string_view scheme;
  Authority authority;
  uint32_t port = 0;  // the default filled in; kNoPort if the scheme has none
};
constexpr uint32_t kNoPort = kMaxPort + 1;

bool is_scheme(std::string_view s) {
  if (s.empty() || !char_is(s[0], kAlphaChar)) return false;
  for (char c : s) {
    scan_step();
    if (!char_is(c, kAlphaChar | kDigitChar) && c != '+' && c != '-' && c != '.') return false;
  }
  return true;
}

bool parse_origin(std::string_view text, Origin* out) {
  const size_t colon = text.find("://");
  if (colon == std::string_view::npos || text.back() == ':') return false;
  out->scheme = text.substr(0, colon);
  if (!is_scheme(out->scheme) || !parse_authority(text.substr(colon + 3), &out->authority)) {
    return false;
  }
  if (out->authority.has_port) {
    out->port = out->authority.port;
  } else if (equals_ignore_case(out->scheme, "http")) {
    out->port = 80;
  } else if (equals_ignore_case(out->scheme, "https")) {
    out->port = 443;
  } else {
    out->port = kNoPort;
  }
  return true;
}

bool same_host(const Authority& a, const Authority& b) {
  if (a.is_ipv6 != b.is_ipv6) return false;
  if (a.is_ipv6) return std::memcmp(a.ipv6, b.ipv6, sizeof a.ipv6) == 0;
  return equals_ignore_case(a.host, b.host);
}

}  // namespace

bool parse_authority(std::string_view text, Authority* out) {
  Authority a;
  std::string_view port;
  if (!text.empty() && text[0] == '[') {
    const size_t close = text.find(']');
    if (close == std::string_view::npos) return false;
    a.host = text.substr(1, close - 1);
    a.is_ipv6 = true;
    if (!parse_ipv6(a.host, a.ipv6)) return false;
    port = text.substr(close + 1);
    if (!port.empty() && port[0] != ':') return false;
  } else {
    const size_t colon = text.find(':');
    a.host = text.substr(0, colon);
    if (!is_reg_name(a.host)) return false;
    if (colon != std::string_view::npos) port = text.substr(colon);
  }
  if (port.size() > 1) {
    a.has_port = true;
    if (!parse_port(port.substr(1), &a.port)) return false;
  }
  *out = a;
  return true;
}

bool origin_is_same_host(std::string_view origin, std::string_view host, bool secure) {
  Origin from;
  Authority to;
  if (!parse_origin(origin, &from) || !parse_authority(host, &to)) return false;
  const bool https = equals_ignore_case(from.scheme, "https");
  if (!https && (secure || !equals_ignore_case(from.scheme, "http"))) return false;
  const uint32_t port = to.has_port ? to.port : https ? 443u : 80u;
  return from.port == port && same_host(from.authority, to);
}

bool origin_is_allowed(std::string_view origin, std::span<const std::string_view> allowed) {
  Origin from;
  const bool parsed = parse_origin(origin, &from);
  for (std::string_view entry : allowed) {
    if (entry == "*" || (entry == origin && !origin.empty())) return true;
    Origin listed;
    if (!parsed || !parse_origin(entry, &listed)) continue;
    if (equals_ignore_case(from.scheme, listed.scheme) && from.port == listed.port &&
        same_host(from.authority, listed.authority)) {
      return true;
    }
  }
  return false;
}

bool origin_can_be_listed(std::string_view entry) {
  Origin parsed;
  return entry == "*" || entry == "null" || parse_origin(entry, &parsed);
}

}  // namespace libws
