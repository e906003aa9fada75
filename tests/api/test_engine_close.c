/*
 * engine.h, endings for both roles: the closing handshake, faults of the peer, the end of the
 * stream in every state.
 */
#include "side.h"

#include <stdlib.h>

/* req: 78, 88, 89, 96 */
/* bad: 118, 137 */
static void test_engine_good_close_codes_are_echoed_and_reported(void **state) {
  (void)state;
  static const uint16_t codes[] = {1000, 1001, 1002, 1003, 1007, 1008, 1009, 1010,
                                   1011, 1012, 1013, 1014, 3000, 3999, 4000, 4999};
  FOR_BOTH_ROLES(role) {
    for (size_t i = 0; i < COUNT_OF(codes); ++i) {
      Side s;
      side_start_open(&s, role);
      s.cut = i % 2 ? BYTES : WHOLE;
      side_close_frame(&s, codes[i], "why");
      assert_int_equal(s.how.code, codes[i]);
      assert_int_equal(s.how.sent_code, codes[i]);
      assert_int_equal(s.how.error, WS_OK);
      assert_int_equal(s.how.flags, WS_CLOSE_CLEAN | WS_CLOSE_BY_PEER);
      assert_string_equal(s.reason, "why");
      assert_int_equal(s.how.reason_len, 3);
      assert_true(s.how.size >= sizeof(ws_close_info));
      side_expect_sent_close(&s, codes[i]);
      side_free(&s);
    }
  }
}

/* req: 94, 95 */
/* bad: 117, 132 */
static void test_engine_bad_close_codes_are_failed_and_not_sendable(void **state) {
  (void)state;
  static const uint16_t codes[] = {0,    1,    999,  1004, 1005, 1006, 1015,
                                   1016, 1100, 2000, 2999, 5000, 65535};
  FOR_BOTH_ROLES(role) {
    for (size_t i = 0; i < COUNT_OF(codes); ++i) {
      Side s;
      uint8_t body[2] = {(uint8_t)(codes[i] >> 8), (uint8_t)codes[i]};
      side_start_open(&s, role);
      if (codes[i] != 0) assert_fails(WS_ERR_INVALID, ws_engine_close(s.e, codes[i], NULL));
      side_expect_sent_nothing(&s);
      side_frame(&s, FIN_CLOSE, body, 2);
      side_expect(&s, "close:1006/1002/-80 ");
      side_expect_sent_close(&s, 1002);
      side_free(&s);
    }
  }
}

/* req: 98 */
static void test_engine_close_1010_is_for_clients_only(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    side_start_open(&s, role);
    assert_int_equal(ws_engine_close(s.e, 1010, NULL), role == CLIENT ? WS_OK : WS_ERR_INVALID);
    if (role == CLIENT) side_expect_sent_close(&s, 1010);
    side_expect_sent_nothing(&s);
    side_free(&s);
  }
}

/* req: 72, 74, 75, 76 */
/* bad: 116, 119, 120, 121, 133 */
static void test_engine_close_bodies_at_their_borders(void **state) {
  (void)state;
  char reason[125];
  memset(reason, 'r', 124);
  reason[124] = '\0';
  FOR_BOTH_ROLES(role) {
    Side s;
    side_start_open(&s, role);
    assert_fails(WS_ERR_INVALID, ws_engine_close(s.e, 1000, reason));
    assert_fails(WS_ERR_INVALID, ws_engine_close(s.e, 1000, "\xed\xa0\x80"));
    assert_fails(WS_ERR_INVALID, ws_engine_close(s.e, 0, "x"));
    assert_ok(ws_engine_close(s.e, 1000, reason + 1));
    side_close_frame(&s, 1000, reason + 1);
    side_expect(&s, "close:1000/1000/0 ");
    assert_string_equal(s.reason, reason + 1);
    side_free(&s);
    side_start_open(&s, role);
    side_close_frame(&s, 1000, reason); /* 126 bytes */
    side_expect(&s, "close:1006/1002/-80 ");
    side_free(&s);
    side_start_open(&s, role);
    side_frame(&s, FIN_CLOSE, "\x03", 1);
    side_expect(&s, "close:1006/1002/-80 ");
    side_free(&s);
    side_start_open(&s, role);
    side_frame(&s, FIN_CLOSE, "\x03\xe8\xe2\x82", 4); /* a cut code point */
    side_expect(&s, "close:1006/1007/-81 ");
    assert_string_equal(s.reason, "");
    side_free(&s);
    side_start_open(&s, role);
    side_close_frame(&s, 0, NULL);
    side_expect(&s, "close:1005/1005/0 ");
    side_expect_sent_close(&s, 0);
    side_free(&s);
  }
}

