/*
 * What happens to messages whose receiver is slow: each policy at the limit of the queue and one
 * byte to either side of it, what the policies may be set to, and what is counted.
 */
#include "slow.h"

#include <stdio.h>
#include <stdlib.h>

#define LOW 2000
#define HIGH 20000
#define LIMIT 100000

static void marks(Both *b, int role, ws_slow slow) {
  ws_conn_config *limits = both_limits(b, role);
  b->w.limits.deflate = b->c.limits.deflate = WS_DEFLATE_OFF;
  limits->send_low_bytes = LOW;
  limits->send_high_bytes = HIGH;
  limits->send_limit_bytes = LIMIT;
  limits->slow = slow;
}

static Both *open_pair(void **state, Slow *s, int role, ws_slow slow) {
  both_setup(state);
  Both *b = *state;
  marks(b, role, slow);
  both_open(b);
  slow_begin(s, &b->w, &b->c, role);
  return b;
}

static void close_pair(void **state, Slow *s) {
  slow_free(s);
  both_teardown(state);
}

static size_t header_of(int role, size_t len) {
  return (len < 126 ? 2u : len < 65536 ? 4u : 10u) + (role == CLIENT ? 4u : 0u);
}

/* Fills the queue so that exactly `left` bytes of a frame of its own fit, nothing waiting. */
static void leave_room_for(Slow *s, size_t left) {
  slow_fill(s, LIMIT - 3000);
  size_t room = LIMIT - (size_t)ws_conn_buffered(s->from);
  assert_true(room > left + 10);
  size_t len = room - left - header_of(s->role, 1000);
  assert_true(len >= 126);
  ws_message *m = numbered(FILLER, len);
  assert_ok(ws_message_set_slow(m, WS_SLOW_REFUSE));
  assert_int_equal(ws_conn_send_message(s->from, m), WS_BACKPRESSURE);
  ws_message_unref(m);
  assert_int_equal(LIMIT - ws_conn_buffered(s->from), left);
}

static void test_slow_policies_without_waiting_act_when_the_limit_would_be_passed(void **state) {
  static const ws_slow policies[] = {WS_SLOW_REFUSE, WS_SLOW_DROP_NEWEST};
  (void)state;
  FOR_BOTH_ROLES(role) {
    for (size_t i = 0; i < COUNT_OF(policies); ++i) {
      for (int message = 0; message < 2; ++message) {
        void *one;
        Slow s;
        open_pair(&one, &s, role, message ? WS_SLOW_DEFAULT : policies[i]);
        const size_t len = 300;
        const int refused = policies[i] == WS_SLOW_REFUSE ? WS_ERR_FULL : WS_DROPPED;
        leave_room_for(&s, len + header_of(role, len));
        for (uint32_t more = 2; more-- != 0;) { /* one byte too many, then one that fits */
          int rc = message ? send_numbered(&s, 1 + more, len + more, policies[i], 0, NULL)
                           : send_raw(&s, 1 + more, len + more);
          assert_int_equal(rc, more != 0 ? refused : WS_BACKPRESSURE);
        }
        assert_int_equal(ws_conn_buffered(s.from), LIMIT);
        assert_int_equal(send_numbered(&s, 3, 4, policies[i], 0, NULL), refused);
        assert_int_equal(stats_of(s.from).messages_dropped, refused == WS_DROPPED ? 2 : 0);
        assert_int_equal(stats_of(s.from).waiting_messages, 0);
        slow_read_all(&s);
        expect_got_range(&s, 1, 1);
        assert_int_equal((role == SERVER ? ((Both *)one)->w.drains : ((Both *)one)->c.drains), 1);
        close_pair(&one, &s);
      }
    }
  }
}

