/*
 * engine.h, time: every timeout one millisecond before, at and after it, with a clock that the
 * test holds.
 */
#include "side.h"

#define START 1000u /* side_start() ticks here */

static void open_with(Side *s, int role, const ws_conn_config *limits) {
  side_prepare(s, role);
  if (limits != NULL) s->limits = *limits;
  side_start(s);
  side_open(s);
}

/* req: 51 */
/* bad: 49, 50 */
static void test_engine_handshake_timeout_is_absolute_and_exact(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    for (int some = 0; some < 2; ++some) {
      Side s;
      side_prepare(&s, role);
      s.limits.handshake_timeout_ms = 500;
      side_start(&s);
      side_take_output(&s);
      s.sent_taken = s.sent_len;
      assert_int_equal(ws_engine_deadline(s.e), START + 500);
      side_tick(&s, START + 400);
      if (some) side_say(&s, role == SERVER ? "GET / HTTP" : "HTTP/1.1 1");
      assert_int_equal(ws_engine_deadline(s.e), START + 500); /* bytes do not re-arm it */
      side_tick(&s, START + 499);
      side_expect(&s, "");
      side_tick(&s, START + 500);
      side_expect(&s, "close:1006/0/-9 ");
      if (role == SERVER && some) {
        assert_int_equal(s.how.http_status, 408);
        side_expect_sent_text(&s, "HTTP/1.1 408 ");
      } else {
        side_expect_sent_nothing(&s);
        assert_int_equal(ws_engine_want(s.e), WS_WANT_CLOSE);
      }
      side_free(&s);
    }
  }
}

static void test_engine_handshake_timeout_counts_from_the_first_tick(void **state) {
  (void)state;
  Side s;
  side_prepare(&s, SERVER);
  s.now = UINT64_MAX / 2000; /* any clock will do */
  side_start(&s);
  assert_int_equal(ws_engine_deadline(s.e), s.now + 10000);
  side_tick(&s, s.now + 9999);
  side_expect(&s, "");
  side_tick(&s, s.now + 1);
  side_expect(&s, "close:1006/0/-9 ");
  side_free(&s);
}

static void test_engine_request_without_answer_gets_503_in_time(void **state) {
  (void)state;
  Side s;
  side_prepare(&s, SERVER);
  s.answer_later = 1;
  side_start(&s);
  side_tick(&s, START + 9000);
  side_say(&s, WIRE_OPEN("/", ""));
  side_expect(&s, "request ");
  assert_int_equal(ws_engine_deadline(s.e), START + 10000);
  side_tick(&s, START + 9999);
  assert_non_null(ws_engine_request(s.e));
  side_tick(&s, START + 10000);
  side_expect(&s, "close:1006/0/-9 ");
  side_expect_sent_text(&s, "HTTP/1.1 503 ");
  assert_null(ws_engine_request(s.e));
  side_free(&s);
}

/* bad: 173 */
static void test_engine_idle_timeout_is_exact_and_moved_by_any_byte(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    ws_conn_config limits;
    WS_INIT(&limits);
    limits.idle_timeout_ms = 1000;
    limits.ping_interval_ms = WS_NEVER;
    open_with(&s, role, &limits);
    assert_int_equal(ws_engine_deadline(s.e), START + 1000);
    side_tick(&s, START + 999);
    side_expect(&s, "");
    side_feed(&s, role == SERVER ? "\x82\xff" : "\x82\x7f", 2); /* the beginning of a header */
    assert_int_equal(ws_engine_deadline(s.e), START + 1999);
    side_tick(&s, START + 1998);
    side_expect(&s, "");
    assert_ok(ws_engine_send(s.e, WS_OP_TEXT, "x", 1, 0)); /* sending does not count */
    side_tick(&s, START + 1999);
    side_expect(&s, "close:1006/0/-9 ");
    assert_int_equal(ws_engine_want(s.e), WS_WANT_CLOSE);
    side_free(&s);
  }
}

