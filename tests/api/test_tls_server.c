/*
 * server.h over TLS: its certificates, those of its clients, and what requests say and are told.
 */
#include "secured.h"

#include <stdio.h>

static ws_tls_info info_of(const ws_conn *c) {
  ws_tls_info info;
  WS_INIT(&info);
  assert_ok(ws_conn_get_tls(c, &info));
  return info;
}

/* ---- the server's certificates ---- */

static void test_tls_listener_needs_a_certificate(void **state) {
  Secured *s = *state;
  ws_tls *none;
  ws_listener *ln = NULL;
  secured_listen(s);
  assert_ok(ws_tls_new(NULL, &none));
  s->listen.tls = none;
  assert_fails(WS_ERR_INVALID, ws_server_listen(s->w.server, &s->listen, &ln));
  assert_detail_has("certificate");
  assert_null(ln);
  assert_fails(WS_ERR_INVALID, ws_listener_set_tls(s->w.listener, none));
  ws_tls_unref(none);
  secured_connect(s); /* with what it had */
}

static Cert *named_server(const Cert *issuer, const char *subject, const char *names) {
  CertSpec spec = {0};
  spec.subject = subject;
  spec.names = names;
  return cert_make(&spec, issuer);
}

static ws_tls *tls_of(const Cert *cert) {
  ws_tls_config c;
  ws_tls *t = NULL;
  WS_INIT(&c);
  c.cert_pem = cert_pem(cert);
  c.key_pem = cert_key(cert);
  assert_ok(ws_tls_new(&c, &t));
  return t;
}

/* req: 10, 49 */
static void test_tls_certificate_is_chosen_by_the_name_asked_for(void **state) {
  static const struct {
    const char *name;
    int which; /* of the certificates; -1: none is for it */
  } all[] = {{"localhost", 0}, {"two.test", 1},        {"TWO.test", 1},    {"a.three.test", 2},
             {"four.test", 2}, {"a.b.three.test", -1}, {"three.test", -1}, {"other.test", -1}};
  Secured *s = *state;
  Cert *certs[3] = {s->cert, named_server(s->ca, "two", "DNS:two.test"),
                    named_server(s->ca, "three", "DNS:*.three.test,DNS:four.test")};
  ws_tls *alternatives[2] = {tls_of(certs[1]), tls_of(certs[2])};
  s->server_config.alternatives = alternatives;
  s->server_config.alternative_count = 2;
  secured_listen(s);
  ws_tls_unref(alternatives[0]);
  ws_tls_unref(alternatives[1]);
  for (size_t i = 0; i < COUNT_OF(all); ++i) {
    caller_set_url(&s->c, "wss://%s:%d/", all[i].name, s->w.port);
    if (all[i].which >= 0) {
      secured_connect(s);
      assert_string_equal(info_of(s->c.conn).peer_fingerprint,
                          fingerprint_of(cert_pem(certs[all[i].which])));
      secured_leave(s);
      continue;
    }
    s->c.opened = s->w.opened = s->c.closed = s->w.closed = 0;
    caller_start(&s->c);
    secured_expect_refused(s, WS_ERR_TLS_VERIFY, "(CN=test server)");
    secured_leave(s);
  }
  cert_free(certs[1]);
  cert_free(certs[2]);
}

/* An address names nobody: the first certificate it is. */
static void test_tls_client_of_an_address_gets_the_first_certificate(void **state) {
  Secured *s = *state;
  Cert *two = named_server(s->ca, "two", "DNS:two.test,IP:127.0.0.1");
  ws_tls *alternative = tls_of(two);
  s->server_config.alternatives = &alternative;
  s->server_config.alternative_count = 1;
  secured_listen(s);
  caller_set_url(&s->c, "wss://127.0.0.1:%d/", s->w.port);
  secured_connect(s);
  assert_string_equal(info_of(s->c.conn).peer_subject, "CN=test server");
  ws_tls_unref(alternative);
  cert_free(two);
}

/* ---- the clients' certificates ---- */

typedef struct Known {
  char subject[64], fingerprint[65], version[16];
  int rc; /* after the request's end */
  ws_request *kept;
} Known;

static Known known;

static void note_client(ws_request *r, void *user) {
  ws_tls_info info;
  (void)user;
  WS_INIT(&info);
  assert_ok(ws_request_get_tls(r, &info));
  snprintf(known.subject, sizeof known.subject, "%s", info.peer_subject);
  snprintf(known.fingerprint, sizeof known.fingerprint, "%s", info.peer_fingerprint);
  snprintf(known.version, sizeof known.version, "%s", info.version);
}

static void ask_for_certificates(Secured *s, const Cert *ca, ws_tls_verify verify) {
  memset(&known, 0, sizeof known);
  s->server_config.ca_pem = cert_pem(ca);
  s->server_config.verify = verify;
  s->w.config.on_request = note_client;
}

