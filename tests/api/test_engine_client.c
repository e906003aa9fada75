/*
 * engine.h, the client's handshake: what it asks, which answers it takes, what it tells of those
 * it does not.
 */
#include "side.h"

#include <stdio.h>
#include <stdlib.h>

#define ANSWER(fields)                                                                \
  "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n" \
  "Sec-WebSocket-Accept: " SAMPLE_ACCEPT "\r\n" fields "\r\n"

static void start(Side *s, const ws_open *open) {
  side_prepare(s, CLIENT);
  assert_ok(ws_engine_new_client(&s->config, open, &s->e));
  assert_ok(ws_engine_tick(s->e, s->now));
}

static char *request_of(Side *s) {
  side_take_output(s);
  s->sent = realloc(s->sent, s->sent_len + 1);
  s->sent[s->sent_len] = '\0';
  s->sent_taken = s->sent_len;
  return (char *)s->sent;
}

static void prepare_open(ws_open *open) {
  WS_INIT(open);
  open->host = "example.com:8080";
}

/* req: 11, 12, 13, 14, 15 */
static void test_engine_client_request_is_exact(void **state) {
  (void)state;
  static const ws_header headers[] = {{"Origin", "https://a"}, {"Cookie", "x=1"}};
  static const char *const protocols[] = {"v2", "v1"};
  Side s;
  ws_open open;
  prepare_open(&open);
  start(&s, &open);
  assert_string_equal(request_of(&s),
                      "GET / HTTP/1.1\r\nHost: example.com:8080\r\nUpgrade: websocket\r\n"
                      "Connection: Upgrade\r\nSec-WebSocket-Key: " SAMPLE_KEY
                      "\r\nSec-WebSocket-Version: 13\r\n\r\n");
  side_free(&s);
  open.target = "/chat?room=1";
  open.headers = headers;
  open.header_count = 2;
  open.subprotocols = protocols;
  open.subprotocol_count = 2;
  start(&s, &open);
  const char *request = request_of(&s);
  assert_int_equal(strncmp(request, "GET /chat?room=1 HTTP/1.1\r\n", 27), 0);
  assert_non_null(strstr(request, "\r\nOrigin: https://a\r\n"));
  assert_non_null(strstr(request, "\r\nCookie: x=1\r\n"));
  assert_non_null(strstr(request, "\r\nSec-WebSocket-Protocol: v2, v1\r\n"));
  side_free(&s);
}

static void expect_bad_open(const ws_open *open) {
  ws_engine *e = NULL;
  assert_fails(WS_ERR_INVALID, ws_engine_new_client(NULL, open, &e));
  assert_null(e);
}

/* req: 16 */
/* bad: 73, 74 */
static void test_engine_client_that_cannot_be_sent_is_refused(void **state) {
  (void)state;
  static const char *const hosts[] = {"", "a b", "a\r\nX: y", "a\n", "h:99999", "[::1", "http://h"};
  static const char *const targets[] = {"x", "/a b", "/\r\n", "/a#b", "/\x7f", "*"};
  static const ws_header fields[] = {{"X A", "v"},
                                     {"", "v"},
                                     {"X:", "v"},
                                     {"X", "a\r\nb"},
                                     {"X", "a\nb"},
                                     {"Upgrade", "x"},
                                     {"connection", "x"},
                                     {"Sec-WebSocket-Key", "x"},
                                     {"Content-Length", "1"},
                                     {"Transfer-Encoding", "x"},
                                     {"Host", "x"},
                                     {NULL, "x"},
                                     {"X", NULL}};
  static const char *const protocols[] = {"", "a b", "a,b", "\"a\"", "a\x80", "a;b", NULL};
  static const char *const twice[] = {"a", "a"};
  ws_open open;
  for (size_t i = 0; i < COUNT_OF(hosts); ++i) {
    prepare_open(&open);
    open.host = hosts[i];
    expect_bad_open(&open);
  }
  for (size_t i = 0; i < COUNT_OF(targets); ++i) {
    prepare_open(&open);
    open.target = targets[i];
    expect_bad_open(&open);
  }
  for (size_t i = 0; i < COUNT_OF(fields); ++i) {
    prepare_open(&open);
    open.headers = &fields[i];
    open.header_count = 1;
    expect_bad_open(&open);
  }
  for (size_t i = 0; i < COUNT_OF(protocols); ++i) {
    prepare_open(&open);
    open.subprotocols = &protocols[i];
    open.subprotocol_count = 1;
    expect_bad_open(&open);
  }
  prepare_open(&open);
  open.subprotocols = twice;
  open.subprotocol_count = 2;
  expect_bad_open(&open);
  prepare_open(&open);
  open.host = NULL;
  expect_bad_open(&open);
  expect_bad_open(NULL);
  prepare_open(&open);
  open.header_count = 1;
  expect_bad_open(&open);
  prepare_open(&open);
  open.subprotocol_count = 1;
  expect_bad_open(&open);
}

