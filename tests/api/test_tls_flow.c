/*
 * TLS between both roles of libws: messages of all sizes, control frames, the ways it ends, and
 * pressure in both directions with data waiting inside the session.
 */
#include "secured.h"

#include <stdio.h>
#include <stdlib.h>

#define BIG ((size_t)16 << 20)

/* What the TLS session may hold of what the kernel did not take, beside the queue. */
#define BELOW_BYTES ((size_t)132 * 1024)

static uint8_t zeros[1 << 20];

/* ---- messages ---- */

static void echo_back(World *w, const char *event, ws_conn *c) {
  if (strcmp(event, "message") != 0) return;
  assert_true(ws_conn_send(c, w->op, w->data, w->len, 0) >= 0);
}

static const char *wanted;
static size_t wanted_len;
static ws_opcode wanted_op;

static void expect_wanted(Caller *c, const char *event, ws_conn *conn) {
  (void)conn;
  if (strcmp(event, "message") != 0) return;
  assert_int_equal(c->op, wanted_op);
  assert_bytes(c->data, c->len, wanted, wanted_len);
}

static char *big_text(void) {
  char *text = malloc(BIG);
  uint32_t seed = 1;
  assert_non_null(text);
  for (size_t i = 0; i < BIG; ++i) {
    seed = seed * 1664525u + 1013904223u;
    text[i] = (char)('a' + (seed >> 24) % 26);
  }
  return text;
}

static const size_t kSizes[] = {0, 1, 125, 126, 127, 16383, 16384, 65535, 65536, 1 << 20, BIG};

static void echo_all_sizes(Secured *s) {
  char *text = big_text();
  int count = 0;
  wanted = text;
  s->c.on = expect_wanted;
  for (size_t i = 0; i < COUNT_OF(kSizes); ++i) {
    wanted_len = kSizes[i];
    for (int op = WS_OP_TEXT; op <= WS_OP_BINARY; ++op) {
      wanted_op = (ws_opcode)op;
      assert_true(ws_conn_send(s->c.conn, wanted_op, text, wanted_len, 0) >= 0);
      caller_wait_messages(&s->c, ++count);
    }
  }
  free(text);
  assert_int_equal(s->w.closed + s->c.closed, 0);
}

static void take_large(Secured *s) {
  s->w.limits.max_message_bytes = s->c.limits.max_message_bytes = BIG;
  s->w.limits.send_limit_bytes = s->c.limits.send_limit_bytes = 2 * BIG;
}

/* req: 110 */
static void test_tls_each_size_is_echoed_by_us_and_by_the_kernel(void **state) {
  static const uint32_t flags[] = {0, WS_TLS_KERNEL};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(flags); ++i) {
    void *one;
    secured_setup(&one);
    Secured *s = one;
    take_large(s);
    s->w.on = echo_back;
    s->server_config.flags = s->client_config.flags = flags[i];
    secured_open(s);
    echo_all_sizes(s);
    secured_teardown(&one);
  }
}

static void echo_chunk(ws_conn *c, ws_opcode op, uint32_t flags, const void *data, size_t len,
                       void *user) {
  World *w = user;
  assert_true(ws_conn_send_part(c, op, data, len, (flags & WS_PART_LAST) != 0) >= 0);
  w->messages += (flags & WS_PART_LAST) != 0;
}

static void test_tls_each_size_is_echoed_in_chunks(void **state) {
  Secured *s = *state;
  take_large(s);
  s->w.handlers.on_chunk = echo_chunk;
  secured_open(s);
  echo_all_sizes(s);
  assert_int_equal(s->w.messages, 2 * COUNT_OF(kSizes));
}

/* What a read leaves inside the session is not what the descriptor tells of. */
static void test_tls_each_size_is_echoed_by_reads_smaller_than_a_record(void **state) {
  Secured *s = *state;
  take_large(s);
  s->w.loop_config.read_bytes = 4096;
  secured_remake_loop(s);
  s->w.on = echo_back;
  secured_open(s);
  echo_all_sizes(s);
}