static void test_slow_close_ends_the_connection_with_1013(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    void *one;
    Slow s;
    Both *b = open_pair(&one, &s, role, WS_SLOW_CLOSE);
    const size_t len = 300;
    leave_room_for(&s, len + header_of(role, len));
    assert_int_equal(send_raw(&s, 1, len), WS_BACKPRESSURE);
    assert_int_equal(ws_conn_is_open(s.from), 1);
    assert_fails(WS_ERR_CLOSED, send_raw(&s, 2, 4));
    assert_int_equal(ws_conn_is_open(s.from), 0);
    assert_fails(WS_ERR_CLOSED, send_raw(&s, 3, 4));
    assert_ok(ws_conn_resume(s.to));
    both_wait(b, role == SERVER ? &b->c.closed : &b->w.closed, 1);
    const ws_close_info *how = role == SERVER ? &b->c.how : &b->w.how;
    assert_int_equal(how->code, 1013);
    assert_string_equal(role == SERVER ? b->c.reason : b->w.reason, "too slow");
    expect_got_range(&s, 1, 1);
    close_pair(&one, &s);
  }
}

static void test_slow_client_that_closed_a_slow_server_connects_again(void **state) {
  (void)state;
  void *one;
  Slow s;
  both_setup(&one);
  Both *b = one;
  marks(b, CLIENT, WS_SLOW_CLOSE);
  b->c.config.retry_count = 1;
  b->c.config.retry_min_ms = b->c.config.retry_max_ms = 1;
  both_open(b);
  slow_begin(&s, &b->w, &b->c, CLIENT);
  slow_fill(&s, LIMIT - 3000);
  while (send_raw(&s, 1, 1000) >= 0) continue;
  assert_int_equal(ws_conn_is_open(s.from), 0);
  assert_ok(ws_conn_resume(s.to));
  both_wait(b, &b->c.opened, 2);
  assert_int_equal(b->c.closed, 1);
  both_wait(b, &b->w.opened, 2);
  close_pair(&one, &s);
}

/* Messages 1 to n wait and count, with what is queued, `limit` bytes and `more`. */
static uint32_t fill_waiting(Slow *s, ws_slow slow, int more) {
  slow_fill(s, HIGH);
  assert_int_equal(stats_of(s->from).waiting_messages, 0);
  const size_t room = LIMIT - (size_t)ws_conn_buffered(s->from);
  const uint32_t n = (uint32_t)(room / 1000);
  assert_true(n > 20);
  for (uint32_t i = 1; i <= n; ++i) {
    const size_t cost = i == 1 ? (size_t)((int)(1000 + room % 1000) + more) : 1000;
    char key[16];
    snprintf(key, sizeof key, "%u", i);
    assert_int_equal(send_numbered(s, i, cost - WAITING_OVERHEAD, slow, 0, key), WS_BACKPRESSURE);
  }
  return n;
}

static void test_slow_drop_oldest_makes_room_for_exactly_what_comes(void **state) {
  static const ws_slow policies[] = {WS_SLOW_DROP_OLDEST, WS_SLOW_LATEST};
  (void)state;
  FOR_BOTH_ROLES(role) {
    for (size_t i = 0; i < COUNT_OF(policies); ++i) {
      for (int more = -1; more <= 1; ++more) {
        void *one;
        Slow s;
        open_pair(&one, &s, role, WS_SLOW_DEFAULT);
        const uint32_t n = fill_waiting(&s, policies[i], more);
        const ws_conn_stats full = stats_of(s.from);
        assert_int_equal(full.messages_dropped, more == 1 ? 1 : 0);
        assert_int_equal(full.waiting_messages, more == 1 ? n - 1 : n);
        /* One as large as the smallest costs exactly one of them. */
        assert_int_equal(send_numbered(&s, n + 1, 1000 - WAITING_OVERHEAD, policies[i], 0, "more"),
                         WS_BACKPRESSURE);
        assert_int_equal(stats_of(s.from).messages_dropped, 1);
        slow_read_all(&s);
        expect_got_range(&s, 2, n + 1);
        assert_int_equal((role == SERVER ? s.w->drains : s.c->drains), 1);
        close_pair(&one, &s);
      }
    }
  }
}

