/*
 * permessage-deflate where a client does more than to connect: attempts, the queue, and the
 * blocking client.
 */
#include "both.h"
#include "echo.h"

#include <stdio.h>
#include <stdlib.h>

#define WITH_BOTH(f) cmocka_unit_test_setup_teardown(f, both_setup, both_teardown)

static Both *fresh(void **state) {
  both_teardown(state);
  both_setup(state);
  return *state;
}

/* Both ends send `times` messages, which refer to earlier ones where they may. */
static void talk(Both *b, int times) {
  char *json = some_json(2000, 1);
  const int there = b->w.messages, here = b->c.messages;
  for (int i = 1; i <= times; ++i) {
    assert_ok(ws_conn_send(b->w.conn, WS_OP_TEXT, json, 2000, 0));
    assert_ok(ws_client_send(b->c.client, WS_OP_TEXT, json, 2000, 0));
    both_wait(b, &b->w.messages, there + i);
    both_wait(b, &b->c.messages, here + i);
  }
  free(json);
}

/* Nothing of a connection reaches into the next one. */
static void test_client_after_reconnect_begins_with_new_contexts(void **state) {
  static const ws_deflate kModes[] = {WS_DEFLATE_SHARED, WS_DEFLATE_DEDICATED};
  for (size_t m = 0; m < COUNT_OF(kModes); ++m) {
    Both *b = fresh(state);
    b->w.limits.deflate = b->c.limits.deflate = kModes[m];
    b->c.config.retry_count = WS_NEVER;
    b->c.config.retry_min_ms = b->c.config.retry_max_ms = 1;
    both_open(b);
    uint64_t first_wire = 0;
    for (int round = 1; round <= 4; ++round) {
      talk(b, 5);
      const ws_deflate_info info = deflate_info_of(b->c.conn), other = deflate_info_of(b->w.conn);
      assert_int_equal(info.sent_plain_bytes, 10000);
      assert_int_equal(info.received_plain_bytes, 10000);
      assert_int_equal(info.sent_wire_bytes, other.received_wire_bytes);
      assert_int_equal(other.sent_wire_bytes, info.received_wire_bytes);
      if (round == 1) first_wire = info.sent_wire_bytes;
      assert_int_equal(info.sent_wire_bytes, first_wire);
      if (round & 1) {
        ws_conn_abort(b->w.conn);
      } else {
        assert_ok(ws_conn_close(b->w.conn, 1012, "again"));
      }
      both_wait(b, &b->c.opened, round + 1);
      both_wait(b, &b->w.opened, round + 1);
      both_wait(b, &b->w.closed, round);
    }
    /* The last pair's Closes may still be on their way. */
    const uint64_t windows = kModes[m] == WS_DEFLATE_SHARED ? 0 : 2 * 4096;
    const uint64_t end = clock_ms() + PATIENCE_MS;
    while (loop_stats_of(b->loop).deflate_bytes != windows && clock_ms() < end) run_for(b->loop, 1);
    assert_int_equal(loop_stats_of(b->loop).deflate_bytes, windows);
    both_leave(b);
    assert_int_equal(loop_stats_of(b->loop).deflate_bytes, 0);
  }
}

/* Attempts that fail give back what they have set aside. */
static void test_client_attempts_that_fail_hold_nothing_afterwards(void **state) {
  static const char kWrong[] =
      "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: %s\r\nSec-WebSocket-Extensions: permessage-deflate; x\r\n\r\n";
  static const char *const kAnswers[] = {
      "HTTP/1.1 503 Not now\r\nContent-Length: 0\r\n\r\n",
      kWrong,
      "nonsense\r\n\r\n",
  };
  Both *b = *state;
  b->c.limits.deflate = WS_DEFLATE_DEDICATED;
  b->c.config.retry_count = WS_NEVER;
  b->c.config.flags = WS_CLIENT_RETRY_ALL;
  b->c.config.retry_min_ms = b->c.config.retry_max_ms = 1;
  both_start(b);
  target_listen(&b->t, b->loop);
  caller_set_url(&b->c, "ws://127.0.0.1:%d/", b->t.port);
  caller_start(&b->c);
  for (int i = 0; i < 12; ++i) {
    Peer p;
    target_take(&b->t, &p);
    if ((size_t)(i % 4) < COUNT_OF(kAnswers)) target_answer(&b->t, &p, kAnswers[i % 4]);
    peer_drop(&p);
    both_wait(b, &b->c.downs, i + 1);
  }
  ws_client_free(b->c.client);
  b->c.client = NULL;
  run_for(b->loop, 20);
  assert_int_equal(loop_stats_of(b->loop).deflate_bytes, 0);
}

