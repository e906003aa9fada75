/*
 * conn.h, messages: sending whole, in parts and prepared, receiving, keeping, pings and pongs,
 * figures.  Pressure and pausing are in test_conn_flow.c, ending in test_conn_close.c.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

static void echo(World *w, const char *event, ws_conn *c) {
  if (strcmp(event, "message") == 0) assert_true(ws_conn_send(c, w->op, w->data, w->len, 0) >= 0);
}

static uint8_t *pattern(size_t len) {
  uint8_t *data = malloc(len + 1);
  for (size_t i = 0; i < len; ++i) data[i] = (uint8_t)('a' + (i * 7 + i / 251) % 26);
  return data;
}

/* req: 59, 61, 62, 71 */
/* bad: 89 */
static void test_conn_echo_at_length_borders_is_byte_exact(void **state) {
  World *w = *state;
  static const size_t sizes[] = {0, 1, 124, 125, 126, 127, 65534, 65535, 65536, 65537, 300000};
  Peer p;
  w->on = echo;
  world_join(w, &p);
  for (size_t i = 0; i < COUNT_OF(sizes); ++i) {
    uint8_t *data = pattern(sizes[i]);
    for (int text = 0; text < 2; ++text) {
      peer_send_frame(&p, text ? FIN_TEXT : FIN_BINARY, data, sizes[i]);
      peer_expect_frame(&p, text ? FIN_TEXT : FIN_BINARY, data, sizes[i]);
    }
    free(data);
  }
  assert_int_equal(w->messages, 2 * COUNT_OF(sizes));
  peer_drop(&p);
}

/* req: 62, 67 */
/* bad: 98 */
static void test_conn_fragments_one_byte_at_a_time_are_one_message(void **state) {
  World *w = *state;
  uint8_t wire[64];
  size_t n = 0;
  Peer p;
  w->on = echo;
  world_join(w, &p);
  n += wire_client_frame(wire + n, PART_TEXT, "one ", 4);
  n += wire_client_frame(wire + n, FIN_PING, "x", 1);
  n += wire_client_frame(wire + n, PART_MORE, "", 0);
  n += wire_client_frame(wire + n, PART_LAST, "two", 3);
  for (size_t i = 0; i < n; ++i) {
    peer_send(&p, wire + i, 1);
    ws_loop_dispatch(w->loop, 0);
  }
  peer_expect_frame(&p, FIN_PONG, "x", 1);
  peer_expect_text(&p, "one two");
  peer_drop(&p);
}

/* bad: 222 */
static void test_conn_thousand_sends_inside_on_message_are_in_order(void **state) {
  World *w = *state;
  Peer p;
  char text[16];
  world_join(w, &p);
  peer_send_text(&p, "go");
  world_wait_log(w, "text:go");
  for (int i = 0; i < 1000; ++i) {
    int n = snprintf(text, sizeof text, "%d", i);
    assert_true(ws_conn_send(w->conn, WS_OP_TEXT, text, (size_t)n, 0) >= 0);
  }
  for (int i = 0; i < 1000; ++i) {
    snprintf(text, sizeof text, "%d", i);
    peer_expect_text(&p, text);
  }
  peer_drop(&p);
}