static void test_tls_ping_and_pong_go_both_ways(void **state) {
  Secured *s = *state;
  secured_open(s);
  assert_ok(ws_conn_ping(s->c.conn, "from here", 9));
  caller_wait_log(&s->c, "pong:from here");
  assert_ok(ws_conn_ping(s->w.conn, "from there", 10));
  world_wait_log(&s->w, "pong:from there");
  assert_string_equal(s->w.log, "open ping:from here pong:from there ");
  assert_string_equal(s->c.log, "attempt:1 open pong:from here ping:from there ");
}

/* Every message has its number at the front. */
static void send_numbered(ws_conn *c, int count, size_t len, uint32_t flags) {
  for (int i = 0; i < count; ++i) {
    memcpy(zeros, &i, sizeof i);
    assert_true(ws_conn_send(c, WS_OP_BINARY, zeros, len, flags) >= 0);
  }
  memset(zeros, 0, sizeof(int));
}

static int number_of(const void *data, size_t len) {
  int number = -1;
  assert_true(len >= sizeof number);
  memcpy(&number, data, sizeof number);
  return number;
}

static void expect_in_order(World *w, const char *event, ws_conn *c) {
  (void)c;
  if (strcmp(event, "message") == 0) {
    assert_int_equal(number_of(w->data, w->len), w->messages - 1);
  }
}

static void wait_served(Secured *s, int count) {
  uint64_t end = clock_ms() + PATIENCE_MS;
  while (s->w.messages < count) {
    if (clock_ms() > end) fail_msg("%d messages of %d came", s->w.messages, count);
    assert_true(ws_loop_dispatch(s->c.loop, 2) >= 0);
  }
  assert_int_equal(s->w.messages, count);
}

static void test_tls_three_hundred_messages_of_one_turn_arrive_in_order(void **state) {
  Secured *s = *state;
  s->w.on = expect_in_order;
  secured_open(s);
  send_numbered(s->c.conn, 300, 50, WS_SEND_LATER);
  assert_int_equal(ws_conn_buffered(s->c.conn), 300 * (50 + 6));
  wait_served(s, 300);
  assert_int_equal(ws_conn_buffered(s->c.conn), 0);
}

static void test_tls_send_later_waits_for_the_turn_and_flush_does_not(void **state) {
  Secured *s = *state;
  if (faults_are_on()) skip(); /* a flush may be told EAGAIN */
  secured_open(s);
  assert_ok(ws_conn_send(s->w.conn, WS_OP_TEXT, "now", 3, 0));
  assert_int_equal(ws_conn_buffered(s->w.conn), 0);
  assert_ok(ws_conn_send(s->w.conn, WS_OP_TEXT, "a", 1, WS_SEND_LATER));
  assert_int_equal(ws_conn_buffered(s->w.conn), 3);
  caller_wait_messages(&s->c, 2);
  assert_int_equal(ws_conn_buffered(s->w.conn), 0);
  assert_ok(ws_conn_send(s->w.conn, WS_OP_TEXT, "b", 1, WS_SEND_LATER));
  assert_ok(ws_conn_flush(s->w.conn));
  assert_int_equal(ws_conn_buffered(s->w.conn), 0);
  caller_wait_messages(&s->c, 3);
  caller_expect_log(&s->c, "attempt:1 open text:now text:a text:b ");
}

/* ---- how it ends ---- */

static void wait_both_closed(Secured *s) {
  caller_wait_closed(&s->c, 1);
  world_wait_closed(&s->w, 1);
}

/* req: 110 */
static void test_tls_close_by_the_client_is_clean_on_both_sides(void **state) {
  Secured *s = *state;
  secured_open(s);
  assert_ok(ws_conn_send(s->c.conn, WS_OP_TEXT, "last", 4, WS_SEND_LATER));
  assert_ok(ws_conn_close(s->c.conn, 4000, "enough"));
  wait_both_closed(s);
  assert_string_equal(s->w.log, "open text:last close:4000/4000/0 ");
  assert_int_equal(s->w.how.flags, WS_CLOSE_CLEAN | WS_CLOSE_BY_PEER);
  assert_string_equal(s->w.reason, "enough");
  assert_int_equal(s->c.how.flags, WS_CLOSE_CLEAN);
  caller_wait_down(&s->c, 1);
  caller_expect_log(&s->c, "attempt:1 open close:4000/4000/0 down:0/0/never ");
  assert_string_equal(s->lines, "");
}