static void test_client_queue_keeps_the_flags_of_each_message(void **state) {
  static const struct {
    uint32_t flags;
    size_t len;
    int compressed;
  } kRows[] = {
      {0, 5000, 1},
      {WS_SEND_NO_DEFLATE, 5000, 0},
      {0, 100, 0},
      {WS_SEND_DEFLATE, 100, 1},
      {WS_SEND_LEVEL(9), 5000, 1},
      {WS_SEND_LATER, 5000, 1},
      {WS_SEND_LEVEL(1) | WS_SEND_DEFLATE, 5000, 1},
  };
  Both *b = *state;
  Peer p;
  b->c.config.queue_bytes = 1 << 20;
  both_start(b);
  target_listen(&b->t, b->loop);
  caller_set_url(&b->c, "ws://127.0.0.1:%d/", b->t.port);
  caller_start(&b->c);
  char *json = some_json(5000, 1);
  for (size_t i = 0; i < COUNT_OF(kRows); ++i) {
    assert_ok(ws_client_send(b->c.client, WS_OP_BINARY, json, kRows[i].len, kRows[i].flags));
  }
  assert_fails(WS_ERR_INVALID,
               ws_client_send(b->c.client, WS_OP_BINARY, json, 1, WS_SEND_LEVEL(10)));
  assert_fails(WS_ERR_INVALID, ws_client_send(b->c.client, WS_OP_BINARY, json, 1,
                                              WS_SEND_DEFLATE | WS_SEND_NO_DEFLATE));
  assert_fails(WS_ERR_UNSUPPORTED, ws_client_send(b->c.client, WS_OP_BINARY, json, 1, 1u << 4));
  target_take(&b->t, &p);
  target_switch(&b->t, &p, DEFLATE_FIELD NO_TAKEOVER "\r\n");
  size_t size[COUNT_OF(kRows)];
  for (size_t i = 0; i < COUNT_OF(kRows); ++i) {
    WireFrame f;
    peer_read_frame(&p, &f);
    if (f.first != (kRows[i].compressed ? ZIPPED_BINARY : FIN_BINARY)) {
      fail_msg("message %zu begins with %02x", i, f.first);
    }
    if (kRows[i].compressed) {
      expect_unzipped(&f, json, kRows[i].len);
    } else {
      assert_bytes(f.payload, f.len, json, kRows[i].len);
    }
    size[i] = f.len;
  }
  assert_true(size[4] != size[0]);
  assert_int_equal(size[6], size[0]);
  free(json);
  peer_drop(&p);
  both_wait(b, &b->c.closed, 1);
}

/* ---- the blocking client ---- */

static int compressing_echo_setup(void **state) {
  Echo *e = malloc(sizeof *e);
  echo_prepare(e);
  e->limits.deflate = WS_DEFLATE_DEDICATED;
  e->limits.max_message_bytes = 32u << 20;
  e->limits.send_limit_bytes = 64u << 20;
  echo_start(e);
  *state = e;
  return 0;
}

static void test_sync_echoes_compressed_messages_of_any_size(void **state) {
  static const size_t kSizes[] = {0, 1, 31, 32, 255, 256, 1000, 65535, 65536, 1u << 20, 9u << 20};
  static const ws_deflate kModes[] = {WS_DEFLATE_OFF, WS_DEFLATE_SHARED, WS_DEFLATE_DEDICATED};
  char *json = some_json(9u << 20, 1);
  for (size_t m = 0; m < COUNT_OF(kModes); ++m) {
    ws_conn_config limits;
    WS_INIT(&limits);
    limits.deflate = kModes[m];
    limits.max_message_bytes = 32u << 20;
    ws_sync *s = sync_join_with(*state, &limits);
    uint64_t compressed = 0;
    for (size_t i = 0; i < COUNT_OF(kSizes); ++i) {
      ws_opcode op = (ws_opcode)0;
      const void *data = NULL;
      size_t len = 0;
      assert_ok(ws_sync_send(s, WS_OP_TEXT, json, kSizes[i]));
      assert_ok(ws_sync_recv(s, 6 * PATIENCE_MS, &op, &data, &len));
      assert_int_equal(op, WS_OP_TEXT);
      assert_bytes(data, len, json, kSizes[i]);
      const size_t least = kModes[m] == WS_DEFLATE_DEDICATED ? 32 : 256;
      if (kSizes[i] >= least) compressed += kSizes[i];
    }
    const ws_deflate_info info = deflate_info_of(ws_sync_conn(s));
    if (kModes[m] == WS_DEFLATE_OFF) compressed = 0;
    assert_int_equal((info.flags & WS_DEFLATE_AGREED) != 0, kModes[m] != WS_DEFLATE_OFF);
    assert_in_range(info.sent_plain_bytes, compressed - compressed / 1000, compressed);
    assert_in_range(info.sent_wire_bytes, 0, compressed / 2);
    assert_in_range(info.received_wire_bytes, 0, compressed / 2);
    assert_ok(ws_sync_close(s, 1000, NULL));
    ws_sync_free(s);
  }
  free(json);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_BOTH(test_client_after_reconnect_begins_with_new_contexts),
      WITH_BOTH(test_client_attempts_that_fail_hold_nothing_afterwards),
      WITH_BOTH(test_client_queue_keeps_the_flags_of_each_message),
      cmocka_unit_test_setup_teardown(test_sync_echoes_compressed_messages_of_any_size,
                                      compressing_echo_setup, echo_teardown),
  };
  return cmocka_run_group_tests_name("deflate_client", tests, NULL, NULL);
}
