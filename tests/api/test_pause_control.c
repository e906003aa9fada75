/*
 * conn.h, control frames while messages are held back: answered behind data that waits, both roles,
 * also beside compressed messages (test_tls_flow.c: over TLS); and what ends a connection waits for
 * its turn.
 */
#include "both.h"

#include <stdlib.h>

static uint8_t zeros[400000];

static const char *log_of(const Both *b, int role) { return role == SERVER ? b->w.log : b->c.log; }

static void wait_log(Both *b, int role, const char *text) {
  role == SERVER ? world_wait_log(&b->w, text) : caller_wait_log(&b->c, text);
}

/* A Peer that libws meets in `role`, whose connection is paused. */
static ws_conn *meet_paused(Both *b, int role, Peer *p) {
  both_start(b);
  ws_conn *c = both_meet(b, role, p, "");
  assert_ok(ws_conn_pause(c));
  return c;
}

static void ping_is_answered_behind_data(Both *b, int role) {
  Peer p;
  ws_conn *c = meet_paused(b, role, &p);
  peer_send_text(&p, "waits");
  peer_send_frame(&p, FIN_PING, "one", 3);
  peer_expect_frame(&p, FIN_PONG, "one", 3);
  peer_send_frame(&p, PART_TEXT, "ha", 2);
  peer_send_frame(&p, FIN_PING, "two", 3); /* inside a message */
  peer_expect_frame(&p, FIN_PONG, "two", 3);
  peer_send_frame(&p, FIN_PONG, "unasked", 7);
  peer_send_frame(&p, PART_LAST, "lf", 2);
  wait_log(b, role, "pong:unasked");
  assert_non_null(strstr(log_of(b, role), "open ping:one ping:two pong:unasked "));
  assert_ok(ws_conn_resume(c));
  wait_log(b, role, "pong:unasked text:waits text:half ");
  peer_send_frame(&p, FIN_PING, "three", 5);
  peer_expect_frame(&p, FIN_PONG, "three", 5);
  peer_drop(&p);
}

static void test_paused_server_answers_a_ping_behind_data(void **state) {
  ping_is_answered_behind_data(*state, SERVER);
}

static void test_paused_client_answers_a_ping_behind_data(void **state) {
  ping_is_answered_behind_data(*state, CLIENT);
}

static void close_waits_for_data(Both *b, int role) {
  Peer p;
  ws_conn *c = meet_paused(b, role, &p);
  peer_send_text(&p, "first");
  peer_send_close(&p, 1000, "bye");
  peer_send_frame(&p, FIN_PING, "ignored", 7);
  peer_expect_quiet(&p);
  assert_int_equal(b->w.closed + b->c.closed, 0);
  assert_ok(ws_conn_resume(c));
  wait_log(b, role, "text:first close:1000/1000/0 ");
  peer_drop(&p);
}

static void test_paused_server_tells_a_close_behind_its_data(void **state) {
  close_waits_for_data(*state, SERVER);
}

static void test_paused_client_tells_a_close_behind_its_data(void **state) {
  close_waits_for_data(*state, CLIENT);
}

/* A pause holds the end back too; missing credit only messages. */
static void test_paused_connection_tells_a_close_with_nothing_in_front_when_resumed(void **state) {
  Both *b = *state;
  for (int fin = 0; fin < 2; ++fin) {
    Peer p;
    b->w.log[0] = '\0';
    if (fin == 0) both_start(b);
    ws_conn *c = both_meet(b, SERVER, &p, "");
    assert_ok(ws_conn_demand(c, 0));
    assert_ok(ws_conn_pause(c));
    peer_send_frame(&p, FIN_PING, "p", 1);
    if (fin) {
      peer_fin(&p);
    } else {
      peer_send_close(&p, 1001, "");
    }
    wait_log(b, SERVER, "open ping:p ");
    run_for(b->loop, 20);
    assert_int_equal(b->w.closed, fin);
    assert_ok(ws_conn_resume(c));
    wait_log(b, SERVER, fin ? "close:1006/0/-23 " : "close:1001/1001/0 ");
    peer_drop(&p);
  }
}

static void test_paused_connection_tells_the_end_behind_its_data(void **state) {
  Both *b = *state;
  Peer p;
  ws_conn *c = meet_paused(b, SERVER, &p);
  peer_send_text(&p, "a");
  peer_send_text(&p, "b");
  peer_fin(&p);
  run_for(b->loop, 20);
  assert_int_equal(b->w.closed, 0);
  assert_ok(ws_conn_demand(c, 1));
  assert_ok(ws_conn_resume(c));
  wait_log(b, SERVER, "text:a ");
  run_for(b->loop, 5);
  assert_int_equal(b->w.closed, 0);
  assert_ok(ws_conn_demand(c, 1));
  /* With no credit left, but nothing in front of it. */
  wait_log(b, SERVER, "text:a text:b close:1006/0/-23 ");
  peer_drop(&p);
}

