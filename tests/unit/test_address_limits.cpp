// How many connections an address may have and make, with a clock that the test turns.
#include "libws/server/address_limits.hpp"

#include "libws/base/fault.hpp"
#include "libws/net/address_block.hpp"

#include <string>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}

using namespace libws;
using Verdict = AddressLimits::Verdict;

namespace {

constexpr uint64_t kStart = 1'000'000'000;
constexpr uint64_t kSecond = 1'000'000;

PackedAddress ip(const std::string& text) {
  PackedAddress a;
  assert_true(parse_ip(text, &a));
  return a;
}

PackedAddress numbered(unsigned n) {
  return ip("10." + std::to_string(n >> 16) + "." + std::to_string(n >> 8 & 255) + "." +
            std::to_string(n & 255));
}

void expect(Verdict got, Verdict want) {
  assert_int_equal(static_cast<int>(got), static_cast<int>(want));
}

void test_address_limits_third_connection_of_two_is_refused_until_one_ends(void**) {
  AddressLimits limits(2, WS_NEVER, 7);
  const PackedAddress a = ip("192.0.2.1"), b = ip("192.0.2.2");
  expect(limits.admit(a, kStart), Verdict::kOk);
  expect(limits.admit(a, kStart), Verdict::kOk);
  expect(limits.admit(a, kStart), Verdict::kTooMany);
  expect(limits.admit(b, kStart), Verdict::kOk);
  limits.release(a, kStart);
  expect(limits.admit(a, kStart), Verdict::kOk);
  expect(limits.admit(a, kStart), Verdict::kTooMany);
  limits.release(a, kStart);
  limits.release(a, kStart);
  limits.release(b, kStart);
  assert_int_equal(limits.entries(), 0);
}

void test_address_limits_count_ipv6_by_64_and_mapped_as_ipv4(void**) {
  AddressLimits limits(1, WS_NEVER, 7);
  expect(limits.admit(ip("2001:db8:0:1::1"), kStart), Verdict::kOk);
  expect(limits.admit(ip("2001:db8:0:1:ffff::9"), kStart), Verdict::kTooMany);
  expect(limits.admit(ip("2001:db8:0:2::1"), kStart), Verdict::kOk);
  expect(limits.admit(ip("192.0.2.1"), kStart), Verdict::kOk);
  expect(limits.admit(ip("::ffff:192.0.2.1"), kStart), Verdict::kTooMany);
  expect(limits.admit(ip("::ffff:0:192.0.2.1"), kStart), Verdict::kOk);
  limits.release(ip("2001:db8:0:1:5::5"), kStart);
  expect(limits.admit(ip("2001:db8:0:1::2"), kStart), Verdict::kOk);
}

void test_address_limits_do_not_count_unix_sockets(void**) {
  AddressLimits limits(1, 1, 7);
  PackedAddress a;
  a.family = PackedAddress::kUnix;
  for (int i = 0; i < 5; ++i) expect(limits.admit(a, kStart), Verdict::kOk);
  for (int i = 0; i < 5; ++i) limits.release(a, kStart);
  assert_int_equal(limits.entries(), 0);
}

void test_address_limits_rate_gives_a_second_s_worth_at_once_then_one_by_one(void**) {
  AddressLimits limits(WS_NEVER, 4, 7);
  const PackedAddress a = ip("192.0.2.1");
  for (int i = 0; i < 4; ++i) expect(limits.admit(a, kStart), Verdict::kOk);
  expect(limits.admit(a, kStart), Verdict::kTooFast);
  expect(limits.admit(a, kStart + kSecond / 4 - 1), Verdict::kTooFast);
  expect(limits.admit(a, kStart + kSecond / 4), Verdict::kOk);  // what was refused cost nothing
  expect(limits.admit(a, kStart + kSecond / 4), Verdict::kTooFast);
  expect(limits.admit(ip("192.0.2.2"), kStart), Verdict::kOk);
  const uint64_t later = kStart + 3600 * kSecond;
  for (int i = 0; i < 4; ++i) expect(limits.admit(a, later), Verdict::kOk);
  expect(limits.admit(a, later), Verdict::kTooFast);
}

void test_address_limits_rate_is_remembered_after_the_connection(void**) {
  AddressLimits limits(WS_NEVER, 2, 7);
  const PackedAddress a = ip("192.0.2.1"), b = ip("192.0.2.2");
  for (int i = 0; i < 2; ++i) {
    expect(limits.admit(a, kStart), Verdict::kOk);
    limits.release(a, kStart);
  }
  expect(limits.admit(a, kStart), Verdict::kTooFast);
  assert_int_equal(limits.entries(), 1);
  expect(limits.admit(b, kStart + kSecond - 1), Verdict::kOk);
  assert_int_equal(limits.entries(), 2);
  limits.release(b, kStart + kSecond);  // a's is full again
  assert_int_equal(limits.entries(), 1);
}

void test_address_limits_remember_16384_addresses_without_connections(void**) {
  AddressLimits limits(WS_NEVER, 1, 7);
  constexpr unsigned kMost = AddressLimits::kMaxIdle;
  for (unsigned i = 0; i < kMost - 1; ++i) {
    expect(limits.admit(numbered(i), kStart), Verdict::kOk);
    limits.release(numbered(i), kStart);
  }
  assert_int_equal(limits.entries(), kMost - 1);
  expect(limits.admit(numbered(0), kStart), Verdict::kTooFast);
  for (unsigned i = kMost - 1; i < kMost + 99; ++i) {
    expect(limits.admit(numbered(i), kStart), Verdict::kOk);
    limits.release(numbered(i), kStart);
    assert_true(limits.entries() <= kMost);
  }
  expect(limits.admit(numbered(kMost + 98), kStart), Verdict::kTooFast);
  expect(limits.admit(numbered(0), kStart), Verdict::kOk);  // forgotten
}

void test_address_limits_keep_every_address_that_is_connected(void**) {
  AddressLimits limits(1, 1000, 7);
  constexpr unsigned kMany = 40000;
  for (unsigned i = 0; i < kMany; ++i) expect(limits.admit(numbered(i), kStart), Verdict::kOk);
  for (unsigned i = 0; i < kMany; ++i) expect(limits.admit(numbered(i), kStart), Verdict::kTooMany);
  assert_int_equal(limits.entries(), kMany);
  for (unsigned i = 0; i < kMany; ++i) limits.release(numbered(i), kStart + 2 * kSecond);
  limits.release((limits.admit(numbered(0), kStart + 9 * kSecond), numbered(0)),
                 kStart + 9 * kSecond);
  assert_true(limits.entries() <= 1);
}

void test_address_limits_out_of_memory_refuse_and_leak_nothing(void**) {
  const int64_t before = live_allocations();
  for (uint64_t n = 1; n < 200; ++n) {
    AddressLimits limits(1, WS_NEVER, 7);
    unsigned in = 0;
    set_faults({.fail_alloc = n});
    for (unsigned i = 0; i < 100; ++i) {
      const Verdict v = limits.admit(numbered(i), kStart);
      in += v == Verdict::kOk;
      if (v != Verdict::kOk) expect(v, Verdict::kNoMemory);
    }
    clear_faults();
    assert_true(in >= 99);
    for (unsigned i = 0; i < 100; ++i) {
      const Verdict v = limits.admit(numbered(i), kStart);
      assert_true(v == Verdict::kTooMany || v == Verdict::kOk);
    }
  }
  assert_int_equal(live_allocations(), before);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_address_limits_third_connection_of_two_is_refused_until_one_ends),
      cmocka_unit_test(test_address_limits_count_ipv6_by_64_and_mapped_as_ipv4),
      cmocka_unit_test(test_address_limits_do_not_count_unix_sockets),
      cmocka_unit_test(test_address_limits_rate_gives_a_second_s_worth_at_once_then_one_by_one),
      cmocka_unit_test(test_address_limits_rate_is_remembered_after_the_connection),
      cmocka_unit_test(test_address_limits_remember_16384_addresses_without_connections),
      cmocka_unit_test(test_address_limits_keep_every_address_that_is_connected),
      cmocka_unit_test(test_address_limits_out_of_memory_refuse_and_leak_nothing),
  };
  return cmocka_run_group_tests_name("address_limits", tests, nullptr, nullptr);
}