static void test_tls_close_by_the_server_is_clean_on_both_sides(void **state) {
  Secured *s = *state;
  secured_open(s);
  assert_ok(ws_conn_send(s->w.conn, WS_OP_TEXT, "last", 4, WS_SEND_LATER));
  assert_ok(ws_conn_close(s->w.conn, 0, NULL));
  wait_both_closed(s);
  assert_string_equal(s->w.log, "open close:1005/1005/0 ");
  assert_int_equal(s->w.how.flags, WS_CLOSE_CLEAN);
  assert_int_equal(s->c.how.flags, WS_CLOSE_CLEAN | WS_CLOSE_BY_PEER);
  caller_wait_down(&s->c, 1);
  caller_expect_log(&s->c, "attempt:1 open text:last close:1005/1005/0 down:0/0/never ");
}

/* Nothing more is sent, close_notify neither: to the other side it is a cut. */
static void test_tls_abort_of_each_side_is_a_cut_stream_to_the_other(void **state) {
  (void)state;
  for (int by_server = 0; by_server < 2; ++by_server) {
    void *one;
    secured_setup(&one);
    Secured *s = one;
    secured_open(s);
    ws_conn_abort(by_server ? s->w.conn : s->c.conn);
    wait_both_closed(s);
    const ws_close_info *own = by_server ? &s->w.how : &s->c.how;
    const ws_close_info *other = by_server ? &s->c.how : &s->w.how;
    assert_int_equal(own->error, WS_ERR_CANCELLED);
    assert_int_equal(other->error, WS_ERR_EOF);
    assert_int_equal(other->code, 1006);
    assert_int_equal(other->flags & WS_CLOSE_CLEAN, 0);
    assert_non_null(strstr(by_server ? s->c.detail : s->w.detail, "close_notify"));
    secured_teardown(&one);
  }
}

static void test_tls_shutdown_of_the_server_closes_its_connections(void **state) {
  Secured *s = *state;
  secured_open(s);
  assert_ok(ws_server_shutdown(s->w.server, 1001, PATIENCE_MS, NULL, NULL));
  wait_both_closed(s);
  assert_int_equal(s->c.how.code, 1001);
  assert_int_equal(s->c.how.flags, WS_CLOSE_CLEAN | WS_CLOSE_BY_PEER);
}

/* ---- a peer that does not read ---- */

/* Sends until the kernel takes no more; returns how many. */
static int stuff(ws_conn *c, size_t piece) {
  int sent = 0;
  while (ws_conn_buffered(c) == 0) {
    memcpy(zeros, &sent, sizeof sent);
    assert_true(ws_conn_send(c, WS_OP_BINARY, zeros, piece, 0) >= 0);
    assert_true(++sent < 100000);
  }
  return sent;
}

/* bad: 169 */
static void test_tls_backpressure_then_full_then_one_drain_and_nothing_is_lost(void **state) {
  Secured *s = *state;
  int result, pressed = 0;
  if (faults_are_on()) skip(); /* the kernel takes more than it says */
  s->c.limits.send_low_bytes = 20000;
  s->c.limits.send_high_bytes = 100000;
  s->c.limits.send_limit_bytes = 400000;
  s->w.on = expect_in_order;
  secured_open(s);
  assert_ok(ws_conn_pause(s->w.conn));
  int sent = stuff(s->c.conn, 1000);
  for (;; ++sent) {
    memcpy(zeros, &sent, sizeof sent);
    result = ws_conn_send(s->c.conn, WS_OP_BINARY, zeros, 1000, 0);
    if (result < 0) break;
    /* What is below the queue is told by buffered(), and is not held against the sender. */
    if (result == WS_BACKPRESSURE) assert_true(ws_conn_buffered(s->c.conn) > 100000);
    if (ws_conn_buffered(s->c.conn) > 100000 + BELOW_BYTES) {
      assert_int_equal(result, WS_BACKPRESSURE);
    }
    pressed += result == WS_BACKPRESSURE;
  }
  assert_int_equal(result, WS_ERR_FULL);
  assert_true(pressed > 200);
  assert_true(ws_conn_buffered(s->c.conn) > 400000 - 1008);
  assert_true(ws_conn_buffered(s->c.conn) <= 400000 + BELOW_BYTES);
  run_for(s->c.loop, 10);
  assert_int_equal(s->c.drains, 0);
  assert_int_equal(s->w.messages, 0);
  assert_ok(ws_conn_resume(s->w.conn));
  wait_served(s, sent);
  run_for(s->c.loop, 5);
  assert_int_equal(s->c.drains, 1);
  assert_int_equal(ws_conn_buffered(s->c.conn), 0);
}

