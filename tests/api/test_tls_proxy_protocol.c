/*
 * WS_LISTEN_PROXY with TLS: the header stands before the TLS handshake, which begins with the byte
 * behind it.
 */
#include "secured.h"

static char peer_seen[128];
static void note(World *w, const char *event, ws_conn *c) {
  (void)w;
  if (strcmp(event, "open") == 0) {
    strncpy(peer_seen, ws_conn_peer(c), sizeof peer_seen - 1);
  }
}

static const char *const loopback[] = {"127.0.0.0/8"};

static void listen_for_proxies(Secured *s) {
  s->w.on = note;
  s->listen.flags = WS_LISTEN_PROXY;
  s->listen.proxy_from = loopback;
  s->listen.proxy_from_count = 1;
  secured_listen(s);
}

static void open_behind(Secured *s, const char *header, size_t piece) {
  Relay r;
  peer_seen[0] = '\0';
  relay_listen(&r, s);
  for (size_t at = 0; at < strlen(header); at += piece) {
    size_t len = strlen(header) - at;
    peer_send(&r.server, header + at, len < piece ? len : piece);
    if (piece < 100) run_for(s->w.loop, 1);
  }
  caller_start(&s->c);
  relay_accept(&r);
  relay_until(&r, &s->c.opened, 1);
  relay_until(&r, &s->w.opened, 1);
  assert_string_equal(peer_seen, "192.0.2.7:50417");
  assert_ok(ws_conn_send(s->c.conn, WS_OP_TEXT, "hello", 5, 0));
  relay_until(&r, &s->w.messages, 1);
  ws_client_free(s->c.client);
  s->c.client = NULL;
  relay_stop(&r);
  caller_wait_closed(&s->c, 1);
  world_wait_closed(&s->w, 1);
}

static void test_tls_behind_a_proxy_header(void **state) {
  Secured *s = *state;
  listen_for_proxies(s);
  open_behind(s, "PROXY TCP4 192.0.2.7 198.51.100.1 50417 443\r\n", 1000);
}

static void test_tls_behind_a_proxy_header_in_pieces(void **state) {
  Secured *s = *state;
  listen_for_proxies(s);
  open_behind(s, "PROXY TCP4 192.0.2.7 198.51.100.1 50417 443\r\n", 7);
}

static void test_tls_without_a_proxy_header_is_dropped(void **state) {
  Secured *s = *state;
  listen_for_proxies(s);
  caller_start(&s->c);
  caller_wait_down(&s->c, 1);
  assert_int_equal(s->c.opened, 0);
  secured_wait_line(s, "why=\"not a PROXY protocol header\"");
}

int main(void) {
#define WITH_SECURED(f) cmocka_unit_test_setup_teardown(f, secured_setup, secured_teardown)
  const struct CMUnitTest tests[] = {
      WITH_SECURED(test_tls_behind_a_proxy_header),
      WITH_SECURED(test_tls_behind_a_proxy_header_in_pieces),
      WITH_SECURED(test_tls_without_a_proxy_header_is_dropped),
  };
  return cmocka_run_group_tests_name("tls_proxy_protocol", tests, NULL, NULL);
}
