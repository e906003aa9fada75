// A failure: its code and what people are told.  The only error channel of this library.
#pragma once

#include <libws/base.h>

#include <string>

namespace libws_redis {

struct Failure {
  int code = WS_OK;
  std::string detail;

  explicit operator bool() const { return code != WS_OK; }
};

// As printf; bytes that came from outside are to be made printable first.
Failure fail(int code, const char* format, ...) __attribute__((format(printf, 2, 3)));
// The reason of a libws call that has just failed.
Failure fail_libws(int code);
// Printable ASCII, cut short.
std::string printable(const char* data, size_t len);

}  // namespace libws_redis
