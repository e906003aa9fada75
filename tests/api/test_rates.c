/*
 * config.h, what the peer may send in a second and how long it may stay: exact, with a clock that
 * the test holds, for an engine; and that a loop goes on by itself.
 */
#include "both.h"

#define START 1000u /* side_start() ticks here */

static void open_with(Side *s, int role, uint32_t messages, uint64_t bytes, ws_rate over) {
  side_prepare(s, role);
  s->limits.max_message_rate = messages;
  s->limits.max_byte_rate = bytes;
  s->limits.over_rate = over;
  s->limits.idle_timeout_ms = WS_NEVER;
  s->limits.ping_interval_ms = WS_NEVER;
  side_start(s);
  side_open(s);
}

static void say(Side *s, const char *text) { side_frame(s, FIN_TEXT, text, strlen(text)); }

/* `count` frames of `text` in one feed, which is cut as the side says. */
static void say_many(Side *s, int count, const char *text) {
  static uint8_t wire[8192];
  size_t n = 0;
  for (int i = 0; i < count; ++i) {
    n += side_peer_frame(s, wire + n, FIN_TEXT, text, strlen(text));
  }
  side_feed(s, wire, n);
}

static void test_rate_of_messages_closes_at_the_first_one_too_many(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    for (Cut cut = WHOLE; cut <= IN_PLACE; ++cut) {
      Side s;
      open_with(&s, role, 3, 0, WS_RATE_CLOSE);
      s.cut = cut;
      say_many(&s, 3, "a");
      side_expect(&s, "text:a text:a text:a ");
      side_tick(&s, START + 333); /* a third of a second less a millisecond's third */
      say_many(&s, 2, "b");
      side_expect(&s, "close:1006/1008/-8 ");
      assert_non_null(strstr(s.how.detail, "max_message_rate"));
      side_expect_sent_close(&s, 1008);
      side_free(&s);
      open_with(&s, role, 3, 0, WS_RATE_CLOSE);
      s.cut = cut;
      say_many(&s, 3, "a");
      side_tick(&s, START + 334);
      say_many(&s, 2, "b");
      side_expect(&s, "text:a text:a text:a text:b close:1006/1008/-8 ");
      side_free(&s);
    }
  }
}

static void test_rate_of_messages_counts_fragments_and_control_frames_not(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    open_with(&s, role, 1, 0, WS_RATE_CLOSE);
    side_frame(&s, PART_TEXT, "a", 1);
    side_frame(&s, FIN_PING, "p", 1);
    side_frame(&s, PART_MORE, "b", 1);
    side_frame(&s, PART_LAST, "c", 1);
    side_frame(&s, FIN_PONG, "q", 1);
    side_expect(&s, "ping:p text:abc pong:q ");
    side_frame(&s, PART_TEXT, "d", 1); /* judged when it would be told */
    side_expect(&s, "");
    side_frame(&s, PART_LAST, "e", 1);
    side_expect(&s, "close:1006/1008/-8 ");
    side_free(&s);
  }
}

static void test_rate_of_chunked_messages_is_judged_by_their_first_chunk(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    side_prepare(&s, role);
    s.config.flags = WS_ENGINE_CHUNKS;
    s.limits.max_message_rate = 1;
    s.limits.over_rate = WS_RATE_CLOSE;
    side_start(&s);
    side_open(&s);
    side_frame(&s, PART_TEXT, "a", 1);
    side_frame(&s, PART_LAST, "b", 1);
    side_frame(&s, PART_TEXT, "c", 1);
    side_expect(&s, "text:a +text:b ~close:1006/1008/-8 ");
    side_free(&s);
  }
}

