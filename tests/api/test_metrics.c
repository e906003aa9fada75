/*
 * metrics.h and the times of a loop: what is counted for each way a connection can go, and the text
 * that a monitoring system reads.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

static ws_server_stats stats_of(const ws_server *s) {
  ws_server_stats stats;
  WS_INIT(&stats);
  assert_ok(ws_server_get_stats(s, &stats));
  return stats;
}

static void wait_accepted(World *w, uint64_t count) {
  for (int i = 0; i < PATIENCE_MS && stats_of(w->server).accepted < count; ++i) run_for(w->loop, 1);
  assert_int_equal(stats_of(w->server).accepted, count);
}

static void wait_nothing_opening(World *w) {
  for (int i = 0; i < PATIENCE_MS && stats_of(w->server).opening != 0; ++i) run_for(w->loop, 1);
  assert_int_equal(stats_of(w->server).opening, 0);
}

static void test_stats_of_a_new_server_are_zero(void **state) {
  World *w = *state;
  ws_server_stats s = stats_of(w->server);
  ws_server_stats zero;
  WS_INIT(&zero);
  assert_memory_equal(&s, &zero, sizeof s);
}

static void test_stats_tell_sockets_from_connections(void **state) {
  World *w = *state;
  Peer p;
  Peer q;
  peer_connect(&p, w->loop, w->port);
  wait_accepted(w, 1);
  assert_int_equal(stats_of(w->server).opening, 1);
  peer_drop(&p); /* before a byte was sent */
  wait_nothing_opening(w);
  assert_int_equal(stats_of(w->server).failed, 1);

  peer_connect(&p, w->loop, w->port);
  peer_say(&p, "GET / HTTP/1.1\r\nHost: h\r\n\r\n");
  peer_expect_status(&p, 426, NULL, 0);
  peer_drop(&p);
  peer_connect(&p, w->loop, w->port);
  peer_say(&p, "nonsense\r\n\r\n");
  peer_expect_status(&p, 400, NULL, 0);
  peer_drop(&p);
  wait_nothing_opening(w);

  world_join(w, &q);
  ws_server_stats s = stats_of(w->server);
  assert_int_equal(s.accepted, 4);
  assert_int_equal(s.failed, 1);
  assert_int_equal(s.answered, 2);
  assert_int_equal(s.opened, 1);
  assert_int_equal(s.connections, 1);
  assert_int_equal(s.opening, 0);
  assert_int_equal(s.closed, 0);
  peer_drop(&q);
}

static void test_stats_tell_how_connections_ended(void **state) {
  World *w = *state;
  Peer p;
  world_join(w, &p); /* 1: the peer closes in order */
  peer_send_close(&p, 1000, "bye");
  peer_expect_close(&p, 1000);
  world_wait_closed(w, 1);
  peer_drop(&p);
  world_join(w, &p); /* 2: we do, and the peer answers */
  assert_ok(ws_conn_close(w->conn, 4000, NULL));
  peer_expect_close(&p, 4000);
  peer_send_close(&p, 4000, "");
  world_wait_closed(w, 2);
  peer_drop(&p);
  world_join(w, &p); /* 3: the peer breaks a rule */
  peer_send_frame(&p, 0xf1, "x", 1);
  peer_expect_close(&p, 1002);
  world_wait_closed(w, 3);
  peer_drop(&p);
  world_join(w, &p); /* 4: the peer is gone */
  peer_drop(&p);
  world_wait_closed(w, 4);
  world_join(w, &p); /* 5: we drop it */
  ws_conn_abort(w->conn);
  world_wait_closed(w, 5);
  peer_drop(&p);

  ws_server_stats s = stats_of(w->server);
  assert_int_equal(s.opened, 5);
  assert_int_equal(s.connections, 0);
  assert_int_equal(s.closed, 5);
  assert_int_equal(s.closed_clean, 2);
  assert_int_equal(s.closed_by_peer, 2);
  assert_int_equal(s.closed_violation, 1);
  assert_int_equal(s.closed_timeout, 0);
  assert_int_equal(s.closed_code[1], 1);
  assert_int_equal(s.closed_code[0], 1);
  assert_int_equal(s.closed_code[7], 3);
}

static void test_stats_count_a_timeout(void **state) {
  (void)state;
  World w;
  Peer p;
  world_prepare(&w);
  w.limits.idle_timeout_ms = 20;
  w.limits.ping_interval_ms = WS_NEVER;
  world_start(&w);
  world_join(&w, &p);
  world_wait_closed(&w, 1);
  assert_int_equal(stats_of(w.server).closed_timeout, 1);
  peer_drop(&p);
  world_stop(&w);
}

