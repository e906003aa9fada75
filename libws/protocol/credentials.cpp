#include "libws/protocol/credentials.hpp"

#include "libws/base/crypto.hpp"
#include "libws/protocol/chars.hpp"

#include <algorithm>

namespace libws {
namespace {

// What follows "scheme" and one or more spaces (RFC 9110 11.4); false when the field has another
// scheme.  It begins and ends without white space, as all field values here do.
bool after_scheme(std::string_view value, std::string_view scheme, std::string_view* rest) {
  const size_t space = value.find(' ');
  if (!equals_ignore_case(value.substr(0, space), scheme)) return false;
  const size_t from = space == std::string_view::npos ? space : value.find_first_not_of(' ', space);
  // Not "": the NUL of the value shall stay behind what is given.
  *rest = value.substr(std::min(from, value.size()));
  return true;
}

// RFC 9110 11.2: letters, digits and some marks, then padding.
bool is_token68(std::string_view s) {
  size_t n = 0;
  while (n < s.size() && (char_is(s[n], kAlphaChar | kDigitChar) ||
                          std::string_view("-._~+/").find(s[n]) != std::string_view::npos)) {
    scan_step();
    ++n;
  }
  return n != 0 && s.find_first_not_of('=', n) == std::string_view::npos;
}

bool has_control(std::string_view s) {
  return std::any_of(s.begin(), s.end(), [](char c) {
    const auto byte = static_cast<uint8_t>(c);
    return byte < 0x20 || byte == 0x7f;
  });
}

// The field, which RFC 9110 11.6.2 allows once.  Which of two would count is not for us to guess.
size_t find_authorization(const Head& head, bool* repeated) {
  const size_t i = head.find("Authorization");
  *repeated = i != SIZE_MAX && head.find("Authorization", i + 1) != SIZE_MAX;
  return i;
}

}  // namespace

Error read_basic(const Head& head, BasicCredentials* out, bool* found) {
  *found = false;
  bool repeated = false;
  const size_t i = find_authorization(head, &repeated);
  if (i == SIZE_MAX) return Error();
  if (repeated) return fail(WS_ERR_HTTP, "basic: more than one Authorization");
  std::string_view encoded;
  if (!after_scheme(head.value(i), "Basic", &encoded)) return Error();
  out->text.resize(encoded.size() / 4 * 3);
  size_t len = 0;
  if (encoded.empty() ||
      !base64_decode(encoded, reinterpret_cast<uint8_t*>(out->text.data()), &len)) {
    return fail(WS_ERR_HTTP, "basic: what follows the scheme is not base64");
  }
  // RFC 7617 2: the first colon, because a user name has none; and no control characters.
  const std::string_view pair(out->text.data(), len);
  const size_t colon = pair.find(':');
  if (colon == std::string_view::npos) return fail(WS_ERR_HTTP, "basic: there is no colon");
  if (has_control(pair)) return fail(WS_ERR_HTTP, "basic: there is a control character");
  out->user = pair.substr(0, colon);
  out->password = pair.substr(colon + 1);
  *found = true;
  return Error();
}

std::string_view read_bearer(const Head& head) {
  bool repeated = false;
  const size_t i = find_authorization(head, &repeated);
  std::string_view token;
  if (i == SIZE_MAX || repeated || !after_scheme(head.value(i), "Bearer", &token)) return {};
  return is_token68(token) ? token : std::string_view();
}

}  // namespace libws
