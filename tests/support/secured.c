#include "secured.h"

#include <openssl/evp.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

static void take_line(void *user, ws_log_level level, const char *line, size_t len) {
  Secured *s = user;
  size_t used = strlen(s->lines);
  if (level > WS_LOG_WARN) return;
  snprintf(s->lines + used, sizeof s->lines - used, "%.*s\n", (int)len, line);
}

void secured_remake_loop(Secured *s) {
  assert_ok(ws_loop_free(s->c.loop));
  assert_ok(ws_loop_new(&s->w.loop_config, &s->c.loop));
  s->w.loop = s->c.loop;
}

int secured_setup(void **state) {
  Secured *s = calloc(1, sizeof *s);
  if (s == NULL) return -1;
  world_prepare(&s->w);
  caller_prepare(&s->c);
  s->w.loop_config.log_level = WS_LOG_WARN;
  s->w.loop_config.log = take_line;
  s->w.loop_config.log_user = s;
  secured_remake_loop(s);
  s->ca = cert_make_ca("test root");
  s->cert = cert_make_server(s->ca, "DNS:localhost,DNS:one.test,IP:127.0.0.1");
  WS_INIT(&s->server_config);
  WS_INIT(&s->client_config);
  WS_INIT(&s->listen);
  s->server_config.cert_pem = cert_pem(s->cert);
  s->server_config.key_pem = cert_key(s->cert);
  s->client_config.ca_pem = cert_pem(s->ca);
  s->listen.host = "127.0.0.1";
  *state = s;
  return 0;
}

int secured_teardown(void **state) {
  Secured *s = *state;
  if (s->c.client != NULL) ws_client_free(s->c.client);
  if (s->w.server != NULL) ws_server_free(s->w.server);
  s->c.client = NULL;
  s->w.loop = NULL;
  caller_stop(&s->c);
  assert_int_equal(s->w.opened, s->w.closed);
  assert_int_equal(s->c.opened, s->c.closed);
  ws_tls_unref(s->server_tls);
  ws_tls_unref(s->client_tls);
  cert_free(s->cert);
  cert_free(s->ca);
  free(s);
  return 0;
}

void secured_listen(Secured *s) {
  assert_ok(ws_tls_new(&s->server_config, &s->server_tls));
  assert_ok(ws_tls_new(&s->client_config, &s->client_tls));
  s->listen.tls = s->server_tls;
  s->c.config.tls = s->client_tls;
  assert_ok(ws_server_new(s->w.loop, &s->w.config, &s->w.server));
  assert_ok(ws_server_listen(s->w.server, &s->listen, &s->w.listener));
  s->w.port = ws_listener_port(s->w.listener);
  snprintf(s->connect_to, sizeof s->connect_to, "127.0.0.1:%d", s->w.port);
  s->c.config.connect_to = s->connect_to;
  caller_set_url(&s->c, "wss://localhost:%d/", s->w.port);
}

void secured_connect(Secured *s) {
  int there = s->w.opened, here = s->c.opened;
  uint64_t end = clock_ms() + PATIENCE_MS;
  caller_start(&s->c);
  while (s->w.opened == there || s->c.opened == here) {
    if (clock_ms() > end || s->c.downs != 0) {
      fail_msg("not open; client: %s(%s); server: %s%s", s->c.log, s->c.why_detail, s->w.log,
               s->lines);
    }
    assert_true(ws_loop_dispatch(s->c.loop, 2) >= 0);
  }
}

void secured_open(Secured *s) {
  secured_listen(s);
  secured_connect(s);
}

void secured_leave(Secured *s) {
  if (s->c.client != NULL) ws_client_free(s->c.client);
  s->c.client = NULL;
  caller_wait_closed(&s->c, s->c.opened);
  world_wait_closed(&s->w, s->w.opened);
  s->c.downs = 0;
}

void secured_wait_line(Secured *s, const char *text) {
  uint64_t end = clock_ms() + PATIENCE_MS;
  while (strstr(s->lines, text) == NULL) {
    if (clock_ms() > end) fail_msg("no \"%s\" was logged, but: %s", text, s->lines);
    assert_true(ws_loop_dispatch(s->c.loop, 2) >= 0);
  }
}

