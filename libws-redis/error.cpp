#include "error.hpp"

#include <cstdarg>
#include <cstdio>

namespace libws_redis {

Failure fail(int code, const char* format, ...) {
  char text[512];
  va_list args;
  va_start(args, format);
  vsnprintf(text, sizeof text, format, args);
  va_end(args);
  return {code, text};
}

Failure fail_libws(int code) { return {code, ws_last_detail()}; }

std::string printable(const char* data, size_t len) {
  constexpr size_t kLongest = 200;
  std::string text;
  for (size_t i = 0; i < len && i < kLongest; ++i) {
    text += data[i] >= ' ' && data[i] <= '~' ? data[i] : '?';
  }
  return text;
}

}  // namespace libws_redis
