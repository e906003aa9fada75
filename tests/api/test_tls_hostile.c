/*
 * What comes to a TLS port that is no TLS, half of it, too old, changed or cut short; and a stream
 * that is cut on its way to the client.
 */
#include "secured.h"

#include <errno.h>
#include <sys/socket.h>

/* ---- no TLS, or half of it ---- */

static int requests;
static void count_request(ws_request *r, void *user) {
  (void)r, (void)user;
  ++requests;
}

static void listen_for_anything(Secured *s, Peer *p) {
  requests = 0;
  s->w.config.on_request = count_request;
  secured_listen(s);
  peer_connect(p, s->c.loop, s->w.port);
}

/* Nothing came of it, and the next client is served. */
static void expect_unharmed(Secured *s) {
  assert_int_equal(requests, 0);
  assert_int_equal(s->w.opened, 0);
  secured_connect(s);
  assert_int_equal(requests, 1);
}

/* req: 49 */
static void test_tls_port_drops_plain_http_without_an_answer(void **state) {
  static const char *const said[] = {WIRE_OPEN("/", ""), WIRE_GET("/", ""),
                                     "CONNECT one.test:443 HTTP/1.1\r\n\r\n"};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(said); ++i) {
    void *one;
    Peer p;
    secured_setup(&one);
    Secured *s = one;
    listen_for_anything(s, &p);
    peer_say(&p, said[i]);
    peer_expect_gone(&p);
    if (p.len != 0) assert_int_equal(p.in[0], 0x15); /* an alert at most */
    secured_wait_line(s, "tls peer=127.0.0.1:");
    secured_wait_line(s, "plain HTTP came");
    expect_unharmed(s);
    peer_drop(&p);
    secured_teardown(&one);
  }
}

/* A record of a ClientHello: the version it offers, one cipher suite of TLS 1.2, one
 * group and one signature scheme. */
static const uint8_t kOldHello[] = {
    0x16, 0x03, 0x01, 0x00, 0x3f,                           /* handshake record of 63 bytes */
    0x01, 0x00, 0x00, 0x3b, 0x03, 0x03,                     /* ClientHello of 59 bytes, TLS 1.2 */
    1,    2,    3,    4,    5,    6,    7,    8,    9,  10, /* random */
    11,   12,   13,   14,   15,   16,   17,   18,   19, 20, 21,   22,
    23,   24,   25,   26,   27,   28,   29,   30,   31, 32, 0x00, /* no session */
    0x00, 0x02, 0xc0, 0x2b, 0x01, 0x00,              /* ECDHE-ECDSA-AES128-GCM; no compression */
    0x00, 0x10,                                      /* extensions of 16 bytes */
    0x00, 0x0a, 0x00, 0x04, 0x00, 0x02, 0x00, 0x17,  /* secp256r1 */
    0x00, 0x0d, 0x00, 0x04, 0x00, 0x02, 0x04, 0x03}; /* ecdsa_secp256r1_sha256 */

/* req: 110 */
static void test_tls_older_version_is_answered_by_an_alert(void **state) {
  static const struct {
    uint8_t minor;        /* of the version that is offered */
    uint32_t min_version; /* of the server */
    uint8_t alert;        /* 0: a ServerHello; OpenSSL has another one for SSL 3 */
  } all[] = {{3, 0, 0},    {2, 0, 0x46},   {1, 0, 0x46},
             {0, 0, 0x28}, {3, 0x0303, 0}, {3, 0x0304, 0x46}};
  (void)state;
  if (faults_are_on()) skip(); /* an alert leaves at once or never */
  for (size_t i = 0; i < COUNT_OF(all); ++i) {
    void *one;
    Peer p;
    uint8_t hello[sizeof kOldHello];
    secured_setup(&one);
    Secured *s = one;
    s->server_config.min_version = all[i].min_version;
    listen_for_anything(s, &p);
    memcpy(hello, kOldHello, sizeof hello);
    hello[10] = all[i].minor;
    peer_send(&p, hello, sizeof hello);
    if (all[i].alert == 0) {
      static const uint8_t server_hello[] = {0x16, 0x03, 0x03};
      peer_expect_data(&p, server_hello, sizeof server_hello);
    } else {
      peer_expect_gone(&p);
      assert_int_equal(p.len, 7);
      assert_int_equal(p.in[0], 0x15);
      assert_int_equal(p.in[5], 2); /* fatal */
      assert_int_equal(p.in[6], all[i].alert);
      secured_wait_line(s, "tls peer=127.0.0.1:");
    }
    peer_drop(&p);
    run_for(s->c.loop, 2);
    expect_unharmed(s);
    secured_teardown(&one);
  }
}

