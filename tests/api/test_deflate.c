/*
 * permessage-deflate through the C API: what is configured, offered, agreed on and told, and what
 * becomes of each message that is sent.
 */
#include "both.h"

#include <stdio.h>
#include <stdlib.h>

#define WITH_BOTH(f) cmocka_unit_test_setup_teardown(f, both_setup, both_teardown)

static Both *fresh(void **state) {
  both_teardown(state);
  both_setup(state);
  return *state;
}

static void leave(Both *b, Peer *p) {
  peer_drop(p);
  both_wait(b, &b->w.closed, b->w.opened);
  both_wait(b, &b->c.closed, b->c.opened);
}

/* ---- ws_conn_config ---- */

static int make_engine(const ws_conn_config *limits) {
  ws_engine_config config;
  ws_engine *e = NULL;
  WS_INIT(&config);
  config.conn = limits;
  const int rc = ws_engine_new_server(&config, &e);
  assert_true((rc == WS_OK) == (e != NULL));
  ws_engine_free(e);
  return rc;
}

static void test_config_deflate_numbers_are_taken_within_their_bounds(void **state) {
  (void)state;
  static const struct {
    const char *name;
    size_t offset;
    uint32_t least, most;
  } kMembers[] = {
      {"deflate_level", offsetof(ws_conn_config, deflate_level), 1, 9},
      {"deflate_window_bits", offsetof(ws_conn_config, deflate_window_bits), 9, 15},
      {"deflate_mem_level", offsetof(ws_conn_config, deflate_mem_level), 1, 9},
      {"deflate_idle_ms", offsetof(ws_conn_config, deflate_idle_ms), 1, INT32_MAX},
  };
  for (size_t i = 0; i < COUNT_OF(kMembers); ++i) {
    const uint32_t values[] = {
        0,
        kMembers[i].least,
        kMembers[i].least + 1,
        kMembers[i].most - 1,
        kMembers[i].most,
        kMembers[i].least - 1,
        kMembers[i].most + 1,
    };
    for (size_t v = 0; v < COUNT_OF(values); ++v) {
      ws_conn_config c;
      WS_INIT(&c);
      memcpy((char *)&c + kMembers[i].offset, &values[v], sizeof values[v]);
      if (v < 5 || values[v] == 0) {
        assert_ok(make_engine(&c));
      } else {
        assert_fails(WS_ERR_INVALID, make_engine(&c));
        assert_detail_has(kMembers[i].name);
      }
    }
  }
  ws_conn_config c;
  WS_INIT(&c);
  c.deflate_idle_ms = WS_NEVER;
  assert_ok(make_engine(&c));
}

static void test_config_deflate_modes_that_exclude_each_other_are_refused(void **state) {
  (void)state;
  for (int send = -1; send <= 4; ++send) {
    for (int recv = -1; recv <= 4; ++recv) {
      ws_conn_config c;
      WS_INIT(&c);
      c.deflate = (ws_deflate)send;
      c.deflate_recv = (ws_deflate)recv;
      if (send < 0 || send > 3 || recv < 0 || recv > 3) {
        assert_fails(WS_ERR_INVALID, make_engine(&c));
        assert_detail_has(send < 0 || send > 3 ? "deflate: " : "deflate_recv: ");
      } else if (recv == WS_DEFLATE_OFF && send != WS_DEFLATE_OFF) {
        assert_fails(WS_ERR_INVALID, make_engine(&c));
        assert_detail_has("deflate_recv");
      } else {
        assert_ok(make_engine(&c));
      }
    }
  }
}

/* ---- what goes over the wire ---- */

typedef struct Row {
  ws_deflate send, recv;
  uint32_t bits; /* 0: as by default */
  const char *from_peer, *from_us;
  uint32_t flags; /* WS_DEFLATE_* */
  uint32_t send_bits, recv_bits;
} Row;

