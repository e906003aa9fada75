/*
 * Lifetime: handles that outlive everything, the order in which a loop takes things down, events
 * that arrive in the batch in which their connection dies.
 */
#include "world.h"

static void expect_inert(ws_conn *c) {
  ws_message *m, *none = NULL;
  ws_conn_stats s;
  WS_INIT(&s);
  assert_ok(ws_message_new(WS_OP_TEXT, "m", 1, &m));
  assert_fails(WS_ERR_CLOSED, ws_conn_send(c, WS_OP_TEXT, "x", 1, 0));
  assert_fails(WS_ERR_CLOSED, ws_conn_send_part(c, WS_OP_TEXT, "x", 1, 1));
  assert_fails(WS_ERR_CLOSED, ws_conn_send_message(c, m));
  assert_fails(WS_ERR_CLOSED, ws_conn_post_message(c, m));
  assert_true(ws_conn_keep_message(c, &none) < 0);
  assert_null(none);
  assert_fails(WS_ERR_CLOSED, ws_conn_ping(c, NULL, 0));
  assert_fails(WS_ERR_CLOSED, ws_conn_pong(c, NULL, 0));
  assert_fails(WS_ERR_CLOSED, ws_conn_flush(c));
  assert_fails(WS_ERR_CLOSED, ws_conn_pause(c));
  assert_fails(WS_ERR_CLOSED, ws_conn_resume(c));
  assert_fails(WS_ERR_CLOSED, ws_conn_set_chunks(c, 1));
  assert_fails(WS_ERR_CLOSED, ws_conn_close(c, 1000, NULL));
  ws_conn_abort(c);
  assert_int_equal(ws_conn_is_open(c), 0);
  assert_int_equal(ws_conn_buffered(c), 0);
  assert_null(ws_conn_loop(c));
  assert_true(ws_conn_id(c) != 0);
  assert_int_equal(strncmp(ws_conn_peer(c), "127.0.0.1:", 10), 0);
  assert_string_equal(ws_conn_local(c), "");
  assert_string_equal(ws_conn_subprotocol(c), "chat");
  assert_ok(ws_conn_get_stats(c, &s));
  assert_true(s.bytes_in > 0);
  ws_message_unref(m);
}

static void test_lifetime_held_handle_is_inert_after_close_and_after_loop_free(void **state) {
  (void)state;
  static const char *const protocols[] = {"chat"};
  World w;
  Peer p;
  world_prepare(&w);
  w.config.subprotocols = protocols;
  w.config.subprotocol_count = 1;
  world_start(&w);
  peer_connect(&p, w.loop, w.port);
  peer_say(&p, WIRE_OPEN("/", "Sec-WebSocket-Protocol: chat\r\n"));
  peer_expect_101(&p);
  world_wait_log(&w, "open");
  ws_conn *c = ws_conn_ref(w.conn);
  peer_send_close(&p, 1000, NULL);
  peer_expect_close(&p, 1000);
  peer_drop(&p);
  world_wait_closed(&w, 1);
  run_for(w.loop, 5);
  expect_inert(c);
  world_stop(&w);
  expect_inert(c);
  ws_conn_set_user(c, NULL);
  assert_null(ws_conn_user(c));
  ws_conn_unref(c);
}

static void test_lifetime_loop_free_reports_each_close_and_leaves_handles_inert(void **state) {
  (void)state;
  static const char *const protocols[] = {"chat"};
  World w;
  Peer p[3];
  ws_conn *held[3];
  world_prepare(&w);
  w.config.subprotocols = protocols;
  w.config.subprotocol_count = 1;
  world_start(&w);
  for (int i = 0; i < 3; ++i) {
    peer_connect(&p[i], w.loop, w.port);
    peer_say(&p[i], WIRE_OPEN("/", "Sec-WebSocket-Protocol: chat\r\n"));
    peer_expect_101(&p[i]);
    held[i] = ws_conn_ref(w.conn);
  }
  assert_ok(ws_conn_close(held[1], 1000, NULL));
  assert_ok(ws_conn_pause(held[2]));
  assert_ok(ws_loop_free(w.loop)); /* takes the server with it */
  w.loop = NULL;
  w.server = NULL;
  assert_int_equal(w.closed, 3);
  assert_int_equal(w.how.error, WS_ERR_CANCELLED);
  for (int i = 0; i < 3; ++i) {
    expect_inert(held[i]);
    ws_conn_unref(held[i]);
    p[i].loop = NULL;
    peer_expect_gone(&p[i]);
    peer_drop(&p[i]);
  }
}

