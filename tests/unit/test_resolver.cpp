// Look-ups: what needs no thread, how many threads there are, what waits, what is dropped.
#include "libws/net/resolver.hpp"

#include "dns_support.hpp"
#include "libws/base/fault.hpp"

#include <arpa/inet.h>
#include <pthread.h>
#include <atomic>
#include <chrono>
#include <csignal>
#include <functional>
#include <memory>
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

struct Sink : LookupSink {
  std::vector<std::string> told;  // "192.0.2.1 192.0.2.2", or "! code errno definite? reason"
  std::vector<Lookup*> of;
  std::function<void()> then;  // once

  void on_lookup(Lookup* lookup, const LookupAnswer& answer) override {
    std::string text;
    if (answer.error != WS_OK) {
      assert_int_equal(answer.count, 0);
      text = "! " + std::to_string(answer.error) + " " + std::to_string(answer.sys_errno) +
             (answer.no_such_address ? " definite " : " ") + answer.reason;
    }
    for (size_t i = 0; i < answer.count; ++i) {
      char printed[kAddressTextBytes];
      address_print(answer.addresses[i], printed);
      if (!text.empty()) text += ' ';
      text += printed;
    }
    told.push_back(text);
    of.push_back(lookup);
    if (then) std::exchange(then, nullptr)();
  }
};

// A loop over a name service of its own.
struct Scene {
  FakeDns dns;
  std::unique_ptr<Loop> loop;
  Sink sink;
  int64_t blocks_before;

  Scene() {
    clear_faults();
    dns.install();
    blocks_before = live_allocations();
    assert_false(Loop::create(LoopConfig(), &loop).failed());
  }
  ~Scene() {
    if (loop != nullptr) free_loop();
    assert_true(dns.quiet());
    assert_int_equal(live_allocations(), blocks_before);
    clear_faults();
  }
  Scene(const Scene&) = delete;
  Scene& operator=(const Scene&) = delete;

  void free_loop() {
    assert_false(loop->shut_down().failed());
    loop.reset();
  }
  Lookup* start(std::string_view host, int family) {
    size_t before = sink.told.size();
    Lookup* lookup = loop->resolver().start(sink, host, family);
    assert_int_equal(sink.told.size(), before);  // never from inside the call
    return lookup;
  }
  void pump(size_t answers) {
    auto until = std::chrono::steady_clock::now() + std::chrono::seconds(60);
    while (sink.told.size() < answers && std::chrono::steady_clock::now() < until) {
      loop->dispatch(100);
    }
    assert_int_equal(sink.told.size(), answers);
  }
  // The one answer to one question.
  std::string ask(std::string_view host, int family) {
    size_t before = sink.told.size();
    start(host, family);
    pump(before + 1);
    return sink.told.back();
  }
};

void expect(const std::string& got, const std::string& want) {
  assert_string_equal(got.c_str(), want.c_str());
}

std::string failure(int error, int sys_errno, const std::string& reason, bool definite = false) {
  return "! " + std::to_string(error) + " " + std::to_string(sys_errno) +
         (definite ? " definite " : " ") + reason;
}
std::string no_name() { return failure(WS_ERR_DNS, 0, gai_strerror(EAI_NONAME), true); }

// ---- without a thread ----

void test_lookup_of_a_literal_needs_no_thread(void**) {
  Scene s;
  expect(s.ask("192.0.2.1", AF_INET), "192.0.2.1:0");
  expect(s.ask("2001:db8::1", AF_INET6), "[2001:db8::1]:0");
  expect(s.ask("fe80::1%lo", AF_INET6), "[fe80::1]:0");
  expect(s.ask("192.0.2.1", AF_INET6), no_name());
  expect(s.ask("2001:db8::1", AF_INET), no_name());
  assert_int_equal(s.dns.started(), 0);
}

void test_lookup_of_localhost_is_loopback_without_asking(void**) {
  Scene s;
  for (int family : {AF_INET, AF_INET6}) {
    for (const char* host :
         {"localhost", "localhost.", "LocalHost", "a.localhost", "a.localhost.", "a.b.LOCALHOST"}) {
      s.dns.answer(host, family, {"192.0.2.66", "2001:db8::66"});
      expect(s.ask(host, family), family == AF_INET ? "127.0.0.1:0" : "[::1]:0");
    }
  }
  assert_int_equal(s.dns.started(), 0);
}

