/*
 * config.h and the rules by which structs grow: smaller and larger sizes, unknown tails, unknown
 * flags, limits at their borders.
 */
#include "world.h"

#include <stdlib.h>

static int try_conn_config(const ws_conn_config *conn) {
  ws_engine_config c;
  ws_engine *e = NULL;
  WS_INIT(&c);
  c.conn = conn;
  int rc = ws_engine_new_server(&c, &e);
  ws_engine_free(e);
  if (rc < 0) {
    assert_null(e);
    ws_server_config sc;
    ws_server *s = NULL;
    ws_loop *l;
    assert_ok(ws_loop_new(NULL, &l));
    WS_INIT(&sc);
    sc.conn = conn;
    assert_int_equal(ws_server_new(l, &sc, &s), rc); /* one reader for all */
    assert_null(s);
    assert_ok(ws_loop_free(l));
  }
  return rc;
}

static void test_config_null_and_empty_are_the_defaults(void **state) {
  (void)state;
  ws_conn_config c;
  assert_ok(try_conn_config(NULL));
  WS_INIT(&c);
  assert_ok(try_conn_config(&c));
}

/* bad: 237 */
static void test_config_sizes_decide_what_is_read(void **state) {
  (void)state;
  struct {
    ws_conn_config c;
    unsigned char newer[64];
  } large;
  ws_conn_config *c = &large.c;
  memset(&large, 0, sizeof large);
  c->size = sizeof large;
  assert_ok(try_conn_config(c)); /* a newer caller that uses nothing new */
  large.newer[63] = 1;
  assert_fails(WS_ERR_UNSUPPORTED, try_conn_config(c));
  c->size = sizeof large - 1;
  assert_ok(try_conn_config(c));
  large.newer[0] = 1;
  assert_fails(WS_ERR_UNSUPPORTED, try_conn_config(c));
  c->size = sizeof *c;
  assert_ok(try_conn_config(c));
  /* An older caller: what lies behind its struct is not looked at. */
  memset(&large, 0xff, sizeof large);
  c->size = sizeof(size_t);
  assert_ok(try_conn_config(c));
  c->flags = 0;
  c->size = offsetof(ws_conn_config, handshake_timeout_ms);
  assert_ok(try_conn_config(c));
  c->size = sizeof(size_t) - 1;
  assert_fails(WS_ERR_INVALID, try_conn_config(c));
  c->size = 0;
  assert_fails(WS_ERR_INVALID, try_conn_config(c));
  assert_detail_has("WS_INIT");
  c->size = SIZE_MAX;
  assert_fails(WS_ERR_INVALID, try_conn_config(c));
}

/* bad: 237 */
static void test_config_unknown_flags_are_unsupported(void **state) {
  (void)state;
  ws_conn_config c;
  ws_engine_config ec;
  ws_engine *e = NULL;
  WS_INIT(&c);
  c.flags = WS_CONN_NO_AUTO_PONG | WS_CONN_NO_UTF8_CHECK | WS_CONN_NAGLE;
  assert_ok(try_conn_config(&c));
  for (int bit = 3; bit < 32; ++bit) {
    c.flags = 1u << bit;
    assert_fails(WS_ERR_UNSUPPORTED, try_conn_config(&c));
  }
  WS_INIT(&ec);
  ec.flags = 1u << 5;
  assert_fails(WS_ERR_UNSUPPORTED, ws_engine_new_server(&ec, &e));
  assert_null(e);
}

/* bad: 237 */
static void test_config_times_reach_to_int32_max_or_never(void **state) {
  (void)state;
  static const size_t times[] = {
      offsetof(ws_conn_config, handshake_timeout_ms), offsetof(ws_conn_config, idle_timeout_ms),
      offsetof(ws_conn_config, send_timeout_ms), offsetof(ws_conn_config, close_timeout_ms)};
  for (size_t i = 0; i < COUNT_OF(times); ++i) {
    ws_conn_config c;
    WS_INIT(&c);
    uint32_t *t = (uint32_t *)(void *)((char *)&c + times[i]);
    static const uint32_t good[] = {1, INT32_MAX, WS_NEVER};
    for (size_t k = 0; k < COUNT_OF(good); ++k) {
      *t = good[k];
      assert_ok(try_conn_config(&c));
    }
    *t = (uint32_t)INT32_MAX + 1;
    assert_fails(WS_ERR_INVALID, try_conn_config(&c));
    *t = WS_NEVER - 1;
    assert_fails(WS_ERR_INVALID, try_conn_config(&c));
  }
}