/* bad: 50 */
static void test_tls_silence_meets_the_handshake_timeout(void **state) {
  static const size_t said[] = {0, 1, 5, 6, sizeof kOldHello - 1, sizeof kOldHello};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(said); ++i) {
    void *one;
    Peer p;
    secured_setup(&one);
    Secured *s = one;
    s->w.limits.handshake_timeout_ms = short_timeout_ms();
    listen_for_anything(s, &p);
    uint64_t start = clock_ms();
    peer_send(&p, kOldHello, said[i]);
    peer_expect_gone(&p);
    assert_true(clock_ms() - start >= short_timeout_ms() / 2);
    assert_int_equal(requests, 0);
    assert_int_equal(s->w.opened, 0);
    peer_drop(&p);
    secured_teardown(&one);
  }
}

/* bad: 49 */
static void test_tls_handshake_of_a_byte_at_a_time_does_not_move_the_deadline(void **state) {
  Secured *s = *state;
  Peer p;
  s->w.limits.handshake_timeout_ms = short_timeout_ms();
  listen_for_anything(s, &p);
  for (size_t i = 0; !p.ended; ++i) {
    uint8_t none;
    if (i < sizeof kOldHello) peer_send(&p, kOldHello + i, 1);
    run_for(s->c.loop, short_timeout_ms() / 10);
    ssize_t n = recv(p.fd, &none, 1, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) break;
    assert_true(i < sizeof kOldHello - 1);
  }
  assert_int_equal(s->w.opened, 0);
  peer_drop(&p);
}