void test_lookup_of_what_only_looks_like_localhost_is_asked(void**) {
  Scene s;
  size_t asked = 0;
  for (const char* host : {"localhosts", "xlocalhost", "localhost.example", "localhost..",
                           "localhos", "ocalhost", "."}) {
    s.dns.answer(host, AF_INET, {"192.0.2.66"});
    expect(s.ask(host, AF_INET), "192.0.2.66:0");
    assert_int_equal(s.dns.asked(), ++asked);
  }
}

void test_lookup_of_what_cannot_be_a_name_is_not_asked(void**) {
  Scene s;
  using namespace std::string_view_literals;
  for (std::string_view host : {""sv, "a\0b"sv, "2001:db8::g"sv, "::1%nosuchzone0"sv, "[::1]"sv}) {
    expect(s.ask(host, AF_INET6), no_name());
  }
  assert_int_equal(s.dns.asked(), 0);
}

void test_lookup_of_a_name_of_254_bytes_is_the_longest(void**) {
  for (size_t len : {253u, 254u, 255u, 100000u}) {
    Scene s;
    std::string host(len, 'a');
    s.dns.answer(host, AF_INET, {"192.0.2.1"});
    expect(s.ask(host, AF_INET), len <= 254 ? "192.0.2.1:0" : no_name());
    assert_int_equal(s.dns.asked(), len <= 254 ? 1 : 0);
  }
}

// ---- answers ----

void test_lookup_asks_for_streams_of_every_configured_family(void**) {
  Scene s;
  s.dns.answer("h", AF_INET6, {"2001:db8::1"});
  expect(s.ask("h", AF_INET6), "[2001:db8::1]:0");
  expect(s.dns.last_flags(), "0 " + std::to_string(SOCK_STREAM));
}

void test_lookup_keeps_the_order_and_drops_duplicates(void**) {
  Scene s;
  s.dns.answer("h", AF_INET, {"192.0.2.9", "192.0.2.1", "2001:db8::1", "192.0.2.9", "192.0.2.5"});
  expect(s.ask("h", AF_INET), "192.0.2.9:0 192.0.2.1:0 192.0.2.5:0");
}

void test_lookup_takes_16_addresses(void**) {
  for (size_t count : {kMaxLookupAddresses - 1, kMaxLookupAddresses, kMaxLookupAddresses + 1}) {
    Scene s;
    std::vector<std::string> all;
    std::string want;
    for (size_t i = 0; i < count; ++i) {
      all.push_back("192.0.2." + std::to_string(i));
      if (i < kMaxLookupAddresses) want += (i != 0 ? " " : "") + all.back() + ":0";
    }
    s.dns.answer("h", AF_INET, all);
    expect(s.ask("h", AF_INET), want);
  }
}

void test_lookup_answer_without_a_usable_address_is_no_address(void**) {
  Scene s;
  s.dns.answer("none", AF_INET, {});
  s.dns.answer("other", AF_INET, {"2001:db8::1"});
  expect(s.ask("none", AF_INET), no_name());
  expect(s.ask("other", AF_INET), no_name());
}

void test_lookup_failures_keep_their_kind(void**) {
  Scene s;
  auto fails_as = [&](int code, int sys_errno, const std::string& want) {
    s.dns.refuse("h", AF_INET, code, sys_errno);
    expect(s.ask("h", AF_INET), want);
  };
  fails_as(EAI_NONAME, 0, no_name());
#ifdef EAI_NODATA
  fails_as(EAI_NODATA, 0, failure(WS_ERR_DNS, 0, gai_strerror(EAI_NODATA), true));
#endif
  fails_as(EAI_AGAIN, 0, failure(WS_ERR_DNS, 0, gai_strerror(EAI_AGAIN)));
  assert_string_not_equal(gai_strerror(EAI_AGAIN), gai_strerror(EAI_NONAME));
  fails_as(EAI_FAIL, 0, failure(WS_ERR_DNS, 0, gai_strerror(EAI_FAIL)));
  fails_as(EAI_MEMORY, 0, failure(WS_ERR_NOMEM, 0, "out of memory"));
  fails_as(EAI_SYSTEM, EMFILE, failure(WS_ERR_IO, EMFILE, "getaddrinfo: Too many open files"));
  fails_as(EAI_SYSTEM, EACCES, failure(WS_ERR_DNS, EACCES, "getaddrinfo: Permission denied"));
}

