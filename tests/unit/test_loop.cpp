// The loop's turn: what is called, in which order, and what no longer is.  Running, stopping,
// embedding and freeing a loop are in test_loop_run.cpp.
#include "libws/net/loop.hpp"

#include "libws/base/system.hpp"

#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <functional>
#include <string>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}

using namespace libws;

namespace {

struct Pair {
  int ours, theirs;
  Pair() {
    int fds[2];
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) != 0) abort();
    ours = fds[0];
    theirs = fds[1];
  }
  ~Pair() {
    close(ours);
    close(theirs);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  void fill() const { assert_int_equal(write(theirs, "x", 1), 1); }
  void drain() const {
    char c[16];
    assert_true(read(ours, c, sizeof c) > 0);
  }
};

// A watcher that writes down what happens to it, and does what the test says.
struct Probe : Watcher {
  explicit Probe(std::string* to = nullptr, char as = '?') : log(to), letter(as) {}
  std::string* log;
  char letter;
  int ready = 0, timeouts = 0, deferred = 0, flushed = 0, gone = 0;
  std::function<void()> when_ready, when_timeout, when_deferred, when_flushed, when_retired;

  void on_ready(uint32_t) override { note(ready, 'r', when_ready); }
  void on_timeout() override { note(timeouts, 't', when_timeout); }
  void on_deferred() override { note(deferred, 'd', when_deferred); }
  void on_flush() override { note(flushed, 'f', when_flushed); }
  void on_retired() override { note(gone, 'x', when_retired); }

 private:
  void note(int& count, char what, const std::function<void()>& then) {
    ++count;
    if (log != nullptr) *log += std::string{letter, what, ' '};
    if (then) then();
  }
};

uint64_t fake_us = 0;
uint64_t fake_now() { return fake_us; }

void use_fake_clock(uint64_t ms) {
  fake_us = ms * 1000;
  system_table.now_us = fake_now;
}

std::unique_ptr<Loop> make(void** state, uint32_t max_events = 64) {
  LoopConfig config;
  config.poller = static_cast<const char*>(*state);
  config.max_events = max_events;
  config.read_bytes = 4096;
  std::unique_ptr<Loop> loop;
  assert_false(Loop::create(config, &loop).failed());
  assert_string_equal(loop->poller_name(), config.poller);
  return loop;
}

// What poll and epoll_wait were last told to wait, without waiting.
int asked_timeout;
void capture_waits() {
  asked_timeout = -2;
  system_table.epoll_wait = [](int fd, epoll_event* out, int max, int timeout_ms) {
    asked_timeout = timeout_ms;
    return real::epoll_wait(fd, out, max, 0);
  };
  system_table.poll = [](pollfd* fds, nfds_t count, int timeout_ms) {
    asked_timeout = timeout_ms;
    return real::poll(fds, count, 0);
  };
}

int reset(void**) {
  system_table = kRealSystem;
  return 0;
}

// ---- making one ----

int live_blocks, allocations_left, descriptors;

void* counting(void* ptr, size_t bytes) {
  if (bytes != 0 && allocations_left-- <= 0) return nullptr;
  if (ptr == nullptr && bytes != 0) ++live_blocks;
  if (ptr != nullptr && bytes == 0) --live_blocks;
  return real::resize(ptr, bytes);
}

void count_resources() {
  live_blocks = descriptors = 0;
  allocations_left = 1000000;
  system_table.resize = counting;
  system_table.close = [](int fd) {
    --descriptors;
    return real::close(fd);
  };
  system_table.eventfd = [] {
    ++descriptors;
    return real::eventfd();
  };
  system_table.epoll_create = [] {
    ++descriptors;
    return real::epoll_create();
  };
}

Error try_create(void** state) {
  LoopConfig config;
  config.poller = static_cast<const char*>(*state);
  std::unique_ptr<Loop> loop;
  Error e = Loop::create(config, &loop);
  assert_true(e.failed() == (loop == nullptr));
  return e;
}