static void test_tls_garbage_of_all_kinds_is_dropped(void **state) {
  static const struct {
    const char *bytes;
    size_t len;
  } all[] = {
      {"\x16\x03\x01\x00\x00", 5},                          /* an empty record */
      {"\x16\x03\x01\xff\xff", 5},                          /* longer than records may be */
      {"\x17\x03\x03\x00\x01x", 6},                         /* data first */
      {"\x15\x03\x03\x00\x02\x02\x28", 7},                  /* an alert first */
      {"\x14\x03\x03\x00\x01\x01", 6},                      /* ChangeCipherSpec first */
      {"\x16\x03\x01\x00\x04\x01\xff\xff\xff", 9},          /* a ClientHello of 16 MiB */
      {"\x16\x03\x01\x00\x04\x02\x00\x00\x00", 9},          /* a ServerHello */
      {"\x80\x2e\x01\x00\x02\x00\x15\x00\x00\x00\x10", 11}, /* SSL 2 */
      {"\x00\x00\x00\x00\x00\x00\x00\x00", 8},
      {"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 24},
  };
  Secured *s = *state;
  Peer p;
  s->w.limits.handshake_timeout_ms = short_timeout_ms();
  listen_for_anything(s, &p);
  for (size_t i = 0; i < COUNT_OF(all); ++i) {
    peer_send(&p, all[i].bytes, all[i].len);
    peer_expect_gone(&p);
    peer_drop(&p);
    peer_connect(&p, s->c.loop, s->w.port);
  }
  peer_drop(&p);
  expect_unharmed(s);
}

/* ---- a stream that is cut ---- */

enum { BY_END, BY_RESET };

static void cut(Relay *r, int how) {
  if (how == BY_END) {
    peer_fin(&r->server);
  } else {
    peer_reset(&r->server);
  }
}

static void test_tls_handshake_that_is_cut_anywhere_leaves_nothing(void **state) {
  static const size_t after[] = {0, 1, 5, 6, 100, SIZE_MAX};
  (void)state;
  for (size_t i = 0; i < 2 * COUNT_OF(after); ++i) {
    void *one;
    Relay r;
    secured_setup(&one);
    Secured *s = one;
    requests = 0;
    s->w.config.on_request = count_request;
    secured_listen(s);
    relay_listen(&r, s);
    r.allow_up = after[i / 2];
    r.allow_down = 0; /* so that the client has no more to say */
    caller_start(&s->c);
    relay_accept(&r);
    relay_settle(&r);
    assert_true(r.up == after[i / 2] || (r.up > 100 && after[i / 2] == SIZE_MAX));
    if (r.up != 0) assert_int_equal(r.first[0], 0x16);
    cut(&r, i % 2 == 0 ? BY_END : BY_RESET);
    run_for(s->c.loop, 5);
    assert_int_equal(requests, 0);
    if (i % 2 == 0) {
      r.server.len = 0;
      peer_expect_gone(&r.server); /* no half-open connection is kept */
    }
    relay_stop(&r);
    caller_wait_down(&s->c, 1);
    assert_int_equal(s->w.opened, 0);
    secured_teardown(&one);
  }
}

static void test_tls_handshake_in_single_bytes_succeeds(void **state) {
  Secured *s = *state;
  Relay r;
  secured_listen(s);
  relay_listen(&r, s);
  r.allow_up = 0;
  caller_start(&s->c);
  relay_accept(&r);
  while (s->w.opened == 0) {
    r.allow_up = r.up + 1;
    relay_turn(&r);
    assert_true(r.up < 10000 && s->c.downs == 0);
  }
  r.allow_up = SIZE_MAX;
  relay_until(&r, &s->c.opened, 1);
  assert_ok(ws_conn_close(s->c.conn, 1000, NULL));
  relay_until(&r, &s->c.closed, 1);
  relay_until(&r, &s->w.closed, 1);
  assert_int_equal(s->w.how.flags, WS_CLOSE_CLEAN | WS_CLOSE_BY_PEER);
  relay_stop(&r);
}

static void open_relayed(Secured *s, Relay *r) {
  secured_listen(s);
  relay_listen(r, s);
  caller_start(&s->c);
  relay_accept(r);
  relay_until(r, &s->c.opened, 1);
  relay_until(r, &s->w.opened, 1);
  relay_settle(r);
}

/* RFC 8446 6.1: whoever can cut the stream must not be able to make it look complete. */
static void test_tls_stream_cut_to_the_server_is_no_clean_end(void **state) {
  (void)state;
  for (int how = BY_END; how <= BY_RESET; ++how) {
    for (size_t more = 0; more <= 200; more += 100) { /* 100: in the middle of a record */
      void *one;
      Relay r;
      char text[300];
      secured_setup(&one);
      Secured *s = one;
      open_relayed(s, &r);
      memset(text, 'x', sizeof text);
      r.allow_up = r.up + more;
      assert_ok(ws_conn_send(s->c.conn, WS_OP_TEXT, text, sizeof text, 0));
      relay_settle(&r);
      assert_int_equal(r.up, r.allow_up);
      cut(&r, how);
      world_wait_closed(&s->w, 1);
      assert_string_equal(s->w.log, "open close:1006/0/-23 ");
      assert_int_equal(s->w.how.flags, WS_CLOSE_BY_PEER);
      assert_non_null(strstr(s->w.detail, how == BY_END ? "close_notify" : "reset"));
      relay_stop(&r);
      secured_teardown(&one);
    }
  }
}

static void test_tls_stream_cut_to_the_client_is_no_clean_end(void **state) {
  Secured *s = *state;
  Relay r;
  open_relayed(s, &r);
  assert_ok(ws_conn_send(s->w.conn, WS_OP_TEXT, "whole", 5, 0));
  relay_until(&r, &s->c.messages, 1);
  peer_fin(&r.client);
  caller_wait_closed(&s->c, 1);
  assert_int_equal(s->c.how.error, WS_ERR_EOF);
  assert_int_equal(s->c.how.flags, WS_CLOSE_BY_PEER);
  assert_non_null(strstr(s->c.detail, "close_notify"));
  relay_stop(&r);
}

/* After the Close frames the stream may end as it likes. */
static void test_tls_cut_after_the_closing_handshake_is_clean(void **state) {
  Secured *s = *state;
  Relay r;
  open_relayed(s, &r);
  assert_ok(ws_conn_close(s->c.conn, 1000, NULL));
  relay_until(&r, &s->w.closed, 1);
  assert_string_equal(s->w.log, "open close:1000/1000/0 ");
  relay_until(&r, &s->c.closed, 1);
  assert_int_equal(s->c.how.flags, WS_CLOSE_CLEAN);
  relay_stop(&r);
}

static void test_tls_record_that_was_changed_ends_the_connection(void **state) {
  static const char record[] =
      "\x17\x03\x03\x00\x20"
      "0123456789abcdef0123456789abcdef";
  (void)state;
  for (int to_server = 0; to_server < 2; ++to_server) {
    void *one;
    Relay r;
    secured_setup(&one);
    Secured *s = one;
    open_relayed(s, &r);
    peer_send(to_server ? &r.server : &r.client, record, sizeof record - 1);
    relay_until(&r, to_server ? &s->w.closed : &s->c.closed, 1);
    const ws_close_info *own = to_server ? &s->w.how : &s->c.how;
    const char *detail = to_server ? s->w.detail : s->c.detail;
    assert_int_equal(own->error, WS_ERR_TLS);
    assert_int_equal(own->code, 1006);
    assert_non_null(strstr(detail, "TLS failed: "));
    relay_until(&r, to_server ? &s->c.closed : &s->w.closed, 1);
    if (!faults_are_on()) { /* an alert leaves at once or never */
      const ws_close_info *other = to_server ? &s->c.how : &s->w.how;
      assert_int_equal(other->error, WS_ERR_TLS);
      assert_non_null(strstr(to_server ? s->c.detail : s->w.detail, "TLS alert"));
    }
    relay_stop(&r);
    secured_teardown(&one);
  }
}

/* Both come with one read, so nothing wakes the loop for the second. */
static void test_tls_bad_record_behind_a_good_one_is_found_by_itself(void **state) {
  Secured *s = *state;
  Relay r;
  uint8_t both[1024];
  open_relayed(s, &r);
  r.allow_up = r.up;
  assert_ok(ws_conn_send(s->c.conn, WS_OP_TEXT, "good", 4, 0));
  while (ws_conn_buffered(s->c.conn) != 0) assert_true(ws_loop_dispatch(s->c.loop, 1) >= 0);
  ssize_t n = recv(r.client.fd, both, sizeof both / 2, 0);
  assert_true(n > 4);
  memcpy(both + n, both, (size_t)n); /* a record that comes twice is not what comes next */
  peer_send(&r.server, both, 2 * (size_t)n);
  world_wait_closed(&s->w, 1);
  assert_string_equal(s->w.log, "open text:good close:1006/0/-40 ");
  relay_stop(&r);
}

int main(void) {
#define SECURED(f) cmocka_unit_test_setup_teardown(f, secured_setup, secured_teardown)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_tls_port_drops_plain_http_without_an_answer),
      cmocka_unit_test(test_tls_older_version_is_answered_by_an_alert),
      cmocka_unit_test(test_tls_silence_meets_the_handshake_timeout),
      SECURED(test_tls_handshake_of_a_byte_at_a_time_does_not_move_the_deadline),
      SECURED(test_tls_garbage_of_all_kinds_is_dropped),
      cmocka_unit_test(test_tls_handshake_that_is_cut_anywhere_leaves_nothing),
      SECURED(test_tls_handshake_in_single_bytes_succeeds),
      cmocka_unit_test(test_tls_stream_cut_to_the_server_is_no_clean_end),
      SECURED(test_tls_stream_cut_to_the_client_is_no_clean_end),
      SECURED(test_tls_cut_after_the_closing_handshake_is_clean),
      cmocka_unit_test(test_tls_record_that_was_changed_ends_the_connection),
      SECURED(test_tls_bad_record_behind_a_good_one_is_found_by_itself),
  };
  return cmocka_run_group_tests_name("tls_hostile", tests, NULL, NULL);
}