void secured_expect_refused(Secured *s, int error, const char *detail) {
  Caller *c = &s->c;
  caller_wait_down(c, 1);
  if (c->why.error != error || strstr(c->why_detail, detail) == NULL) {
    fail_msg("error %d for \"%s\" is wanted, but: %s(%s)", error, detail, c->log, c->why_detail);
  }
  assert_int_equal(c->why.code, 1006);
  assert_int_equal(c->why.http_status, 0);
  assert_int_equal(c->opened, 0);
  assert_int_equal(s->w.opened, 0);
}

const char *fingerprint_of(const char *pem) {
  static char hex[65];
  uint8_t der[4096], digest[32];
  int len = 0, more = 0;
  const char *from = strchr(pem, '\n') + 1; /* behind the BEGIN line */
  const char *end = strstr(from, "-----END");
  EVP_ENCODE_CTX *ctx = EVP_ENCODE_CTX_new();
  assert_non_null(ctx);
  assert_true((size_t)(end - from) < sizeof der);
  EVP_DecodeInit(ctx);
  assert_true(EVP_DecodeUpdate(ctx, der, &len, (const uint8_t *)from, (int)(end - from)) >= 0);
  assert_int_equal(EVP_DecodeFinal(ctx, der + len, &more), 1);
  EVP_ENCODE_CTX_free(ctx);
  assert_int_equal(EVP_Digest(der, (size_t)(len + more), digest, NULL, EVP_sha256(), NULL), 1);
  for (size_t i = 0; i < sizeof digest; ++i) snprintf(hex + 2 * i, 3, "%02x", digest[i]);
  return hex;
}

/* ---- the relay ---- */

void relay_listen(Relay *r, Secured *s) {
  memset(r, 0, sizeof *r);
  r->client.fd = r->server.fd = -1;
  r->allow_up = r->allow_down = SIZE_MAX;
  target_listen(&r->t, s->c.loop);
  peer_connect(&r->server, s->c.loop, s->w.port);
  snprintf(s->connect_to, sizeof s->connect_to, "127.0.0.1:%d", r->t.port);
}

void relay_accept(Relay *r) { target_accept(&r->t, &r->client); }

/* The bytes moved; an end goes on as an end. */
static size_t forward(Relay *r, int from, int to, size_t *moved, size_t allowed) {
  uint8_t data[4096];
  size_t room = allowed - *moved < sizeof data ? allowed - *moved : sizeof data;
  if (from < 0 || to < 0 || room == 0) return 0;
  ssize_t n = recv(from, data, room, 0);
  if (n == 0) shutdown(to, SHUT_WR);
  if (n <= 0) return 0;
  if (from == r->client.fd && *moved == 0) memcpy(r->first, data, (size_t)n < 8 ? (size_t)n : 8);
  size_t sent = 0;
  uint64_t end = clock_ms() + PATIENCE_MS;
  while (sent < (size_t)n) {
    ssize_t m = send(to, data + sent, (size_t)n - sent, MSG_NOSIGNAL);
    if (m > 0) sent += (size_t)m;
    if (m < 0 && errno != EAGAIN) return 0;
    if (m < 0 && ws_loop_dispatch(r->t.loop, 1) < 0) return 0;
    if (clock_ms() > end) fail_msg("the relay cannot forward");
  }
  *moved += (size_t)n;
  return (size_t)n;
}

static size_t forward_both(Relay *r) {
  return forward(r, r->client.fd, r->server.fd, &r->up, r->allow_up) +
         forward(r, r->server.fd, r->client.fd, &r->down, r->allow_down);
}

void relay_turn(Relay *r) {
  assert_true(ws_loop_dispatch(r->t.loop, 1) >= 0);
  forward_both(r);
}

void relay_until(Relay *r, const int *value, int want) {
  uint64_t end = clock_ms() + PATIENCE_MS;
  while (*value < want) {
    if (clock_ms() > end) {
      fail_msg("still %d; %zu bytes went up and %zu down", *value, r->up, r->down);
    }
    relay_turn(r);
  }
}

void relay_settle(Relay *r) {
  for (int quiet = 0; quiet < 20; ++quiet) {
    assert_true(ws_loop_dispatch(r->t.loop, 1) >= 0);
    if (forward_both(r) != 0) quiet = 0;
  }
}

void relay_stop(Relay *r) {
  peer_drop(&r->client);
  peer_drop(&r->server);
  target_stop(&r->t);
}
