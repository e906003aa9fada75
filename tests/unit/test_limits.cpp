// Reading ws_conn_config: every default, every bound at -1, 0 and +1.
#include "engine_support.hpp"

using namespace libws;
using namespace libws::test;

namespace {

ws_conn_config zeroed() {
  ws_conn_config c;
  WS_INIT(&c);
  return c;
}

void expect_invalid(const ws_conn_config& c, int code = WS_ERR_INVALID) {
  Limits l;
  l.max_message = 77;
  assert_int_equal(Limits::from(c, &l).code(), code);
  assert_int_equal(l.max_message, 77);  // a failed call changes nothing
}

// req: 104
void test_limits_zero_means_the_documented_default(void**) {
  Limits l;
  assert_false(Limits::from(zeroed(), &l).failed());
  assert_int_equal(l.handshake_us, 10'000'000);
  assert_int_equal(l.idle_us, 40'000'000);
  assert_int_equal(l.ping_us, 20'000'000);
  assert_int_equal(l.close_us, 5'000'000);
  assert_int_equal(l.send_us, 30'000'000);
  assert_int_equal(l.max_message, 1 << 20);
  assert_int_equal(l.max_header_bytes, 16384);
  assert_int_equal(l.max_header_count, 100);
  assert_int_equal(l.max_fragments, 1024 + 4096);
  assert_int_equal(l.send_high, 256 * 1024);
  assert_int_equal(l.send_low, 64 * 1024);
  assert_int_equal(l.send_limit, 16 << 20);
}

void test_limits_times_are_bounded(void**) {
  uint32_t ws_conn_config::*members[] = {
      &ws_conn_config::handshake_timeout_ms, &ws_conn_config::send_timeout_ms,
      &ws_conn_config::idle_timeout_ms, &ws_conn_config::close_timeout_ms};
  for (auto member : members) {
    ws_conn_config c = zeroed();
    Limits l;
    c.*member = INT32_MAX;
    assert_false(Limits::from(c, &l).failed());
    c.*member = uint32_t{INT32_MAX} + 1;
    expect_invalid(c);
    c.*member = WS_NEVER - 1;
    expect_invalid(c);
    c.*member = WS_NEVER;
    assert_false(Limits::from(c, &l).failed());
  }
  ws_conn_config c = zeroed();
  c.ping_interval_ms = WS_NEVER;
  Limits l;
  assert_false(Limits::from(c, &l).failed());
  assert_true(l.ping_us == kNeverUs);
}

void test_limits_ping_stays_below_idle(void**) {
  ws_conn_config c = zeroed();
  Limits l;
  c.idle_timeout_ms = 1000;
  c.ping_interval_ms = 999;
  assert_false(Limits::from(c, &l).failed());
  c.ping_interval_ms = 1000;
  expect_invalid(c);
  c.ping_interval_ms = 0;  // the default of 20 s would never fire
  assert_false(Limits::from(c, &l).failed());
  assert_int_equal(l.ping_us, 500'000);
  c.idle_timeout_ms = WS_NEVER;
  assert_false(Limits::from(c, &l).failed());
  assert_int_equal(l.ping_us, 20'000'000);
}

void test_limits_marks_are_in_order(void**) {
  ws_conn_config c = zeroed();
  Limits l;
  c.send_low_bytes = 100;
  c.send_high_bytes = 100;
  c.send_limit_bytes = 100;
  assert_false(Limits::from(c, &l).failed());
  c.send_low_bytes = 101;
  expect_invalid(c);
  c.send_low_bytes = 0;
  assert_false(Limits::from(c, &l).failed());
  assert_int_equal(l.send_low, 25);
  c.send_high_bytes = 101;
  expect_invalid(c);
  c = zeroed();
  c.send_limit_bytes = 1000;  // alone: the default marks come down with it
  assert_false(Limits::from(c, &l).failed());
  assert_int_equal(l.send_high, 1000);
  assert_int_equal(l.send_low, 250);
}

void test_limits_fragments_follow_the_message(void**) {
  ws_conn_config c = zeroed();
  Limits l;
  c.max_message_bytes = 16 << 20;
  assert_false(Limits::from(c, &l).failed());
  assert_int_equal(l.max_fragments, 66560);
  c.max_message_bytes = WS_UNLIMITED;
  assert_false(Limits::from(c, &l).failed());
  assert_true(l.max_fragments == WS_NEVER);
  c.max_fragments = 7;
  assert_false(Limits::from(c, &l).failed());
  assert_int_equal(l.max_fragments, 7);
}

void test_limits_unknown_flags_are_refused(void**) {
  ws_conn_config c = zeroed();
  Limits l;
  c.flags = WS_CONN_NO_AUTO_PONG | WS_CONN_NO_UTF8_CHECK | WS_CONN_NAGLE;
  assert_false(Limits::from(c, &l).failed());
  c.flags = 1u << 3;
  expect_invalid(c, WS_ERR_UNSUPPORTED);
  c.flags = 1u << 31;
  expect_invalid(c, WS_ERR_UNSUPPORTED);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_limits_zero_means_the_documented_default),
      cmocka_unit_test(test_limits_times_are_bounded),
      cmocka_unit_test(test_limits_ping_stays_below_idle),
      cmocka_unit_test(test_limits_marks_are_in_order),
      cmocka_unit_test(test_limits_fragments_follow_the_message),
      cmocka_unit_test(test_limits_unknown_flags_are_refused),
  };
  return cmocka_run_group_tests_name("limits", tests, nullptr, nullptr);
}