static void test_paused_connection_tells_a_broken_rule_behind_its_data(void **state) {
  Both *b = *state;
  Peer p;
  ws_conn *c = meet_paused(b, SERVER, &p);
  peer_send_text(&p, "a");
  peer_send_frame(&p, FIN_PING, "before", 6);
  peer_expect_frame(&p, FIN_PONG, "before", 6);
  peer_send_frame(&p, 0x83, "x", 1);
  peer_send_frame(&p, FIN_PING, "after", 5);
  peer_expect_quiet(&p);
  assert_ok(ws_conn_resume(c));
  peer_expect_close(&p, 1002);
  world_wait_closed(&b->w, 1);
  assert_non_null(strstr(b->w.log, "ping:before text:a close:1006/1002/-80 "));
  peer_drop(&p);
}

static void resume_at_ping(World *w, const char *event, ws_conn *c) {
  (void)w;
  if (strcmp(event, "ping") == 0) assert_ok(ws_conn_resume(c));
}

static void test_paused_connection_may_be_resumed_in_on_ping(void **state) {
  Both *b = *state;
  Peer p;
  uint8_t wire[256];
  size_t n = 0;
  b->w.on = resume_at_ping;
  (void)meet_paused(b, SERVER, &p);
  n += wire_client_frame(wire + n, FIN_TEXT, "1", 1);
  n += wire_client_frame(wire + n, FIN_PING, "p", 1);
  n += wire_client_frame(wire + n, FIN_TEXT, "2", 1);
  n += wire_client_frame(wire + n, FIN_PING, "q", 1);
  n += wire_client_frame(wire + n, FIN_TEXT, "3", 1);
  peer_send(&p, wire, n);
  wait_log(b, SERVER, "text:3");
  assert_non_null(strstr(b->w.log, "open ping:p text:1 text:2 ping:q text:3 "));
  peer_drop(&p);
}

static void close_at_ping(World *w, const char *event, ws_conn *c) {
  (void)w;
  if (strcmp(event, "ping") == 0) assert_ok(ws_conn_close(c, 1000, NULL));
}

static void test_paused_connection_may_be_closed_in_on_ping(void **state) {
  Both *b = *state;
  Peer p;
  b->w.on = close_at_ping;
  (void)meet_paused(b, SERVER, &p);
  peer_send_text(&p, "dropped");
  peer_send_frame(&p, FIN_PING, "p", 1);
  peer_expect_frame(&p, FIN_PONG, "p", 1);
  peer_expect_close(&p, 1000);
  peer_send_close(&p, 1000, NULL);
  wait_log(b, SERVER, "open ping:p close:1000/1000/0 ");
  peer_drop(&p);
}

/* Each side's pongs are seen, so neither is taken for dead, and a peer that is dead is found out.
 */
static void test_paused_connection_with_keepalive_lives_and_a_dead_one_does_not(void **state) {
  Both *b = *state;
  Peer p;
  b->w.limits.ping_interval_ms = 20;
  b->w.limits.idle_timeout_ms = 5000;
  both_open(b);
  assert_ok(ws_conn_pause(b->w.conn));
  assert_ok(ws_conn_send(b->c.conn, WS_OP_TEXT, "waits", 5, 0));
  ws_conn_stats s;
  WS_INIT(&s);
  const uint64_t end = clock_ms() + PATIENCE_MS;
  do {
    assert_true(ws_loop_dispatch(b->loop, 5) >= 0);
    assert_ok(ws_conn_get_stats(b->w.conn, &s));
  } while (s.rtt_us == UINT32_MAX && clock_ms() < end);
  assert_true(s.rtt_us != UINT32_MAX);
  assert_ok(ws_conn_resume(b->w.conn));
  both_leave(b);

  ws_server_free(b->w.server);
  b->w.server = NULL;
  ws_listen_config listen;
  WS_INIT(&listen);
  listen.host = "127.0.0.1";
  b->w.limits.idle_timeout_ms = 60;
  assert_ok(ws_server_new(b->loop, &b->w.config, &b->w.server));
  assert_ok(ws_server_listen(b->w.server, &listen, &b->w.listener));
  b->w.port = ws_listener_port(b->w.listener);
  ws_conn *c = both_meet(b, SERVER, &p, "");
  assert_ok(ws_conn_pause(c));
  both_wait(b, &b->w.closed, b->w.opened);
  assert_int_equal(b->w.how.error, WS_ERR_TIMEOUT);
  peer_drop(&p);
}

