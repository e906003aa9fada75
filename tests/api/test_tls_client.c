/*
 * client.h over TLS: whom it trusts, what it asks for, what is told about a connection, and what
 * it never says to a stranger.
 */
#include "secured.h"

#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

static const char kAlertProtocolVersion[] = "\x15\x03\x03\x00\x02\x02\x46";

/* ---- how a connection is secured ---- */

static ws_tls_info info_of(const ws_conn *c) {
  ws_tls_info info;
  WS_INIT(&info);
  assert_ok(ws_conn_get_tls(c, &info));
  assert_int_equal(info.size, sizeof info);
  return info;
}

/* req: 10, 110 */
static void test_tls_info_tells_version_names_and_the_servers_certificate(void **state) {
  Secured *s = *state;
  secured_open(s);
  ws_tls_info here = info_of(s->c.conn), there = info_of(s->w.conn);
  assert_string_equal(here.version, "TLSv1.3");
  assert_non_null(strstr(here.cipher, "_SHA"));
  assert_string_equal(here.server_name, "localhost");
  assert_string_equal(here.peer_subject, "CN=test server");
  assert_string_equal(here.peer_fingerprint, fingerprint_of(cert_pem(s->cert)));
  assert_int_equal(here.resumed, 0);
  assert_int_equal(here.kernel, 0);
  assert_string_equal(there.version, here.version);
  assert_string_equal(there.cipher, here.cipher);
  assert_string_equal(there.server_name, "localhost");
  assert_string_equal(there.peer_subject, "");
  assert_string_equal(there.peer_fingerprint, "");
}

/* RFC 6066 3: SNI is for names. */
static void test_tls_address_is_verified_and_not_asked_for(void **state) {
  Secured *s = *state;
  secured_listen(s);
  caller_set_url(&s->c, "wss://127.0.0.1:%d/", s->w.port);
  secured_connect(s);
  assert_string_equal(info_of(s->c.conn).server_name, "");
  assert_string_equal(info_of(s->w.conn).server_name, "");
  assert_string_equal(info_of(s->c.conn).peer_subject, "CN=test server");
}

/* Tickets come with the first bytes that are read. */
static void talk_and_leave(Secured *s) {
  int count = s->c.messages + 1;
  assert_ok(ws_conn_send(s->w.conn, WS_OP_TEXT, "hello", 5, 0));
  caller_wait_messages(&s->c, count);
  secured_leave(s);
}

static void test_tls_second_connection_is_resumed_and_knows_the_certificate(void **state) {
  Secured *s = *state;
  secured_open(s);
  talk_and_leave(s);
  secured_connect(s);
  assert_int_equal(info_of(s->c.conn).resumed, 1);
  assert_int_equal(info_of(s->w.conn).resumed, 1);
  assert_string_equal(info_of(s->c.conn).peer_subject, "CN=test server");
  assert_string_equal(info_of(s->c.conn).peer_fingerprint, fingerprint_of(cert_pem(s->cert)));
  assert_string_equal(info_of(s->w.conn).server_name, "localhost");
  talk_and_leave(s);
  /* Another name is another server, on the same port too. */
  caller_set_url(&s->c, "wss://one.test:%d/", s->w.port);
  secured_connect(s);
  assert_int_equal(info_of(s->c.conn).resumed, 0);
}

static void test_tls_without_tickets_nothing_is_resumed(void **state) {
  (void)state;
  for (int by_server = 0; by_server < 2; ++by_server) {
    void *one;
    secured_setup(&one);
    Secured *s = one;
    ws_tls_config *c = by_server ? &s->server_config : &s->client_config;
    c->flags = WS_TLS_NO_TICKETS;
    secured_open(s);
    talk_and_leave(s);
    secured_connect(s);
    assert_int_equal(info_of(s->c.conn).resumed, 0);
    assert_int_equal(info_of(s->w.conn).resumed, 0);
    secured_teardown(&one);
  }
}

