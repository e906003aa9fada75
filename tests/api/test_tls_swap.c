/*
 * ws_listener_set_tls(): new certificates for new connections, while those that are open go on.
 */
#include "secured.h"

#include <stdio.h>

#define CLIENTS 20
#define SWAPS 50

static ws_tls *tls_of(const Cert *cert) {
  ws_tls_config c;
  ws_tls *t = NULL;
  WS_INIT(&c);
  c.cert_pem = cert_pem(cert);
  c.key_pem = cert_key(cert);
  assert_ok(ws_tls_new(&c, &t));
  return t;
}

/* Nobody but the listener keeps it. */
static void swap_in(Secured *s, const Cert *cert) {
  ws_tls *t = tls_of(cert);
  assert_ok(ws_listener_set_tls(s->w.listener, t));
  ws_tls_unref(t);
}

static void echo_back(World *w, const char *event, ws_conn *c) {
  if (strcmp(event, "message") != 0) return;
  assert_true(ws_conn_send(c, w->op, w->data, w->len, 0) >= 0);
}

/* ---- clients that never rest ---- */

typedef struct Busy {
  ws_client *client;
  ws_conn *conn;
  int echoed, closed;
  char fingerprint[65];
} Busy;

static uint8_t payload[5000];

static void say_next(Busy *b, ws_conn *c) {
  size_t len = sizeof payload - (size_t)b->echoed % 100;
  assert_true(ws_conn_send(c, WS_OP_BINARY, payload, len, 0) >= 0);
}

static void busy_open(ws_conn *c, void *user) {
  Busy *b = user;
  ws_tls_info info;
  WS_INIT(&info);
  assert_ok(ws_conn_get_tls(c, &info));
  snprintf(b->fingerprint, sizeof b->fingerprint, "%s", info.peer_fingerprint);
  b->conn = c;
  say_next(b, c);
}

static void busy_message(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  Busy *b = user;
  assert_int_equal(op, WS_OP_BINARY);
  assert_bytes(data, len, payload, sizeof payload - (size_t)b->echoed % 100);
  ++b->echoed;
  say_next(b, c);
}

static void busy_close(ws_conn *c, const ws_close_info *how, void *user) {
  (void)c, (void)how;
  ++((Busy *)user)->closed;
}

static void busy_start(Secured *s, Busy *b) {
  ws_handlers h;
  ws_client_config c;
  WS_INIT(&h);
  WS_INIT(&c);
  memset(b, 0, sizeof *b);
  h.on_open = busy_open;
  h.on_message = busy_message;
  h.on_close = busy_close;
  c.handlers = &h;
  c.user = b;
  c.url = s->c.url;
  c.tls = s->client_tls;
  c.connect_to = s->connect_to;
  assert_ok(ws_client_new(s->c.loop, &c, &b->client));
}

/* Each has echoed that many more. */
static void wait_echoes(Secured *s, Busy *all, size_t count, int more) {
  uint64_t end = clock_ms() + 3 * PATIENCE_MS;
  for (size_t i = 0; i < count; ++i) {
    for (int want = all[i].echoed + more; all[i].echoed < want;) {
      if (clock_ms() > end || all[i].closed) fail_msg("client %zu: %d echoes", i, all[i].echoed);
      assert_true(ws_loop_dispatch(s->c.loop, 2) >= 0);
      s->w.log[0] = '\0';
    }
  }
}

static void test_tls_swap_under_load_drops_nobody_and_serves_the_new_certificate(void **state) {
  Secured *s = *state;
  Busy all[CLIENTS], newcomer;
  Cert *other = cert_make_server(s->ca, "DNS:localhost");
  for (size_t i = 0; i < sizeof payload; ++i) payload[i] = (uint8_t)(i * 7);
  s->w.on = echo_back;
  secured_listen(s);
  for (size_t i = 0; i < CLIENTS; ++i) busy_start(s, &all[i]);
  wait_echoes(s, all, CLIENTS, 1);
  for (int swap = 0; swap < SWAPS; ++swap) {
    const Cert *now = swap % 2 == 0 ? other : s->cert;
    swap_in(s, now);
    wait_echoes(s, all, CLIENTS, 1);
    /* The client has tickets of the certificates before. */
    busy_start(s, &newcomer);
    wait_echoes(s, &newcomer, 1, 2);
    assert_string_equal(newcomer.fingerprint, fingerprint_of(cert_pem(now)));
    ws_client_free(newcomer.client);
    world_wait_closed(&s->w, swap + 1);
  }
  wait_echoes(s, all, CLIENTS, 10);
  for (size_t i = 0; i < CLIENTS; ++i) {
    assert_string_equal(all[i].fingerprint, fingerprint_of(cert_pem(s->cert)));
    assert_int_equal(all[i].closed, 0);
    ws_client_free(all[i].client);
  }
  world_wait_closed(&s->w, CLIENTS + SWAPS);
  assert_string_equal(s->lines, "");
  cert_free(other);
}

/* ---- one at a time ---- */

static void expect_certificate(Secured *s, const Cert *cert) {
  ws_tls_info info;
  WS_INIT(&info);
  assert_ok(ws_conn_get_tls(s->c.conn, &info));
  assert_string_equal(info.peer_fingerprint, fingerprint_of(cert_pem(cert)));
}

static void expect_echo(Secured *s) {
  int count = s->c.messages + 1;
  assert_ok(ws_conn_send(s->c.conn, WS_OP_TEXT, "still here", 10, 0));
  caller_wait_messages(&s->c, count);
  assert_int_equal(s->c.len, 10);
}

