/*
 * Lifetime: close, abort, free, unref, pause and shutdown inside every callback.  What outlives
 * what is in test_lifetime_end.c.
 */
#include "world.h"

typedef enum Act { CLOSE, ABORT, FREE_SERVER, UNREF, PAUSE_RESUME, SHUTDOWN, ACTS } Act;

typedef struct Plan {
  const char *at; /* the callback in which it is done */
  Act act;
  int done, done_called;
  ws_conn *held;
} Plan;

static void shutdown_done(ws_server *s, void *arg) {
  World *w = arg;
  assert_ptr_equal(s, w->server);
  ++((Plan *)w->extra)->done_called;
  ws_server_free(s);
  w->server = NULL;
}

static void act(World *w, const char *event, ws_conn *c) {
  Plan *plan = w->extra;
  if (strcmp(event, "open") == 0 && plan->act == UNREF) plan->held = ws_conn_ref(c);
  if (strcmp(event, plan->at) != 0 || plan->done) return;
  plan->done = 1;
  int closing = strcmp(event, "close") == 0;
  switch (plan->act) {
    case CLOSE:
      assert_int_equal(ws_conn_close(c, 1000, "x"), closing ? WS_ERR_CLOSED : WS_OK);
      break;
    case ABORT: ws_conn_abort(c); break;
    case FREE_SERVER:
      ws_server_free(w->server);
      w->server = NULL;
      break;
    case UNREF:
      if (plan->held != NULL) ws_conn_unref(plan->held);
      plan->held = NULL;
      break;
    case PAUSE_RESUME:
      (void)ws_conn_pause(c);
      (void)ws_conn_resume(c);
      break;
    case SHUTDOWN: assert_ok(ws_server_shutdown(w->server, 1001, 50, shutdown_done, w)); break;
    default: fail();
  }
  /* Whatever happened, the handle can be used until the callback returns. */
  (void)ws_conn_send(c, WS_OP_TEXT, "after", 5, 0);
  (void)ws_conn_ping(c, NULL, 0);
  (void)ws_conn_flush(c);
  (void)ws_conn_buffered(c);
  assert_string_equal(ws_conn_subprotocol(c), "");
  assert_true(ws_conn_id(c) != 0);
}

static void on_chunk(ws_conn *c, ws_opcode op, uint32_t flags, const void *data, size_t len,
                     void *user) {
  World *w = user;
  (void)op, (void)flags, (void)data, (void)len;
  world_log(w, "chunk ");
  w->on(w, "chunk", c);
}

static void on_request(ws_request *r, void *user) {
  World *w = user;
  Plan *plan = w->extra;
  world_log(w, "request ");
  if (strcmp(plan->at, "request") != 0) return;
  plan->done = 1;
  if (plan->act == FREE_SERVER) {
    ws_server_free(w->server);
    w->server = NULL;
    assert_fails(WS_ERR_CLOSED, ws_request_accept(r, NULL));
  } else if (plan->act == SHUTDOWN) {
    assert_ok(ws_server_shutdown(w->server, 1001, 50, shutdown_done, w));
  } else if (plan->act == UNREF) {
    ws_request_unref(ws_request_ref(r));
  }
}

