/*
 * fragment_bytes: large messages leave in frames that are made as the queue empties.  What may pass
 * between them, what may not, and what the peer makes of them.
 */
#include "slow.h"

#include <stdlib.h>

#define PIECE 65536

static uint8_t *pattern(size_t len) {
  uint8_t *data = malloc(len);
  assert_non_null(data);
  for (size_t i = 0; i < len; ++i) data[i] = (uint8_t)(i * 31 + i / PIECE);
  return data;
}

static Both *open_wire(void **state, Peer *p, int role, uint64_t fragment, ws_conn **out) {
  both_setup(state);
  Both *b = *state;
  b->w.limits.deflate = b->c.limits.deflate = WS_DEFLATE_OFF;
  ws_conn_config *limits = both_limits(b, role);
  limits->fragment_bytes = fragment;
  limits->send_limit_bytes = 80 << 20;
  both_start(b);
  *out = both_meet(b, role, p, "");
  return b;
}

static void close_wire(void **state, Peer *p) {
  peer_drop(p);
  both_teardown(state);
}

/* One frame below and at the size, two above it. */
static void test_slow_messages_are_cut_from_one_byte_more_than_a_fragment(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    for (int prepared = 0; prepared < 2; ++prepared) {
      void *one;
      Peer p;
      ws_conn *c;
      uint8_t *data = pattern(5000);
      open_wire(&one, &p, role, 2000, &c);
      static const size_t sizes[] = {0, 1999, 2000, 2001, 4000, 4001, 5000};
      for (size_t i = 0; i < COUNT_OF(sizes); ++i) {
        const size_t len = sizes[i];
        if (prepared) {
          ws_message *m;
          assert_ok(ws_message_new(WS_OP_BINARY, data, len, &m));
          assert_ok(ws_conn_send_message(c, m));
          ws_message_unref(m);
        } else {
          assert_ok(ws_conn_send(c, WS_OP_BINARY, data, len, 0));
        }
        if (!faults_are_on()) assert_int_equal(ws_conn_buffered(c), 0);
        size_t at = 0;
        do {
          const size_t n = len - at < 2000 ? len - at : 2000;
          const uint8_t first =
              (uint8_t)((at == 0 ? WS_OP_BINARY : 0) | (at + n == len ? 0x80 : 0));
          peer_expect_frame(&p, first, data + at, n);
          at += n;
        } while (at < len);
      }
      assert_int_equal(stats_of(c).messages_out, COUNT_OF(sizes));
      peer_expect_quiet(&p);
      free(data);
      close_wire(&one, &p);
    }
  }
}

/* Text may be cut inside a code point (RFC 6455 5.4); it was checked as a whole. */
static void test_slow_text_is_checked_once_and_cut_anywhere(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    void *one;
    Peer p;
    ws_conn *c;
    static char text[3001];
    memset(text, 'a', sizeof text);
    memcpy(text + 1023, "\xE2\x82\xAC", 3);
    open_wire(&one, &p, role, 1024, &c);
    assert_ok(ws_conn_send(c, WS_OP_TEXT, text, sizeof text, 0));
    peer_expect_frame(&p, PART_TEXT, text, 1024);
    peer_expect_frame(&p, PART_MORE, text + 1024, 1024);
    peer_expect_frame(&p, PART_LAST, text + 2048, sizeof text - 2048);
    text[3000] = '\xE2';
    assert_fails(WS_ERR_UTF8, ws_conn_send(c, WS_OP_TEXT, text, sizeof text, 0));
    assert_fails(WS_ERR_INVALID, ws_conn_send(c, WS_OP_PING, text, sizeof text, 0));
    assert_fails(WS_ERR_INVALID, ws_conn_send(c, WS_OP_TEXT, NULL, sizeof text, 0));
    assert_fails(WS_ERR_UNSUPPORTED, ws_conn_send(c, WS_OP_TEXT, text, sizeof text, 1u << 30));
    peer_expect_quiet(&p);
    close_wire(&one, &p);
  }
}

static void expect_rest(Peer *p, const uint8_t *data, size_t len, size_t at) {
  while (at < len) {
    const size_t n = len - at < PIECE ? len - at : PIECE;
    peer_expect_frame(p, at + n == len ? PART_LAST : PART_MORE, data + at, n);
    at += n;
  }
}

