/*
 * WS_SLOW_LATEST: of the messages that wait, only the newest of each key is sent, where the one
 * before it stood.  Plain and compressed: what was dropped must not be missed by the
 * peer's decompressor.
 */
#include "slow.h"

#include <stdio.h>
#include <stdlib.h>

enum { KEYS = 5, UPDATES = 10000 };

static void feed_marks(ws_conn_config *limits) {
  limits->send_low_bytes = 1000;
  limits->send_high_bytes = 4000;
  limits->slow = WS_SLOW_LATEST;
}

/* Each key has got a growing sequence that ends with its newest; nothing is lost uncounted. */
static void expect_conflated(const Slow *s, uint64_t not_waited) {
  uint32_t last[KEYS] = {0};
  for (size_t i = 0; i < s->count; ++i) {
    const uint32_t key = s->got[i] % KEYS;
    assert_true(s->got[i] > last[key]);
    last[key] = s->got[i];
  }
  for (uint32_t k = 0; k < KEYS; ++k) assert_int_equal(last[k], UPDATES - (UPDATES - k) % KEYS);
  assert_int_equal(stats_of(s->from).messages_dropped + s->count, UPDATES);
  assert_true(s->count <= not_waited + KEYS);
}

static void send_updates(Slow *s, size_t len) {
  const uint64_t before = stats_of(s->from).messages_out;
  for (uint32_t i = 1; i <= UPDATES; ++i) {
    char key[16];
    snprintf(key, sizeof key, "symbol %u", i % KEYS);
    assert_true(send_numbered(s, i, len, WS_SLOW_DEFAULT, 0, key) >= 0);
    if (i % 1000 == 0) run_for(s->w->loop, 1);
  }
  const ws_conn_stats stats = stats_of(s->from);
  /* With faults the sockets are not full, and the loop has turned. */
  if (!faults_are_on()) assert_int_equal(stats.waiting_messages, KEYS);
  assert_int_equal(stats.waiting_bytes, stats.waiting_messages * len);
  assert_true(ws_conn_buffered(s->from) >= stats.waiting_bytes);
  /* Those that went before the kernel had enough. */
  const uint64_t not_waited = stats.messages_out - before;
  assert_int_equal(not_waited + stats.messages_dropped + stats.waiting_messages, UPDATES);
  slow_read_all(s);
  expect_conflated(s, not_waited);
}

static void test_slow_latest_of_each_key_arrives_and_little_before_it(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    void *one;
    Slow s;
    both_setup(&one);
    Both *b = one;
    b->w.limits.deflate = b->c.limits.deflate = WS_DEFLATE_OFF;
    feed_marks(both_limits(b, role));
    both_open(b);
    slow_begin(&s, &b->w, &b->c, role);
    slow_fill(&s, 4000);
    send_updates(&s, 100);
    if (!faults_are_on()) assert_true(s.count <= KEYS);
    slow_free(&s);
    both_teardown(&one);
  }
}

static void check_content(Slow *s, const uint8_t *data, size_t len) {
  uint32_t number;
  memcpy(&number, data, sizeof number);
  assert_true(len > 4);
  char *want = some_json(len, number);
  assert_bytes(data + 4, len - 4, want, len - 4);
  free(want);
  (void)s;
}

static int send_json(Slow *s, uint32_t number, size_t len, int prepared) {
  char *data = malloc(len);
  char *json = some_json(len, number), key[16];
  int rc;
  memcpy(data, &number, 4);
  memcpy(data + 4, json, len - 4);
  if (prepared) {
    ws_message *m;
    snprintf(key, sizeof key, "%u", number % KEYS);
    assert_ok(ws_message_new(WS_OP_BINARY, data, len, &m));
    assert_ok(ws_message_set_key(m, key, strlen(key)));
    rc = ws_conn_send_message(s->from, m);
    ws_message_unref(m);
  } else {
    rc = ws_conn_send(s->from, WS_OP_BINARY, data, len, 0);
  }
  free(json);
  free(data);
  return rc;
}