static void test_paused_connection_reads_no_further_than_its_window(void **state) {
  Both *b = *state;
  b->w.limits.read_ahead_bytes = 1000;
  both_open(b);
  ws_conn_stats before, s;
  WS_INIT(&before);
  WS_INIT(&s);
  assert_ok(ws_conn_pause(b->w.conn));
  assert_ok(ws_conn_get_stats(b->w.conn, &before));
  for (int i = 0; i < 20; ++i) {
    assert_true(ws_conn_send(b->c.conn, WS_OP_BINARY, zeros, 20000, WS_SEND_NO_DEFLATE) >= 0);
  }
  do {
    assert_true(ws_loop_dispatch(b->loop, 1) >= 0);
    assert_ok(ws_conn_get_stats(b->w.conn, &s));
  } while (s.bytes_in - before.bytes_in < 1000);
  run_for(b->loop, 20);
  assert_ok(ws_conn_get_stats(b->w.conn, &s));
  assert_int_equal(s.bytes_in - before.bytes_in, 1000);
  assert_ok(ws_conn_resume(b->w.conn));
  both_wait(b, &b->w.messages, 20);
}

static void test_paused_connection_answers_pings_among_compressed_messages(void **state) {
  Both *b = *state;
  both_open(b);
  char *json = some_json(20000, 1);
  assert_ok(ws_conn_pause(b->w.conn));
  for (int i = 0; i < 5; ++i) {
    assert_ok(ws_conn_send(b->c.conn, WS_OP_TEXT, json, 20000, WS_SEND_DEFLATE));
    assert_ok(ws_conn_ping(b->c.conn, "p", 1));
  }
  assert_ok(ws_conn_ping(b->c.conn, "last", 4));
  caller_wait_log(&b->c, "pong:last");
  assert_int_equal(b->w.messages, 0);
  assert_ok(ws_conn_resume(b->w.conn));
  both_wait(b, &b->w.messages, 5);
  assert_int_equal(b->w.len, 20000);
  free(json);
}

/* One connection pauses another, whose bytes are there already in the same turn. */
static ws_conn *other;

static void pause_other(World *w, const char *event, ws_conn *c) {
  if (strcmp(event, "message") != 0 || w->messages != 1) return;
  other = c == other ? (ws_conn *)w->extra : other;
  assert_ok(ws_conn_pause(other));
}

static void test_paused_by_another_connection_in_the_same_turn_is_not_taken_for_lost(void **state) {
  Both *b = *state;
  Peer p, q;
  b->w.on = pause_other;
  b->w.limits.read_ahead_bytes = 1; /* nothing is to be read */
  both_start(b);
  b->w.extra = both_meet(b, SERVER, &p, "");
  other = both_meet(b, SERVER, &q, "");
  peer_send_text(&p, "p");
  peer_send_text(&q, "q");
  both_wait(b, &b->w.messages, 1);
  run_for(b->loop, 20);
  assert_int_equal(b->w.messages, 1);
  assert_int_equal(b->w.closed, 0);
  assert_ok(ws_conn_resume(other));
  both_wait(b, &b->w.messages, 2);
  peer_drop(&p);
  peer_drop(&q);
}

int main(void) {
#define WITH_BOTH(f) cmocka_unit_test_setup_teardown(f, both_setup, both_teardown)
  const struct CMUnitTest tests[] = {
      WITH_BOTH(test_paused_server_answers_a_ping_behind_data),
      WITH_BOTH(test_paused_client_answers_a_ping_behind_data),
      WITH_BOTH(test_paused_server_tells_a_close_behind_its_data),
      WITH_BOTH(test_paused_client_tells_a_close_behind_its_data),
      WITH_BOTH(test_paused_connection_tells_a_close_with_nothing_in_front_when_resumed),
      WITH_BOTH(test_paused_connection_tells_the_end_behind_its_data),
      WITH_BOTH(test_paused_connection_tells_a_broken_rule_behind_its_data),
      WITH_BOTH(test_paused_connection_may_be_resumed_in_on_ping),
      WITH_BOTH(test_paused_connection_may_be_closed_in_on_ping),
      WITH_BOTH(test_paused_connection_with_keepalive_lives_and_a_dead_one_does_not),
      WITH_BOTH(test_paused_connection_reads_no_further_than_its_window),
      WITH_BOTH(test_paused_connection_answers_pings_among_compressed_messages),
      WITH_BOTH(test_paused_by_another_connection_in_the_same_turn_is_not_taken_for_lost),
  };
  return cmocka_run_group_tests_name("pause_control", tests, NULL, NULL);
}
