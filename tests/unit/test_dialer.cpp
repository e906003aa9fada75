// Dialing by name: which address is tried when, which connection wins, what the failure says, and
// that nothing is left of what lost or was cancelled.
#include "libws/net/dialer.hpp"

#include "dial_support.hpp"

#include <netinet/in.h>
#include <string>
#include <vector>

using namespace libws;
using namespace libws::test;

namespace {

// ---- which address when (RFC 8305) ----

void test_dial_ipv6_answer_starts_without_waiting_for_ipv4(void** state) {
  DialScene s(poller(state));
  name(s, 1, 1);
  s.dns.hold("h", AF_INET);
  s.dial("h");
  s.turns_with(1);
  expect(s.tried(), "[2001:db8::1]:80 @ 0");
  s.dns.release("h", AF_INET);
  s.turns_with(0);
  expect(s.tried(), "[2001:db8::1]:80 @ 0");
  s.advance_ms(249);
  expect(s.tried(), "[2001:db8::1]:80 @ 0");
  s.advance_ms(1);
  expect(s.tried(), "[2001:db8::1]:80 @ 0, 192.0.2.1:80 @ 250");
}

void test_dial_ipv4_answer_waits_50_ms_for_ipv6(void** state) {
  DialScene s(poller(state));
  name(s, 1, 1);
  s.dns.hold("h", AF_INET6);
  s.dial("h");
  s.turns_with(1);
  s.advance_ms(49);
  expect(s.tried(), "");
  s.advance_ms(1);
  expect(s.tried(), "192.0.2.1:80 @ 50");
  // IPv6 comes late: it is next, but not before its time.
  s.dns.release("h", AF_INET6);
  s.turns_with(0);
  s.advance_ms(249);
  expect(s.tried(), "192.0.2.1:80 @ 50");
  s.advance_ms(1);
  expect(s.tried(), "192.0.2.1:80 @ 50, [2001:db8::1]:80 @ 300");
}

void test_dial_ipv6_answer_within_the_wait_is_first(void** state) {
  DialScene s(poller(state));
  name(s, 1, 1);
  s.dns.hold("h", AF_INET6);
  s.dial("h");
  s.turns_with(1);
  s.advance_ms(49);
  s.dns.release("h", AF_INET6);
  s.turns_with(0);
  expect(s.tried(), "[2001:db8::1]:80 @ 49");
  s.advance_ms(250);
  expect(s.tried(), "[2001:db8::1]:80 @ 49, 192.0.2.1:80 @ 299");
}

void test_dial_ipv6_failure_within_the_wait_ends_it(void** state) {
  DialScene s(poller(state));
  name(s, 0, 1);
  s.dns.refuse("h", AF_INET6, EAI_AGAIN);
  s.dns.hold("h", AF_INET6);
  s.dial("h");
  s.turns_with(1);
  s.advance_ms(20);
  s.dns.release("h", AF_INET6);
  s.turns_with(0);
  expect(s.tried(), "192.0.2.1:80 @ 20");
}

void test_dial_ipv4_after_a_failed_ipv6_does_not_wait(void** state) {
  DialScene s(poller(state));
  name(s, 0, 1);
  s.dns.hold("h", AF_INET);
  s.dial("h");
  s.turns_with(1);
  expect(s.tried(), "");
  s.dns.release("h", AF_INET);
  s.turns_with(0);
  expect(s.tried(), "192.0.2.1:80 @ 0");
}

void test_dial_failed_ipv4_leaves_ipv6_to_be_awaited(void** state) {
  DialScene s(poller(state));
  name(s, 1, 0);
  s.dns.hold("h", AF_INET6);
  s.dial("h");
  s.turns_with(1);
  s.advance_ms(100);
  assert_int_equal(s.result.told, 0);
  s.dns.release("h", AF_INET6);
  s.turns_with(0);
  expect(s.tried(), "[2001:db8::1]:80 @ 100");
}

void test_dial_attempts_are_250_ms_apart_families_in_turn(void** state) {
  DialScene s(poller(state));
  name(s, 3, 2);
  s.dial("h");
  s.turns_with(0);
  for (int i = 0; i < 100; ++i) s.advance_ms(25);
  expect(s.tried(),
         "[2001:db8::1]:80 @ 0, 192.0.2.1:80 @ 250, [2001:db8::2]:80 @ 500, "
         "192.0.2.2:80 @ 750, [2001:db8::3]:80 @ 1000");
  assert_int_equal(s.result.told, 0);  // no time limit of its own
  assert_int_equal(s.open_sockets(), 5);
  assert_int_equal(s.loop->timers().count(), 0);
}

void test_dial_late_addresses_start_at_once_when_their_time_has_passed(void** state) {
  DialScene s(poller(state));
  name(s, 1, 1);
  s.dns.hold("h", AF_INET);
  s.dial("h");
  s.turns_with(1);
  s.advance_ms(400);
  s.dns.release("h", AF_INET);
  s.turns_with(0);
  expect(s.tried(), "[2001:db8::1]:80 @ 0, 192.0.2.1:80 @ 400");
}

void test_dial_refused_inside_connect_tries_the_next_at_once(void** state) {
  DialScene s(poller(state));
  name(s, 2, 1);
  s.fail_with("[2001:db8::1]:80", ENETUNREACH);
  s.fate("192.0.2.1:80", Fate::kRefused);
  s.fate("[2001:db8::2]:80", Fate::kAccepts);
  s.dns.hold("h", AF_INET6);
  s.dial("h");
  s.turns_with(1);  // so that IPv4 is there when IPv6 begins
  s.dns.release("h", AF_INET6);
  s.turns_with(0);
  expect(s.tried(), "[2001:db8::1]:80 @ 0, 192.0.2.1:80 @ 0, [2001:db8::2]:80 @ 0");
  assert_int_equal(s.result.told, 1);
  expect(s.result.peer, "[2001:db8::2]:80");
}

void test_dial_refused_later_tries_the_next_at_once(void** state) {
  DialScene s(poller(state));
  name(s, 1, 1);
  s.fate("[2001:db8::1]:80", Fate::kLater);
  s.fate("192.0.2.1:80", Fate::kSoon);
  s.dial("h");
  s.turns_with(0);
  expect(s.tried(), "[2001:db8::1]:80 @ 0, 192.0.2.1:80 @ 0");
  assert_int_equal(s.result.told, 1);
  expect(s.result.peer, "192.0.2.1:80");
}

void test_dial_failure_beside_a_silent_attempt_tries_the_next_at_once(void** state) {
  DialScene s(poller(state));
  name(s, 2, 1);
  s.fate("192.0.2.1:80", Fate::kLater);
  s.dial("h");
  s.turns_with(0);
  s.advance_ms(250);
  expect(s.tried(), "[2001:db8::1]:80 @ 0, 192.0.2.1:80 @ 250, [2001:db8::2]:80 @ 250");
}

void test_dial_silent_address_is_passed_after_250_ms_and_closed(void** state) {
  DialScene s(poller(state));
  name(s, 1, 1);
  s.fate("192.0.2.1:80", Fate::kSoon);
  s.dial("h");
  s.turns_with(0);
  s.advance_ms(249);
  assert_int_equal(s.result.told, 0);
  s.advance_ms(1);
  assert_int_equal(s.result.told, 1);
  expect(s.result.peer, "192.0.2.1:80");
  assert_int_equal(s.open_sockets(), 1);
  assert_int_equal(s.loop->timers().count(), 0);
}

void test_dial_connection_before_the_second_answer_drops_that(void** state) {
  DialScene s(poller(state));
  name(s, 1, 1);
  s.fate("[2001:db8::1]:80", Fate::kSoon);
  s.dns.hold("h", AF_INET);
  s.dial("h");
  s.turns_with(1);
  assert_int_equal(s.result.told, 1);
  s.dns.release("h", AF_INET);
  s.turns_with(0);
  assert_int_equal(s.attempts.size(), 1);
  assert_int_equal(s.result.told, 1);
}

void test_dial_tries_16_addresses_of_each_family(void** state) {
  for (int count : {15, 16, 17}) {
    DialScene s(poller(state));
    name(s, count, count);
    s.otherwise = Fate::kRefused;
    s.dial("h");
    s.turns_with(0);
    assert_int_equal(s.attempts.size(), 2 * std::min(count, 16));
    assert_int_equal(s.result.told, 1);
    assert_int_equal(s.result.error, WS_ERR_CONNECT);
  }
}

// ---- what the failure says ----

void test_dial_failed_everywhere_names_each_address(void** state) {
  DialScene s(poller(state));
  name(s, 1, 1);
  s.fail_with("[2001:db8::1]:443", ENETUNREACH);
  s.fate("192.0.2.1:443", Fate::kLater);
  s.dial("h", 443);
  s.turns_with(0);
  assert_int_equal(s.result.told, 1);
  assert_int_equal(s.result.error, WS_ERR_CONNECT);
  assert_int_equal(s.result.sys_errno, ENETUNREACH);
  expect(s.result.detail,
         "connect h:443: [2001:db8::1]:443: Network is unreachable; "
         "192.0.2.1:443: Connection refused");
}

void test_dial_failure_detail_is_bounded(void** state) {
  DialScene s(poller(state));
  name(s, 16, 16);
  s.otherwise = Fate::kRefused;
  s.dial("h");
  s.turns_with(0);
  assert_true(s.result.detail.size() < 256);
  assert_int_equal(s.result.detail.find("connect h:80: [2001:db8::1]:80: Connection refused; "), 0);
  expect(s.result.detail.substr(s.result.detail.size() - 5), "; ...");
}

void test_dial_failure_at_a_literal_says_it_once(void** state) {
  DialScene s(poller(state));
  s.otherwise = Fate::kRefused;
  s.dial("192.0.2.1", 81);
  s.turns();
  expect(s.result.detail, "connect 192.0.2.1:81: Connection refused");
  s.dial("2001:db8::1", 81);
  s.turns();
  expect(s.result.detail, "connect [2001:db8::1]:81: Connection refused");
  assert_int_equal(s.dns.started(), 0);
}

void test_dial_unknown_name_is_a_dns_error(void** state) {
  DialScene s(poller(state));
  s.dial("no.example");
  s.wait_told();
  assert_int_equal(s.result.error, WS_ERR_DNS);
  assert_int_equal(s.result.sys_errno, 0);
  expect(s.result.detail, std::string("look up no.example: ") + gai_strerror(EAI_NONAME));
  expect(s.tried(), "");
}

void test_dial_name_in_a_detail_is_escaped(void** state) {
  DialScene s(poller(state));
  s.dial("a\x1b[2J\n");
  s.wait_told();
  expect(s.result.detail, std::string("look up a\\x1b[2J\\x0a: ") + gai_strerror(EAI_NONAME));
  DialResult second;
  std::string long_name(254, '\x01');
  s.dns.answer(long_name, AF_INET, {"192.0.2.1"});
  s.otherwise = Fate::kRefused;
  s.dial(second, long_name.c_str(), 65535);
  s.wait_told(second, 1);
  assert_int_equal(second.error, WS_ERR_CONNECT);
  assert_int_equal(second.detail.find("connect \\x01\\x01"), 0);
  assert_true(second.detail.find("...:65535: 192.0.2.1:65535: Connection refused") !=
              std::string::npos);
}

void test_dial_says_the_more_telling_of_two_lookup_failures(void** state) {
  struct {
    int ipv6, ipv4, told;
  } const cases[] = {
      {EAI_NONAME, EAI_AGAIN, EAI_AGAIN},
      {EAI_AGAIN, EAI_NONAME, EAI_AGAIN},
      {EAI_NONAME, EAI_NONAME, EAI_NONAME},
      {EAI_FAIL, EAI_FAIL, EAI_FAIL},
  };
  for (auto& c : cases) {
    for (int first : {AF_INET, AF_INET6}) {  // whichever answers first
      DialScene s(poller(state));
      s.dns.refuse("h", AF_INET6, c.ipv6);
      s.dns.refuse("h", AF_INET, c.ipv4);
      int second = first == AF_INET ? AF_INET6 : AF_INET;
      s.dns.hold("h", second);
      s.dial("h");
      s.turns_with(1);
      assert_int_equal(s.result.told, 0);
      s.dns.release("h", second);
      s.turns_with(0);
      assert_int_equal(s.result.error, WS_ERR_DNS);
      expect(s.result.detail, std::string("look up h: ") + gai_strerror(c.told));
    }
  }
}

void test_dial_lookup_without_resources_is_not_a_dns_error(void** state) {
  DialScene s(poller(state));
  s.dns.refuse("h", AF_INET6, EAI_SYSTEM, EMFILE);
  s.dial("h");
  s.wait_told();
  assert_int_equal(s.result.error, WS_ERR_IO);
  assert_int_equal(s.result.sys_errno, EMFILE);
  expect(s.result.detail, "look up h: getaddrinfo: Too many open files");
  s.dns.refuse("h", AF_INET, EAI_MEMORY);
  s.dns.refuse("h", AF_INET6, EAI_NONAME);
  s.dial("h");
  s.wait_told(2);
  assert_int_equal(s.result.error, WS_ERR_NOMEM);
  s.turns_with(0);
  s.dns.thread_error(EAGAIN);
  s.dial("h");
  s.wait_told(3);
  assert_int_equal(s.result.error, WS_ERR_IO);
  assert_int_equal(s.result.sys_errno, EAGAIN);
}

void test_dial_without_descriptors_is_an_io_error(void** state) {
  for (int e : {EMFILE, ENFILE, ENOBUFS, ENOMEM}) {
    DialScene s(poller(state));
    name(s, 1, 1);
    s.socket_error = e;
    s.dial("h");
    s.turns_with(0);
    assert_int_equal(s.result.told, 1);
    assert_int_equal(s.result.error, WS_ERR_IO);
    assert_int_equal(s.result.sys_errno, e);
    assert_int_equal(s.result.detail.find("connect h:80: [2001:db8::1]:80: "), 0);
  }
}

void test_dial_without_ipv6_in_the_system_uses_ipv4(void** state) {
  DialScene s(poller(state));
  s.socket_error = EAFNOSUPPORT;
  name(s, 1, 0);
  s.dial("h");
  s.turns_with(0);
  assert_int_equal(s.result.error, WS_ERR_CONNECT);
  assert_int_equal(s.result.sys_errno, EAFNOSUPPORT);
}

void test_dial_out_of_descriptors_beside_an_attempt_leaves_that_its_chance(void** state) {
  DialScene s(poller(state));
  name(s, 1, 1);
  s.fate("[2001:db8::1]:80", Fate::kSoon);
  s.dns.hold("h", AF_INET6);
  s.dial("h");
  s.turns_with(1);
  s.socket_error = EMFILE;
  s.advance_ms(50);  // IPv4 cannot be tried
  assert_int_equal(s.result.told, 0);
  s.socket_error = 0;
  s.dns.release("h", AF_INET6);
  s.turns_with(0);
  assert_int_equal(s.result.told, 1);
  expect(s.result.peer, "[2001:db8::1]:80");
}

void test_dial_local_trouble_counts_more_than_a_refusal(void** state) {
  DialScene s(poller(state));
  name(s, 1, 1);
  s.fate("[2001:db8::1]:80", Fate::kRefused);
  s.fail_with("192.0.2.1:80", ENOBUFS);
  s.dial("h");
  s.turns_with(0);
  assert_int_equal(s.result.error, WS_ERR_IO);
  assert_int_equal(s.result.sys_errno, ENOBUFS);
}

void test_dial_that_cannot_be_watched_is_an_io_error(void**) {
  DialScene s("epoll");
  system_table.epoll_ctl = [](int fd, int op, int of, epoll_event* ev) {
    if (op == EPOLL_CTL_ADD) {
      errno = ENOSPC;
      return -1;
    }
    return real::epoll_ctl(fd, op, of, ev);
  };
  s.dial("192.0.2.1");
  s.turns();
  assert_int_equal(s.result.told, 1);
  assert_int_equal(s.result.error, WS_ERR_IO);
  assert_int_equal(s.result.sys_errno, ENOSPC);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      BOTH(test_dial_ipv6_answer_starts_without_waiting_for_ipv4),
      BOTH(test_dial_ipv4_answer_waits_50_ms_for_ipv6),
      BOTH(test_dial_ipv6_answer_within_the_wait_is_first),
      BOTH(test_dial_ipv6_failure_within_the_wait_ends_it),
      BOTH(test_dial_ipv4_after_a_failed_ipv6_does_not_wait),
      BOTH(test_dial_failed_ipv4_leaves_ipv6_to_be_awaited),
      BOTH(test_dial_attempts_are_250_ms_apart_families_in_turn),
      BOTH(test_dial_late_addresses_start_at_once_when_their_time_has_passed),
      BOTH(test_dial_refused_inside_connect_tries_the_next_at_once),
      BOTH(test_dial_refused_later_tries_the_next_at_once),
      BOTH(test_dial_failure_beside_a_silent_attempt_tries_the_next_at_once),
      BOTH(test_dial_silent_address_is_passed_after_250_ms_and_closed),
      BOTH(test_dial_connection_before_the_second_answer_drops_that),
      BOTH(test_dial_tries_16_addresses_of_each_family),
      BOTH(test_dial_failed_everywhere_names_each_address),
      BOTH(test_dial_failure_detail_is_bounded),
      BOTH(test_dial_failure_at_a_literal_says_it_once),
      BOTH(test_dial_unknown_name_is_a_dns_error),
      BOTH(test_dial_name_in_a_detail_is_escaped),
      BOTH(test_dial_says_the_more_telling_of_two_lookup_failures),
      BOTH(test_dial_lookup_without_resources_is_not_a_dns_error),
      BOTH(test_dial_without_descriptors_is_an_io_error),
      BOTH(test_dial_without_ipv6_in_the_system_uses_ipv4),
      BOTH(test_dial_out_of_descriptors_beside_an_attempt_leaves_that_its_chance),
      BOTH(test_dial_local_trouble_counts_more_than_a_refusal),
      cmocka_unit_test(test_dial_that_cannot_be_watched_is_an_io_error),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