void test_lookup_by_the_real_getaddrinfo(void**) {
  Scene s;
  system_table.getaddrinfo = real::getaddrinfo;
  system_table.freeaddrinfo = real::freeaddrinfo;
  // A number, but not one that inet_pton() takes: the thread is used, the network is not.
  expect(s.ask("127.1", AF_INET), "127.0.0.1:0");
  assert_int_equal(s.dns.started(), 1);
}

// ---- threads ----

void test_lookup_threads_are_at_most_4(void**) {
  for (size_t count : {3u, 4u, 5u, 40u}) {
    Scene s;
    s.dns.hold_all(true);
    for (size_t i = 0; i < count; ++i) s.start("h" + std::to_string(i), AF_INET);
    size_t most = count < kMaxLookupThreads ? count : kMaxLookupThreads;
    assert_true(s.dns.wait_inside(most));
    s.dns.hold_all(false);
    s.pump(count);
    assert_int_equal(s.dns.asked(), count);
    assert_int_equal(s.dns.most(), most);
    assert_true(s.dns.wait_threads(0));
  }
}

void test_lookup_thread_ends_without_work_and_another_begins(void**) {
  Scene s;
  for (size_t i = 1; i <= 3; ++i) {
    s.ask("h", AF_INET);
    assert_true(s.dns.wait_threads(0));
    assert_int_equal(s.dns.started(), i);
  }
}

void test_lookup_1000_at_once_are_all_answered(void**) {
  Scene s;
  for (int i = 0; i < 1000; ++i) {
    std::string host = "h" + std::to_string(i);
    s.dns.answer(host, AF_INET, {"192.0.2." + std::to_string(i % 250)});
    s.start(host, AF_INET);
  }
  s.pump(1000);
  for (const std::string& t : s.sink.told) assert_int_equal(t.compare(0, 8, "192.0.2."), 0);
  assert_int_equal(s.dns.asked(), 1000);
}

void test_lookup_beyond_1024_waiting_is_refused(void**) {
  for (size_t waiting : {kMaxLookupsWaiting - 1, kMaxLookupsWaiting, kMaxLookupsWaiting + 1}) {
    Scene s;
    s.dns.hold_all(true);
    for (size_t i = 0; i < kMaxLookupThreads; ++i) s.start("running", AF_INET);
    assert_true(s.dns.wait_inside(kMaxLookupThreads));
    Lookup* last = nullptr;
    for (size_t i = 0; i < waiting; ++i) last = s.start("waiting", AF_INET);
    for (int i = 0; i < 3; ++i) s.loop->dispatch(0);
    if (waiting <= kMaxLookupsWaiting) {
      assert_int_equal(s.sink.told.size(), 0);
    } else {
      assert_int_equal(s.sink.told.size(), 1);
      expect(s.sink.told[0], failure(WS_ERR_DNS, 0, "too many look-ups"));
      assert_ptr_equal(s.sink.of[0], last);
    }
    s.dns.hold_all(false);
    s.pump(kMaxLookupThreads + waiting);
  }
}

void test_lookup_cancelled_while_waiting_makes_room(void**) {
  Scene s;
  s.dns.hold_all(true);
  for (size_t i = 0; i < kMaxLookupThreads; ++i) s.start("running", AF_INET);
  assert_true(s.dns.wait_inside(kMaxLookupThreads));
  Lookup* first = s.start("first", AF_INET);
  for (size_t i = 1; i < kMaxLookupsWaiting; ++i) s.start("waiting", AF_INET);
  s.loop->resolver().cancel(first);
  s.start("instead", AF_INET);
  s.start("one too many", AF_INET);
  s.pump(1);
  s.dns.hold_all(false);
  s.pump(kMaxLookupThreads + kMaxLookupsWaiting + 1);
  assert_int_equal(s.dns.asked(), kMaxLookupThreads + kMaxLookupsWaiting);
}

void test_lookup_without_a_thread_fails(void**) {
  Scene s;
  s.dns.thread_error(EAGAIN);
  s.dns.answer("h", AF_INET, {"192.0.2.1"});
  expect(s.ask("h", AF_INET),
         failure(WS_ERR_IO, EAGAIN, std::string("no thread: ") + strerror(EAGAIN)));
  s.dns.thread_error(0);
  expect(s.ask("h", AF_INET), "192.0.2.1:0");
}

