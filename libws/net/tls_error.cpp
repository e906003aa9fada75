#include "libws/net/tls_error.hpp"

#include <openssl/err.h>
#include <openssl/ssl.h>

#include <cstdio>

namespace libws {

void tls_clear_errors() {
  if (ERR_peek_error() != 0) ERR_clear_error();
}

TlsReason::TlsReason(Which which) {
  const unsigned long code = which == kFirst ? ERR_peek_error() : ERR_peek_last_error();
  if (code == 0) {
    std::snprintf(text_, sizeof text_, "unknown error");
  } else if (ERR_SYSTEM_ERROR(code)) {
    // OpenSSL has no text for these; fail_errno() has, and this thread's detail is ours to use.
    (void)fail_errno(WS_ERR_IO, ERR_GET_REASON(code), "system");
    std::snprintf(text_, sizeof text_, "%s", last_detail() + sizeof "system: " - 1);
  } else {
    const char* reason = ERR_reason_error_string(code);
    std::snprintf(text_, sizeof text_, "%s", reason != nullptr ? reason : "unknown error");
    out_of_memory_ = ERR_GET_REASON(code) == ERR_R_MALLOC_FAILURE;
    if (ERR_GET_LIB(code) == ERR_LIB_SSL) ssl_reason_ = ERR_GET_REASON(code);
  }
  ERR_clear_error();
}

Error tls_fail(int code, const char* what) {
  const TlsReason reason;
  return fail(reason.out_of_memory() ? WS_ERR_NOMEM : code, "%s: %s", what, reason.c_str());
}

}  // namespace libws
