/*
 * conn.h, pressure: the send queue's marks and limit, on_drain, flush, pause and resume, posts
 * from elsewhere, keepalive.
 */
#include "world.h"

#include <stdlib.h>

static uint8_t zeros[1 << 20];

/* Sends until the kernel takes no more and something stays queued. */
static void stuff(ws_conn *c, size_t piece) {
  for (int i = 0; i < 10000 && ws_conn_buffered(c) == 0; ++i) {
    assert_true(ws_conn_send(c, WS_OP_BINARY, zeros, piece, 0) >= 0);
  }
  assert_true(ws_conn_buffered(c) != 0);
}

/* Reads what stuff() sent and what followed, up to the text "end". */
static void drain(Peer *p) {
  WireFrame f;
  do {
    peer_read_frame(p, &f);
  } while (f.len != 3 || memcmp(f.payload, "end", 3) != 0);
}

static void world_with_marks(World *w, uint64_t low, uint64_t high, uint64_t limit) {
  world_prepare(w);
  w->limits.send_low_bytes = low;
  w->limits.send_high_bytes = high;
  w->limits.send_limit_bytes = limit;
  world_start(w);
}

static int step;
static void fill_exactly(World *w, const char *event, ws_conn *c) {
  (void)w;
  if (strcmp(event, "message") != 0) return;
  /* 1000 bytes of room; frames of 126 bytes and more have a header of 4. */
  assert_fails(WS_ERR_FULL, ws_conn_send(c, WS_OP_BINARY, zeros, 997, 0));
  assert_int_equal(ws_conn_buffered(c), 0);
  assert_ok(ws_conn_send(c, WS_OP_BINARY, zeros, 995, 0));
  assert_int_equal(ws_conn_buffered(c), 999);
  assert_fails(WS_ERR_FULL, ws_conn_send(c, WS_OP_BINARY, zeros, 0, 0));
  assert_fails(WS_ERR_FULL, ws_conn_send_part(c, WS_OP_BINARY, zeros, 0, 1));
  assert_fails(WS_ERR_FULL, ws_conn_ping(c, NULL, 0));
  assert_int_equal(ws_conn_buffered(c), 999);
  assert_ok(ws_conn_flush(c));
  step = 1;
}

/* bad: 169 */
static void test_conn_send_limit_is_exact(void **state) {
  (void)state;
  World w;
  Peer p;
  world_prepare(&w);
  w.limits.send_high_bytes = w.limits.send_limit_bytes = 1000;
  w.limits.send_low_bytes = 10;
  w.on = fill_exactly;
  world_start(&w);
  step = 0;
  peer_connect(&p, w.loop, w.port);
  peer_open(&p);
  peer_send_text(&p, "go");
  peer_expect_frame(&p, FIN_BINARY, zeros, 995);
  assert_int_equal(step, 1);
  /* The whole of it, now that the queue is empty. */
  assert_ok(ws_conn_send(w.conn, WS_OP_BINARY, zeros, 996, WS_SEND_LATER));
  assert_fails(WS_ERR_FULL, ws_conn_send(w.conn, WS_OP_BINARY, zeros, 0, WS_SEND_LATER));
  peer_expect_frame(&p, FIN_BINARY, zeros, 996);
  assert_fails(WS_ERR_FULL, ws_conn_send(w.conn, WS_OP_BINARY, zeros, 997, 0));
  peer_expect_quiet(&p);
  peer_drop(&p);
  world_stop(&w);
}