/* req: 18, 20, 21, 22, 23, 24, 25, 26, 28 */
/* bad: 55, 56, 57, 58, 59, 60, 67, 68, 69 */
static void test_engine_client_answers_are_taken_or_refused(void **state) {
  (void)state;
  static const struct {
    const char *answer;
    int error; /* 0: opens */
  } all[] = {
      {ANSWER(""), 0},
      {ANSWER("Sec-WebSocket-Protocol: v1\r\n"), 0},
      {"HTTP/1.1 101\r\nupgrade: WebSocket\r\nCONNECTION: keep-alive, upgrade\r\n"
       "sec-websocket-accept:   " SAMPLE_ACCEPT "  \r\n\r\n",
       0},
      {"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 103 Early\r\nLink: x\r\n\r\n" ANSWER(""), 0},
      {ANSWER("Sec-WebSocket-Protocol: V1\r\n"), WS_ERR_HANDSHAKE},
      {ANSWER("Sec-WebSocket-Protocol: v3\r\n"), WS_ERR_HANDSHAKE},
      {ANSWER("Sec-WebSocket-Protocol: v1, v2\r\n"), WS_ERR_HANDSHAKE},
      {ANSWER("Sec-WebSocket-Protocol: v1\r\nSec-WebSocket-Protocol: v1\r\n"), WS_ERR_HANDSHAKE},
      {ANSWER("Sec-WebSocket-Extensions: permessage-deflate\r\n"), WS_ERR_HANDSHAKE},
      {ANSWER("Sec-WebSocket-Accept: " SAMPLE_ACCEPT "\r\n"), WS_ERR_HANDSHAKE},
      {ANSWER("Content-Length: 5\r\n"), WS_ERR_HANDSHAKE},
      {ANSWER("Transfer-Encoding: chunked\r\n"), WS_ERR_HANDSHAKE},
      {"HTTP/1.1 101 x\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: " SAMPLE_ACCEPT "\r\n\r\n",
       WS_ERR_HANDSHAKE},
      {"HTTP/1.1 101 x\r\nUpgrade: websocketx\r\nConnection: Upgrade\r\n"
       "Sec-WebSocket-Accept: " SAMPLE_ACCEPT "\r\n\r\n",
       WS_ERR_HANDSHAKE},
      {"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nSec-WebSocket-Accept: " SAMPLE_ACCEPT "\r\n\r\n",
       WS_ERR_HANDSHAKE},
      {"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n", WS_ERR_HANDSHAKE},
      {"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
       "Sec-WebSocket-Accept: S3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n\r\n",
       WS_ERR_HANDSHAKE},
      {"HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
       "Sec-WebSocket-Accept: " SAMPLE_ACCEPT "x\r\n\r\n",
       WS_ERR_HANDSHAKE},
      {"ICY 200 OK\r\n\r\n", WS_ERR_HTTP},
      {"HTTP/1.1 101 x\nUpgrade: websocket\n\n", WS_ERR_HTTP},
      {"HTTP/1.1 101 x\r\nA: b\r\n folded\r\n\r\n", WS_ERR_HTTP},
      {"\x01HTTP/1.1 101 x\r\n\r\n", WS_ERR_HTTP},
  };
  static const char *const protocols[] = {"v2", "v1"};
  for (size_t i = 0; i < COUNT_OF(all); ++i) {
    for (int cut = WHOLE; cut <= IN_PLACE; ++cut) {
      Side s;
      ws_open open;
      prepare_open(&open);
      open.subprotocols = protocols;
      open.subprotocol_count = 2;
      start(&s, &open);
      s.cut = (Cut)cut;
      (void)request_of(&s);
      side_say(&s, all[i].answer);
      if (all[i].error == 0) {
        side_expect(&s, "open ");
      } else {
        assert_int_equal(strncmp(s.log, "close:1006/0/", 13), 0);
        if (s.how.error != all[i].error) print_error("answer %zu: %s\n", i, s.how.detail);
        assert_int_equal(s.how.error, all[i].error);
        side_expect_sent_nothing(&s);
        assert_int_equal(ws_engine_want(s.e), WS_WANT_CLOSE);
      }
      side_free(&s);
    }
  }
}

