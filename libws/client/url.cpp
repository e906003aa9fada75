#include "libws/client/url.hpp"

#include "libws/client/url_parts.hpp"
#include "libws/protocol/chars.hpp"
#include "libws/protocol/http.hpp"

namespace libws {
namespace {

constexpr uint16_t kPlainPort = 80;  // RFC 6455 3
constexpr uint16_t kSecurePort = 443;

constexpr uint16_t default_port(bool secure) { return secure ? kSecurePort : kPlainPort; }

constexpr std::string_view kUnixHost = "localhost";

struct Scheme {
  std::string_view name;
  bool secure;
  bool unix_socket;
  bool http;  // in a Location only
};
constexpr Scheme kSchemes[] = {
    {"ws", false, false, false},     {"wss", true, false, false},  {"ws+unix", false, true, false},
    {"wss+unix", true, true, false}, {"http", false, false, true}, {"https", true, false, true},
};

const Scheme* find_scheme(std::string_view name) {
  for (const Scheme& s : kSchemes) {
    if (equals_ignore_case(name, s.name)) return &s;
  }
  return nullptr;
}

// Characters of RFC 3986 pass.  Those that kTargetChar lets pass besides are browsers' habits,
// which some servers refuse; '[' and ']' are left, because queries are full of them.
bool stands_in_target(char c) {
  return char_is(c, kTargetChar) && c != '^' && c != '`' && c != '{' && c != '|' && c != '}';
}

void append_encoded(String& out, std::string_view raw) {
  for (char c : raw) {
    scan_step();
    if (stands_in_target(c)) {
      out.push_back(c);
    } else {
      append_percent_encoded(out, c);
    }
  }
}

// A path, empty or from '/', and a query from '?'.
Error parse_target(const UrlText& t, size_t begin, size_t end, String* out) {
  String target;
  if (begin == end || t[begin] != '/') target.push_back('/');
  append_encoded(target, t.part(begin, end));
  if (target.size() > kMaxUrlBytes) {
    return t.wrong(begin, "a target of more than %zu bytes, percent-encoded", kMaxUrlBytes);
  }
  *out = std::move(target);
  return {};
}

enum class UserInfo : uint8_t { kAllowed, kRefused };

// "//" and what follows it; out->secure is set.
Error parse_hierarchy(const UrlText& t, size_t begin, size_t end, UserInfo user_info, Url* out) {
  if (t.part(begin, end).substr(0, 2) != "//") return t.wrong(begin, "no '//' after the scheme");
  size_t host = begin + 2;
  const size_t authority_end = t.find("/?", host, end);
  const size_t at = t.find("@", host, authority_end);
  if (at != authority_end) {
    if (user_info == UserInfo::kRefused) return t.wrong(host, "user or password");
    const size_t second = t.find("@", at + 1, authority_end);
    if (second != authority_end) return t.wrong(second, "another '@', not written %%40");
    Credentials credentials;
    if (Error e = parse_credentials(t, host, at, &credentials)) return e;
    // RFC 7617 2: the first ':' of what is sent ends the user.
    if (credentials.user.find(':') != String::npos) {
      return t.wrong(host, "a user with a ':', which Basic authorization cannot carry,");
    }
    out->user = std::move(credentials.user);
    out->password = std::move(credentials.password);
    out->has_credentials = !out->user.empty() || !out->password.empty();
    host = at + 1;
  }
  HostPort parsed;
  if (Error e = parse_host_and_port(t, host, authority_end, ZoneForm::kUrl, &parsed)) return e;
  out->host = std::move(parsed.host);
  out->is_ipv6 = parsed.is_ipv6;
  out->port = parsed.has_port ? parsed.port : default_port(out->secure);
  return parse_target(t, authority_end, end, &out->target);
}

// What follows "ws+unix:"; out->secure is set.
Error parse_unix(const UrlText& t, size_t begin, Url* out) {
  if (t.part(begin, t.size()).substr(0, 2) == "//") begin += 2;
  const size_t end = t.find(":", begin, t.size());
  if (begin == end || (t[begin] != '/' && t[begin] != '@')) {
    return t.wrong(begin, "no path from '/', nor '@' and a name,");
  }
  const size_t query = t.find("?", begin, end);
  if (query != end) return t.wrong(query, "'?' in the socket's path; a target begins with ':',");
  if (Error e = percent_decode(t, begin, end, &out->unix_path)) return e;
  if (out->unix_path == "@") return t.wrong(begin, "no name behind '@'");
  out->host = kUnixHost;
  out->port = default_port(out->secure);
  const size_t target = end == t.size() ? end : end + 1;
  if (target != t.size() && t[target] != '/' && t[target] != '?') {
    return t.wrong(target, "a target without '/'");
  }
  return parse_target(t, target, t.size(), &out->target);
}

// RFC 3986 5.2.4; `path` begins with '/'.  "%2e" is not a dot: servers differ, and what they were
// sent by the redirect is what they get.
String remove_dot_segments(std::string_view path) {
  String out;
  for (size_t slash = 0; slash < path.size();) {
    scan_step();
    size_t next = path.find('/', slash + 1);
    if (next == std::string_view::npos) next = path.size();
    const std::string_view segment = path.substr(slash, next - slash);
    const bool dot = segment == "/.", dots = segment == "/..";
    if (dots && !out.empty()) out.resize(out.rfind('/'));
    if (!dot && !dots) out.append(segment);
    if ((dot || dots) && next == path.size()) out.push_back('/');
    slash = next;
  }
  return out;
}

std::string_view path_of(std::string_view target) { return target.substr(0, target.find('?')); }

// RFC 3986 5.2.2, for a reference that is neither absolute nor has a host.
Error resolve_path(const UrlText& t, size_t end, std::string_view base, String* out) {
  String reference;
  append_encoded(reference, t.part(0, end));
  const std::string_view path = path_of(reference);
  const std::string_view query = std::string_view(reference).substr(path.size());
  const std::string_view base_path = path_of(base);
  String target;
  if (path.empty()) {
    target.append(query.empty() ? base : base_path).append(query);
  } else if (path[0] == '/') {
    target.append(remove_dot_segments(path)).append(query);
  } else {
    String merged(base_path.substr(0, base_path.rfind('/') + 1));
    merged.append(path);
    target.append(remove_dot_segments(merged)).append(query);
  }
  if (target.size() > kMaxUrlBytes) {
    return t.wrong(0, "a target of more than %zu bytes, percent-encoded", kMaxUrlBytes);
  }
  *out = std::move(target);
  return {};
}

// For a location with a host: what follows is like a URL of its own.
Error resolve_absolute(const UrlText& t, size_t begin, size_t end, const Url& base, Url* out) {
  if (Error e = parse_hierarchy(t, begin, end, UserInfo::kRefused, out)) return e;
  const std::string_view path = path_of(out->target);
  String target = remove_dot_segments(path);
  target.append(out->target, path.size());
  out->target = std::move(target);
  // A server behind a socket knows itself by the Host it was sent.
  if (!base.unix_path.empty() && out->secure == base.secure && out->port == base.port &&
      equals_ignore_case(out->host, base.host)) {
    out->unix_path = base.unix_path;
  }
  return {};
}

Error resolve(const UrlText& t, size_t end, const Url& base, Url* out) {
  // RFC 3986 4.2: a ':' before any '/' ends a scheme.
  const size_t colon = t.find(":/?", 0, end);
  if (colon != end && t[colon] == ':') {
    const Scheme* scheme = find_scheme(t.part(0, colon));
    if (scheme == nullptr || scheme->unix_socket) {
      return t.wrong(0, "a scheme that is not http, https, ws or wss");
    }
    out->secure = scheme->secure;
    return resolve_absolute(t, colon + 1, end, base, out);
  }
  out->secure = base.secure;
  if (t.part(0, end).substr(0, 2) == "//") return resolve_absolute(t, 0, end, base, out);
  out->unix_path = base.unix_path;
  out->host = base.host;
  out->is_ipv6 = base.is_ipv6;
  out->port = base.port;
  return resolve_path(t, end, base.target, &out->target);
}

}  // namespace

String Url::host_field() const {
  String out;
  append_host(out, host, is_ipv6);
  if (port != default_port(secure)) {
    out.push_back(':');
    append_decimal(out, port);
  }
  return out;
}

String Url::text() const {
  String out(secure ? "wss" : "ws");
  if (!unix_path.empty()) {
    out.append(unix_path[0] == '/' ? "+unix://" : "+unix:");
    for (char c : unix_path) {
      if (char_is(c, kHostChar) || c == '/' || c == '@') {
        out.push_back(c);
      } else {
        append_percent_encoded(out, c);
      }
    }
    if (target != "/") out.append(":").append(target);
    return out;
  }
  out.append("://");
  const String field = host_field();
  const size_t zone = without_zone(host).size();
  if (is_ipv6 && zone != host.size()) {
    const size_t close = field.find(']');
    out.append(field, 0, close).append("%25").append(host, zone + 1).append(field, close);
  } else {
    out.append(field);
  }
  return out.append(target);
}

bool Url::same_origin(const Url& other) const {
  return secure == other.secure && unix_path == other.unix_path && port == other.port &&
         equals_ignore_case(host, other.host);
}

Error parse_url(std::string_view text, Url* out) {
  const UrlText t("url", text);
  if (text.size() > kMaxUrlBytes) {
    return t.wrong(kMaxUrlBytes, "more than %zu bytes", kMaxUrlBytes);
  }
  if (Error e = t.check_bytes()) return e;
  // RFC 6455 3.
  const size_t hash = t.find("#", 0, t.size());
  if (hash != t.size()) return t.wrong(hash, "a fragment ('#')");
  const size_t colon = t.find(":", 0, t.size());
  const Scheme* scheme = find_scheme(t.part(0, colon));
  if (colon == t.size()) return t.wrong(0, "no scheme, such as ws:// or wss://,");
  if (scheme == nullptr) return t.wrong(0, "a scheme that is not ws, wss, ws+unix or wss+unix");
  if (scheme->http) {
    return t.wrong(0, "a scheme that is %s, for WebSocket %s,", scheme->secure ? "https" : "http",
                   scheme->secure ? "wss" : "ws");
  }
  Url url;
  url.secure = scheme->secure;
  if (scheme->unix_socket) {
    if (Error e = parse_unix(t, colon + 1, &url)) return e;
  } else if (Error e = parse_hierarchy(t, colon + 1, t.size(), UserInfo::kAllowed, &url)) {
    return e;
  }
  *out = std::move(url);
  return {};
}

Error resolve_location(const Url& base, std::string_view location, Url* out) {
  const UrlText t("location", location);
  if (location.size() > kMaxUrlBytes) {
    return t.wrong(kMaxUrlBytes, "more than %zu bytes", kMaxUrlBytes);
  }
  if (Error e = t.check_bytes()) return e;
  Url url;
  if (Error e = resolve(t, t.find("#", 0, t.size()), base, &url)) return e;
  if (url.same_origin(base)) {
    url.has_credentials = base.has_credentials;
    url.user = base.user;
    url.password = base.password;
  }
  *out = std::move(url);
  return {};
}

Error parse_host_port(const char* what, std::string_view text, String* host, uint16_t* port) {
  const UrlText t(what, text);
  if (Error e = t.check_bytes()) return e;
  HostPort parsed;
  if (Error e = parse_host_and_port(t, 0, t.size(), ZoneForm::kPlain, &parsed)) return e;
  if (!parsed.has_port) return t.wrong(t.size(), "no port");
  *host = std::move(parsed.host);
  *port = parsed.port;
  return {};
}

}  // namespace libws