static void test_slow_messages_of_the_connections_policy_need_not_be_prepared(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    void *one;
    Slow s;
    open_pair(&one, &s, role, WS_SLOW_DROP_OLDEST);
    slow_fill(&s, HIGH);
    for (uint32_t i = 1; i <= 1000; ++i) assert_int_equal(send_raw(&s, i, 808), WS_BACKPRESSURE);
    const ws_conn_stats stats = stats_of(s.from);
    assert_true(stats.messages_dropped > 900);
    assert_int_equal(stats.messages_dropped + stats.waiting_messages, 1000);
    assert_int_equal(stats.waiting_bytes, stats.waiting_messages * 808);
    slow_read_all(&s);
    expect_got_range(&s, (uint32_t)stats.messages_dropped + 1, 1000);
    assert_int_equal(stats_of(s.from).messages_dropped, stats.messages_dropped);
    assert_int_equal(stats_of(s.from).waiting_bytes, 0);
    close_pair(&one, &s);
  }
}

/* What was accepted under another policy is not dropped for a message that may be. */
static void test_slow_drop_oldest_spares_what_must_not_be_dropped(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    void *one;
    Slow s;
    open_pair(&one, &s, role, WS_SLOW_DROP_OLDEST);
    slow_fill(&s, HIGH);
    assert_int_equal(send_raw(&s, 1, 10000), WS_BACKPRESSURE);
    assert_int_equal(send_numbered(&s, 2, 20000, WS_SLOW_REFUSE, 0, NULL), WS_BACKPRESSURE);
    assert_int_equal(send_numbered(&s, 3, 10000, WS_SLOW_DROP_OLDEST, 1, NULL), WS_BACKPRESSURE);
    assert_int_equal(send_numbered(&s, 4, 20000, WS_SLOW_CLOSE, 0, NULL), WS_BACKPRESSURE);
    /* 1 would not be enough, and 3 is more urgent: nothing changes. */
    assert_int_equal(send_raw(&s, 5, 40000), WS_DROPPED);
    assert_int_equal(stats_of(s.from).messages_dropped, 1);
    assert_int_equal(stats_of(s.from).waiting_messages, 4);
    assert_int_equal(send_numbered(&s, 6, 26000, WS_SLOW_DROP_OLDEST, 1, NULL), WS_BACKPRESSURE);
    assert_int_equal(stats_of(s.from).messages_dropped, 2);
    assert_fails(WS_ERR_FULL, send_numbered(&s, 7, 20000, WS_SLOW_REFUSE, 3, NULL));
    assert_int_equal(send_numbered(&s, 8, 20000, WS_SLOW_DROP_NEWEST, 3, NULL), WS_DROPPED);
    assert_int_equal(stats_of(s.from).messages_dropped, 3);
    slow_read_all(&s);
    static const uint32_t want[] = {3, 6, 2, 4};
    expect_got(&s, want, COUNT_OF(want));
    close_pair(&one, &s);
  }
}

static void test_slow_message_that_can_never_fit_is_refused_under_any_policy(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    for (ws_slow slow = WS_SLOW_REFUSE; slow <= WS_SLOW_LATEST; slow = (ws_slow)(slow + 1)) {
      for (int cut = 0; cut < 2; ++cut) {
        void *one;
        Slow s;
        both_setup(&one);
        Both *b = one;
        marks(b, role, slow);
        both_limits(b, role)->fragment_bytes = cut ? 1024 : 0;
        both_open(b);
        slow_begin(&s, &b->w, &b->c, role);
        const size_t most = LIMIT - header_of(role, LIMIT);
        assert_fails(WS_ERR_FULL, send_raw(&s, 1, most + 1));
        assert_int_equal(ws_conn_is_open(s.from), 1);
        assert_int_equal(stats_of(s.from).messages_dropped, 0);
        assert_true(send_raw(&s, 2, most) >= 0);
        slow_read_all(&s);
        expect_got_range(&s, 2, 2);
        close_pair(&one, &s);
      }
    }
  }
}

static int sends_in_turn;
static void send_many(World *w, const char *event, ws_conn *c) {
  Slow *s = w->extra;
  (void)c;
  if (strcmp(event, "message") != 0) return;
  for (uint32_t i = 1; i <= 500; ++i) {
    assert_true(send_raw(s, i, 1000) != WS_DROPPED);
    ++sends_in_turn;
  }
}

