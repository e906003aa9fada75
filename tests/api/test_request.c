/*
 * request.h: what a server sees of a request, and its one answer, now or later.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

typedef void (*Answer)(World *w, ws_request *r);

static ws_request *waiting;
static int requests;

static void on_request(ws_request *r, void *user) {
  World *w = user;
  ++requests;
  if (w->extra != NULL) ((Answer)(void (*)(void))(uintptr_t)w->extra)(w, r);
}

static void world_answering(World *w, Answer answer) {
  world_prepare(w);
  w->config.on_request = on_request;
  w->extra = (void *)(uintptr_t)answer;
  requests = 0;
  waiting = NULL;
  world_start(w);
}

static void keep(World *w, ws_request *r) {
  (void)w;
  waiting = ws_request_ref(r);
}

/* Sends a request and waits until the application has it. */
static void ask_and_wait(World *w, Peer *p, const char *request) {
  int before = requests;
  peer_connect(p, w->loop, w->port);
  peer_say(p, request);
  for (int i = 0; i < 1000 && requests == before; ++i) run_for(w->loop, 1);
  assert_int_equal(requests, before + 1);
}

static void look_closely(World *w, ws_request *r) {
  size_t len = 77;
  ws_header h;
  assert_int_equal(ws_request_is_upgrade(r), 1);
  assert_string_equal(ws_request_method(r), "GET");
  assert_string_equal(ws_request_path(r), "/a%2Fb/..;/c");
  assert_string_equal(ws_request_query(r), "x=1&y=?");
  assert_string_equal(ws_request_header(r, "HOST", &len), "localhost:9001");
  assert_int_equal(len, 14);
  assert_string_equal(ws_request_header(r, "x-multi", &len), "one, two, three");
  assert_int_equal(len, 15);
  assert_string_equal(ws_request_header(r, "X-High", NULL), "caf\xe9");
  assert_string_equal(ws_request_header(r, "X-Empty", &len), "");
  assert_int_equal(len, 0);
  len = 77;
  assert_null(ws_request_header(r, "Absent", &len));
  assert_null(ws_request_header(r, "", NULL));
  assert_string_equal(ws_request_cookie(r, "id", &len), "7=8");
  assert_int_equal(len, 3);
  assert_string_equal(ws_request_cookie(r, "q", NULL), "\"quoted\"");
  assert_string_equal(ws_request_cookie(r, "later", NULL), "yes");
  assert_null(ws_request_cookie(r, "ID", NULL));
  assert_null(ws_request_cookie(r, "", NULL));
  assert_null(ws_request_cookie(r, "malformed", NULL));
  assert_string_equal(ws_request_subprotocol(r, 0), "chat.v2");
  assert_string_equal(ws_request_subprotocol(r, 1), "chat");
  assert_string_equal(ws_request_subprotocol(r, 2), "raw");
  assert_null(ws_request_subprotocol(r, 3));
  assert_null(ws_request_subprotocol(r, SIZE_MAX));
  assert_int_equal(strncmp(ws_request_peer(r), "127.0.0.1:", 10), 0);
  char local[32];
  snprintf(local, sizeof local, "127.0.0.1:%d", w->port);
  assert_string_equal(ws_request_local(r), local);
  assert_ptr_equal(ws_request_local(r), ws_request_local(r)); /* valid while the request is */
  size_t n = 0;
  while (ws_request_header_at(r, n, &h)) ++n;
  assert_int_equal(n, 14);
  assert_int_equal(ws_request_header_at(r, 0, &h), 1);
  assert_string_equal(h.name, "Host");
  assert_string_equal(h.value, "localhost:9001");
  assert_int_equal(ws_request_header_at(r, SIZE_MAX, &h), 0);
}

/* req: 40, 41 */
/* bad: 31, 42, 47, 283 */
static void test_request_shows_all_of_what_was_sent(void **state) {
  (void)state;
  World w;
  Peer p;
  world_answering(&w, look_closely);
  ask_and_wait(
      &w, &p,
      WIRE_OPEN("/a%2Fb/..;/c?x=1&y=?",
                "X-Multi: one\r\nx-MULTI:two\r\nX-Multi: three  \r\nX-High: caf\xe9\r\n"
                "X-Empty:\r\nCookie: malformed; id=7=8; q=\"quoted\"; id=9\r\n"
                "Cookie: later=yes\r\n"
                "Sec-WebSocket-Protocol: chat.v2, ,chat\r\nSec-WebSocket-Protocol: raw\r\n"));
  peer_expect_101(&p); /* not answered in on_request: accepted by default */
  peer_drop(&p);
  world_stop(&w);
}