/* req: 82, 88 */
/* bad: 124 */
static void test_engine_close_from_both_sides_at_once_is_clean(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    side_start_open(&s, role);
    assert_ok(ws_engine_close(s.e, 3001, "mine"));
    assert_fails(WS_ERR_CLOSED, ws_engine_close(s.e, 3001, "mine"));
    side_close_frame(&s, 3002, "theirs");
    side_expect(&s, "close:3002/3001/0 ");
    assert_int_equal(s.how.flags, WS_CLOSE_CLEAN);
    assert_string_equal(s.reason, "theirs");
    side_expect_sent_close(&s, 3001);
    side_expect_sent_nothing(&s);
    side_free(&s);
  }
}

/* req: 81 */
/* bad: 123 */
static void test_engine_close_inside_a_fragmented_message_drops_it(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    side_start_open(&s, role);
    side_frame(&s, PART_TEXT, "half", 4);
    side_close_frame(&s, 1000, NULL);
    side_frame(&s, PART_LAST, "half", 4);
    side_expect(&s, "close:1000/1000/0 ");
    side_expect_sent_close(&s, 1000);
    side_free(&s);
  }
}

/* The same bytes for both roles: what is a fault for one in a frame's second byte is not for the
 * other, so the mask is left to the helper. */
typedef struct Fault {
  uint8_t first;
  const char *payload;
  size_t len;
  uint16_t code;
  int error;
} Fault;

/* req: 57, 58, 64, 73, 90, 91, 99, 112 */
/* bad: 79, 80, 94, 100, 103, 106, 109 */
static void test_engine_faults_end_the_connection_with_nothing_after(void **state) {
  (void)state;
  static const Fault faults[] = {
      {0x91, "", 0, 1002, WS_ERR_PROTOCOL},
      {0xa1, "", 0, 1002, WS_ERR_PROTOCOL},
      {0xc1, "", 0, 1002, WS_ERR_PROTOCOL},
      {0xf8, "", 0, 1002, WS_ERR_PROTOCOL},
      {0x83, "", 0, 1002, WS_ERR_PROTOCOL},
      {0x87, "", 0, 1002, WS_ERR_PROTOCOL},
      {0x8b, "", 0, 1002, WS_ERR_PROTOCOL},
      {0x8f, "", 0, 1002, WS_ERR_PROTOCOL},
      {0x80, "x", 1, 1002, WS_ERR_PROTOCOL},
      {0x00, "", 0, 1002, WS_ERR_PROTOCOL},
      {0x09, "", 0, 1002, WS_ERR_PROTOCOL},
      {0x08, "", 0, 1002, WS_ERR_PROTOCOL},
      {0x81, "\xc3\x28", 2, 1007, WS_ERR_UTF8},
      {0x81, "\xc0\x80", 2, 1007, WS_ERR_UTF8},
      {0x81, "\xed\xa0\x80", 3, 1007, WS_ERR_UTF8},
      {0x81, "\xf4\x90\x80\x80", 4, 1007, WS_ERR_UTF8},
      {0x81, "a\x80", 2, 1007, WS_ERR_UTF8},
      {0x81, "ab\xe2\x82", 4, 1007, WS_ERR_UTF8},
  };
  FOR_BOTH_ROLES(role) {
    for (size_t i = 0; i < COUNT_OF(faults); ++i) {
      for (int cut = WHOLE; cut <= IN_PLACE; ++cut) {
        const Fault *f = &faults[i];
        Side s;
        uint8_t wire[128];
        size_t n = 0;
        side_start_open(&s, role);
        s.cut = (Cut)cut;
        n += side_peer_frame(&s, wire + n, FIN_TEXT, "before", 6);
        n += side_peer_frame(&s, wire + n, f->first, f->payload, f->len);
        n += side_peer_frame(&s, wire + n, FIN_TEXT, "after", 5);
        n += side_peer_frame(&s, wire + n, FIN_CLOSE, "\x03\xe8", 2);
        side_feed(&s, wire, n);
        assert_int_equal(strncmp(s.log, "text:before close:1006/", 23), 0);
        assert_int_equal(s.how.error, f->error);
        assert_int_equal(s.how.sent_code, f->code);
        assert_true(s.how.detail[0] != '\0');
        side_expect_sent_close(&s, f->code);
        side_expect_sent_nothing(&s);
        side_free(&s);
      }
    }
  }
}

