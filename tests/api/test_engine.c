/*
 * engine.h, messages in and out for both roles: the order of calls, landing, chunks, control
 * frames, marks.  Time is in test_engine_time.c, endings in test_engine_close.c, the client's
 * handshake in test_engine_client.c.
 */
#include "side.h"

#include <stdlib.h>

static uint8_t *pattern(size_t len) {
  uint8_t *data = malloc(len + 1);
  for (size_t i = 0; i < len; ++i) data[i] = (uint8_t)('a' + (i * 7 + i / 251) % 26);
  return data;
}

/* req: 52, 53, 54, 55, 61, 67 */
/* bad: 89, 92, 102 */
static void test_engine_script_gives_the_same_events_in_every_delivery(void **state) {
  (void)state;
  static const Cut cuts[] = {WHOLE, BYTES, RANDOM, IN_PLACE};
  FOR_BOTH_ROLES(role) {
    for (size_t i = 0; i < COUNT_OF(cuts); ++i) {
      Side s;
      uint8_t wire[2048];
      uint8_t *data = pattern(300);
      size_t n = 0;
      side_prepare(&s, role);
      s.cut = cuts[i];
      side_start(&s);
      side_open(&s);
      n += side_peer_frame(&s, wire + n, FIN_TEXT, "hello", 5);
      n += side_peer_frame(&s, wire + n, FIN_BINARY, "", 0);
      n += side_peer_frame(&s, wire + n, PART_TEXT, "caf\xC3", 4);
      n += side_peer_frame(&s, wire + n, FIN_PING, data, 125);
      n += side_peer_frame(&s, wire + n, PART_MORE, "", 0);
      n += side_peer_frame(&s, wire + n, FIN_PONG, "x", 1);
      n += side_peer_frame(&s, wire + n, PART_LAST, "\xA9", 1);
      n += side_peer_frame(&s, wire + n, FIN_BINARY, data, 300);
      n += side_peer_frame(&s, wire + n, FIN_CLOSE,
                           "\x0f\xa0"
                           "bye",
                           5);
      n += side_peer_frame(&s, wire + n, FIN_TEXT, "late", 4);
      side_feed(&s, wire, n);
      side_expect(&s,
                  "text:hello binary: ping#125 pong:x text:caf\xC3\xA9 binary#300 "
                  "close:4000/4000/0 ");
      assert_string_equal(s.reason, "bye");
      side_expect_sent(&s, FIN_PONG, data, 125);
      side_expect_sent_close(&s, 4000);
      side_expect_sent_nothing(&s);
      free(data);
      side_free(&s);
    }
  }
}

static void test_engine_feed_before_next_is_done_is_a_state_error(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    ws_event ev;
    uint8_t wire[64];
    size_t n = 0;
    WS_INIT(&ev);
    side_start_open(&s, role);
    n += side_peer_frame(&s, wire + n, FIN_TEXT, "1", 1);
    n += side_peer_frame(&s, wire + n, FIN_TEXT, "2", 1);
    assert_ok(ws_engine_feed(s.e, wire, n));
    assert_fails(WS_ERR_STATE, ws_engine_feed(s.e, wire, n));
    assert_int_equal(ws_engine_next(s.e, &ev), 1);
    assert_fails(WS_ERR_STATE, ws_engine_feed(s.e, wire, n));
    assert_fails(WS_ERR_STATE, ws_engine_feed_inplace(s.e, wire, n));
    side_events(&s);
    side_expect(&s, "text:2 ");
    assert_ok(ws_engine_feed(s.e, NULL, 0));
    assert_fails(WS_ERR_INVALID, ws_engine_feed(s.e, NULL, 1));
    assert_fails(WS_ERR_INVALID, ws_engine_feed_inplace(s.e, NULL, 1));
    side_feed(&s, wire, n);
    side_expect(&s, "text:1 text:2 ");
    side_free(&s);
  }
}

static void test_engine_next_wants_a_prepared_event(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    ws_event ev;
    side_start_open(&s, role);
    memset(&ev, 0, sizeof ev);
    assert_fails(WS_ERR_INVALID, ws_engine_next(s.e, &ev));
    assert_fails(WS_ERR_INVALID, ws_engine_next(s.e, NULL));
    side_free(&s);
    struct {
      ws_event ev;
      char newer[32];
    } large;
    memset(&large, 0, sizeof large);
    large.ev.size = sizeof large;
    side_start_open(&s, role);
    uint8_t wire[32];
    assert_ok(ws_engine_feed(s.e, wire, side_peer_frame(&s, wire, FIN_TEXT, "a", 1)));
    assert_int_equal(ws_engine_next(s.e, &large.ev), 1);
    assert_int_equal(large.ev.type, WS_EV_MESSAGE);
    assert_int_equal(large.ev.size, sizeof large);
    side_free(&s);
  }
}

