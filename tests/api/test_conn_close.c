/*
 * conn.h, ending: the closing handshake from either side, codes and reasons, what the peer can do
 * instead, the close timeout.  What callbacks may do meanwhile is in test_lifetime.c.
 */
#include "world.h"

#include <stdio.h>

static uint8_t zeros[1 << 16];

/* req: 80, 88, 89 */
static void test_conn_close_by_us_is_clean_after_the_answer(void **state) {
  World *w = *state;
  Peer p;
  world_join(w, &p);
  assert_ok(ws_conn_close(w->conn, 1001, "going away"));
  assert_int_equal(ws_conn_is_open(w->conn), 0);
  assert_string_equal(w->log, "open ");
  peer_expect_frame(&p, FIN_CLOSE, "\x03\xe9going away", 12);
  peer_send_close(&p, 4000, "bye");
  peer_expect_end(&p);
  world_wait_closed(w, 1);
  assert_string_equal(w->log, "open close:4000/1001/0 ");
  assert_string_equal(w->reason, "bye");
  assert_int_equal(w->how.flags, WS_CLOSE_CLEAN);
  assert_int_equal(w->how.http_status, 0);
  assert_int_equal(w->how.sys_errno, 0);
  peer_drop(&p);
}

/* req: 78, 87, 89 */
/* bad: 126 */
static void test_conn_close_by_peer_is_echoed_and_the_server_ends_the_stream(void **state) {
  World *w = *state;
  Peer p;
  world_join(w, &p);
  peer_send_close(&p, 3999, "gr\xC3\xBC\xC3\x9F");
  peer_expect_frame(&p, FIN_CLOSE, "\x0f\x9f", 2);
  peer_expect_end(&p);
  world_wait_closed(w, 1);
  assert_string_equal(w->log, "open close:3999/3999/0 ");
  assert_string_equal(w->reason, "gr\xC3\xBC\xC3\x9F");
  assert_int_equal(w->how.flags, WS_CLOSE_CLEAN | WS_CLOSE_BY_PEER);
  peer_drop(&p);
}

/* req: 88 */
/* bad: 121 */
static void test_conn_empty_close_is_1005_both_ways(void **state) {
  World *w = *state;
  Peer p;
  world_join(w, &p);
  peer_send_close(&p, 0, NULL);
  peer_expect_close(&p, 0);
  peer_expect_end(&p);
  world_wait_closed(w, 1);
  peer_drop(&p);
  world_join(w, &p);
  assert_ok(ws_conn_close(w->conn, 0, NULL));
  peer_expect_close(&p, 0);
  peer_send_close(&p, 0, NULL);
  world_wait_closed(w, 2);
  assert_string_equal(w->log, "open close:1005/1005/0 open close:1005/1005/0 ");
  peer_drop(&p);
}

/* req: 94, 95, 96, 98 */
/* bad: 132 */
static void test_conn_close_code_is_refused_unless_rfc_6455_allows_it(void **state) {
  World *w = *state;
  static const uint16_t bad[] = {1,    999,  1004, 1005, 1006, 1010, 1015,
                                 1016, 1100, 2000, 2999, 5000, 65535};
  static const uint16_t good[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1011,
                                  1012, 1013, 1014, 3000, 3999, 4000, 4999};
  Peer p;
  world_join(w, &p);
  for (size_t i = 0; i < COUNT_OF(bad); ++i) {
    assert_fails(WS_ERR_INVALID, ws_conn_close(w->conn, bad[i], NULL));
  }
  assert_int_equal(ws_conn_is_open(w->conn), 1);
  peer_expect_quiet(&p);
  peer_drop(&p);
  world_wait_closed(w, 1);
  for (size_t i = 0; i < COUNT_OF(good); ++i) {
    world_join(w, &p);
    assert_ok(ws_conn_close(w->conn, good[i], NULL));
    peer_expect_close(&p, good[i]);
    peer_send_close(&p, good[i], NULL);
    world_wait_closed(w, 2 + (int)i);
    assert_int_equal(w->how.sent_code, good[i]);
    assert_int_equal(w->how.code, good[i]);
    peer_drop(&p);
  }
}