static void show(Secured *s, const Cert *cert) {
  s->client_config.cert_pem = cert_pem(cert);
  s->client_config.key_pem = cert_key(cert);
}

static void test_tls_client_certificate_is_told_of_request_and_connection(void **state) {
  static const ws_tls_verify modes[] = {WS_TLS_VERIFY_REQUIRE, WS_TLS_VERIFY_OPTIONAL};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(modes); ++i) {
    void *one;
    secured_setup(&one);
    Secured *s = one;
    Cert *ca = cert_make_ca("client root"), *alice = cert_make_client(ca, "alice");
    const char *fingerprint = fingerprint_of(cert_pem(alice));
    ask_for_certificates(s, ca, modes[i]);
    show(s, alice);
    secured_open(s);
    assert_string_equal(known.subject, "CN=alice");
    assert_string_equal(known.fingerprint, fingerprint);
    assert_string_equal(known.version, "TLSv1.3");
    assert_string_equal(info_of(s->w.conn).peer_subject, "CN=alice");
    assert_string_equal(info_of(s->w.conn).peer_fingerprint, fingerprint);
    /* A ticket remembers who it was given to. */
    assert_ok(ws_conn_send(s->w.conn, WS_OP_TEXT, "hello", 5, 0));
    caller_wait_messages(&s->c, 1);
    secured_leave(s);
    memset(&known, 0, sizeof known);
    secured_connect(s);
    assert_string_equal(known.subject, "CN=alice");
    assert_string_equal(known.fingerprint, fingerprint);
    secured_teardown(&one);
    cert_free(alice);
    cert_free(ca);
  }
}

static void test_tls_client_without_certificate_passes_where_it_is_optional(void **state) {
  Secured *s = *state;
  Cert *ca = cert_make_ca("client root");
  ask_for_certificates(s, ca, WS_TLS_VERIFY_OPTIONAL);
  secured_open(s);
  assert_string_equal(known.version, "TLSv1.3");
  assert_string_equal(known.subject, "");
  assert_string_equal(known.fingerprint, "");
  assert_string_equal(info_of(s->w.conn).peer_subject, "");
  cert_free(ca);
}

/* With TLS 1.3 the client has finished its handshake by the time the server says no. */
static void test_tls_client_without_certificate_is_refused_where_it_is_required(void **state) {
  Secured *s = *state;
  if (faults_are_on()) skip(); /* an alert leaves at once or never */
  Cert *ca = cert_make_ca("client root");
  ask_for_certificates(s, ca, WS_TLS_VERIFY_REQUIRE);
  secured_listen(s);
  caller_start(&s->c);
  secured_expect_refused(s, WS_ERR_TLS, "the peer sent the TLS alert");
  secured_wait_line(s, "why=\"the peer gave no certificate\"");
  assert_string_equal(known.version, ""); /* nothing was asked */
  cert_free(ca);
}

static void test_tls_client_certificate_of_another_authority_is_refused(void **state) {
  static const ws_tls_verify modes[] = {WS_TLS_VERIFY_REQUIRE, WS_TLS_VERIFY_OPTIONAL};
  (void)state;
  if (faults_are_on()) skip();
  for (size_t i = 0; i < COUNT_OF(modes); ++i) {
    void *one;
    secured_setup(&one);
    Secured *s = one;
    Cert *ca = cert_make_ca("client root"), *mallory = cert_make_client(s->ca, "mallory");
    ask_for_certificates(s, ca, modes[i]);
    show(s, mallory);
    secured_listen(s);
    caller_start(&s->c);
    secured_expect_refused(s, WS_ERR_TLS, "the peer sent the TLS alert");
    secured_wait_line(s, "certificate verify failed: ");
    secured_wait_line(s, "(CN=mallory)");
    assert_string_equal(known.version, "");
    secured_teardown(&one);
    cert_free(mallory);
    cert_free(ca);
  }
}

static void test_tls_client_certificate_nobody_asked_for_is_not_told(void **state) {
  Secured *s = *state;
  Cert *alice = cert_make_client(s->ca, "alice");
  memset(&known, 0, sizeof known);
  s->w.config.on_request = note_client;
  show(s, alice);
  secured_open(s);
  assert_string_equal(known.version, "TLSv1.3");
  assert_string_equal(known.subject, "");
  cert_free(alice);
}

static void keep_request(ws_request *r, void *user) {
  (void)user;
  known.kept = ws_request_ref(r);
}

