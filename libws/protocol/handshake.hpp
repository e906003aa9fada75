// The rules of the opening handshake, both roles (RFC 6455 4): what a request must hold, what a
// response must hold, and building each.  Heads in, verdicts out; no state.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/error.hpp"
#include "libws/protocol/deflate_params.hpp"
#include "libws/protocol/extension.hpp"
#include "libws/protocol/http.hpp"
#include "libws/protocol/origin.hpp"

#include <libws/base.h>

#include <span>
#include <string_view>

namespace libws {

inline constexpr size_t kKeyChars = 24;     // base64 of 16 bytes
inline constexpr size_t kAcceptChars = 28;  // base64 of a SHA-1

// A request may offer more subprotocols than this; further ones are checked and dropped.
inline constexpr size_t kMaxSubprotocols = 64;

// Longer than any origin can be: scheme, 255 bytes of host, port.
inline constexpr size_t kMaxOriginBytes = 512;

// Sec-WebSocket-Accept for a key as received (RFC 6455 4.2.2-5.4).  False: OpenSSL failed.
bool handshake_accept(std::string_view key, char (&out)[kAcceptChars]);

// The verdict on a request head.  The rules are tried in this order, the first that is broken
// gives the status:
//
//   HTTP/1.0                                                           400
//   Host: missing, repeated, not host[:port]                           400
//   Content-Length or Transfer-Encoding that frame nothing certain     400
//   a method other than GET, or HEAD without `Upgrade: websocket`      405
//   a target that is neither origin-form nor absolute http(s)          400
//   an expectation other than 100-continue                             417
//   without `Upgrade: websocket`:
//     Content-Length above 0                                           413
//     Transfer-Encoding: chunked                                       501
//   with it:
//     a body                                                           400
//     Connection without "upgrade"                                     400
//     Sec-WebSocket-Version: missing or repeated                       400
//                            not 13                                    426
//     Sec-WebSocket-Key: missing, repeated, not 16 bytes in base64     400
//     Origin: repeated or longer than kMaxOriginBytes                  400
//     Sec-WebSocket-Protocol: not a list of distinct tokens            400
//     Sec-WebSocket-Extensions: not a list of extensions               400
struct RequestVerdict {
  int status = 0;                // 0: fine; else the HTTP status to refuse with
  const char* why = "";          // static text for the body and the log
  bool is_upgrade = false;       // a valid WebSocket handshake; else plain HTTP
  bool expect_continue = false;  // RFC 9110 7.8: 100 Continue goes before the answer
  bool head_only = false;        // HEAD: answers have no body; set whatever the status
};
// `protocols` gets the subprotocols offered, in order, as views into the head.
RequestVerdict check_request(const Head& head, Vector<std::string_view>* protocols);

// What all Sec-WebSocket-Extensions of a head name, in order, as views into it; nothing where there
// is no such field.  False: one is no list of extensions, or there are fields and none names any.
bool read_extensions(const Head& head, Vector<Extension>* out);

// Path and query of a request target: origin-form, or absolute-form, whose authority then
// replaces Host (RFC 9112 3.2.2).  Only for heads that check_request found fine.
struct Target {
  std::string_view path;       // "/" at least
  std::string_view query;      // after '?', or ""
  std::string_view authority;  // of the absolute form, else ""
};
Target split_target(std::string_view target);

// The 101 response.  `fields` are checked already; `protocol` and `extensions`, the value of
// Sec-WebSocket-Extensions, "" = none.
void append_switching_protocols(String& out, const char (&accept)[kAcceptChars],
                                std::string_view protocol, std::string_view extensions,
                                std::span<const ws_header> fields, const char* server);

// The client's request.  Errors: INVALID with detail (host, target, headers, subprotocols).
struct OpenRequest {
  std::string_view host;    // host[:port]
  std::string_view target;  // "" = "/"
  std::span<const ws_header> headers;
  std::span<const char* const> subprotocols;
  std::string_view extensions = {};  // value of Sec-WebSocket-Extensions, "" = none
};
Error check_open_request(const OpenRequest& open);
void append_open_request(String& out, const OpenRequest& open, std::string_view key);

// The verdict on a response head (RFC 6455 4.1, "Once the client's opening handshake...").
struct ResponseVerdict {
  int error = 0;              // 0: fine; WS_ERR_HTTP_STATUS, WS_ERR_HANDSHAKE
  const char* why = "";       // static
  bool interim = false;       // 1xx other than 101: skip it (RFC 9110 15.2)
  std::string_view protocol;  // agreed subprotocol, "" = none; a view into the head
  DeflateAgreed deflate;
};
// `deflate` is the wish that append_deflate_offer() wrote; nothing else was offered.
ResponseVerdict check_response(const Head& head, std::string_view key,
                               std::span<const char* const> subprotocols,
                               const DeflateWish& deflate);

}  // namespace libws