/* req: 59, 60, 65 */
/* bad: 77, 78, 81, 82, 83, 84, 86, 87, 93, 101 */
static void test_engine_bad_headers_are_refused_before_their_payload(void **state) {
  (void)state;
  static const struct {
    int role;
    const char *bytes;
    size_t len;
    uint16_t code;
  } all[] = {
      {SERVER, "\x81\x05", 2, 1002},
      {CLIENT, "\x81\x85", 2, 1002},
      {SERVER, "\x89\xfe", 2, 1002},
      {CLIENT, "\x89\x7e", 2, 1002},
      {SERVER, "\x88\xff", 2, 1002},
      {CLIENT, "\x8a\x7f", 2, 1002},
      {SERVER, "\x83\xff", 2, 1002},
      {SERVER, "\x82\xfe\x00\x7d\0\0\0\0", 8, 1002},
      {CLIENT, "\x82\x7e\x00\x7d", 4, 1002},
      {SERVER, "\x82\xff\0\0\0\0\0\0\xff\xff\0\0\0\0", 14, 1002},
      {CLIENT, "\x82\x7f\0\0\0\0\0\0\xff\xff", 10, 1002},
      {SERVER, "\x82\xff\x80\0\0\0\0\0\0\x01\0\0\0\0", 14, 1002},
      {CLIENT, "\x82\x7f\xff\xff\xff\xff\xff\xff\xff\xf8", 10, 1002},
      {SERVER, "\x82\xff\x7f\xff\xff\xff\xff\xff\xff\xff\0\0\0\0", 14, 1009},
      {CLIENT, "\x82\x7f\0\0\0\x01\0\0\0\x05", 10, 1009},
      {SERVER, "\x82\xff\0\0\0\0\x7f\xff\xff\xff\0\0\0\0", 14, 1009},
      {SERVER, "\x01\x81\0\0\0\0\x61\x81\x81\0\0\0\0\x62", 14, 1002},
      {CLIENT, "\x01\x01\x61\x82\x01\x62", 6, 1002},
  };
  for (size_t i = 0; i < COUNT_OF(all); ++i) {
    for (int cut = WHOLE; cut <= IN_PLACE; ++cut) {
      Side s;
      side_start_open(&s, all[i].role);
      s.cut = (Cut)cut;
      side_feed(&s, all[i].bytes, all[i].len);
      assert_int_equal(s.how.sent_code, all[i].code);
      side_expect_sent_close(&s, all[i].code);
      side_free(&s);
    }
  }
}

/* bad: 90 */
static void test_engine_end_of_stream_inside_a_header_is_1006(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    uint8_t header[WIRE_OVERHEAD];
    size_t whole = role == SERVER ? wire_client_header(header, FIN_BINARY, 70000)
                                  : wire_server_header(header, FIN_BINARY, 70000);
    for (size_t n = 0; n <= whole; ++n) {
      Side s;
      side_start_open(&s, role);
      side_feed(&s, header, n);
      side_eof(&s);
      side_expect(&s, "close:1006/0/-23 ");
      assert_int_equal(s.how.flags, WS_CLOSE_BY_PEER);
      assert_int_equal(ws_engine_want(s.e), WS_WANT_CLOSE);
      side_eof(&s); /* idempotent */
      side_expect(&s, "");
      side_free(&s);
    }
  }
}