/* Everything that can happen to a connection, in one go, with `act` done in callback `at`. */
static void live_through(const char *at, Act what) {
  static uint8_t zeros[4096];
  World w;
  Peer p;
  Plan plan = {at, what, 0, 0, NULL};
  uint8_t wire[512];
  size_t n = 0;
  world_prepare(&w);
  w.on = act;
  w.extra = &plan;
  w.config.on_request = on_request;
  w.limits.send_high_bytes = 1000;
  w.limits.send_low_bytes = 100;
  w.limits.close_timeout_ms = 30;
  if (strcmp(at, "chunk") == 0) w.handlers.on_chunk = on_chunk;
  world_start(&w);
  peer_connect(&p, w.loop, w.port);
  peer_say(&p, WIRE_OPEN("/", ""));
  n += wire_client_frame(wire + n, FIN_PING, "1", 1);
  n += wire_client_frame(wire + n, FIN_PONG, "2", 1);
  n += wire_client_frame(wire + n, FIN_TEXT, "one", 3);
  n += wire_client_frame(wire + n, PART_TEXT, "t", 1);
  n += wire_client_frame(wire + n, PART_LAST, "wo", 2);
  n += wire_client_frame(wire + n, FIN_PING, "3", 1);
  n += wire_client_frame(wire + n, FIN_TEXT, "four", 4);
  peer_send(&p, wire, n);
  run_for(w.loop, 3);
  if (strcmp(at, "drain") == 0 && w.conn != NULL) {
    while (ws_conn_send(w.conn, WS_OP_BINARY, zeros, sizeof zeros, 0) != WS_BACKPRESSURE) {
    }
    while (!plan.done) {
      WireFrame f;
      if (p.in == NULL || p.len == 0) run_for(w.loop, 1);
      if (p.taken == 0 && p.len == 0) peer_expect_101(&p);
      peer_read_frame(&p, &f);
    }
  }
  peer_send_close(&p, 1000, NULL);
  peer_expect_gone(&p);
  run_for(w.loop, 3);
  assert_int_equal(plan.done, 1);
  assert_int_equal(w.closed, w.opened);
  if (plan.held != NULL) ws_conn_unref(plan.held);
  if (what == SHUTDOWN) {
    for (int i = 0; i < 500 && plan.done_called == 0; ++i) ws_loop_dispatch(w.loop, 1);
    assert_int_equal(plan.done_called, 1);
  }
  if (what == CLOSE && strcmp(at, "message") == 0) {
    assert_null(strstr(w.log, "four")); /* later messages are dropped */
  }
  if (what == ABORT && strcmp(at, "close") != 0 && strcmp(at, "drain") != 0) {
    const char *after = strstr(w.log, at[0] == 'm' ? "text:one" : at);
    assert_non_null(after);
    if (strcmp(at, "open") == 0) assert_string_equal(w.log, "request open close:1006/0/-10 ");
    if (strcmp(at, "message") == 0) assert_string_equal(after, "text:one close:1006/0/-10 ");
  }
  peer_drop(&p);
  ws_loop_stats s;
  WS_INIT(&s);
  uint64_t end = clock_ms() + PATIENCE_MS;
  do {
    run_for(w.loop, 1);
    assert_ok(ws_loop_get_stats(w.loop, &s));
  } while (s.connections != 0 && clock_ms() < end);
  assert_int_equal(s.connections, 0);
  world_stop(&w);
}

static const char *const kCallbacks[] = {"open", "message", "chunk", "ping",
                                         "pong", "drain",   "close"};

static void in_every_callback(Act what) {
  for (size_t i = 0; i < COUNT_OF(kCallbacks); ++i) live_through(kCallbacks[i], what);
}

/* bad: 219 */
static void test_lifetime_close_inside_every_callback_is_safe(void **state) {
  (void)state;
  in_every_callback(CLOSE);
}

/* bad: 220 */
static void test_lifetime_abort_inside_every_callback_is_safe(void **state) {
  (void)state;
  in_every_callback(ABORT);
}

/* bad: 221 */
static void test_lifetime_server_free_inside_every_callback_is_safe(void **state) {
  (void)state;
  in_every_callback(FREE_SERVER);
  live_through("request", FREE_SERVER);
}

/* bad: 220 */
static void test_lifetime_unref_inside_every_callback_is_safe(void **state) {
  (void)state;
  in_every_callback(UNREF);
  live_through("request", UNREF);
}

/* bad: 229 */
static void test_lifetime_pause_and_resume_inside_every_callback_is_safe(void **state) {
  (void)state;
  in_every_callback(PAUSE_RESUME);
}

static void test_lifetime_shutdown_inside_every_callback_is_safe(void **state) {
  (void)state;
  in_every_callback(SHUTDOWN);
  live_through("request", SHUTDOWN);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lifetime_close_inside_every_callback_is_safe),
      cmocka_unit_test(test_lifetime_abort_inside_every_callback_is_safe),
      cmocka_unit_test(test_lifetime_server_free_inside_every_callback_is_safe),
      cmocka_unit_test(test_lifetime_unref_inside_every_callback_is_safe),
      cmocka_unit_test(test_lifetime_pause_and_resume_inside_every_callback_is_safe),
      cmocka_unit_test(test_lifetime_shutdown_inside_every_callback_is_safe),
  };
  return cmocka_run_group_tests_name("lifetime", tests, NULL, NULL);
}
