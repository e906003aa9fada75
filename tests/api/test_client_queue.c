/*
 * Messages sent while no connection is open: how many are kept, and that they arrive once, whole
 * and in order, however slowly the connection takes them.
 */
#include "client_at.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define WITH_CALL(f) cmocka_unit_test_setup_teardown(f, call_setup, call_teardown)

enum { OVERHEAD = 64 }; /* of each message, client.h */

static int send_text(Call *call, const char *text) {
  return ws_client_send(call->c.client, WS_OP_TEXT, text, strlen(text), 0);
}

/* ---- how much ---- */

static void test_client_queue_of_0_bytes_refuses_all(void **state) {
  Call *call = *state;
  retry_fast(call, WS_NEVER);
  caller_start(&call->c);
  assert_fails(WS_ERR_CLOSED, send_text(call, "x"));
  assert_fails(WS_ERR_CLOSED, send_text(call, ""));
  target_take(&call->t, &call->p);
  assert_fails(WS_ERR_CLOSED, send_text(call, "x"));
  target_switch(&call->t, &call->p, "");
  caller_wait_open(&call->c, 1);
  assert_ok(send_text(call, "open"));
  peer_expect_text(&call->p, "open");
  assert_int_equal(ws_client_queued(call->c.client), 0);
}

static void test_client_queue_takes_what_fits_to_the_byte(void **state) {
  static char data[1000];
  static const size_t lens[] = {0, 1, 10, 1000};
  for (size_t l = 0; l < COUNT_OF(lens); ++l) {
    for (int off = -1; off <= 1; ++off) {
      Call *call = fresh_call(state);
      size_t each = OVERHEAD + lens[l];
      call->c.config.queue_bytes = 3 * each + (uint64_t)(int64_t)off;
      caller_start(&call->c);
      ws_client *cl = call->c.client;
      assert_ok(ws_client_send(cl, WS_OP_BINARY, data, lens[l], 0));
      assert_ok(ws_client_send(cl, WS_OP_BINARY, data, lens[l], WS_SEND_LATER));
      assert_int_equal(ws_client_queued(cl), 2 * lens[l]);
      int rc = ws_client_send(cl, WS_OP_BINARY, data, lens[l], 0);
      assert_int_equal(rc, off < 0 ? WS_ERR_FULL : WS_OK);
      assert_int_equal(ws_client_queued(cl), (off < 0 ? 2 : 3) * lens[l]);
      if (off >= 0) assert_fails(WS_ERR_FULL, ws_client_send(cl, WS_OP_BINARY, NULL, 0, 0));
      target_welcome(&call->t, &call->p);
      for (int i = 0; i < (off < 0 ? 2 : 3); ++i) {
        peer_expect_frame(&call->p, FIN_BINARY, data, lens[l]);
      }
      peer_expect_quiet(&call->p);
      assert_int_equal(ws_client_queued(cl), 0);
    }
  }
}

static void test_client_queue_smaller_than_any_message_is_always_full(void **state) {
  Call *call = *state;
  call->c.config.queue_bytes = OVERHEAD - 1;
  caller_start(&call->c);
  assert_fails(WS_ERR_FULL, ws_client_send(call->c.client, WS_OP_TEXT, NULL, 0, 0));
}

static void test_client_queue_without_a_limit_takes_all(void **state) {
  static char data[100000];
  Call *call = *state;
  call->c.config.queue_bytes = WS_UNLIMITED;
  caller_start(&call->c);
  for (int i = 0; i < 100; ++i) {
    assert_ok(ws_client_send(call->c.client, WS_OP_BINARY, data, sizeof data, 0));
  }
  assert_int_equal(ws_client_queued(call->c.client), 100 * sizeof data);
}