static void test_slow_ping_is_answered_while_64_mib_are_under_way(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    void *one;
    Peer p;
    ws_conn *c;
    const size_t len = (size_t)64 << 20;
    uint8_t *data = pattern(len);
    ws_message *m;
    Both *b = open_wire(&one, &p, role, PIECE, &c);
    assert_ok(ws_message_wrap(WS_OP_BINARY, data, len, NULL, NULL, &m));
    assert_int_equal(ws_conn_send_message(c, m), WS_BACKPRESSURE);
    ws_message_unref(m);
    assert_int_equal(stats_of(c).waiting_messages, 1);
    peer_expect_frame(&p, PART_BINARY, data, PIECE);
    peer_send_frame(&p, FIN_PING, "are you there", 13);
    size_t at = PIECE;
    WireFrame f;
    for (;;) {
      peer_read_frame(&p, &f);
      if (f.first == FIN_PONG) break;
      assert_int_equal(f.first, PART_MORE);
      assert_bytes(f.payload, f.len, data + at, PIECE);
      at += f.len;
    }
    assert_bytes(f.payload, f.len, "are you there", 13);
    assert_true(at < len / 2);
    assert_int_equal(stats_of(c).waiting_messages, 1);
    expect_rest(&p, data, len, at);
    assert_int_equal(stats_of(c).messages_out, 1);
    both_wait(b, role == SERVER ? &b->w.drains : &b->c.drains, 1);
    free(data);
    close_wire(&one, &p);
  }
}

/* A large message is begun, a small one waits behind it, an urgent one comes last. */
static void test_slow_urgent_message_waits_for_one_message_only(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    void *one;
    Peer p;
    ws_conn *c;
    const size_t len = (size_t)16 << 20;
    uint8_t *data = pattern(len);
    ws_message *urgent;
    open_wire(&one, &p, role, PIECE, &c);
    assert_int_equal(ws_conn_send(c, WS_OP_BINARY, data, len, 0), WS_BACKPRESSURE);
    peer_expect_frame(&p, PART_BINARY, data, PIECE);
    assert_int_equal(ws_conn_send(c, WS_OP_BINARY, data, len, 0), WS_BACKPRESSURE);
    assert_int_equal(ws_conn_send(c, WS_OP_TEXT, "small", 5, 0), WS_BACKPRESSURE);
    assert_ok(ws_message_new(WS_OP_TEXT, "urgent", 6, &urgent));
    assert_ok(ws_message_set_urgency(urgent, 1));
    assert_int_equal(ws_conn_send_message(c, urgent), WS_BACKPRESSURE);
    ws_message_unref(urgent);
    assert_int_equal(stats_of(c).waiting_messages, 4);
    expect_rest(&p, data, len, PIECE);
    peer_expect_text(&p, "urgent");
    peer_expect_frame(&p, PART_BINARY, data, PIECE);
    expect_rest(&p, data, len, PIECE);
    peer_expect_text(&p, "small");
    free(data);
    close_wire(&one, &p);
  }
}

/* The application's own pieces come behind what waits, with the flags it gave for them. */
static void test_slow_parts_of_the_application_follow_what_waits(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    void *one;
    Peer p;
    ws_conn *c;
    const size_t len = (size_t)16 << 20;
    uint8_t *data = pattern(len);
    open_wire(&one, &p, role, PIECE, &c);
    assert_ok(ws_conn_begin_parts(c, WS_SEND_NO_UTF8_CHECK));
    assert_int_equal(ws_conn_send(c, WS_OP_BINARY, data, len, 0), WS_BACKPRESSURE);
    assert_int_equal(ws_conn_send(c, WS_OP_TEXT, "next", 4, 0), WS_BACKPRESSURE);
    assert_int_equal(ws_conn_send_part(c, WS_OP_TEXT, "\xE2one", 4, 0), WS_BACKPRESSURE);
    assert_int_equal(stats_of(c).waiting_messages, 0);
    assert_fails(WS_ERR_STATE, ws_conn_send(c, WS_OP_BINARY, data, len, 0));
    assert_fails(WS_ERR_STATE, ws_conn_send(c, WS_OP_TEXT, "no", 2, 0));
    assert_int_equal(ws_conn_send_part(c, WS_OP_TEXT, "two", 3, 1), WS_BACKPRESSURE);
    assert_int_equal(ws_conn_send(c, WS_OP_TEXT, "last", 4, 0), WS_BACKPRESSURE);
    WireFrame f;
    size_t at = 0;
    do {
      peer_read_frame(&p, &f);
      assert_bytes(f.payload, f.len, data + at, f.len);
      at += f.len;
    } while ((f.first & 0x80) == 0);
    assert_int_equal(at, len);
    peer_expect_text(&p, "next");
    peer_expect_frame(&p, PART_TEXT, "\xE2one", 4);
    peer_expect_frame(&p, PART_LAST, "two", 3);
    peer_expect_text(&p, "last");
    free(data);
    close_wire(&one, &p);
  }
}

