// For tests of URLs and proxies: a parsed URL on one line, and tables of rows.
#pragma once

#include "http_support.hpp"

#include "libws/client/url.hpp"

namespace url_test {

using libws::Error;
using libws::Url;

// "wss host 443 /target", then " user=... password=..." and " unix=..." if there are any.
inline std::string describe(const Url& u) {
  std::string out = u.secure ? "wss " : "ws ";
  out += std::string(u.host) + " " + std::to_string(u.port) + " " + std::string(u.target);
  if (u.has_credentials) {
    out += " user=" + std::string(u.user) + " password=" + std::string(u.password);
  }
  if (!u.unix_path.empty()) out += " unix=" + std::string(u.unix_path);
  return out;
}

// The URL, or the detail of the refusal.  A failed call must change nothing.
inline std::string parsed(std::string_view text) {
  Url url;
  url.target = "untouched";
  const Error e = libws::parse_url(text, &url);
  if (!e) return describe(url);
  assert_int_equal(e.code(), WS_ERR_INVALID);
  assert_true(url.target == "untouched" && url.host.empty() && url.port == 0);
  return libws::last_detail();
}

inline Url url_of(std::string_view text) {
  Url url;
  if (libws::parse_url(text, &url)) {
    print_error("%s: %s\n", http_test::shown(text).c_str(), libws::last_detail());
    fail();
  }
  return url;
}

using Rows = std::vector<std::pair<std::string, std::string>>;

template <class Result>
void expect_rows(const Rows& rows, Result result) {
  for (const auto& [input, wanted] : rows) http_test::expect_text(input, result(input), wanted);
}

}  // namespace url_test