static void test_engine_sent_accepts_what_is_queued_and_no_more(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    ws_slice out[8];
    side_start_open(&s, role);
    assert_fails(WS_ERR_INVALID, ws_engine_sent(s.e, 1));
    assert_ok(ws_engine_sent(s.e, 0));
    assert_ok(ws_engine_send(s.e, WS_OP_TEXT, "hello", 5, 0));
    uint64_t queued = ws_engine_buffered(s.e);
    assert_int_equal(queued, role == CLIENT ? 11 : 7);
    assert_fails(WS_ERR_INVALID, ws_engine_sent(s.e, (size_t)queued + 1));
    assert_int_equal(ws_engine_output(s.e, out, 0), 0);
    assert_int_equal(ws_engine_output(s.e, NULL, 8), 0);
    assert_int_equal(ws_engine_output(s.e, out, 8), 1);
    assert_ok(ws_engine_sent(s.e, (size_t)queued - 1));
    assert_int_equal(ws_engine_buffered(s.e), 1);
    assert_int_equal(ws_engine_want(s.e), WS_WANT_READ | WS_WANT_WRITE);
    assert_ok(ws_engine_sent(s.e, 1));
    assert_int_equal(ws_engine_output(s.e, out, 8), 0);
    assert_int_equal(ws_engine_want(s.e), WS_WANT_READ);
    side_free(&s);
  }
}

/* bad: 247 */
static void test_engine_output_taken_one_byte_at_a_time_is_exact(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    ws_message *m;
    ws_slice out[3];
    uint8_t *data = pattern(70000), *got = malloc(400000);
    size_t n = 0;
    WireFrame f;
    side_start_open(&s, role);
    assert_ok(ws_message_new(WS_OP_BINARY, data, 70000, &m));
    assert_ok(ws_engine_send(s.e, WS_OP_TEXT, data, 1000, 0));
    assert_ok(ws_engine_send_message(s.e, m));
    assert_ok(ws_engine_send_part(s.e, WS_OP_TEXT, data, 10, 0));
    assert_ok(ws_engine_ping(s.e, "p", 1));
    assert_ok(ws_engine_send_part(s.e, WS_OP_TEXT, data, 20, 1));
    assert_ok(ws_engine_send_message(s.e, m));
    ws_message_unref(m);
    while (ws_engine_output(s.e, out, 1 + n % 3) != 0) {
      got[n++] = *(const uint8_t *)out[0].data;
      assert_ok(ws_engine_sent(s.e, 1));
    }
    static const struct {
      uint8_t first;
      size_t len;
    } want[] = {{FIN_TEXT, 1000}, {FIN_BINARY, 70000}, {PART_TEXT, 10},
                {FIN_PING, 1},    {PART_LAST, 20},     {FIN_BINARY, 70000}};
    size_t at = 0;
    for (size_t i = 0; i < COUNT_OF(want); ++i) {
      assert_int_equal(wire_parse(got + at, n - at, &f), 1);
      assert_int_equal(f.first, want[i].first);
      assert_int_equal(f.masked, role == CLIENT);
      assert_bytes(f.payload, f.len, want[i].first == FIN_PING ? (const uint8_t *)"p" : data,
                   want[i].len);
      at += f.size;
    }
    assert_int_equal(at, n);
    free(data);
    free(got);
    side_free(&s);
  }
}

/* Puts masked bytes where the engine wants them, `step` at a time, and counts how often. */
static int land(Side *s, const uint8_t *wire, size_t len, size_t step) {
  int landings = 0;
  for (size_t at = 0; at < len;) {
    void *to;
    size_t room, n = len - at < step ? len - at : step;
    ws_engine_landing(s->e, &to, &room);
    if (room == 0) {
      side_feed(s, wire + at, n);
    } else {
      ++landings;
      if (n > room) n = room;
      memcpy(to, wire + at, n);
      assert_ok(ws_engine_landed(s->e, n));
      side_events(s);
    }
    at += n;
  }
  return landings;
}