static void send_in_callback(World *w, const char *event, ws_conn *c) {
  if (strcmp(event, "message") != 0) return;
  assert_true(ws_conn_send(c, WS_OP_BINARY, w->extra, 100000, 0) >= 0);
  assert_true(ws_conn_send(c, WS_OP_TEXT, "behind", 6, WS_SEND_LATER) >= 0);
}

static void test_slow_fragments_leave_with_the_turn_and_with_a_flush(void **state) {
  (void)state;
  void *one;
  Peer p;
  ws_conn *c;
  uint8_t *data = pattern(100000);
  Both *b = open_wire(&one, &p, SERVER, PIECE, &c);
  b->w.extra = data;
  b->w.on = send_in_callback;
  peer_send_text(&p, "go");
  peer_expect_frame(&p, PART_BINARY, data, PIECE);
  expect_rest(&p, data, 100000, PIECE);
  peer_expect_text(&p, "behind");
  b->w.on = NULL;
  assert_ok(ws_conn_send(c, WS_OP_BINARY, data, 100000, WS_SEND_LATER));
  assert_int_equal(ws_conn_buffered(c), 100000);
  assert_int_equal(stats_of(c).waiting_bytes, 100000);
  assert_ok(ws_conn_flush(c));
  if (!faults_are_on()) assert_int_equal(ws_conn_buffered(c), 0);
  peer_expect_frame(&p, PART_BINARY, data, PIECE);
  expect_rest(&p, data, 100000, PIECE);
  assert_int_equal(b->w.drains, 0);
  free(data);
  close_wire(&one, &p);
}

/* Messages that are cut are compressed over all their frames. */
static void test_slow_fragments_are_compressed_where_that_was_agreed_on(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    for (ws_deflate mode = WS_DEFLATE_SHARED; mode <= WS_DEFLATE_DEDICATED;
         mode = (ws_deflate)(mode + 1)) {
      void *one;
      Slow s;
      both_setup(&one);
      Both *b = one;
      b->w.limits.deflate = b->c.limits.deflate = mode;
      both_limits(b, role)->fragment_bytes = 4096;
      both_open(b);
      slow_begin(&s, &b->w, &b->c, role);
      assert_ok(ws_conn_resume(s.to));
      char *json = some_json(300000, 1);
      for (uint32_t i = 1; i <= 20; ++i) {
        memcpy(json, &i, 4);
        assert_true(ws_conn_send(s.from, WS_OP_BINARY, json, 300000,
                                 i % 4 == 0 ? WS_SEND_NO_DEFLATE : 0) >= 0);
        assert_true(send_raw(&s, 100 + i, 300) >= 0);
      }
      slow_read_all(&s);
      assert_int_equal(s.count, 40);
      for (uint32_t i = 0; i < 40; ++i) {
        assert_int_equal(s.got[i], i % 2 == 0 ? i / 2 + 1 : 100 + i / 2 + 1);
      }
      const ws_deflate_info info = deflate_info_of(s.from);
      assert_true(info.sent_plain_bytes >= 15 * 300000);
      assert_true(info.sent_wire_bytes < info.sent_plain_bytes / 2);
      free(json);
      slow_free(&s);
      both_teardown(&one);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_slow_messages_are_cut_from_one_byte_more_than_a_fragment),
      cmocka_unit_test(test_slow_text_is_checked_once_and_cut_anywhere),
      cmocka_unit_test(test_slow_ping_is_answered_while_64_mib_are_under_way),
      cmocka_unit_test(test_slow_urgent_message_waits_for_one_message_only),
      cmocka_unit_test(test_slow_parts_of_the_application_follow_what_waits),
      cmocka_unit_test(test_slow_fragments_leave_with_the_turn_and_with_a_flush),
      cmocka_unit_test(test_slow_fragments_are_compressed_where_that_was_agreed_on),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