static void never_called(ws_timer *t, void *user) {
  (void)t, (void)user;
  fail();
}

static ws_timer *own_timer;
static void free_own_things(World *w, const char *event, ws_conn *c) {
  if (strcmp(event, "open") == 0) {
    assert_ok(ws_timer_new(ws_conn_loop(c), never_called, NULL, &own_timer));
    assert_ok(ws_timer_start(own_timer, 60000));
  } else if (strcmp(event, "close") == 0) {
    ws_timer_stop(own_timer);
    ws_timer_free(own_timer);
    assert_int_equal(ws_server_count(w->server), 1);
  }
}

/* An application frees in on_close what belongs to the connection: its timer, for one.  The loop
 * has not been released yet (loop.h), so that must work when ws_loop_free() brings on_close. */
static void test_lifetime_on_close_from_loop_free_may_free_its_timer(void **state) {
  (void)state;
  World w;
  Peer p;
  world_prepare(&w);
  w.on = free_own_things;
  world_start(&w);
  world_join(&w, &p);
  assert_ok(ws_loop_free(w.loop));
  assert_int_equal(w.closed, 1);
  p.loop = NULL;
  peer_drop(&p);
}

static void free_server_on_close(World *w, const char *event, ws_conn *c) {
  (void)c;
  if (strcmp(event, "close") != 0 || w->server == NULL) return;
  ws_server_free(w->server);
  w->server = NULL;
}

static void test_lifetime_on_close_from_loop_free_may_free_the_server(void **state) {
  (void)state;
  World w;
  Peer p;
  world_prepare(&w);
  w.on = free_server_on_close;
  world_start(&w);
  world_join(&w, &p);
  assert_ok(ws_loop_free(w.loop));
  assert_int_equal(w.closed, 1);
  p.loop = NULL;
  peer_drop(&p);
}

static void free_loop_inside(World *w, const char *event, ws_conn *c) {
  (void)event, (void)c;
  assert_fails(WS_ERR_REENTRANT, ws_loop_free(w->loop));
  assert_fails(WS_ERR_REENTRANT, ws_loop_run(w->loop));
  assert_fails(WS_ERR_REENTRANT, ws_loop_dispatch(w->loop, 0));
}

/* bad: 221, 223 */
static void test_lifetime_loop_free_inside_callbacks_is_reentrant(void **state) {
  (void)state;
  World w;
  Peer p;
  world_prepare(&w);
  w.on = free_loop_inside;
  world_start(&w);
  world_join(&w, &p);
  peer_send_frame(&p, FIN_PING, "1", 1);
  peer_send_frame(&p, FIN_PONG, "1", 1);
  peer_send_text(&p, "x");
  world_wait_log(&w, "text:x");
  world_stop(&w); /* on_close from ws_loop_free too */
  assert_int_equal(w.closed, 1);
  p.loop = NULL;
  peer_drop(&p);
}

typedef struct Pair {
  ws_conn *a, *b;
  int close; /* politely */
} Pair;

static void abort_the_other(World *w, const char *event, ws_conn *c) {
  Pair *pair = w->extra;
  if (strcmp(event, "message") != 0) return;
  ws_conn *other = c == pair->a ? pair->b : pair->a;
  if (pair->close) {
    (void)ws_conn_close(other, 1000, NULL);
  } else {
    ws_conn_abort(other);
  }
}

/* bad: 225 */
static void test_lifetime_other_connection_aborted_in_the_same_batch_gets_no_event(void **state) {
  (void)state;
  for (int how = 0; how < 2; ++how) {
    World w;
    Peer p, q;
    Pair pair;
    world_prepare(&w);
    w.limits.close_timeout_ms = 30;
    w.extra = &pair;
    world_start(&w);
    world_join(&w, &p);
    pair.a = w.conn;
    world_join(&w, &q);
    pair.b = w.conn;
    pair.close = how;
    w.on = abort_the_other;
    peer_send_text(&p, "p");
    peer_send_text(&q, "q");
    world_wait_closed(&w, 1);
    assert_int_equal(w.messages, 1);
    peer_drop(&p);
    peer_drop(&q);
    world_stop(&w);
  }
}