static void test_engine_client_reports_subprotocol_and_response_headers(void **state) {
  (void)state;
  static const char *const protocols[] = {"v2", "v1"};
  Side s;
  ws_open open;
  size_t len = 0;
  prepare_open(&open);
  open.subprotocols = protocols;
  open.subprotocol_count = 2;
  start(&s, &open);
  assert_null(ws_engine_response_header(s.e, "Server", NULL));
  assert_string_equal(ws_engine_subprotocol(s.e), "");
  side_say(&s,
           ANSWER("Server: x\r\nSec-WebSocket-Protocol: v1\r\nSet-Cookie: a\r\nset-cookie: b\r\n"));
  side_expect(&s, "open ");
  assert_string_equal(ws_engine_subprotocol(s.e), "v1");
  assert_string_equal(ws_engine_response_header(s.e, "SERVER", &len), "x");
  assert_int_equal(len, 1);
  assert_string_equal(ws_engine_response_header(s.e, "Set-Cookie", &len), "a, b");
  assert_int_equal(len, 4);
  assert_null(ws_engine_response_header(s.e, "Absent", NULL));
  assert_int_equal(ws_engine_response_body(s.e).len, 0);
  side_free(&s);
}

/* req: 120 */
/* bad: 66 */
static void test_engine_client_takes_frames_glued_to_the_answer(void **state) {
  (void)state;
  static const Cut cuts[] = {WHOLE, BYTES, RANDOM, IN_PLACE};
  for (size_t i = 0; i < COUNT_OF(cuts); ++i) {
    Side s;
    ws_open open;
    uint8_t wire[512];
    size_t n = strlen(ANSWER(""));
    prepare_open(&open);
    start(&s, &open);
    s.cut = cuts[i];
    memcpy(wire, ANSWER(""), n);
    n += wire_server_frame(wire + n, FIN_TEXT, "glued", 5);
    side_feed(&s, wire, n);
    side_expect(&s, "open text:glued ");
    side_free(&s);
  }
}

/* req: 19, 29 */
/* bad: 55 */
static void test_engine_client_refusal_has_status_headers_and_body(void **state) {
  (void)state;
  static const int statuses[] = {200, 204, 301, 401, 403, 426, 500, 503};
  for (size_t i = 0; i < COUNT_OF(statuses); ++i) {
    for (int framing = 0; framing < 2; ++framing) {
      Side s;
      ws_open open;
      char answer[256];
      prepare_open(&open);
      start(&s, &open);
      s.cut = i % 2 ? BYTES : WHOLE;
      snprintf(answer, sizeof answer, "HTTP/1.1 %d X\r\nX-Why: because\r\n%s\r\nhello", statuses[i],
               framing ? "Content-Length: 5\r\n" : "");
      side_say(&s, answer);
      int bodiless = statuses[i] == 204; /* RFC 9112 6.3: whatever its fields say */
      if (!framing && !bodiless) {
        side_expect(&s, ""); /* the end of the stream ends the body */
        side_eof(&s);
      }
      side_expect(&s, "close:1006/0/-61 ");
      assert_int_equal(s.how.http_status, statuses[i]);
      assert_string_equal(ws_engine_response_header(s.e, "x-why", NULL), "because");
      ws_slice body = ws_engine_response_body(s.e);
      assert_bytes(body.data, body.len, "hello", bodiless ? 0 : 5);
      side_free(&s);
    }
  }
}

