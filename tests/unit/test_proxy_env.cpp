// Which proxy the environment names: the order of the variables, and every form of no_proxy.

#include "url_support.hpp"

#include "libws/client/proxy.hpp"

#include <map>

using namespace http_test;
using namespace url_test;
using libws::Proxy;
using libws::ProxyKind;

namespace {

using Environment = std::map<string, string>;
Environment environment;

const char* get_env(const char* name) {
  const auto found = environment.find(name);
  return found == environment.end() ? nullptr : found->second.c_str();
}

// "direct", the proxy's host, or the detail.
string chosen(const string& url, const Environment& env) {
  environment = env;
  Proxy proxy;
  proxy.host = "untouched";
  const Error e = libws::proxy_from_environment(url_of(url), get_env, &proxy);
  if (e) {
    assert_int_equal(e.code(), WS_ERR_INVALID);
    assert_true(proxy.host == "untouched");
    return libws::last_detail();
  }
  if (proxy.kind != ProxyKind::kNone) return string(proxy.host);
  assert_true(proxy.host.empty() && proxy.port == 0 && !proxy.has_credentials);
  return "direct";
}

string without(const string& url, const string& no_proxy) {
  return chosen(url, {{"all_proxy", "p"}, {"no_proxy", no_proxy}});
}

// In `names` each comes before the next: with those from the n-th on, the n-th decides.
void expect_order(const string& url, const std::vector<string>& names) {
  for (size_t first = 0; first <= names.size(); ++first) {
    Environment env;
    for (size_t i = first; i < names.size(); ++i) env[names[i]] = "p" + std::to_string(i) + ".x";
    const string wanted = first < names.size() ? "p" + std::to_string(first) + ".x" : "direct";
    expect_text(url, chosen(url, env), wanted);
    if (first == names.size()) continue;
    // Set but empty: none, whatever comes behind it.
    env[names[first]] = "";
    expect_text(names[first], chosen(url, env), "direct");
    env[names[first]] = "http://";
    expect_text(names[first], chosen(url, env), names[first] + ": the host is missing at byte 7");
  }
}

void test_environment_variables_are_asked_in_order(void**) {
  expect_order("wss://h",
               {"wss_proxy", "WSS_PROXY", "https_proxy", "HTTPS_PROXY", "all_proxy", "ALL_PROXY"});
  expect_order("ws://h", {"ws_proxy", "WS_PROXY", "http_proxy", "all_proxy", "ALL_PROXY"});
}

void test_environment_variables_of_others_are_not_read(void**) {
  // HTTP_PROXY is what a CGI program gets from a peer's "Proxy" field.
  expect_text("ws",
              chosen("ws://h", {{"HTTP_PROXY", "p"},
                                {"https_proxy", "p"},
                                {"wss_proxy", "p"},
                                {"HTTPS_PROXY", "p"},
                                {"Http_Proxy", "p"}}),
              "direct");
  expect_text(
      "wss",
      chosen("wss://h",
             {{"HTTP_PROXY", "p"}, {"http_proxy", "p"}, {"ws_proxy", "p"}, {"WS_PROXY", "p"}}),
      "direct");
  const Environment all = {{"all_proxy", "p"}, {"ws_proxy", "p"}, {"no_proxy", ":"}};
  expect_text("unix", chosen("ws+unix:///a", all), "direct");
}

void test_environment_proxy_is_read_as_any_other(void**) {
  environment = {{"https_proxy", "socks5h://u:p%40@[::1]:9"}};
  Proxy proxy;
  assert_false(libws::proxy_from_environment(url_of("wss://h"), get_env, &proxy).failed());
  assert_true(proxy.kind == ProxyKind::kSocks5 && proxy.host == "::1" && proxy.port == 9);
  assert_true(proxy.has_credentials && proxy.user == "u" && proxy.password == "p@");
}

void test_no_proxy_in_lower_case_hides_the_upper(void**) {
  const Environment both = {{"all_proxy", "p"}, {"no_proxy", "a"}, {"NO_PROXY", "b"}};
  expect_text("a", chosen("ws://a", both), "direct");
  expect_text("b", chosen("ws://b", both), "p");
  const Environment upper = {{"all_proxy", "p"}, {"NO_PROXY", "b"}};
  expect_text("b", chosen("ws://b", upper), "direct");
  const Environment empty = {{"all_proxy", "p"}, {"no_proxy", ""}, {"NO_PROXY", "*"}};
  expect_text("empty", chosen("ws://b", empty), "p");
}

void test_no_proxy_matches_names_at_dots(void**) {
  for (string list :
       {"example.com", ".example.com", "*.example.com", "EXAMPLE.com.", "other,example.com",
        "other example.com", " ,, \texample.com, ,x", ".Example.Com."}) {
    expect_text(list, without("ws://example.com", list), "direct");
    expect_text(list, without("ws://a.Example.com", list), "direct");
    expect_text(list, without("wss://a.b.example.com:81", list), "direct");
    expect_text(list, without("ws://example.com.", list), "direct");
    expect_text(list, without("ws://badexample.com", list), "p");
    expect_text(list, without("ws://example.com.evil", list), "p");
    expect_text(list, without("ws://com", list), "p");
    expect_text(list, without("ws://example.co", list), "p");
    expect_text(list, without("ws://10.0.0.1", list), "p");
    expect_text(list, without("ws://[::1]", list), "p");
  }
  for (string url : {"ws://h", "ws://10.0.0.1", "wss://[::1]:9"}) {
    expect_text(url, without(url, "*"), "direct");
    expect_text(url, without(url, "x, *"), "direct");
    expect_text(url, without(url, ""), "p");
    expect_text(url, without(url, ", \t,"), "p");
  }
}

void test_no_proxy_port_must_be_the_urls(void**) {
  for (const auto& [host, entry] :
       Rows{{"h.x", "h.x"}, {"h.x", ".x"}, {"10.0.0.1", "10.0.0.1"}, {"[::1]", "[::1]"}}) {
    expect_text(host, without("ws://" + host, entry + ":80"), "direct");
    expect_text(host, without("wss://" + host, entry + ":443"), "direct");
    expect_text(host, without("ws://" + host, entry + ":443"), "p");
    expect_text(host, without("ws://" + host + ":81", entry + ":80"), "p");
    expect_text(host, without("ws://" + host + ":81", entry), "direct");
  }
}

void test_no_proxy_matches_addresses_by_value(void**) {
  const std::vector<std::tuple<string, string, bool>> rows = {
      {"10.0.0.1", "10.0.0.1", true},
      {"10.0.0.1", "10.0.0.2", false},
      {"10.0.0.1", "0.1.example", false},
      {"[::1]", "::1", true},
      {"[0:0::1]", "[::1]", true},
      {"[fe80::1%25eth0]", "fe80::1", true},
      {"[::1]", "::2", false},
      {"[::ffff:10.0.0.1]", "10.0.0.1", true},
      {"10.0.0.1", "::ffff:a00:1", true},
      {"10.0.0.1", "::a00:1", false},
      {"h", "10.0.0.1", false},
      // Networks: a bit inside and a bit outside.
      {"10.255.255.255", "10.0.0.0/8", true},
      {"11.0.0.0", "10.0.0.0/8", false},
      {"10.1.2.3", "10.9.9.9/8", true},
      {"192.168.1.127", "192.168.1.0/25", true},
      {"192.168.1.128", "192.168.1.0/25", false},
      {"192.168.1.2", "192.168.1.2/32", true},
      {"192.168.1.3", "192.168.1.2/32", false},
      {"192.168.1.3", "192.168.1.2/31", true},
      {"192.168.1.4", "192.168.1.2/31", false},
      {"255.1.1.1", "0.0.0.0/0", true},
      {"[::1]", "0.0.0.0/0", false},
      {"10.0.0.1", "::/0", false},
      {"[::1]", "::/0", true},
      {"[fdff::1]", "fd00::/8", true},
      {"[fe00::1]", "fd00::/8", false},
      {"[fdff::1]", "fc00::/7", true},
      {"[2001:db8::1]", "2001:db8::1/128", true},
      {"[2001:db8::2]", "2001:db8::1/128", false},
      {"[2001:db8::]", "2001:db8::1/127", true},
      {"10.3.0.1", "::ffff:10.0.0.0/104", true},
      {"11.3.0.1", "::ffff:10.0.0.0/104", false},
      {"10.3.0.1", "::ffff:0:0/96", true},
      {"[::1]", "::ffff:0:0/96", false},
      {"[::fffe:0:1]", "::ffff:0:0/95", true},
      {"[::fffd:0:1]", "::ffff:0:0/95", false},
      {"h", "0.0.0.0/0", false},
  };
  for (const auto& [host, entry, direct] : rows) {
    expect_text(host + " " + entry, without("ws://" + host, entry), direct ? "direct" : "p");
  }
}

void test_no_proxy_that_does_not_parse_is_an_error_wherever_it_stands(void**) {
  const string port = "the port is not a number from 1 to 65535";
  const string before = "something other than an address before '/'";
  const string bits4 = "not a number of bits from 0 to 32";
  const string bits6 = "not a number of bits from 0 to 128";
  const std::vector<std::tuple<string, size_t, string>> rows = {
      {"h:0", 2, port},
      {"h:", 2, port},
      {"h:65536", 2, port},
      {"192.168.*", 8, "'*' for a part of a name"},
      {"a*", 1, "'*' for a part of a name"},
      {"*a", 0, "'*' for a part of a name"},
      {"*:80", 0, "'*' for a part of a name"},
      {"**", 0, "'*' for a part of a name"},
      {".", 1, "the host is missing"},
      {"*.", 2, "the host is missing"},
      {"..a", 1, "an empty label in the host"},
      {"a;b\x01", 3, "byte 0x01 in the host"},
      {"http://h", 0, before},
      {"h/8", 0, before},
      {"10.0.0/8", 0, before},
      {"[fd00::]/8", 0, before},
      {"fe80::1%eth0/8", 0, before},
      {"/8", 0, before},
      {"10.0.0.0/", 9, bits4},
      {"10.0.0.0/33", 9, bits4},
      {"10.0.0.0/-1", 9, bits4},
      {"10.0.0.0/8x", 9, bits4},
      {"10.0.0.0/0008", 9, bits4},
      {"10.0.0.0/8/8", 9, bits4},
      {"fd00::/129", 7, bits6},
      {"fd00::/4294967304", 7, bits6},
      {".10.0.0.1", 1, "an address behind a dot"},
      {"10.0.1", 0, "a host that ends in a number but is not an IPv4 address"},
      {"[::1", 0, "'[' without ']'"},
      {"[fe80::1%eth0]", 0, "a zone, which is not compared,"},
      {"b\xc3\xbc", 1, "a host that is not ASCII: convert it to xn--"},
  };
  for (const auto& [entry, at, problem] : rows) {
    const auto wanted = [&, n = at, what = problem](size_t offset) {
      return "no_proxy: " + what + " at byte " + std::to_string(n + offset);
    };
    expect_text(entry, without("ws://h", entry), wanted(0));
    expect_text(entry, without("ws://h", "h," + entry), wanted(2));
    expect_text(entry, without("ws://h", "* , " + entry + " x"), wanted(4));
  }
}

void test_no_proxy_length_is_bounded(void**) {
  const size_t max = 64 * 1024;
  const auto list = [](size_t n) { return string(n - 1, ',') + "h"; };
  expect_text("at -1", without("ws://h", list(max - 1)), "direct");
  expect_text("at", without("ws://h", list(max)), "direct");
  expect_text("above", without("ws://h", list(max + 1)),
              "no_proxy: more than 65536 bytes at byte 65536");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_environment_variables_are_asked_in_order),
      cmocka_unit_test(test_environment_variables_of_others_are_not_read),
      cmocka_unit_test(test_environment_proxy_is_read_as_any_other),
      cmocka_unit_test(test_no_proxy_in_lower_case_hides_the_upper),
      cmocka_unit_test(test_no_proxy_matches_names_at_dots),
      cmocka_unit_test(test_no_proxy_port_must_be_the_urls),
      cmocka_unit_test(test_no_proxy_matches_addresses_by_value),
      cmocka_unit_test(test_no_proxy_that_does_not_parse_is_an_error_wherever_it_stands),
      cmocka_unit_test(test_no_proxy_length_is_bounded),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