/* Whatever was dropped, the peer decompresses all that came. */
static void test_slow_dropped_messages_were_never_compressed(void **state) {
  static const ws_deflate modes[] = {WS_DEFLATE_SHARED, WS_DEFLATE_DEDICATED};
  static const ws_slow policies[] = {WS_SLOW_DROP_OLDEST, WS_SLOW_LATEST, WS_SLOW_DROP_NEWEST};
  (void)state;
  FOR_BOTH_ROLES(role) {
    for (size_t i = 0; i < 2 * COUNT_OF(modes) * COUNT_OF(policies); ++i) {
      void *one;
      Slow s;
      both_setup(&one);
      Both *b = one;
      b->w.limits.deflate = b->c.limits.deflate = modes[i % 2];
      feed_marks(both_limits(b, role));
      both_limits(b, role)->send_limit_bytes = 30000;
      both_limits(b, role)->slow = policies[i / 4];
      both_limits(b, role)->fragment_bytes = i / 2 % 2 == 0 ? 0 : 1024;
      both_open(b);
      slow_begin(&s, &b->w, &b->c, role);
      s.on = check_content;
      const uint64_t dropped = stats_of(s.from).messages_dropped;
      const uint64_t deflated = deflate_info_of(s.from).sent_plain_bytes;
      uint32_t number = 0;
      for (int round = 0; round < 3; ++round) {
        slow_fill(&s, 4000);
        for (int k = 0; k < 300; ++k) {
          ++number;
          assert_true(send_json(&s, number, 500 + number % 1500, number % 3 == 0) >= 0);
        }
        assert_ok(ws_conn_resume(s.to)); /* some of it */
        run_for(b->loop, 2);
        assert_ok(ws_conn_pause(s.to));
      }
      slow_read_all(&s);
      const ws_conn_stats stats = stats_of(s.from);
      assert_true(stats.messages_dropped > dropped);
      assert_int_equal(s.count + stats.messages_dropped - dropped, number);
      assert_true(deflate_info_of(s.from).sent_plain_bytes > deflated);
      assert_int_equal(b->w.closed + b->c.closed, 0);
      slow_free(&s);
      both_teardown(&one);
    }
  }
}

static Both *open_latest(void **state, Slow *s, int role) {
  both_setup(state);
  Both *b = *state;
  b->w.limits.deflate = b->c.limits.deflate = WS_DEFLATE_OFF;
  feed_marks(both_limits(b, role));
  both_open(b);
  slow_begin(s, &b->w, &b->c, role);
  slow_fill(s, 4000);
  return b;
}

static void test_slow_latest_stands_where_the_old_one_stood(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    void *one;
    Slow s;
    open_latest(&one, &s, role);
    static const char *const keys[] = {"a", "b", "c", "a", "b", "ab", "a"};
    for (uint32_t i = 0; i < COUNT_OF(keys); ++i) {
      assert_true(send_numbered(&s, i + 1, 50, WS_SLOW_DEFAULT, 0, keys[i]) >= 0);
    }
    /* Without a key, and sent raw: one of a kind.  A key under another policy stays. */
    assert_true(send_numbered(&s, 10, 50, WS_SLOW_DEFAULT, 0, NULL) >= 0);
    assert_true(send_numbered(&s, 11, 50, WS_SLOW_REFUSE, 0, "a") >= 0);
    assert_true(send_raw(&s, 12, 50) >= 0);
    /* More urgent than the one that waits: it leaves that one's place. */
    assert_true(send_numbered(&s, 13, 50, WS_SLOW_DEFAULT, 2, "c") >= 0);
    assert_true(send_numbered(&s, 14, 50, WS_SLOW_DEFAULT, 1, "ab") >= 0);
    assert_true(send_numbered(&s, 15, 50, WS_SLOW_DEFAULT, 0, "ab") >= 0);
    assert_int_equal(stats_of(s.from).waiting_messages, 6);
    slow_read_all(&s);
    static const uint32_t want[] = {13, 7, 5, 12, 11, 15};
    expect_got(&s, want, COUNT_OF(want));
    assert_int_equal(stats_of(s.from).messages_dropped, 7);
    slow_free(&s);
    both_teardown(&one);
  }
}

static void test_slow_urgent_messages_pass_those_that_wait(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    void *one;
    Slow s;
    open_latest(&one, &s, role);
    /* Nothing waits for it to pass, but from here on it could. */
    assert_true(send_numbered(&s, 1, 50, WS_SLOW_REFUSE, 1, NULL) >= 0);
    assert_int_equal(stats_of(s.from).waiting_messages, 1);
    for (uint32_t i = 2; i <= 41; ++i) {
      assert_true(send_numbered(&s, i, 50, WS_SLOW_REFUSE, i % 4, NULL) >= 0);
    }
    slow_read_all(&s);
    uint32_t want[41], n = 0;
    for (uint32_t urgency = 4; urgency-- != 0;) {
      for (uint32_t i = 1; i <= 41; ++i) {
        if (i % 4 == urgency) want[n++] = i;
      }
    }
    expect_got(&s, want, n);
    slow_free(&s);
    both_teardown(&one);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_slow_latest_of_each_key_arrives_and_little_before_it),
      cmocka_unit_test(test_slow_dropped_messages_were_never_compressed),
      cmocka_unit_test(test_slow_latest_stands_where_the_old_one_stood),
      cmocka_unit_test(test_slow_urgent_messages_pass_those_that_wait),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
