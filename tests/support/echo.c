#include "echo.h"

#include "peer.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

/* CMocka's assertions belong to the thread of the test. */
static void must(int rc) {
  if (rc < 0 && rc != WS_ERR_CLOSED) abort();
}

static void say(ws_conn *c, const char *text) {
  must(ws_conn_send(c, WS_OP_TEXT, text, strlen(text), 0));
}

static int is(const char *order, const void *data, size_t len) {
  return strlen(order) == len && memcmp(order, data, len) == 0;
}

static void flood(ws_conn *c) {
  static const char zeros[1000];
  for (int i = 0; i < 1000; ++i) must(ws_conn_send(c, WS_OP_BINARY, zeros, sizeof zeros, 0));
}

static void send_empties(ws_conn *c) {
  for (int i = 0; i < 100000; ++i) must(ws_conn_send(c, WS_OP_BINARY, NULL, 0, 0));
}

static int obey(ws_conn *c, const void *data, size_t len) {
  if (is("bye", data, len)) {
    say(c, "one");
    say(c, "two");
    say(c, "three");
    must(ws_conn_close(c, 4001, "enough"));
  } else if (is("drop", data, len)) {
    ws_conn_abort(c);
  } else if (is("quiet", data, len)) {
    must(ws_conn_pause(c));
  } else if (is("flood", data, len)) {
    flood(c);
  } else if (is("empties", data, len)) {
    send_empties(c);
  } else if (is("ping", data, len)) {
    must(ws_conn_ping(c, "x", 1));
  } else {
    return 0;
  }
  return 1;
}

static void on_message(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  (void)user;
  if (op == WS_OP_TEXT && len < 8 && obey(c, data, len)) return;
  int rc = ws_conn_send(c, op, data, len, 0);
  must(rc);
  if (rc == WS_BACKPRESSURE) must(ws_conn_pause(c));
}

static void on_drain(ws_conn *c, void *user) {
  (void)user;
  must(ws_conn_resume(c));
}

static void on_pong(ws_conn *c, const void *data, size_t len, void *user) {
  (void)user;
  if (is("x", data, len)) say(c, "ponged");
}

static void on_open(ws_conn *c, void *user) {
  (void)c;
  atomic_fetch_add(&((Echo *)user)->opened, 1);
}

static void on_close(ws_conn *c, const ws_close_info *how, void *user) {
  (void)c, (void)how;
  atomic_fetch_add(&((Echo *)user)->closed, 1);
}

static void on_request(ws_request *r, void *user) {
  Echo *e = user;
  int number = atomic_fetch_add(&e->requests, 1);
  if (strcmp(ws_request_path(r), "/refused") == 0) {
    static const ws_header why = {"X-Why", "because"};
    must(ws_request_respond(r, 401, &why, 1, "no entry", 8));
  } else if (number < atomic_load(&e->not_yet)) {
    must(ws_request_respond(r, 503, NULL, 0, NULL, 0));
  }
}

void echo_prepare(Echo *e) {
  memset(e, 0, sizeof *e);
  WS_INIT(&e->limits);
  e->limits.deflate = WS_DEFLATE_OFF; /* so that bytes count; tests of it turn it on */
}

static void *run(void *arg) {
  if (ws_loop_run(((Echo *)arg)->loop) != WS_OK) abort();
  return NULL;
}

void echo_start(Echo *e) {
  static const char *const protocols[] = {"echo"};
  ws_handlers h;
  ws_server_config c;
  ws_listen_config lc;
  ws_listener *ln;
  WS_INIT(&h);
  WS_INIT(&c);
  WS_INIT(&lc);
  h.on_open = on_open;
  h.on_message = on_message;
  h.on_drain = on_drain;
  h.on_pong = on_pong;
  h.on_close = on_close;
  c.handlers = &h;
  c.conn = &e->limits;
  c.user = e;
  c.on_request = on_request;
  c.subprotocols = protocols;
  c.subprotocol_count = 1;
  c.server_header = "echo/1";
  lc.host = "127.0.0.1";
  assert_ok(ws_loop_new(NULL, &e->loop));
  assert_ok(ws_server_new(e->loop, &c, &e->server));
  assert_ok(ws_server_listen(e->server, &lc, &ln));
  snprintf(e->url, sizeof e->url, "ws://127.0.0.1:%u", ws_listener_port(ln));
  assert_int_equal(pthread_create(&e->thread, NULL, run, e), 0);
}

void echo_stop(Echo *e) {
  ws_loop_stop(e->loop);
  pthread_join(e->thread, NULL);
  assert_ok(ws_loop_free(e->loop));
  assert_int_equal(atomic_load(&e->opened), atomic_load(&e->closed));
}

void echo_wait(const atomic_int *value, int want) {
  uint64_t end = clock_ms() + PATIENCE_MS;
  while (atomic_load(value) < want) {
    if (clock_ms() > end) fail_msg("still %d, not %d", atomic_load(value), want);
    sched_yield();
  }
}

int echo_setup(void **state) {
  Echo *e = malloc(sizeof *e);
  echo_prepare(e);
  e->limits.max_message_bytes = 32u << 20;
  e->limits.send_limit_bytes = 64u << 20;
  echo_start(e);
  *state = e;
  return 0;
}

int echo_teardown(void **state) {
  echo_stop(*state);
  free(*state);
  return 0;
}

ws_sync *sync_join_with(Echo *e, const ws_conn_config *limits) {
  ws_sync *s = NULL;
  ws_client_config c;
  WS_INIT(&c);
  c.conn = limits;
  assert_ok(ws_sync_connect(e->url, &c, &s));
  assert_non_null(s);
  return s;
}

ws_sync *sync_join(Echo *e) {
  ws_sync *s = NULL;
  assert_ok(ws_sync_connect(e->url, NULL, &s));
  assert_non_null(s);
  return s;
}

void sync_say(ws_sync *s, const char *text) {
  assert_ok(ws_sync_send(s, WS_OP_TEXT, text, strlen(text)));
}

void sync_expect_text(ws_sync *s, const char *text) {
  ws_opcode op = (ws_opcode)0;
  const void *data = NULL;
  size_t len = 0;
  assert_ok(ws_sync_recv(s, PATIENCE_MS, &op, &data, &len));
  assert_int_equal(op, WS_OP_TEXT);
  assert_bytes(data, len, text, strlen(text));
}

void sync_expect_echo(ws_sync *s, const char *text) {
  sync_say(s, text);
  sync_expect_text(s, text);
}

/* recv() fails with `code` and leaves what it was given alone. */
void sync_expect_none(ws_sync *s, uint32_t timeout_ms, int code) {
  ws_opcode op = (ws_opcode)77;
  const void *data = &op;
  size_t len = 78;
  assert_fails(code, ws_sync_recv(s, timeout_ms, &op, &data, &len));
  assert_int_equal(op, 77);
  assert_ptr_equal(data, &op);
  assert_int_equal(len, 78);
}