/* req: 74, 76 */
/* bad: 119, 133 */
static void test_conn_close_reason_of_123_bytes_passes_and_124_is_refused(void **state) {
  World *w = *state;
  char reason[125];
  Peer p;
  WireFrame f;
  world_join(w, &p);
  memset(reason, 'r', sizeof reason);
  reason[124] = '\0';
  assert_fails(WS_ERR_INVALID, ws_conn_close(w->conn, 1000, reason));
  assert_fails(WS_ERR_INVALID, ws_conn_close(w->conn, 1000, "\xC3"));
  assert_fails(WS_ERR_INVALID, ws_conn_close(w->conn, 0, "a reason without a code"));
  reason[123] = '\0';
  assert_ok(ws_conn_close(w->conn, 1000, reason));
  peer_read_frame(&p, &f);
  assert_int_equal(f.len, 125);
  peer_send_close(&p, 1000, reason);
  world_wait_closed(w, 1);
  assert_string_equal(w->reason, reason);
  peer_drop(&p);
}

/* req: 68, 77 */
/* bad: 134, 135 */
static void test_conn_after_close_every_send_is_refused(void **state) {
  World *w = *state;
  ws_message *m;
  Peer p;
  assert_ok(ws_message_new(WS_OP_TEXT, "m", 1, &m));
  world_join(w, &p);
  ws_conn *c = w->conn;
  assert_ok(ws_conn_send(c, WS_OP_TEXT, "queued", 6, WS_SEND_LATER));
  assert_ok(ws_conn_close(c, 1000, NULL));
  assert_fails(WS_ERR_CLOSED, ws_conn_close(c, 1000, NULL));
  assert_fails(WS_ERR_CLOSED, ws_conn_send(c, WS_OP_TEXT, "x", 1, 0));
  assert_fails(WS_ERR_CLOSED, ws_conn_send(c, WS_OP_BINARY, zeros, sizeof zeros, 0));
  assert_fails(WS_ERR_CLOSED, ws_conn_send_part(c, WS_OP_TEXT, "x", 1, 1));
  assert_fails(WS_ERR_CLOSED, ws_conn_send_message(c, m));
  assert_fails(WS_ERR_CLOSED, ws_conn_ping(c, NULL, 0));
  assert_fails(WS_ERR_CLOSED, ws_conn_pong(c, NULL, 0));
  peer_expect_text(&p, "queued");
  peer_expect_close(&p, 1000);
  peer_expect_quiet(&p);
  peer_send_close(&p, 1000, NULL);
  peer_expect_end(&p);
  ws_message_unref(m);
  peer_drop(&p);
}

/* req: 81 */
/* bad: 122, 127 */
static void test_conn_data_after_our_close_is_dropped_and_the_answer_still_found(void **state) {
  World *w = *state;
  Peer p;
  world_join(w, &p);
  assert_ok(ws_conn_close(w->conn, 1000, NULL));
  peer_expect_close(&p, 1000);
  peer_send_text(&p, "late");
  peer_send_frame(&p, PART_BINARY, zeros, sizeof zeros);
  peer_send_frame(&p, FIN_PING, "p", 1);
  peer_send_frame(&p, PART_LAST, zeros, 3);
  peer_send_close(&p, 1000, NULL);
  peer_expect_end(&p);
  world_wait_closed(w, 1);
  assert_string_equal(w->log, "open close:1000/1000/0 ");
  peer_drop(&p);
}

/* req: 81 */
/* bad: 122 */
static void test_conn_data_after_the_peers_close_is_not_delivered(void **state) {
  World *w = *state;
  uint8_t wire[128];
  size_t n = 0;
  Peer p;
  world_join(w, &p);
  n += wire_client_frame(wire + n, FIN_TEXT, "before", 6);
  n += wire_client_frame(wire + n, FIN_CLOSE, "\x03\xe8", 2);
  n += wire_client_frame(wire + n, FIN_TEXT, "after", 5);
  n += wire_client_frame(wire + n, FIN_PING, "p", 1);
  n += wire_client_frame(wire + n, FIN_CLOSE, "\x03\xe9", 2);
  peer_send(&p, wire, n);
  peer_expect_close(&p, 1000);
  peer_expect_end(&p);
  world_wait_closed(w, 1);
  assert_string_equal(w->log, "open text:before close:1000/1000/0 ");
  peer_drop(&p);
}

/* req: 82 */
/* bad: 124 */
static void test_conn_simultaneous_closes_are_clean(void **state) {
  World *w = *state;
  Peer p;
  world_join(w, &p);
  peer_send_close(&p, 3001, NULL);
  assert_ok(ws_conn_close(w->conn, 3002, NULL));
  peer_expect_close(&p, 3002);
  peer_expect_end(&p);
  world_wait_closed(w, 1);
  assert_string_equal(w->log, "open close:3001/3002/0 ");
  assert_true(w->how.flags & WS_CLOSE_CLEAN);
  peer_drop(&p);
}