static void note_drain(Caller *c, const char *event, ws_conn *conn) {
  if (strcmp(event, "drain") != 0) return;
  assert_true(ws_conn_buffered(conn) <= c->limits.send_low_bytes + BELOW_BYTES);
}

/* The queue itself is empty then, and has room for exactly one more. */
static void test_tls_unsent_ciphertext_counts_and_leaves_by_itself(void **state) {
  Secured *s = *state;
  if (faults_are_on()) skip();
  s->c.limits.send_high_bytes = s->c.limits.send_limit_bytes = 100000 + 14;
  s->w.on = expect_in_order;
  s->c.on = note_drain;
  secured_open(s);
  assert_ok(ws_conn_pause(s->w.conn));
  int sent = stuff(s->c.conn, 100000);
  assert_true(ws_conn_buffered(s->c.conn) <= BELOW_BYTES);
  run_for(s->c.loop, 10);
  const uint64_t below = ws_conn_buffered(s->c.conn);
  assert_true(below > 0);
  memcpy(zeros, &sent, sizeof sent);
  assert_ok(ws_conn_send(s->c.conn, WS_OP_BINARY, zeros, 100000, 0));
  assert_int_equal(ws_conn_buffered(s->c.conn), below + 100000 + 14);
  assert_fails(WS_ERR_FULL, ws_conn_send(s->c.conn, WS_OP_BINARY, zeros, 0, 0));
  assert_ok(ws_conn_resume(s->w.conn));
  wait_served(s, sent + 1);
  assert_int_equal(ws_conn_buffered(s->c.conn), 0);
}

/* bad: 131, 171 */
static void test_tls_peer_that_takes_nothing_meets_the_send_timeout(void **state) {
  (void)state;
  if (faults_are_on()) skip();
  for (int paused = 0; paused < 2; ++paused) {
    void *one;
    secured_setup(&one);
    Secured *s = one;
    s->c.limits.send_timeout_ms = 60;
    secured_open(s);
    assert_ok(ws_conn_pause(s->w.conn));
    stuff(s->c.conn, 100000);
    if (paused) assert_ok(ws_conn_pause(s->c.conn));
    caller_wait_closed(&s->c, 1);
    assert_int_equal(s->c.how.error, WS_ERR_TIMEOUT);
    secured_teardown(&one);
  }
}

static void test_tls_close_behind_a_full_socket_waits_its_turn(void **state) {
  Secured *s = *state;
  if (faults_are_on()) skip();
  s->w.on = expect_in_order;
  secured_open(s);
  assert_ok(ws_conn_pause(s->w.conn));
  int sent = stuff(s->c.conn, 100000);
  assert_ok(ws_conn_close(s->c.conn, 1000, NULL));
  run_for(s->c.loop, 10);
  assert_int_equal(s->w.messages, 0);
  assert_ok(ws_conn_resume(s->w.conn));
  wait_both_closed(s);
  assert_int_equal(s->w.messages, sent);
  assert_int_equal(s->w.how.flags, WS_CLOSE_CLEAN | WS_CLOSE_BY_PEER);
  assert_int_equal(s->c.how.flags, WS_CLOSE_CLEAN);
}

/* ---- a side that pauses ---- */

static void pause_each(World *w, const char *event, ws_conn *c) {
  expect_in_order(w, event, c);
  if (strcmp(event, "message") == 0) assert_ok(ws_conn_pause(c));
}