static void test_stats_sum_open_and_ended_connections(void **state) {
  World *w = *state;
  Peer p;
  Peer q;
  world_join(w, &p);
  peer_send_text(&p, "one");
  peer_send_text(&p, "two");
  while (w->messages < 2) run_for(w->loop, 1);
  assert_ok(ws_conn_send(w->conn, WS_OP_TEXT, "three", 5, 0));
  peer_expect_text(&p, "three");
  ws_server_stats open = stats_of(w->server);
  assert_int_equal(open.messages_in, 2);
  assert_int_equal(open.messages_out, 1);
  assert_true(open.bytes_in > 6 && open.bytes_out > 5);
  peer_drop(&p);
  world_wait_closed(w, 1);
  ws_server_stats ended = stats_of(w->server);
  assert_int_equal(ended.messages_in, 2);
  assert_int_equal(ended.messages_out, 1);
  assert_int_equal(ended.bytes_in, open.bytes_in);
  assert_int_equal(ended.bytes_out, open.bytes_out);
  world_join(w, &q);
  peer_send_text(&q, "four");
  while (w->messages < 3) run_for(w->loop, 1);
  assert_int_equal(stats_of(w->server).messages_in, 3);
  peer_drop(&q);
}

static void test_stats_tell_what_waits_and_where_most(void **state) {
  (void)state;
  enum { kLen = 1000 };
  static const char data[kLen];
  World w;
  Peer p;
  Peer q;
  world_start_default(&w);
  world_join(&w, &p);
  assert_ok(ws_conn_send(w.conn, WS_OP_BINARY, data, kLen, WS_SEND_LATER));
  world_join(&w, &q);
  peer_expect_frame(&p, 0x82, data, kLen);
  assert_int_equal(stats_of(w.server).waiting_bytes, 0);
  assert_ok(ws_conn_send(w.conn, WS_OP_BINARY, data, kLen, WS_SEND_LATER));
  ws_server_stats s = stats_of(w.server);
  assert_int_equal(s.waiting_bytes, kLen + 4);
  assert_int_equal(s.max_waiting_bytes, kLen + 4);
  peer_drop(&p);
  peer_drop(&q);
  world_stop(&w);
}

static void test_times_of_turns_count_each_turn(void **state) {
  World *w = *state;
  ws_histogram times;
  ws_loop_stats stats;
  uint64_t sum = 0;
  for (int i = 0; i < 5; ++i) assert_true(ws_loop_dispatch(w->loop, 0) >= 0);
  WS_INIT(&times);
  WS_INIT(&stats);
  assert_ok(ws_loop_get_times(w->loop, WS_TIMES_TURNS, &times));
  assert_ok(ws_loop_get_stats(w->loop, &stats));
  for (size_t i = 0; i < sizeof times.buckets / sizeof *times.buckets; ++i) sum += times.buckets[i];
  assert_int_equal(times.count, stats.turns);
  assert_int_equal(sum, times.count);
  assert_true(times.count >= 5);
}

static void burn_3_ms(World *w, const char *event, ws_conn *c) {
  (void)w, (void)c;
  if (strcmp(event, "message") != 0) return;
  for (uint64_t end = clock_ms() + 3; clock_ms() < end;) {
  }
}

static void test_times_of_callbacks_only_where_asked_for(void **state) {
  (void)state;
  World w;
  Peer p;
  ws_histogram times;
  WS_INIT(&times);
  world_prepare(&w);
  w.loop_config.flags = WS_LOOP_TIME_CALLBACKS;
  w.on = burn_3_ms;
  world_start(&w);
  world_join(&w, &p);
  peer_send_text(&p, "x");
  while (w.messages < 1) run_for(w.loop, 1);
  assert_ok(ws_loop_get_times(w.loop, WS_TIMES_CALLBACKS, &times));
  assert_true(times.count >= 2);
  assert_true(times.sum_us >= 2000); /* more than 2 ms, as the clock has whole ones */
  uint64_t slow = 0;
  for (size_t i = 11; i < sizeof times.buckets / sizeof *times.buckets; ++i)
    slow += times.buckets[i];
  assert_true(slow >= 1);
  peer_drop(&p);
  world_stop(&w);
}

static void test_times_that_are_not_there_are_refused(void **state) {
  World *w = *state;
  ws_histogram times;
  ws_loop_config c;
  ws_loop *loop;
  WS_INIT(&times);
  assert_int_equal(ws_loop_get_times(w->loop, WS_TIMES_CALLBACKS, &times), WS_ERR_STATE);
  assert_int_equal(ws_loop_get_times(w->loop, (ws_times)2, &times), WS_ERR_INVALID);
  assert_int_equal(ws_loop_get_times(NULL, WS_TIMES_TURNS, &times), WS_ERR_INVALID);
  assert_int_equal(ws_loop_get_times(w->loop, WS_TIMES_TURNS, NULL), WS_ERR_INVALID);
  WS_INIT(&c);
  c.flags = WS_LOOP_TIME_CALLBACKS << 1;
  assert_int_equal(ws_loop_new(&c, &loop), WS_ERR_UNSUPPORTED);
}

