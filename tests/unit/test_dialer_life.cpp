// A dialer's life: on real sockets, cancelled, beside others, forgotten, without memory.
#include "libws/net/dialer.hpp"

#include "dial_support.hpp"

#include <netinet/in.h>
#include <poll.h>
#include <string>
#include <vector>

using namespace libws;
using namespace libws::test;

namespace {

struct Server {
  int fd = -1;
  Address at;
  explicit Server(const char* host = "127.0.0.1") {
    assert_true(address_literal(host, &at));
    if (socket_listen(at, {}, &fd).failed()) return;
    assert_true(socket_local_address(fd, &at));
  }
  ~Server() { hang_up(); }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;
  void hang_up() {
    if (fd >= 0) ::close(fd);
    fd = -1;
  }
};

void expect_connected(int fd) {
  sockaddr_storage peer;
  socklen_t len = sizeof peer;
  assert_int_equal(getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &len), 0);
}

void test_dial_literal_connects(void** state) {
  for (const char* host : {"127.0.0.1", "::1", "::1%lo"}) {
    Server server(strchr(host, ':') != nullptr ? "::1" : host);
    if (server.fd < 0) continue;  // no IPv6 here
    DialScene s(poller(state));
    s.otherwise = Fate::kReal;
    s.dial(host, server.at.port());
    s.wait_told();
    assert_true(s.result.fd >= 0);
    expect_connected(s.result.fd);
    assert_int_equal(s.dns.started(), 0);
    char printed[kAddressTextBytes];
    address_print(server.at, printed);
    expect(s.result.peer, printed);
  }
}

void test_dial_refused_by_the_system(void** state) {
  Server server;
  server.hang_up();
  DialScene s(poller(state));
  s.otherwise = Fate::kReal;
  s.dial("127.0.0.1", server.at.port());
  s.wait_told();
  assert_int_equal(s.result.error, WS_ERR_CONNECT);
  assert_int_equal(s.result.sys_errno, ECONNREFUSED);
}

void test_dial_localhost_reaches_an_ipv4_server(void** state) {
  Server server;
  for (const char* host : {"localhost", "localhost.", "www.LocalHost"}) {
    DialScene s(poller(state));
    s.otherwise = Fate::kReal;
    s.dns.answer(host, AF_INET, {"192.0.2.66"});
    s.dial(host, server.at.port());
    s.wait_told();
    assert_true(s.result.fd >= 0);
    expect(s.result.peer, "127.0.0.1:" + std::to_string(server.at.port()));
    expect(s.attempts[0], "[::1]:" + std::to_string(server.at.port()) + " @ 0");
    assert_int_equal(s.dns.asked(), 0);
  }
}

// The system drops what does not fit into the queue of a listener, so connecting takes for ever.
void test_dial_passes_a_listener_whose_queue_is_full(void** state) {
  Server good;
  Address full;
  assert_true(address_literal("127.0.0.2", &full));
  full.set_port(good.at.port());
  ListenOptions options;
  options.backlog = 0;
  int listener = -1;
  assert_false(socket_listen(full, options, &listener).failed());
  std::vector<int> waiting;
  for (int i = 0; i < 8; ++i) {
    waiting.push_back(real::socket(AF_INET, SOCK_STREAM, 0));
    real::connect(waiting.back(), full.get(), full.len);
  }
  {
    DialScene s(poller(state));
    s.otherwise = Fate::kReal;
    s.dns.answer("h", AF_INET, {"127.0.0.2", "127.0.0.1"});
    s.dial("h", good.at.port());
    s.turns_with(0);
    s.advance_ms(249);
    assert_int_equal(s.attempts.size(), 1);
    assert_int_equal(s.result.told, 0);
    s.advance_ms(1);
    s.wait_told();
    expect(s.result.peer, "127.0.0.1:" + std::to_string(good.at.port()));
    expect_connected(s.result.fd);
  }
  for (int fd : waiting) ::close(fd);
  ::close(listener);
}

// ---- cancelling, and what callbacks may do ----

