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
  assert_int_equal(l.deflate, WS_DEFLATE_SHARED);
  assert_int_equal(l.deflate_recv, WS_DEFLATE_SHARED);
  assert_int_equal(l.deflate_level, 1);
  assert_int_equal(l.deflate_window_bits, 12);
  assert_int_equal(l.deflate_mem_level, 5);
  assert_int_equal(l.deflate_idle_us, 30'000'000);
  assert_int_equal(l.deflate_min, 0);  // by mode: test_engine_deflate.cpp
  assert_int_equal(l.read_ahead, 64 * 1024);
  assert_int_equal(l.max_control_rate, 100);
  assert_true(l.max_message_rate == WS_NEVER);
  assert_true(l.max_byte_rate == WS_UNLIMITED);
  assert_false(l.has_rates());
  assert_int_equal(l.over_rate, WS_RATE_DELAY);
  assert_true(l.lifetime_us == kNeverUs);
}

void test_limits_rates_are_bounded(void**) {
  ws_conn_config c = zeroed();
  Limits l;
  c.max_control_rate = 65535;
  assert_false(Limits::from(c, &l).failed());
  assert_int_equal(l.max_control_rate, 65535);
  c.max_control_rate = 65536;
  expect_invalid(c);
  c.max_control_rate = WS_NEVER - 1;
  expect_invalid(c);
  c.max_control_rate = WS_NEVER;
  assert_false(Limits::from(c, &l).failed());
  assert_false(l.has_rates());
  c.max_byte_rate = (uint64_t{1} << 40) - 1;
  assert_false(Limits::from(c, &l).failed());
  c.max_byte_rate = uint64_t{1} << 40;
  assert_false(Limits::from(c, &l).failed());
  assert_true(l.has_rates());
  c.max_byte_rate = (uint64_t{1} << 40) + 1;
  expect_invalid(c);
  c.max_byte_rate = WS_UNLIMITED - 1;
  expect_invalid(c);
  c.max_byte_rate = WS_UNLIMITED;
  c.max_message_rate = WS_NEVER - 1;
  assert_false(Limits::from(c, &l).failed());
  assert_true(l.has_rates());
  c.read_ahead_bytes = 1;
  assert_false(Limits::from(c, &l).failed());
  assert_int_equal(l.read_ahead, 1);
  for (int over : {-1, 0, 1, 2, 3}) {
    std::memcpy(&c.over_rate, &over, sizeof over);
    if (over < 0 || over > 2) {
      expect_invalid(c);
      continue;
    }
    assert_false(Limits::from(c, &l).failed());
    assert_int_equal(l.over_rate, over == 2 ? WS_RATE_CLOSE : WS_RATE_DELAY);
  }
}

void test_limits_times_are_bounded(void**) {
  uint32_t ws_conn_config::*members[] = {
      &ws_conn_config::handshake_timeout_ms, &ws_conn_config::send_timeout_ms,
      &ws_conn_config::idle_timeout_ms,      &ws_conn_config::close_timeout_ms,
      &ws_conn_config::deflate_idle_ms,      &ws_conn_config::lifetime_ms};
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

void test_limits_deflate_numbers_at_their_bounds(void**) {
  const struct {
    uint32_t ws_conn_config::*in;
    uint8_t Limits::*out;
    uint32_t least, most;
    const char* name;
  } members[] = {
      {&ws_conn_config::deflate_level, &Limits::deflate_level, 1, 9, "deflate_level"},
      {&ws_conn_config::deflate_window_bits, &Limits::deflate_window_bits, 9, 15,
       "deflate_window_bits"},
      {&ws_conn_config::deflate_mem_level, &Limits::deflate_mem_level, 1, 9, "deflate_mem_level"},
  };
  for (const auto& m : members) {
    ws_conn_config c = zeroed();
    for (uint32_t value = m.least; value <= m.most; ++value) {
      c.*m.in = value;
      Limits l;
      assert_false(Limits::from(c, &l).failed());
      assert_int_equal(l.*m.out, value);
    }
    for (uint32_t bad : {m.least - 1, m.most + 1, uint32_t{256} + m.least, UINT32_MAX}) {
      if (bad == 0) continue;  // the default
      c.*m.in = bad;
      expect_invalid(c);
      assert_non_null(std::strstr(last_detail(), m.name));
    }
  }
}

void test_limits_deflate_bytes_and_idle_take_any(void**) {
  ws_conn_config c = zeroed();
  for (uint64_t value :
       {uint64_t{1}, uint64_t{256}, uint64_t{WS_UNLIMITED} - 1, uint64_t{WS_UNLIMITED}}) {
    c.deflate_min_bytes = value;
    Limits l;
    assert_false(Limits::from(c, &l).failed());
    assert_true(l.deflate_min == value);
  }
  Limits l;
  c.deflate_idle_ms = 1;
  assert_false(Limits::from(c, &l).failed());
  assert_int_equal(l.deflate_idle_us, 1000);
  c.deflate_idle_ms = WS_NEVER;
  assert_false(Limits::from(c, &l).failed());
  assert_true(l.deflate_idle_us == kNeverUs);
}

// What we receive with follows what we send with, unless it is given.
void test_limits_deflate_modes_of_the_two_directions(void**) {
  for (int send = WS_DEFLATE_DEFAULT; send <= WS_DEFLATE_DEDICATED; ++send) {
    for (int recv = WS_DEFLATE_DEFAULT; recv <= WS_DEFLATE_DEDICATED; ++recv) {
      ws_conn_config c = zeroed();
      c.deflate = static_cast<ws_deflate>(send);
      c.deflate_recv = static_cast<ws_deflate>(recv);
      const int sends = send != WS_DEFLATE_DEFAULT ? send : WS_DEFLATE_SHARED;
      const int receives = recv != WS_DEFLATE_DEFAULT ? recv : sends;
      if (receives == WS_DEFLATE_OFF && sends != WS_DEFLATE_OFF) {
        expect_invalid(c);  // RFC 7692 6: who agrees takes what comes
        continue;
      }
      Limits l;
      assert_false(Limits::from(c, &l).failed());
      assert_int_equal(l.deflate, sends);
      assert_int_equal(l.deflate_recv, receives);
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_limits_zero_means_the_documented_default),
      cmocka_unit_test(test_limits_times_are_bounded),
      cmocka_unit_test(test_limits_rates_are_bounded),
      cmocka_unit_test(test_limits_ping_stays_below_idle),
      cmocka_unit_test(test_limits_marks_are_in_order),
      cmocka_unit_test(test_limits_fragments_follow_the_message),
      cmocka_unit_test(test_limits_unknown_flags_are_refused),
      cmocka_unit_test(test_limits_deflate_numbers_at_their_bounds),
      cmocka_unit_test(test_limits_deflate_bytes_and_idle_take_any),
      cmocka_unit_test(test_limits_deflate_modes_of_the_two_directions),
  };
  return cmocka_run_group_tests_name("limits", tests, nullptr, nullptr);
}
