// Bytes as text in tests: "81 05 68" and back.
#pragma once

#include <string>
#include <string_view>

namespace libws::test {

inline std::string hex(std::string_view s) {
  static const char digits[] = "0123456789abcdef";
  std::string out;
  for (char signed_char : s) {
    const auto c = static_cast<unsigned char>(signed_char);
    out += digits[c >> 4];
    out += digits[c & 15];
  }
  return out;
}

// "81 05 68" -> bytes
inline std::string unhex(std::string_view s) {
  std::string out;
  int high = -1;
  for (char c : s) {
    int v = c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
    if (v < 0) continue;
    if (high < 0) {
      high = v;
    } else {
      out += static_cast<char>(high * 16 + v);
      high = -1;
    }
  }
  return out;
}

}  // namespace libws::test
