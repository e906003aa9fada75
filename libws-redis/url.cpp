#include "url.hpp"

#include <algorithm>

namespace libws_redis {
namespace {

int hex(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c = static_cast<char>(c | 0x20);
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

bool decode(const std::string& in, std::string* out) {
  for (size_t i = 0; i < in.size(); ++i) {
    if (in[i] != '%') {
      *out += in[i];
      continue;
    }
    if (in.size() - i < 3 || hex(in[i + 1]) < 0 || hex(in[i + 2]) < 0) return false;
    *out += static_cast<char>(hex(in[i + 1]) * 16 + hex(in[i + 2]));
    i += 2;
  }
  return true;
}

bool digits(const std::string& text, size_t longest) {
  return !text.empty() && text.size() <= longest &&
         std::all_of(text.begin(), text.end(), [](char c) { return c >= '0' && c <= '9'; });
}

bool take_prefix(std::string* text, const char* prefix) {
  std::string p = prefix;
  if (text->compare(0, p.size(), p) != 0) return false;
  text->erase(0, p.size());
  return true;
}

// The texts never quote the URL: there may be a password in it.
Failure take_login(std::string* rest, Url* out) {
  // A path may hold an '@'; a password has it as %40.
  size_t at = rest->substr(0, rest->find('/')).rfind('@');
  if (at == std::string::npos) return {};
  std::string login = rest->substr(0, at);
  rest->erase(0, at + 1);
  size_t colon = login.find(':');
  if (colon == std::string::npos) return fail(WS_ERR_INVALID, "url: a user without a password");
  if (!decode(login.substr(0, colon), &out->user) ||
      !decode(login.substr(colon + 1), &out->password)) {
    return fail(WS_ERR_INVALID, "url: a %% in user or password is not followed by two hex digits");
  }
  if (out->password.empty()) return fail(WS_ERR_INVALID, "url: the password is empty");
  return {};
}

Failure take_host(const std::string& authority, Url* out) {
  std::string port;
  bool has_port = false;
  if (!authority.empty() && authority[0] == '[') {  // RFC 3986 3.2.2: an IPv6 address
    size_t end = authority.find(']');
    if (end == std::string::npos) return fail(WS_ERR_INVALID, "url: '[' without ']'");
    out->host = authority.substr(1, end - 1);
    std::string after = authority.substr(end + 1);
    has_port = !after.empty();
    if (has_port && after[0] != ':') return fail(WS_ERR_INVALID, "url: text after ']'");
    if (has_port) port = after.substr(1);
  } else {
    size_t colon = authority.find(':');
    has_port = colon != std::string::npos;
    out->host = authority.substr(0, colon);
    if (has_port) port = authority.substr(colon + 1);
  }
  if (out->host.empty()) return fail(WS_ERR_INVALID, "url: no host");
  if (!has_port) return {};
  if (!digits(port, 5) || std::stoul(port) == 0 || std::stoul(port) > 65535) {
    return fail(WS_ERR_INVALID, "url: the port is not 1 to 65535");
  }
  out->port = port;
  return {};
}

}  // namespace

Failure parse_url(const std::string& text, Url* out) {
  std::string rest = text;
  bool local = take_prefix(&rest, "unix://");
  out->tls = !local && take_prefix(&rest, "rediss://");
  if (!local && !out->tls && !take_prefix(&rest, "redis://")) {
    return fail(WS_ERR_INVALID, "url: neither redis:// nor rediss:// nor unix://");
  }
  if (Failure f = take_login(&rest, out)) return f;
  if (local) {
    constexpr size_t kLongestPath = 107;  // sockaddr_un
    if (rest.empty() || rest[0] != '/' || rest.size() > kLongestPath) {
      return fail(WS_ERR_INVALID, "url: the path of a unix socket has '/' and up to 107 bytes");
    }
    out->path = rest;
    return {};
  }
  size_t slash = rest.find('/');
  if (slash != std::string::npos && slash + 1 < rest.size()) {
    out->database = rest.substr(slash + 1);
    if (!digits(out->database, 5)) return fail(WS_ERR_INVALID, "url: the database is no number");
  }
  return take_host(rest.substr(0, slash), out);
}

}  // namespace libws_redis