static void test_tls_info_grows_and_shrinks_with_size(void **state) {
  Secured *s = *state;
  struct {
    ws_tls_info info;
    char newer[16];
  } large;
  ws_tls_info small;
  secured_open(s);
  memset(&large, 0x55, sizeof large);
  large.info.size = sizeof large;
  assert_ok(ws_conn_get_tls(s->c.conn, &large.info));
  assert_int_equal(large.info.size, sizeof large);
  assert_string_equal(large.info.version, "TLSv1.3");
  assert_int_equal(large.newer[0], 0);
  assert_int_equal(large.newer[15], 0);
  memset(&small, 0x55, sizeof small);
  small.size = offsetof(ws_tls_info, cipher);
  assert_ok(ws_conn_get_tls(s->c.conn, &small));
  assert_int_equal(small.size, offsetof(ws_tls_info, cipher));
  assert_string_equal(small.version, "TLSv1.3");
  assert_int_equal(small.resumed, 0x55555555);
  small.size = 0;
  assert_fails(WS_ERR_INVALID, ws_conn_get_tls(s->c.conn, &small));
  assert_fails(WS_ERR_INVALID, ws_conn_get_tls(s->c.conn, NULL));
  assert_fails(WS_ERR_INVALID, ws_conn_get_tls(NULL, &large.info));
}

/* The last chance is on_close. */
static void read_at_close(Caller *c, const char *event, ws_conn *conn) {
  if (strcmp(event, "close") == 0) caller_log(c, "%s ", info_of(conn).peer_subject);
}

static void test_tls_info_lasts_until_on_close_and_is_closed_after(void **state) {
  Secured *s = *state;
  ws_tls_info info;
  WS_INIT(&info);
  s->c.on = read_at_close;
  secured_open(s);
  ws_conn *c = ws_conn_ref(s->c.conn), *d = ws_conn_ref(s->w.conn);
  assert_ok(ws_conn_close(c, 1000, NULL));
  caller_wait_log(&s->c, "close:1000/1000/0 CN=test server");
  world_wait_closed(&s->w, 1);
  assert_fails(WS_ERR_CLOSED, ws_conn_get_tls(c, &info));
  assert_fails(WS_ERR_CLOSED, ws_conn_get_tls(d, &info));
  ws_conn_unref(c);
  ws_conn_unref(d);
}

static void test_tls_info_of_a_plain_connection_is_a_wrong_state(void **state) {
  Call *call = *state;
  ws_tls_info info;
  WS_INIT(&info);
  call_open(call);
  assert_fails(WS_ERR_STATE, ws_conn_get_tls(call->c.conn, &info));
}

/* ---- whom it trusts ---- */

static int requests;
static void count_request(ws_request *r, void *user) {
  (void)r, (void)user;
  ++requests;
}

static void listen_and_count(Secured *s) {
  requests = 0;
  s->w.config.on_request = count_request;
  secured_listen(s);
}

/* Nothing is asked of this server, and no other attempt is made. */
static void expect_stranger(Secured *s, const char *detail) {
  caller_start(&s->c);
  secured_expect_refused(s, WS_ERR_TLS_VERIFY, detail);
  caller_expect_log(&s->c, "attempt:1 down:-42/0/never ");
  if (!faults_are_on()) { /* an alert leaves at once or never */
    secured_wait_line(s, "tls peer=127.0.0.1:");
    secured_wait_line(s, "the peer sent the TLS alert");
  }
  assert_int_equal(requests, 0);
}

/* req: 9, 111 */
static void test_tls_unknown_authority_is_refused_and_not_retried(void **state) {
  Secured *s = *state;
  Cert *other = cert_make_ca("test root"); /* of the same name */
  s->client_config.ca_pem = cert_pem(other);
  s->c.config.retry_count = WS_NEVER;
  listen_and_count(s);
  expect_stranger(s, "certificate verify failed: ");
  cert_free(other);
}

static void test_tls_verification_is_retried_when_all_is(void **state) {
  Secured *s = *state;
  Cert *other = cert_make_ca("other root");
  s->client_config.ca_pem = cert_pem(other);
  s->c.config.flags = WS_CLIENT_RETRY_ALL;
  s->c.config.retry_count = 1;
  s->c.config.retry_min_ms = s->c.config.retry_max_ms = 1;
  secured_listen(s);
  caller_start(&s->c);
  caller_wait_down(&s->c, 2);
  caller_expect_log(&s->c, "attempt:1 down:-42/0/retry attempt:2 down:-42/0/never ");
  cert_free(other);
}

/* req: 9, 111 */
static void test_tls_roots_of_the_system_do_not_know_our_server(void **state) {
  Secured *s = *state;
  listen_and_count(s);
  s->c.config.tls = NULL;
  expect_stranger(s, "certificate verify failed: ");
}