static void test_config_ping_interval_is_below_the_idle_timeout(void **state) {
  (void)state;
  ws_conn_config c;
  WS_INIT(&c);
  c.ping_interval_ms = 40000;
  assert_fails(WS_ERR_INVALID, try_conn_config(&c)); /* the default idle timeout */
  c.ping_interval_ms = 39999;
  assert_ok(try_conn_config(&c));
  c.idle_timeout_ms = 100;
  for (uint32_t t = 99; t <= 101; ++t) {
    c.ping_interval_ms = t;
    assert_int_equal(try_conn_config(&c), t < 100 ? WS_OK : WS_ERR_INVALID);
  }
  c.ping_interval_ms = WS_NEVER;
  assert_ok(try_conn_config(&c));
  c.idle_timeout_ms = WS_NEVER;
  c.ping_interval_ms = INT32_MAX;
  assert_ok(try_conn_config(&c));
  c.ping_interval_ms = (uint32_t)INT32_MAX + 1;
  assert_fails(WS_ERR_INVALID, try_conn_config(&c));
}

static void test_config_send_marks_must_be_in_order(void **state) {
  (void)state;
  ws_conn_config c;
  WS_INIT(&c);
  c.send_low_bytes = 11;
  c.send_high_bytes = 10;
  assert_fails(WS_ERR_INVALID, try_conn_config(&c));
  assert_detail_has("marks");
  c.send_low_bytes = 10;
  assert_ok(try_conn_config(&c));
  c.send_limit_bytes = 9;
  assert_fails(WS_ERR_INVALID, try_conn_config(&c));
  c.send_limit_bytes = 10;
  assert_ok(try_conn_config(&c));
  WS_INIT(&c);
  c.send_limit_bytes = 1; /* the defaults move with it */
  assert_ok(try_conn_config(&c));
  WS_INIT(&c);
  c.send_high_bytes = 1;
  assert_ok(try_conn_config(&c));
  c.send_low_bytes = c.send_high_bytes = c.send_limit_bytes = WS_UNLIMITED;
  assert_ok(try_conn_config(&c));
}

static void test_config_absurd_limits_are_taken_as_they_are(void **state) {
  (void)state;
  ws_conn_config c;
  WS_INIT(&c);
  c.max_message_bytes = WS_UNLIMITED;
  c.max_header_bytes = WS_UNLIMITED;
  c.max_header_count = WS_NEVER;
  c.max_fragments = WS_NEVER;
  c.send_limit_bytes = WS_UNLIMITED;
  assert_ok(try_conn_config(&c));
  World w;
  Peer p;
  world_prepare(&w);
  w.limits = c;
  world_start(&w);
  world_join(&w, &p);
  uint8_t *data = calloc(1, 3u << 20);
  peer_send_frame(&p, FIN_BINARY, data, 3u << 20); /* above the default */
  world_wait_log(&w, "binary#3145728");
  /* A length that nobody can hold buys no memory. */
  peer_send(&p, "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0 some", 19);
  run_for(w.loop, 5);
  assert_int_equal(w.closed, 0);
  peer_drop(&p);
  free(data);
  world_stop(&w);
}

static void test_config_smallest_limits_refuse_everything_larger(void **state) {
  (void)state;
  World w;
  Peer p;
  world_prepare(&w);
  w.limits.max_message_bytes = 1;
  w.limits.max_fragments = 1;
  world_start(&w);
  world_join(&w, &p);
  peer_send_text(&p, "");
  peer_send_text(&p, "1");
  peer_send_text(&p, "12");
  peer_expect_close(&p, 1009);
  world_wait_closed(&w, 1);
  assert_string_equal(w.log, "open text: text:1 close:1006/1009/-8 ");
  peer_drop(&p);
  world_join(&w, &p);
  peer_send_frame(&p, PART_TEXT, "", 0);
  peer_send_frame(&p, PART_LAST, "", 0);
  peer_expect_close(&p, 1008);
  peer_drop(&p);
  world_stop(&w);
}