/* bad: 113, 233 */
static void test_conn_send_of_bad_arguments_is_refused_and_sends_nothing(void **state) {
  World *w = *state;
  Peer p;
  world_join(w, &p);
  ws_conn *c = w->conn;
  assert_fails(WS_ERR_INVALID, ws_conn_send(c, (ws_opcode)0, "x", 1, 0));
  assert_fails(WS_ERR_INVALID, ws_conn_send(c, WS_OP_PING, "x", 1, 0));
  assert_fails(WS_ERR_INVALID, ws_conn_send(c, WS_OP_CLOSE, "x", 1, 0));
  assert_fails(WS_ERR_INVALID, ws_conn_send(c, (ws_opcode)3, "x", 1, 0));
  assert_fails(WS_ERR_INVALID, ws_conn_send(c, WS_OP_TEXT, NULL, 5, 0));
  assert_fails(WS_ERR_INVALID, ws_conn_send(c, WS_OP_TEXT, NULL, 100000, 0));
  assert_fails(WS_ERR_UTF8, ws_conn_send(c, WS_OP_TEXT, "\xC3", 1, 0));
  assert_int_equal(ws_conn_send(c, WS_OP_TEXT, "x", 1, 1u << 20), WS_ERR_UNSUPPORTED);
  assert_fails(WS_ERR_FULL, ws_conn_send(c, WS_OP_BINARY, "x", SIZE_MAX, 0));
  assert_fails(WS_ERR_FULL, ws_conn_send(c, WS_OP_BINARY, "x", SIZE_MAX - 8, 0));
  assert_int_equal(ws_conn_buffered(c), 0);
  assert_ok(ws_conn_send(c, WS_OP_TEXT, NULL, 0, 0));
  assert_ok(ws_conn_send(c, WS_OP_TEXT, "\xC3\xA9", 2, 0));
  assert_ok(ws_conn_send(c, WS_OP_BINARY, "\xC3", 1, 0));
  peer_expect_text(&p, "");
  peer_expect_text(&p, "\xC3\xA9");
  peer_expect_frame(&p, FIN_BINARY, "\xC3", 1);
  peer_expect_quiet(&p);
  peer_drop(&p);
}

/* req: 66, 69 */
/* bad: 234 */
static void test_conn_parts_are_one_message_with_control_frames_between(void **state) {
  World *w = *state;
  ws_message *m;
  Peer p;
  world_join(w, &p);
  ws_conn *c = w->conn;
  assert_ok(ws_message_new(WS_OP_TEXT, "m", 1, &m));
  assert_ok(ws_conn_send_part(c, WS_OP_TEXT, "one", 3, 0));
  assert_fails(WS_ERR_STATE, ws_conn_send(c, WS_OP_TEXT, "x", 1, 0));
  assert_fails(WS_ERR_STATE, ws_conn_send_message(c, m));
  assert_fails(WS_ERR_STATE, ws_conn_send_part(c, WS_OP_BINARY, "x", 1, 1));
  assert_ok(ws_conn_ping(c, "p", 1));
  assert_ok(ws_conn_send_part(c, WS_OP_TEXT, "", 0, 0));
  assert_ok(ws_conn_send_part(c, WS_OP_TEXT, "two", 3, 1));
  assert_ok(ws_conn_send(c, WS_OP_TEXT, "whole", 5, 0));
  assert_ok(ws_conn_send_part(c, WS_OP_BINARY, "only", 4, 1));
  peer_expect_frame(&p, PART_TEXT, "one", 3);
  peer_expect_frame(&p, FIN_PING, "p", 1);
  peer_expect_frame(&p, PART_MORE, "", 0);
  peer_expect_frame(&p, PART_LAST, "two", 3);
  peer_expect_text(&p, "whole");
  peer_expect_frame(&p, FIN_BINARY, "only", 4);
  ws_message_unref(m);
  peer_drop(&p);
}