/* One message for each resume, whether they share records, have one each, or fill several. */
static void expect_one_for_each_resume(Secured *s, int count, size_t len, uint32_t flags) {
  s->w.on = pause_each;
  secured_open(s);
  send_numbered(s->c.conn, count, len, flags);
  for (int i = 1; i <= count; ++i) {
    wait_served(s, i);
    assert_true(ws_loop_dispatch(s->c.loop, 0) >= 0);
    assert_true(ws_loop_dispatch(s->c.loop, 0) >= 0);
    assert_int_equal(s->w.messages, i);
    assert_ok(ws_conn_resume(s->w.conn));
  }
  assert_ok(ws_conn_close(s->c.conn, 1000, NULL));
  wait_both_closed(s);
  assert_int_equal(s->w.how.flags, WS_CLOSE_CLEAN | WS_CLOSE_BY_PEER);
  assert_int_equal(s->w.messages, count);
}

/* bad: 229 */
static void test_tls_pause_in_every_message_loses_none_of_shared_records(void **state) {
  expect_one_for_each_resume(*state, 300, 200, WS_SEND_LATER);
}

/* bad: 229 */
static void test_tls_pause_in_every_message_loses_none_of_single_records(void **state) {
  expect_one_for_each_resume(*state, 300, 200, 0);
}

/* bad: 229 */
static void test_tls_pause_in_every_message_loses_none_of_full_records(void **state) {
  expect_one_for_each_resume(*state, 100, 20000, WS_SEND_LATER);
}

/* bad: 229 */
static void test_tls_pause_in_every_message_loses_none_of_large_ones(void **state) {
  expect_one_for_each_resume(*state, 8, 300000, 0);
}

/* bad: 229 */
static void test_tls_pause_in_every_message_loses_none_of_small_reads(void **state) {
  Secured *s = *state;
  s->w.loop_config.read_bytes = 4096;
  secured_remake_loop(s);
  expect_one_for_each_resume(s, 100, 3000, WS_SEND_LATER);
}

static void test_tls_paused_side_takes_all_that_came_before_the_cut(void **state) {
  Secured *s = *state;
  if (faults_are_on()) skip(); /* what is left in the kernel goes with the reset */
  s->w.on = pause_each;
  secured_open(s);
  send_numbered(s->c.conn, 20, 200, 0);
  wait_served(s, 1);
  ws_conn_abort(s->c.conn);
  caller_wait_closed(&s->c, 1);
  for (int i = 1; i < 20; ++i) {
    assert_ok(ws_conn_resume(s->w.conn));
    wait_served(s, i + 1);
  }
  assert_int_equal(s->w.closed, 0);
  assert_ok(ws_conn_resume(s->w.conn));
  world_wait_closed(&s->w, 1);
  assert_int_equal(s->w.how.error, WS_ERR_EOF);
}

/* bad: 172 */
static void test_tls_paused_side_sends_and_is_not_idle(void **state) {
  Secured *s = *state;
  s->w.limits.idle_timeout_ms = 300;
  s->w.limits.read_ahead_bytes = 2; /* what fills it suspends the timeout */
  secured_open(s);
  assert_ok(ws_conn_pause(s->w.conn));
  assert_ok(ws_conn_send(s->c.conn, WS_OP_TEXT, "unseen", 6, 0));
  run_for(s->c.loop, 500);
  assert_string_equal(s->w.log, "open ");
  assert_ok(ws_conn_send(s->w.conn, WS_OP_TEXT, "out", 3, 0));
  caller_wait_log(&s->c, "text:out");
  assert_ok(ws_conn_resume(s->w.conn));
  world_wait_log(&s->w, "text:unseen");
}

static void test_tls_paused_sides_answer_pings_behind_data(void **state) {
  Secured *s = *state;
  secured_open(s);
  assert_ok(ws_conn_pause(s->w.conn));
  assert_ok(ws_conn_pause(s->c.conn));
  for (int i = 0; i < 3; ++i) {
    assert_ok(ws_conn_send(s->c.conn, WS_OP_TEXT, "up", 2, 0));
    assert_ok(ws_conn_ping(s->c.conn, "u", 1));
    assert_ok(ws_conn_send(s->w.conn, WS_OP_TEXT, "down", 4, 0));
    assert_ok(ws_conn_ping(s->w.conn, "d", 1));
  }
  world_wait_log(&s->w, "pong:d");
  caller_wait_log(&s->c, "pong:u");
  assert_int_equal(s->w.messages + s->c.messages, 0);
  assert_true(ws_conn_send(s->c.conn, WS_OP_BINARY, zeros, 400000, 0) >= 0);
  run_for(s->c.loop, 5);
  assert_ok(ws_conn_resume(s->w.conn));
  assert_ok(ws_conn_resume(s->c.conn));
  caller_wait_messages(&s->c, 3);
  world_wait_log(&s->w, "text:up text:up text:up binary#400000");
}

