/*
 * server.h, limits for one address: connections and new connections a second.  The exact bounds in
 * time are in tests/unit/test_address_limits.cpp, which has a clock of its own.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static char lines[8192];

static void take_line(void *user, ws_log_level level, const char *line, size_t len) {
  size_t used = strlen(lines);
  (void)user;
  if (level > WS_LOG_WARN) return;
  snprintf(lines + used, sizeof lines - used, "%.*s\n", (int)len, line);
}

static void prepare(World *w, uint32_t connections, uint32_t rate) {
  world_prepare(w);
  lines[0] = '\0';
  w->loop_config.log_level = WS_LOG_WARN;
  w->loop_config.log = take_line;
  w->config.max_connections_per_ip = connections;
  w->config.max_accept_rate_per_ip = rate;
}

static void connect_from(World *w, Peer *p, const char *from) {
  assert_int_equal(peer_try_connect_from(p, w->loop, w->port, from), 0);
}

static void join_from(World *w, Peer *p, const char *from) {
  int before = w->opened;
  connect_from(w, p, from);
  peer_open(p);
  for (int i = 0; i < 1000 && w->opened == before; ++i) run_for(w->loop, 1);
  assert_int_equal(w->opened, before + 1);
}

static void expect_reset_from(World *w, const char *from) {
  Peer p;
  connect_from(w, &p, from);
  peer_expect_gone(&p);
  assert_int_equal(p.len, 0);
  assert_int_equal(p.ended, 2);
  peer_drop(&p);
}

/* As many connections as the loop has. */
static void wait_connections(World *w, uint64_t count) {
  ws_loop_stats s;
  uint64_t end = clock_ms() + PATIENCE_MS;
  WS_INIT(&s);
  do {
    assert_true(clock_ms() < end);
    ws_loop_dispatch(w->loop, 1);
    assert_ok(ws_loop_get_stats(w->loop, &s));
  } while (s.connections != count);
}

static void test_limit_of_2_connections_refuses_the_third_of_an_address(void **state) {
  World w;
  Peer p[4];
  (void)state;
  prepare(&w, 2, 0);
  world_start(&w);
  join_from(&w, &p[0], "127.0.0.1");
  join_from(&w, &p[1], "127.0.0.1");
  expect_reset_from(&w, "127.0.0.1");
  assert_non_null(strstr(lines, "drop peer=127.0.0.1:"));
  assert_non_null(strstr(lines, "why=\"max_connections_per_ip\""));
  join_from(&w, &p[2], "127.0.0.2");
  assert_int_equal(ws_server_count(w.server), 3);
  assert_ok(ws_conn_send(w.conn, WS_OP_TEXT, "hello", 5, 0));
  peer_expect_text(&p[2], "hello");
  peer_drop(&p[0]);
  world_wait_closed(&w, 1);
  join_from(&w, &p[3], "127.0.0.1");
  expect_reset_from(&w, "127.0.0.1");
  for (int i = 1; i < 4; ++i) peer_drop(&p[i]);
  world_wait_closed(&w, 4);
  world_stop(&w);
}

static void test_limit_counts_connections_that_shake_hands(void **state) {
  World w;
  Peer p;
  (void)state;
  prepare(&w, 1, 0);
  world_start(&w);
  connect_from(&w, &p, "127.0.0.1");
  peer_say(&p, "GET / HTTP/1.1\r\n");
  wait_connections(&w, 1);
  expect_reset_from(&w, "127.0.0.1");
  peer_drop(&p);
  wait_connections(&w, 0);
  join_from(&w, &p, "127.0.0.1");
  peer_drop(&p);
  world_stop(&w);
}

/* However a connection ends, its address has its place again. */
enum { WAYS = 10 };

static void end_in_way(World *w, Peer *p, int way) {
  if (way >= 4) {
    join_from(w, p, "127.0.0.1");
  } else {
    connect_from(w, p, "127.0.0.1");
  }
  switch (way) {
    case 0: peer_say(p, "nonsense\r\n\r\n"); break;                                   /* 400 */
    case 1: peer_say(p, WIRE_OPEN("/", "Origin: https://elsewhere.test\r\n")); break; /* 403 */
    case 2: peer_say(p, WIRE_GET("/", "")); break;                                    /* 426 */
    case 3: peer_reset(p); break;
    case 4: peer_fin(p); break;
    case 5: peer_reset(p); break;
    case 6: ws_conn_abort(w->conn); break;
    case 7:
      assert_ok(ws_conn_close(w->conn, 1000, NULL));
      peer_expect_close(p, 1000);
      peer_send_close(p, 1000, NULL);
      break;
    case 8:
      peer_send_close(p, 1000, NULL);
      peer_expect_close(p, 1000);
      break;
    default: peer_send(p, "\xff\xff\xff\xff", 4); break; /* 1002 */
  }
}

