// The variables that name proxies, and no_proxy, as curl, wget and their like read them.  There is
// no standard; where they differ, the choice is the one that leaks less, or an error.
#include "libws/client/proxy.hpp"
#include "libws/client/url.hpp"
#include "libws/client/url_parts.hpp"
#include "libws/protocol/chars.hpp"
#include "libws/protocol/http.hpp"

#include <cstring>
#include <span>

namespace libws {
namespace {

constexpr size_t kMaxNoProxyBytes = 64 * 1024;

constexpr const char* kSecureVariables[] = {"wss_proxy",   "WSS_PROXY", "https_proxy",
                                            "HTTPS_PROXY", "all_proxy", "ALL_PROXY"};
constexpr const char* kPlainVariables[] = {"ws_proxy", "WS_PROXY", "http_proxy", "all_proxy",
                                           "ALL_PROXY"};
constexpr const char* kNoProxyVariables[] = {"no_proxy", "NO_PROXY"};

using GetEnv = const char* (*)(const char*);

struct Variable {
  const char* name = nullptr;
  const char* value = nullptr;
};

Variable first_set(std::span<const char* const> names, GetEnv get_env) {
  for (const char* name : names) {
    if (const char* value = get_env(name)) return {name, value};
  }
  return {};
}

// ::ffff:a.b.c.d is a.b.c.d (RFC 4291 2.5.5.2): the kernel connects both to the same host.
IpLiteral unmapped(const IpLiteral& ip) {
  static constexpr uint8_t prefix[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};
  if (ip.size != 16 || std::memcmp(ip.bytes, prefix, sizeof prefix) != 0) return ip;
  IpLiteral v4;
  std::memcpy(v4.bytes, ip.bytes + sizeof prefix, 4);
  v4.size = 4;
  return v4;
}

// Both have the same size, and `bits` is no more than that.
bool same_prefix(const IpLiteral& a, const IpLiteral& b, size_t bits) {
  if (std::memcmp(a.bytes, b.bytes, bits / 8) != 0) return false;
  if (bits % 8 == 0) return true;
  return ((a.bytes[bits / 8] ^ b.bytes[bits / 8]) >> (8 - bits % 8)) == 0;
}

std::string_view without_dot(std::string_view name) {
  if (name.size() > 1 && name.back() == '.') name.remove_suffix(1);
  return name;
}

// The host of a URL, taken apart once for all entries.
struct Destination {
  explicit Destination(const Url& url)
      : name(without_dot(url.host)), ip(unmapped(parse_ip(url.host))), port(url.port) {}
  std::string_view name;
  IpLiteral ip;
  uint16_t port;
};

bool is_below(std::string_view name, std::string_view domain) {
  if (equals_ignore_case(name, domain)) return true;
  if (name.size() <= domain.size()) return false;
  const size_t dot = name.size() - domain.size() - 1;
  return name[dot] == '.' && equals_ignore_case(name.substr(dot + 1), domain);
}

// address "/" bits.
Error match_network(const UrlText& t, size_t begin, size_t slash, size_t end, const Destination& to,
                    bool* matches) {
  const IpLiteral given = parse_ip(t.part(begin, slash));
  if (given.size == 0 || t.find("%", begin, slash) != slash) {
    return t.wrong(begin, "something other than an address before '/'");
  }
  size_t bits = 0;
  bool good = slash + 1 != end && end - slash <= 4;
  for (size_t i = slash + 1; i < end && good; ++i) {
    good = char_is(t[i], kDigitChar);
    bits = bits * 10 + static_cast<size_t>(t[i] - '0');
  }
  if (!good || bits > given.size * 8) {
    return t.wrong(slash + 1, "not a number of bits from 0 to %zu", given.size * 8);
  }
  IpLiteral network = unmapped(given);
  const size_t mapped_bits = (given.size - network.size) * 8;
  if (bits < mapped_bits) {
    network = given;  // wider than the mapped addresses: an IPv6 network all the same
  } else {
    bits -= mapped_bits;
  }
  *matches = network.size == to.ip.size && same_prefix(network, to.ip, bits);
  return {};
}

// name, or address, with an optional port.
Error match_host(const UrlText& t, size_t begin, size_t end, const Destination& to, bool* matches) {
  const std::string_view entry = t.part(begin, end);
  IpLiteral ip = parse_ip(entry);
  HostPort parsed;
  if (ip.size == 16 && entry.find('%') == std::string_view::npos) {
    parsed.is_ipv6 = true;  // without brackets: all its colons are its own
  } else {
    // "*.example.com" and ".example.com" are what others write for "example.com".
    if (entry.starts_with("*.")) ++begin;
    const bool dotted = t[begin] == '.';
    if (dotted) ++begin;
    const size_t star = t.find("*", begin, end);
    if (star != end) return t.wrong(star, "'*' for a part of a name");
    if (Error e = parse_host_and_port(t, begin, end, ZoneForm::kPlain, &parsed)) return e;
    if (parsed.host.find('%') != String::npos) {
      return t.wrong(begin, "a zone, which is not compared,");
    }
    ip = parse_ip(parsed.host);
    if (dotted && ip.size != 0) return t.wrong(begin, "an address behind a dot");
  }
  if (parsed.has_port && parsed.port != to.port) return {};
  if (ip.size != 0) {
    ip = unmapped(ip);
    *matches = ip.size == to.ip.size && same_prefix(ip, to.ip, ip.size * 8);
  } else {
    // No address is mistaken for a name: a name that ends in a number has been refused.
    *matches = is_below(to.name, without_dot(parsed.host));
  }
  return {};
}

Error match_entry(const UrlText& t, size_t begin, size_t end, const Destination& to,
                  bool* matches) {
  if (t.part(begin, end) == "*") {
    *matches = true;
    return {};
  }
  const size_t slash = t.find("/", begin, end);
  if (slash != end) return match_network(t, begin, slash, end, to, matches);
  return match_host(t, begin, end, to, matches);
}

// Every entry is read, even behind one that matches: whether a list is good must not depend on
// where it is used.
Error match_no_proxy(const Variable& list, const Destination& to, bool* direct) {
  const UrlText t(list.name, list.value);
  if (t.size() > kMaxNoProxyBytes) {
    return t.wrong(kMaxNoProxyBytes, "more than %zu bytes", kMaxNoProxyBytes);
  }
  for (size_t at = 0; at < t.size();) {
    const size_t end = t.find(", \t", at, t.size());
    if (at != end) {
      bool matches = false;
      if (Error e = match_entry(t, at, end, to, &matches)) return e;
      if (matches) *direct = true;
    }
    at = end + 1;
  }
  return {};
}

}  // namespace

Error proxy_from_environment(const Url& url, GetEnv get_env, Proxy* out) {
  Variable variable;
  if (url.unix_path.empty()) {
    variable =
        url.secure ? first_set(kSecureVariables, get_env) : first_set(kPlainVariables, get_env);
  }
  Proxy proxy;
  if (variable.value != nullptr && variable.value[0] != '\0') {
    if (Error e = parse_proxy(variable.value, &proxy, variable.name)) return e;
    bool direct = false;
    const Variable list = first_set(kNoProxyVariables, get_env);
    if (list.value != nullptr) {
      if (Error e = match_no_proxy(list, Destination(url), &direct)) return e;
    }
    if (direct) proxy = Proxy();
  }
  *out = std::move(proxy);
  return {};
}

}  // namespace libws