void test_loop_create_with_each_allocation_failing_leaks_nothing(void** state) {
  count_resources();
  int failing = 0;
  for (;; ++failing) {
    assert_true(failing < 50);
    allocations_left = failing;
    Error e = try_create(state);
    assert_int_equal(live_blocks, 0);
    assert_int_equal(descriptors, 0);
    if (!e) break;
    assert_int_equal(e.code(), WS_ERR_NOMEM);
  }
  assert_true(failing >= 4);
}

void test_loop_create_with_each_system_call_failing_leaks_nothing(void** state) {
  bool epoll = strcmp(static_cast<const char*>(*state), "epoll") == 0;
  for (int which = 0; which < 3; ++which) {
    reset(nullptr);
    count_resources();
    auto no_descriptor = [] {
      errno = EMFILE;
      return -1;
    };
    if (which == 0) system_table.eventfd = no_descriptor;
    if (which == 1) system_table.epoll_create = no_descriptor;
    if (which == 2) {
      system_table.epoll_ctl = [](int, int, int, epoll_event*) {
        errno = ENOSPC;
        return -1;
      };
    }
    assert_int_equal(try_create(state).code(), which == 0 || epoll ? WS_ERR_IO : WS_OK);
    assert_int_equal(live_blocks, 0);
    assert_int_equal(descriptors, 0);
  }
}

void test_loop_unknown_poller_is_unsupported(void**) {
  char name[] = "select";
  void* state = name;
  assert_int_equal(try_create(&state).code(), WS_ERR_UNSUPPORTED);
}

// ---- a turn ----

void test_turn_runs_its_phases_in_order(void** state) {
  auto loop = make(state);
  use_fake_clock(1000);
  loop->dispatch(0);
  std::string log;
  Pair pair;
  Probe a(&log, 'a');
  static std::string* tasks;
  tasks = &log;
  assert_false(loop->watch(&a, pair.ours, kReadable).failed());
  loop->arm(&a, 1000);
  assert_false(
      loop->post([](ws_loop*, void*, int c) { *tasks += c ? "P " : "p "; }, nullptr).failed());
  pair.fill();
  a.when_ready = [&] {
    loop->flush_later(&a);
    loop->flush_later(&a);
    loop->defer(&a);
    loop->defer(&a);
    loop->unwatch(&a);
  };
  a.when_flushed = [&] { loop->retire(&a); };
  assert_int_equal(loop->dispatch(0), 3);  // descriptor, timer, task
  assert_string_equal(log.c_str(), "ar at p ad af ax ");
  assert_int_equal(loop->dispatch(0), 0);
  assert_string_equal(log.c_str(), "ar at p ad af ax ");
}

void test_batch_event_of_an_unwatched_or_retired_watcher_is_dropped(void** state) {
  for (bool retire : {false, true}) {
    auto loop = make(state);
    Pair p1, p2;
    Probe a, b;
    assert_false(loop->watch(&a, p1.ours, kReadable).failed());
    assert_false(loop->watch(&b, p2.ours, kReadable).failed());
    auto drop = [&](Probe& other) {
      return [&, retire] { retire ? loop->retire(&other) : loop->unwatch(&other); };
    };
    a.when_ready = drop(b);
    b.when_ready = drop(a);
    p1.fill();
    p2.fill();
    loop->dispatch(0);
    assert_int_equal(a.ready + b.ready, 1);
    assert_int_equal(a.gone + b.gone, retire ? 1 : 0);
    loop->unwatch(&a);
    loop->unwatch(&b);
  }
}

void test_batch_event_of_an_old_descriptor_does_not_reach_the_new_one(void** state) {
  auto loop = make(state);
  Pair p1, p2, quiet1, quiet2;
  Probe a, b;
  assert_false(loop->watch(&a, p1.ours, kReadable).failed());
  assert_false(loop->watch(&b, p2.ours, kReadable).failed());
  auto move = [&](Probe& other, const Pair& to) {
    return [&] {
      loop->unwatch(&other);
      assert_false(loop->watch(&other, to.ours, kReadable).failed());
    };
  };
  a.when_ready = move(b, quiet1);
  b.when_ready = move(a, quiet2);
  p1.fill();
  p2.fill();
  assert_int_equal(loop->dispatch(0), 1);
  assert_int_equal(a.ready + b.ready, 1);
  a.when_ready = b.when_ready = nullptr;
  quiet1.fill();
  quiet2.fill();
  loop->dispatch(0);  // the moved one hears of its new descriptor
  assert_int_equal(a.ready + b.ready, 3);
  loop->unwatch(&a);
  loop->unwatch(&b);
}