/* req: 62 */
static void test_engine_landing_takes_a_large_message_without_copying(void **state) {
  (void)state;
  static const size_t steps[] = {100000, 4096, 1000};
  FOR_BOTH_ROLES(role) {
    for (size_t i = 0; i < COUNT_OF(steps); ++i) {
      for (int text = 0; text < 2; ++text) {
        Side s;
        size_t len = 500000;
        uint8_t *data = pattern(len), *wire = malloc(len + 64);
        side_start_open(&s, role);
        size_t n = side_peer_frame(&s, wire, text ? PART_TEXT : PART_BINARY, data, 300000);
        n += side_peer_frame(&s, wire + n, PART_LAST, data + 300000, 200000);
        n += side_peer_frame(&s, wire + n, FIN_TEXT, "next", 4);
        assert_true(land(&s, wire, n, steps[i]) > 3);
        side_expect(&s, text ? "text#500000 text:next " : "binary#500000 text:next ");
        free(data);
        free(wire);
        side_free(&s);
      }
    }
  }
}

static void test_engine_landed_without_its_landing_is_refused(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    void *to = &s;
    size_t room = 7;
    uint8_t *wire = calloc(1, 300000);
    side_start_open(&s, role);
    ws_engine_landing(s.e, &to, &room);
    assert_null(to);
    assert_int_equal(room, 0);
    assert_fails(WS_ERR_INVALID, ws_engine_landed(s.e, 1));
    assert_ok(ws_engine_landed(s.e, 0));
    size_t n = side_peer_frame(&s, wire, FIN_BINARY, wire + 150000, 100000);
    side_feed(&s, wire, 50000);
    ws_engine_landing(s.e, &to, &room);
    assert_true(room != 0 && room <= n - 50000);
    assert_fails(WS_ERR_INVALID, ws_engine_landed(s.e, room + 1));
    ws_engine_landing(s.e, &to, &room);
    ws_engine_landing(s.e, NULL, NULL);
    side_feed(&s, wire + 50000, 10); /* another way in */
    assert_fails(WS_ERR_STATE, ws_engine_landed(s.e, room));
    ws_engine_landing(s.e, &to, &room);
    assert_ok(ws_engine_close(s.e, 1000, NULL)); /* what was assembled is gone */
    assert_fails(WS_ERR_STATE, ws_engine_landed(s.e, room));
    ws_engine_landing(s.e, &to, &room);
    assert_int_equal(room, 0);
    side_feed(&s, wire + 50010, n - 50010);
    side_close_frame(&s, 1000, NULL);
    side_expect(&s, "close:1000/1000/0 ");
    free(wire);
    side_free(&s);
  }
}

/* req: 70, 101 */
static void test_engine_chunks_are_reported_as_they_arrive(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    uint8_t wire[64];
    side_prepare(&s, role);
    s.config.flags = WS_ENGINE_CHUNKS;
    side_start(&s);
    side_open(&s);
    size_t n = side_peer_frame(&s, wire, PART_TEXT, "hello", 5);
    side_feed(&s, wire, n - 2);
    side_expect(&s, "text:hel +");
    side_feed(&s, wire + n - 2, 2);
    side_expect(&s, "text:lo ~+");
    side_frame(&s, PART_MORE, "", 0);
    side_expect(&s, "");
    side_frame(&s, FIN_PING, "p", 1);
    side_frame(&s, PART_LAST, "", 0);
    side_expect(&s, "ping:p text: ~");
    side_frame(&s, FIN_BINARY, "whole", 5);
    side_expect(&s, "binary:whole ");
    side_frame(&s, PART_TEXT, "\xC3", 1);
    side_frame(&s, PART_LAST, "\xA9", 1);
    side_expect(&s, "text:\xC3 +text:\xA9 ~");
    side_frame(&s, PART_TEXT, "\xC3", 1);
    side_frame(&s, PART_LAST, "", 0);
    side_expect(&s, "text:\xC3 +close:1006/1007/-81 ");
    side_free(&s);
  }
}

/* req: 104 */
/* bad: 88, 96, 97 */
static void test_engine_message_limit_is_exact_by_frame_and_by_sum(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    for (int chunks = 0; chunks < 2; ++chunks) {
      for (int over = -1; over <= 1; ++over) {
        Side s;
        uint8_t *data = pattern(1001);
        side_prepare(&s, role);
        s.limits.max_message_bytes = 1000;
        s.config.flags = chunks ? WS_ENGINE_CHUNKS : 0;
        side_start(&s);
        side_open(&s);
        side_frame(&s, FIN_BINARY, data, (size_t)(1000 + over));
        if (over > 0) {
          side_expect(&s, "close:1006/1009/-8 ");
          side_free(&s);
          side_prepare(&s, role);
          s.limits.max_message_bytes = 1000;
          side_start(&s);
          side_open(&s);
        } else {
          side_expect(&s, over < 0 ? "binary#999 " : "binary#1000 ");
        }
        uint8_t header[WIRE_OVERHEAD];
        side_frame(&s, PART_BINARY, data, 600);
        s.log[0] = '\0';
        uint64_t rest = (uint64_t)(400 + over);
        size_t n = role == SERVER ? wire_client_header(header, PART_LAST, rest)
                                  : wire_server_header(header, PART_LAST, rest);
        side_feed(&s, header, n); /* decided on the header, before the payload */
        side_expect(&s, over > 0 ? "close:1006/1009/-8 " : "");
        if (over > 0) side_expect_sent_close(&s, 1009);
        free(data);
        side_free(&s);
      }
    }
  }
}

