#include "libws/client/url_parts.hpp"

#include "libws/protocol/chars.hpp"
#include "libws/protocol/origin.hpp"

#include <charconv>
#include <cstdarg>
#include <cstdio>
#include <cstring>

namespace libws {
namespace {

constexpr uint32_t kMaxPort = 65535;
constexpr size_t kMaxZone = 32;  // names of interfaces are shorter still

constexpr bool is_control(char c) {
  const auto b = static_cast<uint8_t>(c);
  return b < 0x20 || b == 0x7f;
}

unsigned hex_value(char c) {
  return static_cast<unsigned>(char_is(c, kDigitChar) ? c - '0' : to_lower(c) - 'a' + 10);
}

Error parse_port(const UrlText& t, size_t begin, size_t end, HostPort* out) {
  uint32_t port = 0;
  bool good = begin != end;
  for (size_t i = begin; i < end && good; ++i) {
    good = char_is(t[i], kDigitChar);
    if (good) port = port * 10 + static_cast<uint32_t>(t[i] - '0');
    if (port > kMaxPort) good = false;
  }
  if (!good || port == 0) return t.wrong(begin, "the port is not a number from 1 to 65535");
  out->has_port = true;
  out->port = static_cast<uint16_t>(port);
  return {};
}

// The zone behind '%', which stands at `percent`.
Error parse_zone(const UrlText& t, size_t percent, size_t end, ZoneForm form, String* host) {
  size_t begin = percent + 1;
  if (form == ZoneForm::kUrl) {
    if (t.part(begin, end).substr(0, 2) != "25") {
      return t.wrong(percent, "the '%%' before an IPv6 zone is not written %%25");
    }
    begin += 2;
  }
  String zone;
  if (form == ZoneForm::kUrl) {
    if (Error e = percent_decode(t, begin, end, &zone)) return e;
  } else {
    zone = t.part(begin, end);
  }
  if (zone.empty() || zone.size() > kMaxZone || !all_chars_are(zone, kHostChar)) {
    return t.wrong(begin, "not the name of an IPv6 zone");
  }
  host->append("%").append(zone);
  return {};
}

Error parse_ipv6(const UrlText& t, size_t begin, size_t end, ZoneForm form, HostPort* out) {
  const size_t percent = t.find("%", begin, end);
  const std::string_view address = t.part(begin, percent);
  if (parse_ip(address).size != 16) return t.wrong(begin, "not an IPv6 address");
  out->is_ipv6 = true;
  out->host = address;
  return percent == end ? Error() : parse_zone(t, percent, end, form, &out->host);
}

// getaddrinfo() takes "127.1", "0177.0.0.1" and "2130706433" for addresses, so that a check for
// 127.0.0.1 elsewhere would be passed by them.  No top-level domain is a number.
bool ends_in_number(std::string_view name) {
  if (name.back() == '.') name.remove_suffix(1);
  const size_t dot = name.rfind('.');
  std::string_view last = dot == std::string_view::npos ? name : name.substr(dot + 1);
  if (all_chars_are(last, kDigitChar)) return true;
  if (last.size() < 2 || last[0] != '0' || to_lower(last[1]) != 'x') return false;
  return all_chars_are(last.substr(2), kHexChar);
}

Error parse_name(const UrlText& t, size_t begin, size_t end, HostPort* out) {
  const std::string_view name = t.part(begin, end);
  if (name.empty()) return t.wrong(begin, "the host is missing");
  for (size_t i = begin; i < end; ++i) {
    scan_step();
    const auto c = static_cast<uint8_t>(t[i]);
    if (char_is(c, kHostChar)) continue;
    if (c >= 0x80) return t.wrong(i, "a host that is not ASCII: convert it to xn--");
    return t.wrong(i, "byte 0x%02x in the host", c);
  }
  Authority unused;
  if (!parse_authority(name, &unused)) {
    return t.wrong(begin, "a host of more than 255 bytes, or a label of more than 63");
  }
  for (size_t i = begin; i < end; ++i) {
    const bool first = i == begin || t[i - 1] == '.';
    if (first && t[i] == '.') return t.wrong(i, "an empty label in the host");
  }
  if (ends_in_number(name) && parse_ip(name).size != 4) {
    return t.wrong(begin, "a host that ends in a number but is not an IPv4 address");
  }
  out->host = name;
  return {};
}

// Four decimal numbers and three dots, nothing else: no leading zeros, which some read as octal.
bool parse_ipv4(std::string_view s, uint8_t* out) {
  for (int i = 0; i < 4; ++i) {
    unsigned n = 0;
    size_t digits = 0;
    while (digits < s.size() && digits < 3 && char_is(s[digits], kDigitChar)) {
      n = n * 10 + static_cast<unsigned>(s[digits++] - '0');
    }
    if (digits == 0 || n > 255 || (digits > 1 && s[0] == '0')) return false;
    s.remove_prefix(digits);
    if (i < 3) {
      if (s.empty() || s[0] != '.') return false;
      s.remove_prefix(1);
    }
    out[i] = static_cast<uint8_t>(n);
  }
  return s.empty();
}

}  // namespace

size_t UrlText::find(std::string_view chars, size_t begin, size_t end) const {
  const size_t at = all_.substr(0, end).find_first_of(chars, begin);
  return at == std::string_view::npos ? end : at;
}

Error UrlText::wrong(size_t at, const char* format, ...) const {
  char problem[160];
  va_list args;
  va_start(args, format);
  std::vsnprintf(problem, sizeof problem, format, args);
  va_end(args);
  return fail(WS_ERR_INVALID, "%s: %s at byte %zu", what_, problem, at);
}

Error UrlText::check_bytes() const {
  for (size_t i = 0; i < size(); ++i) {
    scan_step();
    const auto c = static_cast<uint8_t>(all_[i]);
    if (is_control(all_[i])) return wrong(i, "control byte 0x%02x", c);
    if (c == '\\') return wrong(i, "a backslash");
  }
  return {};
}

Error parse_host_and_port(const UrlText& t, size_t begin, size_t end, ZoneForm form,
                          HostPort* out) {
  HostPort parsed;
  size_t after;
  if (begin != end && t[begin] == '[') {
    const size_t close = t.find("]", begin, end);
    if (close == end) return t.wrong(begin, "'[' without ']'");
    if (Error e = parse_ipv6(t, begin + 1, close, form, &parsed)) return e;
    after = close + 1;
    if (after != end && t[after] != ':') {
      return t.wrong(after, "something other than ':' behind ']'");
    }
  } else {
    after = t.find(":", begin, end);
    if (Error e = parse_name(t, begin, after, &parsed)) return e;
  }
  if (after != end) {
    if (Error e = parse_port(t, after + 1, end, &parsed)) return e;
  }
  *out = std::move(parsed);
  return {};
}

Error parse_credentials(const UrlText& t, size_t begin, size_t end, Credentials* out) {
  for (size_t i = begin; i < end; ++i) {
    if (!char_is(t[i], kHostChar) && t[i] != '%' && t[i] != ':') {
      return t.wrong(i, "a byte in user or password that is not percent-encoded");
    }
  }
  Credentials parsed;
  const size_t colon = t.find(":", begin, end);
  if (Error e = percent_decode(t, begin, colon, &parsed.user)) return e;
  if (colon != end) {
    if (Error e = percent_decode(t, colon + 1, end, &parsed.password)) return e;
  }
  *out = std::move(parsed);
  return {};
}

Error percent_decode(const UrlText& t, size_t begin, size_t end, String* out) {
  for (size_t i = begin; i < end; ++i) {
    if (t[i] != '%') {
      out->push_back(t[i]);
      continue;
    }
    if (end - i < 3 || !char_is(t[i + 1], kHexChar) || !char_is(t[i + 2], kHexChar)) {
      return t.wrong(i, "'%%' without two hexadecimal digits");
    }
    const char c = static_cast<char>(hex_value(t[i + 1]) * 16 + hex_value(t[i + 2]));
    if (is_control(c)) return t.wrong(i, "a control byte, percent-encoded");
    out->push_back(c);
    i += 2;
  }
  return {};
}

void append_percent_encoded(String& out, char c) {
  static const char hex[] = "0123456789ABCDEF";
  const auto b = static_cast<uint8_t>(c);
  const char encoded[] = {'%', hex[b >> 4], hex[b & 15]};
  out.append(encoded, sizeof encoded);
}

std::string_view without_zone(std::string_view host) { return host.substr(0, host.find('%')); }

IpLiteral parse_ip(std::string_view host) {
  IpLiteral ip;
  if (parse_ipv4(host, ip.bytes)) {
    ip.size = 4;
    return ip;
  }
  // The longest IPv6 address has 45 characters; parse_authority() wants it in brackets.
  const std::string_view address = without_zone(host);
  char bracketed[64];
  if (address.size() > sizeof bracketed - 2) return {};
  bracketed[0] = '[';
  std::memcpy(bracketed + 1, address.data(), address.size());
  bracketed[address.size() + 1] = ']';
  Authority authority;
  if (!parse_authority({bracketed, address.size() + 2}, &authority)) return {};
  std::memcpy(ip.bytes, authority.ipv6, sizeof ip.bytes);
  ip.size = sizeof ip.bytes;
  return ip;
}

void append_host(String& out, std::string_view host, bool is_ipv6) {
  if (is_ipv6) {
    out.append("[").append(without_zone(host)).append("]");
  } else {
    out.append(host);
  }
}

void append_decimal(String& out, uint64_t n) {
  char digits[20];
  const auto end = std::to_chars(digits, digits + sizeof digits, n);
  out.append(digits, end.ptr);
}

}  // namespace libws