static void test_engine_ping_goes_out_each_quiet_interval(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    ws_conn_config limits;
    WireFrame f;
    WS_INIT(&limits);
    limits.idle_timeout_ms = 1000;
    limits.ping_interval_ms = 300;
    open_with(&s, role, &limits);
    uint64_t t = START;
    for (int i = 0; i < 3; ++i) {
      assert_int_equal(ws_engine_deadline(s.e), t + 300);
      side_tick(&s, t + 299);
      side_expect_sent_nothing(&s);
      t += 300;
      side_tick(&s, t);
      side_take_output(&s);
      assert_int_equal(wire_parse(s.sent, s.sent_len, &f), 1);
      assert_int_equal(f.first, FIN_PING);
      s.sent_taken = s.sent_len;
    }
    assert_int_equal(ws_engine_deadline(s.e), START + 1000); /* idle comes first */
    uint8_t pong[125];
    memcpy(pong, f.payload, f.len);
    side_tick(&s, START + 950);
    side_frame(&s, FIN_PONG, pong, f.len);
    side_expect(&s, ""); /* our own pong */
    assert_int_equal(ws_engine_deadline(s.e), START + 1250);
    side_frame(&s, FIN_PONG, pong, f.len);
    assert_int_equal(strncmp(s.log, "pong:", 5), 0); /* once more it is unsolicited */
    side_free(&s);
  }
}

static void test_engine_default_ping_fits_a_short_idle_timeout(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    ws_conn_config limits;
    WS_INIT(&limits);
    limits.idle_timeout_ms = 100;
    open_with(&s, role, &limits);
    assert_int_equal(ws_engine_deadline(s.e), START + 50);
    side_free(&s);
  }
}

/* bad: 125, 127 */
static void test_engine_close_timeout_is_absolute_and_exact(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    open_with(&s, role, NULL);
    side_tick(&s, START + 10);
    assert_ok(ws_engine_close(s.e, 1000, NULL));
    assert_int_equal(ws_engine_deadline(s.e), START + 5010);
    side_expect_sent_close(&s, 1000);
    side_tick(&s, START + 5009);
    side_frame(&s, FIN_TEXT, "still here", 10);
    side_frame(&s, FIN_PING, "?", 1);
    side_expect(&s, "");
    side_expect_sent_nothing(&s);
    assert_int_equal(ws_engine_deadline(s.e), START + 5010);
    side_tick(&s, START + 5010);
    side_expect(&s, "close:1006/1000/-9 ");
    assert_int_equal(ws_engine_want(s.e), WS_WANT_CLOSE);
    assert_int_equal(ws_engine_deadline(s.e), UINT64_MAX);
    side_free(&s);
  }
}

/* req: 79 */
/* bad: 130, 131 */
static void test_engine_that_cannot_flush_its_close_gives_up_in_time(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    open_with(&s, role, NULL);
    assert_ok(ws_engine_send(s.e, WS_OP_TEXT, "stuck", 5, 0));
    side_close_frame(&s, 1000, NULL);
    side_expect(&s, "close:1000/1000/0 ");
    assert_true(ws_engine_want(s.e) & WS_WANT_WRITE);
    assert_int_equal(ws_engine_deadline(s.e), START + 5000);
    side_tick(&s, START + 4999);
    assert_true(ws_engine_want(s.e) & WS_WANT_WRITE);
    side_tick(&s, START + 5000);
    assert_int_equal(ws_engine_want(s.e), WS_WANT_CLOSE);
    assert_int_equal(ws_engine_buffered(s.e), 0);
    side_expect(&s, "");
    side_free(&s);
  }
}

/* bad: 131, 171 */
static void test_engine_send_timeout_runs_from_the_last_byte_that_went(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    ws_conn_config limits;
    WS_INIT(&limits);
    limits.send_timeout_ms = 500;
    limits.idle_timeout_ms = WS_NEVER;
    limits.ping_interval_ms = WS_NEVER;
    open_with(&s, role, &limits);
    side_take_output(&s);
    assert_ok(ws_engine_send(s.e, WS_OP_TEXT, "stuck", 5, 0));
    assert_int_equal(ws_engine_deadline(s.e), UINT64_MAX);
    assert_ok(ws_engine_sent(s.e, 0)); /* the transport took nothing */
    assert_int_equal(ws_engine_deadline(s.e), START + 500);
    side_tick(&s, START + 400);
    assert_ok(ws_engine_sent(s.e, 0));
    assert_int_equal(ws_engine_deadline(s.e), START + 500);
    assert_ok(ws_engine_sent(s.e, 1));
    assert_int_equal(ws_engine_deadline(s.e), START + 900);
    side_frame(&s, FIN_TEXT, "in", 2); /* receiving does not count */
    side_tick(&s, START + 899);
    side_expect(&s, "text:in ");
    side_tick(&s, START + 900);
    side_expect(&s, "close:1006/0/-9 ");
    side_free(&s);
    open_with(&s, role, &limits);
    side_take_output(&s);
    assert_ok(ws_engine_send(s.e, WS_OP_TEXT, "slow", 4, 0));
    assert_ok(ws_engine_sent(s.e, 0));
    side_take_output(&s);
    assert_int_equal(ws_engine_deadline(s.e), UINT64_MAX); /* all gone in time */
    side_free(&s);
  }
}