static void look_at_plain(World *w, ws_request *r) {
  (void)w;
  assert_int_equal(ws_request_is_upgrade(r), 0);
  assert_string_equal(ws_request_path(r), "/");
  assert_string_equal(ws_request_query(r), "");
  assert_null(ws_request_subprotocol(r, 0));
  assert_fails(WS_ERR_STATE, ws_request_accept(r, NULL));
  keep(w, r);
}

static void test_request_of_plain_http_cannot_be_accepted_but_answered(void **state) {
  (void)state;
  World w;
  Peer p;
  char head[1024];
  static const ws_header headers[] = {{"Content-Type", "text/html"}, {"X-A", "1"}};
  world_answering(&w, look_at_plain);
  ask_and_wait(&w, &p, WIRE_GET("/", ""));
  assert_ok(ws_request_respond(waiting, 200, headers, 2, "hi", 2));
  assert_fails(WS_ERR_STATE, ws_request_respond(waiting, 200, headers, 2, "hi", 2));
  peer_expect_status(&p, 200, head, sizeof head);
  assert_non_null(strstr(head, "\r\nContent-Length: 2\r\n"));
  assert_non_null(strstr(head, "\r\nConnection: close\r\n"));
  assert_non_null(strstr(head, "\r\nDate: "));
  assert_non_null(strstr(head, "\r\nContent-Type: text/html\r\n"));
  assert_non_null(strstr(head, "\r\nX-A: 1\r\n"));
  peer_expect_bytes(&p, "hi");
  peer_expect_end(&p);
  ws_request_unref(waiting);
  assert_int_equal(w.opened, 0);
  peer_drop(&p);
  world_stop(&w);
}

static void test_request_head_gets_the_length_but_no_body(void **state) {
  (void)state;
  World w;
  Peer p;
  char head[1024];
  world_answering(&w, keep);
  ask_and_wait(&w, &p, "HEAD /x HTTP/1.1\r\nHost: h\r\n\r\n");
  assert_string_equal(ws_request_method(waiting), "HEAD");
  assert_ok(ws_request_respond(waiting, 200, NULL, 0, "12345", 5));
  peer_expect_status(&p, 200, head, sizeof head);
  assert_non_null(strstr(head, "\r\nContent-Length: 5\r\n"));
  peer_expect_end(&p);
  ws_request_unref(waiting);
  peer_drop(&p);
  world_stop(&w);
}

static void test_request_large_body_arrives_whole_and_above_16_mib_is_refused(void **state) {
  (void)state;
  World w;
  Peer p;
  char head[1024];
  size_t max = 16u << 20;
  char *body = malloc(max + 2);
  memset(body, 'B', max + 1);
  body[max] = '\0';
  world_answering(&w, keep);
  ask_and_wait(&w, &p, WIRE_GET("/", ""));
  assert_fails(WS_ERR_TOO_BIG, ws_request_respond(waiting, 200, NULL, 0, body, max + 1));
  assert_ok(ws_request_respond(waiting, 200, NULL, 0, body, max));
  peer_expect_status(&p, 200, head, sizeof head);
  assert_non_null(strstr(head, "\r\nContent-Length: 16777216\r\n"));
  peer_expect_bytes(&p, body);
  peer_expect_end(&p);
  ws_request_unref(waiting);
  free(body);
  peer_drop(&p);
  world_stop(&w);
}

