// The opening handshake as the engine carries it out: requests answered now, later or never,
// refusals on the wire, responses that a client must not accept.  The rules one by one are in
// test_handshake*.cpp; here each is seen from outside, in every delivery mode.
#include "engine_support.hpp"

using namespace libws;
using namespace libws::test;

namespace {

bool contains(const std::string& s, const std::string& part) {
  return s.find(part) != std::string::npos;
}

// Delivers to an engine that has not opened yet, whole and byte by byte; same outcome.
std::string open_outcome(Role role, const std::string& input, bool answer = true) {
  auto run = [&](bool bytewise) {
    Peer p({role, false, {}});
    p.answer = answer;
    if (role == Role::kClient) {
      p.start_client();
      p.output.clear();
    }
    if (bytewise) {
      for (char c : input) p.feed(std::string(1, c));
    } else {
      p.feed(input);
    }
    p.flush();
    return p.events + "| " + p.output;
  };
  std::string whole = run(false);
  assert_string_equal(run(true).c_str(), whole.c_str());
  return whole;
}

std::string with(const std::string& request, const std::string& from, const std::string& to) {
  std::string r = request;
  r.replace(r.find(from), from.size(), to);
  return r;
}

// req: 48, 50
// bad: 38
void test_engine_server_answers_101_and_frames_may_follow_in_one_read(void**) {
  std::string got = open_outcome(Role::kServer, kRequest);
  assert_string_equal(got.c_str(),
                      "REQUEST OPEN | HTTP/1.1 101 Switching Protocols\r\n"
                      "Upgrade: websocket\r\nConnection: Upgrade\r\n"
                      "Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n");
  got = open_outcome(Role::kServer, kRequest + frame(Role::kServer, kText, "hello"));
  assert_true(contains(got, "REQUEST OPEN TEXT:68656c6c6f | "));
}

// req: 106
// bad: 17
void test_engine_server_declines_extensions_it_does_not_know(void**) {
  for (const char* offer : {"constructor", "__proto__; toString=1", "x-webkit-deflate-frame",
                            "permessage-deflate; server_max_window_bits=8, foo; bar=\"baz\""}) {
    std::string field = "Sec-WebSocket-Extensions: " + std::string(offer) + "\r\nHost:";
    std::string got = open_outcome(Role::kServer, with(kRequest, "Host:", field));
    assert_true(contains(got, "REQUEST OPEN | HTTP/1.1 101 "));
    assert_false(contains(got, "Sec-WebSocket-Extensions"));
  }
}

// req: 31, 32, 114, 116, 140
// bad: 1, 5, 6, 7, 10, 37
void test_engine_server_refusal_is_one_response_and_the_end(void**) {
  const struct {
    const char* from;
    const char* to;
    const char* status;
    const char* header;
  } cases[] = {
      {"Host: localhost:9001\r\n", "", "400", "Connection: close"},
      {"GET ", "POST ", "405", "Allow: GET"},
      {"HTTP/1.1", "HTTP/1.0", "400", ""},
      {"HTTP/1.1", "HTTP/2.0", "505", ""},
      {"Version: 13", "Version: 12", "426", "Sec-WebSocket-Version: 13"},
      {"Version: 13", "Version: 12", "426", "Upgrade: websocket"},
      {"Connection: Upgrade\r\n", "", "400", ""},
      {"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n", "", "400", ""},
  };
  for (const auto& c : cases) {
    std::string input = with(kRequest, c.from, c.to) + "GET /admin HTTP/1.1\r\nHost: x\r\n\r\n";
    std::string got = open_outcome(Role::kServer, input);
    assert_true(contains(got, std::string("CLOSED:error=")));
    assert_false(contains(got, "OPEN"));
    assert_true(contains(got, std::string("| HTTP/1.1 ") + c.status + " "));
    assert_true(contains(got, "Connection: close"));
    assert_true(contains(got, c.header));
    assert_true(contains(got, "Content-Length: "));
    assert_int_equal(got.find("HTTP/1.1", got.find("| HTTP/1.1") + 10), std::string::npos);
  }
}

void test_engine_server_refusal_of_head_has_no_body(void**) {
  std::string input = with(with(kRequest, "GET ", "HEAD "), "Host: localhost:9001", "Host: a b");
  std::string got = open_outcome(Role::kServer, input);
  assert_true(contains(got, "| HTTP/1.1 400 "));
  assert_string_equal(got.substr(got.size() - 4).c_str(), "\r\n\r\n");
}

// req: 31, 129
// bad: 20, 21, 23
void test_engine_server_head_limits(void**) {
  std::string base = "GET / HTTP/1.1\r\nHost: h\r\n";
  std::string many = base;
  for (int i = 0; i < 5000; ++i) many += "x: y\r\n";
  assert_true(contains(open_outcome(Role::kServer, many), "| HTTP/1.1 431"));
  assert_true(contains(open_outcome(Role::kServer, base + "x: " + std::string(70000, 'y')),
                       "| HTTP/1.1 431"));
  assert_true(
      contains(open_outcome(Role::kServer, "GET /" + std::string(70000, 'y')), "| HTTP/1.1 414"));
  // What is held stays near the limit however much comes.
  Peer p(server());
  int64_t before = live_allocations();
  for (int i = 0; i < 1000; ++i) p.feed("x");
  assert_true(live_allocations() - before <= 3);
}

// req: 118
// bad: 36
void test_engine_server_continues_before_it_switches(void**) {
  std::string got =
      open_outcome(Role::kServer, with(kRequest, "Host:", "Expect: 100-continue\r\nHost:"));
  assert_true(contains(got, "| HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 101 "));
}

// req: 50
// bad: 39
void test_engine_server_holds_frames_until_the_answer(void**) {
  Peer p(server());
  p.answer = false;
  p.feed(kRequest + frame(Role::kServer, kText, "early"));
  assert_string_equal(p.events.c_str(), "REQUEST ");
  assert_int_equal(p.engine->want() & WS_WANT_READ, 0);
  Ref<Request> r = Ref<Request>::share(p.engine->request());
  assert_false(r->accept(AcceptOptions{}).failed());
  assert_int_equal(r->accept(AcceptOptions{}).code(), WS_ERR_STATE);
  p.pull();
  assert_string_equal(p.events.c_str(), "REQUEST OPEN TEXT:6561726c79 ");
  // Refused instead: what was held is never looked at.
  Peer q(server());
  q.answer = false;
  q.feed(kRequest + frame(Role::kServer, kText, "early"));
  Response no;
  no.status = 401;
  assert_false(q.engine->request()->respond(no).failed());
  q.pull();
  q.flush();
  assert_true(contains(q.output, "HTTP/1.1 401 Unauthorized\r\n"));
  assert_false(contains(q.events, "TEXT"));
  assert_true(contains(q.events, "http=401"));
}

// req: 51
// bad: 40
void test_engine_server_answer_after_the_peer_left_is_refused(void**) {
  Peer p(server());
  p.answer = false;
  p.feed(kRequest);
  Ref<Request> r = Ref<Request>::share(p.engine->request());
  p.eof();
  assert_true(contains(p.events, "REQUEST CLOSED:error=-23"));
  assert_int_equal(r->accept(AcceptOptions{}).code(), WS_ERR_CLOSED);
  assert_int_equal(r->respond(Response{200, {}, ""}).code(), WS_ERR_CLOSED);
  assert_string_equal(r->path(), "/chat");  // it still reads
  p.engine.reset();
  assert_int_equal(r->accept(AcceptOptions{}).code(), WS_ERR_CLOSED);
}

// req: 51
// bad: 49, 50
void test_engine_server_handshake_deadline_is_absolute(void**) {
  Peer silent(server());
  silent.advance_ms(9999);
  assert_string_equal(silent.events.c_str(), "");
  silent.advance_ms(1);
  silent.flush();
  assert_true(contains(silent.events, "CLOSED:error=-9"));
  assert_string_equal(silent.output.c_str(), "");
  Peer slow(server());
  for (int i = 0; i < 10; ++i) {
    assert_string_equal(slow.events.c_str(), "");
    slow.feed("G");
    slow.advance_ms(1000);
  }
  slow.flush();
  assert_true(contains(slow.output, "HTTP/1.1 408 "));
  Peer undecided(server());
  undecided.answer = false;
  undecided.feed(kRequest);
  undecided.advance_ms(10000);
  undecided.flush();
  assert_true(contains(undecided.output, "HTTP/1.1 503 "));
}

// bad: 37
void test_engine_server_lingers_after_a_refusal_within_bounds(void**) {
  Peer p(server());
  p.feed("BAD\r\n\r\n");
  assert_true((p.engine->want() & WS_WANT_WRITE) != 0);
  p.flush();
  assert_int_equal(p.engine->want(), WS_WANT_READ | WS_WANT_EOF);
  p.advance_ms(999);
  assert_int_equal(p.engine->want(), WS_WANT_READ | WS_WANT_EOF);
  p.advance_ms(1);
  assert_int_equal(p.engine->want(), WS_WANT_CLOSE);
  Peer flood(server());
  flood.feed("\x01");  // refused at its only byte, so nothing is left over
  flood.flush();
  flood.feed(std::string(64 * 1024, 'x'));
  assert_int_equal(flood.engine->want(), WS_WANT_READ | WS_WANT_EOF);
  flood.feed("x");
  assert_int_equal(flood.engine->want(), WS_WANT_CLOSE);
}

// req: 11, 12, 13, 14, 15, 18
// bad: 75
void test_engine_client_request_is_complete_and_the_key_is_fresh(void**) {
  Peer p(client());
  p.start_client();
  const char* const fields[] = {"GET /chat HTTP/1.1\r\n", "\r\nHost: localhost:9001\r\n",
                                "\r\nUpgrade: websocket\r\n", "\r\nConnection: Upgrade\r\n",
                                "\r\nSec-WebSocket-Version: 13\r\n"};
  for (const char* f : fields) {
    size_t at = p.output.find(f);
    assert_true(at != std::string::npos);
    assert_true(p.output.find(f, at + 1) == std::string::npos);
  }
  assert_true(base64_is_canonical(p.key, 16));
  assert_string_equal(p.output.substr(p.output.size() - 4).c_str(), "\r\n\r\n");
  OpenRequest again;
  again.host = "h";
  again.target = "/";
  EngineResources shared(8192, nullptr, nullptr);
  std::string keys[2];
  for (std::string& key : keys) {
    Engine e(Role::kClient, p.limits(), shared, false);
    assert_false(e.start_client(again).failed());
    ws_slice s[2];
    assert_int_equal(e.output(s, 2), 1);
    std::string out(static_cast<const char*>(s[0].data), s[0].len);
    key = out.substr(out.find("Sec-WebSocket-Key: ") + 19, kKeyChars);
  }
  assert_string_not_equal(keys[0].c_str(), keys[1].c_str());
}

// req: 19, 20, 21, 22, 23, 24, 25, 26, 28
// bad: 55, 56, 57, 58, 59, 60, 67, 68, 69
void test_engine_client_refuses_a_wrong_response(void**) {
  Peer model(client());
  model.start_client();
  std::string good = model.switching_protocols();
  assert_string_equal(open_outcome(Role::kClient, good).c_str(), "OPEN | ");
  assert_string_equal(
      open_outcome(Role::kClient, with(good, "Upgrade: websocket", "uPGRADE: WebSocket")).c_str(),
      "OPEN | ");
  assert_string_equal(
      open_outcome(Role::kClient, with(good, "101 Switching Protocols", "101")).c_str(), "OPEN | ");
  const struct {
    const char* from;
    const char* to;
    int error;
  } cases[] = {
      {"Upgrade: websocket\r\n", "", WS_ERR_HANDSHAKE},
      {"Upgrade: websocket", "Upgrade: websocketx", WS_ERR_HANDSHAKE},
      {"Connection: Upgrade\r\n", "", WS_ERR_HANDSHAKE},
      {"Connection: Upgrade", "Connection: keep-alive", WS_ERR_HANDSHAKE},
      {"Sec-WebSocket-Accept: ", "Sec-WebSocket-Accept: x", WS_ERR_HANDSHAKE},
      {"Sec-WebSocket-Accept: ", "X-Accept: ", WS_ERR_HANDSHAKE},
      {"Connection:", "Sec-WebSocket-Protocol: chat\r\nConnection:", WS_ERR_HANDSHAKE},
      {"Connection:", "Sec-WebSocket-Extensions: permessage-deflate\r\nConnection:",
       WS_ERR_HANDSHAKE},
      {"Connection:", "Content-Length: 5\r\nConnection:", WS_ERR_HANDSHAKE},
      {"Connection:", "Transfer-Encoding: chunked\r\nConnection:", WS_ERR_HANDSHAKE},
      {"HTTP/1.1 101", "HTTP/1.0 101", WS_ERR_HANDSHAKE},
      {"HTTP/1.1 101", "ICY 101", WS_ERR_HTTP},
      {"HTTP/1.1 101", "\r\nHTTP/1.1 101", WS_ERR_HTTP},
      {"Connection:", "X: a\x01 b\r\nConnection:", WS_ERR_HTTP},
      {"Connection:", " folded\r\nConnection:", WS_ERR_HTTP},
  };
  for (const auto& c : cases) {
    std::string got = open_outcome(Role::kClient, with(good, c.from, c.to));
    std::string want = "CLOSED:error=" + std::to_string(c.error) + ",";
    if (got.rfind(want, 0) != 0) fail_msg("%s -> %s gave %s", c.from, c.to, got.c_str());
    assert_string_equal(got.substr(got.find("| ")).c_str(), "| ");  // nothing was sent
  }
}

// req: 19, 29, 121
// bad: 55, 64, 66
void test_engine_client_reports_a_refusal_with_its_body(void**) {
  Peer p(client());
  p.start_client();
  p.feed(
      "HTTP/1.1 103 Early Hints\r\n\r\nHTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic\r\n"
      "X-A: 1\r\nX-A: 2\r\nContent-Length: 6\r\n\r\nsor");
  assert_string_equal(p.events.c_str(), "");
  p.feed("ry!tail");
  assert_true(contains(p.events, "CLOSED:error=-61,"));
  assert_true(contains(p.events, "http=401"));
  assert_string_equal(p.engine->response_header("www-authenticate", nullptr), "Basic");
  assert_string_equal(p.engine->response_header("X-A", nullptr), "1, 2");
  assert_null(p.engine->response_header("X-B", nullptr));
  assert_string_equal(std::string(text(p.engine->response_body())).c_str(), "sorry!");
  Peer many(client());
  many.start_client();
  for (int i = 0; i < 8; ++i) many.feed("HTTP/1.1 102 Processing\r\n\r\n");
  assert_string_equal(many.events.c_str(), "");
  many.feed("HTTP/1.1 102 Processing\r\n\r\n");
  assert_true(contains(many.events, "CLOSED:error=-8,"));
  Peer open(client());
  open.start_client();
  open.feed(open.switching_protocols() + frame(Role::kClient, kText, "glued"));
  assert_string_equal(open.events.c_str(), "OPEN TEXT:676c756564 ");
}

// bad: 63, 70
void test_engine_client_gives_up_on_a_slow_or_silent_server(void**) {
  Peer p(client());
  p.start_client();
  p.feed("HTTP/1.1 101 Switch");
  p.advance_ms(10000);
  assert_true(contains(p.events, "CLOSED:error=-9,"));
  Peer gone(client());
  gone.start_client();
  gone.eof();
  assert_true(contains(gone.events, "CLOSED:error=-23,"));
  Peer endless(client());
  endless.start_client();
  endless.feed("HTTP/1.1 101 x\r\nX: " + std::string(20000, 'y'));
  assert_true(contains(endless.events, "CLOSED:error=-8,"));
}

}  // namespace