static void test_rate_of_messages_delays_until_the_deadline(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    for (Cut cut = WHOLE; cut <= IN_PLACE; cut += IN_PLACE) {
      Side s;
      open_with(&s, role, 10, 0, WS_RATE_DEFAULT);
      s.cut = cut;
      say_many(&s, 9, "a");
      s.log[0] = '\0';
      assert_int_equal(ws_engine_want(s.e) & WS_WANT_READ, WS_WANT_READ);
      say_many(&s, 3, "b");
      side_expect(&s, "text:b ");
      assert_int_equal(ws_engine_want(s.e) & WS_WANT_READ, 0);
      assert_int_equal(ws_engine_deadline(s.e), START + 100);
      assert_fails(WS_ERR_STATE, ws_engine_feed(s.e, "x", 1));
      side_tick(&s, START + 99);
      side_expect(&s, "");
      side_tick(&s, START + 100);
      side_expect(&s, "text:b ");
      assert_int_equal(ws_engine_deadline(s.e), START + 200);
      side_tick(&s, START + 250);
      side_expect(&s, "text:b ");
      side_tick(&s, START + 300);
      assert_int_equal(ws_engine_want(s.e) & WS_WANT_READ, WS_WANT_READ);
      side_close_frame(&s, 1000, NULL);
      side_expect(&s, "close:1000/1000/0 ");
      side_free(&s);
    }
  }
}

/* A message that begins with room left passes; the debt is told to the next. */
static void test_rate_of_bytes_closes_at_the_first_message_in_debt(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    const size_t header = role == SERVER ? 6 : 2;
    for (int extra = -1; extra <= 1; ++extra) {
      for (Cut cut = WHOLE; cut <= IN_PLACE; ++cut) {
        char text[128];
        Side s;
        open_with(&s, role, 0, 100, WS_RATE_CLOSE);
        s.cut = cut;
        memset(text, 'x', sizeof text);
        const size_t len = (size_t)(100 + extra) - header;
        side_frame(&s, FIN_TEXT, text, len);
        assert_non_null(strstr(s.log, "text#"));
        s.log[0] = '\0';
        say(&s, "next");
        side_expect(&s, extra < 0 ? "text:next " : "close:1006/1008/-8 ");
        if (extra >= 0) assert_non_null(strstr(s.how.detail, "max_byte_rate"));
        side_free(&s);
      }
    }
  }
}

static void test_rate_of_bytes_lets_a_larger_message_pass_into_debt(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    static char text[5000];
    Side s;
    const size_t whole = sizeof text + (role == SERVER ? 8 : 4);
    memset(text, 'x', sizeof text);
    open_with(&s, role, 0, 1000, WS_RATE_CLOSE);
    side_frame(&s, FIN_TEXT, text, sizeof text);
    side_expect(&s, "text#5000 ");
    /* Out of debt when all but the first second's worth is paid. */
    side_tick(&s, START + (whole - 1000));
    say(&s, "late");
    side_expect(&s, "close:1006/1008/-8 ");
    side_free(&s);
    open_with(&s, role, 0, 1000, WS_RATE_CLOSE);
    side_frame(&s, FIN_TEXT, text, sizeof text);
    side_expect(&s, "text#5000 ");
    side_tick(&s, START + (whole - 1000) + 1);
    say(&s, "now");
    side_expect(&s, "text:now ");
    side_free(&s);
  }
}

static void test_rate_of_bytes_delays_reading_until_the_deadline(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    char text[1100];
    Side s;
    memset(text, 'x', sizeof text);
    open_with(&s, role, 0, 1000, WS_RATE_DELAY);
    const size_t header = role == SERVER ? 8 : 4;
    side_frame(&s, FIN_TEXT, text, 1000 - 125 - header); /* an eighth is left: go on */
    side_expect(&s, role == SERVER ? "text#867 " : "text#871 ");
    assert_int_equal(ws_engine_want(s.e) & WS_WANT_READ, WS_WANT_READ);
    side_frame(&s, FIN_TEXT, text, 1000); /* 879 bytes of debt, or 883 */
    side_expect(&s, "text#1000 ");
    assert_int_equal(ws_engine_want(s.e) & WS_WANT_READ, 0);
    const uint64_t debt = 1000 + header - 125;
    assert_int_equal(ws_engine_deadline(s.e), START + debt + 125);
    side_tick(&s, START + debt + 124);
    assert_int_equal(ws_engine_want(s.e) & WS_WANT_READ, 0);
    side_tick(&s, START + debt + 125);
    assert_int_equal(ws_engine_want(s.e) & WS_WANT_READ, WS_WANT_READ);
    assert_true(ws_engine_deadline(s.e) == UINT64_MAX);
    side_free(&s);
  }
}