/* req: 9, 111 */
static void test_tls_other_host_name_is_refused_wherever_it_is_dialed(void **state) {
  static const char *const hosts[] = {"two.test", "sub.one.test", "test", "127.0.0.2", "[::1]"};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(hosts); ++i) {
    void *one;
    secured_setup(&one);
    Secured *s = one;
    s->c.config.retry_count = 3;
    listen_and_count(s);
    caller_set_url(&s->c, "wss://%s:%d/", hosts[i], s->w.port);
    expect_stranger(s, "was asked for (CN=test server)");
    secured_teardown(&one);
  }
}

static char host_seen[64];
static void note_host(ws_request *r, void *user) {
  (void)user;
  snprintf(host_seen, sizeof host_seen, "%s", ws_request_header(r, "Host", NULL));
}

static void test_tls_name_replaces_the_urls_for_tls_only(void **state) {
  Secured *s = *state;
  char host[64];
  s->w.config.on_request = note_host;
  s->c.config.tls_name = "one.test";
  secured_listen(s);
  caller_set_url(&s->c, "wss://two.test:%d/", s->w.port);
  secured_connect(s);
  assert_string_equal(info_of(s->w.conn).server_name, "one.test");
  snprintf(host, sizeof host, "two.test:%d", s->w.port);
  assert_string_equal(host_seen, host);
}

/* req: 111 */
static void test_tls_name_is_verified(void **state) {
  Secured *s = *state;
  s->c.config.tls_name = "two.test";
  listen_and_count(s);
  expect_stranger(s, "\"two.test\" was asked for");
}

static void test_tls_verify_none_takes_anybody_and_knows_nobody(void **state) {
  Secured *s = *state;
  Cert *other = cert_make_ca("other root");
  s->client_config.ca_pem = cert_pem(other);
  s->client_config.verify = WS_TLS_VERIFY_NONE;
  secured_listen(s);
  caller_set_url(&s->c, "wss://two.test:%d/", s->w.port);
  secured_connect(s);
  assert_string_equal(info_of(s->c.conn).peer_subject, "");
  assert_string_equal(info_of(s->c.conn).peer_fingerprint, "");
  assert_string_equal(info_of(s->c.conn).server_name, "two.test");
  cert_free(other);
}

static void test_tls_settings_belong_to_nobody_once_used(void **state) {
  Secured *s = *state;
  secured_listen(s);
  ws_tls_unref(s->server_tls);
  s->server_tls = NULL;
  caller_start(&s->c);
  ws_tls_unref(s->client_tls);
  s->client_tls = s->c.config.tls = NULL;
  caller_wait_open(&s->c, 1);
  assert_string_equal(info_of(s->c.conn).server_name, "localhost");
}

/* ---- a target that does not speak TLS as it should ---- */

/* Leads the client of a prepared call to the target by TLS, and takes its connection. */
static void begin_tls(Call *call) {
  caller_set_url(&call->c, "wss://127.0.0.1:%d/secret/path", call->t.port);
  caller_start(&call->c);
  target_accept(&call->t, &call->p);
}

/* What has come so far, all of it. */
static size_t take_all(Call *call, uint8_t *out, size_t room) {
  size_t len = 0;
  for (int quiet = 0; quiet < 10; ++quiet) {
    assert_true(ws_loop_dispatch(call->c.loop, 1) >= 0);
    ssize_t n = recv(call->p.fd, out + len, room - len, 0);
    if (n > 0) len += (size_t)n;
    if (n > 0) quiet = 0;
  }
  return len;
}

static int holds(const uint8_t *data, size_t len, const char *text) {
  return memmem(data, len, text, strlen(text)) != NULL;
}

/* req: 8, 9 */
static void test_tls_nothing_of_http_is_said_to_a_stranger(void **state) {
  static const char *const answers[] = {"", "HTTP/1.1 101 Switching Protocols\r\n\r\n",
                                        "SSH-2.0-stranger\r\n"};
  static const ws_header secret = {"Authorization", "Bearer token"};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(answers); ++i) {
    void *one;
    uint8_t said[65536];
    call_setup(&one);
    Call *call = one;
    call->c.config.headers = &secret;
    call->c.config.header_count = 1;
    begin_tls(call);
    size_t len = take_all(call, said, sizeof said);
    peer_say(&call->p, answers[i]);
    len += take_all(call, said + len, sizeof said - len);
    peer_fin(&call->p);
    len += take_all(call, said + len, sizeof said - len);
    assert_true(len > 100);
    assert_int_equal(said[0], 0x16);
    assert_int_equal(said[1], 0x03);
    assert_false(holds(said, len, "GET"));
    assert_false(holds(said, len, "secret"));
    assert_false(holds(said, len, "token"));
    call_expect_refused(call, i == 0 ? WS_ERR_EOF : WS_ERR_TLS, 0);
    assert_non_null(strstr(call->c.why_detail, i == 0 ? "during the TLS handshake" : "speak TLS"));
    call_teardown(&one);
  }
}