/* A message that no connection would take is not kept either, one that it would is. */
static void test_client_queue_message_above_send_limit_is_refused(void **state) {
  static char data[2001];
  for (size_t len = 1999; len <= 2001; ++len) {
    Call *call = fresh_call(state);
    call->c.config.queue_bytes = WS_UNLIMITED;
    call->c.limits.send_limit_bytes = 2000;
    caller_start(&call->c);
    int rc = ws_client_send(call->c.client, WS_OP_BINARY, data, len, 0);
    if (len > 2000) assert_int_equal(rc, WS_ERR_FULL);
    target_welcome(&call->t, &call->p);
    caller_wait_open(&call->c, 1);
    if (rc == WS_OK) {
      peer_expect_frame(&call->p, FIN_BINARY, data, len);
    } else {
      assert_int_equal(rc, WS_ERR_FULL);
      peer_expect_quiet(&call->p);
    }
    int open = ws_client_send(call->c.client, WS_OP_BINARY, data, len, 0);
    assert_int_equal(open < 0 ? open : WS_OK, rc);
  }
}

/* ---- what ---- */

static void test_client_queue_refuses_what_a_connection_would_refuse(void **state) {
  for (int open = 0; open < 2; ++open) {
    Call *call = fresh_call(state);
    call->c.config.queue_bytes = 100000;
    caller_start(&call->c);
    ws_client *cl = call->c.client;
    if (open) {
      target_welcome(&call->t, &call->p);
      caller_wait_open(&call->c, 1);
    }
    assert_fails(WS_ERR_UTF8, ws_client_send(cl, WS_OP_TEXT, "caf\xC3", 4, 0));
    assert_fails(WS_ERR_INVALID, ws_client_send(cl, (ws_opcode)8, "x", 1, 0));
    assert_fails(WS_ERR_INVALID, ws_client_send(cl, (ws_opcode)0, "x", 1, 0));
    assert_fails(WS_ERR_INVALID, ws_client_send(cl, (ws_opcode)15, "x", 1, 0));
    assert_fails(WS_ERR_INVALID, ws_client_send(cl, WS_OP_TEXT, NULL, 1, 0));
    assert_fails(WS_ERR_UNSUPPORTED, ws_client_send(cl, WS_OP_TEXT, "x", 1, 1u << 31));
    assert_int_equal(ws_client_queued(cl), 0);
    assert_ok(send_text(call, "fine"));
    if (!open) target_welcome(&call->t, &call->p);
    peer_expect_text(&call->p, "fine");
    peer_expect_quiet(&call->p);
  }
}

/* Whoever vouches for the text is believed, as on an open connection. */
static void test_client_queue_without_utf8_check_takes_any_bytes(void **state) {
  Call *call = *state;
  call->c.config.queue_bytes = 1000;
  caller_start(&call->c);
  assert_ok(ws_client_send(call->c.client, WS_OP_TEXT, "caf\xC3", 4, WS_SEND_NO_UTF8_CHECK));
  target_welcome(&call->t, &call->p);
  peer_expect_frame(&call->p, FIN_TEXT, "caf\xC3", 4);
}

static void test_client_queue_keeps_a_copy_and_the_opcode(void **state) {
  Call *call = *state;
  char text[] = "text", bytes[] = "\x00\xff";
  call->c.config.queue_bytes = 1000;
  caller_start(&call->c);
  assert_ok(ws_client_send(call->c.client, WS_OP_TEXT, text, 4, 0));
  assert_ok(ws_client_send(call->c.client, WS_OP_BINARY, bytes, 2, 0));
  memset(text, 'x', sizeof text);
  memset(bytes, 'x', sizeof bytes);
  target_welcome(&call->t, &call->p);
  peer_expect_frame(&call->p, FIN_TEXT, "text", 4);
  peer_expect_frame(&call->p, FIN_BINARY, "\x00\xff", 2);
}

/* ---- in which order ---- */

static void greet(Caller *c, const char *event, ws_conn *conn) {
  if (strcmp(event, "open") != 0) return;
  assert_ok(ws_conn_send(conn, WS_OP_TEXT, "hello", 5, 0));
  assert_ok(ws_client_send(c->client, WS_OP_TEXT, "last", 4, 0));
}