/* bad: 226 */
static void test_lifetime_descriptor_reused_in_the_same_batch_gets_no_old_event(void **state) {
  (void)state;
  for (int round = 0; round < 3; ++round) {
    World w;
    Peer p, q, late;
    Pair pair;
    world_prepare(&w);
    w.extra = &pair;
    world_start(&w);
    world_join(&w, &p);
    pair.a = w.conn;
    world_join(&w, &q);
    pair.b = w.conn;
    pair.close = 0;
    w.on = abort_the_other;
    /* In one batch: two messages, of which one kills the other's connection, and an accept that
     * is given the descriptor that became free. */
    peer_send_text(&p, "p");
    peer_send_text(&q, "q");
    peer_connect(&late, w.loop, w.port);
    peer_open(&late);
    w.on = NULL;
    peer_send_text(&late, "late");
    world_wait_log(&w, "text:late");
    assert_int_equal(w.closed, 1);
    peer_drop(&late);
    peer_drop(&p);
    peer_drop(&q);
    world_wait_closed(&w, 3);
    world_stop(&w);
  }
}

static int free_the_server(ws_conn *c, void *arg) {
  World *w = arg;
  (void)c;
  if (w->server != NULL) ws_server_free(w->server);
  w->server = NULL;
  return 0;
}

static int abort_it(ws_conn *c, void *arg) {
  ++*(int *)arg;
  ws_conn_abort(c);
  return 0;
}

static int close_it(ws_conn *c, void *arg) {
  ++*(int *)arg;
  return ws_conn_close(c, 1001, NULL);
}

static void test_lifetime_each_may_abort_close_and_free_the_server(void **state) {
  (void)state;
  World w;
  Peer p[4];
  int seen = 0;
  world_start_default(&w);
  for (int i = 0; i < 4; ++i) world_join(&w, &p[i]);
  assert_int_equal(ws_server_each(w.server, close_it, &seen), 0);
  assert_int_equal(ws_server_each(w.server, abort_it, &seen), 0);
  assert_int_equal(seen, 8);
  assert_int_equal(w.closed, 0);
  world_wait_closed(&w, 4);
  for (int i = 0; i < 4; ++i) {
    peer_drop(&p[i]);
    world_join(&w, &p[i]);
  }
  assert_int_equal(ws_server_each(w.server, free_the_server, &w), 0);
  world_wait_closed(&w, 8);
  for (int i = 0; i < 4; ++i) peer_drop(&p[i]);
  world_stop(&w);
}

static void free_server_task(ws_loop *l, void *arg, int cancelled) {
  (void)l;
  assert_int_equal(cancelled, 0);
  free_the_server(NULL, arg);
}

static void free_server_timer(ws_timer *t, void *user) {
  ws_timer_free(t);
  free_the_server(NULL, user);
}

static void test_lifetime_server_free_from_timer_and_task_closes_all(void **state) {
  (void)state;
  for (int how = 0; how < 2; ++how) {
    World w;
    Peer p, q;
    world_start_default(&w);
    world_join(&w, &p);
    world_join(&w, &q);
    if (how == 0) {
      assert_ok(ws_loop_post(w.loop, free_server_task, &w));
    } else {
      ws_timer *t;
      assert_ok(ws_timer_new(w.loop, free_server_timer, &w, &t));
      assert_ok(ws_timer_start(t, 1));
    }
    world_wait_closed(&w, 2);
    assert_null(w.server);
    peer_drop(&p);
    peer_drop(&q);
    world_stop(&w);
  }
}

/* bad: 239 */
static void test_lifetime_server_with_open_and_half_open_connections_frees_all(void **state) {
  (void)state;
  enum { N = 200 };
  static Peer open[N], half[N];
  for (int by_loop = 0; by_loop < 2; ++by_loop) {
    World w;
    world_start_default(&w);
    for (int i = 0; i < N; ++i) {
      world_join(&w, &open[i]);
      peer_connect(&half[i], w.loop, w.port);
      if (i % 2) peer_say(&half[i], "GET / HTTP/1.1\r\nHost:");
    }
    run_for(w.loop, 5);
    assert_int_equal(ws_server_count(w.server), N);
    if (by_loop) w.server = NULL;
    if (!by_loop) {
      ws_server_free(w.server);
      w.server = NULL;
      assert_int_equal(w.closed, 0);
      world_wait_closed(&w, N);
    }
    assert_ok(ws_loop_free(w.loop));
    assert_int_equal(w.opened, N);
    assert_int_equal(w.closed, N);
    for (int i = 0; i < N; ++i) {
      open[i].loop = half[i].loop = NULL;
      peer_expect_gone(&open[i]);
      peer_expect_gone(&half[i]);
      peer_drop(&open[i]);
      peer_drop(&half[i]);
    }
  }
}

