#include "libws/client/proxy.hpp"

#include "libws/client/url_parts.hpp"
#include "libws/protocol/http.hpp"

namespace libws {
namespace {

constexpr size_t kMaxProxyBytes = 2048;
// RFC 1929 2 has one byte for either length.  SOCKS 4a has none; its servers do not take more.
constexpr size_t kMaxSocksCredential = 255;

struct ProxyScheme {
  std::string_view name;
  ProxyKind kind;
  uint16_t port;
};
// curl's default for HTTP proxies is 1080; the scheme's own is what a URL means (RFC 9110 4.2.1).
constexpr ProxyScheme kProxySchemes[] = {
    {"http", ProxyKind::kHttp, 80},       {"https", ProxyKind::kHttps, 443},
    {"socks5", ProxyKind::kSocks5, 1080}, {"socks5h", ProxyKind::kSocks5, 1080},
    {"socks", ProxyKind::kSocks5, 1080},  {"socks4a", ProxyKind::kSocks4a, 1080},
};

const ProxyScheme* find_proxy_scheme(std::string_view name) {
  for (const ProxyScheme& s : kProxySchemes) {
    if (equals_ignore_case(name, s.name)) return &s;
  }
  return nullptr;
}

// What each kind can carry, so that talking to the proxy need not fail for it.
Error check_credentials(const UrlText& t, size_t at, const Proxy& proxy) {
  switch (proxy.kind) {
    case ProxyKind::kSocks5:
    case ProxyKind::kSocks4a:
      if (proxy.user.size() > kMaxSocksCredential || proxy.password.size() > kMaxSocksCredential) {
        return t.wrong(at, "a user or password of more than %zu bytes", kMaxSocksCredential);
      }
      if (proxy.kind == ProxyKind::kSocks4a && !proxy.password.empty()) {
        return t.wrong(at, "a password, which SOCKS 4a does not have,");
      }
      return {};
    default:
      // RFC 7617 2.
      if (proxy.user.find(':') == String::npos) return {};
      return t.wrong(at, "a user with a ':', which Basic authorization cannot carry,");
  }
}

}  // namespace

Error parse_proxy(std::string_view text, Proxy* out, const char* what) {
  const UrlText t(what, text);
  if (text.size() > kMaxProxyBytes) {
    return t.wrong(kMaxProxyBytes, "more than %zu bytes", kMaxProxyBytes);
  }
  if (Error e = t.check_bytes()) return e;
  const ProxyScheme* scheme = &kProxySchemes[0];
  size_t begin = 0;
  if (const size_t colon = text.find("://"); colon != std::string_view::npos) {
    scheme = find_proxy_scheme(t.part(0, colon));
    if (scheme == nullptr) {
      return t.wrong(0, "a scheme that is not http, https, socks5, socks5h or socks4a");
    }
    begin = colon + 3;
  }
  const size_t end = t.find("/?#", begin, t.size());
  if (end != t.size() && t.part(end, t.size()) != "/") {
    return t.wrong(end, "a path, query or fragment, which a proxy does not have,");
  }
  Proxy proxy;
  proxy.kind = scheme->kind;
  if (const size_t at = t.find("@", begin, end); at != end) {
    const size_t second = t.find("@", at + 1, end);
    if (second != end) return t.wrong(second, "another '@', not written %%40");
    Credentials credentials;
    if (Error e = parse_credentials(t, begin, at, &credentials)) return e;
    proxy.user = std::move(credentials.user);
    proxy.password = std::move(credentials.password);
    proxy.has_credentials = !proxy.user.empty() || !proxy.password.empty();
    if (Error e = check_credentials(t, begin, proxy)) return e;
    begin = at + 1;
  }
  HostPort parsed;
  if (Error e = parse_host_and_port(t, begin, end, ZoneForm::kUrl, &parsed)) return e;
  proxy.host = std::move(parsed.host);
  proxy.is_ipv6 = parsed.is_ipv6;
  proxy.port = parsed.has_port ? parsed.port : scheme->port;
  *out = std::move(proxy);
  return {};
}

}  // namespace libws