static void test_client_queue_follows_what_on_open_sends(void **state) {
  Call *call = *state;
  retry_fast(call, WS_NEVER);
  call->c.config.queue_bytes = 10000;
  call->c.on = greet;
  caller_start(&call->c);
  assert_ok(send_text(call, "a"));
  assert_ok(send_text(call, "b"));
  for (int i = 1; i <= 3; ++i) {
    target_welcome(&call->t, &call->p);
    peer_expect_text(&call->p, "hello");
    peer_expect_text(&call->p, "a");
    peer_expect_text(&call->p, "b");
    peer_expect_text(&call->p, "last");
    peer_expect_quiet(&call->p);
    peer_drop(&call->p);
    caller_wait_down(&call->c, i);
    assert_ok(send_text(call, "a"));
    assert_ok(send_text(call, "b"));
    assert_int_equal(ws_client_queued(call->c.client), 2);
  }
}

static const char *send_at;
static int send_rc;
static void send_inside(Caller *c, const char *event, ws_conn *conn) {
  (void)conn;
  if (strcmp(event, send_at) == 0 && send_rc == 77) {
    send_rc = ws_client_send(c->client, WS_OP_TEXT, event, strlen(event), 0);
  }
}

static void test_client_queue_takes_messages_in_every_callback(void **state) {
  static const char *const events[] = {"attempt", "close", "down"};
  for (size_t i = 0; i < COUNT_OF(events); ++i) {
    Call *call = fresh_call(state);
    retry_fast(call, WS_NEVER);
    call->c.config.queue_bytes = 1000;
    call->c.on = send_inside;
    send_at = events[i];
    send_rc = 77;
    caller_start(&call->c);
    target_welcome(&call->t, &call->p);
    if (i != 0) {
      caller_wait_open(&call->c, 1);
      peer_send_close(&call->p, 1001, NULL);
      peer_expect_close(&call->p, 1001);
      peer_drop(&call->p);
      target_welcome(&call->t, &call->p);
    }
    peer_expect_text(&call->p, events[i]);
    assert_int_equal(send_rc, WS_OK);
  }
}

/* ---- slowly ---- */

typedef struct Slow {
  size_t len, high, limit;
  int count;
} Slow;

static void number_message(uint8_t *data, unsigned i) {
  memset(data, (int)(i & 0xff), 16);
  memcpy(data, &i, sizeof i);
}

/* What the kernel takes on the peer's side is little, and nobody minds how long it takes. */
static void narrow(Call *call) {
  int bytes = 16384;
  assert_int_equal(setsockopt(call->t.fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof bytes), 0);
  call->c.limits.idle_timeout_ms = WS_NEVER;
  call->c.limits.ping_interval_ms = WS_NEVER;
  call->c.limits.send_timeout_ms = WS_NEVER;
}

static void drain_slowly(void **state, const Slow *s) {
  Call *call = fresh_call(state);
  uint8_t *data = calloc(1, s->len + 16);
  narrow(call);
  call->c.config.queue_bytes = WS_UNLIMITED;
  call->c.limits.send_high_bytes = s->high;
  call->c.limits.send_low_bytes = s->high / 4;
  call->c.limits.send_limit_bytes = s->limit;
  caller_start(&call->c);
  for (int i = 0; i < s->count; ++i) {
    number_message(data, (unsigned)i);
    assert_ok(ws_client_send(call->c.client, WS_OP_BINARY, data, s->len, 0));
  }
  target_welcome(&call->t, &call->p);
  caller_wait_open(&call->c, 1);
  run_for(call->c.loop, 10);
  assert_true(ws_client_queued(call->c.client) > 0); /* the kernel is full by now */
  assert_true(ws_conn_buffered(call->c.conn) <= s->limit + 16);
  number_message(data, (unsigned)s->count); /* behind the others */
  assert_ok(ws_client_send(call->c.client, WS_OP_BINARY, data, s->len, 0));
  for (int i = 0; i <= s->count; ++i) {
    WireFrame f;
    peer_read_frame(&call->p, &f);
    assert_int_equal(f.first, FIN_BINARY);
    assert_int_equal(f.len, s->len);
    number_message(data, (unsigned)i);
    assert_bytes(f.payload, 16, data, 16);
  }
  peer_expect_quiet(&call->p);
  assert_int_equal(ws_client_queued(call->c.client), 0);
  assert_ok(send_text(call, "direct again"));
  peer_expect_text(&call->p, "direct again");
  free(data);
}

