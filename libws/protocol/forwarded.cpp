#include "libws/protocol/forwarded.hpp"

#include "libws/protocol/chars.hpp"

namespace libws {
namespace {

std::string_view name_of(ForwardedField field) {
  return field == ForwardedField::kForwarded ? "Forwarded" : "X-Forwarded-For";
}

std::string_view trimmed(std::string_view s) {
  while (!s.empty() && is_ows(s.front())) s.remove_prefix(1);
  while (!s.empty() && is_ows(s.back())) s.remove_suffix(1);
  return s;
}

// A quote with an odd number of backslashes before it is a character of a quoted string
// (RFC 9110 5.6.4); elsewhere no backslash may stand.
bool is_escaped(std::string_view s, size_t at) {
  size_t backslashes = 0;
  while (backslashes < at && s[at - 1 - backslashes] == '\\') {
    scan_step();
    ++backslashes;
  }
  return backslashes % 2 != 0;
}

// Where the last part of `s` begins, with `separator` before it unless it is 0.  A separator inside
// a quoted string is none.
size_t last_part(std::string_view s, char separator, bool quotes) {
  bool quoted = false;
  for (size_t i = s.size(); i != 0; --i) {
    scan_step();
    const char c = s[i - 1];
    if (quotes && c == '"' && !is_escaped(s, i - 1)) quoted = !quoted;
    if (c == separator && !quoted) return i;
  }
  return 0;
}

// RFC 7239 6: a port is digits, or an obfuscated one.
bool is_port(std::string_view s) {
  if (!s.empty() && s[0] == '_') return s.size() > 1 && all_chars_are(s, kTokenChar);
  return !s.empty() && s.size() <= 5 && all_chars_are(s, kDigitChar);
}

// "192.0.2.7", "192.0.2.7:80", "[2001:db8::1]", "[2001:db8::1]:80", and in X-Forwarded-For
// "2001:db8::1".  What is left is checked by whoever knows addresses.
bool host_of_node(std::string_view node, bool bare_v6, std::string_view* host) {
  if (!node.empty() && node[0] == '[') {
    const size_t end = node.find(']');
    if (end == node.npos) return false;
    *host = node.substr(1, end - 1);
    if (host->find(':') == host->npos) return false;
    node.remove_prefix(end + 1);
    return node.empty() || (node[0] == ':' && is_port(node.substr(1)));
  }
  const size_t colon = node.find(':');
  const bool several = colon != node.npos && node.find(':', colon + 1) != node.npos;
  *host = several ? node : node.substr(0, colon);
  if (several) return bare_v6;
  return !host->empty() && (colon == node.npos || is_port(node.substr(colon + 1)));
}

// token / quoted-string, without its quotes.  Escapes stay: no address has one.
bool is_value(std::string_view* value) {
  if (value->empty() || value->front() != '"') {
    return !value->empty() && all_chars_are(*value, kTokenChar);
  }
  if (value->size() < 2 || value->back() != '"' || is_escaped(*value, value->size() - 1)) {
    return false;
  }
  *value = value->substr(1, value->size() - 2);
  for (size_t i = 0; i < value->size(); ++i) {
    scan_step();
    if ((*value)[i] == '"') return false;
    if ((*value)[i] == '\\') ++i;
  }
  return true;
}

// RFC 7239 4: pairs between semicolons, each parameter at most once; we look for "for".
bool node_of_element(std::string_view element, std::string_view* node) {
  bool found = false;
  for (bool more = true; more;) {
    const size_t begin = last_part(element, ';', true);
    const std::string_view pair = trimmed(element.substr(begin));
    more = begin != 0;
    if (more) element = element.substr(0, begin - 1);
    if (pair.empty()) continue;
    const size_t equals = pair.find('=');
    if (equals == pair.npos) return false;
    const std::string_view name = pair.substr(0, equals);
    std::string_view value = pair.substr(equals + 1);
    if (name.empty() || !all_chars_are(name, kTokenChar) || !is_value(&value)) return false;
    if (!equals_ignore_case(name, "for")) continue;
    if (found) return false;
    found = true;
    *node = value;
  }
  return found;
}

}  // namespace

ForwardedWalk::ForwardedWalk(const Head& head, ForwardedField field)
    : head_(head), field_(field), line_(head.field_count()) {}

// RFC 9110 5.3: lines of one name are one list, in order.
bool ForwardedWalk::next_line() {
  while (line_ != 0) {
    --line_;
    if (!equals_ignore_case(head_.name(line_), name_of(field_))) continue;
    rest_ = head_.value(line_);
    more_ = true;
    return true;
  }
  return false;
}

bool ForwardedWalk::next(std::string_view* address) {
  if (!more_ && !next_line()) return false;
  const bool standard = field_ == ForwardedField::kForwarded;
  const size_t begin = last_part(rest_, ',', standard);
  std::string_view node = trimmed(rest_.substr(begin));
  more_ = begin != 0;
  if (more_) rest_ = rest_.substr(0, begin - 1);
  if (standard && !node_of_element(node, &node)) return false;
  return host_of_node(node, !standard, address);
}

}  // namespace libws