/* A queue that only grows because the turn has not ended is written before anything is dropped. */
static void test_slow_receiver_that_reads_is_not_slow_because_a_turn_is_long(void **state) {
  (void)state;
  void *one;
  Slow s;
  if (faults_are_on()) skip();
  Both *b = open_pair(&one, &s, SERVER, WS_SLOW_DROP_OLDEST);
  b->w.on = send_many;
  sends_in_turn = 0;
  assert_ok(ws_conn_send(s.to, WS_OP_TEXT, "go!!", 4, 0));
  while (sends_in_turn == 0) ws_loop_dispatch(b->loop, 2);
  slow_read_all(&s);
  expect_got_range(&s, 1, 500);
  assert_int_equal(stats_of(s.from).messages_dropped, 0);
  close_pair(&one, &s);
}

static void test_slow_settings_are_checked(void **state) {
  (void)state;
  ws_loop *loop;
  ws_server *server;
  ws_message *m;
  char key[256];
  memset(key, 'k', sizeof key);
  assert_ok(ws_loop_new(NULL, &loop));
  for (int i = 0; i < 7; ++i) {
    ws_server_config config;
    ws_conn_config conn;
    ws_handlers handlers;
    WS_INIT(&config);
    WS_INIT(&conn);
    WS_INIT(&handlers);
    config.conn = &conn;
    config.handlers = &handlers;
    const int bad = i == 0 || i == 1 || i == 2;
    if (i == 0) conn.fragment_bytes = 1023;
    if (i == 1) conn.fragment_bytes = 1;
    if (i == 2) memcpy(&conn.slow, &(int){6}, sizeof conn.slow);
    if (i == 3) conn.fragment_bytes = 1024;
    if (i == 4) conn.fragment_bytes = WS_UNLIMITED;
    if (i == 5) conn.slow = WS_SLOW_LATEST;
    int rc = ws_server_new(loop, &config, &server);
    assert_int_equal(rc, bad ? WS_ERR_INVALID : WS_OK);
    if (i < 2) assert_detail_has("fragment_bytes");
    if (!bad) ws_server_free(server);
  }
  assert_ok(ws_loop_free(loop));
  assert_ok(ws_message_new(WS_OP_TEXT, "m", 1, &m));
  assert_fails(WS_ERR_INVALID, ws_message_set_slow(m, (ws_slow)6));
  assert_ok(ws_message_set_slow(m, WS_SLOW_LATEST));
  assert_fails(WS_ERR_INVALID, ws_message_set_slow(NULL, WS_SLOW_LATEST));
  assert_fails(WS_ERR_INVALID, ws_message_set_key(m, key, 0));
  assert_fails(WS_ERR_INVALID, ws_message_set_key(m, key, 256));
  assert_fails(WS_ERR_INVALID, ws_message_set_key(m, NULL, 1));
  assert_fails(WS_ERR_INVALID, ws_message_set_key(NULL, key, 1));
  assert_ok(ws_message_set_key(m, key, 1));
  assert_ok(ws_message_set_key(m, key, 255));
  assert_fails(WS_ERR_INVALID, ws_message_set_urgency(m, 4));
  assert_fails(WS_ERR_INVALID, ws_message_set_urgency(NULL, 1));
  assert_ok(ws_message_set_urgency(m, 3));
  ws_message_unref(m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_slow_policies_without_waiting_act_when_the_limit_would_be_passed),
      cmocka_unit_test(test_slow_close_ends_the_connection_with_1013),
      cmocka_unit_test(test_slow_client_that_closed_a_slow_server_connects_again),
      cmocka_unit_test(test_slow_drop_oldest_makes_room_for_exactly_what_comes),
      cmocka_unit_test(test_slow_messages_of_the_connections_policy_need_not_be_prepared),
      cmocka_unit_test(test_slow_drop_oldest_spares_what_must_not_be_dropped),
      cmocka_unit_test(test_slow_message_that_can_never_fit_is_refused_under_any_policy),
      cmocka_unit_test(test_slow_receiver_that_reads_is_not_slow_because_a_turn_is_long),
      cmocka_unit_test(test_slow_settings_are_checked),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