/* req: 101, 103 */
/* bad: 113 */
static void test_conn_text_parts_are_checked_over_all_of_them(void **state) {
  World *w = *state;
  Peer p;
  world_join(w, &p);
  ws_conn *c = w->conn;
  assert_fails(WS_ERR_UTF8, ws_conn_send_part(c, WS_OP_TEXT, "\xff", 1, 0));
  assert_fails(WS_ERR_UTF8, ws_conn_send_part(c, WS_OP_TEXT, "\xC3", 1, 1));
  assert_ok(ws_conn_send_part(c, WS_OP_TEXT, "\xC3", 1, 0));
  assert_fails(WS_ERR_UTF8, ws_conn_send_part(c, WS_OP_TEXT, "x", 1, 0));
  assert_fails(WS_ERR_UTF8, ws_conn_send_part(c, WS_OP_TEXT, "", 0, 1));
  assert_ok(ws_conn_send_part(c, WS_OP_TEXT, "\xA9", 1, 0)); /* a refused part changes nothing */
  assert_ok(ws_conn_send_part(c, WS_OP_TEXT, "", 0, 1));
  assert_ok(ws_conn_send_part(c, WS_OP_BINARY, "\xff", 1, 1));
  peer_expect_frame(&p, PART_TEXT, "\xC3", 1);
  peer_expect_frame(&p, PART_MORE, "\xA9", 1);
  peer_expect_frame(&p, PART_LAST, "", 0);
  peer_expect_frame(&p, FIN_BINARY, "\xff", 1);
  peer_drop(&p);
}

/* bad: 136 */
static void test_conn_close_between_parts_ends_without_the_rest(void **state) {
  World *w = *state;
  Peer p;
  world_join(w, &p);
  assert_ok(ws_conn_send_part(w->conn, WS_OP_TEXT, "one", 3, 0));
  assert_ok(ws_conn_close(w->conn, 1000, NULL));
  assert_fails(WS_ERR_CLOSED, ws_conn_send_part(w->conn, WS_OP_TEXT, "two", 3, 1));
  peer_expect_frame(&p, PART_TEXT, "one", 3);
  peer_expect_close(&p, 1000);
  peer_send_close(&p, 1000, NULL);
  peer_expect_end(&p);
  peer_drop(&p);
}

static int released;
static void count_release(void *arg, const void *data, size_t len) {
  assert_ptr_equal(arg, &released);
  assert_non_null(data);
  assert_true(len != 0);
  ++released;
}

/* bad: 242 */
static void test_conn_prepared_message_reaches_several_and_is_released_once(void **state) {
  World *w = *state;
  static const size_t sizes[] = {5, 256, 257, 70000, 400000};
  Peer a, b;
  world_join(w, &a);
  ws_conn *first = w->conn;
  world_join(w, &b);
  for (size_t i = 0; i < COUNT_OF(sizes); ++i) {
    uint8_t *data = pattern(sizes[i]);
    ws_message *m;
    released = 0;
    assert_ok(ws_message_wrap(WS_OP_BINARY, data, sizes[i], count_release, &released, &m));
    assert_true(ws_conn_send_message(first, m) >= 0);
    assert_true(ws_conn_send_message(w->conn, m) >= 0);
    assert_true(ws_conn_send_message(w->conn, m) >= 0);
    ws_message_unref(m);
    peer_expect_frame(&a, FIN_BINARY, data, sizes[i]);
    peer_expect_frame(&b, FIN_BINARY, data, sizes[i]);
    peer_expect_frame(&b, FIN_BINARY, data, sizes[i]);
    run_for(w->loop, 5);
    assert_int_equal(released, 1);
    free(data);
  }
  peer_drop(&a);
  peer_drop(&b);
}

static void test_conn_queued_message_is_released_when_aborted(void **state) {
  World *w = *state;
  uint8_t *data = pattern(8 << 20);
  ws_message *m;
  Peer p;
  world_join(w, &p);
  released = 0;
  assert_ok(ws_message_wrap(WS_OP_BINARY, data, 8 << 20, count_release, &released, &m));
  assert_int_equal(ws_conn_send_message(w->conn, m), WS_BACKPRESSURE);
  ws_message_unref(m);
  assert_int_equal(released, 0);
  ws_conn_abort(w->conn);
  world_wait_closed(w, 1);
  assert_int_equal(released, 1);
  free(data);
  peer_drop(&p);
}