/* Outside a turn a message goes out at once, or with the next turn if it says so. */
static void test_conn_message_with_send_later_waits_for_the_turn_or_a_flush(void **state) {
  (void)state;
  World w;
  Peer p;
  world_prepare(&w);
  world_start(&w);
  peer_connect(&p, w.loop, w.port);
  peer_open(&p);
  const int exact = !faults_are_on();
  ws_message *now, *later;
  assert_ok(ws_message_new(WS_OP_BINARY, "now", 3, &now));
  assert_ok(ws_message_new(WS_OP_BINARY, "later", 5, &later));
  assert_ok(ws_message_set_flags(later, WS_SEND_LATER));
  assert_ok(ws_conn_send_message(w.conn, now));
  if (exact) assert_int_equal(ws_conn_buffered(w.conn), 0);
  assert_ok(ws_conn_send_message(w.conn, later));
  assert_ok(ws_conn_send_message(w.conn, later));
  if (exact) assert_int_equal(ws_conn_buffered(w.conn), 14);
  peer_expect_frame(&p, FIN_BINARY, "now", 3);
  peer_expect_frame(&p, FIN_BINARY, "later", 5);
  peer_expect_frame(&p, FIN_BINARY, "later", 5);
  if (exact) assert_int_equal(ws_conn_buffered(w.conn), 0);
  assert_ok(ws_conn_send_message(w.conn, later));
  if (exact) assert_int_equal(ws_conn_buffered(w.conn), 7);
  assert_ok(ws_conn_flush(w.conn));
  if (exact) assert_int_equal(ws_conn_buffered(w.conn), 0);
  peer_expect_frame(&p, FIN_BINARY, "later", 5);
  ws_message_unref(now);
  ws_message_unref(later);
  peer_drop(&p);
  world_stop(&w);
}

/* bad: 169 */
static void test_conn_backpressure_then_full_then_one_drain(void **state) {
  (void)state;
  World w;
  Peer p;
  int result = 0, pressed = 0;
  if (faults_are_on()) skip(); /* the kernel takes more than it says */
  world_with_marks(&w, 20000, 100000, 400000);
  world_join(&w, &p);
  stuff(w.conn, 1000);
  while ((result = ws_conn_send(w.conn, WS_OP_BINARY, zeros, 1000, 0)) >= 0) {
    assert_int_equal(result == WS_BACKPRESSURE, ws_conn_buffered(w.conn) > 100000);
    if (result == WS_BACKPRESSURE) ++pressed;
  }
  assert_int_equal(result, WS_ERR_FULL);
  assert_true(ws_conn_buffered(w.conn) <= 400000);
  assert_true(ws_conn_buffered(w.conn) > 400000 - 1004);
  assert_true(pressed > 200);
  run_for(w.loop, 10);
  assert_int_equal(w.drains, 0);
  while (w.drains == 0) {
    WireFrame f;
    peer_read_frame(&p, &f);
  }
  assert_true(ws_conn_buffered(w.conn) <= 20000);
  assert_ok(ws_conn_send(w.conn, WS_OP_TEXT, "end", 3, 0));
  drain(&p);
  run_for(w.loop, 5);
  assert_int_equal(w.drains, 1);
  assert_int_equal(ws_conn_buffered(w.conn), 0);
  peer_drop(&p);
  world_stop(&w);
}

static void burst(World *w, const char *event, ws_conn *c) {
  (void)w;
  if (strcmp(event, "message") != 0) return;
  /* Far more than the high mark, but the kernel takes it. */
  for (int i = 0; i < 20; ++i) assert_ok(ws_conn_send(c, WS_OP_BINARY, zeros, 1000, 0));
}

static void test_conn_burst_that_the_kernel_takes_is_no_backpressure(void **state) {
  (void)state;
  World w;
  Peer p;
  if (faults_are_on()) skip(); /* the kernel is made to take less */
  world_prepare(&w);
  w.limits.send_high_bytes = 4000;
  w.on = burst;
  world_start(&w);
  world_join(&w, &p);
  peer_send_text(&p, "go");
  for (int i = 0; i < 20; ++i) peer_expect_frame(&p, FIN_BINARY, zeros, 1000);
  run_for(w.loop, 5);
  assert_int_equal(w.drains, 0);
  peer_drop(&p);
  world_stop(&w);
}

