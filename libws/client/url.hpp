// What a client is told to connect to: ws, wss, ws+unix and wss+unix URLs, the Location of a
// redirect, and "host:port".  Text is parsed here, once, into values that need no further checks;
// nothing is looked up.  Errors name what is wrong and the byte, counted from 0, where it stands;
// they never show user or password.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/error.hpp"

#include <cstdint>
#include <string_view>

namespace libws {

// Of a whole URL, and of its target once percent-encoded.
constexpr size_t kMaxUrlBytes = 8 * 1024;

struct Url {
  bool secure = false;   // wss, wss+unix
  String unix_path;      // of ws+unix, percent-decoded, "@name" for an abstract one; "" = TCP
  String host;           // as given, no brackets; IPv6 with "%zone" decoded; "localhost" for unix
  bool is_ipv6 = false;  // `host` is an IPv6 literal
  uint16_t port = 0;     // never 0 once parsed; 80 or 443 by default and for unix
  bool has_credentials = false;  // user or password is not empty
  String user, password;         // percent-decoded; no control bytes, no ':' in `user` (RFC 7617 2)
  String target;                 // "/path?query" in characters that a request line can hold

  // For the Host field: IPv6 in brackets and without its zone, which means nothing to the server
  // (RFC 6874 4), and the port unless it is the default.
  String host_field() const;

  // The URL without user and password; parse_url() reads it back unless it is too long.
  String text() const;

  // The same security, host (without case) and port, or unix path.  Two spellings of one IPv6
  // address are taken for two origins: less is sent then, never more.
  bool same_origin(const Url& other) const;
};

// scheme "://" [user [":" password] "@"] host [":" port] [path] ["?" query], where
//
//   scheme   ws or wss, without case
//   user     and password: RFC 3986 3.2.1, so that anything else is percent-encoded
//   host     a name in ASCII, a dotted IPv4 address, or an IPv6 address in brackets with an
//            optional "%25zone" (RFC 6874).  No empty label; a name that ends in a number must be
//            an IPv4 address in full, because getaddrinfo() takes "127.1" and "0x7f000001" too
//   port     1 to 65535
//   path     and query: kept, but for bytes that RFC 3986 does not know, which are encoded
//
// or, for a unix socket, "ws+unix:" or "wss+unix:", optionally "//", and then
//
//   path [":" target]    the socket, "/run/a.sock" or "@name" (Linux's abstract names).  The first
//                        ':' ends it; ':', '?', '#' and '%' in it are written %3A, %3F, %23, %25
//
// Control bytes, backslashes and fragments (RFC 6455 3) are refused wherever they stand.
// Errors: INVALID, "url: <what> at byte N".  Throws std::bad_alloc.
Error parse_url(std::string_view text, Url* out);

// The Location of a redirect, absolute or relative, resolved against `base` (RFC 3986 5.2); http
// and https stand for ws and wss, a fragment is dropped.  A location with user or password is
// refused: it would have us send credentials that the server has chosen.  Those of `base` are kept
// for the same origin and dropped for any other.  A location cannot name a unix socket; from one
// that was reached by a socket, "http://localhost/" means the same socket.  Whether wss may become
// ws is the caller's to say.  `out` must not be `base`.
// Errors: INVALID, "location: <what> at byte N".  Throws std::bad_alloc.
Error resolve_location(const Url& base, std::string_view location, Url* out);

// "host:port", both required; as in a URL, but the zone of an IPv6 address is written "%zone".
// `host` comes without brackets.  Errors: INVALID, "<what>: <problem> at byte N".
Error parse_host_port(const char* what, std::string_view text, String* host, uint16_t* port);

}  // namespace libws