void test_dial_cancelled_in_every_phase_leaves_nothing(void** state) {
  for (int phase = 0; phase < 8; ++phase) {
    DialScene s(poller(state));
    name(s, 2, 2);
    if (phase == 1 || phase == 2) s.dns.hold_all(true);
    if (phase == 3) s.dns.hold("h", AF_INET6);
    Dialer* d = s.dial("h");
    if (phase == 0) assert_true(s.dns.wait_threads(0));  // answered, and not yet told
    if (phase == 1) assert_true(s.dns.wait_inside(2));
    if (phase == 2) s.turns();
    if (phase == 3) s.turns_with(1);  // IPv4 waits for IPv6
    if (phase >= 4) s.turns_with(0);  // one attempt
    if (phase >= 5) s.advance_ms(250);
    if (phase == 6) s.advance_ms(10000);  // all four
    if (phase == 7) {
      d->cancel();
      d->cancel();  // twice is once, until the turn is over
    } else if (phase % 2 == 0) {
      Error posted = s.loop->post(
          [](ws_loop*, void* dialer, int) { static_cast<Dialer*>(dialer)->cancel(); }, d);
      assert_false(posted.failed());
    } else {
      d->cancel();
    }
    s.turns();
    assert_int_equal(s.open_sockets(), 0);
    assert_int_equal(s.loop->timers().count(), 0);
    size_t tried = s.attempts.size();
    s.dns.hold_all(false);
    s.dns.release("h", AF_INET6);
    s.turns_with(0);
    s.advance_ms(1000);
    assert_int_equal(s.attempts.size(), tried);
    assert_int_equal(s.result.told, 0);
  }
}

void test_dial_cancelled_by_another_ready_in_the_same_turn(void** state) {
  DialScene s(poller(state));
  s.otherwise = Fate::kSoon;
  DialResult results[2];
  Dialer* dialers[2];
  for (int i = 0; i < 2; ++i) {
    dialers[i] = s.dial(results[i], v4(i + 1).c_str());
    results[i].then = [&, i] { dialers[1 - i]->cancel(); };
  }
  s.turns();
  assert_int_equal(results[0].told + results[1].told, 1);
  assert_int_equal(s.open_sockets(), 1);
  for (DialResult& r : results) {
    if (r.fd >= 0) socket_close(r.fd);
  }
}

void test_dial_cancelled_by_another_answered_in_the_same_turn(void** state) {
  DialScene s(poller(state));
  s.otherwise = Fate::kRefused;
  DialResult second;
  s.dial("192.0.2.1");
  Dialer* other = s.dial(second, "192.0.2.2");
  s.result.then = [&] { other->cancel(); };
  s.turns();
  assert_int_equal(s.result.told, 1);
  assert_int_equal(second.told, 0);
  assert_int_equal(s.attempts.size(), 1);
}

void test_dial_again_from_inside_the_callbacks(void** state) {
  DialScene s(poller(state));
  s.otherwise = Fate::kRefused;
  s.fate("192.0.2.3:80", Fate::kAccepts);
  DialResult second, third;
  s.result.then = [&] { s.dial(second, "192.0.2.2"); };
  second.then = [&] { s.dial(third, "192.0.2.3"); };
  s.dial("192.0.2.1");
  s.turns();
  s.turns();
  assert_int_equal(s.result.error, WS_ERR_CONNECT);
  assert_int_equal(second.error, WS_ERR_CONNECT);
  assert_int_equal(third.told, 1);
  int extra = third.fd;
  DialResult fourth;
  third.told = 0;
  third.then = [&] { s.dial(fourth, "192.0.2.3"); };
  s.dial(third, "192.0.2.3");
  s.turns();
  s.turns();
  assert_int_equal(fourth.told, 1);
  for (int fd : {extra, third.fd, fourth.fd}) socket_close(fd);
}

void test_dial_forgotten_ends_with_the_loop_and_is_not_told(void** state) {
  for (int phase = 0; phase < 4; ++phase) {
    DialScene s(poller(state));
    name(s, 1, 1);
    s.fate("192.0.2.7:80", Fate::kAccepts);
    if (phase == 1) s.dns.hold_all(true);
    if (phase == 3) {
      s.dial("192.0.2.7");  // its answer is on its way
    } else {
      s.dial("h");
    }
    if (phase == 1) assert_true(s.dns.wait_inside(2));
    if (phase == 2) s.turns_with(0);
    s.free_loop();
    assert_int_equal(s.result.told, 0);
    assert_int_equal(s.open_sockets(), 0);
    s.dns.hold_all(false);
  }
}

