#include "libws/server/route.hpp"

#include "libws/base/log.hpp"
#include "libws/protocol/chars.hpp"
#include "libws/protocol/http.hpp"

#include <algorithm>
#include <cstring>

namespace libws {
namespace {

bool is_name(std::string_view s) {
  return !s.empty() && std::all_of(s.begin(), s.end(), [](char c) {
    return char_is(c, kAlphaChar | kDigitChar) || c == '_';
  });
}

// What can only be there by mistake: an encoded pattern, a query, a '*' that would be a letter.
bool is_literal(std::string_view s) {
  return std::none_of(s.begin(), s.end(), [](char c) {
    const auto byte = static_cast<uint8_t>(c);
    return byte < 0x20 || byte == 0x7f || c == '%' || c == '?' || c == '#' || c == '*';
  });
}

std::string_view without_dot(std::string_view host) {
  if (host.ends_with('.')) host.remove_suffix(1);
  return host;
}

bool ends_ignoring_case(std::string_view s, std::string_view end) {
  return s.size() >= end.size() && equals_ignore_case(s.substr(s.size() - end.size()), end);
}

}  // namespace

Error RoutePattern::parse(const char* pattern) {
  std::string_view rest = pattern;
  if (!rest.starts_with('/')) return fail(WS_ERR_INVALID, "route: pattern does not begin with '/'");
  if (rest.size() > kMaxBytes) {
    return fail(WS_ERR_INVALID, "route: pattern of %zu bytes", rest.size());
  }
  for (bool last = false; !last;) {
    rest.remove_prefix(1);
    const size_t slash = rest.find('/');
    last = slash == std::string_view::npos;
    const std::string_view segment = rest.substr(0, slash);
    if (Error e = add_segment(segment, last)) return e;
    rest.remove_prefix(segment.size());
  }
  return Error();
}

bool RoutePattern::has_name(std::string_view name) const {
  return std::any_of(segments_.begin(), segments_.end(),
                     [&](const Segment& s) { return s.kind != Kind::kLiteral && s.text == name; });
}

Error RoutePattern::add_segment(std::string_view text, bool last) {
  const char* why = nullptr;
  Kind kind = Kind::kLiteral;
  if (segments_.size() == kMaxSegments) {
    why = "too many segments";
  } else if (text.starts_with(':') || text.starts_with('*')) {
    kind = text[0] == ':' ? Kind::kParam : Kind::kRest;
    text.remove_prefix(1);
    if (!is_name(text)) {
      why = "a parameter's name is of A-Z, a-z, 0-9 and '_'";
    } else if (has_name(text)) {
      why = "two parameters have this name";
    } else if (kind == Kind::kRest && !last) {
      why = "'*' takes all that follows, so it comes last";
    }
  } else if (text.empty() && !last) {
    why = "an empty segment, which no path has";
  } else if (text == "." || text == "..") {
    why = "a dot segment, which no path has";
  } else if (!is_literal(text)) {
    why = "'%', '?', '#', '*' and control characters cannot stand there; write it decoded";
  }
  if (why != nullptr) {
    return fail(WS_ERR_INVALID, "route: segment '%s': %s", Escaped(text).c_str(), why);
  }
  segments_.push_back({kind, String(text)});
  return Error();
}

bool RoutePattern::matches(const Path& path) const {
  const size_t n = segments_.size();
  const bool has_rest = segments_.back().kind == Kind::kRest;
  if (has_rest ? path.size() < n : path.size() != n) return false;
  for (size_t i = 0; i < n; ++i) {
    const Segment& s = segments_[i];
    if (s.kind == Kind::kLiteral ? path[i] != s.text : s.kind == Kind::kParam && path[i].empty()) {
      return false;
    }
  }
  return true;
}

void RoutePattern::read(const Path& path, Vector<RequestParam>* params,
                        Vector<char>* values) const {
  size_t bytes = 0;
  for (size_t i = 0; i < path.size(); ++i) bytes += path[i].size() + 1;
  values->reserve(bytes);  // so that the views into it stay
  for (size_t i = 0; i < segments_.size(); ++i) {
    const Segment& s = segments_[i];
    if (s.kind == Kind::kLiteral) continue;
    const size_t from = values->size();
    const size_t end = s.kind == Kind::kRest ? path.size() : i + 1;
    for (size_t k = i; k < end; ++k) {
      if (k != i) values->push_back('/');
      values->insert(values->end(), path[k].begin(), path[k].end());
    }
    params->push_back({s.text, {values->data() + from, values->size() - from}});
    values->push_back('\0');
  }
}

int RoutePattern::compare(const RoutePattern& other) const {
  const size_t n = std::min(segments_.size(), other.segments_.size());
  for (size_t i = 0; i < n; ++i) {
    const Segment& a = segments_[i];
    const Segment& b = other.segments_[i];
    if (a.kind != b.kind) return a.kind < b.kind ? -1 : 1;
    if (a.kind == Kind::kLiteral && a.text != b.text) return a.text < b.text ? -1 : 1;
  }
  // No path matches both then, so any order will do.
  return static_cast<int>(segments_.size()) - static_cast<int>(other.segments_.size());
}

Error RouteHost::parse(const char* host) {
  if (host == nullptr) return Error();
  std::string_view text = host;
  const bool below = text.starts_with("*.");
  if (below) text.remove_prefix(2);
  Authority a;
  // "h:" has no port to parse_authority(), which is right for a request and a slip here.
  const bool is_host = parse_authority(text, &a) && !a.has_port &&
                       (a.is_ipv6 || !text.ends_with(':')) && !(below && a.is_ipv6) &&
                       a.host.find('*') == std::string_view::npos && !without_dot(a.host).empty();
  if (!is_host) {
    return fail(WS_ERR_INVALID, "route: host '%s' is no name or address without a port",
                Escaped(host).c_str());
  }
  if (a.is_ipv6) {
    kind_ = Kind::kAddress;
    std::memcpy(ipv6_, a.ipv6, sizeof ipv6_);
    return Error();
  }
  kind_ = below ? Kind::kBelow : Kind::kName;
  if (below) name_.push_back('.');
  for (char c : without_dot(a.host)) name_.push_back(to_lower(c));
  return Error();
}

bool RouteHost::matches(const Authority* host) const {
  if (kind_ == Kind::kAny) return true;
  if (host == nullptr || host->is_ipv6 != (kind_ == Kind::kAddress)) return false;
  if (host->is_ipv6) return std::memcmp(host->ipv6, ipv6_, sizeof ipv6_) == 0;
  const std::string_view name = without_dot(host->host);
  if (kind_ == Kind::kName) return equals_ignore_case(name, name_);
  return name.size() > name_.size() && ends_ignoring_case(name, name_);
}

int RouteHost::compare(const RouteHost& other) const {
  if (kind_ != other.kind_) return kind_ < other.kind_ ? -1 : 1;
  // Of names below others the longer is the more specific.
  if (name_.size() != other.name_.size()) return name_.size() > other.name_.size() ? -1 : 1;
  const int by_name = name_.compare(other.name_);
  return by_name != 0 ? by_name : std::memcmp(ipv6_, other.ipv6_, sizeof ipv6_);
}

}  // namespace libws
