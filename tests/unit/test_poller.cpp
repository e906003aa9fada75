// Both pollers against the same expectations.
#include "libws/net/poller.hpp"

#include "libws/base/system.hpp"

#include <sys/socket.h>
#include <unistd.h>
#include <cerrno>
#include <cstring>
#include <set>
#include <string>
#include <vector>

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
    if (theirs >= 0) close(theirs);
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;
  void fill() const { assert_int_equal(write(theirs, "x", 1), 1); }
};

// A poller only carries the pointers, so any distinct ones do.
char tokens[256];
Watcher* token(size_t i) { return reinterpret_cast<Watcher*>(&tokens[i]); }

std::unique_ptr<Poller> make(void** state, int max_events = 64) {
  std::unique_ptr<Poller> p;
  assert_false(make_poller(static_cast<const char*>(*state), max_events, &p).failed());
  assert_string_equal(p->name(), static_cast<const char*>(*state));
  return p;
}

int reset(void**) {
  system_table = kRealSystem;
  return 0;
}

void test_poller_reports_what_was_asked_for(void** state) {
  auto p = make(state);
  Pair a;
  ReadyEvent out[8];
  assert_false(p->add(a.ours, kReadable, token(1)).failed());
  assert_int_equal(p->wait(0, out, 8), 0);
  a.fill();
  assert_int_equal(p->wait(0, out, 8), 1);
  assert_ptr_equal(out[0].watcher, token(1));
  assert_int_equal(out[0].events, kReadable);
  assert_int_equal(p->wait(0, out, 8), 1);  // level-triggered: still there

  assert_false(p->modify(a.ours, kReadable | kWritable, token(2)).failed());
  assert_int_equal(p->wait(0, out, 8), 1);
  assert_ptr_equal(out[0].watcher, token(2));
  assert_int_equal(out[0].events, kReadable | kWritable);

  assert_false(p->modify(a.ours, 0, token(2)).failed());
  assert_int_equal(p->wait(0, out, 8), 0);

  p->remove(a.ours);
  assert_int_equal(p->wait(0, out, 8), 0);
  p->remove(a.ours);  // what is not there is removed already
}

void test_poller_hangup_is_reported_without_interest(void** state) {
  auto p = make(state);
  Pair a;
  ReadyEvent out[8];
  assert_false(p->add(a.ours, 0, token(1)).failed());
  close(a.theirs);
  a.theirs = -1;
  assert_int_equal(p->wait(0, out, 8), 1);
  assert_int_equal(out[0].events, kHangup);
}

void test_poller_half_closed_peer_is_readable_not_hung_up(void** state) {
  auto p = make(state);
  Pair a;
  ReadyEvent out[8];
  assert_false(p->add(a.ours, kReadable, token(1)).failed());
  shutdown(a.theirs, SHUT_WR);
  assert_int_equal(p->wait(0, out, 8), 1);
  assert_int_equal(out[0].events, kReadable);
}

void test_poller_adding_twice_fails_and_keeps_the_first(void** state) {
  auto p = make(state);
  Pair a;
  ReadyEvent out[8];
  assert_false(p->add(a.ours, kReadable, token(1)).failed());
  assert_int_equal(p->add(a.ours, kReadable, token(2)).code(), WS_ERR_IO);
  a.fill();
  assert_int_equal(p->wait(0, out, 8), 1);
  assert_ptr_equal(out[0].watcher, token(1));
}

void test_poller_changing_what_is_not_there_fails(void** state) {
  auto p = make(state);
  Pair a;
  assert_int_equal(p->modify(a.ours, kReadable, token(1)).code(), WS_ERR_IO);
  assert_int_equal(p->add(-1, kReadable, token(1)).code(), WS_ERR_IO);
  p->remove(-1);
}

void test_poller_removing_first_middle_and_last_keeps_the_others(void** state) {
  ReadyEvent out[16];
  for (size_t gone : {size_t{0}, size_t{3}, size_t{6}}) {
    auto p = make(state);
    Pair pairs[7];
    for (size_t i = 0; i < 7; ++i) {
      assert_false(p->add(pairs[i].ours, kReadable, token(i)).failed());
      pairs[i].fill();
    }
    p->remove(pairs[gone].ours);
    assert_int_equal(p->wait(0, out, 16), 6);
    std::set<Watcher*> seen;
    for (int i = 0; i < 6; ++i) seen.insert(out[i].watcher);
    assert_int_equal(seen.size(), 6);
    assert_false(seen.count(token(gone)));
    assert_false(p->add(pairs[gone].ours, kReadable, token(100)).failed());
    assert_int_equal(p->wait(0, out, 16), 7);
    // Whatever moved on the inside is still found by its descriptor.
    for (size_t i = 0; i < 7; ++i) {
      assert_false(p->modify(pairs[i].ours, 0, token(i)).failed());
      assert_int_equal(p->wait(0, out, 16), 6 - static_cast<int>(i));
    }
    for (size_t i = 0; i < 7; ++i) p->remove(pairs[i].ours);
    assert_int_equal(p->wait(0, out, 16), 0);
  }
}

