// Building HTTP heads.  Every string that comes from the caller is checked here: no CR, LF or
// NUL leaves through a header (bad_inputs 53, 73).
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/error.hpp"

#include <libws/base.h>

#include <span>
#include <string_view>

namespace libws {

// What goes out before the answer to `Expect: 100-continue` (RFC 9110 7.8, 15.2.1).
inline constexpr std::string_view kContinueResponse = "HTTP/1.1 100 Continue\r\n\r\n";

// Fields the handshake or the framing of the message writes itself: Connection, Content-Length,
// Host, Keep-Alive, Transfer-Encoding, Upgrade and Sec-WebSocket-*.  Date and Server are not
// reserved: the caller's replace the library's.
bool is_reserved_field(std::string_view name);

// A value that may go into a field: no CTL but HTAB (RFC 9110 5.5).
bool is_field_value(std::string_view value);

// Names are tokens, values are field values, nothing reserved.  `what` goes into the detail:
// "accept: header 'X y' is not a token".  Values are not shown, they may be secrets.
// Errors: INVALID.
Error check_caller_fields(const char* what, std::span<const ws_header> fields);

bool has_field(std::span<const ws_header> fields, std::string_view name);
void append_field(String& out, std::string_view name, std::string_view value);
void append_fields(String& out, std::span<const ws_header> fields);

const char* status_phrase(int status);  // "Bad Request"; "" when unknown

// RFC 9110 6.4.1: 1xx, 204, 205 and 304 have no content.
bool status_has_body(int status);

// Appends "Sun, 06 Nov 1994 08:49:37 GMT" (RFC 9110 5.6.7).
void append_http_date(String& out, int64_t unix_seconds);

// Appends "Date: ...\r\n" (RFC 9110 6.6.1).  The wall clock is read by the caller.
void append_date(String& out, int64_t unix_seconds);

// A whole response with Connection: close and Content-Length (RFC 9112 9.6); `extra` are fields
// already checked, `date` 0 leaves the Date field out.  The body is appended unless `head_only`
// or the status has none.  426 gets the Upgrade it must have (RFC 9110 15.5.22).
struct ResponseParts {
  int status = 400;
  std::span<const ws_header> extra;
  std::string_view content_type;  // "" = no field
  std::string_view body;
  int64_t date = 0;
  const char* server = nullptr;  // a field value already checked
  bool head_only = false;
};
void append_response(String& out, const ResponseParts& parts);

// The library's own refusal: status, a short text/plain body that says why, and the fields the
// status demands: 405 Allow (RFC 9110 15.5.6), 426 Upgrade and `Connection: close, Upgrade`
// (7.8), and `Sec-WebSocket-Version: 13` (RFC 6455 4.4).
void append_refusal(String& out, int status, std::string_view why, int64_t date, const char* server,
                    bool head_only);

}  // namespace libws