/* req: 104 */
/* bad: 95 */
static void test_engine_fragment_limit_is_exact_and_counts_empty_ones(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    side_prepare(&s, role);
    s.limits.max_fragments = 4;
    side_start(&s);
    side_open(&s);
    for (int round = 0; round < 2; ++round) {
      side_frame(&s, PART_TEXT, "", 0);
      side_frame(&s, PART_MORE, "", 0);
      side_frame(&s, FIN_PING, "p", 1); /* does not count */
      side_frame(&s, PART_MORE, "", 0);
      if (round == 0) {
        side_frame(&s, PART_LAST, "x", 1);
        side_expect(&s, "ping:p text:x ");
        side_expect_sent(&s, FIN_PONG, "p", 1);
      }
    }
    side_frame(&s, PART_MORE, "", 0);
    side_expect(&s, "ping:p ");
    side_frame(&s, PART_LAST, "", 0);
    side_expect(&s, "close:1006/1008/-8 ");
    side_expect_sent(&s, FIN_PONG, "p", 1);
    side_expect_sent_close(&s, 1008);
    side_free(&s);
  }
}

/* req: 84 */
/* bad: 165, 166 */
static void test_engine_latest_ping_wins_and_one_pong_waits(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    ws_slice out[4];
    side_prepare(&s, role);
    s.limits.max_control_rate = WS_NEVER;
    side_start(&s);
    side_open(&s);
    for (int i = 0; i < 1000; ++i) side_frame(&s, FIN_PING, "early", 5);
    side_frame(&s, FIN_PING, "latest", 6);
    assert_int_equal(ws_engine_buffered(s.e), role == CLIENT ? 12 : 8);
    assert_ok(ws_engine_send(s.e, WS_OP_TEXT, "data", 4, 0));
    side_frame(&s, FIN_PING, "replaced", 8);
    side_expect_sent(&s, FIN_PONG, "replaced", 8);
    side_expect_sent(&s, FIN_TEXT, "data", 4);
    /* A pong that is on its way stays whole; the next one waits behind it. */
    side_frame(&s, FIN_PING, "first", 5);
    assert_true(ws_engine_output(s.e, out, 4) > 0);
    side_take_output(&s);
    side_expect_sent(&s, FIN_PONG, "first", 5);
    side_frame(&s, FIN_PING, "second", 6);
    assert_ok(ws_engine_sent(s.e, 1));
    side_frame(&s, FIN_PING, "third", 5);
    uint64_t both = (role == CLIENT ? 12 + 11 : 8 + 7) - 1;
    assert_int_equal(ws_engine_buffered(s.e), both);
    side_free(&s);
  }
}

/* bad: 169 */
static void test_engine_marks_and_limit_are_exact(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    uint8_t *data = pattern(1000);
    size_t header = role == CLIENT ? 8 : 4;
    side_prepare(&s, role);
    s.limits.send_high_bytes = 500;
    s.limits.send_low_bytes = 100;
    s.limits.send_limit_bytes = 1000;
    side_start(&s);
    side_open(&s);
    assert_ok(ws_engine_send(s.e, WS_OP_BINARY, data, 500 - header, 0)); /* at the mark */
    assert_int_equal(ws_engine_buffered(s.e), 500);
    assert_fails(WS_ERR_FULL, ws_engine_send(s.e, WS_OP_BINARY, data, 501 - header, 0));
    assert_int_equal(ws_engine_send(s.e, WS_OP_BINARY, data, 500 - header, 0), WS_BACKPRESSURE);
    assert_int_equal(ws_engine_buffered(s.e), 1000);
    assert_fails(WS_ERR_FULL, ws_engine_send(s.e, WS_OP_BINARY, data, 0, 0));
    assert_fails(WS_ERR_FULL, ws_engine_send_part(s.e, WS_OP_BINARY, data, 0, 0));
    assert_fails(WS_ERR_FULL, ws_engine_ping(s.e, NULL, 0));
    side_frame(&s, FIN_PING, "p", 1); /* what the protocol owes passes the limit */
    assert_int_equal(ws_engine_buffered(s.e), 1000 + header - 2 + 1);
    assert_ok(ws_engine_close(s.e, 1000, NULL));
    side_expect_sent(&s, FIN_BINARY, data, 500 - header);
    side_expect_sent(&s, FIN_BINARY, data, 500 - header);
    side_expect_sent(&s, FIN_PONG, "p", 1);
    side_expect_sent_close(&s, 1000);
    free(data);
    side_free(&s);
  }
}

