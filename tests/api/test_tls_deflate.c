/*
 * permessage-deflate over TLS: the same messages, whole and in parts, in both directions.
 */
#include "both.h"
#include "secured.h"

#include <stdio.h>
#include <stdlib.h>

#define WITH_TLS(f) cmocka_unit_test_setup_teardown(f, secured_setup, secured_teardown)

static void echo(World *w, const char *event, ws_conn *c) {
  w->log[0] = '\0';
  if (strcmp(event, "message") != 0) return;
  assert_true(ws_conn_send(c, w->op, w->data, w->len, 0) >= 0);
}

static const char *expected;
static size_t expected_len;

static void check(Caller *c, const char *event, ws_conn *conn) {
  (void)conn;
  c->log[0] = '\0';
  if (strcmp(event, "message") == 0) assert_bytes(c->data, c->len, expected, expected_len);
}

static void test_tls_echo_of_compressed_messages_is_the_same(void **state) {
  static const size_t kSizes[] = {0, 31, 32, 300, 16384, 65536, 1u << 20, 4u << 20};
  static const ws_deflate kModes[] = {WS_DEFLATE_SHARED, WS_DEFLATE_DEDICATED};
  char *json = some_json(4u << 20, 1);
  uint8_t *noise = some_noise(4u << 20, 1);
  for (size_t m = 0; m < COUNT_OF(kModes); ++m) {
    if (m != 0) secured_teardown(state), secured_setup(state);
    Secured *s = *state;
    s->w.limits.deflate = s->c.limits.deflate = kModes[m];
    s->w.limits.max_message_bytes = s->c.limits.max_message_bytes = 8u << 20;
    s->w.on = echo;
    s->c.on = check;
    secured_open(s);
    int count = 0;
    for (size_t i = 0; i < 4 * COUNT_OF(kSizes); ++i) {
      expected = i % 3 != 0 ? json : (const char *)noise;
      expected_len = kSizes[i % COUNT_OF(kSizes)];
      if (i % 4 == 3) {
        const size_t half = expected_len / 2;
        assert_true(ws_conn_send_part(s->c.conn, WS_OP_BINARY, expected, half, 0) >= 0);
        assert_true(ws_conn_send_part(s->c.conn, WS_OP_BINARY, expected + half, expected_len - half,
                                      1) >= 0);
      } else {
        assert_true(ws_conn_send(s->c.conn, WS_OP_BINARY, expected, expected_len, 0) >= 0);
      }
      caller_wait_messages(&s->c, ++count);
    }
    const ws_deflate_info info = deflate_info_of(s->c.conn), other = deflate_info_of(s->w.conn);
    assert_true(info.flags & WS_DEFLATE_AGREED);
    assert_int_equal((info.flags & WS_DEFLATE_SEND_TAKEOVER) != 0, m == 1);
    assert_int_equal(info.sent_wire_bytes, other.received_wire_bytes);
    assert_int_equal(other.sent_wire_bytes, info.received_wire_bytes);
    assert_true(info.sent_plain_bytes > (uint64_t)(8u << 20));
    secured_leave(s);
    assert_int_equal(loop_stats_of(s->c.loop).deflate_bytes, 0);
  }
  free(json);
  free(noise);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_TLS(test_tls_echo_of_compressed_messages_is_the_same),
  };
  return cmocka_run_group_tests_name("tls_deflate", tests, NULL, NULL);
}