static void test_client_queue_larger_than_the_send_queue_arrives_step_by_step(void **state) {
  static const Slow cases[] = {
      {60000, 100000, 1000000, 150}, /* the high mark is met first */
      {60000, 100000, 100000, 150},  /* the limit is: there is no room for two */
      {50000, 100000, 100100, 180},  /* two fit, frames and all */
      {1000, 2500, 2500, 10000},
  };
  if (faults_are_on()) skip(); /* they would take minutes */
  for (size_t i = 0; i < COUNT_OF(cases); ++i) drain_slowly(state, &cases[i]);
}

/* What was handed to a connection that ends is gone with it; the rest goes on with the next one,
 * nothing twice and nothing out of order. */
static void test_client_queue_goes_on_with_the_next_connection(void **state) {
  enum { COUNT = 200, LEN = 60000 };
  Call *call = *state;
  uint8_t *data = calloc(1, LEN);
  unsigned next = 0, last = 0;
  narrow(call);
  retry_fast(call, WS_NEVER);
  call->c.config.queue_bytes = WS_UNLIMITED;
  caller_start(&call->c);
  for (unsigned i = 0; i < COUNT; ++i) {
    number_message(data, i);
    assert_ok(ws_client_send(call->c.client, WS_OP_BINARY, data, LEN, 0));
  }
  for (int connection = 0; last < COUNT - 1; ++connection) {
    target_welcome(&call->t, &call->p);
    for (int i = 0; (i < 5 || connection > 0) && last < COUNT - 1; ++i) {
      WireFrame f;
      peer_read_frame(&call->p, &f);
      assert_int_equal(f.len, LEN);
      memcpy(&last, f.payload, sizeof last);
      if (i != 0) assert_int_equal(last, next);
      assert_true(last >= next);
      next = last + 1;
    }
    if (connection == 0) {
      assert_true(ws_client_queued(call->c.client) > 0);
      peer_drop(&call->p);
    }
  }
  assert_int_equal(call->c.opened, 2);
  free(data);
}

static void test_client_open_send_beyond_the_limits_is_not_queued(void **state) {
  static char data[60000];
  Call *call = *state;
  int rc, pressed = 0;
  call->c.config.queue_bytes = WS_UNLIMITED;
  call->c.limits.send_high_bytes = 200000;
  call->c.limits.send_limit_bytes = 400000;
  call_open(call);
  while ((rc = ws_client_send(call->c.client, WS_OP_BINARY, data, sizeof data, 0)) >= 0) {
    pressed |= rc == WS_BACKPRESSURE;
  }
  assert_int_equal(rc, WS_ERR_FULL);
  assert_int_equal(pressed, 1);
  assert_int_equal(ws_client_queued(call->c.client), 0);
}

/* ---- how long ---- */

static void test_client_queue_outlives_on_down_and_the_last_attempt(void **state) {
  Call *call = *state;
  retry_fast(call, 1);
  call->c.config.queue_bytes = 1000;
  caller_start(&call->c);
  assert_ok(send_text(call, "kept"));
  for (int i = 1; i <= 2; ++i) {
    target_take(&call->t, &call->p);
    peer_drop(&call->p);
    caller_wait_down(&call->c, i);
    assert_int_equal(ws_client_queued(call->c.client), 4);
  }
  assert_int_equal(call->c.retry_in_ms, WS_NEVER);
  assert_fails(WS_ERR_CLOSED, send_text(call, "too late"));
  assert_int_equal(ws_client_queued(call->c.client), 4);
  assert_ok(ws_client_retry_now(call->c.client));
  assert_ok(send_text(call, "in time"));
  target_welcome(&call->t, &call->p);
  peer_expect_text(&call->p, "kept");
  peer_expect_text(&call->p, "in time");
  peer_expect_quiet(&call->p);
}