void test_batch_smaller_than_what_is_ready_serves_all_in_turns(void** state) {
  auto loop = make(state, 2);
  Pair pairs[7];
  Probe probes[7];
  for (int i = 0; i < 7; ++i) {
    assert_false(loop->watch(&probes[i], pairs[i].ours, kReadable).failed());
    probes[i].when_ready = [&pairs, i] { pairs[i].drain(); };
    pairs[i].fill();
  }
  int turns = 0, handled = 0;
  while (handled < 7) {
    int n = loop->dispatch(0);
    assert_true(n <= 2);
    handled += n;
    assert_true(++turns <= 8);
  }
  for (Probe& p : probes) {
    assert_int_equal(p.ready, 1);
    loop->unwatch(&p);
  }
}

void test_interest_zero_hears_nothing_and_comes_back(void** state) {
  auto loop = make(state);
  Pair p;
  Probe a;
  assert_false(loop->watch(&a, p.ours, 0).failed());
  p.fill();
  assert_int_equal(loop->dispatch(0), 0);
  assert_false(loop->set_interest(&a, kReadable).failed());
  assert_int_equal(loop->dispatch(0), 1);
  loop->unwatch(&a);
  assert_false(loop->set_interest(&a, kWritable).failed());  // not watched: nothing to do
  assert_int_equal(loop->dispatch(0), 0);
}

void test_interest_that_the_kernel_refuses_stays_as_it_was(void**) {
  char epoll[] = "epoll";
  void* state = epoll;
  auto loop = make(&state);
  Pair p;
  Probe a;
  system_table.epoll_ctl = [](int, int, int, epoll_event*) {
    errno = ENOMEM;
    return -1;
  };
  assert_int_equal(loop->watch(&a, p.ours, kReadable).code(), WS_ERR_IO);
  assert_int_equal(a.fd(), -1);
  reset(nullptr);
  assert_false(loop->watch(&a, p.ours, kReadable).failed());
  system_table.epoll_ctl = [](int, int, int, epoll_event*) {
    errno = ENOMEM;
    return -1;
  };
  assert_int_equal(loop->set_interest(&a, kWritable).code(), WS_ERR_IO);
  reset(nullptr);
  assert_false(loop->set_interest(&a, kWritable).failed());  // really tried again
  assert_int_equal(loop->dispatch(0), 1);
  loop->unwatch(&a);
}

// ---- deferred work, flush, retire ----

void test_defer_again_in_the_deferred_phase_waits_for_the_next_turn(void** state) {
  auto loop = make(state);
  Probe a;
  a.when_deferred = [&] {
    if (a.deferred < 3) loop->defer(&a);
  };
  loop->defer(&a);
  capture_waits();
  for (int turn = 1; turn <= 3; ++turn) {
    loop->dispatch(WS_NEVER);
    assert_int_equal(asked_timeout, 0);
    assert_int_equal(a.deferred, turn);
  }
  loop->dispatch(WS_NEVER);
  assert_int_equal(asked_timeout, -1);
}

void test_flush_again_in_the_flush_phase_waits_for_the_next_turn(void** state) {
  auto loop = make(state);
  Probe a;
  a.when_flushed = [&] {
    if (a.flushed < 2) loop->flush_later(&a);
  };
  loop->flush_later(&a);
  loop->dispatch(0);
  assert_int_equal(a.flushed, 1);
  capture_waits();
  loop->dispatch(WS_NEVER);
  assert_int_equal(asked_timeout, 0);
  assert_int_equal(a.flushed, 2);
}

void test_flush_asked_for_in_the_deferred_phase_happens_in_the_same_turn(void** state) {
  auto loop = make(state);
  Probe a;
  a.when_deferred = [&] { loop->flush_later(&a); };
  loop->defer(&a);
  loop->dispatch(0);
  assert_int_equal(a.flushed, 1);
}