/* req: 93 */
/* bad: 128, 178 */
static void test_conn_end_without_close_is_1006_with_its_cause(void **state) {
  World *w = *state;
  Peer p;
  world_join(w, &p);
  peer_send_text(&p, "last");
  peer_fin(&p);
  world_wait_closed(w, 1);
  assert_string_equal(w->log, "open text:last close:1006/0/-23 ");
  assert_true(w->how.flags & WS_CLOSE_BY_PEER);
  assert_false(w->how.flags & WS_CLOSE_CLEAN);
  peer_expect_gone(&p);
  peer_drop(&p);
  world_join(w, &p);
  peer_reset(&p);
  world_wait_closed(w, 2);
  assert_int_equal(w->how.error, WS_ERR_EOF);
  assert_int_equal(w->how.code, 1006);
  assert_int_equal(w->how.sent_code, 0);
}

/* bad: 129 */
static void test_conn_half_close_after_close_still_gets_the_answer(void **state) {
  World *w = *state;
  Peer p;
  world_join(w, &p);
  peer_send_close(&p, 1000, NULL);
  peer_fin(&p);
  peer_expect_close(&p, 1000);
  peer_expect_end(&p);
  world_wait_closed(w, 1);
  assert_string_equal(w->log, "open close:1000/1000/0 ");
  peer_drop(&p);
}