void test_poller_full_batches_starve_nobody(void** state) {
  for (int max = 1; max <= 4; ++max) {
    auto p = make(state, max);
    Pair pairs[10];
    for (size_t i = 0; i < 10; ++i) {
      assert_false(p->add(pairs[i].ours, kReadable, token(i)).failed());
      pairs[i].fill();
    }
    std::set<Watcher*> seen;
    ReadyEvent out[16];
    for (int turn = 0; turn < 10; ++turn) {
      int n = p->wait(0, out, max);
      assert_int_equal(n, max);
      for (int i = 0; i < n; ++i) seen.insert(out[i].watcher);
    }
    assert_int_equal(seen.size(), 10);
  }
}

void test_poller_wait_gives_up_at_the_timeout(void** state) {
  auto p = make(state);
  ReadyEvent out[4];
  uint64_t start = real::now_us();
  assert_int_equal(p->wait(2, out, 4), 0);
  assert_true(real::now_us() - start >= 1900);
}

void test_poller_interrupted_wait_is_no_events(void** state) {
  auto p = make(state);
  ReadyEvent out[4];
  system_table.epoll_wait = [](int, epoll_event*, int, int) {
    errno = EINTR;
    return -1;
  };
  system_table.poll = [](pollfd*, nfds_t, int) {
    errno = EINTR;
    return -1;
  };
  assert_int_equal(p->wait(-1, out, 4), 0);
}

void test_poller_failed_wait_is_an_error_with_its_reason(void** state) {
  auto p = make(state);
  ReadyEvent out[4];
  system_table.epoll_wait = [](int, epoll_event*, int, int) {
    errno = EBADF;
    return -1;
  };
  system_table.poll = [](pollfd*, nfds_t, int) {
    errno = ENOMEM;
    return -1;
  };
  assert_int_equal(p->wait(-1, out, 4), WS_ERR_IO);
  assert_non_null(strstr(last_detail(), "poll"));  // also in "epoll_wait"
}

void test_epoll_failed_ctl_is_an_error(void**) {
  std::unique_ptr<Poller> p;
  assert_false(make_epoll_poller(8, &p).failed());
  Pair a;
  static int reason;
  system_table.epoll_ctl = [](int, int, int, epoll_event*) {
    errno = reason;
    return -1;
  };
  for (int e : {ENOSPC, ENOMEM, EEXIST}) {
    reason = e;
    assert_int_equal(p->add(a.ours, kReadable, token(1)).code(), WS_ERR_IO);
    assert_int_equal(p->modify(a.ours, kReadable, token(1)).code(), WS_ERR_IO);
  }
}

void test_epoll_failed_create_is_an_error(void**) {
  std::unique_ptr<Poller> p;
  system_table.epoll_create = [] {
    errno = EMFILE;
    return -1;
  };
  assert_int_equal(make_epoll_poller(8, &p).code(), WS_ERR_IO);
  assert_null(p.get());
}

int allocations_left;
void* limited(void* ptr, size_t bytes) {
  if (bytes != 0 && allocations_left-- <= 0) return nullptr;
  return real::resize(ptr, bytes);
}

void test_poller_without_memory_fails_and_changes_nothing(void** state) {
  const char* name = static_cast<const char*>(*state);
  int needed = 0;
  for (;; ++needed) {
    assert_true(needed < 10);
    system_table.resize = limited;
    allocations_left = needed;
    std::unique_ptr<Poller> p;
    Error made = make_poller(name, 8, &p);
    if (made) {
      assert_int_equal(made.code(), WS_ERR_NOMEM);
      assert_null(p.get());
      continue;
    }
    Pair a;
    Error added = p->add(a.ours, kReadable, token(1));
    system_table = kRealSystem;
    a.fill();
    ReadyEvent out[4];
    assert_int_equal(p->wait(0, out, 4), added ? 0 : 1);
    if (!added) break;
    assert_int_equal(added.code(), WS_ERR_NOMEM);
    assert_false(p->add(a.ours, kReadable, token(1)).failed());
    assert_int_equal(p->wait(0, out, 4), 1);
  }
  assert_true(needed >= 2);
}

void test_poller_unknown_name_is_unsupported(void**) {
  std::unique_ptr<Poller> p;
  for (const char* name : {"", "kqueue", "epol", "epoll "}) {
    assert_int_equal(make_poller(name, 8, &p).code(), WS_ERR_UNSUPPORTED);
  }
  assert_false(make_poller(nullptr, 8, &p).failed());
  assert_string_equal(p->name(), "epoll");
  assert_true(p->fd() >= 0);
  assert_false(make_poller("poll", 8, &p).failed());
  assert_int_equal(p->fd(), -1);
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
      BOTH(test_poller_reports_what_was_asked_for),
      BOTH(test_poller_hangup_is_reported_without_interest),
      BOTH(test_poller_half_closed_peer_is_readable_not_hung_up),
      BOTH(test_poller_adding_twice_fails_and_keeps_the_first),
      BOTH(test_poller_changing_what_is_not_there_fails),
      BOTH(test_poller_removing_first_middle_and_last_keeps_the_others),
      BOTH(test_poller_full_batches_starve_nobody),
      BOTH(test_poller_wait_gives_up_at_the_timeout),
      BOTH(test_poller_interrupted_wait_is_no_events),
      BOTH(test_poller_failed_wait_is_an_error_with_its_reason),
      BOTH(test_poller_without_memory_fails_and_changes_nothing),
      cmocka_unit_test_setup(test_epoll_failed_ctl_is_an_error, reset),
      cmocka_unit_test_setup(test_epoll_failed_create_is_an_error, reset),
      cmocka_unit_test_setup(test_poller_unknown_name_is_unsupported, reset),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