/* Both send without end and answer nothing: neither may starve the other. */
static void refill(Caller *c, const char *event, ws_conn *conn) {
  (void)c;
  if (strcmp(event, "drain") == 0) {
    while (ws_conn_send(conn, WS_OP_BINARY, zeros, 5000, 0) == WS_OK) continue;
  }
}

static void refill_world(World *w, const char *event, ws_conn *conn) {
  (void)w;
  if (strcmp(event, "drain") == 0) {
    while (ws_conn_send(conn, WS_OP_BINARY, zeros, 5000, 0) == WS_OK) continue;
  }
}

static void test_tls_both_sides_flood_each_other(void **state) {
  Secured *s = *state;
  if (faults_are_on()) skip();
  s->w.on = refill_world;
  s->c.on = refill;
  secured_open(s);
  while (ws_conn_send(s->c.conn, WS_OP_BINARY, zeros, 5000, 0) == WS_OK) continue;
  while (ws_conn_send(s->w.conn, WS_OP_BINARY, zeros, 5000, 0) == WS_OK) continue;
  uint64_t end = clock_ms() + (valgrind_is_on() ? 6u : 1u) * (uint64_t)PATIENCE_MS;
  while (s->w.messages < 4000 || s->c.messages < 4000) {
    if (clock_ms() > end) fail_msg("%d and %d messages", s->w.messages, s->c.messages);
    assert_true(ws_loop_dispatch(s->c.loop, 2) >= 0);
    s->w.log[0] = s->c.log[0] = '\0';
  }
  assert_int_equal(s->w.closed + s->c.closed, 0);
  assert_true(s->w.drains > 1 && s->c.drains > 1);
}

int main(void) {
#define SECURED(f) cmocka_unit_test_setup_teardown(f, secured_setup, secured_teardown)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tls_each_size_is_echoed_by_us_and_by_the_kernel),
      SECURED(test_tls_each_size_is_echoed_in_chunks),
      SECURED(test_tls_each_size_is_echoed_by_reads_smaller_than_a_record),
      SECURED(test_tls_ping_and_pong_go_both_ways),
      SECURED(test_tls_three_hundred_messages_of_one_turn_arrive_in_order),
      SECURED(test_tls_send_later_waits_for_the_turn_and_flush_does_not),
      SECURED(test_tls_close_by_the_client_is_clean_on_both_sides),
      SECURED(test_tls_close_by_the_server_is_clean_on_both_sides),
      cmocka_unit_test(test_tls_abort_of_each_side_is_a_cut_stream_to_the_other),
      SECURED(test_tls_shutdown_of_the_server_closes_its_connections),
      SECURED(test_tls_backpressure_then_full_then_one_drain_and_nothing_is_lost),
      SECURED(test_tls_unsent_ciphertext_counts_and_leaves_by_itself),
      cmocka_unit_test(test_tls_peer_that_takes_nothing_meets_the_send_timeout),
      SECURED(test_tls_close_behind_a_full_socket_waits_its_turn),
      SECURED(test_tls_pause_in_every_message_loses_none_of_shared_records),
      SECURED(test_tls_pause_in_every_message_loses_none_of_single_records),
      SECURED(test_tls_pause_in_every_message_loses_none_of_full_records),
      SECURED(test_tls_pause_in_every_message_loses_none_of_large_ones),
      SECURED(test_tls_pause_in_every_message_loses_none_of_small_reads),
      SECURED(test_tls_paused_side_takes_all_that_came_before_the_cut),
      SECURED(test_tls_paused_sides_answer_pings_behind_data),
      SECURED(test_tls_paused_side_sends_and_is_not_idle),
      SECURED(test_tls_both_sides_flood_each_other),
  };
  return cmocka_run_group_tests_name("tls_flow", tests, NULL, NULL);
}