/* A send large enough to be written at once, of which the kernel takes a part. */
static void large_send_that_is_cut(size_t piece) {
  World w;
  Peer p;
  world_start_default(&w);
  world_join(&w, &p);
  stuff(w.conn, piece);
  assert_true(ws_conn_send(w.conn, WS_OP_TEXT, "end", 3, 0) >= 0);
  drain(&p);
  assert_int_equal(w.closed, 0);
  peer_drop(&p);
  world_stop(&w);
}

static void test_conn_small_sends_that_the_kernel_cuts_are_finished(void **state) {
  (void)state;
  large_send_that_is_cut(1000);
}

static void test_conn_large_sends_that_the_kernel_cuts_are_finished(void **state) {
  (void)state;
  large_send_that_is_cut(65536);
  large_send_that_is_cut(200000);
  large_send_that_is_cut(1 << 20);
}

/* The same with nothing sent after the cut: only the socket's readiness moves it on. */
static void test_conn_cut_send_goes_on_when_the_peer_reads(void **state) {
  static const size_t sizes[] = {1000, 65000, 65536, 100000, 250000, 1 << 20};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(sizes); ++i) {
    World w;
    Peer p;
    size_t got = 0;
    world_start_default(&w);
    world_join(&w, &p);
    stuff(w.conn, sizes[i]);
    ws_conn_stats s;
    WS_INIT(&s);
    assert_ok(ws_conn_get_stats(w.conn, &s));
    while (got < s.messages_out) {
      peer_expect_frame(&p, FIN_BINARY, zeros, sizes[i]);
      ++got;
    }
    peer_drop(&p);
    world_stop(&w);
  }
}

/* One send a turn, so that the send that is cut is the first of its turn. */
static void stuff_from_timer(ws_timer *t, void *user) {
  World *w = user;
  assert_true(ws_conn_send(w->conn, WS_OP_BINARY, zeros, 100000, 0) >= 0);
  if (ws_conn_buffered(w->conn) == 0) {
    assert_ok(ws_timer_start(t, 0));
  } else {
    world_log(w, "stuffed ");
  }
}

static void test_conn_cut_send_from_a_timer_goes_on(void **state) {
  World *w = *state;
  ws_timer *t;
  Peer p;
  ws_conn_stats s;
  world_join(w, &p);
  assert_ok(ws_timer_new(w->loop, stuff_from_timer, w, &t));
  assert_ok(ws_timer_start(t, 0));
  world_wait_log(w, "stuffed");
  WS_INIT(&s);
  assert_ok(ws_conn_get_stats(w->conn, &s));
  for (uint64_t i = 0; i < s.messages_out; ++i) peer_expect_frame(&p, FIN_BINARY, zeros, 100000);
  peer_drop(&p);
}

static void test_conn_send_later_waits_for_the_turn_and_flush_does_not(void **state) {
  World *w = *state;
  Peer p;
  if (faults_are_on()) skip(); /* a flush may be told EAGAIN */
  world_join(w, &p);
  assert_ok(ws_conn_send(w->conn, WS_OP_TEXT, "now", 3, 0));
  assert_int_equal(ws_conn_buffered(w->conn), 0);
  assert_ok(ws_conn_send(w->conn, WS_OP_TEXT, "a", 1, WS_SEND_LATER));
  assert_int_equal(ws_conn_buffered(w->conn), 3);
  assert_true(ws_loop_dispatch(w->loop, 1000) >= 0);
  assert_int_equal(ws_conn_buffered(w->conn), 0);
  assert_ok(ws_conn_send(w->conn, WS_OP_TEXT, "b", 1, WS_SEND_LATER));
  assert_ok(ws_conn_flush(w->conn));
  assert_int_equal(ws_conn_buffered(w->conn), 0);
  peer_expect_text(&p, "now");
  peer_expect_text(&p, "a");
  peer_expect_text(&p, "b");
  peer_drop(&p);
}

static void pause_first(World *w, const char *event, ws_conn *c) {
  if (strcmp(event, "message") == 0 && w->messages == 1) assert_ok(ws_conn_pause(c));
}