/* req: 93 */
/* bad: 70, 128, 178 */
static void test_engine_end_of_stream_in_every_state_ends_once(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    /* before anything, and inside the head */
    for (size_t n = 0; n < 20; n += 5) {
      side_prepare(&s, role);
      side_start(&s);
      side_feed(&s, role == SERVER ? WIRE_OPEN("/", "") : "HTTP/1.1 101 Switching Protocols", n);
      side_eof(&s);
      side_expect(&s, "close:1006/0/-23 ");
      side_free(&s);
    }
    /* with data before it in the same turn */
    uint8_t wire[64];
    side_start_open(&s, role);
    assert_ok(ws_engine_feed(s.e, wire, side_peer_frame(&s, wire, FIN_TEXT, "last", 4)));
    assert_ok(ws_engine_feed_eof(s.e));
    side_events(&s);
    side_expect(&s, "text:last close:1006/0/-23 ");
    side_free(&s);
    /* while closing */
    side_start_open(&s, role);
    assert_ok(ws_engine_close(s.e, 1000, NULL));
    side_eof(&s);
    side_expect(&s, "close:1006/1000/-23 ");
    side_free(&s);
    /* after the peer's Close: our answer still leaves */
    side_start_open(&s, role);
    side_close_frame(&s, 1000, NULL);
    side_eof(&s);
    side_expect(&s, "close:1000/1000/0 ");
    side_expect_sent_close(&s, 1000);
    assert_int_equal(ws_engine_want(s.e), WS_WANT_CLOSE);
    side_free(&s);
  }
  Side s;
  side_prepare(&s, SERVER);
  s.answer_later = 1;
  side_start(&s);
  side_say(&s, WIRE_OPEN("/", ""));
  ws_request *r = ws_request_ref(ws_engine_request(s.e));
  side_eof(&s);
  side_expect(&s, "request close:1006/0/-23 ");
  assert_fails(WS_ERR_CLOSED, ws_request_accept(r, NULL));
  ws_request_unref(r);
  side_free(&s);
}

/* req: 68, 77 */
/* bad: 134, 135 */
static void test_engine_sends_only_while_open(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    for (int closed = 0; closed < 3; ++closed) {
      Side s;
      ws_message *m;
      assert_ok(ws_message_new(WS_OP_TEXT, "m", 1, &m));
      side_prepare(&s, role);
      side_start(&s);
      if (closed) side_open(&s);
      if (closed == 1) assert_ok(ws_engine_close(s.e, 1000, NULL));
      if (closed == 2) side_eof(&s);
      assert_fails(WS_ERR_CLOSED, ws_engine_send(s.e, WS_OP_TEXT, "x", 1, 0));
      assert_fails(WS_ERR_CLOSED, ws_engine_send_part(s.e, WS_OP_TEXT, "x", 1, 1));
      assert_fails(WS_ERR_CLOSED, ws_engine_send_message(s.e, m));
      assert_fails(WS_ERR_CLOSED, ws_engine_ping(s.e, NULL, 0));
      assert_fails(WS_ERR_CLOSED, ws_engine_pong(s.e, NULL, 0));
      if (closed) assert_fails(WS_ERR_CLOSED, ws_engine_close(s.e, 1000, NULL));
      ws_message_unref(m);
      side_free(&s);
    }
  }
}

/* bad: 134 */
static void test_engine_close_before_open_cancels(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    side_prepare(&s, role);
    side_start(&s);
    s.sent_taken = s.sent_len;
    assert_ok(ws_engine_close(s.e, 1000, NULL));
    side_events(&s);
    side_expect(&s, "close:1006/0/-10 ");
    side_expect_sent_nothing(&s);
    assert_int_equal(ws_engine_want(s.e), WS_WANT_CLOSE);
    side_free(&s);
  }
}

/* The end of the stream is the peer's doing only when our Close did not go first. */
static void test_engine_end_after_our_close_is_not_by_the_peer(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    side_start_open(&s, role);
    assert_ok(ws_engine_close(s.e, 1000, NULL));
    side_expect_sent_close(&s, 1000);
    side_eof(&s);
    assert_int_equal(s.how.error, WS_ERR_EOF);
    assert_int_equal(s.how.sent_code, 1000);
    assert_int_equal(s.how.flags, 0);
    side_free(&s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_engine_good_close_codes_are_echoed_and_reported),
      cmocka_unit_test(test_engine_bad_close_codes_are_failed_and_not_sendable),
      cmocka_unit_test(test_engine_close_1010_is_for_clients_only),
      cmocka_unit_test(test_engine_close_bodies_at_their_borders),
      cmocka_unit_test(test_engine_close_from_both_sides_at_once_is_clean),
      cmocka_unit_test(test_engine_close_inside_a_fragmented_message_drops_it),
      cmocka_unit_test(test_engine_faults_end_the_connection_with_nothing_after),
      cmocka_unit_test(test_engine_bad_headers_are_refused_before_their_payload),
      cmocka_unit_test(test_engine_end_of_stream_inside_a_header_is_1006),
      cmocka_unit_test(test_engine_end_of_stream_in_every_state_ends_once),
      cmocka_unit_test(test_engine_sends_only_while_open),
      cmocka_unit_test(test_engine_close_before_open_cancels),
      cmocka_unit_test(test_engine_end_after_our_close_is_not_by_the_peer),
  };
  return cmocka_run_group_tests_name("engine_close", tests, NULL, NULL);
}