/* What a getter gave stays valid when another field is asked for. */
static void test_engine_client_repeated_fields_are_joined_and_stay(void **state) {
  (void)state;
  Side s;
  ws_open open;
  size_t len = 0;
  prepare_open(&open);
  start(&s, &open);
  side_say(&s,
           "HTTP/1.1 401 X\r\nX-One: a\r\nX-Two: c\r\nX-One: b\r\nX-Two: d\r\n"
           "Content-Length: 0\r\n\r\n");
  side_expect(&s, "close:1006/0/-61 ");
  const char *one = ws_engine_response_header(s.e, "X-One", &len);
  assert_int_equal(len, 4);
  const char *two = ws_engine_response_header(s.e, "x-two", NULL);
  assert_string_equal(two, "c, d");
  assert_string_equal(one, "a, b");
  assert_ptr_equal(ws_engine_response_header(s.e, "x-one", NULL), one);
  side_free(&s);
}

static void test_engine_client_keeps_64_kib_of_a_refusal(void **state) {
  (void)state;
  for (int over = -1; over <= 1; ++over) {
    Side s;
    ws_open open;
    char head[128];
    size_t len = (size_t)(65536 + over);
    char *body = malloc(len);
    memset(body, 'b', len);
    prepare_open(&open);
    start(&s, &open);
    snprintf(head, sizeof head, "HTTP/1.1 500 X\r\nContent-Length: %zu\r\n\r\n", len);
    side_say(&s, head);
    side_feed(&s, body, len);
    side_expect(&s, "close:1006/0/-61 ");
    assert_int_equal(ws_engine_response_body(s.e).len, over > 0 ? 65536 : len);
    free(body);
    side_free(&s);
  }
}

/* req: 121 */
/* bad: 63, 64 */
static void test_engine_client_bounds_interim_responses_and_heads(void **state) {
  (void)state;
  for (int n = 7; n <= 9; ++n) {
    Side s;
    ws_open open;
    prepare_open(&open);
    start(&s, &open);
    for (int i = 0; i < n; ++i) side_say(&s, "HTTP/1.1 102 Processing\r\n\r\n");
    if (n <= 8) side_say(&s, ANSWER(""));
    side_expect(&s, n <= 8 ? "open " : "close:1006/0/-8 ");
    side_free(&s);
  }
  Side s;
  ws_open open;
  prepare_open(&open);
  start(&s, &open);
  side_say(&s, "HTTP/1.1 101 x\r\n");
  for (int i = 0; i < 200 && s.log[0] == '\0'; ++i) side_say(&s, "X: y\r\n");
  side_expect(&s, "close:1006/0/-8 ");
  side_free(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_engine_client_request_is_exact),
      cmocka_unit_test(test_engine_client_that_cannot_be_sent_is_refused),
      cmocka_unit_test(test_engine_client_answers_are_taken_or_refused),
      cmocka_unit_test(test_engine_client_reports_subprotocol_and_response_headers),
      cmocka_unit_test(test_engine_client_takes_frames_glued_to_the_answer),
      cmocka_unit_test(test_engine_client_refusal_has_status_headers_and_body),
      cmocka_unit_test(test_engine_client_repeated_fields_are_joined_and_stay),
      cmocka_unit_test(test_engine_client_keeps_64_kib_of_a_refusal),
      cmocka_unit_test(test_engine_client_bounds_interim_responses_and_heads),
  };
  return cmocka_run_group_tests_name("engine_client", tests, NULL, NULL);
}