static char *text_of(const ws_server *s) {
  int len = ws_server_metrics_text(s, NULL, 0);
  assert_true(len > 0);
  char *text = malloc((size_t)len + 1);
  assert_non_null(text);
  assert_int_equal(ws_server_metrics_text(s, text, (size_t)len + 1), len);
  assert_int_equal(strlen(text), len);
  return text;
}

static void test_text_has_the_figures_and_an_end(void **state) {
  World *w = *state;
  Peer p;
  world_join(w, &p);
  peer_send_text(&p, "x");
  while (w->messages < 1) run_for(w->loop, 1);
  char *text = text_of(w->server);
  assert_non_null(strstr(text, "# TYPE libws_connections gauge\n"));
  assert_non_null(strstr(text, "\nlibws_connections 1\n"));
  assert_non_null(strstr(text, "\nlibws_accepted_total 1\n"));
  assert_non_null(strstr(text, "\nlibws_messages_received_total 1\n"));
  assert_non_null(strstr(text, "\nlibws_closed_total{code=\"1000\"} 0\n"));
  assert_non_null(strstr(text, "\nlibws_turn_seconds_bucket{le=\"0.000001\"} "));
  assert_non_null(strstr(text, "\nlibws_turn_seconds_bucket{le=\"+Inf\"} "));
  assert_null(strstr(text, "libws_callback_seconds"));
  assert_string_equal(text + strlen(text) - 6, "# EOF\n");
  free(text);
  peer_drop(&p);
}

static void test_text_is_cut_at_the_room_it_has(void **state) {
  World *w = *state;
  char *whole = text_of(w->server);
  size_t len = strlen(whole);
  char *cut = malloc(len + 1);
  assert_non_null(cut);
  size_t rooms[] = {1, 2, 100, len - 1, len};
  for (size_t i = 0; i < sizeof rooms / sizeof *rooms; ++i) {
    memset(cut, '?', len + 1);
    assert_int_equal(ws_server_metrics_text(w->server, cut, rooms[i]), len);
    assert_memory_equal(cut, whole, rooms[i] - 1);
    assert_int_equal(cut[rooms[i] - 1], '\0');
    assert_int_equal(cut[rooms[i]], '?');
  }
  assert_int_equal(ws_server_metrics_text(w->server, NULL, 1), WS_ERR_INVALID);
  assert_int_equal(ws_server_metrics_text(NULL, cut, 1), WS_ERR_INVALID);
  free(cut);
  free(whole);
}

static void test_metrics_of_two_servers_are_added(void **state) {
  World *w = *state;
  World other;
  Peer p;
  Peer q;
  ws_metrics *m;
  char text[16384];
  world_start_default(&other);
  world_join(w, &p);
  world_join(&other, &q);
  assert_ok(ws_metrics_new(&m));
  assert_ok(ws_metrics_add_server(m, w->server));
  assert_ok(ws_metrics_add_server(m, other.server));
  int len = ws_metrics_text(m, text, sizeof text);
  assert_true(len > 0 && (size_t)len < sizeof text);
  assert_non_null(strstr(text, "\nlibws_connections 2\n"));
  assert_non_null(strstr(text, "\nlibws_opened_total 2\n"));
  assert_int_equal(ws_metrics_add_server(m, NULL), WS_ERR_INVALID);
  assert_int_equal(ws_metrics_add_server(NULL, w->server), WS_ERR_INVALID);
  ws_metrics_free(m);
  ws_metrics_free(NULL);
  peer_drop(&p);
  peer_drop(&q);
  world_stop(&other);
}

int main(void) {
#define WITH_WORLD(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
  const struct CMUnitTest tests[] = {
      WITH_WORLD(test_stats_of_a_new_server_are_zero),
      WITH_WORLD(test_stats_tell_sockets_from_connections),
      WITH_WORLD(test_stats_tell_how_connections_ended),
      cmocka_unit_test(test_stats_count_a_timeout),
      WITH_WORLD(test_stats_sum_open_and_ended_connections),
      cmocka_unit_test(test_stats_tell_what_waits_and_where_most),
      WITH_WORLD(test_times_of_turns_count_each_turn),
      cmocka_unit_test(test_times_of_callbacks_only_where_asked_for),
      WITH_WORLD(test_times_that_are_not_there_are_refused),
      WITH_WORLD(test_text_has_the_figures_and_an_end),
      WITH_WORLD(test_text_is_cut_at_the_room_it_has),
      WITH_WORLD(test_metrics_of_two_servers_are_added),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
