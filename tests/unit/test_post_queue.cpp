// Posted tasks: order, exactly once, one wake-up for many, and many threads at once.
#include "libws/net/post_queue.hpp"

#include "libws/base/system.hpp"

#include <poll.h>
#include <unistd.h>
#include <cerrno>
#include <thread>
#include <vector>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
extern "C" {
#include <cmocka.h>
}

using libws::PostedTask;
using libws::PostQueue;
using libws::system_table;

namespace {

std::vector<int> ran;
int cancelled_seen = 0;

void note(ws_loop*, void* arg, int cancelled) {
  ran.push_back(static_cast<int>(reinterpret_cast<intptr_t>(arg)));
  cancelled_seen += cancelled;
}

void* number(int n) { return reinterpret_cast<void*>(static_cast<intptr_t>(n)); }

bool readable(int fd) {
  pollfd p = {fd, POLLIN, 0};
  return poll(&p, 1, 0) == 1;
}

int reset(void**) {
  ran.clear();
  cancelled_seen = 0;
  system_table = libws::kRealSystem;
  return 0;
}

void test_post_runs_in_order_once(void**) {
  PostQueue q;
  assert_false(q.open().failed());
  assert_false(q.pending());
  for (int i = 0; i < 5; ++i) assert_false(q.push(note, number(i)).failed());
  assert_true(q.pending());
  assert_int_equal(q.run(nullptr, 0), 5);
  assert_true((ran == std::vector<int>{0, 1, 2, 3, 4}));
  assert_false(q.pending());
  assert_int_equal(q.run(nullptr, 0), 0);
  assert_int_equal(cancelled_seen, 0);
}

void test_post_of_the_posters_own_task_needs_no_memory(void**) {
  static PostQueue* queue;
  static PostedTask* again;
  PostQueue q;
  queue = &q;
  assert_false(q.open().failed());
  PostedTask one(note, number(1));
  PostedTask two(
      [](ws_loop*, void*, int) {
        ran.push_back(2);
        queue->push(*again);  // it is out of the queue when it runs
      },
      nullptr);
  again = &two;
  assert_false(q.push(note, number(0)).failed());
  system_table.resize = [](void*, size_t bytes) -> void* {
    assert_int_equal(bytes, 0);
    return nullptr;
  };
  q.push(one);
  q.push(two);
  assert_true(q.pending());
  system_table.resize = libws::real::resize;
  assert_int_equal(q.run(nullptr, 0), 3);
  assert_int_equal(q.run(nullptr, 0), 1);
  assert_true((ran == std::vector<int>{0, 1, 2, 2}));
  assert_true(q.pending());  // left over: not the queue's to free
}

void test_post_cancelled_is_passed_on(void**) {
  PostQueue q;
  assert_false(q.open().failed());
  assert_false(q.push(note, number(1)).failed());
  assert_int_equal(q.run(nullptr, 1), 1);
  assert_int_equal(cancelled_seen, 1);
}

void test_post_many_make_one_wake_up(void**) {
  PostQueue q;
  assert_false(q.open().failed());
  assert_false(readable(q.fd()));
  for (int i = 0; i < 100; ++i) assert_false(q.push(note, nullptr).failed());
  uint64_t wakes = 0;
  assert_int_equal(read(q.fd(), &wakes, sizeof wakes), 8);
  assert_int_equal(wakes, 1);
  assert_int_equal(q.run(nullptr, 0), 100);
  assert_false(q.push(note, nullptr).failed());  // and the next one wakes again
  assert_true(readable(q.fd()));
  q.clear_wake();
  assert_false(readable(q.fd()));
  q.clear_wake();  // nothing to clear is not an error
}

PostQueue* reposting;
void repost(ws_loop* loop, void* arg, int cancelled) {
  note(loop, arg, cancelled);
  if (ran.size() < 3) (void)reposting->push(repost, arg).code();
}

void test_post_from_a_task_waits_for_the_next_run(void**) {
  PostQueue q;
  assert_false(q.open().failed());
  reposting = &q;
  assert_false(q.push(repost, nullptr).failed());
  assert_int_equal(q.run(nullptr, 0), 1);
  assert_true(q.pending());
  assert_int_equal(q.run(nullptr, 0), 1);
  assert_int_equal(q.run(nullptr, 0), 1);
  assert_false(q.pending());
}

void test_post_left_over_is_freed_with_the_queue(void**) {
  PostQueue q;
  assert_false(q.open().failed());
  assert_false(q.push(note, nullptr).failed());
  assert_false(q.push(note, nullptr).failed());
  // The leak checker sees the rest.
}

void test_post_without_memory_is_refused(void**) {
  PostQueue q;
  assert_false(q.open().failed());
  system_table.resize = [](void*, size_t) -> void* { return nullptr; };
  assert_int_equal(q.push(note, nullptr).code(), WS_ERR_NOMEM);
  system_table = libws::kRealSystem;
  assert_false(q.pending());
  assert_false(readable(q.fd()));
}

void test_post_queue_without_descriptors_fails_to_open(void**) {
  PostQueue q;
  system_table.eventfd = [] {
    errno = EMFILE;
    return -1;
  };
  assert_int_equal(q.open().code(), WS_ERR_IO);
}

void test_post_wake_keeps_errno_even_when_it_cannot_write(void**) {
  PostQueue q;
  assert_false(q.open().failed());
  uint64_t full = UINT64_MAX - 1;
  assert_int_equal(write(q.fd(), &full, sizeof full), 8);
  errno = 12345;
  q.wake();
  assert_int_equal(errno, 12345);
}

constexpr int kThreads = 4;
constexpr int kPerThread = 5000;
int next_of[kThreads];

void in_order(ws_loop*, void* arg, int) {
  int n = static_cast<int>(reinterpret_cast<intptr_t>(arg));
  assert_int_equal(next_of[n / kPerThread]++, n % kPerThread);
}

void test_post_from_threads_keeps_each_threads_order(void**) {
  PostQueue q;
  assert_false(q.open().failed());
  for (int& n : next_of) n = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&q, t] {
      for (int i = 0; i < kPerThread; ++i) {
        if (q.push(in_order, number(t * kPerThread + i)).failed()) abort();
      }
    });
  }
  // As the loop does it: sleep on the descriptor, clear, run.  A lost wake-up would time out.
  size_t done = 0;
  while (done < size_t{kThreads} * kPerThread) {
    pollfd p = {q.fd(), POLLIN, 0};
    assert_int_equal(poll(&p, 1, 10000), 1);
    q.clear_wake();
    if (q.pending()) done += q.run(nullptr, 0);
  }
  for (std::thread& t : threads) t.join();
  assert_int_equal(done, kThreads * kPerThread);
  assert_false(q.pending());
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test_setup(test_post_runs_in_order_once, reset),
      cmocka_unit_test_setup(test_post_of_the_posters_own_task_needs_no_memory, reset),
      cmocka_unit_test_setup(test_post_cancelled_is_passed_on, reset),
      cmocka_unit_test_setup(test_post_many_make_one_wake_up, reset),
      cmocka_unit_test_setup(test_post_from_a_task_waits_for_the_next_run, reset),
      cmocka_unit_test_setup(test_post_left_over_is_freed_with_the_queue, reset),
      cmocka_unit_test_setup(test_post_without_memory_is_refused, reset),
      cmocka_unit_test_setup(test_post_queue_without_descriptors_fails_to_open, reset),
      cmocka_unit_test_setup(test_post_wake_keeps_errno_even_when_it_cannot_write, reset),
      cmocka_unit_test_setup(test_post_from_threads_keeps_each_threads_order, reset),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