void test_retire_keeps_what_was_deferred_and_drops_the_flush(void** state) {
  auto loop = make(state);
  std::string log;
  Probe a(&log, 'a');
  loop->defer(&a);
  loop->flush_later(&a);
  loop->retire(&a);
  loop->retire(&a);
  assert_true(a.retired());
  assert_int_equal(a.gone, 0);
  loop->dispatch(0);
  assert_string_equal(log.c_str(), "ad ax ");
}

void test_retire_waits_for_work_of_the_next_turn(void** state) {
  auto loop = make(state);
  std::string log;
  Probe a(&log, 'a');
  a.when_deferred = [&] {
    if (a.deferred == 1) {
      loop->defer(&a);
      loop->retire(&a);
    }
  };
  loop->defer(&a);
  loop->dispatch(0);
  assert_string_equal(log.c_str(), "ad ");
  loop->dispatch(WS_NEVER);  // does not wait
  assert_string_equal(log.c_str(), "ad ad ax ");
}

void test_retired_watcher_can_be_asked_for_nothing_more(void** state) {
  auto loop = make(state);
  use_fake_clock(50);
  Probe a, b;
  loop->retire(&a);
  loop->defer(&a);
  loop->flush_later(&a);
  loop->arm(&a, 0);
  assert_false(a.armed());
  a.when_retired = [&] { loop->retire(&b); };  // in the same phase
  loop->dispatch(0);
  assert_int_equal(a.gone, 1);
  assert_int_equal(b.gone, 1);
  assert_int_equal(a.deferred + a.flushed + a.timeouts, 0);
  assert_int_equal(loop->dispatch(0), 0);
}

void test_retire_in_its_own_event_frees_at_the_end_of_the_turn(void** state) {
  auto loop = make(state);
  Pair p;
  auto* a = new Probe;
  int freed = 0;
  assert_false(loop->watch(a, p.ours, kReadable).failed());
  loop->arm(a, 1000000000);
  a->when_ready = [&] {
    loop->retire(a);
    assert_int_equal(freed, 0);
  };
  a->when_retired = [&] {
    ++freed;
    Probe* self = a;
    delete self;  // the closure dies with it: nothing may follow
  };
  p.fill();
  loop->dispatch(0);
  assert_int_equal(freed, 1);
  assert_int_equal(loop->timers().count(), 0);
}

// ---- time ----

void test_wait_is_as_long_as_the_nearest_reason_to_end_it(void** state) {
  use_fake_clock(1000);
  auto loop = make(state);
  capture_waits();
  Probe a;
  auto wait_for = [&](uint32_t timeout_ms) {
    loop->dispatch(timeout_ms);
    return asked_timeout;
  };
  assert_int_equal(wait_for(WS_NEVER), -1);
  assert_int_equal(wait_for(0), 0);
  assert_int_equal(wait_for(7), 7);
  assert_int_equal(wait_for(WS_NEVER - 1), INT32_MAX);
  loop->arm(&a, 1040);
  assert_int_equal(wait_for(WS_NEVER), 24);  // 1024 is where its slot is looked into
  assert_int_equal(wait_for(39), 24);
  assert_int_equal(wait_for(7), 7);
  fake_us = 1030 * 1000;
  loop->dispatch(0);
  assert_int_equal(wait_for(WS_NEVER), 10);
  fake_us += 999;  // a started millisecond is not counted off, or the wait would end before it
  assert_int_equal(wait_for(WS_NEVER), 10);
  fake_us = 1039 * 1000 + 999;
  assert_int_equal(wait_for(WS_NEVER), 1);
  assert_int_equal(a.timeouts, 0);
  fake_us = 1040 * 1000;
  assert_int_equal(wait_for(WS_NEVER), 0);
  assert_int_equal(a.timeouts, 1);
  loop->arm(&a, UINT64_MAX);
  assert_int_equal(wait_for(WS_NEVER), INT32_MAX);
}

