// Rates and the lifetime inside the engine: the token bucket, and pings and pongs in six bytes.
// What an application sees of them is in tests/api/test_rates.c.
#include "engine_support.hpp"

#include "libws/protocol/token_bucket.hpp"

using namespace libws;
using namespace libws::test;

namespace {

void test_bucket_begins_full_and_may_be_overdrawn(void**) {
  TokenBucket b;
  b.start(100, 5'000'000);
  assert_int_equal(b.room(), 100);
  assert_int_equal(b.ready_us(100), 5'000'000);
  b.take(99);
  assert_int_equal(b.room(), 1);
  b.take(1);
  assert_int_equal(b.room(), 0);
  assert_int_equal(b.ready_us(1), 5'010'000);
  b.take(100);
  assert_int_equal(b.room(), 0);
  assert_int_equal(b.ready_us(1), 6'010'000);
}

void test_bucket_refills_to_the_microsecond_and_not_beyond_full(void**) {
  TokenBucket b;
  b.start(3, 0);
  b.take(3);
  assert_int_equal(b.ready_us(1), 333'334);
  b.refill(333'333);
  assert_int_equal(b.room(), 0);
  b.refill(333'334);
  assert_int_equal(b.room(), 1);
  b.refill(1'000'000);
  assert_int_equal(b.room(), 3);
  b.refill(UINT64_MAX / 2);
  assert_int_equal(b.room(), 3);
}

void test_bucket_of_the_largest_rate_and_debt_does_not_overflow(void**) {
  TokenBucket b;
  b.start(TokenBucket::kMostRate, 7);
  assert_true(b.room() == TokenBucket::kMostRate);
  for (int i = 0; i < 5; ++i) b.take(UINT64_MAX);
  assert_int_equal(b.room(), 0);
  assert_true(b.ready_us(TokenBucket::kMostRate) > 7);
  b.refill(UINT64_MAX);
  assert_true(b.room() == TokenBucket::kMostRate);
}

std::unique_ptr<Peer> limited(Role role, uint32_t rate) {
  return Peer::opened({role, false, [rate](Limits& l) { l.max_control_rate = rate; }});
}

const char* const kTooMany = "CLOSED:error=-8,code=1006,sent=1008,flags=0,http=0,reason= ";

// Both roles; a rate's worth passes, one more does not.
void test_control_frames_of_one_burst_are_bounded_exactly(void**) {
  for (Role r : kBothRoles) {
    for (uint32_t rate : {1u, 2u, 7u, 100u, 999u, 4096u, 65535u}) {
      auto p = limited(r, rate);
      for (uint32_t i = 0; i < rate; ++i) {
        p->events.clear();
        p->feed(frame(r, i % 2 == 0 ? kPing : kPong, ""));
        assert_true(p->engine->is_open());
      }
      p->events.clear();
      p->feed(frame(r, kPong, ""));
      assert_string_equal(p->events.c_str(), kTooMany);
    }
  }
}

void test_control_frames_at_the_rate_pass_for_ever_and_above_it_do_not(void**) {
  for (Role r : kBothRoles) {
    for (uint32_t rate : {1u, 3u, 100u, 1000u}) {
      // 1 ms longer than its share for each passes, 1 % less does not.
      auto p = limited(r, rate);
      for (uint32_t i = 0; i < 5 * rate; ++i) {
        p->feed(frame(r, kPing, ""));
        p->resources().now_us += (1'000'000 + rate - 1) / rate;
        assert_true(p->engine->is_open());
      }
      p = limited(r, rate);
      uint32_t passed = 0;
      while (p->engine->is_open() && passed < 300 * rate) {
        p->feed(frame(r, kPing, ""));
        p->resources().now_us += 990'000 / rate;
        ++passed;
      }
      assert_false(p->engine->is_open());
    }
  }
}

// The state counts 2^32 ms, at whose end a burst may begin.
void test_control_frames_are_counted_across_the_wrap_of_their_clock(void**) {
  for (uint64_t start_ms : {(uint64_t{1} << 31) - 1, uint64_t{1} << 31, (uint64_t{1} << 32) - 50,
                            (uint64_t{1} << 32) + 5000, (uint64_t{1} << 40) + 5000}) {
    auto p = limited(Role::kServer, 10);
    p->resources().now_us = start_ms * 1000 + 999;
    for (int i = 0; i < 10; ++i) p->feed(frame(Role::kServer, kPing, ""));
    p->resources().now_us += 100'001;
    p->feed(frame(Role::kServer, kPing, ""));
    assert_true(p->engine->is_open());
    p->feed(frame(Role::kServer, kPing, ""));
    assert_false(p->engine->is_open());
  }
}

void test_control_frames_that_answer_ours_and_closes_do_not_count(void**) {
  for (Role r : kBothRoles) {
    auto p = limited(r, 1);
    for (int i = 0; i < 10; ++i) {
      p->output.clear();
      p->resources().now_us += 20'000'000;
      p->engine->tick();
      p->flush();
      const std::string id = frames_in(p->output).back().payload;
      p->feed(frame(r, kPing, ""));
      p->feed(frame(r, kPong, id));
    }
    assert_true(p->engine->is_open());
    p->events.clear();
    p->feed(frame(r, kClose, close_body(1000)));
    assert_non_null(std::strstr(p->events.c_str(), "CLOSED:error=0,code=1000,sent=1000"));
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_bucket_begins_full_and_may_be_overdrawn),
      cmocka_unit_test(test_bucket_refills_to_the_microsecond_and_not_beyond_full),
      cmocka_unit_test(test_bucket_of_the_largest_rate_and_debt_does_not_overflow),
      cmocka_unit_test(test_control_frames_of_one_burst_are_bounded_exactly),
      cmocka_unit_test(test_control_frames_at_the_rate_pass_for_ever_and_above_it_do_not),
      cmocka_unit_test(test_control_frames_are_counted_across_the_wrap_of_their_clock),
      cmocka_unit_test(test_control_frames_that_answer_ours_and_closes_do_not_count),
  };
  return cmocka_run_group_tests_name("engine_flow", tests, nullptr, nullptr);
}
