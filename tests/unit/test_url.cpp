// URLs a client is given: what each part becomes, and which byte a refusal names.

#include "url_support.hpp"

using namespace http_test;
using namespace url_test;

namespace {

void expect_urls(const Rows& rows) {
  expect_rows(rows, [](const string& text) { return parsed(text); });
}

// The rows give "<problem> at byte N".
void expect_refused(const Rows& rows) {
  expect_rows(rows, [](const string& text) {
    const string got = parsed(text);
    return got.starts_with("url: ") ? got.substr(5) : "accepted: " + got;
  });
}

string padded(const string& before, size_t total) {  // up to `total` bytes
  return before + string(total - before.size(), 'x');
}

// req: 3, 4
void test_url_of_tcp_is_taken_apart(void**) {
  expect_urls({
      {"ws://h", "ws h 80 /"},
      {"wss://h", "wss h 443 /"},
      {"WS://h", "ws h 80 /"},
      {"wSs://h/", "wss h 443 /"},
      {"ws://h:8080/chat", "ws h 8080 /chat"},
      {"ws://h?x", "ws h 80 /?x"},
      {"ws://h?", "ws h 80 /?"},
      {"ws://h/?x=/a?b:c@d", "ws h 80 /?x=/a?b:c@d"},
      {"ws://h//a/./../b", "ws h 80 //a/./../b"},
      {"ws://H.Example/", "ws H.Example 80 /"},
      {"ws://h.:443/", "ws h. 443 /"},
      {"ws://a_b.c-d:1", "ws a_b.c-d 1 /"},
      {"ws://h:65535", "ws h 65535 /"},
      {"ws://h:0080", "ws h 80 /"},
      {"ws://127.0.0.1:9", "ws 127.0.0.1 9 /"},
      {"ws://[::1]", "ws ::1 80 /"},
      {"wss://[2001:DB8::1]:8443/x", "wss 2001:DB8::1 8443 /x"},
      {"ws://[::ffff:192.0.2.1]", "ws ::ffff:192.0.2.1 80 /"},
      {"ws://1.example", "ws 1.example 80 /"},
      {"ws://xn--bcher-kva.example", "ws xn--bcher-kva.example 80 /"},
      {"ws://0xg", "ws 0xg 80 /"},
  });
}

// req: 1, 2
void test_url_target_is_encoded_where_a_uri_cannot_hold_it(void**) {
  expect_urls({
      {"ws://h/%23", "ws h 80 /%23"},
      {"ws://h/a b", "ws h 80 /a%20b"},
      {"ws://h?a b", "ws h 80 /?a%20b"},
      {"ws://h/\xc3\xb6?\xff\x80", "ws h 80 /%C3%B6?%FF%80"},
      {"ws://h/\"<>^`{|}", "ws h 80 /%22%3C%3E%5E%60%7B%7C%7D"},
      {"ws://h/-._~:@!$&'()*+,;=[]?/?", "ws h 80 /-._~:@!$&'()*+,;=[]?/?"},
      // Whoever wrote a '%' meant it; it is not for us to correct.
      {"ws://h/%zz%", "ws h 80 /%zz%"},
      {"ws://h/%00%0d%0a", "ws h 80 /%00%0d%0a"},
  });
}

void test_url_credentials_are_percent_decoded(void**) {
  expect_urls({
      {"ws://u:p@h/", "ws h 80 / user=u password=p"},
      {"ws://u@h:81", "ws h 81 / user=u password="},
      {"ws://:p@h", "ws h 80 / user= password=p"},
      {"ws://u:a:b@h", "ws h 80 / user=u password=a:b"},
      {"ws://u:a%3Ab%40%2f%20%c3%B6@h", "ws h 80 / user=u password=a:b@/ \xc3\xb6"},
      {"ws://%75%25:%@h/", "url: '%' without two hexadecimal digits at byte 12"},
      {"ws://-._~!$&'()*+,;=@h", "ws h 80 / user=-._~!$&'()*+,;= password="},
      {"ws://@h", "ws h 80 /"},
      {"ws://:@h", "ws h 80 /"},
      // An '@' behind the authority is no separator.
      {"ws://h/u:p@x", "ws h 80 /u:p@x"},
      {"ws://h?u:p@x", "ws h 80 /?u:p@x"},
  });
}

void test_url_refused_credentials_are_not_shown(void**) {
  expect_refused({
      {"ws://u:s3cret@x@h", "another '@', not written %40 at byte 15"},
      {"ws://u:s3%zzcret@h", "'%' without two hexadecimal digits at byte 9"},
      {"ws://u:s3cret%4@h", "'%' without two hexadecimal digits at byte 13"},
      {"ws://u:s3cret%0d@h", "a control byte, percent-encoded at byte 13"},
      {"ws://u%00:p@h", "a control byte, percent-encoded at byte 6"},
      {"ws://u:s3\xc3\xb6@h", "a byte in user or password that is not percent-encoded at byte 9"},
      {"ws://u:s3 t@h", "a byte in user or password that is not percent-encoded at byte 9"},
      {"ws://u%3ax:p@h", "a user with a ':', which Basic authorization cannot carry, at byte 5"},
      {"u:s3cret@h", "a scheme that is not ws, wss, ws+unix or wss+unix at byte 0"},
  });
}

void test_url_ipv6_zone_is_decoded(void**) {
  expect_urls({
      {"ws://[fe80::1%25eth0]", "ws fe80::1%eth0 80 /"},
      {"ws://[fe80::1%25eth%30]:81/x", "ws fe80::1%eth0 81 /x"},
      {"ws://[fe80::1%252]", "ws fe80::1%2 80 /"},
      {"ws://[fe80::1%25" + string(32, 'z') + "]", "ws fe80::1%" + string(32, 'z') + " 80 /"},
  });
  expect_refused({
      {"ws://[fe80::1%eth0]", "the '%' before an IPv6 zone is not written %25 at byte 13"},
      {"ws://[fe80::1%]", "the '%' before an IPv6 zone is not written %25 at byte 13"},
      {"ws://[fe80::1%25]", "not the name of an IPv6 zone at byte 16"},
      {"ws://[fe80::1%25a%20b]", "not the name of an IPv6 zone at byte 16"},
      {"ws://[fe80::1%25a%0ab]", "a control byte, percent-encoded at byte 17"},
      {"ws://[fe80::1%25a%]", "'%' without two hexadecimal digits at byte 17"},
      {"ws://[fe80::1%25" + string(33, 'z') + "]", "not the name of an IPv6 zone at byte 16"},
      {"ws://[%25eth0]", "not an IPv6 address at byte 6"},
  });
}

// req: 2
// bad: 72
void test_url_with_a_bad_scheme_is_refused(void**) {
  const char* none = "no scheme, such as ws:// or wss://, at byte 0";
  const char* other = "a scheme that is not ws, wss, ws+unix or wss+unix at byte 0";
  expect_refused({
      {"", none},
      {"w", none},
      {"ws", none},
      {"//h/", none},
      {"h/x", none},
      {"ws:", "no '//' after the scheme at byte 3"},
      {"ws:/", "no '//' after the scheme at byte 3"},
      {"ws:/h", "no '//' after the scheme at byte 3"},
      {"ws:h", "no '//' after the scheme at byte 3"},
      {"ws ://h", other},
      {" ws://h", other},
      {"://h", other},
      {"h:80", other},
      {"ftp://h", other},
      {"unix:/run/a", other},
      {"http://h", "a scheme that is http, for WebSocket ws, at byte 0"},
      {"HTTPS://h", "a scheme that is https, for WebSocket wss, at byte 0"},
  });
}

// req: 2
// bad: 72
void test_url_with_a_bad_host_is_refused(void**) {
  const char* number = "a host that ends in a number but is not an IPv4 address at byte 5";
  const char* length = "a host of more than 255 bytes, or a label of more than 63 at byte 5";
  const string label63(63, 'a');
  const string host255 = label63 + "." + label63 + "." + label63 + "." + label63;
  assert_int_equal(host255.size(), 255);
  expect_refused({
      {"ws://", "the host is missing at byte 5"},
      {"ws:///x", "the host is missing at byte 5"},
      {"ws://?x", "the host is missing at byte 5"},
      {"ws://:80", "the host is missing at byte 5"},
      {"ws://u:p@", "the host is missing at byte 9"},
      {"ws://a b/", "byte 0x20 in the host at byte 6"},
      {"ws://a%20b/", "byte 0x25 in the host at byte 6"},
      {"ws://a<b/", "byte 0x3c in the host at byte 6"},
      {"ws://a]/", "byte 0x5d in the host at byte 6"},
      {"ws://a[::1]/", "byte 0x5b in the host at byte 6"},
      {"ws://b\xc3\xbc"
       "cher/",
       "a host that is not ASCII: convert it to xn-- at byte 6"},
      {"ws://.", "an empty label in the host at byte 5"},
      {"ws://.a", "an empty label in the host at byte 5"},
      {"ws://a..b", "an empty label in the host at byte 7"},
      {"ws://a..", "an empty label in the host at byte 7"},
      {"ws://127.1", number},
      {"ws://2130706433", number},
      {"ws://0x7f000001", number},
      {"ws://0x", number},
      {"ws://a.0X1f.", number},
      {"ws://0177.0.0.1", number},
      {"ws://127.0.0.1.", number},
      {"ws://127.0.0.256", number},
      {"ws://127.0.0.1.2", number},
      {"ws://1.2.3.0004", number},
      {"ws://1.2..4", "an empty label in the host at byte 9"},
      {"ws://x.5", number},
      {"ws://" + label63 + "a", length},
      {"ws://" + host255 + "a", length},
      {"ws://" + host255 + ".", length},
      {"ws://[", "'[' without ']' at byte 5"},
      {"ws://[::1", "'[' without ']' at byte 5"},
      {"ws://[::1/]", "'[' without ']' at byte 5"},
      {"ws://[]", "not an IPv6 address at byte 6"},
      {"ws://[h]", "not an IPv6 address at byte 6"},
      {"ws://[1.2.3.4]", "not an IPv6 address at byte 6"},
      {"ws://[::1:]", "not an IPv6 address at byte 6"},
      {"ws://[" + string(100, '1') + "]", "not an IPv6 address at byte 6"},
      {"ws://[v1.a]", "not an IPv6 address at byte 6"},
      {"ws://[::1]a", "something other than ':' behind ']' at byte 10"},
      {"ws://::1", "the host is missing at byte 5"},
      {"ws://a:b@", "the host is missing at byte 9"},
  });
  expect_urls({{"ws://" + label63, "ws " + label63 + " 80 /"},
               {"ws://" + host255, "ws " + host255 + " 80 /"}});
}

// req: 2
// bad: 72
void test_url_with_a_bad_port_is_refused(void**) {
  for (const char* port : {"", "0", "00", "65536", "99999", "-1", "+1", "1a", " 1", "1:2", "0x50",
                           "18446744073709551617"}) {
    expect_refused(
        {{"ws://h:" + string(port) + "/", "the port is not a number from 1 to 65535 at byte 7"},
         {"ws://[::1]:" + string(port), "the port is not a number from 1 to 65535 at byte 11"}});
  }
}

// req: 1, 2
// bad: 72
void test_url_with_a_fragment_backslash_or_control_byte_is_refused_anywhere(void**) {
  const string whole = "ws://u:p@host:81/path?query";
  for (size_t at = 0; at <= whole.size(); ++at) {
    const string where = " at byte " + std::to_string(at);
    const auto with = [&](char c) { return whole.substr(0, at) + c + whole.substr(at); };
    expect_refused({{with('#'), "a fragment ('#')" + where},
                    {with('\\'), "a backslash" + where},
                    {with('\0'), "control byte 0x00" + where},
                    {with('\t'), "control byte 0x09" + where},
                    {with('\n'), "control byte 0x0a" + where},
                    {with('\r'), "control byte 0x0d" + where},
                    {with('\x1f'), "control byte 0x1f" + where},
                    {with('\x7f'), "control byte 0x7f" + where}});
  }
  expect_refused({{"ws+unix:///a#b", "a fragment ('#') at byte 12"},
                  {"ws+unix:///a\r:/", "control byte 0x0d at byte 12"}});
}

// bad: 72
void test_url_length_is_bounded(void**) {
  const size_t max = libws::kMaxUrlBytes;
  for (size_t n : {max - 1, max})
    assert_int_equal(url_of(padded("ws://h/", n)).target.size(), n - 6);
  expect_refused({{padded("ws://h/", max + 1), "more than 8192 bytes at byte 8192"},
                  {padded("ws://h/", 64 * 1024), "more than 8192 bytes at byte 8192"}});
  // "/", 2730 bytes that become three each, and one more: 8192.
  string target = "/";
  for (int i = 0; i < 2730; ++i) target.push_back('\xff');
  assert_int_equal(url_of("ws://h" + target).target.size(), max - 1);
  assert_int_equal(url_of("ws://h" + target + "x").target.size(), max);
  expect_refused(
      {{"ws://h" + target + "xx", "a target of more than 8192 bytes, percent-encoded at byte 6"}});
}

void test_url_of_a_unix_socket_is_path_and_target(void**) {
  expect_urls({
      {"ws+unix:///run/a.sock", "ws localhost 80 / unix=/run/a.sock"},
      {"ws+unix:/run/a.sock", "ws localhost 80 / unix=/run/a.sock"},
      {"wss+unix:///run/a.sock:/chat?x", "wss localhost 443 /chat?x unix=/run/a.sock"},
      {"WS+UNIX:///a:", "ws localhost 80 / unix=/a"},
      {"ws+unix:///a:?x", "ws localhost 80 /?x unix=/a"},
      {"ws+unix:///a:/b:/c", "ws localhost 80 /b:/c unix=/a"},
      {"ws+unix:///a%3Ab%3f%23%25 \xc3\xb6@:/x y", "ws localhost 80 /x%20y unix=/a:b?#% \xc3\xb6@"},
      {"ws+unix:////a", "ws localhost 80 / unix=//a"},
      {"ws+unix:@name:/chat", "ws localhost 80 /chat unix=@name"},
      {"wss+unix://@name", "wss localhost 443 / unix=@name"},
  });
  const char* path = "no path from '/', nor '@' and a name, at byte ";
  expect_refused({
      {"ws+unix:", path + "8"s},
      {"ws+unix://", path + "10"s},
      {"ws+unix:a.sock", path + "8"s},
      {"ws+unix://host/a", path + "10"s},
      {"ws+unix://u:p@/a", path + "10"s},
      {"ws+unix::/x", path + "8"s},
      {"ws+unix:%2Fa", path + "8"s},
      {"ws+unix:@", "no name behind '@' at byte 8"},
      {"ws+unix:@:/x", "no name behind '@' at byte 8"},
      {"ws+unix:///a?x", "'?' in the socket's path; a target begins with ':', at byte 12"},
      {"ws+unix:///a:b", "a target without '/' at byte 13"},
      {"ws+unix:///a%00b", "a control byte, percent-encoded at byte 12"},
      {"ws+unix:///a%0", "'%' without two hexadecimal digits at byte 12"},
  });
}

// req: 12
void test_url_host_field_has_brackets_and_no_default_port(void**) {
  expect_rows(
      {
          {"ws://h", "h"},
          {"ws://h:80", "h"},
          {"ws://h:443", "h:443"},
          {"wss://h:443", "h"},
          {"wss://h:80", "h:80"},
          {"ws://u:p@H:81/x", "H:81"},
          {"ws://[::1]", "[::1]"},
          {"wss://[fe80::1%25eth0]:444", "[fe80::1]:444"},
          {"ws+unix:///a", "localhost"},
          {"wss+unix:///a", "localhost"},
      },
      [](const string& text) { return string(url_of(text).host_field()); });
}

void test_url_text_is_without_credentials_and_parses_again(void**) {
  expect_rows(
      {
          {"WSS://u:p@h:443/a b?c", "wss://h/a%20b?c"},
          {"ws://h", "ws://h/"},
          {"ws://[::1]:81", "ws://[::1]:81/"},
          {"ws://[fe80::1%25eth0]:81/x", "ws://[fe80::1%25eth0]:81/x"},
          {"wss://[fe80::1%25eth0]", "wss://[fe80::1%25eth0]/"},
          {"ws+unix:/a%3Ab%25%20\xff@:/x?y", "ws+unix:///a%3Ab%25%20%FF@:/x?y"},
          {"wss+unix:///a", "wss+unix:///a"},
          {"ws+unix://@n", "ws+unix:@n"},
      },
      [](const string& text) {
        Url url = url_of(text);
        const string out(url.text());
        url.has_credentials = false;
        expect_text(text, parsed(out), describe(url));
        return out;
      });
}

// bad: 65
void test_url_same_origin_is_security_host_and_port(void**) {
  const auto same = [](const char* a, const char* b) {
    const bool one = url_of(a).same_origin(url_of(b));
    assert_int_equal(one, url_of(b).same_origin(url_of(a)));
    return one;
  };
  assert_true(same("ws://h/a", "ws://u:p@H:80/b?c"));
  assert_true(same("wss://[::1]/", "wss://[::1]:443/"));
  assert_true(same("ws+unix:///a", "ws+unix:/a:/x"));
  assert_false(same("ws://h", "wss://h:80"));
  assert_false(same("ws://h", "ws://h:81"));
  assert_false(same("ws://h", "ws://h.example"));
  assert_false(same("ws://h", "ws://xh"));
  assert_false(same("ws://h", "ws://h."));
  assert_false(same("ws://[::1]/", "ws://[0::1]/"));
  assert_false(same("ws+unix:///a", "ws+unix:///b"));
  assert_false(same("ws+unix:///a", "wss+unix:///a"));
  assert_false(same("ws+unix:///a", "ws://localhost"));
}

void test_host_port_needs_both(void**) {
  const auto read = [](const string& text) {
    libws::String host = "untouched";
    uint16_t port = 7;
    const Error e = libws::parse_host_port("connect_to", text, &host, &port);
    if (!e) return string(host) + " " + std::to_string(port);
    assert_true(host == "untouched" && port == 7);
    assert_int_equal(e.code(), WS_ERR_INVALID);
    return string(libws::last_detail());
  };
  expect_rows(
      {
          {"h:80", "h 80"},
          {"127.0.0.1:65535", "127.0.0.1 65535"},
          {"[::1]:1", "::1 1"},
          {"[fe80::1%eth0]:1", "fe80::1%eth0 1"},
          {"[fe80::1%25]:1", "fe80::1%25 1"},  // interface number 25
          {"", "connect_to: the host is missing at byte 0"},
          {"h", "connect_to: no port at byte 1"},
          {"[::1]", "connect_to: no port at byte 5"},
          {"h:", "connect_to: the port is not a number from 1 to 65535 at byte 2"},
          {"h:0", "connect_to: the port is not a number from 1 to 65535 at byte 2"},
          {"::1:80", "connect_to: the host is missing at byte 0"},
          {"h:80/", "connect_to: the port is not a number from 1 to 65535 at byte 2"},
          {"u@h:80", "connect_to: byte 0x40 in the host at byte 1"},
          {"[fe80::1%]:1", "connect_to: not the name of an IPv6 zone at byte 9"},
          {"[fe80::1%a b]:1", "connect_to: not the name of an IPv6 zone at byte 9"},
          {"h\r:80", "connect_to: control byte 0x0d at byte 1"},
          {"a\\b:80", "connect_to: a backslash at byte 1"},
      },
      read);
}

// bad: 72
void test_url_of_any_bytes_is_parsed_in_linear_steps(void**) {
  std::mt19937 random(6455);
  const string alphabet = "wsunix+:/@[]%25?.#h1 \\\r\x80"s;
  size_t accepted = 0;
  for (int round = 0; round < 20000; ++round) {
    string text = round % 4 == 0 ? "" : round % 4 == 1 ? "ws+unix:" : "ws://h";
    for (size_t n = random() % 24; n > 0; --n) text += alphabet[random() % alphabet.size()];
    const std::vector<char> exact(text.begin(), text.end());  // a sanitizer sees a read past it
    libws::scan_steps = 0;
    Url url;
    if (!libws::parse_url({exact.data(), exact.size()}, &url)) {
      ++accepted;
      // What was accepted can go into a request.
      assert_true(url.target[0] == '/' && libws::all_chars_are(url.target, libws::kTargetChar));
      libws::Authority unused;
      assert_true(libws::parse_authority(url.host_field(), &unused));
      assert_true(url.port != 0);
      expect_text(text, describe(url_of(url.text())), (url.has_credentials = false, describe(url)));
    }
    assert_true(libws::scan_steps <= 16 * (text.size() + 16));
  }
  assert_true(accepted > 100);
}

void test_url_out_of_memory_throws_and_leaks_nothing(void**) {
  const string text = "wss://" + string(40, 'u') + ":" + string(40, 'p') + "@[fe80::1%25" +
                      string(30, 'z') + "]:8443/" + string(100, ' ');
  const int allocations = FailingAllocator::run([&] {
    Url url;
    assert_false(libws::parse_url(text, &url).failed());
    assert_true(url.text().size() > 300);
  });
  assert_true(allocations >= 5);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_url_of_tcp_is_taken_apart),
      cmocka_unit_test(test_url_target_is_encoded_where_a_uri_cannot_hold_it),
      cmocka_unit_test(test_url_credentials_are_percent_decoded),
      cmocka_unit_test(test_url_refused_credentials_are_not_shown),
      cmocka_unit_test(test_url_ipv6_zone_is_decoded),
      cmocka_unit_test(test_url_with_a_bad_scheme_is_refused),
      cmocka_unit_test(test_url_with_a_bad_host_is_refused),
      cmocka_unit_test(test_url_with_a_bad_port_is_refused),
      cmocka_unit_test(test_url_with_a_fragment_backslash_or_control_byte_is_refused_anywhere),
      cmocka_unit_test(test_url_length_is_bounded),
      cmocka_unit_test(test_url_of_a_unix_socket_is_path_and_target),
      cmocka_unit_test(test_url_host_field_has_brackets_and_no_default_port),
      cmocka_unit_test(test_url_text_is_without_credentials_and_parses_again),
      cmocka_unit_test(test_url_same_origin_is_security_host_and_port),
      cmocka_unit_test(test_host_port_needs_both),
      cmocka_unit_test(test_url_of_any_bytes_is_parsed_in_linear_steps),
      cmocka_unit_test(test_url_out_of_memory_throws_and_leaks_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
