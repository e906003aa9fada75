/*
 * server.h, stopping and visiting: shutdown, free in every state, count, each.
 */
#include "world.h"

typedef struct Done {
  int called;
  int free_it;
} Done;

static void done(ws_server *s, void *arg) {
  World *w = arg;
  Done *d = w->extra;
  assert_ptr_equal(s, w->server);
  ++d->called;
  world_log(w, "done ");
  if (!d->free_it) return;
  ws_server_free(s);
  w->server = NULL;
}

static void wait_done(World *w) {
  Done *d = w->extra;
  for (uint64_t end = clock_ms() + PATIENCE_MS; d->called == 0 && clock_ms() < end;) {
    ws_loop_dispatch(w->loop, 2);
  }
  run_for(w->loop, 3);
  assert_int_equal(d->called, 1);
}

static void test_server_shutdown_without_connections_is_done_at_once(void **state) {
  World *w = *state;
  Done d = {0, 0};
  w->extra = &d;
  assert_ok(ws_server_shutdown(w->server, 1001, 10000, done, w));
  assert_int_equal(d.called, 0); /* from the loop, not from the call */
  wait_done(w);
  Peer p;
  assert_true(peer_try_connect(&p, w->loop, w->port, 0) != 0);
}

static void test_server_shutdown_waits_for_every_closing_handshake(void **state) {
  World *w = *state;
  Done d = {0, 1};
  Peer p, q, half;
  w->extra = &d;
  world_join(w, &p);
  world_join(w, &q);
  peer_connect(&half, w->loop, w->port);
  peer_say(&half, "GET / HT");
  run_for(w->loop, 3);
  assert_ok(ws_server_shutdown(w->server, 1012, 10000, done, w));
  assert_fails(WS_ERR_STATE, ws_server_shutdown(w->server, 1012, 10000, done, w));
  ws_listen_config c;
  WS_INIT(&c);
  assert_fails(WS_ERR_STATE, ws_server_listen(w->server, &c, NULL));
  assert_fails(WS_ERR_STATE, ws_server_listen_fd(w->server, 0, NULL));
  peer_expect_close(&p, 1012);
  peer_expect_close(&q, 1012);
  peer_expect_gone(&half);
  peer_send_close(&p, 1012, NULL);
  peer_expect_end(&p);
  peer_drop(&p);
  run_for(w->loop, 5);
  assert_int_equal(d.called, 0);
  peer_send_close(&q, 1012, NULL);
  peer_expect_end(&q);
  peer_drop(&q);
  wait_done(w);
  assert_string_equal(w->log, "open open close:1012/1012/0 close:1012/1012/0 done ");
  peer_drop(&half);
}

static void test_server_shutdown_aborts_what_remains_at_the_deadline(void **state) {
  World *w = *state;
  Done d = {0, 0};
  Peer p;
  w->extra = &d;
  world_join(w, &p);
  uint64_t start = clock_ms();
  assert_ok(ws_server_shutdown(w->server, 1001, 40, done, w));
  peer_expect_close(&p, 1001);
  wait_done(w);
  assert_true(clock_ms() - start >= 38);
  assert_string_equal(w->log, "open close:1006/1001/-10 done ");
  peer_expect_gone(&p);
  peer_drop(&p);
}

static void test_server_shutdown_with_zero_and_never(void **state) {
  for (int i = 0; i < 2; ++i) {
    (void)state;
    World w;
    Done d = {0, 0};
    Peer p;
    world_prepare(&w);
    w.extra = &d;
    w.limits.close_timeout_ms = 40;
    world_start(&w);
    world_join(&w, &p);
    assert_ok(ws_server_shutdown(w.server, 1001, i == 0 ? 0 : WS_NEVER, done, &w));
    wait_done(&w);
    assert_int_equal(w.closed, 1);
    peer_drop(&p);
    world_stop(&w);
  }
}

/* bad: 132 */
static void test_server_shutdown_of_a_bad_code_or_time_changes_nothing(void **state) {
  World *w = *state;
  Peer p;
  static const uint16_t bad[] = {0, 999, 1004, 1005, 1006, 1010, 1015, 2999, 5000};
  for (size_t i = 0; i < COUNT_OF(bad); ++i) {
    assert_fails(WS_ERR_INVALID, ws_server_shutdown(w->server, bad[i], 0, NULL, NULL));
  }
  assert_fails(WS_ERR_INVALID, ws_server_shutdown(w->server, 1001, 0x80000000u, NULL, NULL));
  world_join(w, &p);
  assert_ok(ws_server_shutdown(w->server, 1001, 0x7fffffff, NULL, NULL)); /* done may be NULL */
  peer_expect_close(&p, 1001);
  peer_send_close(&p, 1001, NULL);
  world_wait_closed(w, 1);
  peer_drop(&p);
}

static ws_request *waiting;
static void keep_request(ws_request *r, void *user) {
  (void)user;
  waiting = ws_request_ref(r);
}

static void test_server_shutdown_drops_a_request_that_waits_for_its_answer(void **state) {
  (void)state;
  World w;
  Done d = {0, 0};
  Peer p;
  world_prepare(&w);
  w.extra = &d;
  w.config.on_request = keep_request;
  world_start(&w);
  waiting = NULL;
  peer_connect(&p, w.loop, w.port);
  peer_say(&p, WIRE_OPEN("/", ""));
  for (int i = 0; i < 1000 && waiting == NULL; ++i) run_for(w.loop, 1);
  assert_ok(ws_server_shutdown(w.server, 1001, 10000, done, &w));
  wait_done(&w);
  assert_fails(WS_ERR_CLOSED, ws_request_accept(waiting, NULL));
  assert_fails(WS_ERR_CLOSED, ws_request_respond(waiting, 200, NULL, 0, NULL, 0));
  ws_request_unref(waiting);
  peer_expect_gone(&p);
  assert_int_equal(w.opened + w.closed, 0);
  peer_drop(&p);
  world_stop(&w);
}

