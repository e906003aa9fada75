// What URLs of servers and of proxies have in common: details that name a byte, host and port,
// user and password, percent-encoding, and addresses that need no lookup.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/error.hpp"

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace libws {

// Text that is being parsed, with the name by which details call it.  Parts are given by their
// offsets, so that every detail can say where.
class UrlText {
 public:
  UrlText(const char* what, std::string_view all) : what_(what), all_(all) {}

  size_t size() const { return all_.size(); }
  char operator[](size_t i) const { return all_[i]; }
  std::string_view part(size_t begin, size_t end) const { return all_.substr(begin, end - begin); }
  // The first of `chars` in [begin, end), or `end`.
  size_t find(std::string_view chars, size_t begin, size_t end) const;

  // "<what>: <problem> at byte <at>", INVALID.  The problem must not show what may be secret.
  Error wrong(size_t at, const char* format, ...) const __attribute__((format(printf, 3, 4)));

  // No control bytes and no backslashes: the former would split a request, the latter is '/' to
  // some and a character of the host to others.
  Error check_bytes() const;

 private:
  const char* what_;
  std::string_view all_;
};

struct HostPort {
  String host;  // no brackets, IPv6 with "%zone"
  bool is_ipv6 = false;
  bool has_port = false;
  uint16_t port = 0;  // not 0 if there is one
};

// How an IPv6 zone is written: "%25eth0" in a URL (RFC 6874), "%eth0" elsewhere (RFC 4007 11).
enum class ZoneForm : uint8_t { kUrl, kPlain };

// host [":" port] in [begin, end).
Error parse_host_and_port(const UrlText& t, size_t begin, size_t end, ZoneForm form, HostPort* out);

struct Credentials {
  String user, password;
};

// user [":" password] in [begin, end), RFC 3986 3.2.1, percent-decoded.
Error parse_credentials(const UrlText& t, size_t begin, size_t end, Credentials* out);

// Appends [begin, end) with each %XX decoded; none may stand for a control byte.
Error percent_decode(const UrlText& t, size_t begin, size_t end, String* out);

void append_percent_encoded(String& out, char c);

// The address that `host` (without brackets, its zone ignored) is; size 0 if it is a name.
struct IpLiteral {
  uint8_t bytes[16] = {};
  size_t size = 0;  // 4, 16
};
IpLiteral parse_ip(std::string_view host);

// Without "%zone".
std::string_view without_zone(std::string_view host);

// RFC 3986 3.2: an IPv6 address goes into brackets, without its zone.
void append_host(String& out, std::string_view host, bool is_ipv6);
void append_decimal(String& out, uint64_t n);

}  // namespace libws