static void test_tls_swap_leaves_what_is_open_as_it_was(void **state) {
  Secured *s = *state;
  Cert *other = cert_make_server(s->ca, "DNS:localhost");
  s->w.on = echo_back;
  secured_open(s);
  swap_in(s, other);
  expect_echo(s);
  expect_certificate(s, s->cert);
  secured_leave(s);
  secured_connect(s);
  expect_echo(s);
  expect_certificate(s, other);
  cert_free(other);
}

/* Accepted before, handshaken after: it has what it was accepted with. */
static void test_tls_swap_within_a_handshake_lets_it_finish(void **state) {
  Secured *s = *state;
  Relay r;
  Cert *other = cert_make_server(s->ca, "DNS:localhost");
  s->w.on = echo_back;
  secured_listen(s);
  relay_listen(&r, s);
  r.allow_up = 10;
  caller_start(&s->c);
  relay_accept(&r);
  relay_settle(&r);
  assert_int_equal(r.up, 10);
  swap_in(s, other);
  ws_tls_unref(s->server_tls); /* the last of it but the session's own */
  s->server_tls = NULL;
  r.allow_up = SIZE_MAX;
  relay_until(&r, &s->c.opened, 1);
  expect_certificate(s, s->cert);
  relay_until(&r, &s->w.opened, 1);
  relay_stop(&r);
  cert_free(other);
}

static void test_tls_swap_that_cannot_be_loaded_leaves_the_old_one(void **state) {
  Secured *s = *state;
  ws_tls_config c;
  ws_tls *t = NULL;
  Cert *other = cert_make_server(s->ca, "DNS:localhost");
  s->w.on = echo_back;
  secured_open(s);
  WS_INIT(&c);
  c.cert_file = "/nonexistent/certificate.pem";
  assert_fails(WS_ERR_TLS_CONFIG, ws_tls_new(&c, &t));
  assert_detail_has("/nonexistent/certificate.pem");
  assert_null(t);
  c.cert_file = NULL;
  c.cert_pem = cert_pem(other);
  c.key_pem = cert_key(s->cert); /* of another certificate */
  assert_fails(WS_ERR_TLS_CONFIG, ws_tls_new(&c, &t));
  assert_null(t);
  assert_ok(ws_tls_new(NULL, &t));
  assert_fails(WS_ERR_INVALID, ws_listener_set_tls(s->w.listener, t));
  assert_fails(WS_ERR_INVALID, ws_listener_set_tls(NULL, s->server_tls));
  ws_tls_unref(t);
  expect_echo(s);
  secured_leave(s);
  secured_connect(s);
  expect_echo(s);
  expect_certificate(s, s->cert);
  cert_free(other);
}

static void test_tls_swap_for_none_makes_new_connections_plain_and_back(void **state) {
  Secured *s = *state;
  Peer p;
  s->w.on = echo_back;
  secured_open(s);
  assert_ok(ws_listener_set_tls(s->w.listener, NULL));
  world_join(&s->w, &p); /* plain */
  peer_send_text(&p, "plain");
  peer_expect_text(&p, "plain");
  expect_echo(s);
  expect_certificate(s, s->cert);
  assert_ok(ws_listener_set_tls(s->w.listener, s->server_tls));
  peer_send_text(&p, "plain still");
  peer_expect_text(&p, "plain still");
  peer_drop(&p);
  secured_leave(s);
  secured_connect(s);
  expect_echo(s);
  expect_certificate(s, s->cert);
}

static void test_tls_swap_for_itself_changes_nothing(void **state) {
  Secured *s = *state;
  s->w.on = echo_back;
  secured_listen(s);
  for (int i = 0; i < 3; ++i) assert_ok(ws_listener_set_tls(s->w.listener, s->server_tls));
  ws_tls_unref(s->server_tls);
  s->server_tls = NULL;
  secured_connect(s);
  expect_echo(s);
  expect_certificate(s, s->cert);
}

static void test_tls_swap_concerns_its_listener_only(void **state) {
  Secured *s = *state;
  ws_listener *second;
  Cert *other = cert_make_server(s->ca, "DNS:localhost");
  s->w.on = echo_back;
  secured_listen(s);
  assert_ok(ws_server_listen(s->w.server, &s->listen, &second));
  swap_in(s, other);
  secured_connect(s);
  expect_certificate(s, other);
  secured_leave(s);
  snprintf(s->connect_to, sizeof s->connect_to, "127.0.0.1:%d", ws_listener_port(second));
  secured_connect(s);
  expect_echo(s);
  expect_certificate(s, s->cert);
  cert_free(other);
}

int main(void) {
#define SECURED(f) cmocka_unit_test_setup_teardown(f, secured_setup, secured_teardown)
  const struct CMUnitTest tests[] = {
      SECURED(test_tls_swap_under_load_drops_nobody_and_serves_the_new_certificate),
      SECURED(test_tls_swap_leaves_what_is_open_as_it_was),
      SECURED(test_tls_swap_within_a_handshake_lets_it_finish),
      SECURED(test_tls_swap_that_cannot_be_loaded_leaves_the_old_one),
      SECURED(test_tls_swap_for_none_makes_new_connections_plain_and_back),
      SECURED(test_tls_swap_for_itself_changes_nothing),
      SECURED(test_tls_swap_concerns_its_listener_only),
  };
  return cmocka_run_group_tests_name("tls_swap", tests, NULL, NULL);
}
