// Running, stopping, embedding and freeing a loop.
#include "libws/net/loop.hpp"

#include "libws/base/system.hpp"

#include <poll.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>
#include <atomic>
#include <cerrno>
#include <csignal>
#include <functional>
#include <string>
#include <thread>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}

using namespace libws;

namespace {

struct Probe : Watcher {
  int ready = 0, timeouts = 0, deferred = 0, flushed = 0, gone = 0;
  std::function<void()> when_timeout, when_deferred;
  void on_ready(uint32_t) override { ++ready; }
  void on_timeout() override {
    ++timeouts;
    if (when_timeout) when_timeout();
  }
  void on_deferred() override {
    ++deferred;
    if (when_deferred) when_deferred();
  }
  void on_flush() override { ++flushed; }
  void on_retired() override { ++gone; }
};

std::unique_ptr<Loop> make(const char* poller) {
  LoopConfig config;
  config.poller = poller;
  config.max_events = 64;
  config.read_bytes = 4096;
  std::unique_ptr<Loop> loop;
  assert_false(Loop::create(config, &loop).failed());
  return loop;
}
std::unique_ptr<Loop> make(void** state) { return make(static_cast<const char*>(*state)); }

bool readable(int fd, int timeout_ms = 0) {
  pollfd p = {fd, POLLIN, 0};
  return poll(&p, 1, timeout_ms) == 1;
}

Loop* current;  // for threads and signal handlers, and to check what tasks are given
int tasks_run, tasks_cancelled;
void count_task(ws_loop* l, void*, int cancelled) {
  if (current != nullptr) assert_ptr_equal(from_handle<Loop>(l), current);
  ++tasks_run;
  tasks_cancelled += cancelled;
}

int reset(void**) {
  system_table = kRealSystem;
  tasks_run = tasks_cancelled = 0;
  current = nullptr;
  return 0;
}

// ---- run and stop ----

void test_stop_before_run_counts_once(void** state) {
  auto loop = make(state);
  loop->stop();
  loop->stop();
  assert_false(loop->run().failed());
  ws_loop_stats s;
  loop->get_stats(&s);
  assert_int_equal(s.turns, 0);
  // The second run waits again: only the timer ends it.
  Probe a;
  a.when_timeout = [&] { loop->stop(); };
  loop->arm(&a, loop->fresh_now_ms() + 2);
  assert_false(loop->run().failed());
  assert_int_equal(a.timeouts, 1);
}

void test_stop_is_not_used_up_by_dispatch(void** state) {
  auto loop = make(state);
  loop->stop();
  assert_int_equal(loop->dispatch(0), 0);
  assert_false(loop->run().failed());
}

void test_stop_from_a_thread_ends_a_waiting_run(void** state) {
  auto loop = make(state);
  std::thread stopper([&] {
    usleep(2000);
    loop->stop();
  });
  assert_false(loop->run().failed());
  stopper.join();
}

void test_posts_and_stop_from_threads_all_arrive(void** state) {
  auto loop = make(state);
  current = loop.get();
  constexpr int kEach = 2000;
  static std::atomic<int> left;
  left = 4;
  auto poster = [] {
    for (int i = 0; i < kEach; ++i) {
      if (current->post(count_task, nullptr).failed()) abort();
    }
    if (--left == 0) current->stop();
  };
  std::thread threads[4];
  for (auto& t : threads) t = std::thread(poster);
  assert_false(loop->run().failed());
  for (auto& t : threads) t.join();
  while (loop->dispatch(0) > 0) {
  }
  assert_int_equal(tasks_run, 4 * kEach);
}

void on_alarm(int) {
  int before = errno;
  current->stop();
  if (errno != before) abort();
}

void interval_timer(int us, bool repeat) {
  itimerval t{};
  t.it_value.tv_usec = us;
  if (repeat) t.it_interval.tv_usec = us;
  setitimer(ITIMER_REAL, &t, nullptr);
}

void test_stop_from_a_signal_handler_ends_a_waiting_run(void** state) {
  auto loop = make(state);
  current = loop.get();
  signal(SIGALRM, on_alarm);
  interval_timer(2000, false);
  assert_false(loop->run().failed());
  signal(SIGALRM, SIG_DFL);
}

volatile sig_atomic_t storm;
void test_signal_storm_does_not_disturb_a_run(void** state) {
  auto loop = make(state);
  storm = 0;
  signal(SIGALRM, [](int) { storm = storm + 1; });
  Probe a;
  a.when_timeout = [&] { loop->stop(); };
  loop->arm(&a, loop->fresh_now_ms() + 8);
  interval_timer(100, true);
  assert_false(loop->run().failed());
  interval_timer(0, false);
  signal(SIGALRM, SIG_DFL);
  assert_int_equal(a.timeouts, 1);
  assert_true(storm > 0);
}

void test_run_timer_never_fires_early(void** state) {
  auto loop = make(state);
  for (uint64_t delay = 0; delay < 4; ++delay) {
    Probe a;
    uint64_t deadline = loop->fresh_now_ms() + delay;
    a.when_timeout = [&] {
      assert_true(real::now_us() >= deadline * 1000);
      loop->stop();
    };
    loop->arm(&a, deadline);
    assert_false(loop->run().failed());
  }
}

void test_run_returns_the_error_of_a_broken_poller(void** state) {
  auto loop = make(state);
  system_table.epoll_wait = [](int, epoll_event*, int, int) {
    errno = EBADF;
    return -1;
  };
  system_table.poll = [](pollfd*, nfds_t, int) {
    errno = EFAULT;
    return -1;
  };
  assert_int_equal(loop->run().code(), WS_ERR_IO);
  assert_int_equal(loop->dispatch(0), WS_ERR_IO);
  reset(nullptr);
  assert_int_equal(loop->dispatch(0), 0);  // and it is not stuck in the failed call
}

void test_run_dispatch_and_free_inside_a_turn_are_reentrant(void** state) {
  auto loop = make(state);
  Probe a;
  int codes[3] = {};
  a.when_deferred = [&] {
    assert_true(loop->in_turn());
    codes[0] = loop->run().code();
    codes[1] = loop->dispatch(0);
    codes[2] = loop->shut_down().code();
  };
  loop->defer(&a);
  assert_int_equal(loop->dispatch(0), 0);
  for (int code : codes) assert_int_equal(code, WS_ERR_REENTRANT);
  assert_false(loop->in_turn());
  assert_int_equal(loop->dispatch(0), 0);
}

// ---- shut_down ----

struct Member : LoopMember {
  std::function<void()> then;
  int freed = 0, abandoned = 0;
  void on_loop_abandoned() override { ++abandoned; }
  void on_loop_free() override {
    ++freed;
    if (then) then();
  }
};

void test_shut_down_frees_members_and_delivers_what_they_owe(void** state) {
  auto loop = make(state);
  Member m1, m2, late;
  Probe conn;
  loop->add_member(&m1);
  loop->add_member(&m2);
  m1.then = [&] {
    loop->defer(&conn);
    loop->flush_later(&conn);
  };
  conn.when_deferred = [&] {
    assert_true(loop->in_turn());
    assert_int_equal(loop->run().code(), WS_ERR_REENTRANT);
    loop->retire(&conn);
    loop->add_member(&late);
    assert_false(loop->post(count_task, nullptr).failed());
  };
  assert_false(loop->shut_down().failed());
  assert_int_equal(m1.freed, 1);
  assert_int_equal(m2.freed, 1);
  assert_int_equal(late.freed, 1);
  assert_int_equal(conn.deferred, 1);
  assert_int_equal(conn.gone, 1);
  assert_int_equal(tasks_cancelled, 1);
  assert_false(loop->shut_down().failed());  // twice is once
  assert_int_equal(m1.freed, 1);
}

void post_again(ws_loop* l, void* arg, int cancelled) {
  count_task(l, arg, cancelled);
  if (tasks_run < 5) assert_false(from_handle<Loop>(l)->post(post_again, nullptr).failed());
}

void test_shut_down_cancels_posted_tasks_and_those_they_post(void** state) {
  auto loop = make(state);
  current = loop.get();
  assert_false(loop->post(count_task, nullptr).failed());
  assert_false(loop->post(post_again, nullptr).failed());
  assert_false(loop->shut_down().failed());
  assert_int_equal(tasks_run, 5);
  assert_int_equal(tasks_cancelled, 5);
}

void test_shut_down_serves_no_descriptor_and_no_timer(void** state) {
  auto loop = make(state);
  int fds[2];
  assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
  Probe a;
  assert_int_equal(write(fds[1], "x", 1), 1);
  assert_false(loop->watch(&a, fds[0], kReadable).failed());
  loop->arm(&a, 0);
  assert_false(loop->shut_down().failed());
  assert_int_equal(a.ready + a.timeouts, 0);
  loop->unwatch(&a);
  close(fds[0]);
  close(fds[1]);
}

// ---- the pollable descriptor ----

void test_fd_is_unsupported_by_poll(void**) {
  auto loop = make("poll");
  assert_int_equal(loop->pollable_fd(), WS_ERR_UNSUPPORTED);
}

void test_fd_without_descriptors_fails_and_can_be_asked_again(void**) {
  auto loop = make("epoll");
  system_table.timerfd = [] {
    errno = EMFILE;
    return -1;
  };
  assert_int_equal(loop->pollable_fd(), WS_ERR_IO);
  reset(nullptr);
  static int closed;
  closed = 0;
  system_table.close = [](int fd) {
    ++closed;
    return real::close(fd);
  };
  system_table.epoll_ctl = [](int, int, int, epoll_event*) {
    errno = ENOSPC;
    return -1;
  };
  assert_int_equal(loop->pollable_fd(), WS_ERR_IO);
  assert_int_equal(closed, 1);
  reset(nullptr);
  int fd = loop->pollable_fd();
  assert_true(fd >= 0);
  assert_int_equal(loop->pollable_fd(), fd);
}

void test_fd_shows_posts_and_is_quiet_again(void**) {
  auto loop = make("epoll");
  int fd = loop->pollable_fd();
  assert_false(readable(fd));
  assert_false(loop->post(count_task, nullptr).failed());
  assert_true(readable(fd));
  assert_int_equal(loop->dispatch(0), 1);
  assert_int_equal(tasks_run, 1);
  assert_false(readable(fd));
}

void test_fd_shows_work_deferred_outside_a_turn(void**) {
  for (bool asked_first : {true, false}) {
    auto loop = make("epoll");
    if (asked_first) assert_true(loop->pollable_fd() >= 0);
    Probe a, b;
    loop->defer(&a);
    int fd = loop->pollable_fd();
    assert_true(readable(fd));
    loop->dispatch(0);
    assert_false(readable(fd));
    loop->flush_later(&a);
    assert_true(readable(fd));
    loop->dispatch(0);
    loop->retire(&b);
    assert_true(readable(fd));
    loop->dispatch(0);
    assert_int_equal(a.deferred + a.flushed + b.gone, 3);
    assert_false(readable(fd));
  }
}

void test_fd_shows_work_that_a_turn_left_for_the_next(void**) {
  auto loop = make("epoll");
  int fd = loop->pollable_fd();
  Probe a;
  a.when_deferred = [&] {
    if (a.deferred == 1) loop->defer(&a);
  };
  loop->defer(&a);
  loop->dispatch(0);
  assert_int_equal(a.deferred, 1);
  assert_true(readable(fd));
  loop->dispatch(0);
  assert_int_equal(a.deferred, 2);
  assert_false(readable(fd));
}

// As an embedding program does it.
void dispatch_until(Loop& loop, int fd, const int& counter) {
  int turns = 0;
  while (counter == 0) {
    assert_true(++turns <= 10);
    assert_true(readable(fd, 10000));
    assert_true(loop.dispatch(0) >= 0);
  }
}

void test_fd_shows_timers_however_they_were_armed(void**) {
  auto loop = make("epoll");
  Probe before, outside, later, inside;
  loop->arm(&before, loop->fresh_now_ms() + 3);
  int fd = loop->pollable_fd();
  dispatch_until(*loop, fd, before.timeouts);

  loop->arm(&later, loop->fresh_now_ms() + 1000000);
  loop->arm(&outside, loop->fresh_now_ms() + 3);  // earlier than the one the kernel has
  assert_false(readable(fd));
  dispatch_until(*loop, fd, outside.timeouts);

  outside.timeouts = 0;
  loop->arm(&outside, 0);  // a time long past
  assert_true(readable(fd));
  outside.when_timeout = [&] { loop->arm(&inside, loop->now_ms() + 3); };
  dispatch_until(*loop, fd, outside.timeouts);
  dispatch_until(*loop, fd, inside.timeouts);
  assert_int_equal(later.timeouts, 0);
}

void test_fd_of_a_timer_that_moved_away_costs_one_turn_and_is_quiet(void**) {
  auto loop = make("epoll");
  int fd = loop->pollable_fd();
  Probe a;
  loop->arm(&a, loop->fresh_now_ms() + 2);
  loop->disarm(&a);
  assert_true(readable(fd, 10000));
  assert_int_equal(loop->dispatch(0), 0);
  assert_false(readable(fd, 3));

  loop->arm(&a, loop->fresh_now_ms() + 2);
  loop->arm(&a, loop->fresh_now_ms() + 6);
  uint64_t deadline = a.deadline_ms();
  dispatch_until(*loop, fd, a.timeouts);
  assert_true(real::now_us() >= deadline * 1000);
  assert_false(readable(fd, 3));
}

void test_fd_shows_timers_after_run_returns(void**) {
  auto loop = make("epoll");
  int fd = loop->pollable_fd();
  Probe stopper, a;
  stopper.when_timeout = [&] {
    loop->arm(&a, loop->now_ms() + 2);
    loop->stop();
  };
  loop->arm(&stopper, loop->fresh_now_ms() + 1);
  assert_false(loop->run().failed());
  dispatch_until(*loop, fd, a.timeouts);
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
      BOTH(test_stop_before_run_counts_once),
      BOTH(test_stop_is_not_used_up_by_dispatch),
      BOTH(test_stop_from_a_thread_ends_a_waiting_run),
      BOTH(test_posts_and_stop_from_threads_all_arrive),
      BOTH(test_stop_from_a_signal_handler_ends_a_waiting_run),
      BOTH(test_signal_storm_does_not_disturb_a_run),
      BOTH(test_run_timer_never_fires_early),
      BOTH(test_run_returns_the_error_of_a_broken_poller),
      BOTH(test_run_dispatch_and_free_inside_a_turn_are_reentrant),
      BOTH(test_shut_down_frees_members_and_delivers_what_they_owe),
      BOTH(test_shut_down_cancels_posted_tasks_and_those_they_post),
      BOTH(test_shut_down_serves_no_descriptor_and_no_timer),
      cmocka_unit_test_setup(test_fd_is_unsupported_by_poll, reset),
      cmocka_unit_test_setup(test_fd_without_descriptors_fails_and_can_be_asked_again, reset),
      cmocka_unit_test_setup(test_fd_shows_posts_and_is_quiet_again, reset),
      cmocka_unit_test_setup(test_fd_shows_work_deferred_outside_a_turn, reset),
      cmocka_unit_test_setup(test_fd_shows_work_that_a_turn_left_for_the_next, reset),
      cmocka_unit_test_setup(test_fd_shows_timers_however_they_were_armed, reset),
      cmocka_unit_test_setup(test_fd_of_a_timer_that_moved_away_costs_one_turn_and_is_quiet, reset),
      cmocka_unit_test_setup(test_fd_shows_timers_after_run_returns, reset),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