static void test_rate_that_delays_does_not_count_as_the_silence_of_the_peer(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    char text[1000] = {0};
    Side s;
    side_prepare(&s, role);
    s.limits.max_byte_rate = 100;
    s.limits.idle_timeout_ms = 500;
    s.limits.ping_interval_ms = WS_NEVER;
    side_start(&s);
    side_open(&s);
    side_frame(&s, FIN_BINARY, text, sizeof text);
    side_expect(&s, "binary#1000 ");
    const uint64_t until = ws_engine_deadline(s.e);
    assert_true(until > START + 9000);
    side_tick(&s, until);
    side_expect(&s, "");
    assert_int_equal(ws_engine_deadline(s.e), until + 500);
    side_tick(&s, until + 499);
    side_expect(&s, "");
    side_tick(&s, until + 500);
    side_expect(&s, "close:1006/0/-9 ");
    side_free(&s);
  }
}

static void test_lifetime_ends_with_the_closing_handshake_and_once(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    for (int silent = 0; silent < 2; ++silent) {
      Side s;
      side_prepare(&s, role);
      s.limits.lifetime_ms = 700;
      side_start(&s);
      side_tick(&s, START + 50);
      side_open(&s);
      assert_int_equal(ws_engine_deadline(s.e), START + 750);
      side_tick(&s, START + 749);
      say(&s, "still");
      side_expect(&s, "text:still ");
      side_expect_sent_nothing(&s);
      side_tick(&s, START + 750);
      side_expect_sent_close(&s, 1001);
      say(&s, "dropped");
      side_tick(&s, START + 2000);
      side_expect(&s, "");
      side_expect_sent_nothing(&s);
      if (silent) {
        side_tick(&s, START + 750 + 5000);
        side_expect(&s, "close:1006/1001/-9 ");
      } else {
        side_close_frame(&s, 1001, NULL);
        side_expect(&s, "close:1001/1001/0 ");
        assert_int_equal(s.how.flags, WS_CLOSE_CLEAN);
      }
      side_free(&s);
    }
  }
}

/* ---- on a loop ---- */

static void test_conn_delayed_messages_come_by_themselves(void **state) {
  Both *b = *state;
  b->w.limits.max_message_rate = 20;
  b->c.limits.max_message_rate = 20;
  both_open(b);
  for (int i = 0; i < 25; ++i) {
    assert_ok(ws_conn_send(b->c.conn, WS_OP_TEXT, "up", 2, 0));
    assert_ok(ws_conn_send(b->w.conn, WS_OP_TEXT, "down", 4, 0));
  }
  const uint64_t start = clock_ms();
  both_wait(b, &b->w.messages, 25);
  both_wait(b, &b->c.messages, 25);
  assert_true(clock_ms() - start >= 200); /* five of them after the burst */
  assert_int_equal(b->w.closed, 0);
}

static void test_conn_delayed_bytes_come_by_themselves(void **state) {
  Both *b = *state;
  static uint8_t data[30000];
  b->w.limits.max_byte_rate = 20000;
  b->w.limits.deflate = WS_DEFLATE_OFF;
  both_open(b);
  const uint64_t start = clock_ms();
  assert_ok(ws_conn_send(b->c.conn, WS_OP_BINARY, data, sizeof data, 0));
  both_wait(b, &b->w.messages, 1);
  assert_true(clock_ms() - start >= 400);
  assert_int_equal(b->w.closed, 0);
}

static void test_conn_ping_behind_delayed_messages_is_answered(void **state) {
  Both *b = *state;
  b->w.limits.max_message_rate = 1;
  both_open(b);
  for (int i = 0; i < 3; ++i) assert_ok(ws_conn_send(b->c.conn, WS_OP_TEXT, "up", 2, 0));
  assert_ok(ws_conn_ping(b->c.conn, "now", 3));
  caller_wait_log(&b->c, "pong:now");
  assert_true(b->w.messages < 3);
}

static void test_conn_over_a_closing_rate_gets_1008(void **state) {
  Both *b = *state;
  b->w.limits.max_message_rate = 5;
  b->w.limits.over_rate = WS_RATE_CLOSE;
  both_open(b);
  for (int i = 0; i < 50; ++i) (void)ws_conn_send(b->c.conn, WS_OP_TEXT, "up", 2, 0);
  both_wait(b, &b->c.closed, 1);
  both_wait(b, &b->w.closed, 1);
  assert_int_equal(b->c.how.code, 1008);
  assert_in_range(b->w.messages, 5, 49);
}