static ws_message *kept[4];
static void keep(World *w, const char *event, ws_conn *c) {
  if (strcmp(event, "message") != 0) return;
  assert_ok(ws_conn_keep_message(c, &kept[2 * (w->messages - 1)]));
  assert_ok(ws_conn_keep_message(c, &kept[2 * (w->messages - 1) + 1]));
  assert_fails(WS_ERR_INVALID, ws_conn_keep_message(c, NULL));
  assert_true(ws_conn_send(c, w->op, w->data, w->len, 0) >= 0); /* still there */
}

static void test_conn_kept_messages_outlive_the_callback_and_the_loop(void **state) {
  World *w = *state;
  uint8_t *big = pattern(300000);
  ws_message *none = (ws_message *)&big;
  Peer p;
  w->on = keep;
  world_join(w, &p);
  assert_fails(WS_ERR_STATE, ws_conn_keep_message(w->conn, &none));
  assert_ptr_equal(none, &big);
  peer_send_text(&p, "in the buffer");
  peer_expect_text(&p, "in the buffer");
  peer_send_frame(&p, PART_BINARY, big, 100000);
  peer_send_frame(&p, PART_LAST, big + 100000, 200000);
  peer_expect_frame(&p, FIN_BINARY, big, 300000);
  peer_drop(&p);
  world_stop(w);
  for (int i = 0; i < 4; ++i) {
    ws_slice s = ws_message_data(kept[i]);
    if (i < 2) {
      assert_int_equal(ws_message_opcode(kept[i]), WS_OP_TEXT);
      assert_bytes(s.data, s.len, "in the buffer", 13);
    } else {
      assert_int_equal(ws_message_opcode(kept[i]), WS_OP_BINARY);
      assert_bytes(s.data, s.len, big, 300000);
    }
    ws_message_unref(kept[i]);
  }
  free(big);
}

/* req: 74, 83, 85 */
/* bad: 167, 233 */
static void test_conn_ping_and_pong_of_125_bytes_pass_and_126_are_refused(void **state) {
  World *w = *state;
  uint8_t *data = pattern(126);
  Peer p;
  world_join(w, &p);
  assert_ok(ws_conn_ping(w->conn, data, 125));
  assert_ok(ws_conn_pong(w->conn, data, 125));
  assert_ok(ws_conn_ping(w->conn, NULL, 0));
  assert_fails(WS_ERR_INVALID, ws_conn_ping(w->conn, data, 126));
  assert_fails(WS_ERR_INVALID, ws_conn_pong(w->conn, data, 126));
  assert_fails(WS_ERR_INVALID, ws_conn_ping(w->conn, NULL, 1));
  assert_fails(WS_ERR_INVALID, ws_conn_pong(w->conn, NULL, 1));
  peer_expect_frame(&p, FIN_PING, data, 125);
  peer_expect_frame(&p, FIN_PONG, data, 125);
  peer_expect_frame(&p, FIN_PING, "", 0);
  peer_send_frame(&p, FIN_PONG, "unasked", 7);
  peer_send_frame(&p, FIN_PING, data, 125);
  peer_expect_frame(&p, FIN_PONG, data, 125);
  assert_string_equal(w->log, "open pong:unasked ping#125 ");
  peer_expect_quiet(&p);
  free(data);
  peer_drop(&p);
}

/* req: 84 */
/* bad: 165, 166 */
static void test_conn_pings_of_one_read_get_the_latest_pong_only(void **state) {
  World *w = *state;
  uint8_t wire[64];
  size_t n = 0;
  Peer p;
  if (faults_are_on()) skip(); /* the three pings would not come in one read */
  world_join(w, &p);
  n += wire_client_frame(wire + n, FIN_PING, "1", 1);
  n += wire_client_frame(wire + n, FIN_PING, "22", 2);
  n += wire_client_frame(wire + n, FIN_PING, "333", 3);
  peer_send(&p, wire, n);
  peer_expect_frame(&p, FIN_PONG, "333", 3);
  assert_string_equal(w->log, "open ping:1 ping:22 ping:333 ");
  peer_expect_quiet(&p);
  peer_drop(&p);
}