static void test_config_output_structs_are_filled_as_far_as_known(void **state) {
  World *w = *state;
  struct {
    ws_conn_stats s;
    unsigned char newer[32];
  } large;
  Peer p;
  world_join(w, &p);
  memset(&large, 0xff, sizeof large);
  large.s.size = sizeof large;
  assert_ok(ws_conn_get_stats(w->conn, &large.s));
  assert_int_equal(large.s.size, sizeof large);
  for (size_t i = 0; i < sizeof large.newer; ++i) assert_int_equal(large.newer[i], 0);
  memset(&large, 0xff, sizeof large);
  large.s.size = offsetof(ws_conn_stats, messages_out);
  assert_ok(ws_conn_get_stats(w->conn, &large.s));
  assert_int_equal(large.s.messages_in, 0);
  assert_int_equal(large.s.messages_out, UINT64_MAX); /* beyond the caller's struct */
  large.s.size = 0;
  assert_fails(WS_ERR_INVALID, ws_conn_get_stats(w->conn, &large.s));
  ws_loop_stats l;
  memset(&l, 0, sizeof l);
  assert_fails(WS_ERR_INVALID, ws_loop_get_stats(w->loop, &l));
  peer_drop(&p);
}

/* bad: 237 */
static void test_config_of_a_server_is_checked(void **state) {
  World *w = *state;
  ws_server_config c;
  ws_server *s = NULL;
  ws_handlers h;
  static const char *const bad_token[] = {"a b"};
  static const char *const null_name[] = {NULL};
  static const char *const bad_origin[] = {"good.com"};
  static const char *const good_origins[] = {"https://good.com", "null", "http://[::1]:8080", "*"};
  WS_INIT(&c);
  c.subprotocols = bad_token;
  c.subprotocol_count = 1;
  assert_fails(WS_ERR_INVALID, ws_server_new(w->loop, &c, &s));
  c.subprotocols = null_name;
  assert_fails(WS_ERR_INVALID, ws_server_new(w->loop, &c, &s));
  c.subprotocols = NULL;
  assert_fails(WS_ERR_INVALID, ws_server_new(w->loop, &c, &s));
  WS_INIT(&c);
  c.origin_count = 1;
  assert_fails(WS_ERR_INVALID, ws_server_new(w->loop, &c, &s));
  c.origins = null_name;
  assert_fails(WS_ERR_INVALID, ws_server_new(w->loop, &c, &s));
  c.origins = bad_origin;
  assert_fails(WS_ERR_INVALID, ws_server_new(w->loop, &c, &s));
  WS_INIT(&c);
  c.server_header = "a\r\nb";
  assert_fails(WS_ERR_INVALID, ws_server_new(w->loop, &c, &s));
  WS_INIT(&c);
  WS_INIT(&h);
  h.size = 1;
  c.handlers = &h;
  assert_fails(WS_ERR_INVALID, ws_server_new(w->loop, &c, &s));
  WS_INIT(&c);
  c.size = 7;
  assert_fails(WS_ERR_INVALID, ws_server_new(w->loop, &c, &s));
  assert_null(s);
  WS_INIT(&c);
  c.origins = good_origins;
  c.origin_count = 4;
  c.max_connections = WS_NEVER;
  assert_ok(ws_server_new(w->loop, &c, &s));
  ws_server_free(s);
  assert_ok(ws_server_new(w->loop, NULL, &s)); /* goes with the loop */
}

int main(void) {
#define WITH_WORLD(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_config_null_and_empty_are_the_defaults),
      cmocka_unit_test(test_config_sizes_decide_what_is_read),
      cmocka_unit_test(test_config_unknown_flags_are_unsupported),
      cmocka_unit_test(test_config_times_reach_to_int32_max_or_never),
      cmocka_unit_test(test_config_ping_interval_is_below_the_idle_timeout),
      cmocka_unit_test(test_config_send_marks_must_be_in_order),
      cmocka_unit_test(test_config_absurd_limits_are_taken_as_they_are),
      cmocka_unit_test(test_config_smallest_limits_refuse_everything_larger),
      WITH_WORLD(test_config_output_structs_are_filled_as_far_as_known),
      WITH_WORLD(test_config_of_a_server_is_checked),
  };
  return cmocka_run_group_tests_name("config", tests, NULL, NULL);
}