static void test_limit_gives_the_place_back_however_a_connection_ends(void **state) {
  World w;
  Peer p;
  (void)state;
  prepare(&w, 1, 0);
  world_start(&w);
  for (int way = 0; way < WAYS; ++way) {
    end_in_way(&w, &p, way);
    if (way != 3 && way != 5) peer_expect_gone(&p);
    peer_drop(&p);
    wait_connections(&w, 0);
  }
  join_from(&w, &p, "127.0.0.1");
  expect_reset_from(&w, "127.0.0.1");
  peer_drop(&p);
  world_stop(&w);
}

static void note_done(ws_server *s, void *arg) {
  (void)s;
  *(int *)arg = 1;
}

static void test_limit_and_a_server_that_stops_or_goes_with_connections(void **state) {
  World w;
  Peer p[2];
  int done = 0;
  (void)state;
  prepare(&w, 2, 1000);
  world_start(&w);
  join_from(&w, &p[0], "127.0.0.1");
  join_from(&w, &p[1], "127.0.0.1");
  assert_ok(ws_server_shutdown(w.server, 1001, 1, note_done, &done));
  assert_true(run_until(w.loop, &done, PATIENCE_MS));
  world_stop(&w);
  peer_drop(&p[0]);
  peer_drop(&p[1]);
  prepare(&w, 2, 1000);
  world_start(&w);
  join_from(&w, &p[0], "127.0.0.1");
  connect_from(&w, &p[1], "127.0.0.1");
  wait_connections(&w, 2);
  ws_server_free(w.server);
  w.server = NULL;
  world_wait_closed(&w, 1);
  world_stop(&w);
  peer_drop(&p[0]);
  peer_drop(&p[1]);
}

static void test_limit_does_not_count_unix_sockets(void **state) {
  World w;
  Peer p[3];
  ws_listen_config c;
  (void)state;
  prepare(&w, 1, 1);
  world_start(&w);
  WS_INIT(&c);
  c.unix_path = "@libws-test-limits-ip";
  assert_ok(ws_server_listen(w.server, &c, NULL));
  for (int i = 0; i < 3; ++i) {
    assert_int_equal(peer_try_unix(&p[i], w.loop, c.unix_path), 0);
    peer_open(&p[i]);
  }
  for (int i = 0; i < 3; ++i) peer_drop(&p[i]);
  world_stop(&w);
}

/* Nothing is asked of the clock but that a hundred connections do not take fifty seconds. */
static void test_rate_refuses_what_comes_too_fast_and_takes_it_later(void **state) {
  World w;
  Peer p;
  int refused = 0, taken = 0;
  uint64_t end = clock_ms() + PATIENCE_MS;
  (void)state;
  prepare(&w, 0, 2);
  world_start(&w);
  for (int i = 0; i < 100 && !refused; ++i) {
    connect_from(&w, &p, "127.0.0.1");
    peer_say(&p, WIRE_GET("/", ""));
    peer_expect_gone(&p);
    if (p.len == 0) {
      ++refused;
    } else {
      ++taken;
    }
    peer_drop(&p);
  }
  assert_int_equal(refused, 1);
  assert_true(taken >= 2);
  assert_non_null(strstr(lines, "why=\"max_accept_rate_per_ip\""));
  join_from(&w, &p, "127.0.0.3"); /* another address meanwhile */
  peer_drop(&p);
  for (taken = 0; !taken;) {
    assert_true(clock_ms() < end);
    connect_from(&w, &p, "127.0.0.1");
    peer_say(&p, WIRE_GET("/", ""));
    peer_expect_gone(&p);
    taken = p.len != 0;
    peer_drop(&p);
  }
  world_stop(&w);
}

static void test_refusals_are_logged_once_a_second_at_most(void **state) {
  World w;
  Peer p;
  int count = 0;
  uint64_t start = clock_ms();
  (void)state;
  prepare(&w, 1, 0);
  world_start(&w);
  join_from(&w, &p, "127.0.0.1");
  for (int i = 0; i < 200; ++i) expect_reset_from(&w, "127.0.0.1");
  for (const char *at = lines; (at = strstr(at, "drop peer=")) != NULL; ++at) ++count;
  assert_true(count >= 1);
  assert_true((uint64_t)count <= (clock_ms() - start) / 1000 + 1);
  peer_drop(&p);
  world_stop(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_limit_of_2_connections_refuses_the_third_of_an_address),
      cmocka_unit_test(test_limit_counts_connections_that_shake_hands),
      cmocka_unit_test(test_limit_gives_the_place_back_however_a_connection_ends),
      cmocka_unit_test(test_limit_and_a_server_that_stops_or_goes_with_connections),
      cmocka_unit_test(test_limit_does_not_count_unix_sockets),
      cmocka_unit_test(test_rate_refuses_what_comes_too_fast_and_takes_it_later),
      cmocka_unit_test(test_refusals_are_logged_once_a_second_at_most),
  };
  return cmocka_run_group_tests_name("limits_ip", tests, NULL, NULL);
}