static void answer_badly(World *w, ws_request *r) {
  static const ws_header bad[] = {{"X-A", "a\rb"},
                                  {"X-A", "a\nb"},
                                  {"X-A", "a\r\nX-B: 1"},
                                  {"X A", "v"},
                                  {"", "v"},
                                  {"X:A", "v"},
                                  {"X\r\nA", "v"},
                                  {"Upgrade", "h2c"},
                                  {"CONNECTION", "keep-alive"},
                                  {"Sec-WebSocket-Accept", "x"},
                                  {"sec-websocket-protocol", "x"},
                                  {"Sec-WebSocket-Extensions", "x"},
                                  {"Content-Length", "0"},
                                  {"Transfer-Encoding", "chunked"},
                                  {NULL, "v"},
                                  {"X-A", NULL},
                                  {"X-A", "a\x7f"},
                                  {"X-A", "a\x01"}};
  static const int statuses[] = {-1, 0, 99, 100, 101, 199, 600, 1000};
  ws_accept how;
  (void)w;
  for (size_t i = 0; i < COUNT_OF(bad); ++i) {
    WS_INIT(&how);
    how.headers = &bad[i];
    how.header_count = 1;
    assert_fails(WS_ERR_INVALID, ws_request_accept(r, &how));
    assert_fails(WS_ERR_INVALID, ws_request_respond(r, 200, &bad[i], 1, NULL, 0));
  }
  for (size_t i = 0; i < COUNT_OF(statuses); ++i) {
    assert_fails(WS_ERR_INVALID, ws_request_respond(r, statuses[i], NULL, 0, NULL, 0));
  }
  assert_fails(WS_ERR_INVALID, ws_request_respond(r, 200, NULL, 1, NULL, 0));
  assert_fails(WS_ERR_INVALID, ws_request_respond(r, 200, NULL, 0, NULL, 1));
  assert_fails(WS_ERR_INVALID, ws_request_respond(r, 204, NULL, 0, "x", 1));
  WS_INIT(&how);
  how.header_count = 1;
  assert_fails(WS_ERR_INVALID, ws_request_accept(r, &how));
  WS_INIT(&how);
  how.subprotocol = "not-offered";
  assert_fails(WS_ERR_INVALID, ws_request_accept(r, &how));
  how.subprotocol = "CHAT";
  assert_fails(WS_ERR_INVALID, ws_request_accept(r, &how));
  how.subprotocol = "chat, superchat";
  assert_fails(WS_ERR_INVALID, ws_request_accept(r, &how));
  how.subprotocol = "";
  assert_fails(WS_ERR_INVALID, ws_request_accept(r, &how));
  how.subprotocol = "chat";
  assert_ok(ws_request_accept(r, &how));
  assert_fails(WS_ERR_STATE, ws_request_accept(r, &how));
  assert_fails(WS_ERR_STATE, ws_request_respond(r, 403, NULL, 0, NULL, 0));
}

/* req: 46, 122 */
/* bad: 52, 53, 54 */
static void test_request_bad_answers_are_refused_and_a_good_one_still_works(void **state) {
  (void)state;
  World w;
  Peer p;
  char head[1024];
  world_answering(&w, answer_badly);
  peer_connect(&p, w.loop, w.port);
  peer_say(&p, WIRE_OPEN("/", "Sec-WebSocket-Protocol: superchat, chat\r\n"));
  peer_expect_status(&p, 101, head, sizeof head);
  assert_non_null(strstr(head, "\r\nSec-WebSocket-Protocol: chat\r\n"));
  assert_null(strstr(head, "X-A"));
  world_wait_log(&w, "open");
  assert_string_equal(ws_conn_subprotocol(w.conn), "chat");
  peer_drop(&p);
  world_stop(&w);
}

static World *other_world;
static void other_open(ws_conn *c, void *user) {
  assert_ptr_equal(user, &other_world);
  assert_ptr_equal(ws_conn_user(c), &other_world);
  world_log(other_world, "other ");
}

static void accept_with_handlers(World *w, ws_request *r) {
  static const ws_header headers[] = {
      {"Set-Cookie", "a=1"}, {"Set-Cookie", "b=2"}, {"Server", "mine"}};
  ws_handlers h;
  ws_accept how;
  WS_INIT(&h);
  h.on_open = other_open;
  WS_INIT(&how);
  how.headers = headers;
  how.header_count = 3;
  how.handlers = &h;
  how.user = &other_world;
  other_world = w;
  assert_ok(ws_request_accept(r, &how));
  memset(&h, 0xff, sizeof h); /* was copied */
}