static void answer_ping(World *w, const char *event, ws_conn *c) {
  (void)w;
  if (strcmp(event, "ping") == 0) assert_ok(ws_conn_pong(c, "mine", 4));
}

static void test_conn_without_auto_pong_the_application_answers(void **state) {
  (void)state;
  World w;
  Peer p;
  world_prepare(&w);
  w.limits.flags = WS_CONN_NO_AUTO_PONG;
  w.on = answer_ping;
  world_start(&w);
  world_join(&w, &p);
  peer_send_frame(&p, FIN_PING, "theirs", 6);
  peer_expect_frame(&p, FIN_PONG, "mine", 4);
  peer_expect_quiet(&p);
  peer_drop(&p);
  world_stop(&w);
}

static void echo_unchecked(World *w, const char *event, ws_conn *c) {
  if (strcmp(event, "message") != 0) return;
  assert_fails(WS_ERR_UTF8, ws_conn_send(c, w->op, w->data, w->len, 0));
  assert_ok(ws_conn_send(c, w->op, w->data, w->len, WS_SEND_NO_UTF8_CHECK));
}

/* req: 103 */
static void test_conn_without_utf8_check_bad_text_passes(void **state) {
  (void)state;
  World w;
  Peer p;
  world_prepare(&w);
  w.limits.flags = WS_CONN_NO_UTF8_CHECK | WS_CONN_NAGLE;
  w.on = echo_unchecked;
  world_start(&w);
  world_join(&w, &p);
  peer_send_text(&p, "\xff\xfe");
  peer_expect_text(&p, "\xff\xfe");
  peer_drop(&p);
  world_stop(&w);
}

typedef struct Chunks {
  size_t count, bytes, lasts;
  int in_order;
} Chunks;

static void on_chunk(ws_conn *c, ws_opcode op, uint32_t flags, const void *data, size_t len,
                     void *user) {
  World *w = user;
  Chunks *k = w->extra;
  ws_message *m;
  assert_int_equal(ws_conn_keep_message(c, &m), WS_ERR_STATE);
  assert_int_equal(op, WS_OP_BINARY);
  assert_int_equal((flags & WS_PART_FIRST) != 0, k->bytes == 0 && k->in_order);
  k->in_order = 0;
  for (size_t i = 0; i < len; ++i) {
    assert_int_equal(((const uint8_t *)data)[i], (uint8_t)((k->bytes + i) * 3));
  }
  ++k->count;
  k->bytes += len;
  if (flags & WS_PART_LAST) {
    ++k->lasts;
    world_log(w, "last ");
  }
}

/* req: 70 */
static void test_conn_chunks_come_in_order_with_first_and_last(void **state) {
  (void)state;
  World w;
  Peer p;
  size_t len = 700000;
  uint8_t *data = malloc(len);
  Chunks k = {0, 0, 0, 1};
  for (size_t i = 0; i < len; ++i) data[i] = (uint8_t)(i * 3);
  world_prepare(&w);
  w.extra = &k;
  w.handlers.on_chunk = on_chunk;
  world_start(&w);
  world_join(&w, &p);
  peer_send_frame(&p, PART_BINARY, data, 10);
  peer_send_frame(&p, PART_MORE, data, 0);
  peer_send_frame(&p, PART_LAST, data + 10, len - 10);
  world_wait_log(&w, "last");
  assert_int_equal(k.bytes, len);
  assert_int_equal(k.lasts, 1);
  assert_true(k.count > 2);
  assert_int_equal(w.messages, 0);
  peer_drop(&p);
  world_stop(&w);
  free(data);
}