/* bad: 171, 229 */
static void test_conn_pause_inside_a_callback_holds_what_was_read(void **state) {
  World *w = *state;
  uint8_t wire[64];
  size_t n = 0;
  Peer p;
  w->on = pause_first;
  world_join(w, &p);
  n += wire_client_frame(wire + n, FIN_TEXT, "1", 1);
  n += wire_client_frame(wire + n, FIN_TEXT, "2", 1);
  n += wire_client_frame(wire + n, FIN_TEXT, "3", 1);
  peer_send(&p, wire, n);
  world_wait_log(w, "text:1");
  run_for(w->loop, 10);
  assert_string_equal(w->log, "open text:1 ");
  assert_ok(ws_conn_pause(w->conn)); /* twice is once */
  peer_send_text(&p, "4");
  run_for(w->loop, 10);
  assert_string_equal(w->log, "open text:1 ");
  assert_ok(ws_conn_resume(w->conn));
  assert_string_equal(w->log, "open text:1 "); /* not from inside a call */
  world_wait_log(w, "text:4");
  assert_string_equal(w->log, "open text:1 text:2 text:3 text:4 ");
  assert_ok(ws_conn_resume(w->conn));
  peer_drop(&p);
}

static void pause_each(World *w, const char *event, ws_conn *c) {
  (void)w;
  if (strcmp(event, "message") == 0) assert_ok(ws_conn_pause(c));
}

static void test_conn_pause_in_every_message_loses_none(void **state) {
  World *w = *state;
  Peer p;
  uint8_t wire[4096];
  size_t n = 0;
  w->on = pause_each;
  world_join(w, &p);
  for (int i = 0; i < 100; ++i) n += wire_client_frame(wire + n, FIN_BINARY, &i, 1);
  peer_send(&p, wire, n);
  for (int i = 0; i < 100; ++i) {
    uint64_t end = clock_ms() + PATIENCE_MS;
    while (w->messages < i + 1 && clock_ms() < end) ws_loop_dispatch(w->loop, 1);
    assert_int_equal(w->messages, i + 1);
    assert_int_equal(ws_loop_dispatch(w->loop, 0) < 0, 0);
    assert_int_equal(w->messages, i + 1);
    assert_ok(ws_conn_resume(w->conn));
  }
  peer_drop(&p);
}

static void test_conn_pause_during_a_large_message_holds_the_rest(void **state) {
  World *w = *state;
  Peer p;
  w->on = pause_first;
  world_join(w, &p);
  uint8_t *wire = malloc(700000);
  size_t n = wire_client_frame(wire, FIN_BINARY, zeros, 600000);
  n += wire_client_frame(wire + n, FIN_TEXT, "after", 5);
  peer_send(&p, wire, n);
  world_wait_log(w, "binary#600000");
  run_for(w->loop, 10);
  assert_string_equal(w->log, "open binary#600000 ");
  assert_ok(ws_conn_resume(w->conn));
  world_wait_log(w, "text:after");
  free(wire);
  peer_drop(&p);
}

static void test_conn_paused_peer_is_pushed_back(void **state) {
  World *w = *state;
  Peer p;
  world_join(w, &p);
  assert_ok(ws_conn_pause(w->conn));
  ws_conn_stats s, t;
  WS_INIT(&s);
  WS_INIT(&t);
  assert_ok(ws_conn_get_stats(w->conn, &s));
  uint8_t *wire = malloc(100100);
  peer_send(&p, wire, wire_client_frame(wire, FIN_BINARY, zeros, 100000));
  free(wire);
  for (int i = 0; i < 5000; ++i) {
    assert_ok(ws_conn_get_stats(w->conn, &t));
    if (t.bytes_in - s.bytes_in >= 65536) break;
    ws_loop_dispatch(w->loop, 1);
  }
  run_for(w->loop, 20);
  assert_ok(ws_conn_get_stats(w->conn, &t));
  assert_int_equal(t.bytes_in - s.bytes_in, 65536); /* read_ahead_bytes */
  assert_string_equal(w->log, "open ");
  assert_ok(ws_conn_send(w->conn, WS_OP_TEXT, "out", 3, 0)); /* sending goes on */
  peer_expect_text(&p, "out");
  peer_reset(&p); /* a reset is noticed all the same, and does not spin */
  world_wait_closed(w, 1);
  assert_int_equal(w->how.error, WS_ERR_EOF);
}