static ws_request *waiting;
static void hold_request(ws_request *r, void *user) {
  (void)user;
  waiting = ws_request_ref(r);
}

static void accept_and_free_server(ws_request *r, void *user) {
  World *w = user;
  assert_ok(ws_request_accept(r, NULL));
  ws_server_free(w->server);
  w->server = NULL;
}

static void accept_and_shut_down(ws_request *r, void *user) {
  World *w = user;
  assert_ok(ws_request_accept(r, NULL));
  assert_ok(ws_server_shutdown(w->server, 1001, 20, NULL, NULL));
}

/* request.h: after an accept that succeeded on_open and on_close come, whatever happens in
 * between. */
static void test_lifetime_accepted_request_opens_and_closes_whatever_happens(void **state) {
  (void)state;
  for (int i = 0; i < 7; ++i) {
    World w;
    Peer p;
    world_prepare(&w);
    w.config.on_request = i < 5    ? hold_request
                          : i == 5 ? accept_and_free_server
                                   : accept_and_shut_down;
    w.limits.close_timeout_ms = 30;
    waiting = NULL;
    world_start(&w);
    peer_connect(&p, w.loop, w.port);
    peer_say(&p, WIRE_OPEN("/", ""));
    if (i < 5) {
      for (int n = 0; n < 1000 && waiting == NULL; ++n) run_for(w.loop, 1);
      assert_ok(ws_request_accept(waiting, NULL));
      assert_int_equal(w.opened, 0);
      if (i == 0) peer_reset(&p);
      if (i == 1) peer_drop(&p);
      if (i == 2 || i == 3) {
        if (i == 2) ws_server_free(w.server);
        if (i == 3) assert_ok(ws_loop_free(w.loop));
        w.server = NULL;
        if (i == 3) w.loop = p.loop = NULL;
      }
      if (i == 4) assert_ok(ws_server_shutdown(w.server, 1001, 20, NULL, NULL));
    }
    if (w.loop != NULL) world_wait_closed(&w, 1);
    assert_int_equal(w.opened, 1);
    assert_int_equal(w.closed, 1);
    assert_int_equal(strncmp(w.log, "open close:1006/", 16), 0);
    ws_request_unref(waiting);
    peer_drop(&p);
    world_stop(&w);
  }
}

/* bad: 238 */
static void test_lifetime_without_any_callback_everything_works(void **state) {
  (void)state;
  World w;
  Peer p;
  world_prepare(&w);
  w.config.handlers = NULL;
  w.config.user = NULL;
  world_start(&w);
  peer_connect(&p, w.loop, w.port);
  peer_open(&p);
  peer_send_text(&p, "nobody listens");
  peer_send_frame(&p, FIN_PING, "x", 1);
  peer_expect_frame(&p, FIN_PONG, "x", 1);
  assert_int_equal(ws_server_count(w.server), 1);
  peer_send_close(&p, 1000, NULL);
  peer_expect_close(&p, 1000);
  peer_expect_end(&p);
  peer_drop(&p);
  world_stop(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_lifetime_held_handle_is_inert_after_close_and_after_loop_free),
      cmocka_unit_test(test_lifetime_loop_free_reports_each_close_and_leaves_handles_inert),
      cmocka_unit_test(test_lifetime_on_close_from_loop_free_may_free_its_timer),
      cmocka_unit_test(test_lifetime_on_close_from_loop_free_may_free_the_server),
      cmocka_unit_test(test_lifetime_loop_free_inside_callbacks_is_reentrant),
      cmocka_unit_test(test_lifetime_other_connection_aborted_in_the_same_batch_gets_no_event),
      cmocka_unit_test(test_lifetime_descriptor_reused_in_the_same_batch_gets_no_old_event),
      cmocka_unit_test(test_lifetime_each_may_abort_close_and_free_the_server),
      cmocka_unit_test(test_lifetime_server_free_from_timer_and_task_closes_all),
      cmocka_unit_test(test_lifetime_server_with_open_and_half_open_connections_frees_all),
      cmocka_unit_test(test_lifetime_accepted_request_opens_and_closes_whatever_happens),
      cmocka_unit_test(test_lifetime_without_any_callback_everything_works),
  };
  return cmocka_run_group_tests_name("lifetime_end", tests, NULL, NULL);
}
