#include "libws/base/log.hpp"

#include <cstdarg>
#include <cstdio>

namespace libws {

void Log::write(ws_log_level level, const char* format, ...) const {
  if (!enabled(level)) return;
  char line[512];
  va_list args;
  va_start(args, format);
  int n = std::vsnprintf(line, sizeof line, format, args);
  va_end(args);
  if (n < 0) return;
  size_t len = static_cast<size_t>(n) < sizeof line ? static_cast<size_t>(n) : sizeof line - 1;
  fn_(user_, level, line, len);
}

Escaped::Escaped(std::string_view bytes) {
  constexpr size_t kMaxText = sizeof text_ - 4;  // room for "..." and NUL
  static const char hex[] = "0123456789abcdef";
  size_t n = 0;
  for (char signed_char : bytes) {
    const auto c = static_cast<unsigned char>(signed_char);
    bool plain = c >= 0x20 && c < 0x7f && c != '\\' && c != '"';
    if (n + (plain ? 1 : 4) > kMaxText) {
      text_[n++] = '.';
      text_[n++] = '.';
      text_[n++] = '.';
      break;
    }
    if (plain) {
      text_[n++] = static_cast<char>(c);
    } else {
      text_[n++] = '\\';
      text_[n++] = 'x';
      text_[n++] = hex[c >> 4];
      text_[n++] = hex[c & 15];
    }
  }
  text_[n] = '\0';
}

}  // namespace libws
