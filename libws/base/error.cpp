#include "libws/base/error.hpp"

#include <cstdio>
#include <cstring>

namespace libws {
namespace {

// Long enough for a path and a reason; longer details are cut, never grown.
constexpr size_t kDetailBytes = 256;
thread_local char detail_text[kDetailBytes];

size_t write_detail(const char* format, va_list args) {
  int n = std::vsnprintf(detail_text, kDetailBytes, format, args);
  if (n < 0) {
    detail_text[0] = '\0';
    return 0;
  }
  return static_cast<size_t>(n) < kDetailBytes ? static_cast<size_t>(n) : kDetailBytes - 1;
}

// strerror_r has two signatures; overloads pick whichever the C library has.
[[maybe_unused]] const char* picked(int result, const char* buffer) {
  return result == 0 ? buffer : "unknown error";
}
[[maybe_unused]] const char* picked(const char* result, const char*) { return result; }

}  // namespace

Error fail(int code, const char* format, ...) {
  va_list args;
  va_start(args, format);
  write_detail(format, args);
  va_end(args);
  return Error(code);
}

Error fail_errno(int code, int sys_errno, const char* format, ...) {
  va_list args;
  va_start(args, format);
  size_t used = write_detail(format, args);
  va_end(args);
  char buffer[128];
  std::snprintf(detail_text + used, kDetailBytes - used, ": %s", errno_text(sys_errno, buffer));
  return Error(code);
}

const char* errno_text(int sys_errno, char (&buffer)[128]) {
  return picked(strerror_r(sys_errno, buffer, sizeof buffer), buffer);
}

const char* last_detail() { return detail_text; }

const char* error_text(int code) {
  switch (code) {
    case WS_OK: return "success";
    case WS_BACKPRESSURE: return "accepted, but the send queue is above its high mark";
    case WS_DROPPED: return "dropped, because the receiver is slow";
    case WS_ERR_INVALID: return "an argument is out of range";
    case WS_ERR_STATE: return "the call is not allowed in this state";
    case WS_ERR_REENTRANT: return "the loop is already running";
    case WS_ERR_UNSUPPORTED: return "not supported by this build or platform";
    case WS_ERR_NOMEM: return "out of memory";
    case WS_ERR_CLOSED: return "the connection is closed";
    case WS_ERR_FULL: return "the send queue is full";
    case WS_ERR_TOO_BIG: return "a message or header exceeds its limit";
    case WS_ERR_TIMEOUT: return "timed out";
    case WS_ERR_CANCELLED: return "cancelled by this side";
    case WS_ERR_IO: return "a system call failed";
    case WS_ERR_DNS: return "the host's name could not be looked up";
    case WS_ERR_CONNECT: return "no address of the host took the connection";
    case WS_ERR_EOF: return "the peer went away without a closing handshake";
    case WS_ERR_ADDR: return "the address cannot be used";
    case WS_ERR_PROXY: return "the proxy refused or broke its protocol";
    case WS_ERR_TLS: return "TLS failed";
    case WS_ERR_TLS_CONFIG: return "a certificate, key or TLS setting cannot be used";
    case WS_ERR_TLS_VERIFY: return "the peer's certificate was not accepted";
    case WS_ERR_HTTP: return "malformed HTTP";
    case WS_ERR_HTTP_STATUS: return "the handshake was refused with an HTTP status";
    case WS_ERR_HANDSHAKE: return "the opening handshake is not valid";
    case WS_ERR_PROTOCOL: return "the peer broke the WebSocket protocol";
    case WS_ERR_UTF8: return "text is not valid UTF-8";
    case WS_ERR_DEFLATE: return "a compressed message cannot be decompressed";
    default: return "unknown error code";
  }
}

}  // namespace libws