static void test_client_queue_is_dropped_by_free(void **state) {
  FOR_EACH_STATE(at) {
    if (at == OPEN) continue;
    Call *call = fresh_call(state);
    call->c.config.queue_bytes = 1000;
    bring_to(call, at);
    assert_int_equal(send_text(call, "dropped"), at == IDLE ? WS_ERR_CLOSED : WS_OK);
    ws_client_free(call->c.client);
    call->c.client = NULL;
    run_for(call->c.loop, 3);
    if (call->p.fd >= 0) {
      peer_expect_gone(&call->p);
      assert_int_equal(call->p.len, call->p.taken);
    }
  }
}

static void test_client_queue_takes_nothing_once_this_side_has_closed(void **state) {
  for (int by_conn = 0; by_conn < 2; ++by_conn) {
    Call *call = fresh_call(state);
    retry_fast(call, WS_NEVER);
    call->c.config.queue_bytes = 1000;
    call_open(call);
    if (by_conn) {
      assert_ok(ws_conn_close(call->c.conn, 1000, NULL));
    } else {
      assert_ok(ws_client_close(call->c.client, 1000, NULL));
    }
    assert_fails(WS_ERR_CLOSED, send_text(call, "late"));
    run_for(call->c.loop, 3);
    assert_fails(WS_ERR_CLOSED, send_text(call, "later"));
    peer_expect_close(&call->p, 1000);
    peer_send_close(&call->p, 1000, NULL);
    peer_drop(&call->p);
    caller_wait_down(&call->c, 1);
    assert_fails(WS_ERR_CLOSED, send_text(call, "latest"));
    assert_int_equal(ws_client_queued(call->c.client), 0);
  }
}

static void test_client_queue_takes_nothing_in_the_end_of_the_only_attempt(void **state) {
  static const char *const events[] = {"close", "down"};
  for (size_t i = 0; i < COUNT_OF(events); ++i) {
    Call *call = fresh_call(state);
    call->c.config.queue_bytes = 1000;
    call->c.on = send_inside;
    send_at = events[i];
    send_rc = 77;
    call_open(call);
    peer_drop(&call->p);
    caller_wait_down(&call->c, 1);
    assert_int_equal(send_rc, WS_ERR_CLOSED);
    assert_int_equal(ws_client_queued(call->c.client), 0);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_CALL(test_client_queue_of_0_bytes_refuses_all),
      WITH_CALL(test_client_queue_takes_what_fits_to_the_byte),
      WITH_CALL(test_client_queue_smaller_than_any_message_is_always_full),
      WITH_CALL(test_client_queue_without_a_limit_takes_all),
      WITH_CALL(test_client_queue_message_above_send_limit_is_refused),
      WITH_CALL(test_client_queue_refuses_what_a_connection_would_refuse),
      WITH_CALL(test_client_queue_without_utf8_check_takes_any_bytes),
      WITH_CALL(test_client_queue_keeps_a_copy_and_the_opcode),
      WITH_CALL(test_client_queue_follows_what_on_open_sends),
      WITH_CALL(test_client_queue_takes_messages_in_every_callback),
      WITH_CALL(test_client_queue_larger_than_the_send_queue_arrives_step_by_step),
      WITH_CALL(test_client_queue_goes_on_with_the_next_connection),
      WITH_CALL(test_client_open_send_beyond_the_limits_is_not_queued),
      WITH_CALL(test_client_queue_outlives_on_down_and_the_last_attempt),
      WITH_CALL(test_client_queue_is_dropped_by_free),
      WITH_CALL(test_client_queue_takes_nothing_once_this_side_has_closed),
      WITH_CALL(test_client_queue_takes_nothing_in_the_end_of_the_only_attempt),
  };
  return cmocka_run_group_tests_name("client_queue", tests, NULL, NULL);
}
