/*
 * Slow receivers over TLS: what waits is fed as the session below takes the queue.
 */
#include "secured.h"
#include "slow.h"

#include <stdio.h>

enum { KEYS = 5, UPDATES = 10000 };

static void test_tls_slow_latest_of_each_key_arrives(void **state) {
  Secured *t = *state;
  Slow s;
  uint32_t last[KEYS] = {0};
  t->w.limits.send_low_bytes = 1000;
  t->w.limits.send_high_bytes = 4000;
  t->w.limits.slow = WS_SLOW_LATEST;
  secured_open(t);
  slow_begin(&s, &t->w, &t->c, SERVER);
  slow_fill(&s, 200000); /* more than the session holds */
  for (uint32_t i = 1; i <= UPDATES; ++i) {
    char key[16];
    snprintf(key, sizeof key, "symbol %u", i % KEYS);
    assert_true(send_numbered(&s, i, 100, WS_SLOW_DEFAULT, 0, key) >= 0);
    if (i % 1000 == 0) run_for(t->w.loop, 1);
  }
  if (!faults_are_on()) assert_int_equal(stats_of(s.from).waiting_messages, KEYS);
  slow_read_all(&s);
  for (size_t i = 0; i < s.count; ++i) {
    assert_true(s.got[i] > last[s.got[i] % KEYS]);
    last[s.got[i] % KEYS] = s.got[i];
  }
  for (uint32_t k = 0; k < KEYS; ++k) assert_int_equal(last[k], UPDATES - (UPDATES - k) % KEYS);
  assert_int_equal(stats_of(s.from).messages_dropped + s.count, UPDATES);
  if (!faults_are_on()) assert_int_equal(t->w.drains, 1);
  slow_free(&s);
}

/* A message in fragments, both ways: larger than all buffers between, and the receiver stops in the
 * middle. */
static void test_tls_slow_large_message_in_fragments_arrives_whole(void **state) {
  for (int role = SERVER; role <= CLIENT; ++role) {
    void *one;
    Slow s;
    secured_setup(&one);
    Secured *t = one;
    ws_conn_config *limits = slow_limits(&t->w, &t->c, role);
    t->w.limits.max_message_bytes = t->c.limits.max_message_bytes = 16 << 20;
    limits->send_limit_bytes = 20 << 20;
    limits->fragment_bytes = 16384;
    secured_open(t);
    slow_begin(&s, &t->w, &t->c, role);
    assert_int_equal(send_raw(&s, 1, 12 << 20), WS_BACKPRESSURE);
    assert_int_equal(send_numbered(&s, 2, 100, WS_SLOW_DEFAULT, 0, NULL), WS_BACKPRESSURE);
    assert_int_equal(stats_of(s.from).waiting_messages, 2);
    for (int i = 0; i < 3; ++i) {
      assert_ok(ws_conn_resume(s.to));
      run_for(t->w.loop, 2);
      assert_ok(ws_conn_pause(s.to));
    }
    slow_read_all(&s);
    expect_got_range(&s, 1, 2);
    assert_int_equal(stats_of(s.from).messages_out, 3);
    slow_free(&s);
    secured_teardown(&one);
  }
  (void)state;
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_tls_slow_latest_of_each_key_arrives, secured_setup,
                                      secured_teardown),
      cmocka_unit_test(test_tls_slow_large_message_in_fragments_arrives_whole),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