static void test_server_free_during_shutdown_is_never_done_after(void **state) {
  World *w = *state;
  Done d = {0, 0};
  Peer p;
  w->extra = &d;
  world_join(w, &p);
  assert_ok(ws_server_shutdown(w->server, 1001, 20, done, w));
  ws_server_free(w->server);
  w->server = NULL;
  run_for(w->loop, 40);
  assert_int_equal(d.called, 0);
  assert_int_equal(w->closed, 1);
  peer_drop(&p);
}

static void test_server_free_in_every_state_ends_its_connections(void **state) {
  (void)state;
  for (int i = 0; i < 6; ++i) {
    World w;
    Peer p;
    world_start_default(&w);
    peer_connect(&p, w.loop, w.port);
    if (i >= 1) peer_say(&p, "GET / HTTP/1.1\r\n"); /* in the head */
    if (i == 2) {
      peer_say(&p, "Host: x\r\n\r\n"); /* refused, lingering */
      peer_expect_status(&p, 426, NULL, 0);
    }
    if (i >= 3) {
      peer_drop(&p);
      world_join(&w, &p);
    }
    if (i == 4) assert_ok(ws_conn_close(w.conn, 1000, NULL));
    if (i == 5) {
      peer_send_close(&p, 1000, NULL); /* done, lingering */
      peer_expect_close(&p, 1000);
    }
    run_for(w.loop, 2);
    ws_server_free(w.server);
    w.server = NULL;
    peer_expect_gone(&p);
    run_for(w.loop, 2);
    ws_loop_stats s;
    WS_INIT(&s);
    assert_ok(ws_loop_get_stats(w.loop, &s));
    assert_int_equal(s.connections, 0);
    assert_int_equal(w.opened, w.closed);
    peer_drop(&p);
    world_stop(&w);
  }
}

static size_t count_inside[2];
static void note_count(World *w, const char *event, ws_conn *c) {
  (void)c;
  if (strcmp(event, "open") == 0) count_inside[0] = ws_server_count(w->server);
  if (strcmp(event, "close") == 0) count_inside[1] = ws_server_count(w->server);
}

static void test_server_count_is_between_open_and_close(void **state) {
  World *w = *state;
  Peer p, q;
  w->on = note_count;
  assert_int_equal(ws_server_count(w->server), 0);
  peer_connect(&p, w->loop, w->port);
  run_for(w->loop, 2);
  assert_int_equal(ws_server_count(w->server), 0);
  peer_drop(&p);
  world_join(w, &p);
  world_join(w, &q);
  assert_int_equal(count_inside[0], 2);
  assert_int_equal(ws_server_count(w->server), 2);
  peer_drop(&p);
  world_wait_closed(w, 1);
  assert_int_equal(ws_server_count(w->server), 1);
  peer_drop(&q);
  world_wait_closed(w, 2);
  assert_int_equal(ws_server_count(w->server), 0);
}

static int visits;
static int visit(ws_conn *c, void *arg) {
  assert_int_equal(ws_conn_send(c, WS_OP_TEXT, "all", 3, 0), WS_OK);
  ++visits;
  return visits == *(int *)arg ? 77 : 0;
}

static void test_server_each_visits_open_ones_and_stops_when_told(void **state) {
  World *w = *state;
  Peer p, q, half;
  int stop_at = -1;
  peer_connect(&half, w->loop, w->port);
  world_join(w, &p);
  world_join(w, &q);
  visits = 0;
  assert_int_equal(ws_server_each(w->server, visit, &stop_at), 0);
  assert_int_equal(visits, 2);
  peer_expect_text(&p, "all");
  peer_expect_text(&q, "all");
  visits = 0;
  stop_at = 1;
  assert_int_equal(ws_server_each(w->server, visit, &stop_at), 77);
  assert_int_equal(visits, 1);
  assert_fails(WS_ERR_INVALID, ws_server_each(w->server, NULL, NULL));
  peer_drop(&p);
  peer_drop(&q);
  peer_drop(&half);
}

int main(void) {
#define WITH_WORLD(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
  const struct CMUnitTest tests[] = {
      WITH_WORLD(test_server_shutdown_without_connections_is_done_at_once),
      WITH_WORLD(test_server_shutdown_waits_for_every_closing_handshake),
      WITH_WORLD(test_server_shutdown_aborts_what_remains_at_the_deadline),
      cmocka_unit_test(test_server_shutdown_with_zero_and_never),
      WITH_WORLD(test_server_shutdown_of_a_bad_code_or_time_changes_nothing),
      cmocka_unit_test(test_server_shutdown_drops_a_request_that_waits_for_its_answer),
      WITH_WORLD(test_server_free_during_shutdown_is_never_done_after),
      cmocka_unit_test(test_server_free_in_every_state_ends_its_connections),
      WITH_WORLD(test_server_count_is_between_open_and_close),
      WITH_WORLD(test_server_each_visits_open_ones_and_stops_when_told),
  };
  return cmocka_run_group_tests_name("server_stop", tests, NULL, NULL);
}