void test_lookup_without_another_thread_waits_for_the_first(void**) {
  Scene s;
  s.dns.hold("a", AF_INET);
  s.start("a", AF_INET);
  assert_true(s.dns.wait_inside(1));
  s.dns.thread_error(EAGAIN);
  s.dns.answer("b", AF_INET, {"192.0.2.2"});
  s.start("b", AF_INET);
  for (int i = 0; i < 3; ++i) s.loop->dispatch(0);
  assert_int_equal(s.sink.told.size(), 0);
  s.dns.release("a", AF_INET);
  s.pump(2);
  expect(s.sink.told[1], "192.0.2.2:0");
  assert_int_equal(s.dns.started(), 1);
}

void test_lookup_thread_blocks_signals_and_the_caller_keeps_its_mask(void**) {
  static std::atomic<int> open_signals;
  open_signals = -1;
  sigset_t before, after;
  pthread_sigmask(SIG_SETMASK, nullptr, &before);
  int rc = real::start_thread(
      [](void*) -> void* {
        sigset_t mask;
        pthread_sigmask(SIG_SETMASK, nullptr, &mask);
        int open = 0;
        for (int s : {SIGINT, SIGTERM, SIGCHLD, SIGUSR1, SIGPIPE, SIGALRM, SIGHUP}) {
          open += sigismember(&mask, s) == 0;
        }
        open_signals = open;
        return nullptr;
      },
      nullptr);
  assert_int_equal(rc, 0);
  pthread_sigmask(SIG_SETMASK, nullptr, &after);
  for (int s : {SIGINT, SIGTERM, SIGCHLD, SIGUSR1}) {
    assert_int_equal(sigismember(&before, s), sigismember(&after, s));
  }
  for (int i = 0; open_signals < 0 && i < 6000; ++i) real::poll(nullptr, 0, 10);
  assert_int_equal(open_signals, 0);
}

// ---- cancelling, and the loop's end ----

void test_lookup_cancelled_in_every_state_is_not_told(void**) {
  Scene s;
  s.dns.answer("h", AF_INET, {"192.0.2.1"});
  s.dns.hold_all(true);
  std::vector<Lookup*> running;
  for (size_t i = 0; i < kMaxLookupThreads; ++i) running.push_back(s.start("h", AF_INET));
  assert_true(s.dns.wait_inside(kMaxLookupThreads));
  Lookup* waiting = s.start("never asked", AF_INET);
  Lookup* literal = s.start("192.0.2.1", AF_INET);  // has its answer already
  s.loop->resolver().cancel(waiting);
  s.loop->resolver().cancel(literal);
  s.loop->resolver().cancel(running[0]);
  s.dns.hold_all(false);
  assert_true(s.dns.wait_threads(0));  // so the others have their answer, and the loop not yet
  s.loop->resolver().cancel(running[1]);
  s.pump(2);
  s.loop->dispatch(0);
  assert_int_equal(s.sink.told.size(), 2);
  assert_true(s.sink.of[0] == running[2] || s.sink.of[0] == running[3]);
  assert_int_equal(s.dns.asked(), kMaxLookupThreads);
}

void test_lookup_cancelled_by_another_of_the_batch_is_not_told(void**) {
  Scene s;
  s.start("192.0.2.1", AF_INET);
  Lookup* second = s.start("192.0.2.2", AF_INET);
  Lookup* third = s.start("192.0.2.3", AF_INET);
  s.sink.then = [&] {
    s.loop->resolver().cancel(third);
    s.loop->resolver().cancel(second);
    s.start("192.0.2.4", AF_INET);
  };
  s.pump(2);
  s.loop->dispatch(0);
  assert_int_equal(s.sink.told.size(), 2);
  expect(s.sink.told[1], "192.0.2.4:0");
}

void test_lookup_answer_wakes_a_waiting_loop(void**) {
  Scene s;
  s.dns.hold("h", AF_INET);
  s.start("h", AF_INET);
  assert_true(s.dns.wait_inside(1));
  s.dns.release("h", AF_INET);
  // Without the wake-up each of these would last for its whole minute.
  for (int i = 0; i < 2 && s.sink.told.empty(); ++i) s.loop->dispatch(60000);
  assert_int_equal(s.sink.told.size(), 1);
}