static void test_tls_version_the_server_will_not_speak_is_an_error_and_retried(void **state) {
  Call *call = *state;
  call->c.config.retry_count = 1;
  call->c.config.retry_min_ms = call->c.config.retry_max_ms = 1;
  begin_tls(call);
  peer_send(&call->p, kAlertProtocolVersion, sizeof kAlertProtocolVersion - 1);
  call_expect_refused(call, WS_ERR_TLS, 0);
  assert_non_null(strstr(call->c.why_detail, "the TLS alert \"protocol version\""));
  caller_expect_log(&call->c, "attempt:1 down:-40/0/retry ");
}

static void test_tls_server_that_resets_is_told_as_the_end(void **state) {
  Call *call = *state;
  uint8_t said[4096];
  begin_tls(call);
  take_all(call, said, sizeof said);
  peer_reset(&call->p);
  call_expect_refused(call, WS_ERR_EOF, 0);
}

static void test_tls_server_that_says_nothing_meets_the_handshake_timeout(void **state) {
  Call *call = *state;
  call->c.limits.handshake_timeout_ms = short_timeout_ms();
  begin_tls(call);
  call_expect_refused(call, WS_ERR_TIMEOUT, 0);
  assert_non_null(strstr(call->c.why_detail, "the TLS handshake"));
  peer_expect_gone(&call->p);
}

/* bad: 44 */
static void test_tls_greeting_on_a_plain_port_fails_on_both_sides(void **state) {
  Secured *s = *state;
  secured_listen(s);
  assert_ok(ws_listener_set_tls(s->w.listener, NULL));
  caller_start(&s->c);
  secured_expect_refused(s, WS_ERR_TLS, "does not speak TLS");
  secured_wait_line(s, "refuse peer=127.0.0.1:");
}

static void test_tls_client_can_be_freed_within_the_handshake(void **state) {
  Call *call = *state;
  begin_tls(call);
  ws_client_free(call->c.client);
  call->c.client = NULL;
  peer_expect_gone(&call->p);
  caller_expect_log(&call->c, "attempt:1 ");
}

/* ---- other ways to a server ---- */

static void test_tls_unix_socket_is_localhost_unless_told_otherwise(void **state) {
  static const char *const names[] = {NULL, "one.test", "two.test"};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(names); ++i) {
    void *one;
    char path[64];
    secured_setup(&one);
    Secured *s = one;
    snprintf(path, sizeof path, "@libws-tls-client-%d", (int)getpid());
    s->listen.host = NULL;
    s->listen.unix_path = path;
    secured_listen(s);
    s->c.config.connect_to = NULL;
    s->c.config.tls_name = names[i];
    caller_set_url(&s->c, "wss+unix://%s:/x", path);
    if (i < 2) {
      secured_connect(s);
      assert_string_equal(info_of(s->w.conn).server_name, i == 0 ? "localhost" : "one.test");
    } else {
      caller_start(&s->c);
      secured_expect_refused(s, WS_ERR_TLS_VERIFY, "\"two.test\" was asked for");
    }
    secured_teardown(&one);
  }
}

/* A plain target that sends the client on to the server of `s`. */
static void begin_redirected(Secured *s, Target *t, Peer *p) {
  char text[256];
  target_listen(t, s->c.loop);
  secured_listen(s);
  s->c.config.connect_to = NULL;
  s->c.config.max_redirects = 1;
  caller_set_url(&s->c, "ws://127.0.0.1:%d/", t->port);
  caller_start(&s->c);
  target_take(t, p);
  snprintf(text, sizeof text,
           "HTTP/1.1 302 Elsewhere\r\nContent-Length: 0\r\n"
           "Location: https://127.0.0.1:%d/x\r\n\r\n",
           s->w.port);
  peer_say(p, text);
}