static void test_conn_paused_close_by_us_completes(void **state) {
  World *w = *state;
  Peer p;
  world_join(w, &p);
  assert_ok(ws_conn_pause(w->conn));
  assert_ok(ws_conn_close(w->conn, 1000, NULL));
  peer_expect_close(&p, 1000);
  peer_send_close(&p, 1000, NULL);
  /* Paused, the answer is not read until resumed; the close timeout would end it otherwise. */
  if (w->conn != NULL) (void)ws_conn_resume(w->conn);
  world_wait_closed(w, 1);
  assert_string_equal(w->log, "open close:1000/1000/0 ");
  peer_drop(&p);
}

static void test_conn_posted_message_is_dropped_and_counted_when_full(void **state) {
  (void)state;
  World w;
  Peer p;
  ws_message *m;
  ws_conn_stats s;
  world_prepare(&w);
  w.limits.send_limit_bytes = 1000;
  world_start(&w);
  world_join(&w, &p);
  assert_ok(ws_message_new(WS_OP_BINARY, zeros, 997, &m));
  assert_ok(ws_conn_post_message(w.conn, m));
  ws_message_unref(m);
  assert_ok(ws_message_new(WS_OP_BINARY, zeros, 996, &m));
  assert_ok(ws_conn_post_message(w.conn, m));
  ws_message_unref(m);
  peer_expect_frame(&p, FIN_BINARY, zeros, 996);
  WS_INIT(&s);
  assert_ok(ws_conn_get_stats(w.conn, &s));
  assert_int_equal(s.messages_dropped, 1);
  assert_int_equal(s.messages_out, 1);
  peer_drop(&p);
  world_stop(&w);
}

static void test_conn_keepalive_ping_measures_the_round_trip(void **state) {
  (void)state;
  World w;
  Peer p;
  WireFrame f;
  ws_conn_stats s;
  world_prepare(&w);
  w.limits.ping_interval_ms = 20;
  world_start(&w);
  world_join(&w, &p);
  peer_read_frame(&p, &f);
  assert_int_equal(f.first, FIN_PING);
  uint8_t copy[125];
  memcpy(copy, f.payload, f.len);
  peer_send_frame(&p, FIN_PONG, copy, f.len);
  WS_INIT(&s);
  for (int i = 0; i < 1000; ++i) {
    ws_loop_dispatch(w.loop, 1);
    assert_ok(ws_conn_get_stats(w.conn, &s));
    if (s.rtt_us != UINT32_MAX) break;
  }
  assert_true(s.rtt_us < PATIENCE_MS * 1000u);
  assert_string_equal(w.log, "open "); /* keepalive pongs are not the application's */
  peer_drop(&p);
  world_stop(&w);
}

/* bad: 173 */
static void test_conn_silent_peer_meets_the_idle_timeout(void **state) {
  (void)state;
  World w;
  Peer p;
  world_prepare(&w);
  w.limits.idle_timeout_ms = 60;
  w.limits.ping_interval_ms = 20;
  world_start(&w);
  world_join(&w, &p);
  uint64_t start = clock_ms();
  world_wait_closed(&w, 1);
  assert_true(clock_ms() - start >= 55);
  assert_string_equal(w.log, "open close:1006/0/-9 ");
  peer_expect_gone(&p);
  peer_drop(&p);
  world_stop(&w);
}