void test_lookup_outlived_by_nobody_ends_with_its_thread(void**) {
  Scene s;
  s.dns.answer("h", AF_INET, {"192.0.2.1"});
  s.dns.hold_all(true);
  for (int i = 0; i < 20; ++i) s.start("h", AF_INET);
  s.start("192.0.2.1", AF_INET);
  assert_true(s.dns.wait_inside(kMaxLookupThreads));
  s.free_loop();  // does not wait for the threads: they are held
  size_t told = s.sink.told.size();
  assert_int_equal(told, 1);  // the literal's answer was on its way
  assert_int_equal(s.dns.inside(), kMaxLookupThreads);
  s.dns.hold_all(false);
  assert_true(s.dns.quiet());
  assert_int_equal(s.dns.asked(), kMaxLookupThreads);  // what waited was dropped
  assert_int_equal(s.sink.told.size(), told);
}

void test_lookup_loop_freed_while_threads_answer(void**) {
  for (int round = 0; round < 50; ++round) {
    Scene s;
    s.dns.answer("h", AF_INET, {"192.0.2.1"});
    for (int i = 0; i < 30; ++i) s.start("h", AF_INET);
    for (int i = 0; i < round % 5; ++i) s.loop->dispatch(0);
    s.free_loop();
    assert_true(s.dns.quiet());
  }
}

void test_lookup_allocation_failures_leave_nothing_behind(void**) {
  for (uint64_t n = 1; n < 30; ++n) {
    Scene s;
    s.dns.answer("a-name-that-is-too-long-for-the-small-string", AF_INET, {"192.0.2.1"});
    Faults faults;
    faults.fail_alloc = n;
    set_faults(faults);
    s.dns.install();
    bool threw = false;
    try {
      s.start("a-name-that-is-too-long-for-the-small-string", AF_INET);
    } catch (const std::bad_alloc&) {
      threw = true;
    }
    assert_int_equal(threw, allocations_seen() >= n);
    if (!threw) {
      s.pump(1);
      expect(s.sink.told[0], "192.0.2.1:0");
      assert_true(s.dns.wait_threads(0));
      assert_true(n > 3);
      return;
    }
    s.dns.wait_threads(0);
  }
  assert_true(false);  // never enough memory
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_lookup_of_a_literal_needs_no_thread),
      cmocka_unit_test(test_lookup_of_localhost_is_loopback_without_asking),
      cmocka_unit_test(test_lookup_of_what_only_looks_like_localhost_is_asked),
      cmocka_unit_test(test_lookup_of_what_cannot_be_a_name_is_not_asked),
      cmocka_unit_test(test_lookup_of_a_name_of_254_bytes_is_the_longest),
      cmocka_unit_test(test_lookup_asks_for_streams_of_every_configured_family),
      cmocka_unit_test(test_lookup_keeps_the_order_and_drops_duplicates),
      cmocka_unit_test(test_lookup_takes_16_addresses),
      cmocka_unit_test(test_lookup_answer_without_a_usable_address_is_no_address),
      cmocka_unit_test(test_lookup_failures_keep_their_kind),
      cmocka_unit_test(test_lookup_by_the_real_getaddrinfo),
      cmocka_unit_test(test_lookup_threads_are_at_most_4),
      cmocka_unit_test(test_lookup_thread_ends_without_work_and_another_begins),
      cmocka_unit_test(test_lookup_1000_at_once_are_all_answered),
      cmocka_unit_test(test_lookup_beyond_1024_waiting_is_refused),
      cmocka_unit_test(test_lookup_cancelled_while_waiting_makes_room),
      cmocka_unit_test(test_lookup_without_a_thread_fails),
      cmocka_unit_test(test_lookup_without_another_thread_waits_for_the_first),
      cmocka_unit_test(test_lookup_thread_blocks_signals_and_the_caller_keeps_its_mask),
      cmocka_unit_test(test_lookup_cancelled_in_every_state_is_not_told),
      cmocka_unit_test(test_lookup_cancelled_by_another_of_the_batch_is_not_told),
      cmocka_unit_test(test_lookup_answer_wakes_a_waiting_loop),
      cmocka_unit_test(test_lookup_outlived_by_nobody_ends_with_its_thread),
      cmocka_unit_test(test_lookup_loop_freed_while_threads_answer),
      cmocka_unit_test(test_lookup_allocation_failures_leave_nothing_behind),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