/* req: 80, 86, 87 */
/* bad: 126 */
static void test_engine_after_a_clean_close_the_server_leaves_first(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    open_with(&s, role, NULL);
    side_close_frame(&s, 1000, NULL);
    side_expect(&s, "close:1000/1000/0 ");
    side_expect_sent_close(&s, 1000);
    if (role == SERVER) {
      assert_int_equal(ws_engine_want(s.e), WS_WANT_READ | WS_WANT_EOF);
      assert_int_equal(ws_engine_deadline(s.e), START + 1000); /* a moment for the peer */
    } else {
      assert_int_equal(ws_engine_want(s.e), WS_WANT_READ);
      assert_int_equal(ws_engine_deadline(s.e), START + 5000);
    }
    uint64_t deadline = ws_engine_deadline(s.e);
    side_tick(&s, deadline - 1);
    assert_true(ws_engine_want(s.e) & WS_WANT_READ);
    side_tick(&s, deadline);
    assert_int_equal(ws_engine_want(s.e), WS_WANT_CLOSE);
    side_free(&s);
    open_with(&s, role, NULL);
    side_close_frame(&s, 1000, NULL);
    side_expect_sent_close(&s, 1000);
    side_eof(&s);
    assert_int_equal(ws_engine_want(s.e), WS_WANT_CLOSE);
    side_free(&s);
  }
}

static void test_engine_with_never_has_no_deadlines(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    side_prepare(&s, role);
    s.limits.handshake_timeout_ms = WS_NEVER;
    s.limits.idle_timeout_ms = WS_NEVER;
    s.limits.ping_interval_ms = WS_NEVER;
    s.limits.close_timeout_ms = WS_NEVER;
    side_start(&s);
    assert_int_equal(ws_engine_deadline(s.e), UINT64_MAX);
    side_tick(&s, START + 1000000000);
    side_open(&s);
    assert_int_equal(ws_engine_deadline(s.e), UINT64_MAX);
    side_tick(&s, START + 2000000000);
    assert_ok(ws_engine_close(s.e, 1000, NULL));
    assert_int_equal(ws_engine_deadline(s.e), UINT64_MAX);
    side_tick(&s, START + 3000000000u);
    side_expect(&s, "");
    side_close_frame(&s, 1000, NULL);
    side_expect(&s, "close:1000/1000/0 ");
    side_free(&s);
  }
}

/* bad: 256 */
static void test_engine_after_a_long_sleep_times_out_once(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    open_with(&s, role, NULL);
    side_tick(&s, START + 3600000);
    side_expect(&s, "close:1006/0/-9 ");
    side_tick(&s, START + 7200000);
    side_expect(&s, "");
    side_expect_sent_nothing(&s);
    side_free(&s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_engine_handshake_timeout_is_absolute_and_exact),
      cmocka_unit_test(test_engine_handshake_timeout_counts_from_the_first_tick),
      cmocka_unit_test(test_engine_request_without_answer_gets_503_in_time),
      cmocka_unit_test(test_engine_idle_timeout_is_exact_and_moved_by_any_byte),
      cmocka_unit_test(test_engine_ping_goes_out_each_quiet_interval),
      cmocka_unit_test(test_engine_default_ping_fits_a_short_idle_timeout),
      cmocka_unit_test(test_engine_close_timeout_is_absolute_and_exact),
      cmocka_unit_test(test_engine_that_cannot_flush_its_close_gives_up_in_time),
      cmocka_unit_test(test_engine_send_timeout_runs_from_the_last_byte_that_went),
      cmocka_unit_test(test_engine_after_a_clean_close_the_server_leaves_first),
      cmocka_unit_test(test_engine_with_never_has_no_deadlines),
      cmocka_unit_test(test_engine_after_a_long_sleep_times_out_once),
  };
  return cmocka_run_group_tests_name("engine_time", tests, NULL, NULL);
}
