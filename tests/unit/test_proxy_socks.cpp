// SOCKS 5 and 4a: the bytes that are said, every reply by its name, and every wrong byte refused.

#include "proxy_talk_support.hpp"

using namespace http_test;
using namespace proxy_test;

namespace {

const Proxy kOpen5 = proxy_of(ProxyKind::kSocks5);
const Proxy kLogin5 = proxy_of(ProxyKind::kSocks5, "user", "pass");
const Proxy kOpen4 = proxy_of(ProxyKind::kSocks4a);

Make talk(const Proxy& proxy, string_view host = "h", uint16_t port = 443) {
  return [=, name = string(host)] { return libws::make_proxy_talk(proxy, name, port); };
}

string said(std::initializer_list<string> turns) {
  string out;
  for (const string& turn : turns) out += "[" + shown(turn) + "] ";
  return out;
}

const string kHello = "\x05\x01\0"s, kHelloLogin = "\x05\x02\0\x02"s;
const string kNone = "\x05\0"s, kLogin = "\x05\x02"s, kLoginGood = "\x01\0"s;
const string kUserPass = "\x01\x04user\x04pass"s;
const string kRequestH = "\x05\x01\0\x03\x01h\x01\xbb"s;
const string kReply = "\x05\0\0\x01\x7f\0\0\x01\x04\x38"s;

void test_socks5_without_credentials_offers_no_login(void**) {
  expect_text("none", play(talk(kOpen5), {kNone, kReply}), said({kHello, kRequestH}) + "done");
}

void test_socks5_with_credentials_offers_both_and_lets_the_proxy_choose(void**) {
  expect_text("login", play(talk(kLogin5), {kLogin, kLoginGood, kReply}),
              said({kHelloLogin, kUserPass, kRequestH}) + "done");
  // The password does not go to a proxy that does not ask for it.
  expect_text("none", play(talk(kLogin5), {kNone, kReply}),
              said({kHelloLogin, kRequestH}) + "done");
}

void test_socks5_credentials_are_counted_up_to_255(void**) {
  for (size_t n : {0u, 1u, 127u, 128u, 254u, 255u}) {
    const Proxy proxy = proxy_of(ProxyKind::kSocks5, string(n, 'u'), string(255 - n, 'p'));
    const auto t = talk(proxy)();
    t->sent(t->output().size());
    assert_true(t->feed(libws::bytes(kLogin)) == Step::kMore);
    const string wanted = "\x01" + string(1, static_cast<char>(n)) + string(n, 'u') +
                          string(1, static_cast<char>(255 - n)) + string(255 - n, 'p');
    expect_text("login", t->output(), wanted);
  }
}

void test_socks5_request_names_the_host_or_its_address(void**) {
  const string name255(255, 'n');
  const std::vector<std::pair<string, string>> rows = {
      {"h.example.", "\x03\x0ah.example."},
      {name255, "\x03\xff" + name255},
      {name255.substr(1), "\x03\xfe" + name255.substr(1)},
      {"192.0.2.1", "\x01\xc0\x00\x02\x01"s},
      {"0.0.0.1", "\x01\0\0\0\x01"s},
      {"::1", "\x04" + string(15, '\0') + "\x01"},
      {"2001:db8::ff00:42:8329", "\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\xff\0\0\x42\x83\x29"s},
      {"::ffff:10.0.0.1", "\x04\0\0\0\0\0\0\0\0\0\0\xff\xff\x0a\0\0\x01"s},
      {"fe80::1%eth0", "\x04\xfe\x80" + string(13, '\0') + "\x01"},
  };
  for (const auto& [host, address] : rows) {
    const auto t = talk(kOpen5, host, 0x1234)();
    t->sent(t->output().size());
    assert_true(t->feed(libws::bytes(kNone)) == Step::kMore);
    expect_text(host, t->output(), "\x05\x01\0"s + address + "\x12\x34");
  }
}

void test_socks5_bound_address_of_each_type_is_ignored(void**) {
  const string head = "\x05\0\0"s;
  for (const string& bound : {"\x01\xff\xff\xff\xff\xff\xff"s, "\x04" + string(18, '\xaa'),
                              "\x03\0\0\0"s, "\x03\x01x\0\0"s, "\x03\xff" + string(257, '\x05')}) {
    expect_text(bound, play(talk(kOpen5), {kNone, head + bound}),
                said({kHello, kRequestH}) + "done");
    expect_every_truncation_fails(talk(kOpen5), {kNone, head + bound});
    expect_text(bound, play_whole(talk(kOpen5), {kNone, head + bound + "x"}),
                said({kHello, kRequestH}) + "the proxy sent bytes beyond its answer");
  }
}

// req: 8
void test_socks5_reply_is_named(void**) {
  const char* names[] = {"general failure",       "not allowed by its rules",
                         "network unreachable",   "host unreachable",
                         "connection refused",    "time to live expired",
                         "command not supported", "address type not supported"};
  for (unsigned reply = 1; reply < 256; ++reply) {
    const string answer = "\x05" + string(1, static_cast<char>(reply)) + kReply.substr(2);
    const string name = reply <= 8 ? names[reply - 1] : "unassigned reply";
    expect_text(
        answer, play(talk(kOpen5), {kNone, answer}),
        said({kHello, kRequestH}) + "the proxy answered " + std::to_string(reply) + ", " + name);
  }
}

void test_socks5_login_that_is_refused_says_so(void**) {
  for (unsigned status = 1; status < 256; ++status) {
    const string answer = "\x01" + string(1, static_cast<char>(status));
    expect_text(answer, play(talk(kLogin5), {kLogin, answer}),
                said({kHelloLogin, kUserPass}) + "the proxy does not take this user and password");
  }
  expect_text("none", play(talk(kOpen5), {"\x05\xff"}),
              said({kHello}) + "the proxy wants a login, such as a user and password");
  expect_text("other", play(talk(kLogin5), {"\x05\xff"}),
              said({kHelloLogin}) + "the proxy wants another login than a user and password");
}

// A method that was not offered, GSSAPI among them; above all the password must not be given
// when there is none.
void test_socks5_login_that_was_not_offered_fails(void**) {
  for (unsigned method = 1; method < 255; ++method) {
    const string answer = "\x05" + string(1, static_cast<char>(method));
    const string why = "the proxy chose a login that was not offered";
    expect_text(answer, play(talk(kOpen5), {answer}), said({kHello}) + why);
    if (method == 2) continue;
    expect_text(answer, play(talk(kLogin5), {answer}), said({kHelloLogin}) + why);
  }
}

// Each fixed byte with each other value: refused at that byte, before the rest has come.
void test_socks5_wrong_byte_is_refused_at_once(void**) {
  struct Place {
    size_t answer, byte;
  };
  const Answers good = {kLogin, kLoginGood, kReply};
  for (const Place p : {Place{0, 0}, {1, 0}, {2, 0}, {2, 2}}) {
    for (unsigned value = 0; value < 256; ++value) {
      Answers answers(good.begin(), good.begin() + static_cast<ptrdiff_t>(p.answer) + 1);
      string& last = answers.back();
      const char right = last[p.byte];
      last = last.substr(0, p.byte) + string(1, static_cast<char>(value));
      const string log = play(talk(kLogin5), answers);
      const bool refused = log.ends_with("] the proxy's answer is not SOCKS 5");
      assert_int_equal(refused, static_cast<char>(value) != right);
    }
  }
  for (unsigned type = 0; type < 256; ++type) {
    const string reply = "\x05\0\0"s + string(1, static_cast<char>(type));
    const string log = play(talk(kLogin5), {kLogin, kLoginGood, reply});
    const bool known = type == 1 || type == 3 || type == 4;
    assert_true(log.ends_with(known ? "] more" : "] the proxy's answer is not SOCKS 5"));
  }
}

void test_socks5_answers_that_come_before_the_question_fail(void**) {
  const string early = "the proxy answered before it was asked";
  expect_text("all", play_whole(talk(kOpen5), {kNone + kReply}), said({kHello}) + early);
  expect_text("login", play_whole(talk(kLogin5), {kLogin, kLoginGood + kReply}),
              said({kHelloLogin, kUserPass}) + early);
}

// req: 8
void test_socks5_answer_that_is_cut_short_fails(void**) {
  expect_every_truncation_fails(talk(kOpen5), {kNone, kReply});
  expect_every_truncation_fails(talk(kLogin5), {kLogin, kLoginGood, kReply});
}

const string kGranted4 = "\0\x5a\x12\x34\x7f\0\0\x01"s;

void test_socks4a_request_names_the_host_or_its_address(void**) {
  const string name255(255, 'n');
  const std::vector<std::pair<string, string>> rows = {
      {"h.example", "\0\0\0\1\0h.example\0"s},
      {name255, "\0\0\0\1\0"s + name255 + "\0"s},
      {"192.0.2.1", "\xc0\0\2\1\0"s},
      {"1.0.0.0", "\1\0\0\0\0"s},
      {"0.1.0.0", "\0\1\0\0\0"s},
      {"0.0.1.0", "\0\0\1\0\0"s},
      // These would say that a name follows.
      {"0.0.0.1", "\0\0\0\1\0"s + "0.0.0.1\0"s},
      {"0.0.0.0", "\0\0\0\1\0"s + "0.0.0.0\0"s},
      // SOCKS 4 has no other way to say it.
      {"2001:db8::1", "\0\0\0\1\0"s + "2001:db8::1\0"s},
      {"fe80::1%eth0", "\0\0\0\1\0"s + "fe80::1\0"s},
  };
  for (const auto& [host, rest] : rows) {
    expect_text(host, play(talk(kOpen4, host, 0x1234), {kGranted4}),
                said({"\x04\x01\x12\x34" + rest}) + "done");
  }
}

void test_socks4a_user_ends_with_nul(void**) {
  const string user(255, 'u');
  const Proxy proxy = proxy_of(ProxyKind::kSocks4a, user, "");
  expect_text("name", talk(proxy)()->output(), "\x04\x01\x01\xbb\0\0\0\1"s + user + "\0h\0"s);
  expect_text("address", talk(proxy, "10.0.0.1")()->output(),
              "\x04\x01\x01\xbb\x0a\0\0\1"s + user + "\0"s);
}

// req: 8
void test_socks4a_reply_is_named(void**) {
  for (unsigned reply = 0; reply < 256; ++reply) {
    const string answer = "\0"s + string(1, static_cast<char>(reply)) + kGranted4.substr(2);
    const string name = reply == 91   ? "rejected or failed"
                        : reply == 92 ? "it cannot reach identd on this machine"
                        : reply == 93 ? "identd on this machine names another user"
                                      : "unassigned reply";
    const string log = play(talk(kOpen4), {answer});
    const string wanted =
        reply == 90 ? "done" : "the proxy answered " + std::to_string(reply) + ", " + name;
    assert_true(log.ends_with("] " + wanted));
  }
}

void test_socks4a_answer_that_is_no_socks4_fails(void**) {
  for (unsigned version = 1; version < 256; ++version) {
    const string log = play(talk(kOpen4), {string(1, static_cast<char>(version))});
    assert_true(log.ends_with("] the proxy's answer is not SOCKS 4"));
  }
  expect_every_truncation_fails(talk(kOpen4), {kGranted4});
  assert_true(play_whole(talk(kOpen4), {kGranted4 + "x"})
                  .ends_with("] the proxy sent bytes beyond its answer"));
  // What the last six bytes are means nothing.
  expect_text("any", play(talk(kOpen4, "1.2.3.4"), {"\0\x5a"s + string(6, '\xff')}),
              said({"\x04\x01\x01\xbb\x01\x02\x03\x04\0"s}) + "done");
}

void test_socks_out_of_memory_throws_and_leaks_nothing(void**) {
  const string host(100, 'h');
  const int five = FailingAllocator::run([&] {
    const auto t = libws::make_proxy_talk(
        proxy_of(ProxyKind::kSocks5, string(50, 'u'), string(50, 'p')), host, 443);
    for (const string& answer : {kLogin, kLoginGood}) {
      t->sent(t->output().size());
      assert_true(t->feed(libws::bytes(answer)) == Step::kMore);
    }
    t->sent(t->output().size());
    assert_true(t->feed(libws::bytes(kReply)) == Step::kDone);
  });
  assert_true(five >= 5);
  const int four = FailingAllocator::run([&] {
    const auto t =
        libws::make_proxy_talk(proxy_of(ProxyKind::kSocks4a, string(50, 'u'), ""), host, 443);
    assert_true(t->output().size() > 150);
  });
  assert_true(four >= 3);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_socks5_without_credentials_offers_no_login),
      cmocka_unit_test(test_socks5_with_credentials_offers_both_and_lets_the_proxy_choose),
      cmocka_unit_test(test_socks5_credentials_are_counted_up_to_255),
      cmocka_unit_test(test_socks5_request_names_the_host_or_its_address),
      cmocka_unit_test(test_socks5_bound_address_of_each_type_is_ignored),
      cmocka_unit_test(test_socks5_reply_is_named),
      cmocka_unit_test(test_socks5_login_that_is_refused_says_so),
      cmocka_unit_test(test_socks5_login_that_was_not_offered_fails),
      cmocka_unit_test(test_socks5_wrong_byte_is_refused_at_once),
      cmocka_unit_test(test_socks5_answers_that_come_before_the_question_fail),
      cmocka_unit_test(test_socks5_answer_that_is_cut_short_fails),
      cmocka_unit_test(test_socks4a_request_names_the_host_or_its_address),
      cmocka_unit_test(test_socks4a_user_ends_with_nul),
      cmocka_unit_test(test_socks4a_reply_is_named),
      cmocka_unit_test(test_socks4a_answer_that_is_no_socks4_fails),
      cmocka_unit_test(test_socks_out_of_memory_throws_and_leaks_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
