/*
 * Every allocation fails in turn while messages wait: the N-th alone, and all from the N-th on.  A
 * send says NOMEM, or the connection ends with it; what was accepted and not dropped arrives, in
 * order; nothing leaks.
 */
#include "scarce.h"
#include "slow.h"

#include <stdlib.h>

enum { MESSAGES = 40 };

/* Sends while allocations fail, reads without failures; returns how many were accepted. */
static uint32_t send_with_failures(Slow *s, ws_message **messages, uint8_t *large, size_t len) {
  uint32_t accepted = 0;
  scarce.failures = 0;
  scarce.seen = 0;
  for (uint32_t i = 0; i < MESSAGES; ++i) {
    int rc = i % 4 == 3 ? ws_conn_send(s->from, WS_OP_BINARY, ws_message_data(messages[i]).data,
                                       ws_message_data(messages[i]).len, 0)
                        : ws_conn_send_message(s->from, messages[i]);
    if (rc >= 0) ++accepted;
    if (rc < 0 && rc != WS_ERR_NOMEM) fail_msg("%s: %s", ws_strerror(rc), ws_last_detail());
  }
  int rc = ws_conn_send(s->from, WS_OP_BINARY, large, len, 0);
  if (rc >= 0) ++accepted;
  assert_true(rc >= 0 || rc == WS_ERR_NOMEM);
  return accepted;
}

/* Within each kind, that is: the latest of a key stands where the first stood. */
static void expect_order(const Slow *s) {
  uint32_t last[4] = {0};
  for (size_t i = 0; i < s->count; ++i) {
    const uint32_t at = s->got[i] - 1;
    const uint32_t kind = at % 4 == 3 ? 3 : at % 3 == 0 ? 0 : 1 + at % 2;
    assert_true(s->got[i] > last[kind]);
    last[kind] = s->got[i];
  }
}

static void scenario(int role, ws_deflate mode, unsigned long n) {
  void *one;
  Slow s;
  both_setup(&one);
  Both *b = one;
  const size_t len = 20000;
  b->w.limits.deflate = b->c.limits.deflate = mode;
  ws_conn_config *limits = both_limits(b, role);
  limits->send_low_bytes = 1000;
  limits->send_high_bytes = 4000;
  limits->send_limit_bytes = 60000;
  limits->slow = WS_SLOW_LATEST;
  limits->fragment_bytes = 1024;
  both_open(b);
  slow_begin(&s, &b->w, &b->c, role);
  ws_message *messages[MESSAGES];
  uint8_t *large = (uint8_t *)some_json(len, 1);
  memset(large, 0, 4);
  for (uint32_t i = 0; i < MESSAGES; ++i) {
    messages[i] = numbered(i + 1, 600);
    if (i % 3 == 0) {
      assert_ok(ws_message_set_slow(messages[i], WS_SLOW_DROP_OLDEST));
    } else {
      assert_ok(ws_message_set_key(messages[i], i % 2 ? "odd" : "even", 4));
    }
  }
  slow_fill(&s, 4000);
  const uint64_t dropped = stats_of(s.from).messages_dropped;
  ws_conn *from = ws_conn_ref(s.from);
  scarce.fail_at = n;
  const uint32_t accepted = send_with_failures(&s, messages, large, len);
  /* Also while it is fed, for some; there the receiver may be the one without memory. */
  if (n % 2 == 0) assert_ok(ws_conn_resume(s.to));
  run_for(b->loop, 2);
  scarce.fail_at = 0;
  const int ended = b->w.closed + b->c.closed;
  run_for(b->loop, ended != 0 ? 2 : 0);
  if (ended == 0 && ws_conn_is_open(from)) {
    slow_read_all(&s);
    const uint64_t lost = stats_of(from).messages_dropped - dropped;
    /* The large one has no number of its own. */
    assert_true(s.count + lost <= accepted && s.count + lost + 1 >= accepted);
    expect_order(&s);
  }
  ws_conn_unref(from);
  for (uint32_t i = 0; i < MESSAGES; ++i) ws_message_unref(messages[i]);
  free(large);
  slow_free(&s);
  both_teardown(&one);
  if (scarce.live != 0) fail_msg("%lu blocks leaked when allocation %lu failed", scarce.live, n);
}

static void test_slow_each_allocation_fails_in_turn(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    for (ws_deflate mode = WS_DEFLATE_OFF; mode <= WS_DEFLATE_DEDICATED;
         mode = (ws_deflate)(mode + 1)) {
      for (scarce.fail_on = 0; scarce.fail_on < 2; ++scarce.fail_on) {
        const unsigned long step = valgrind_is_on() ? 13 : 1;
        unsigned long n = 1 - step;
        do {
          scenario(role, mode, n += step);
          assert_true(n < 10000);
        } while (scarce.failures != 0);
        assert_true(n > 3);
      }
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_slow_each_allocation_fails_in_turn),
  };
  return cmocka_run_group_tests(tests, scarce_set, NULL);
}