enum {
  AGREED = WS_DEFLATE_AGREED,
  SENDS = WS_DEFLATE_AGREED | WS_DEFLATE_SEND_TAKEOVER,
  RECEIVES = WS_DEFLATE_AGREED | WS_DEFLATE_RECV_TAKEOVER,
  DOES_BOTH = SENDS | RECEIVES
};

#define PMD "permessage-deflate"
#define S_NO "; server_no_context_takeover"
#define C_NO "; client_no_context_takeover"

static const Row kServerRows[] = {
    {0, 0, 0, "", "", 0, 0, 0},
    {0, 0, 0, PMD, PMD S_NO C_NO, AGREED, 15, 15},
    {0, 0, 0, PMD "; client_max_window_bits", PMD S_NO C_NO, AGREED, 15, 15},
    {0, 0, 0, PMD "; server_max_window_bits=10", PMD S_NO C_NO "; server_max_window_bits=10",
     AGREED, 10, 15},
    {WS_DEFLATE_OFF, 0, 0, PMD, "", 0, 0, 0},
    {WS_DEFLATE_OFF, WS_DEFLATE_DEDICATED, 0, PMD, "", 0, 0, 0},
    {WS_DEFLATE_SHARED, WS_DEFLATE_SHARED, 0, PMD, PMD S_NO C_NO, AGREED, 15, 15},
    {WS_DEFLATE_DEDICATED, 0, 0, PMD, PMD, DOES_BOTH, 12, 15},
    {WS_DEFLATE_DEDICATED, 0, 9, PMD "; client_max_window_bits", PMD "; client_max_window_bits=9",
     DOES_BOTH, 9, 9},
    {WS_DEFLATE_DEDICATED, 0, 15, PMD "; client_max_window_bits", PMD, DOES_BOTH, 15, 15},
    {WS_DEFLATE_DEDICATED, WS_DEFLATE_SHARED, 0, PMD, PMD C_NO, SENDS, 12, 15},
    {WS_DEFLATE_SHARED, WS_DEFLATE_DEDICATED, 0, PMD, PMD S_NO, RECEIVES, 15, 15},
    {WS_DEFLATE_DEDICATED, 0, 0, PMD S_NO, PMD S_NO, RECEIVES, 15, 15},
};

/* For a client: what it offers, what it is answered. */
static const Row kClientRows[] = {
    {0, 0, 0, "", PMD S_NO C_NO "; client_max_window_bits", 0, 0, 0},
    {0, 0, 0, PMD S_NO C_NO, PMD S_NO C_NO "; client_max_window_bits", AGREED, 15, 15},
    {0, 0, 0, PMD S_NO "; client_max_window_bits=9", PMD S_NO C_NO "; client_max_window_bits",
     AGREED, 9, 15},
    {WS_DEFLATE_OFF, 0, 0, "", "", 0, 0, 0},
    {WS_DEFLATE_DEDICATED, 0, 15, PMD, PMD "; client_max_window_bits", DOES_BOTH, 15, 15},
    {WS_DEFLATE_DEDICATED, 0, 0, PMD "; server_max_window_bits=11",
     PMD "; server_max_window_bits=12; client_max_window_bits, " PMD S_NO
         "; client_max_window_bits",
     DOES_BOTH, 12, 11},
    {WS_DEFLATE_DEDICATED, 0, 15, PMD S_NO C_NO, PMD "; client_max_window_bits", AGREED, 15, 15},
    {WS_DEFLATE_DEDICATED, WS_DEFLATE_SHARED, 15, PMD S_NO, PMD S_NO "; client_max_window_bits",
     SENDS, 15, 15},
    {WS_DEFLATE_SHARED, WS_DEFLATE_DEDICATED, 15, PMD, PMD C_NO "; client_max_window_bits",
     RECEIVES, 15, 15},
};

static void expect_row(Both *b, int role, const Row *row) {
  Peer p;
  both_start(b);
  ws_conn *c = both_meet(b, role, &p, row->from_peer);
  assert_string_equal(both_agreed(b, role), row->from_us);
  const ws_deflate_info info = deflate_info_of(c);
  assert_int_equal(info.flags, row->flags);
  assert_int_equal(info.send_window_bits, row->send_bits);
  assert_int_equal(info.recv_window_bits, row->recv_bits);
  leave(b, &p);
}

