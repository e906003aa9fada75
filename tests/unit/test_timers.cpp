// The timer wheel against a clock that the tests turn.
#include "libws/net/timers.hpp"

#include <functional>
#include <map>
#include <memory>
#include <random>
#include <vector>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}

using libws::TimerNode;
using libws::TimerWheel;

namespace {

struct Timer : TimerNode {
  int fired = 0;
  std::vector<Timer*>* log = nullptr;
  std::function<void()> then;
  void on_timeout() override {
    ++fired;
    if (log != nullptr) log->push_back(this);
    if (then) then();
  }
};

const uint64_t kStarts[] = {
    0, 1, 63, 64, 4095, 262143, 1000, 123456789, (1ull << 36) - 1, (1ull << 48) + 12345};

void test_timer_fires_at_its_deadline_at_every_level_bound(void**) {
  for (uint64_t start : kStarts) {
    for (int bits = 0; bits < 60; bits += 6) {
      for (int off = -1; off <= 1; ++off) {
        uint64_t delay = (1ull << bits) + static_cast<uint64_t>(static_cast<int64_t>(off));
        if (delay == 0) continue;
        TimerWheel wheel(start);
        Timer t;
        wheel.arm(&t, start + delay);
        assert_true(wheel.next_deadline() <= start + delay);
        wheel.advance(start + delay - 1);
        assert_int_equal(t.fired, 0);
        assert_true(t.armed());
        assert_int_equal(wheel.advance(start + delay), 1);
        assert_int_equal(t.fired, 1);
        assert_false(t.armed());
      }
    }
  }
}

void test_timer_deadline_on_an_aligned_bound_fires_there(void**) {
  for (int bits = 6; bits < 64; bits += 6) {
    for (int off = -1; off <= 1; ++off) {
      uint64_t deadline = (1ull << bits) + static_cast<uint64_t>(static_cast<int64_t>(off));
      TimerWheel wheel(deadline - 3);
      Timer t;
      wheel.arm(&t, deadline);
      wheel.advance(deadline - 1);
      assert_int_equal(t.fired, 0);
      wheel.advance(deadline);
      assert_int_equal(t.fired, 1);
    }
  }
}

void test_timer_following_next_deadline_arrives_in_few_steps(void**) {
  for (uint64_t start : kStarts) {
    for (uint64_t delay : {1ull, 64ull, 30000ull, 1ull << 31, 1ull << 36, 1ull << 50}) {
      TimerWheel wheel(start);
      Timer t;
      wheel.arm(&t, start + delay);
      int steps = 0;
      uint64_t at = 0;
      while (t.fired == 0) {
        at = wheel.next_deadline();
        assert_true(at <= start + delay);
        wheel.advance(at);
        assert_true(++steps <= 11);
      }
      assert_true(at == start + delay);
      assert_true(wheel.next_deadline() == UINT64_MAX);
    }
  }
}

void test_timer_of_the_last_representable_time_fires(void**) {
  TimerWheel wheel(5);
  Timer t;
  wheel.arm(&t, UINT64_MAX);
  wheel.advance(UINT64_MAX - 1);
  assert_int_equal(t.fired, 0);
  assert_int_equal(wheel.advance(UINT64_MAX), 1);
  assert_int_equal(wheel.advance(UINT64_MAX), 0);
}

void test_timer_huge_jump_fires_each_once_in_order(void**) {
  TimerWheel wheel(1000);
  std::vector<Timer*> log;
  std::vector<std::unique_ptr<Timer>> timers;
  std::mt19937_64 random(1);
  for (int i = 0; i < 500; ++i) {
    timers.push_back(std::make_unique<Timer>());
    timers.back()->log = &log;
    wheel.arm(timers.back().get(), 1001 + (random() >> (random() % 64)) / 2);
  }
  assert_int_equal(wheel.advance(UINT64_MAX - 1), 500);
  assert_int_equal(log.size(), 500);
  for (size_t i = 1; i < log.size(); ++i) {
    assert_true(log[i - 1]->deadline_ms() <= log[i]->deadline_ms());
  }
  assert_int_equal(wheel.count(), 0);
}

void test_timer_passed_deadline_fires_on_the_next_advance(void**) {
  for (uint64_t deadline : {0ull, 99ull, 100ull}) {
    TimerWheel wheel(100);
    Timer t;
    wheel.arm(&t, deadline);
    assert_int_equal(wheel.next_deadline(), 100);
    assert_int_equal(wheel.advance(100), 1);  // the clock need not move
    assert_int_equal(t.fired, 1);
  }
}

void test_timer_clock_standing_still_or_stepping_back_fires_nothing(void**) {
  TimerWheel wheel(100);
  Timer t;
  wheel.arm(&t, 101);
  assert_int_equal(wheel.advance(100), 0);
  assert_int_equal(wheel.advance(0), 0);
  assert_int_equal(wheel.advance(50), 0);
  assert_int_equal(t.fired, 0);
  assert_int_equal(wheel.next_deadline(), 101);
  assert_int_equal(wheel.advance(101), 1);
}

void test_timer_rearmed_in_its_callback_waits_for_the_next_advance(void**) {
  TimerWheel wheel(0);
  Timer t;
  for (uint64_t deadline : {0ull, 50ull, 100ull}) {
    t.fired = 0;
    t.then = [&] { wheel.arm(&t, deadline); };
    wheel.arm(&t, 10);
    assert_int_equal(wheel.advance(100), 1);
    assert_int_equal(t.fired, 1);
    assert_int_equal(wheel.next_deadline(), 100);
    assert_int_equal(wheel.advance(100), 1);
    assert_int_equal(t.fired, 2);
    wheel.stop(&t);
  }
}

void test_timer_stopped_in_the_callback_of_the_same_tick_does_not_fire(void**) {
  TimerWheel wheel(0);
  Timer a, b, c;
  wheel.arm(&a, 5);
  wheel.arm(&b, 5);
  wheel.arm(&c, 7);
  a.then = [&] {
    wheel.stop(&b);
    wheel.stop(&c);
  };
  assert_int_equal(wheel.advance(10), 1);
  assert_int_equal(b.fired + c.fired, 0);
  assert_int_equal(wheel.count(), 0);
  assert_true(wheel.next_deadline() == UINT64_MAX);
}

void test_timer_moved_in_the_callback_of_the_same_tick_fires_later(void**) {
  TimerWheel wheel(0);
  Timer a, b;
  wheel.arm(&a, 5);
  wheel.arm(&b, 5);
  a.then = [&] { wheel.arm(&b, 69); };  // into the slot index it was taken from, one lap on
  assert_int_equal(wheel.advance(5), 1);
  assert_int_equal(b.fired, 0);
  wheel.advance(68);
  assert_int_equal(b.fired, 0);
  wheel.advance(69);
  assert_int_equal(b.fired, 1);
}

void test_timer_deleting_itself_and_another_in_a_callback_is_safe(void**) {
  TimerWheel wheel(0);
  auto* a = new Timer;
  auto* b = new Timer;
  wheel.arm(a, 5);
  wheel.arm(b, 5);
  a->then = [&] {
    delete b;
    auto* self = a;
    a = nullptr;
    delete self;  // the closure dies with it: nothing may follow
  };
  assert_int_equal(wheel.advance(5), 1);
  assert_null(a);
  assert_int_equal(wheel.count(), 0);
}

void test_timer_moving_leaves_no_early_deadline_behind(void**) {
  TimerWheel wheel(0);
  Timer t;
  wheel.arm(&t, 10);
  wheel.arm(&t, 40);
  assert_int_equal(wheel.count(), 1);
  assert_int_equal(wheel.next_deadline(), 40);
  wheel.stop(&t);
  wheel.stop(&t);
  assert_int_equal(wheel.count(), 0);
  assert_true(wheel.next_deadline() == UINT64_MAX);
}

void test_timer_and_wheel_may_die_in_either_order(void**) {
  Timer outlives;
  {
    TimerWheel wheel(0);
    wheel.arm(&outlives, 10);
    Timer first, due;
    wheel.arm(&first, 10);
    wheel.arm(&due, 0);
  }
  assert_false(outlives.armed());
}

void test_timer_hundred_thousand_in_one_tick_fire_in_one_advance(void**) {
  constexpr int kMany = 100000;
  TimerWheel wheel(0);
  std::vector<Timer> timers(kMany);
  for (Timer& t : timers) wheel.arm(&t, 20000);
  assert_int_equal(wheel.advance(19999), 0);
  assert_int_equal(wheel.advance(20000), kMany);
  for (Timer& t : timers) assert_int_equal(t.fired, 1);
}

// The model: deadlines in a sorted map.  What is due, and nothing else, fires; in order.
void test_timer_random_operations_agree_with_a_sorted_map(void**) {
  for (uint64_t seed = 0; seed < 40; ++seed) {
    std::mt19937_64 random(seed);
    uint64_t now = random() >> (seed % 50);
    TimerWheel wheel(now);
    std::vector<Timer> timers(60);
    std::vector<Timer*> log;
    std::map<Timer*, uint64_t> model;
    for (Timer& t : timers) t.log = &log;
    for (int step = 0; step < 2000; ++step) {
      Timer& t = timers[random() % timers.size()];
      uint64_t reach = random() >> (20 + random() % 44);  // from 44 bits down to none
      switch (random() % 4) {
        case 0:
        case 1: {
          uint64_t deadline = random() % 8 == 0 && reach < now ? now - reach : now + reach;
          wheel.arm(&t, deadline);
          model[&t] = deadline;
          break;
        }
        case 2:
          wheel.stop(&t);
          model.erase(&t);
          break;
        default: {
          uint64_t before = now;
          now += random() % 2 == 0 ? reach : random() % 130;
          log.clear();
          size_t fired = wheel.advance(now);
          assert_int_equal(fired, log.size());
          uint64_t last = 0;
          for (Timer* f : log) {
            assert_true(model.count(f) == 1 && model[f] <= now);
            // Those that had passed when armed count as due at the old time.
            uint64_t when = model[f] > before ? model[f] : before;
            assert_true(when >= last);
            last = when;
            model.erase(f);
          }
          for (auto& [timer, deadline] : model) assert_true(deadline > now);
        }
      }
      assert_int_equal(wheel.count(), model.size());
      uint64_t first = UINT64_MAX;
      for (auto& [timer, deadline] : model) first = deadline < first ? deadline : first;
      uint64_t next = wheel.next_deadline();
      assert_true(model.empty() ? next == UINT64_MAX : next <= (first > now ? first : now));
      assert_true(next >= now);
    }
  }
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_timer_fires_at_its_deadline_at_every_level_bound),
      cmocka_unit_test(test_timer_deadline_on_an_aligned_bound_fires_there),
      cmocka_unit_test(test_timer_following_next_deadline_arrives_in_few_steps),
      cmocka_unit_test(test_timer_of_the_last_representable_time_fires),
      cmocka_unit_test(test_timer_huge_jump_fires_each_once_in_order),
      cmocka_unit_test(test_timer_passed_deadline_fires_on_the_next_advance),
      cmocka_unit_test(test_timer_clock_standing_still_or_stepping_back_fires_nothing),
      cmocka_unit_test(test_timer_rearmed_in_its_callback_waits_for_the_next_advance),
      cmocka_unit_test(test_timer_stopped_in_the_callback_of_the_same_tick_does_not_fire),
      cmocka_unit_test(test_timer_moved_in_the_callback_of_the_same_tick_fires_later),
      cmocka_unit_test(test_timer_deleting_itself_and_another_in_a_callback_is_safe),
      cmocka_unit_test(test_timer_moving_leaves_no_early_deadline_behind),
      cmocka_unit_test(test_timer_and_wheel_may_die_in_either_order),
      cmocka_unit_test(test_timer_hundred_thousand_in_one_tick_fire_in_one_advance),
      cmocka_unit_test(test_timer_random_operations_agree_with_a_sorted_map),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