/* bad: 65 */
static void test_tls_redirect_from_plain_to_https_is_followed(void **state) {
  Secured *s = *state;
  Target t;
  Peer p;
  char url[64];
  begin_redirected(s, &t, &p);
  caller_wait_open(&s->c, 1);
  snprintf(url, sizeof url, "wss://127.0.0.1:%d/x", s->w.port);
  assert_string_equal(ws_client_url(s->c.client), url);
  assert_string_equal(info_of(s->c.conn).peer_subject, "CN=test server");
  peer_drop(&p);
  target_stop(&t);
}

/* tls_name is for the URL's host, not for whoever it points to. */
static void test_tls_redirect_is_verified_by_its_own_name(void **state) {
  Secured *s = *state;
  Target t;
  Peer p;
  Cert *named = cert_make_server(s->ca, "DNS:one.test");
  s->server_config.cert_pem = cert_pem(named);
  s->server_config.key_pem = cert_key(named);
  s->c.config.tls_name = "one.test";
  begin_redirected(s, &t, &p);
  secured_expect_refused(s, WS_ERR_TLS_VERIFY, "\"127.0.0.1\" was asked for");
  peer_drop(&p);
  target_stop(&t);
  cert_free(named);
}

static void redirect_to_plain(ws_request *r, void *user) {
  static const ws_header where = {"Location", "ws://127.0.0.1:9/"};
  (void)user;
  assert_ok(ws_request_respond(r, 302, &where, 1, NULL, 0));
}

/* bad: 65 */
static void test_tls_redirect_to_plain_is_refused(void **state) {
  Secured *s = *state;
  s->w.config.on_request = redirect_to_plain;
  s->c.config.max_redirects = 5;
  secured_listen(s);
  caller_start(&s->c);
  caller_wait_down(&s->c, 1);
  caller_expect_log(&s->c, "attempt:1 down:-61/302/never ");
  assert_non_null(strstr(s->c.why_detail, "from wss to ws"));
}

int main(void) {
#define SECURED(f) cmocka_unit_test_setup_teardown(f, secured_setup, secured_teardown)
#define CALL(f) cmocka_unit_test_setup_teardown(f, call_setup, call_teardown)
  const struct CMUnitTest tests[] = {
      SECURED(test_tls_info_tells_version_names_and_the_servers_certificate),
      SECURED(test_tls_address_is_verified_and_not_asked_for),
      SECURED(test_tls_second_connection_is_resumed_and_knows_the_certificate),
      cmocka_unit_test(test_tls_without_tickets_nothing_is_resumed),
      SECURED(test_tls_info_grows_and_shrinks_with_size),
      SECURED(test_tls_info_lasts_until_on_close_and_is_closed_after),
      CALL(test_tls_info_of_a_plain_connection_is_a_wrong_state),
      SECURED(test_tls_unknown_authority_is_refused_and_not_retried),
      SECURED(test_tls_verification_is_retried_when_all_is),
      SECURED(test_tls_roots_of_the_system_do_not_know_our_server),
      cmocka_unit_test(test_tls_other_host_name_is_refused_wherever_it_is_dialed),
      SECURED(test_tls_name_replaces_the_urls_for_tls_only),
      SECURED(test_tls_name_is_verified),
      SECURED(test_tls_verify_none_takes_anybody_and_knows_nobody),
      SECURED(test_tls_settings_belong_to_nobody_once_used),
      cmocka_unit_test(test_tls_nothing_of_http_is_said_to_a_stranger),
      CALL(test_tls_version_the_server_will_not_speak_is_an_error_and_retried),
      CALL(test_tls_server_that_resets_is_told_as_the_end),
      CALL(test_tls_server_that_says_nothing_meets_the_handshake_timeout),
      SECURED(test_tls_greeting_on_a_plain_port_fails_on_both_sides),
      CALL(test_tls_client_can_be_freed_within_the_handshake),
      cmocka_unit_test(test_tls_unix_socket_is_localhost_unless_told_otherwise),
      SECURED(test_tls_redirect_from_plain_to_https_is_followed),
      SECURED(test_tls_redirect_is_verified_by_its_own_name),
      SECURED(test_tls_redirect_to_plain_is_refused),
  };
  return cmocka_run_group_tests_name("tls_client", tests, NULL, NULL);
}