/* req: 141, 142, 147, 148, 152, 154 */
static void test_server_answers_offers_as_configured(void **state) {
  for (size_t i = 0; i < COUNT_OF(kServerRows); ++i) {
    const Row *row = &kServerRows[i];
    Both *b = fresh(state);
    b->w.limits.deflate = row->send;
    b->w.limits.deflate_recv = row->recv;
    b->w.limits.deflate_window_bits = row->bits;
    expect_row(b, SERVER, row);
  }
}

/* req: 148, 149, 155 */
static void test_client_offers_as_configured_and_keeps_to_the_answer(void **state) {
  for (size_t i = 0; i < COUNT_OF(kClientRows); ++i) {
    const Row *row = &kClientRows[i];
    Both *b = fresh(state);
    b->c.limits.deflate = row->send;
    b->c.limits.deflate_recv = row->recv;
    b->c.limits.deflate_window_bits = row->bits;
    expect_row(b, CLIENT, row);
  }
}

/* Without a ws_conn_config at all. */
static void test_deflate_is_on_by_default_on_both_sides(void **state) {
  Both *b = *state;
  b->w.config.conn = b->c.config.conn = NULL;
  both_open(b);
  ws_conn *ends[] = {b->w.conn, b->c.conn};
  for (size_t i = 0; i < COUNT_OF(ends); ++i) {
    const ws_deflate_info info = deflate_info_of(ends[i]);
    assert_int_equal(info.flags, WS_DEFLATE_AGREED);
    assert_int_equal(info.send_window_bits, 15);
    assert_int_equal(info.recv_window_bits, 15);
  }
  const char *answer = ws_client_response_header(b->c.client, "Sec-WebSocket-Extensions", NULL);
  assert_string_equal(answer, NO_TAKEOVER);
}

/* req: 143 */
static void test_client_answer_beyond_its_offer_is_refused(void **state) {
  static const char *const kWrong[] = {
      PMD,                                    /* server_no_context_takeover was asked for */
      PMD S_NO "; client_max_window_bits",    /* no value */
      PMD S_NO "; client_max_window_bits=16", /* no window */
      PMD S_NO "; server_max_window_bits",    /* no value */
      PMD S_NO "; x",                         /* unknown */
      PMD S_NO S_NO,                          /* twice */
      PMD S_NO ", " PMD S_NO,                 /* twice */
      "x-webkit-deflate-frame",               /* not offered */
  };
  for (size_t i = 0; i < COUNT_OF(kWrong); ++i) {
    Both *b = fresh(state);
    char line[256];
    Peer p;
    both_start(b);
    target_listen(&b->t, b->loop);
    caller_set_url(&b->c, "ws://127.0.0.1:%d/", b->t.port);
    caller_start(&b->c);
    target_take(&b->t, &p);
    snprintf(line, sizeof line, DEFLATE_FIELD "%s\r\n", kWrong[i]);
    target_switch(&b->t, &p, line);
    caller_wait_down(&b->c, 1);
    if (b->c.why.error != WS_ERR_HANDSHAKE) fail_msg("%s is taken: %s", kWrong[i], b->c.log);
    assert_true(b->c.why_detail[0] != '\0');
    assert_int_equal(b->c.opened, 0);
    peer_drop(&p);
  }
}

/* ---- ws_accept ---- */

static ws_accept how_to_accept;
static int accept_result;

static void accept_so(ws_request *r, void *user) {
  (void)user;
  accept_result = ws_request_accept(r, &how_to_accept);
}