static void test_conn_control_frames_above_the_rate_get_1008(void **state) {
  Both *b = *state;
  b->w.limits.max_control_rate = 10;
  both_open(b);
  for (int i = 0; i < 10; ++i) assert_ok(ws_conn_ping(b->c.conn, "p", 1));
  assert_ok(ws_conn_send(b->c.conn, WS_OP_TEXT, "fine", 4, 0));
  both_wait(b, &b->w.messages, 1);
  for (int i = 0; i < 200 && b->c.conn != NULL; ++i) (void)ws_conn_pong(b->c.conn, "p", 1);
  both_wait(b, &b->c.closed, 1);
  assert_int_equal(b->c.how.code, 1008);
  assert_string_equal(b->c.reason, "too many control frames");
}

static void pause_on_message(World *w, const char *event, ws_conn *c) {
  (void)w;
  if (strcmp(event, "message") == 0) assert_ok(ws_conn_pause(c));
}

static void test_conn_lifetime_ends_a_paused_connection_too(void **state) {
  Both *b = *state;
  b->w.limits.lifetime_ms = 100;
  b->w.on = pause_on_message;
  both_open(b);
  for (int i = 0; i < 3; ++i) assert_ok(ws_conn_send(b->c.conn, WS_OP_TEXT, "m", 1, 0));
  both_wait(b, &b->w.closed, 1);
  both_wait(b, &b->c.closed, 1);
  assert_int_equal(b->c.how.code, 1001);
  assert_string_equal(b->c.reason, "lifetime");
  assert_int_equal(b->w.messages, 1);
  assert_int_equal(b->w.how.flags, WS_CLOSE_CLEAN);
}

static void test_conn_lifetime_ends_a_silent_peer_within_the_close_timeout(void **state) {
  Both *b = *state;
  Peer p;
  b->w.limits.lifetime_ms = 50;
  b->w.limits.close_timeout_ms = 50;
  both_start(b);
  (void)both_meet(b, SERVER, &p, "");
  both_wait(b, &b->w.closed, 1);
  peer_expect_close(&p, 1001);
  assert_int_equal(b->w.how.error, WS_ERR_TIMEOUT);
  assert_int_equal(b->w.how.sent_code, 1001);
  peer_drop(&p);
}

int main(void) {
#define WITH_BOTH(f) cmocka_unit_test_setup_teardown(f, both_setup, both_teardown)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_rate_of_messages_closes_at_the_first_one_too_many),
      cmocka_unit_test(test_rate_of_messages_counts_fragments_and_control_frames_not),
      cmocka_unit_test(test_rate_of_chunked_messages_is_judged_by_their_first_chunk),
      cmocka_unit_test(test_rate_of_messages_delays_until_the_deadline),
      cmocka_unit_test(test_rate_of_bytes_closes_at_the_first_message_in_debt),
      cmocka_unit_test(test_rate_of_bytes_lets_a_larger_message_pass_into_debt),
      cmocka_unit_test(test_rate_of_bytes_delays_reading_until_the_deadline),
      cmocka_unit_test(test_rate_that_delays_does_not_count_as_the_silence_of_the_peer),
      cmocka_unit_test(test_lifetime_ends_with_the_closing_handshake_and_once),
      WITH_BOTH(test_conn_delayed_messages_come_by_themselves),
      WITH_BOTH(test_conn_delayed_bytes_come_by_themselves),
      WITH_BOTH(test_conn_ping_behind_delayed_messages_is_answered),
      WITH_BOTH(test_conn_over_a_closing_rate_gets_1008),
      WITH_BOTH(test_conn_control_frames_above_the_rate_get_1008),
      WITH_BOTH(test_conn_lifetime_ends_a_paused_connection_too),
      WITH_BOTH(test_conn_lifetime_ends_a_silent_peer_within_the_close_timeout),
  };
  return cmocka_run_group_tests_name("rates", tests, NULL, NULL);
}