static void test_request_accept_gives_own_handlers_user_and_headers(void **state) {
  (void)state;
  World w;
  Peer p;
  char head[1024];
  world_prepare(&w);
  w.config.on_request = on_request;
  w.extra = (void *)(uintptr_t)accept_with_handlers;
  w.config.server_header = "libws-test/1";
  world_start(&w);
  peer_connect(&p, w.loop, w.port);
  peer_say(&p, WIRE_OPEN("/", ""));
  peer_expect_status(&p, 101, head, sizeof head);
  assert_non_null(strstr(head, "\r\nSet-Cookie: a=1\r\nSet-Cookie: b=2\r\nServer: mine\r\n"));
  assert_null(strstr(head, "libws-test"));
  world_wait_log(&w, "other");
  peer_send_text(&p, "ignored");
  peer_send_close(&p, 1000, NULL);
  peer_expect_close(&p, 1000);
  assert_string_equal(w.log, "other ");
  peer_drop(&p);
  world_stop(&w);
}

/* bad: 39 */
static void test_request_answered_later_delivers_what_came_meanwhile(void **state) {
  (void)state;
  World w;
  Peer p;
  char text[16];
  world_answering(&w, keep);
  ask_and_wait(&w, &p, WIRE_OPEN("/", ""));
  for (int i = 0; i < 50; ++i) {
    snprintf(text, sizeof text, "m%d", i);
    peer_send_text(&p, text);
    run_for(w.loop, 0);
  }
  assert_string_equal(w.log, "");
  assert_ok(ws_request_accept(waiting, NULL));
  assert_string_equal(w.log, ""); /* on_open follows from the loop */
  ws_request_unref(waiting);
  peer_expect_101(&p);
  world_wait_log(&w, "text:m49 ");
  assert_int_equal(w.messages, 50);
  peer_drop(&p);
  world_stop(&w);
}

/* bad: 39 */
static void test_request_waiting_for_its_answer_reads_at_most_one_buffer(void **state) {
  (void)state;
  World w;
  Peer p;
  static uint8_t flood[1 << 20];
  world_answering(&w, keep);
  ask_and_wait(&w, &p, WIRE_OPEN("/", ""));
  size_t n = wire_client_frame(flood, FIN_BINARY, flood, 900000);
  size_t sent = 0;
  peer_send(&p, flood, 65536);
  sent = 65536;
  run_for(w.loop, 10);
  assert_ok(ws_request_accept(waiting, NULL));
  ws_request_unref(waiting);
  peer_expect_101(&p);
  peer_send(&p, flood + sent, n - sent);
  world_wait_log(&w, "binary#900000");
  peer_drop(&p);
  world_stop(&w);
}

/* req: 51 */
/* bad: 40 */
static void test_request_answered_after_the_peer_left_is_closed(void **state) {
  (void)state;
  for (int i = 0; i < 8; ++i) {
    World w;
    Peer p;
    world_answering(&w, keep);
    ask_and_wait(&w, &p, i & 4 ? WIRE_GET("/x", "") : WIRE_OPEN("/x", ""));
    if (i & 1) {
      peer_reset(&p);
    } else {
      peer_drop(&p);
    }
    ws_loop_stats s;
    WS_INIT(&s);
    uint64_t end = clock_ms() + PATIENCE_MS;
    do {
      run_for(w.loop, 1);
      assert_ok(ws_loop_get_stats(w.loop, &s));
    } while (s.connections != 0 && clock_ms() < end);
    assert_int_equal(s.connections, 0);
    if (i & 2) world_stop(&w);
    assert_fails(WS_ERR_CLOSED, ws_request_respond(waiting, 200, NULL, 0, NULL, 0));
    if (!(i & 4)) assert_fails(WS_ERR_CLOSED, ws_request_accept(waiting, NULL));
    assert_string_equal(ws_request_local(waiting), "");
    assert_string_equal(ws_request_path(waiting), "/x");
    assert_string_equal(ws_request_header(waiting, "Host", NULL), "localhost:9001");
    ws_request_unref(waiting);
    assert_int_equal(w.opened + w.closed, 0);
    world_stop(&w);
  }
}

