// Where a redirect leads: RFC 3986's own examples, and Locations that a client must not follow.

#include "url_support.hpp"

using namespace http_test;
using namespace url_test;

namespace {

string resolved(const char* base, string_view location) {
  const Url from = url_of(base);
  Url to;
  to.target = "untouched";
  const Error e = libws::resolve_location(from, location, &to);
  if (!e) return describe(to);
  assert_int_equal(e.code(), WS_ERR_INVALID);
  assert_true(to.target == "untouched" && to.host.empty());
  return libws::last_detail();
}

void expect_from(const char* base, const Rows& rows) {
  expect_rows(rows, [&](const string& location) { return resolved(base, location); });
}

// RFC 3986 5.4, with ws for http and without the fragments, and two of empty segments.
void test_location_relative_as_in_rfc_3986(void**) {
  const Rows rows = {
      {"g", "/b/c/g"},
      {"./g", "/b/c/g"},
      {"g/", "/b/c/g/"},
      {"/g", "/g"},
      {"?y", "/b/c/d;p?y"},
      {"g?y", "/b/c/g?y"},
      {"#s", "/b/c/d;p?q"},
      {"g#s", "/b/c/g"},
      {"g?y#s", "/b/c/g?y"},
      {";x", "/b/c/;x"},
      {"g;x", "/b/c/g;x"},
      {"g;x?y#s", "/b/c/g;x?y"},
      {"", "/b/c/d;p?q"},
      {".", "/b/c/"},
      {"./", "/b/c/"},
      {"..", "/b/"},
      {"../", "/b/"},
      {"../g", "/b/g"},
      {"../..", "/"},
      {"../../", "/"},
      {"../../g", "/g"},
      {"../../../g", "/g"},
      {"../../../../g", "/g"},
      {"/./g", "/g"},
      {"/../g", "/g"},
      {"/x/..//../g", "/g"},
      {"/x//../g", "/x/g"},
      {"g.", "/b/c/g."},
      {".g", "/b/c/.g"},
      {"g..", "/b/c/g.."},
      {"..g", "/b/c/..g"},
      {"./../g", "/b/g"},
      {"./g/.", "/b/c/g/"},
      {"g/./h", "/b/c/g/h"},
      {"g/../h", "/b/c/h"},
      {"g;x=1/./y", "/b/c/g;x=1/y"},
      {"g;x=1/../y", "/b/c/y"},
      {"g?y/./x", "/b/c/g?y/./x"},
      {"g?y/../x", "/b/c/g?y/../x"},
      {"g#s/../x", "/b/c/g"},
  };
  for (const auto& [location, target] : rows) {
    expect_text(location, resolved("ws://a/b/c/d;p?q", location), "ws a 80 " + target);
  }
}

// bad: 65
void test_location_absolute_names_another_server(void**) {
  expect_from("ws://a:81/b/c?q", {
                                     {"http://h", "ws h 80 /"},
                                     {"https://h/x", "wss h 443 /x"},
                                     {"WS://h:1?x", "ws h 1 /?x"},
                                     {"wss://[::1]:444/x#y", "wss ::1 444 /x"},
                                     {"//h/x", "ws h 80 /x"},
                                     {"//h", "ws h 80 /"},
                                     {"//h:82?x", "ws h 82 /?x"},
                                     {"ws://h/a/../b/./c", "ws h 80 /b/c"},
                                     {"//h/..", "ws h 80 /"},
                                     {"/x:y", "ws a 81 /x:y"},
                                     {"?x:y", "ws a 81 /b/c?x:y"},
                                     {"/a//b/../c", "ws a 81 /a//c"},
                                     {"x y\xff", "ws a 81 /b/x%20y%FF"},
                                     {"/%2e%2e/x", "ws a 81 /%2e%2e/x"},
                                 });
  expect_from("wss://a/", {{"//h/x", "wss h 443 /x"}, {"ws://a/", "ws a 80 /"}});
  expect_from("ws://a", {{"g", "ws a 80 /g"}, {"?y", "ws a 80 /?y"}});
  expect_from("ws://[fe80::1%25eth0]/", {{"g", "ws fe80::1%eth0 80 /g"}});
}

// bad: 65
void test_location_that_cannot_be_followed_is_refused(void**) {
  const char* scheme = "location: a scheme that is not http, https, ws or wss at byte 0";
  const char* user = "location: user or password at byte ";
  expect_from("ws://a/b", {
                              {"ftp://h", scheme},
                              {"javascript:x", scheme},
                              {"x:y", scheme},
                              {":x", scheme},
                              {"ws+unix:///run/docker.sock", scheme},
                              {"file:///etc/passwd", scheme},
                              {"http:", "location: no '//' after the scheme at byte 5"},
                              {"http:x", "location: no '//' after the scheme at byte 5"},
                              {"http:///x", "location: the host is missing at byte 7"},
                              {"///x", "location: the host is missing at byte 2"},
                              {"//#h", "location: the host is missing at byte 2"},
                              {"http://h:0",
                               "location: the port is not a number from 1 to 65535"
                               " at byte 9"},
                              {"http://u:p@h/", user + "7"s},
                              {"ws://@h/", user + "5"s},
                              {"//u@a/", user + "2"s},
                              {"/x\r\nSet-Cookie: a=b", "location: control byte 0x0d at byte 2"},
                              {"/x\ty", "location: control byte 0x09 at byte 2"},
                              {"/x#\n", "location: control byte 0x0a at byte 3"},
                              {"\\\\h\\x", "location: a backslash at byte 0"},
                              {"/\\h", "location: a backslash at byte 1"},
                              {"http://127.1/",
                               "location: a host that ends in a number but is not"
                               " an IPv4 address at byte 7"},
                          });
}

// bad: 65
void test_location_of_another_origin_loses_the_credentials(void**) {
  const char* base = "wss://u:p@a:81/b";
  const string with = " user=u password=p";
  expect_from(base, {
                        {"/x", "wss a 81 /x" + with},
                        {"//A:81/x", "wss A 81 /x" + with},
                        {"https://a:81/x", "wss a 81 /x" + with},
                        {"//a/x", "wss a 443 /x"},
                        {"http://a:81/x", "ws a 81 /x"},
                        {"//b:81/x", "wss b 81 /x"},
                        {"//a.:81/x", "wss a. 81 /x"},
                    });
}

// bad: 65
void test_location_from_a_unix_socket_stays_there_if_it_names_localhost(void**) {
  expect_from("ws+unix:///a:/b/c", {
                                       {"d", "ws localhost 80 /b/d unix=/a"},
                                       {"//LOCALHOST/x", "ws LOCALHOST 80 /x unix=/a"},
                                       {"http://localhost:80/x", "ws localhost 80 /x unix=/a"},
                                       {"http://localhost:81/x", "ws localhost 81 /x"},
                                       {"https://localhost/x", "wss localhost 443 /x"},
                                       {"https://localhost:80/x", "wss localhost 80 /x"},
                                       {"//h/x", "ws h 80 /x"},
                                   });
  expect_from("ws://localhost/", {{"//localhost/x", "ws localhost 80 /x"}});
}

void test_location_length_is_bounded(void**) {
  const size_t max = libws::kMaxUrlBytes;
  const string too_long = "location: more than 8192 bytes at byte 8192";
  const string wide = "location: a target of more than 8192 bytes, percent-encoded at byte 0";
  const auto target_size = [](const char* base, const string& location) {
    Url to;
    assert_false(libws::resolve_location(url_of(base), location, &to).failed());
    return to.target.size();
  };
  assert_int_equal(target_size("ws://h/", "/" + string(max - 1, 'x')), max);
  expect_text("one more", resolved("ws://h/", "/" + string(max, 'x')), too_long);
  // Merged with the base's path.
  assert_int_equal(target_size("ws://h/abc/", string(max - 5, 'x')), max);
  expect_text("merged", resolved("ws://h/abc/", string(max - 4, 'x')), wide);
  assert_int_equal(target_size("ws://h/abc", "?" + string(max - 5, 'x')), max);
  expect_text("query", resolved("ws://h/abc", "?" + string(max - 4, 'x')), wide);
  // Dots that go away do not count.
  assert_int_equal(target_size("ws://h/abc/", "../" + string(max - 3, 'x')), max - 2);
}

// Dots nested as deeply as the bound allows are one step a segment.
void test_location_of_dots_is_resolved_in_linear_steps(void**) {
  string dots;
  for (int i = 0; i < 1500; ++i) dots += "a/";
  for (int i = 0; i < 1500; ++i) dots += "../";
  libws::scan_steps = 0;
  expect_text("dots", resolved("ws://h/", dots), "ws h 80 /");
  assert_true(libws::scan_steps <= 4 * dots.size());
}

void test_location_out_of_memory_throws_and_leaks_nothing(void**) {
  const string location = string(50, 'a') + "/../" + string(50, ' ');
  const int allocations = FailingAllocator::run([&] {
    const Url from = url_of("ws://" + string(30, 'u') + "@" + string(30, 'h') + "/x");
    Url to;
    assert_false(libws::resolve_location(from, location, &to).failed());
  });
  assert_true(allocations >= 5);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_location_relative_as_in_rfc_3986),
      cmocka_unit_test(test_location_absolute_names_another_server),
      cmocka_unit_test(test_location_that_cannot_be_followed_is_refused),
      cmocka_unit_test(test_location_of_another_origin_loses_the_credentials),
      cmocka_unit_test(test_location_from_a_unix_socket_stays_there_if_it_names_localhost),
      cmocka_unit_test(test_location_length_is_bounded),
      cmocka_unit_test(test_location_of_dots_is_resolved_in_linear_steps),
      cmocka_unit_test(test_location_out_of_memory_throws_and_leaks_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