static void test_conn_stats_count_messages_and_bytes(void **state) {
  World *w = *state;
  ws_conn_stats s;
  Peer p;
  w->on = echo;
  world_join(w, &p);
  ws_conn *c = ws_conn_ref(w->conn);
  WS_INIT(&s);
  assert_ok(ws_conn_get_stats(c, &s));
  uint64_t in = s.bytes_in, out = s.bytes_out;
  assert_int_equal(in, strlen(WIRE_OPEN("/", "")));
  assert_true(out > 100);
  assert_int_equal(s.messages_in + s.messages_out, 0);
  assert_int_equal(s.rtt_us, UINT32_MAX);
  peer_send_text(&p, "four");
  peer_expect_text(&p, "four");
  assert_ok(ws_conn_send_part(c, WS_OP_TEXT, "a", 1, 0));
  assert_ok(ws_conn_send_part(c, WS_OP_TEXT, "b", 1, 1));
  run_for(w->loop, 5);
  assert_ok(ws_conn_get_stats(c, &s));
  assert_int_equal(s.messages_in, 1);
  assert_int_equal(s.messages_out, 2);
  assert_int_equal(s.bytes_in - in, 10);
  assert_int_equal(s.bytes_out - out, 6 + 3 + 3);
  peer_drop(&p);
  world_wait_closed(w, 1);
  assert_ok(ws_conn_get_stats(c, &s));
  assert_int_equal(s.messages_out, 2);
  assert_fails(WS_ERR_INVALID, ws_conn_get_stats(c, NULL));
  ws_conn_unref(c);
}

static void test_conn_getters_describe_the_connection(void **state) {
  World *w = *state;
  Peer p, q;
  world_join(w, &p);
  ws_conn *first = w->conn;
  world_join(w, &q);
  assert_true(ws_conn_id(first) != ws_conn_id(w->conn));
  assert_ptr_equal(ws_conn_loop(first), w->loop);
  assert_ptr_equal(ws_conn_user(first), w);
  ws_conn_set_user(first, NULL);
  assert_null(ws_conn_user(first));
  ws_conn_set_user(first, w);
  assert_int_equal(strncmp(ws_conn_peer(first), "127.0.0.1:", 10), 0);
  assert_string_equal(ws_conn_subprotocol(first), "");
  assert_int_equal(ws_conn_is_open(first), 1);
  assert_int_equal(ws_conn_buffered(first), 0);
  peer_drop(&p);
  peer_drop(&q);
}

int main(void) {
#define WITH_WORLD(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
  const struct CMUnitTest tests[] = {
      WITH_WORLD(test_conn_echo_at_length_borders_is_byte_exact),
      WITH_WORLD(test_conn_fragments_one_byte_at_a_time_are_one_message),
      WITH_WORLD(test_conn_thousand_sends_inside_on_message_are_in_order),
      WITH_WORLD(test_conn_send_of_bad_arguments_is_refused_and_sends_nothing),
      WITH_WORLD(test_conn_parts_are_one_message_with_control_frames_between),
      WITH_WORLD(test_conn_text_parts_are_checked_over_all_of_them),
      WITH_WORLD(test_conn_close_between_parts_ends_without_the_rest),
      WITH_WORLD(test_conn_prepared_message_reaches_several_and_is_released_once),
      WITH_WORLD(test_conn_queued_message_is_released_when_aborted),
      WITH_WORLD(test_conn_kept_messages_outlive_the_callback_and_the_loop),
      WITH_WORLD(test_conn_ping_and_pong_of_125_bytes_pass_and_126_are_refused),
      WITH_WORLD(test_conn_pings_of_one_read_get_the_latest_pong_only),
      cmocka_unit_test(test_conn_without_auto_pong_the_application_answers),
      cmocka_unit_test(test_conn_without_utf8_check_bad_text_passes),
      cmocka_unit_test(test_conn_chunks_come_in_order_with_first_and_last),
      WITH_WORLD(test_conn_stats_count_messages_and_bytes),
      WITH_WORLD(test_conn_getters_describe_the_connection),
  };
  return cmocka_run_group_tests_name("conn", tests, NULL, NULL);
}