static void test_accept_chooses_instead_of_the_configuration(void **state) {
  static const struct {
    ws_deflate configured, send, recv;
    const char *answer;
  } kRows[] = {
      {WS_DEFLATE_OFF, 0, 0, ""},
      {WS_DEFLATE_OFF, WS_DEFLATE_SHARED, 0, PMD S_NO C_NO},
      {WS_DEFLATE_OFF, WS_DEFLATE_DEDICATED, 0, PMD},
      {0, WS_DEFLATE_OFF, 0, ""},
      {0, 0, 0, PMD S_NO C_NO},
      {0, 0, WS_DEFLATE_DEDICATED, PMD S_NO},
      {WS_DEFLATE_DEDICATED, 0, WS_DEFLATE_SHARED, PMD C_NO},
      {WS_DEFLATE_DEDICATED, WS_DEFLATE_SHARED, 0, PMD S_NO C_NO},
      {WS_DEFLATE_DEDICATED, WS_DEFLATE_OFF, WS_DEFLATE_OFF, ""},
  };
  for (size_t i = 0; i < COUNT_OF(kRows); ++i) {
    Both *b = fresh(state);
    Peer p;
    WS_INIT(&how_to_accept);
    how_to_accept.deflate = kRows[i].send;
    how_to_accept.deflate_recv = kRows[i].recv;
    b->w.limits.deflate = kRows[i].configured;
    b->w.config.on_request = accept_so;
    both_start(b);
    ws_conn *c = both_meet(b, SERVER, &p, PMD);
    assert_ok(accept_result);
    assert_string_equal(both_agreed(b, SERVER), kRows[i].answer);
    assert_int_equal((deflate_info_of(c).flags & AGREED) != 0, kRows[i].answer[0] != '\0');
    leave(b, &p);
  }
}

static void accept_wrong(ws_request *r, void *user) {
  static const int kWrong[][2] = {
      {-1, 0}, {4, 0}, {0, -1}, {0, 4}, {0, WS_DEFLATE_OFF}, {WS_DEFLATE_SHARED, WS_DEFLATE_OFF}};
  (void)user;
  for (size_t i = 0; i < COUNT_OF(kWrong); ++i) {
    WS_INIT(&how_to_accept);
    how_to_accept.deflate = (ws_deflate)kWrong[i][0];
    how_to_accept.deflate_recv = (ws_deflate)kWrong[i][1];
    assert_fails(WS_ERR_INVALID, ws_request_accept(r, &how_to_accept));
    assert_detail_has("deflate");
  }
}

static void test_accept_with_wrong_deflate_fails_and_the_request_waits_on(void **state) {
  Both *b = *state;
  Peer p;
  b->w.config.on_request = accept_wrong;
  both_start(b);
  both_meet(b, SERVER, &p, PMD); /* by default, since nothing was answered */
  assert_string_equal(both_agreed(b, SERVER), NO_TAKEOVER);
  leave(b, &p);
}

/* ---- ws_conn_get_deflate ---- */

