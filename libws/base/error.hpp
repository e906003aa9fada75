// The one error channel inside: a ws_error code in an Error, with the detail text kept for
// ws_last_detail().  Only std::bad_alloc travels as an exception; api/guard.hpp ends it.
#pragma once

#include <libws/base.h>

#include <cstdarg>
#include <utility>

namespace libws {

// Zero or positive is success (WS_BACKPRESSURE is one), negative a failure.
class [[nodiscard]] Error {
 public:
  constexpr Error() = default;
  constexpr explicit Error(int code) : code_(code) {}
  constexpr int code() const { return code_; }
  constexpr bool failed() const { return code_ < 0; }
  constexpr explicit operator bool() const { return failed(); }

 private:
  int code_ = WS_OK;
};

// Records the detail for this thread and returns the code.  printf-style; peers' bytes must be
// escaped before they come here.
Error fail(int code, const char* format, ...) __attribute__((format(printf, 2, 3)));

// As fail(), with ": <strerror(sys_errno)>" at the end.
Error fail_errno(int code, int sys_errno, const char* format, ...)
    __attribute__((format(printf, 3, 4)));

// The system's words for an error number; what it points to is static or `buffer`.
const char* errno_text(int sys_errno, char (&buffer)[128]);

// The last detail on this thread, never null.
const char* last_detail();

// The English sentence for a code.
const char* error_text(int code);

}  // namespace libws