void test_dial_500_names_at_once(void** state) {
  DialScene s(poller(state));
  s.otherwise = Fate::kRefused;
  std::vector<std::unique_ptr<DialResult>> results;
  for (int i = 0; i < 500; ++i) {
    std::string host = "h" + std::to_string(i);
    s.dns.answer(host, AF_INET, {v4(i % 250)});
    results.push_back(std::make_unique<DialResult>());
    s.dial(*results.back(), host.c_str());
  }
  for (auto& r : results) {
    s.wait_told(*r, 1);
    assert_int_equal(r->error, WS_ERR_CONNECT);
  }
}

void test_dial_allocation_failures_leave_nothing_behind(void** state) {
  for (uint64_t n = 1; n < 60; ++n) {
    DialScene s(poller(state));
    const char* host = "a-name-that-is-too-long-for-the-small-string";
    s.dns.answer(host, AF_INET6, {"2001:db8::1"});
    s.dns.answer(host, AF_INET, {"192.0.2.1"});
    s.otherwise = Fate::kSoon;
    Faults faults;
    faults.fail_alloc = n;
    set_faults(faults);
    s.install();
    try {
      s.dial(host);
    } catch (const std::bad_alloc&) {
      assert_int_equal(s.result.told, 0);
      assert_true(s.dns.wait_threads(0));
      continue;
    }
    s.wait_told();
    // One failure never spoils the dial: the other address is there.
    assert_true(s.result.fd >= 0);
    assert_true(s.dns.wait_threads(0));
    if (allocations_seen() < n) {
      assert_true(n > 7);
      return;
    }
  }
  assert_true(false);
}

void test_dial_without_memory_for_any_attempt_is_nomem(void** state) {
  DialScene s(poller(state));
  s.dial("192.0.2.1");
  Faults faults;
  faults.fail_alloc = 1;
  faults.fail_alloc_on = true;
  set_faults(faults);
  s.install();
  s.turns();
  assert_int_equal(s.result.told, 1);
  assert_int_equal(s.result.error, WS_ERR_NOMEM);
  assert_int_equal(s.result.sys_errno, ENOMEM);
}

void test_dial_log_tells_attempts_and_outcomes(void** state) {
  DialScene s(poller(state));
  name(s, 2, 1);
  s.dns.hold("h", AF_INET);
  s.fate("[2001:db8::1]:80", Fate::kRefused);
  s.fate("192.0.2.1:80", Fate::kSoon);
  s.dial("h");
  s.turns_with(1);
  s.dns.release("h", AF_INET);
  s.turns_with(0);
  s.advance_ms(250);
  const char* want[] = {
      "dial host=h ipv6: 2 addresses",
      "dial host=h address=[2001:db8::1]:80: Connection refused",
      "dial host=h address=[2001:db8::2]:80: connecting",
      "dial host=h ipv4: 1 addresses",
      "dial host=h address=192.0.2.1:80: connecting",
      "dial host=h address=192.0.2.1:80: connected",
      "dial host=h address=[2001:db8::2]:80: abandoned",
  };
  assert_int_equal(s.lines.size(), sizeof want / sizeof want[0]);
  for (size_t i = 0; i < s.lines.size(); ++i) expect(s.lines[i], want[i]);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      BOTH(test_dial_literal_connects),
      BOTH(test_dial_refused_by_the_system),
      BOTH(test_dial_localhost_reaches_an_ipv4_server),
      BOTH(test_dial_passes_a_listener_whose_queue_is_full),
      BOTH(test_dial_cancelled_in_every_phase_leaves_nothing),
      BOTH(test_dial_cancelled_by_another_ready_in_the_same_turn),
      BOTH(test_dial_cancelled_by_another_answered_in_the_same_turn),
      BOTH(test_dial_again_from_inside_the_callbacks),
      BOTH(test_dial_forgotten_ends_with_the_loop_and_is_not_told),
      BOTH(test_dial_500_names_at_once),
      BOTH(test_dial_allocation_failures_leave_nothing_behind),
      BOTH(test_dial_without_memory_for_any_attempt_is_nomem),
      BOTH(test_dial_log_tells_attempts_and_outcomes),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