void test_timer_rearmed_for_now_leaves_descriptors_their_turn(void** state) {
  use_fake_clock(1000);
  auto loop = make(state);
  Pair p;
  Probe timer, reader;
  timer.when_timeout = [&] { loop->arm(&timer, loop->now_ms()); };
  loop->arm(&timer, 1000);
  assert_false(loop->watch(&reader, p.ours, kReadable).failed());
  p.fill();
  for (int i = 1; i <= 5; ++i) {
    loop->dispatch(WS_NEVER);
    assert_int_equal(timer.timeouts, i);
    assert_int_equal(reader.ready, i);
  }
  loop->unwatch(&reader);
}

void test_now_stands_still_in_a_turn_and_can_be_fresh_between(void** state) {
  use_fake_clock(1000);
  auto loop = make(state);
  Probe a;
  a.when_deferred = [&] {
    fake_us += 5000;
    assert_int_equal(loop->now_ms(), 1000);
    assert_int_equal(loop->fresh_now_ms(), 1000);
  };
  loop->defer(&a);
  loop->dispatch(0);
  fake_us = 9000 * 1000;
  assert_int_equal(loop->now_ms(), 1000);
  assert_int_equal(loop->fresh_now_ms(), 9000);
}

void test_stats_count_turns_events_tasks_and_the_longest_turn(void** state) {
  use_fake_clock(1000);
  auto loop = make(state);
  Pair p;
  Probe a;
  a.when_ready = [] { fake_us += 7777; };
  assert_false(loop->watch(&a, p.ours, kReadable).failed());
  p.fill();
  loop->dispatch(0);
  loop->unwatch(&a);
  assert_false(loop->post([](ws_loop*, void*, int) {}, nullptr).failed());
  loop->dispatch(0);
  loop->arm(&a, 100000);
  loop->connection_added();
  ws_loop_stats s;
  WS_INIT(&s);
  loop->get_stats(&s);
  assert_int_equal(s.turns, 2);
  assert_int_equal(s.events, 1);
  assert_int_equal(s.tasks, 1);
  assert_int_equal(s.timers, 1);
  assert_int_equal(s.connections, 1);
  assert_int_equal(s.longest_turn_us, 7777);
  loop->get_stats(&s);
  assert_int_equal(s.longest_turn_us, 0);
  loop->disarm(&a);
}

char epoll_name[] = "epoll";
char poll_name[] = "poll";
#define BOTH(f)                                                        \
  CMUnitTest{#f " [epoll]", f, reset, reset, epoll_name}, CMUnitTest { \
#f " [poll]", f, reset, reset, poll_name                           \
  }

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      BOTH(test_loop_create_with_each_allocation_failing_leaks_nothing),
      BOTH(test_loop_create_with_each_system_call_failing_leaks_nothing),
      cmocka_unit_test_setup(test_loop_unknown_poller_is_unsupported, reset),
      BOTH(test_turn_runs_its_phases_in_order),
      BOTH(test_batch_event_of_an_unwatched_or_retired_watcher_is_dropped),
      BOTH(test_batch_event_of_an_old_descriptor_does_not_reach_the_new_one),
      BOTH(test_batch_smaller_than_what_is_ready_serves_all_in_turns),
      BOTH(test_interest_zero_hears_nothing_and_comes_back),
      cmocka_unit_test_setup(test_interest_that_the_kernel_refuses_stays_as_it_was, reset),
      BOTH(test_defer_again_in_the_deferred_phase_waits_for_the_next_turn),
      BOTH(test_flush_again_in_the_flush_phase_waits_for_the_next_turn),
      BOTH(test_flush_asked_for_in_the_deferred_phase_happens_in_the_same_turn),
      BOTH(test_retire_keeps_what_was_deferred_and_drops_the_flush),
      BOTH(test_retire_waits_for_work_of_the_next_turn),
      BOTH(test_retired_watcher_can_be_asked_for_nothing_more),
      BOTH(test_retire_in_its_own_event_frees_at_the_end_of_the_turn),
      BOTH(test_wait_is_as_long_as_the_nearest_reason_to_end_it),
      BOTH(test_timer_rearmed_for_now_leaves_descriptors_their_turn),
      BOTH(test_now_stands_still_in_a_turn_and_can_be_fresh_between),
      BOTH(test_stats_count_turns_events_tasks_and_the_longest_turn),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
