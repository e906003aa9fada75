// Host and Origin: the grammar, and comparisons that must not be fooled.

#include "http_support.hpp"

using namespace http_test;
using libws::Authority;

namespace {

// "host port", IPv6 in brackets, no port as "-"; "bad" when refused.
string authority(string_view text) {
  Authority a;
  if (!libws::parse_authority(text, &a)) return "bad";
  string out = a.is_ipv6 ? "[" + string(a.host) + "]" : string(a.host);
  return out + (a.has_port ? " " + std::to_string(a.port) : " -");
}

string labels(size_t label, size_t total) {  // labels of that length, `total` bytes in all
  string out;
  while (out.size() < total) out += string(label, 'a') + ".";
  out.resize(total);
  return out;
}

void expect_authorities(const std::vector<std::pair<string, string>>& rows) {
  for (const auto& [text, expected] : rows) expect_text(text, authority(text), expected);
}

// req: 131
// bad: 3, 4
void test_authority_is_host_and_port_of_rfc3986(void**) {
  const string label63(63, 'a'), host255 = labels(63, 255), host254 = labels(63, 254);
  expect_authorities({
      {"localhost", "localhost -"},
      {"localhost:9001", "localhost 9001"},
      {"h:", "h -"},
      {"h:0", "h 0"},
      {"h:65534", "h 65534"},
      {"h:65535", "h 65535"},
      {"h:65536", "bad"},
      {"h:99999", "bad"},
      {"h:00080", "h 80"},
      {"h:" + string(50, '0') + "1", "h 1"},
      {"h:18446744073709551617", "bad"},
      {"h:-1", "bad"},
      {"h:+1", "bad"},
      {"h:1a", "bad"},
      {"h:1:2", "bad"},
      {"h: 80", "bad"},
      {"", "bad"},
      {":80", "bad"},
      {":", "bad"},
      {"a b", "bad"},
      {"a,b", "a,b -"},
      {"A-b_c.~x", "A-b_c.~x -"},
      {"h.", "h. -"},
      {"a%20b", "a%20b -"},
      {"a%2", "bad"},
      {"a%", "bad"},
      {"a%zz", "bad"},
      {"http://x", "bad"},
      {"x/", "bad"},
      {"x?y", "bad"},
      {"user@h", "bad"},
      {"user:pw@h", "bad"},
      {"h\xc3\xb6", "bad"},
      {"h\"", "bad"},
      {"h\0x"s, "bad"},
      {"127.0.0.1:80", "127.0.0.1 80"},
      {string(62, 'a'), string(62, 'a') + " -"},
      {label63, label63 + " -"},
      {label63 + "a", "bad"},
      {"x." + label63 + "a.y", "bad"},
      {string(300, 'a'), "bad"},
      {host254, host254 + " -"},
      {host255, host255 + " -"},
      {host255 + ":80", host255 + " 80"},
      {labels(63, 256), "bad"},
  });
}

// req: 131
// bad: 3
void test_authority_of_ipv6_is_in_brackets_without_a_zone(void**) {
  expect_authorities({
      {"[::1]", "[::1] -"},
      {"[::1]:443", "[::1] 443"},
      {"[::1]:", "[::1] -"},
      {"[2001:DB8::192.0.2.1]", "[2001:DB8::192.0.2.1] -"},
      {"[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255]:1",
       "[ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255] 1"},
      {"[::1", "bad"},
      {"[", "bad"},
      {"[]", "bad"},
      {"[::1]x", "bad"},
      {"[::1]80", "bad"},
      {"[::1]:x", "bad"},
      {"[::1]]", "bad"},
      {"[1::2::3]", "bad"},
      {"[fe80::1%25eth0]", "bad"},
      {"[fe80::1%eth0]", "bad"},
      {"[v1.x]", "bad"},
      {"[127.0.0.1]", "bad"},
      {"[::1\0]"s, "bad"},
      {"[" + string(300, '0') + "]", "bad"},
      {"::1", "bad"},
      {"x[::1]", "bad"},
  });
}

void test_authority_that_is_refused_leaves_the_output_alone(void**) {
  Authority a;
  assert_true(libws::parse_authority("h:1", &a));
  assert_false(libws::parse_authority("x:99999", &a));
  expect_text("host", a.host, "h");
  assert_int_equal(a.port, 1);
}

bool allowed(string_view origin, const std::vector<string_view>& list) {
  return libws::origin_is_allowed(origin, list);
}

// req: 43, 107
// bad: 277
void test_allowed_origin_is_scheme_host_and_port_exactly(void**) {
  const std::vector<string_view> good = {"https://good.com", "http://other.example:8080"};
  for (string_view yes : {"https://good.com"sv, "HTTPS://GOOD.COM"sv, "https://good.com:443"sv,
                          "http://other.example:8080"sv, "http://OTHER.example:8080"sv}) {
    if (!allowed(yes, good)) fail_msg("%s", shown(yes).c_str());
  }
  for (string_view no : {""sv,
                         "null"sv,
                         "https://good.com.evil.com"sv,
                         "https://evilgood.com"sv,
                         "https://sub.good.com"sv,
                         "http://good.com"sv,
                         "https://good.com:8443"sv,
                         "https://good.com:80"sv,
                         "https://good.com."sv,
                         "https://good.co"sv,
                         "https://ood.com"sv,
                         "https://good.com/"sv,
                         "https://good.com/x"sv,
                         "https://good.com?x"sv,
                         "https://good.com#x"sv,
                         "https://good.com:"sv,
                         "https://user@good.com"sv,
                         "https://evil.com@good.com"sv,
                         "https://good.com@evil.com"sv,
                         "https:// good.com"sv,
                         "https://good.com https://evil.com"sv,
                         "https://evil.com, https://good.com"sv,
                         "https:good.com"sv,
                         "https:/good.com"sv,
                         "//good.com"sv,
                         "good.com"sv,
                         "://good.com"sv,
                         "https://"sv,
                         "https://93.184.216.34"sv,
                         "https://good.com\0"sv,
                         "https://good\0.com"sv,
                         "https://good.com%00"sv,
                         "httpss://good.com"sv,
                         "wss://good.com"sv,
                         "*"sv,
                         "http://other.example"sv,
                         "http://other.example:80800"sv,
                         "https://other.example:8080"sv}) {
    if (allowed(no, good)) fail_msg("%s", shown(no).c_str());
  }
  assert_false(allowed("https://good.com", {}));
}

// req: 107
// bad: 277
void test_allowed_origin_of_other_kinds_needs_its_exact_entry(void**) {
  assert_false(allowed("null", {"https://good.com", "NULL", ""}));
  assert_true(allowed("null", {"https://good.com", "null"}));
  assert_false(allowed("", {"", "https://good.com"}));
  assert_true(allowed("", {"*"}));
  assert_true(allowed("null", {"*"}));
  assert_true(allowed("anything at all", {"*"}));
  assert_false(allowed("https://a.good.com", {"https://*.good.com"}));
  assert_false(allowed("https://good.com", {"*.com", "https://good.com/", "good.com"}));
  assert_true(allowed("moz-extension://0a-1B", {"moz-extension://0a-1b"}));
  assert_true(allowed("capacitor://localhost", {"capacitor://localhost"}));
  assert_false(allowed("capacitor://localhost:443", {"capacitor://localhost"}));
  assert_true(allowed("file://", {"file://"}));
  assert_false(allowed("file://", {"https://good.com"}));
  assert_false(allowed("1http://h", {"1HTTP://h"}));  // no scheme, so bytes must match
}

// req: 107
// bad: 277
void test_allowed_origin_compares_ipv6_by_address(void**) {
  assert_true(allowed("http://[::1]", {"http://[0:0:0:0:0:0:0:1]"}));
  assert_true(allowed("http://[2001:DB8::a]:80", {"http://[2001:db8::A]"}));
  assert_false(allowed("http://[::1]", {"http://[::2]"}));
  assert_false(allowed("http://[::1]", {"http://1"}));
  assert_false(allowed("http://[::]", {"http://h"}));
  assert_false(allowed("http://127.0.0.1", {"http://[::ffff:127.0.0.1]"}));
}

// req: 43, 107
// bad: 277
void test_origin_of_the_same_host_is_host_and_port(void**) {
  const struct {
    const char* origin;
    const char* host;
    bool plain, secure;  // the expected answers without and over TLS
  } rows[] = {
      {"http://h", "h", true, false},
      {"https://h", "h", true, true},  // plain: a proxy may have taken the TLS off
      {"http://H", "h", true, false},
      {"http://h:80", "h", true, false},
      {"http://h", "h:80", true, false},
      {"http://h", "h:", true, false},
      {"https://h:443", "h", true, true},
      {"https://h", "h:443", true, true},
      {"http://h:8080", "h:8080", true, false},
      {"https://h:8443", "h:8443", true, true},
      {"http://h:443", "h", false, false},
      {"https://h:80", "h", false, false},
      {"http://h", "h:443", false, false},
      {"https://h", "h:80", false, false},
      {"http://h", "h:8080", false, false},
      {"http://h:8080", "h", false, false},
      {"http://h.", "h", false, false},
      {"http://h", "h.", false, false},
      {"http://h.evil.com", "h", false, false},
      {"http://evilh", "h", false, false},
      {"http://h", "evilh", false, false},
      {"http://x.h", "h", false, false},
      {"ws://h", "h", false, false},
      {"wss://h", "h", false, false},
      {"ftp://h", "h", false, false},
      {"null", "h", false, false},
      {"null", "null", false, false},
      {"", "h", false, false},
      {"h", "h", false, false},
      {"//h", "h", false, false},
      {"http://h/", "h", false, false},
      {"http://h:", "h", false, false},
      {"http://u@h", "h", false, false},
      {"http://h", "", false, false},
      {"http://h", "u@h", false, false},
      {"https://[::1]:9", "[0::1]:9", true, true},
      {"https://[::1]:9", "[::2]:9", false, false},
      {"http://127.0.0.1", "127.0.0.1", true, false},
      {"http://127.1", "127.0.0.1", false, false},
  };
  for (const auto& row : rows) {
    const string what = string(row.origin) + " to " + row.host;
    const auto got = [&](bool secure) {
      return libws::origin_is_same_host(row.origin, row.host, secure);
    };
    if (got(false) != row.plain || got(true) != row.secure) fail_msg("%s", what.c_str());
  }
}

// bad: 278
void test_origin_of_8_kib_is_compared_in_linear_time(void**) {
  const string filler(8000, 'a');
  for (const string& origin : {"https://" + filler, filler, filler + "://h", string(8000, ':'),
                               "https://h:" + string(8000, '0'), "https://[" + filler}) {
    libws::scan_steps = 0;
    assert_false(allowed(origin, {"https://good.com"}));
    assert_false(libws::origin_is_same_host(origin, "h", true));
    assert_true(libws::scan_steps <= 4 * origin.size());
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_authority_is_host_and_port_of_rfc3986),
      cmocka_unit_test(test_authority_of_ipv6_is_in_brackets_without_a_zone),
      cmocka_unit_test(test_authority_that_is_refused_leaves_the_output_alone),
      cmocka_unit_test(test_allowed_origin_is_scheme_host_and_port_exactly),
      cmocka_unit_test(test_allowed_origin_of_other_kinds_needs_its_exact_entry),
      cmocka_unit_test(test_allowed_origin_compares_ipv6_by_address),
      cmocka_unit_test(test_origin_of_the_same_host_is_host_and_port),
      cmocka_unit_test(test_origin_of_8_kib_is_compared_in_linear_time),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
