// CONNECT through an HTTP proxy: what is asked, which answers open the tunnel, and none that open
// it too early.

#include "proxy_talk_support.hpp"

using namespace http_test;
using namespace proxy_test;

namespace {

const char kAsked[] = "[CONNECT h:443 HTTP/1.1\\x0d\\x0aHost: h:443\\x0d\\x0a\\x0d\\x0a] ";

std::unique_ptr<ProxyTalk> connect_to(const Proxy& proxy, string_view host, uint16_t port) {
  return libws::make_proxy_talk(proxy, host, port);
}

Make plain() {
  return [] { return connect_to(proxy_of(ProxyKind::kHttp), "h", 443); };
}

Make with_login() {
  return [] { return connect_to(proxy_of(ProxyKind::kHttps, "Aladdin", "open sesame"), "h", 443); };
}

// What comes of an answer to a CONNECT without credentials.
string after(const string& answer) {
  const string log = play(plain(), {answer});
  assert_true(log.starts_with(kAsked));
  return log.substr(sizeof kAsked - 1);
}

string asked(const Proxy& proxy, string_view host, uint16_t port) {
  return string(connect_to(proxy, host, port)->output());
}

string connect_request(const string& destination, const string& more = "") {
  return "CONNECT " + destination + " HTTP/1.1\r\nHost: " + destination + "\r\n" + more + "\r\n";
}

// req: 7
void test_connect_asks_for_host_and_port(void**) {
  const Proxy http = proxy_of(ProxyKind::kHttp);
  expect_text("name", asked(http, "h.example", 80), connect_request("h.example:80"));
  expect_text("port", asked(proxy_of(ProxyKind::kHttps), "h", 65535), connect_request("h:65535"));
  expect_text("ipv4", asked(http, "192.0.2.1", 1), connect_request("192.0.2.1:1"));
  expect_text("ipv6", asked(http, "2001:db8::1", 443), connect_request("[2001:db8::1]:443"));
  expect_text("zone", asked(http, "fe80::1%eth0", 443), connect_request("[fe80::1]:443"));
}

// RFC 7617 2's example.
// req: 7
void test_connect_with_credentials_sends_basic_authorization(void**) {
  const auto field = [](const string& base64) {
    return connect_request("h:80", "Proxy-Authorization: Basic " + base64 + "\r\n");
  };
  const auto login = [](string_view user, string_view password) {
    return asked(proxy_of(ProxyKind::kHttp, user, password), "h", 80);
  };
  expect_text("rfc 7617", login("Aladdin", "open sesame"), field("QWxhZGRpbjpvcGVuIHNlc2FtZQ=="));
  expect_text("no password", login("u", ""), field("dTo="));
  expect_text("no user", login("", "p"), field("OnA="));
  expect_text("utf-8", login("test", "123\xc2\xa3"), field("dGVzdDoxMjPCow=="));
}

// req: 7
// bad: 71
void test_connect_is_done_after_any_2xx(void**) {
  for (const char* answer :
       {"HTTP/1.1 200 Connection established\r\n\r\n", "HTTP/1.0 200 OK\r\n\r\n",
        "HTTP/1.1 200\r\n\r\n", "HTTP/1.1 204 x\r\nVia: a\r\n\r\n", "HTTP/1.1 299 x\r\n\r\n",
        // A 2xx has no body, whatever it says (RFC 9110 9.3.6).
        "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        "HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n"}) {
    expect_text(answer, after(answer), "done");
  }
}

// bad: 71
void test_connect_that_is_refused_says_with_which_status(void**) {
  const std::vector<std::pair<string, string>> rows = {
      {"HTTP/1.1 403 Forbidden\r\n\r\n", "403: the proxy answered 403 Forbidden"},
      {"HTTP/1.1 502\r\n\r\n", "502: the proxy answered 502"},
      {"HTTP/1.1 502 \r\n\r\n", "502: the proxy answered 502"},
      {"HTTP/1.1 300 x\r\n\r\n", "300: the proxy answered 300 x"},
      {"HTTP/1.1 302 Found\r\nLocation: http://evil/\r\n\r\n", "302: the proxy answered 302 Found"},
      {"HTTP/1.1 101 Switching Protocols\r\n\r\n",
       "101: the proxy answered 101 Switching Protocols"},
      {"HTTP/1.1 999 \"\\\xff\r\n\r\n", "999: the proxy answered 999 \\x22\\x5c\\xff"},
      {"HTTP/1.1 407 Auth\r\nProxy-Authenticate: Basic realm=\"x\"\r\n\r\n",
       "407: the proxy answered 407 Auth: it wants a user and password"},
  };
  for (const auto& [answer, wanted] : rows) expect_text(answer, after(answer), wanted);
  const string log = play(with_login(), {"HTTP/1.1 407 Auth\r\n\r\n"});
  assert_true(
      log.ends_with("407: the proxy answered 407 Auth: it does not take this user and password"));
  assert_true(log.find("sesame") == string::npos);
}

// bad: 71
void test_connect_refusal_with_a_body_is_a_refusal(void**) {
  const string answer = "HTTP/1.1 403 No\r\nContent-Length: 3\r\n\r\nno!";
  expect_text(answer, play_whole(plain(), {answer}), kAsked + "403: the proxy answered 403 No"s);
}

void test_connect_detail_of_a_long_reason_is_cut(void**) {
  const string reason(8000, 'r');
  const string got = after("HTTP/1.1 407 " + reason + "\r\n\r\n");
  expect_text("long", got.substr(0, 35), "407: the proxy answered 407 rrrrrrr");
  assert_true(got.ends_with("rrr...: it wants a user and password"));
  assert_true(got.size() < 192);
}

// req: 7
// bad: 71
void test_connect_skips_eight_interim_responses(void**) {
  const auto interim = [](size_t n) {
    string out;
    for (size_t i = 0; i < n; ++i) out += "HTTP/1.1 10" + string(1, "0239"[i % 4]) + " x\r\n\r\n";
    return out;
  };
  for (size_t n : {0u, 1u, 7u, 8u}) {
    expect_text("interim", after(interim(n) + "HTTP/1.1 200 OK\r\n\r\n"), "done");
    expect_text("interim", after(interim(n)), "more");
  }
  expect_text("nine", after(interim(9)), "the proxy sent too many interim responses");
}

// bad: 71
void test_connect_answer_that_is_not_http_fails(void**) {
  const std::vector<std::pair<string, string>> rows = {
      {"SSH-2.0-x\r\n", "bad HTTP version"},
      {"\x05\xff", "bad HTTP version"},
      {"HTTP/2.0 200 OK\r\n\r\n", "HTTP version is not 1.x"},
      {"HTTP/1.1 200 OK\n\n", "bare LF"},
      {"HTTP/1.1 200 \x1b[2J\r\n\r\n", "bad reason phrase"},
      {"HTTP/1.1 200 OK\r\nA : b\r\n\r\n", "space before colon"},
  };
  for (const auto& [answer, why] : rows) {
    expect_text(answer, after(answer), "the proxy's answer is not HTTP: " + why);
  }
}

// bad: 71
void test_connect_answer_without_end_is_bounded(void**) {
  const string start = "HTTP/1.1 200 OK\r\n";
  const auto fields = [&](size_t n) {
    string out = start;
    for (size_t i = 0; i < n; ++i) out += "A: b\r\n";
    return out + "\r\n";
  };
  expect_text("99", after(fields(99)), "done");
  expect_text("100", after(fields(100)), "done");
  assert_true(after(fields(101)).starts_with("the proxy's answer is not HTTP: "));
  // Three long fields that make a head of 16 KiB.
  const auto head = [&](size_t total) {
    const string field = "A: " + string(5000, 'b') + "\r\n";
    string out = start + field + field + field + "B: ";
    return out + string(total - out.size() - 4, 'c') + "\r\n\r\n";
  };
  const size_t max = 16 * 1024;
  expect_text("16 KiB - 1", after(head(max - 1)), "done");
  expect_text("16 KiB", after(head(max)), "done");
  assert_true(after(head(max + 1)).starts_with("the proxy's answer is not HTTP: "));
}

// The tunnel's end waits for us, so bytes behind the head come from nobody we asked.
// bad: 71
void test_connect_bytes_behind_the_head_fail(void**) {
  const string answer = "HTTP/1.1 200 OK\r\n\r\n";
  for (string_view tail : {"x"sv, "\0"sv, "HTTP/1.1 101 x\r\n\r\n"sv, "\r\n"sv}) {
    expect_text(tail, play_whole(plain(), {answer + string(tail)}),
                kAsked + "the proxy sent bytes beyond its answer"s);
  }
}

// req: 7
void test_connect_answered_before_it_was_asked_fails(void**) {
  const string answer = "HTTP/1.1 200 OK\r\n\r\n";
  const size_t request = string(connect_to(proxy_of(ProxyKind::kHttp), "h", 1)->output()).size();
  for (size_t sent = 0; sent <= request; ++sent) {
    const auto talk = connect_to(proxy_of(ProxyKind::kHttp), "h", 1);
    talk->sent(sent);
    const Step step = talk->feed(libws::bytes(answer));
    assert_true(step == (sent == request ? Step::kDone : Step::kFailed));
    if (sent != request)
      assert_string_equal(talk->detail(), "the proxy answered before it was asked");
  }
  // A refusal may come at any time.
  const auto talk = connect_to(proxy_of(ProxyKind::kHttp), "h", 1);
  assert_true(talk->feed(libws::bytes("HTTP/1.1 403 No\r\n\r\n")) == Step::kFailed);
  assert_int_equal(talk->status(), 403);
}

// req: 8
void test_connect_answer_that_is_cut_short_fails(void**) {
  expect_every_truncation_fails(plain(),
                                {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nVia: x\r\n\r\n"});
}

void test_connect_feed_of_nothing_changes_nothing(void**) {
  const auto talk = connect_to(proxy_of(ProxyKind::kHttp), "h", 1);
  assert_true(talk->feed({}) == Step::kMore);
  assert_true(talk->feed_eof() == Step::kFailed);
  assert_string_equal(talk->detail(), "the proxy closed the connection without an answer");
}

void test_connect_out_of_memory_throws_and_leaks_nothing(void**) {
  const int allocations = FailingAllocator::run([&] {
    const Proxy proxy =
        proxy_of(ProxyKind::kHttp, "user of some length", "password of some length");
    const auto talk = connect_to(proxy, string(100, 'h'), 443);
    talk->sent(talk->output().size());
    assert_true(talk->feed(libws::bytes("HTTP/1.1 200 OK\r\nVia: x\r\n\r\n")) == Step::kDone);
  });
  assert_true(allocations >= 6);
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_connect_asks_for_host_and_port),
      cmocka_unit_test(test_connect_with_credentials_sends_basic_authorization),
      cmocka_unit_test(test_connect_is_done_after_any_2xx),
      cmocka_unit_test(test_connect_that_is_refused_says_with_which_status),
      cmocka_unit_test(test_connect_refusal_with_a_body_is_a_refusal),
      cmocka_unit_test(test_connect_detail_of_a_long_reason_is_cut),
      cmocka_unit_test(test_connect_skips_eight_interim_responses),
      cmocka_unit_test(test_connect_answer_that_is_not_http_fails),
      cmocka_unit_test(test_connect_answer_without_end_is_bounded),
      cmocka_unit_test(test_connect_bytes_behind_the_head_fail),
      cmocka_unit_test(test_connect_answered_before_it_was_asked_fails),
      cmocka_unit_test(test_connect_answer_that_is_cut_short_fails),
      cmocka_unit_test(test_connect_feed_of_nothing_changes_nothing),
      cmocka_unit_test(test_connect_out_of_memory_throws_and_leaks_nothing),
  };
  return cmocka_run_group_tests(tests, nullptr, nullptr);
}