static void test_get_deflate_counts_and_stays_after_the_end(void **state) {
  for (int role = SERVER; role <= CLIENT; ++role) {
    Both *b = fresh(state);
    Peer p;
    WireFrame f;
    both_limits(b, role)->deflate = WS_DEFLATE_DEDICATED;
    both_limits(b, role)->deflate_window_bits = 15;
    both_start(b);
    ws_conn *c = ws_conn_ref(both_meet(b, role, &p, PMD));
    char *json = some_json(1000, 1);
    assert_ok(ws_conn_send(c, WS_OP_TEXT, json, 1000, 0));
    peer_read_frame(&p, &f);
    const size_t wire = f.len;
    assert_ok(ws_conn_send(c, WS_OP_TEXT, json, 1000, WS_SEND_NO_DEFLATE));
    peer_read_frame(&p, &f);
    assert_int_equal(f.first, FIN_TEXT);
    peer_send_frame(&p, ZIPPED_TEXT, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
    peer_send_frame(&p, ZIPPED_TEXT, "\xf2\x00\x11\x00\x00", 5); /* refers to the first */
    peer_send_text(&p, "plain");
    both_wait(b, role == SERVER ? &b->w.messages : &b->c.messages, 3);
    assert_non_null(
        strstr(role == SERVER ? b->w.log : b->c.log, "text:Hello text:Hello text:plain "));
    ws_deflate_info info = deflate_info_of(c);
    assert_int_equal(info.flags, DOES_BOTH);
    assert_true(info.context_bytes > 1000);
    leave(b, &p);
    info = deflate_info_of(c);
    assert_int_equal(info.flags, DOES_BOTH);
    assert_int_equal(info.context_bytes, 0);
    assert_int_equal(info.send_window_bits, 15);
    assert_int_equal(info.recv_window_bits, 15);
    assert_int_equal(info.sent_plain_bytes, 1000);
    assert_int_equal(info.sent_wire_bytes, wire);
    assert_int_equal(info.received_plain_bytes, 10);
    assert_int_equal(info.received_wire_bytes, 12);
    ws_conn_unref(c);
    free(json);
  }
}

static void test_get_deflate_fills_no_more_than_the_caller_knows(void **state) {
  Both *b = *state;
  both_open(b);
  struct {
    ws_deflate_info info;
    char behind[8];
  } grown;
  memset(&grown, 0x5a, sizeof grown);
  grown.info.size = offsetof(ws_deflate_info, recv_window_bits);
  assert_ok(ws_conn_get_deflate(b->c.conn, &grown.info));
  assert_int_equal(grown.info.flags, AGREED);
  assert_int_equal(grown.info.send_window_bits, 15);
  assert_int_equal(grown.info.recv_window_bits, 0x5a5a5a5a);
  memset(&grown, 0x5a, sizeof grown);
  grown.info.size = sizeof grown;
  assert_ok(ws_conn_get_deflate(b->c.conn, &grown.info));
  assert_int_equal(grown.info.recv_window_bits, 15);
  static const char kZero[8];
  assert_bytes(grown.behind, sizeof grown.behind, kZero, sizeof kZero);
  assert_fails(WS_ERR_INVALID, ws_conn_get_deflate(NULL, &grown.info));
  assert_fails(WS_ERR_INVALID, ws_conn_get_deflate(b->c.conn, NULL));
  grown.info.size = 0;
  assert_fails(WS_ERR_INVALID, ws_conn_get_deflate(b->c.conn, &grown.info));
}

static void test_engine_get_deflate_is_empty_before_open(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    ws_deflate_info info;
    side_prepare(&s, role);
    s.limits.deflate = WS_DEFLATE_DEFAULT;
    side_start(&s);
    memset(&info, 0x5a, sizeof info);
    info.size = sizeof info;
    assert_ok(ws_engine_get_deflate(s.e, &info));
    assert_int_equal(info.size, sizeof info);
    assert_int_equal(info.flags, 0);
    assert_int_equal(info.send_window_bits, 0);
    assert_int_equal(info.context_bytes, 0);
    assert_fails(WS_ERR_INVALID, ws_engine_get_deflate(NULL, &info));
    assert_fails(WS_ERR_INVALID, ws_engine_get_deflate(s.e, NULL));
    side_free(&s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_config_deflate_numbers_are_taken_within_their_bounds),
      cmocka_unit_test(test_config_deflate_modes_that_exclude_each_other_are_refused),
      WITH_BOTH(test_server_answers_offers_as_configured),
      WITH_BOTH(test_client_offers_as_configured_and_keeps_to_the_answer),
      WITH_BOTH(test_deflate_is_on_by_default_on_both_sides),
      WITH_BOTH(test_client_answer_beyond_its_offer_is_refused),
      WITH_BOTH(test_accept_chooses_instead_of_the_configuration),
      WITH_BOTH(test_accept_with_wrong_deflate_fails_and_the_request_waits_on),
      WITH_BOTH(test_get_deflate_counts_and_stays_after_the_end),
      WITH_BOTH(test_get_deflate_fills_no_more_than_the_caller_knows),
      cmocka_unit_test(test_engine_get_deflate_is_empty_before_open),
  };
  return cmocka_run_group_tests_name("deflate", tests, NULL, NULL);
}