/* req: 50 */
/* bad: 39 */
static void test_engine_bytes_behind_a_pending_request_wait_for_the_answer(void **state) {
  (void)state;
  for (int late = 0; late < 2; ++late) {
    Side s;
    uint8_t wire[1024];
    size_t n = strlen(WIRE_OPEN("/", ""));
    side_prepare(&s, SERVER);
    s.answer_later = 1;
    s.cut = IN_PLACE;
    side_start(&s);
    memcpy(wire, WIRE_OPEN("/", ""), n);
    size_t head = n;
    n += wire_client_frame(wire + n, FIN_TEXT, "early", 5);
    if (late) {
      side_feed(&s, wire, head);
      assert_int_equal(ws_engine_want(s.e), WS_WANT_READ);
      side_feed(&s, wire + head, n - head);
    } else {
      side_feed(&s, wire, n);
    }
    side_expect(&s, "request ");
    assert_int_equal(ws_engine_want(s.e), 0);
    assert_fails(WS_ERR_STATE, ws_engine_feed(s.e, "x", 1));
    assert_fails(WS_ERR_CLOSED, ws_engine_send(s.e, WS_OP_TEXT, "x", 1, 0));
    ws_request *r = ws_request_ref(ws_engine_request(s.e));
    assert_string_equal(ws_request_peer(r), "");
    assert_string_equal(ws_request_local(r), "");
    assert_ok(ws_request_accept(r, NULL));
    assert_null(ws_engine_request(s.e));
    side_events(&s);
    side_expect(&s, "open text:early ");
    side_expect_sent_text(&s, "HTTP/1.1 101 ");
    assert_fails(WS_ERR_STATE, ws_request_accept(r, NULL));
    side_free(&s);
    assert_string_equal(ws_request_path(r), "/");
    ws_request_unref(r);
  }
}

static int fails_after;
static int failing_random(void *user, void *out, size_t len) {
  (void)user;
  if (fails_after-- <= 0) return -1;
  memset(out, 0x5a, len);
  return 0;
}

/* req: 56 */
/* bad: 254 */
static void test_engine_without_random_bytes_sends_nothing(void **state) {
  (void)state;
  ws_engine_config config;
  ws_open open;
  ws_engine *e = NULL;
  WS_INIT(&config);
  WS_INIT(&open);
  config.random = failing_random;
  open.host = "h";
  fails_after = 0;
  assert_fails(WS_ERR_IO, ws_engine_new_client(&config, &open, &e));
  assert_null(e);
  assert_ok(ws_engine_new_server(&config, &e)); /* a server needs none */
  ws_engine_free(e);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_engine_script_gives_the_same_events_in_every_delivery),
      cmocka_unit_test(test_engine_feed_before_next_is_done_is_a_state_error),
      cmocka_unit_test(test_engine_next_wants_a_prepared_event),
      cmocka_unit_test(test_engine_sent_accepts_what_is_queued_and_no_more),
      cmocka_unit_test(test_engine_output_taken_one_byte_at_a_time_is_exact),
      cmocka_unit_test(test_engine_landing_takes_a_large_message_without_copying),
      cmocka_unit_test(test_engine_landed_without_its_landing_is_refused),
      cmocka_unit_test(test_engine_chunks_are_reported_as_they_arrive),
      cmocka_unit_test(test_engine_message_limit_is_exact_by_frame_and_by_sum),
      cmocka_unit_test(test_engine_fragment_limit_is_exact_and_counts_empty_ones),
      cmocka_unit_test(test_engine_latest_ping_wins_and_one_pong_waits),
      cmocka_unit_test(test_engine_marks_and_limit_are_exact),
      cmocka_unit_test(test_engine_bytes_behind_a_pending_request_wait_for_the_answer),
      cmocka_unit_test(test_engine_without_random_bytes_sends_nothing),
  };
  return cmocka_run_group_tests_name("engine", tests, NULL, NULL);
}
