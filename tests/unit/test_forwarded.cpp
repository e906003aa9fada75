// Forwarded (RFC 7239) and X-Forwarded-For, read from the last address to the first.
#include "libws/protocol/forwarded.hpp"

#include "http_support.hpp"

using namespace http_test;
using libws::ForwardedField;
using libws::ForwardedWalk;

namespace {

// The addresses in the order of the walk, separated by spaces.
string walk(ForwardedField field, const string& lines) {
  const Head head = head_of(Kind::kRequest, "GET / HTTP/1.1\r\nHost: h\r\n" + lines + "\r\n");
  libws::scan_steps = 0;
  ForwardedWalk walk(head, field);
  string out;
  string_view address;
  while (walk.next(&address)) out += (out.empty() ? "" : " ") + string(address);
  // A backslash is looked at again for the quote behind it; nothing else is twice in each layer.
  assert_true(libws::scan_steps <= 8 * lines.size());
  return out;
}

string xff(const string& value) {
  return walk(ForwardedField::kXForwardedFor, "X-Forwarded-For: " + value + "\r\n");
}

string standard(const string& value) {
  return walk(ForwardedField::kForwarded, "Forwarded: " + value + "\r\n");
}

void test_xff_is_read_from_right_to_left(void**) {
  const std::pair<string, string> rows[] = {
      {"192.0.2.7", "192.0.2.7"},
      {"192.0.2.7, 198.51.100.1,203.0.113.9", "203.0.113.9 198.51.100.1 192.0.2.7"},
      {" 192.0.2.7\t ,\t198.51.100.1 ", "198.51.100.1 192.0.2.7"},
      {"2001:db8::1", "2001:db8::1"},
      {"[2001:db8::1]", "2001:db8::1"},
      {"[2001:db8::1]:443, 192.0.2.7:50417", "192.0.2.7 2001:db8::1"},
      {"192.0.2.7:_port", "192.0.2.7"},
  };
  for (const auto& [value, expected] : rows) expect_text(value, xff(value), expected);
}

void test_xff_malformed_member_ends_the_walk(void**) {
  const std::pair<string, string> rows[] = {
      {"192.0.2.7, , 198.51.100.1", "198.51.100.1"},
      {"192.0.2.7,", ""},
      {"", ""},
      {"192.0.2.7, [2001:db8::1, 198.51.100.1", "198.51.100.1"},
      {"192.0.2.7, [192.0.2.8], 198.51.100.1", "198.51.100.1"},
      {"192.0.2.7, [::1]x, 198.51.100.1", "198.51.100.1"},
      {"192.0.2.7, [::1]:, 198.51.100.1", "198.51.100.1"},
      {"192.0.2.7, 192.0.2.8:, 198.51.100.1", "198.51.100.1"},
      {"192.0.2.7, 192.0.2.8:123456, 198.51.100.1", "198.51.100.1"},
      {"192.0.2.7, :80, 198.51.100.1", "198.51.100.1"},
  };
  for (const auto& [value, expected] : rows) expect_text(value, xff(value), expected);
}

void test_forwarded_elements_of_rfc7239_are_read(void**) {
  const std::pair<string, string> rows[] = {
      {"for=192.0.2.60;proto=http;by=203.0.113.43", "192.0.2.60"},
      {"For=\"[2001:db8:cafe::17]:4711\"", "2001:db8:cafe::17"},
      {"for=192.0.2.43, for=198.51.100.17", "198.51.100.17 192.0.2.43"},
      {"for=192.0.2.43,for=\"[2001:db8:cafe::17]\";proto=\"a;b,c\"",
       "2001:db8:cafe::17 192.0.2.43"},
      {"for=\"192.0.2.43:47011\"", "192.0.2.43"},
      {"for=\"192.0.2.43:_x\"", "192.0.2.43"},
      {"proto=http ; FOR=192.0.2.43 ;", "192.0.2.43"},
      {"for=192.0.2.1;host=\"a\\\",b\", for=192.0.2.2", "192.0.2.2 192.0.2.1"},
      {"for=192.0.2.1;host=\"a\\\\\", for=192.0.2.2", "192.0.2.2 192.0.2.1"},
      {"for=\"\\1\"", "\\1"},  // no address for whoever reads it
      {"for=unknown", "unknown"},
      {"for=_hidden", "_hidden"},
  };
  for (const auto& [value, expected] : rows) expect_text(value, standard(value), expected);
}

void test_forwarded_malformed_element_ends_the_walk(void**) {
  const std::pair<string, string> rows[] = {
      {"for=192.0.2.1, proto=http, for=192.0.2.2", "192.0.2.2"},
      {"for=192.0.2.1, , for=192.0.2.2", "192.0.2.2"},
      {"for=192.0.2.1;for=192.0.2.3, for=192.0.2.2", "192.0.2.2"},
      {"for=192.0.2.1, for, for=192.0.2.2", "192.0.2.2"},
      {"for=192.0.2.1, for=, for=192.0.2.2", "192.0.2.2"},
      {"for=192.0.2.1, for= 192.0.2.3, for=192.0.2.2", "192.0.2.2"},
      {"for=192.0.2.1, for =192.0.2.3, for=192.0.2.2", "192.0.2.2"},
      {"for=192.0.2.1, =x;for=192.0.2.3, for=192.0.2.2", "192.0.2.2"},
      {"for=192.0.2.1, for=192.0.2.3:80, for=192.0.2.2", "192.0.2.2"},  // must be quoted
      {"for=192.0.2.1, for=[::1], for=192.0.2.2", "192.0.2.2"},
      {"for=192.0.2.1, for=\"::1\", for=192.0.2.2", "192.0.2.2"},
      {"for=192.0.2.1, for=\"a\"b\", for=192.0.2.2", "192.0.2.2"},
      {"for=192.0.2.1, for=192.0.2.3;a=\"x\\\", for=192.0.2.2", "192.0.2.2"},
      {"", ""},
  };
  for (const auto& [value, expected] : rows) expect_text(value, standard(value), expected);
}

// What a client wrote to the left of the proxy's element must not change how that is read.
void test_forwarded_open_quote_of_the_client_does_not_hide_the_proxy_s_element(void**) {
  for (const char* evil :
       {"for=\"", "for=\"x", "for=\"\\", "for=1.1.1.1;a=\"", "\"", "\\", "\\\""}) {
    expect_text(evil, standard(string(evil) + ", for=192.0.2.2"), "192.0.2.2");
    expect_text(evil, standard(string(evil) + ", for=\"[2001:db8::1]:80\";by=\"[::1]\""),
                "2001:db8::1");
  }
}

void test_forwarded_lines_are_one_list_and_other_fields_are_not_looked_at(void**) {
  const string lines =
      "X-Forwarded-For: 192.0.2.1\r\nForwarded: for=198.51.100.1\r\n"
      "x-forwarded-for: 192.0.2.2, 192.0.2.3\r\nforwarded: for=198.51.100.2\r\n"
      "X-Forwarded-Fo: 6.6.6.6\r\n";
  expect_text("xff", walk(ForwardedField::kXForwardedFor, lines), "192.0.2.3 192.0.2.2 192.0.2.1");
  expect_text("standard", walk(ForwardedField::kForwarded, lines), "198.51.100.2 198.51.100.1");
  expect_text("none", walk(ForwardedField::kForwarded, "X-Forwarded-For: 1.1.1.1\r\n"), "");
}

void test_forwarded_of_8_kib_is_scanned_in_linear_time(void**) {
  string many;
  while (many.size() < 7000) many += "for=\"\\\\\\\\\\\\\\\\\", ";
  (void)standard(many + "for=1.1.1.1");
  string quotes = "for=\"" + string(7000, '\\') + "\"";
  (void)standard(quotes);
  (void)xff(string(3500, ',') + string(3500, ':'));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_xff_is_read_from_right_to_left),
      cmocka_unit_test(test_xff_malformed_member_ends_the_walk),
      cmocka_unit_test(test_forwarded_elements_of_rfc7239_are_read),
      cmocka_unit_test(test_forwarded_malformed_element_ends_the_walk),
      cmocka_unit_test(test_forwarded_open_quote_of_the_client_does_not_hide_the_proxy_s_element),
      cmocka_unit_test(test_forwarded_lines_are_one_list_and_other_fields_are_not_looked_at),
      cmocka_unit_test(test_forwarded_of_8_kib_is_scanned_in_linear_time),
  };
  return cmocka_run_group_tests_name("forwarded", tests, nullptr, nullptr);
}
