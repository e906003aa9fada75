// Which proxy a connection goes through: its URL, and what the environment says.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/error.hpp"

#include <cstdint>
#include <string_view>

namespace libws {

struct Url;

enum class ProxyKind : uint8_t { kNone, kHttp, kHttps, kSocks5, kSocks4a };

struct Proxy {
  ProxyKind kind = ProxyKind::kNone;
  String host;  // as in Url: no brackets, IPv6 with "%zone"
  bool is_ipv6 = false;
  uint16_t port = 0;
  bool has_credentials = false;
  String user, password;  // percent-decoded, within what the kind can carry
};

// [scheme "://"] [user [":" password] "@"] host [":" port] ["/"].  The scheme is http, https,
// socks5, socks5h, socks (all three SOCKS 5, where the proxy looks up the name) or socks4a; http
// if there is none.  The port is that of the scheme by default, 80, 443 or 1080.
// `what` begins the detail.  Errors: INVALID, "<what>: <problem> at byte N".
// Throws std::bad_alloc.
Error parse_proxy(std::string_view text, Proxy* out, const char* what = "proxy");

// The proxy that the environment names for `url`; kNone: connect directly.
//
//   wss   wss_proxy WSS_PROXY https_proxy HTTPS_PROXY all_proxy ALL_PROXY
//   ws    ws_proxy WS_PROXY http_proxy all_proxy ALL_PROXY
//
// The first that is set decides, even if it is empty, which means none.  HTTP_PROXY is not read:
// a CGI program has it from its peer's "Proxy" field.  A unix socket needs no proxy.
//
// no_proxy, else NO_PROXY, lists hosts that are reached directly, separated by commas or spaces:
//
//   *                       any host
//   example.com             it and what is below it; the same as .example.com and *.example.com
//   192.0.2.1  2001:db8::1  an address; an IPv4-mapped one equals the IPv4 address
//   10.0.0.0/8  fd00::/8    addresses that begin with so many bits
//
// A name or an address (IPv6 in brackets) may be followed by ":port".  Names are compared without
// case and without a trailing dot, and never looked up.
//
// Errors: INVALID, "<variable>: <problem> at byte N": what does not parse is not ignored, because
// either guess, direct or proxied, can send the request where it must not go.
// Throws std::bad_alloc.
Error proxy_from_environment(const Url& url, const char* (*get_env)(const char* name), Proxy* out);

}  // namespace libws
