// URLs of proxies: what is taken, with which defaults, and which byte a refusal names.

#include "url_support.hpp"

#include "libws/client/proxy.hpp"

using namespace http_test;
using namespace url_test;
using libws::Proxy;
using libws::ProxyKind;

namespace {

string describe(const Proxy& p) {
  static constexpr const char* kKinds[] = {"none", "http", "https", "socks5", "socks4a"};
  string out = kKinds[static_cast<size_t>(p.kind)];
  out += " " + string(p.host) + (p.is_ipv6 ? " ipv6 " : " ") + std::to_string(p.port);
  if (p.has_credentials) out += " user=" + string(p.user) + " password=" + string(p.password);
  return out;
}

void expect_proxies(const Rows& rows) {
  expect_rows(rows, [](const string& text) {
    Proxy proxy;
    proxy.host = "untouched";
    const Error e = libws::parse_proxy(text, &proxy);
    if (!e) return describe(proxy);
    assert_int_equal(e.code(), WS_ERR_INVALID);
    assert_true(proxy.host == "untouched" && proxy.kind == ProxyKind::kNone);
    return string(libws::last_detail());
  });
}

void test_proxy_kinds_have_their_own_ports(void**) {
  expect_proxies({
      {"http://p", "http p 80"},
      {"https://p", "https p 443"},
      {"socks5://p", "socks5 p 1080"},
      {"socks5h://p", "socks5 p 1080"},
      {"socks://p", "socks5 p 1080"},
      {"socks4a://p", "socks4a p 1080"},
      {"SOCKS5H://p:1", "socks5 p 1"},
      {"HTTP://p:65535/", "http p 65535"},
      {"p", "http p 80"},
      {"p/", "http p 80"},
      {"p:3128", "http p 3128"},
      {"127.0.0.1:3128", "http 127.0.0.1 3128"},
      {"[::1]:3128", "http ::1 ipv6 3128"},
      {"http://[fe80::1%25eth0]", "http fe80::1%eth0 ipv6 80"},
  });
}

void test_proxy_credentials_are_percent_decoded(void**) {
  expect_proxies({
      {"http://u:p@p", "http p 80 user=u password=p"},
      {"u:p@p:81", "http p 81 user=u password=p"},
      {"socks5://u%40d:%3a%2F@p", "socks5 p 1080 user=u@d password=:/"},
      {"socks5://a%3Ab:c@p", "socks5 p 1080 user=a:b password=c"},
      {"socks4a://u@p", "socks4a p 1080 user=u password="},
      {"http://@p", "http p 80"},
      {"http://a%3Ab:c@p",
       "proxy: a user with a ':', which Basic authorization cannot carry, at byte 7"},
      {"socks4a://u:pw@p", "proxy: a password, which SOCKS 4a does not have, at byte 10"},
      {"socks4a://u%00@p", "proxy: a control byte, percent-encoded at byte 11"},
      {"http://u:p@x@p", "proxy: another '@', not written %40 at byte 12"},
      {"http://u:%4@p", "proxy: '%' without two hexadecimal digits at byte 9"},
  });
}

void test_proxy_socks_credentials_are_at_most_255_bytes(void**) {
  const string length = "proxy: a user or password of more than 255 bytes at byte ";
  for (const char* scheme : {"socks5://", "socks4a://"}) {
    const string kind(scheme, strlen(scheme) - 3), at = std::to_string(strlen(scheme));
    for (size_t n : {254u, 255u}) {
      const string user(n, 'u');
      expect_proxies({{scheme + user + "@p", kind + " p 1080 user=" + user + " password="}});
    }
    expect_proxies({{scheme + string(256, 'u') + "@p", length + at}});
  }
  const string password(255, 'p');
  expect_proxies({{"socks5://u:" + password + "@p", "socks5 p 1080 user=u password=" + password},
                  {"socks5://u:" + password + "p@p", length + "9"},
                  {"http://u:" + password + "p@p", "http p 80 user=u password=" + password + "p"}});
}

// bad: 71
void test_proxy_that_is_none_is_refused(void**) {
  const char* scheme =
      "proxy: a scheme that is not http, https, socks5, socks5h or socks4a at byte 0";
  const char* path = "proxy: a path, query or fragment, which a proxy does not have, at byte ";
  const char* port = "proxy: the port is not a number from 1 to 65535 at byte ";
  expect_proxies({
      {"", "proxy: the host is missing at byte 0"},
      {"http://", "proxy: the host is missing at byte 7"},
      {"://p", scheme},
      {"ftp://p", scheme},
      {"ws://p", scheme},
      {"socks4://p", scheme},
      {"http://p/x", path + "8"s},
      {"http://p//", path + "8"s},
      {"http://p?", path + "8"s},
      {"p#", path + "1"s},
      {"p:0", port + "2"s},
      {"p:65536", port + "2"s},
      {"http:p", port + "5"s},
      {"socks5:p:1", port + "7"s},
      {"p q", "proxy: byte 0x20 in the host at byte 1"},
      {"p\n", "proxy: control byte 0x0a at byte 1"},
      {"http:\\\\p", "proxy: a backslash at byte 5"},
      {"127.1", "proxy: a host that ends in a number but is not an IPv4 address at byte 0"},
      {"[::1", "proxy: '[' without ']' at byte 0"},
      {"http://u:" + string(2048 - 11, 'p') + "@p",
       "http p 80 user=u password=" + string(2048 - 11, 'p')},
      {"http://u:" + string(2048 - 10, 'p') + "@p", "proxy: more than 2048 bytes at byte 2048"},
  });
}

void test_proxy_out_of_memory_throws_and_leaks_nothing(void**) {
  const string text = "http://" + string(40, 'u') + ":" + string(40, 'p') + "@" + string(40, 'h');
  const int allocations = FailingAllocator::run([&] {
    Proxy proxy;
    assert_false(libws::parse_proxy(text, &proxy).failed());
  });
  assert_true(allocations >= 3);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_proxy_kinds_have_their_own_ports),
      cmocka_unit_test(test_proxy_credentials_are_percent_decoded),
      cmocka_unit_test(test_proxy_socks_credentials_are_at_most_255_bytes),
      cmocka_unit_test(test_proxy_that_is_none_is_refused),
      cmocka_unit_test(test_proxy_out_of_memory_throws_and_leaks_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