int main() {
  const CMUnitTest tests[] = {
      cmocka_unit_test(test_engine_server_answers_101_and_frames_may_follow_in_one_read),
      cmocka_unit_test(test_engine_server_declines_extensions_it_does_not_know),
      cmocka_unit_test(test_engine_server_refusal_is_one_response_and_the_end),
      cmocka_unit_test(test_engine_server_refusal_of_head_has_no_body),
      cmocka_unit_test(test_engine_server_head_limits),
      cmocka_unit_test(test_engine_server_continues_before_it_switches),
      cmocka_unit_test(test_engine_server_holds_frames_until_the_answer),
      cmocka_unit_test(test_engine_server_answer_after_the_peer_left_is_refused),
      cmocka_unit_test(test_engine_server_handshake_deadline_is_absolute),
      cmocka_unit_test(test_engine_server_lingers_after_a_refusal_within_bounds),
      cmocka_unit_test(test_engine_client_request_is_complete_and_the_key_is_fresh),
      cmocka_unit_test(test_engine_client_refuses_a_wrong_response),
      cmocka_unit_test(test_engine_client_reports_a_refusal_with_its_body),
      cmocka_unit_test(test_engine_client_gives_up_on_a_slow_or_silent_server),
  };
  return cmocka_run_group_tests_name("engine_open", tests, nullptr, nullptr);
}