static void test_tls_request_kept_beyond_its_connection_is_closed(void **state) {
  Secured *s = *state;
  ws_tls_info info;
  memset(&known, 0, sizeof known);
  WS_INIT(&info);
  s->w.config.on_request = keep_request;
  secured_listen(s);
  caller_start(&s->c);
  for (uint64_t end = clock_ms() + PATIENCE_MS; known.kept == NULL && clock_ms() < end;) {
    assert_true(ws_loop_dispatch(s->c.loop, 2) >= 0);
  }
  assert_non_null(known.kept);
  assert_ok(ws_request_get_tls(known.kept, &info)); /* while it waits for its answer */
  assert_string_equal(info.server_name, "localhost");
  info.size = offsetof(ws_tls_info, cipher);
  assert_ok(ws_request_get_tls(known.kept, &info));
  assert_fails(WS_ERR_INVALID, ws_request_get_tls(known.kept, NULL));
  assert_fails(WS_ERR_INVALID, ws_request_get_tls(NULL, &info));
  ws_client_free(s->c.client);
  s->c.client = NULL;
  int rc = WS_OK;
  for (uint64_t end = clock_ms() + PATIENCE_MS; rc == WS_OK && clock_ms() < end;) {
    assert_true(ws_loop_dispatch(s->c.loop, 2) >= 0);
    rc = ws_request_get_tls(known.kept, &info);
  }
  assert_int_equal(rc, WS_ERR_CLOSED);
  ws_request_unref(known.kept);
}

static void expect_plain(ws_request *r, void *user) {
  ws_tls_info info;
  (void)user;
  WS_INIT(&info);
  assert_fails(WS_ERR_STATE, ws_request_get_tls(r, &info));
  known.rc = 1;
}

static void test_tls_info_of_a_plain_request_is_a_wrong_state(void **state) {
  World w;
  Peer p;
  (void)state;
  known.rc = 0;
  world_prepare(&w);
  w.config.on_request = expect_plain;
  world_start(&w);
  world_join(&w, &p);
  assert_int_equal(known.rc, 1);
  peer_drop(&p);
  world_stop(&w);
}

/* ---- what the request says ---- */

/* req: 43, 107 */
/* bad: 277 */
static void test_tls_origin_of_the_same_host_must_be_https(void **state) {
  static const struct {
    const char *format;
    int allowed;
  } all[] = {{"https://localhost:%d", 1},  {"http://localhost:%d", 0}, {"wss://localhost:%d", 0},
             {"https://one.test:%d", 0},   {"https://localhost", 0},   {"null", 0},
             {"https://localhost.:%d", 0}, {"HTTPS://LOCALHOST:%d", 1}};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(all); ++i) {
    void *one;
    char value[64];
    const ws_header origin = {"Origin", value};
    secured_setup(&one);
    Secured *s = one;
    secured_listen(s);
    const char *mark = strstr(all[i].format, "%d");
    snprintf(value, sizeof value, "%s", all[i].format);
    if (mark != NULL) snprintf(value + (mark - all[i].format), 8, "%d", s->w.port);
    s->c.config.headers = &origin;
    s->c.config.header_count = 1;
    if (all[i].allowed) {
      secured_connect(s);
    } else {
      caller_start(&s->c);
      caller_wait_down(&s->c, 1);
      caller_expect_log(&s->c, "attempt:1 down:-61/403/never ");
    }
    secured_teardown(&one);
  }
}

static void refuse_with_body(ws_request *r, void *user) {
  static char body[100000];
  (void)user;
  memset(body, 'b', sizeof body);
  assert_ok(ws_request_respond(r, 503, NULL, 0, body, 60000));
}

/* It ends with close_notify behind the last byte, or the client would call it cut. */
static void test_tls_answer_of_plain_http_arrives_whole(void **state) {
  Secured *s = *state;
  s->w.config.on_request = refuse_with_body;
  secured_listen(s);
  caller_start(&s->c);
  caller_wait_down(&s->c, 1);
  caller_expect_log(&s->c, "attempt:1 down:-61/503/never ");
  assert_int_equal(ws_client_response_body(s->c.client).len, 60000);
}

int main(void) {
#define SECURED(f) cmocka_unit_test_setup_teardown(f, secured_setup, secured_teardown)
  const struct CMUnitTest tests[] = {
      SECURED(test_tls_listener_needs_a_certificate),
      SECURED(test_tls_certificate_is_chosen_by_the_name_asked_for),
      SECURED(test_tls_client_of_an_address_gets_the_first_certificate),
      cmocka_unit_test(test_tls_client_certificate_is_told_of_request_and_connection),
      SECURED(test_tls_client_without_certificate_passes_where_it_is_optional),
      SECURED(test_tls_client_without_certificate_is_refused_where_it_is_required),
      cmocka_unit_test(test_tls_client_certificate_of_another_authority_is_refused),
      SECURED(test_tls_client_certificate_nobody_asked_for_is_not_told),
      SECURED(test_tls_request_kept_beyond_its_connection_is_closed),
      cmocka_unit_test(test_tls_info_of_a_plain_request_is_a_wrong_state),
      cmocka_unit_test(test_tls_origin_of_the_same_host_must_be_https),
      SECURED(test_tls_answer_of_plain_http_arrives_whole),
  };
  return cmocka_run_group_tests_name("tls_server", tests, NULL, NULL);
}
