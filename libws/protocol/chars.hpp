// Which bytes may stand where in HTTP/1.1, in one table, and the counter by which tests prove
// that scanning is linear.
#pragma once

#include <array>
#include <cstdint>
#include <string_view>

namespace libws {

#ifdef LIBWS_TESTING
// Loop turns of every scanner of peers' text on this thread: a test resets it and compares it
// with the bytes it fed.  Counting is exact where measuring time is not.
inline thread_local uint64_t scan_steps = 0;
inline void scan_step() { ++scan_steps; }
#else
inline void scan_step() {}
#endif

enum CharClass : uint8_t {
  kTokenChar = 1u << 0,   // RFC 9110 5.6.2 tchar
  kTargetChar = 1u << 1,  // see make_char_classes()
  kValueChar = 1u << 2,   // RFC 9110 5.5: HTAB, SP, VCHAR, obs-text
  kHostChar = 1u << 3,    // RFC 3986 3.2.2 reg-name, '%' apart
  kDigitChar = 1u << 4,
  kAlphaChar = 1u << 5,
  kHexChar = 1u << 6,
};

namespace detail {

constexpr void add_class(std::array<uint8_t, 256>& table, std::string_view chars, uint8_t cls) {
  for (char c : chars) table[static_cast<uint8_t>(c)] |= cls;
}

constexpr std::array<uint8_t, 256> make_char_classes() {
  std::array<uint8_t, 256> t{};
  for (unsigned c = 0; c < 256; ++c) {
    const bool digit = c >= '0' && c <= '9';
    const bool alpha = (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z');
    if (digit) t[c] |= kDigitChar;
    if (alpha) t[c] |= kAlphaChar;
    if (digit || (c >= 'A' && c <= 'F') || (c >= 'a' && c <= 'f')) t[c] |= kHexChar;
    if (digit || alpha) t[c] |= kTokenChar | kTargetChar | kHostChar;
    if (c == '\t' || (c >= 0x20 && c != 0x7f)) t[c] |= kValueChar;
  }
  add_class(t, "!#$%&'*+-.^_`|~", kTokenChar);
  add_class(t, "-._~!$&'()*+,;=", kHostChar);
  // RFC 3986 unreserved, reserved and '%'.  '#' is left out: a target has no fragment
  // (RFC 6455 3).
  add_class(t, "-._~:/?[]@!$&'()*+,;=%", kTargetChar);
  // Not legal in a URI, but browsers send them as they are: the WHATWG URL standard leaves them
  // unencoded in a query.  Refusing them would refuse `new WebSocket(url + "?{a}")`.
  add_class(t, "\\^`{|}", kTargetChar);
  return t;
}

inline constexpr std::array<uint8_t, 256> char_classes = make_char_classes();

}  // namespace detail

constexpr bool char_is(uint8_t c, uint8_t cls) { return (detail::char_classes[c] & cls) != 0; }
constexpr bool char_is(char c, uint8_t cls) { return char_is(static_cast<uint8_t>(c), cls); }

inline bool all_chars_are(std::string_view s, uint8_t cls) {
  for (char c : s) {
    scan_step();
    if (!char_is(c, cls)) return false;
  }
  return true;
}

constexpr char to_lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

// RFC 9110 5.6.3.
constexpr bool is_ows(char c) { return c == ' ' || c == '\t'; }

}  // namespace libws