/* bad: 168 */
static void test_conn_any_byte_keeps_it_alive(void **state) {
  (void)state;
  World w;
  Peer p;
  uint8_t wire[WIRE_OVERHEAD + 20];
  world_prepare(&w);
  w.limits.idle_timeout_ms = 200;
  w.limits.ping_interval_ms = WS_NEVER;
  world_start(&w);
  world_join(&w, &p);
  wire_client_frame(wire, FIN_TEXT, "0123456789", 10);
  for (int i = 0; i < 8; ++i) {
    peer_send(&p, wire + i, 1);
    run_for(w.loop, 50);
  }
  assert_string_equal(w.log, "open ");
  peer_drop(&p);
  world_stop(&w);
}

/* bad: 172 */
static void test_conn_paused_connection_has_no_idle_timeout(void **state) {
  (void)state;
  World w;
  Peer p;
  world_prepare(&w);
  w.limits.idle_timeout_ms = 300;
  w.limits.read_ahead_bytes = 2; /* what fills it suspends the timeout */
  world_start(&w);
  world_join(&w, &p);
  assert_ok(ws_conn_pause(w.conn));
  peer_send_frame(&p, PART_TEXT, "two bytes and more", 18);
  run_for(w.loop, 500);
  assert_string_equal(w.log, "open ");
  assert_ok(ws_conn_resume(w.conn));
  world_wait_closed(&w, 1);
  assert_int_equal(w.how.error, WS_ERR_TIMEOUT);
  peer_drop(&p);
  world_stop(&w);
}

/* bad: 131, 171 */
static void test_conn_peer_that_takes_nothing_meets_the_send_timeout(void **state) {
  (void)state;
  if (faults_are_on()) skip(); /* the kernel takes more than it says */
  for (int paused = 0; paused < 2; ++paused) {
    World w;
    Peer p;
    world_prepare(&w);
    w.limits.send_timeout_ms = 60;
    world_start(&w);
    world_join(&w, &p);
    stuff(w.conn, 100000);
    if (paused) assert_ok(ws_conn_pause(w.conn));
    uint64_t start = clock_ms();
    world_wait_closed(&w, 1);
    assert_true(clock_ms() - start >= 50);
    assert_true(clock_ms() - start < 5000);
    assert_string_equal(w.log, "open close:1006/0/-9 ");
    peer_drop(&p);
    world_stop(&w);
  }
}

int main(void) {
#define WITH_WORLD(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_conn_send_limit_is_exact),
      cmocka_unit_test(test_conn_message_with_send_later_waits_for_the_turn_or_a_flush),
      cmocka_unit_test(test_conn_backpressure_then_full_then_one_drain),
      cmocka_unit_test(test_conn_burst_that_the_kernel_takes_is_no_backpressure),
      cmocka_unit_test(test_conn_small_sends_that_the_kernel_cuts_are_finished),
      cmocka_unit_test(test_conn_large_sends_that_the_kernel_cuts_are_finished),
      cmocka_unit_test(test_conn_cut_send_goes_on_when_the_peer_reads),
      WITH_WORLD(test_conn_cut_send_from_a_timer_goes_on),
      WITH_WORLD(test_conn_send_later_waits_for_the_turn_and_flush_does_not),
      WITH_WORLD(test_conn_pause_inside_a_callback_holds_what_was_read),
      WITH_WORLD(test_conn_pause_in_every_message_loses_none),
      WITH_WORLD(test_conn_pause_during_a_large_message_holds_the_rest),
      WITH_WORLD(test_conn_paused_peer_is_pushed_back),
      WITH_WORLD(test_conn_paused_close_by_us_completes),
      cmocka_unit_test(test_conn_posted_message_is_dropped_and_counted_when_full),
      cmocka_unit_test(test_conn_keepalive_ping_measures_the_round_trip),
      cmocka_unit_test(test_conn_silent_peer_meets_the_idle_timeout),
      cmocka_unit_test(test_conn_any_byte_keeps_it_alive),
      cmocka_unit_test(test_conn_paused_connection_has_no_idle_timeout),
      cmocka_unit_test(test_conn_peer_that_takes_nothing_meets_the_send_timeout),
  };
  return cmocka_run_group_tests_name("conn_flow", tests, NULL, NULL);
}