/* A reset behind data that was not read is noticed too. */
/* bad: 40 */
static void test_request_reset_behind_early_data_is_noticed(void **state) {
  (void)state;
  World w;
  Peer p;
  world_answering(&w, keep);
  ask_and_wait(&w, &p, WIRE_OPEN("/", ""));
  peer_send_text(&p, "early");
  run_for(w.loop, 5);
  peer_reset(&p);
  ws_loop_stats s;
  WS_INIT(&s);
  uint64_t end = clock_ms() + PATIENCE_MS;
  do {
    run_for(w.loop, 1);
    assert_ok(ws_loop_get_stats(w.loop, &s));
  } while (s.connections != 0 && clock_ms() < end);
  assert_int_equal(s.connections, 0);
  assert_fails(WS_ERR_CLOSED, ws_request_accept(waiting, NULL));
  ws_request_unref(waiting);
  world_stop(&w);
}

static void test_request_that_is_not_answered_in_time_gets_503(void **state) {
  (void)state;
  World w;
  Peer p;
  world_prepare(&w);
  w.config.on_request = on_request;
  w.extra = (void *)(uintptr_t)keep;
  w.limits.handshake_timeout_ms = 40;
  requests = 0;
  world_start(&w);
  ask_and_wait(&w, &p, WIRE_OPEN("/", ""));
  peer_expect_status(&p, 503, NULL, 0);
  assert_fails(WS_ERR_CLOSED, ws_request_accept(waiting, NULL));
  ws_request_unref(waiting);
  peer_drop(&p);
  world_stop(&w);
}

/* bad: 49, 50 */
static void test_request_handshake_timeout_is_absolute(void **state) {
  (void)state;
  World w;
  Peer silent, slow;
  world_prepare(&w);
  w.limits.handshake_timeout_ms = 60;
  world_start(&w);
  uint64_t start = clock_ms();
  peer_connect(&silent, w.loop, w.port);
  peer_connect(&slow, w.loop, w.port);
  const char *head = WIRE_OPEN("/", "");
  for (int i = 0; i < 12; ++i) {
    peer_send(&slow, head + i, 1);
    run_for(w.loop, 4);
  }
  peer_expect_status(&slow, 408, NULL, 0);
  peer_expect_end(&silent); /* who said nothing is told nothing */
  assert_true(clock_ms() - start >= 58);
  assert_string_equal(w.log, "");
  peer_drop(&silent);
  peer_drop(&slow);
  world_stop(&w);
}

static void respond_403(World *w, ws_request *r) {
  (void)w;
  assert_ok(ws_request_respond(r, 403, NULL, 0, "no", 2));
}

/* req: 45, 109, 140 */
static void test_request_refused_by_the_application_never_opens(void **state) {
  (void)state;
  World w;
  Peer p;
  world_answering(&w, respond_403);
  ask_and_wait(&w, &p, WIRE_OPEN("/", ""));
  peer_expect_status(&p, 403, NULL, 0);
  peer_expect_bytes(&p, "no");
  peer_send_text(&p, "not a request, not a frame");
  peer_expect_end(&p);
  assert_string_equal(w.log, "");
  peer_drop(&p);
  world_stop(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_request_shows_all_of_what_was_sent),
      cmocka_unit_test(test_request_of_plain_http_cannot_be_accepted_but_answered),
      cmocka_unit_test(test_request_head_gets_the_length_but_no_body),
      cmocka_unit_test(test_request_large_body_arrives_whole_and_above_16_mib_is_refused),
      cmocka_unit_test(test_request_bad_answers_are_refused_and_a_good_one_still_works),
      cmocka_unit_test(test_request_accept_gives_own_handlers_user_and_headers),
      cmocka_unit_test(test_request_answered_later_delivers_what_came_meanwhile),
      cmocka_unit_test(test_request_waiting_for_its_answer_reads_at_most_one_buffer),
      cmocka_unit_test(test_request_answered_after_the_peer_left_is_closed),
      cmocka_unit_test(test_request_reset_behind_early_data_is_noticed),
      cmocka_unit_test(test_request_that_is_not_answered_in_time_gets_503),
      cmocka_unit_test(test_request_handshake_timeout_is_absolute),
      cmocka_unit_test(test_request_refused_by_the_application_never_opens),
  };
  return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
