// Addresses of a Redis.
#include "url.hpp"

#include "parts.hpp"

using namespace libws_redis;

namespace {

Url parsed(const char* text) {
  Url url;
  Failure f = parse_url(text, &url);
  if (f) fail_msg("%s: %s", text, f.detail.c_str());
  return url;
}

void refused(const char* text, const char* why) {
  Url url;
  Failure f = parse_url(text, &url);
  assert_int_equal(f.code, WS_ERR_INVALID);
  if (f.detail.find(why) == std::string::npos) fail_msg("%s: %s", text, f.detail.c_str());
}

void test_url_host_alone_gets_the_defaults(void**) {
  Url url = parsed("redis://example.com");
  assert_string_equal(url.host.c_str(), "example.com");
  assert_string_equal(url.port.c_str(), "6379");
  assert_false(url.tls);
  assert_true(url.password.empty() && url.user.empty() && url.database.empty() && url.path.empty());
  assert_true(parsed("redis://example.com/").database.empty());
}

void test_url_all_its_parts(void**) {
  Url url = parsed("rediss://us%2fer:p%40s:%25@[::1]:6380/15");
  assert_true(url.tls);
  assert_string_equal(url.host.c_str(), "::1");
  assert_string_equal(url.port.c_str(), "6380");
  assert_string_equal(url.user.c_str(), "us/er");
  assert_string_equal(url.password.c_str(), "p@s:%");
  assert_string_equal(url.database.c_str(), "15");
}

void test_url_of_a_unix_socket(void**) {
  Url url = parsed("unix://:secret@/run/redis/r@dis.sock");
  assert_string_equal(url.path.c_str(), "/run/redis/r@dis.sock");
  assert_string_equal(url.password.c_str(), "secret");
  std::string longest = "unix:///" + std::string(106, 'a');
  assert_int_equal(parsed(longest.c_str()).path.size(), 107);
  refused((longest + "a").c_str(), "107");
  refused("unix://relative", "path");
}

void test_url_ports_at_their_bounds(void**) {
  assert_string_equal(parsed("redis://h:1").port.c_str(), "1");
  assert_string_equal(parsed("redis://h:65535").port.c_str(), "65535");
  for (const char* url : {"redis://h:0", "redis://h:65536", "redis://h:", "redis://h:-1",
                          "redis://h:1x", "redis://h:123456", "redis://[::1]:"}) {
    refused(url, "port");
  }
}

void test_url_malformed_is_refused(void**) {
  refused("", "redis://");
  refused("http://h", "redis://");
  refused("redis:/h", "redis://");
  refused("redis://", "host");
  refused("redis://:1", "host");
  refused("redis://[::1", "]");
  refused("redis://[::1]x", "]");
  refused("redis://h/db", "database");
  refused("redis://h/123456", "database");
  refused("redis://user@h", "password");
  refused("redis://user:@h", "password");
  for (const char* url : {"redis://:a%@h", "redis://:a%4@h", "redis://:a%4g@h"})
    refused(url, "hex");
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_url_host_alone_gets_the_defaults),
      cmocka_unit_test(test_url_all_its_parts),
      cmocka_unit_test(test_url_of_a_unix_socket),
      cmocka_unit_test(test_url_ports_at_their_bounds),
      cmocka_unit_test(test_url_malformed_is_refused),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