/* req: 75, 90, 91, 97 */
/* bad: 103, 116, 117, 120 */
static void test_conn_faults_of_the_peer_are_closed_with_the_right_code(void **state) {
  World *w = *state;
  static const struct {
    const char *bytes;
    size_t len;
    uint16_t code;
    int error;
  } faults[] = {
      {"\x81\x01x", 3, 1002, WS_ERR_PROTOCOL},                /* not masked */
      {"\xc1\x80\0\0\0\0", 6, 1002, WS_ERR_PROTOCOL},         /* RSV1 */
      {"\x83\x80\0\0\0\0", 6, 1002, WS_ERR_PROTOCOL},         /* opcode 3 */
      {"\x80\x80\0\0\0\0", 6, 1002, WS_ERR_PROTOCOL},         /* continues nothing */
      {"\x09\x80\0\0\0\0", 6, 1002, WS_ERR_PROTOCOL},         /* ping in parts */
      {"\x89\xfe\x00\x7e", 4, 1002, WS_ERR_PROTOCOL},         /* ping of 126 bytes */
      {"\x88\x81\0\0\0\0x", 7, 1002, WS_ERR_PROTOCOL},        /* Close of one byte */
      {"\x88\x82\0\0\0\0\x03\xed", 8, 1002, WS_ERR_PROTOCOL}, /* Close 1005 */
      {"\x88\x84\0\0\0\0\x03\xe8\xc3\x28", 10, 1007, WS_ERR_UTF8},
      {"\x81\x82\0\0\0\0\xc3\x28", 8, 1007, WS_ERR_UTF8},
      {"\x82\xff\0\0\0\0\0\x10\0\x01\0\0\0\0", 14, 1009, WS_ERR_TOO_BIG}, /* 1 MiB + 1 */
      {"\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 14, 1009, WS_ERR_TOO_BIG},
      {"\x82\xff\x80\0\0\0\0\0\0\0\0\0\0\0", 14, 1002, WS_ERR_PROTOCOL},
      {"\x82\xfe\0\x7d\0\0\0\0", 8, 1002, WS_ERR_PROTOCOL}, /* not minimal */
  };
  for (size_t i = 0; i < COUNT_OF(faults); ++i) {
    Peer p;
    world_join(w, &p);
    peer_send(&p, faults[i].bytes, faults[i].len);
    peer_send_text(&p, "never seen");
    peer_expect_close(&p, faults[i].code);
    world_wait_closed(w, 1 + (int)i);
    assert_int_equal(w->how.error, faults[i].error);
    assert_int_equal(w->how.code, 1006);
    assert_int_equal(w->how.sent_code, faults[i].code);
    assert_int_equal(w->messages, 0);
    peer_drop(&p);
  }
}

/* bad: 125 */
static void test_conn_peer_that_never_answers_meets_the_close_timeout(void **state) {
  (void)state;
  World w;
  Peer p;
  world_prepare(&w);
  w.limits.close_timeout_ms = 40;
  world_start(&w);
  world_join(&w, &p);
  uint64_t start = clock_ms();
  assert_ok(ws_conn_close(w.conn, 1000, NULL));
  peer_expect_close(&p, 1000);
  while (w.closed == 0) {
    peer_send_frame(&p, FIN_PING, "still here", 10); /* does not re-arm it */
    run_for(w.loop, 2);
    if (clock_ms() - start > PATIENCE_MS) fail();
  }
  assert_true(clock_ms() - start >= 38);
  assert_string_equal(w.log, "open close:1006/1000/-9 ");
  peer_drop(&p);
  world_stop(&w);
}

/* bad: 131 */
static void test_conn_close_behind_a_full_queue_still_ends_in_time(void **state) {
  (void)state;
  World w;
  Peer p;
  world_prepare(&w);
  w.limits.close_timeout_ms = 60;
  world_start(&w);
  world_join(&w, &p);
  while (ws_conn_send(w.conn, WS_OP_BINARY, zeros, sizeof zeros, 0) >= 0) {
  }
  assert_ok(ws_conn_close(w.conn, 1000, NULL));
  world_wait_closed(&w, 1);
  assert_int_equal(w.how.error, WS_ERR_TIMEOUT);
  peer_expect_gone(&p);
  peer_drop(&p);
  world_stop(&w);
}

/* bad: 130 */
static void test_conn_close_of_a_peer_with_a_full_queue_still_ends_in_time(void **state) {
  (void)state;
  World w;
  Peer p;
  world_prepare(&w);
  w.limits.close_timeout_ms = 60;
  world_start(&w);
  world_join(&w, &p);
  while (ws_conn_send(w.conn, WS_OP_BINARY, zeros, sizeof zeros, 0) >= 0) {
  }
  peer_send_close(&p, 1000, NULL);
  world_wait_closed(&w, 1);
  ws_loop_stats s;
  WS_INIT(&s);
  uint64_t start = clock_ms();
  do { /* the peer reads nothing */
    run_for(w.loop, 2);
    assert_ok(ws_loop_get_stats(w.loop, &s));
  } while (s.connections != 0 && clock_ms() - start < PATIENCE_MS);
  assert_int_equal(s.connections, 0);
  assert_true(clock_ms() - start < 2000);
  peer_drop(&p);
  world_stop(&w);
}

static void test_conn_abort_sends_nothing_and_reports_cancelled(void **state) {
  World *w = *state;
  Peer p;
  world_join(w, &p);
  assert_ok(ws_conn_send(w->conn, WS_OP_TEXT, "lost", 4, WS_SEND_LATER));
  ws_conn_abort(w->conn);
  ws_conn_abort(w->conn);
  assert_string_equal(w->log, "open ");
  assert_fails(WS_ERR_CLOSED, ws_conn_close(w->conn, 1000, NULL));
  world_wait_closed(w, 1);
  assert_string_equal(w->log, "open close:1006/0/-10 ");
  peer_expect_gone(&p);
  peer_drop(&p);
}

int main(void) {
#define WITH_WORLD(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
  const struct CMUnitTest tests[] = {
      WITH_WORLD(test_conn_close_by_us_is_clean_after_the_answer),
      WITH_WORLD(test_conn_close_by_peer_is_echoed_and_the_server_ends_the_stream),
      WITH_WORLD(test_conn_empty_close_is_1005_both_ways),
      WITH_WORLD(test_conn_close_code_is_refused_unless_rfc_6455_allows_it),
      WITH_WORLD(test_conn_close_reason_of_123_bytes_passes_and_124_is_refused),
      WITH_WORLD(test_conn_after_close_every_send_is_refused),
      WITH_WORLD(test_conn_data_after_our_close_is_dropped_and_the_answer_still_found),
      WITH_WORLD(test_conn_data_after_the_peers_close_is_not_delivered),
      WITH_WORLD(test_conn_simultaneous_closes_are_clean),
      WITH_WORLD(test_conn_end_without_close_is_1006_with_its_cause),
      WITH_WORLD(test_conn_half_close_after_close_still_gets_the_answer),
      WITH_WORLD(test_conn_faults_of_the_peer_are_closed_with_the_right_code),
      cmocka_unit_test(test_conn_peer_that_never_answers_meets_the_close_timeout),
      cmocka_unit_test(test_conn_close_behind_a_full_queue_still_ends_in_time),
      cmocka_unit_test(test_conn_close_of_a_peer_with_a_full_queue_still_ends_in_time),
      WITH_WORLD(test_conn_abort_sends_nothing_and_reports_cancelled),
  };
  return cmocka_run_group_tests_name("conn_close", tests, NULL, NULL);
}
