/*
 * tls.h around an OpenSSL SSL_CTX: what was put into it counts, in both roles, and nothing in it
 * is changed.
 */
#include "secured.h"

#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>

static X509 *x509_of(const Cert *c) {
  BIO *in = BIO_new_mem_buf(cert_pem(c), -1);
  X509 *x = PEM_read_bio_X509(in, NULL, NULL, NULL);
  assert_non_null(x);
  BIO_free(in);
  return x;
}

static SSL_CTX *new_ctx(const SSL_METHOD *method) {
  SSL_CTX *ctx = SSL_CTX_new(method);
  assert_non_null(ctx);
  return ctx;
}

static void put_certificate(SSL_CTX *ctx, const Cert *c) {
  X509 *x = x509_of(c);
  BIO *in = BIO_new_mem_buf(cert_key(c), -1);
  EVP_PKEY *key = PEM_read_bio_PrivateKey(in, NULL, NULL, NULL);
  assert_int_equal(SSL_CTX_use_certificate(ctx, x), 1);
  assert_int_equal(SSL_CTX_use_PrivateKey(ctx, key), 1);
  BIO_free(in);
  X509_free(x);
  EVP_PKEY_free(key);
}

static void put_root(SSL_CTX *ctx, const Cert *ca) {
  X509 *x = x509_of(ca);
  assert_int_equal(X509_STORE_add_cert(SSL_CTX_get_cert_store(ctx), x), 1);
  X509_free(x);
}

static SSL_CTX *server_ctx(const Secured *s) {
  SSL_CTX *ctx = new_ctx(TLS_server_method());
  put_certificate(ctx, s->cert);
  return ctx;
}

static SSL_CTX *client_ctx(const Secured *s) {
  SSL_CTX *ctx = new_ctx(TLS_client_method());
  put_root(ctx, s->ca);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
  return ctx;
}

static ws_tls *around(SSL_CTX *ctx, uint32_t flags) {
  ws_tls *t = NULL;
  assert_ok(ws_tls_new_openssl(ctx, flags, &t));
  return t;
}

/* From secured_listen() on; what the SSL_CTX held is the ws_tls' alone then. */
static void serve_with(Secured *s, SSL_CTX *ctx) {
  ws_tls *t = around(ctx, 0);
  SSL_CTX_free(ctx);
  assert_ok(ws_listener_set_tls(s->w.listener, t));
  ws_tls_unref(t);
}

static void call_with(Secured *s, SSL_CTX *ctx, uint32_t flags) {
  ws_tls_unref(s->client_tls);
  s->client_tls = s->c.config.tls = around(ctx, flags);
  SSL_CTX_free(ctx);
}

static ws_tls_info info_of(const ws_conn *c) {
  ws_tls_info info;
  WS_INIT(&info);
  assert_ok(ws_conn_get_tls(c, &info));
  return info;
}

static void exchange(Secured *s) {
  assert_ok(ws_conn_send(s->w.conn, WS_OP_TEXT, "down", 4, 0));
  assert_ok(ws_conn_send(s->c.conn, WS_OP_TEXT, "up", 2, 0));
  caller_wait_messages(&s->c, s->c.messages + 1);
  world_wait_log(&s->w, "text:up");
}

static void expect_refused(Secured *s, const char *detail) {
  caller_start(&s->c);
  secured_expect_refused(s, WS_ERR_TLS_VERIFY, detail);
}

/* ---- servers ---- */

static void test_openssl_server_shows_the_certificate_of_its_ctx(void **state) {
  Secured *s = *state;
  secured_listen(s);
  serve_with(s, server_ctx(s));
  secured_connect(s);
  assert_string_equal(info_of(s->c.conn).peer_subject, "CN=test server");
  assert_string_equal(info_of(s->c.conn).peer_fingerprint, fingerprint_of(cert_pem(s->cert)));
  assert_string_equal(info_of(s->w.conn).server_name, "localhost");
  exchange(s);
}

static void test_openssl_server_versions_are_those_of_its_ctx(void **state) {
  Secured *s = *state;
  SSL_CTX *ctx = server_ctx(s);
  SSL_CTX_set_max_proto_version(ctx, TLS1_2_VERSION);
  secured_listen(s);
  serve_with(s, ctx);
  secured_connect(s);
  assert_string_equal(info_of(s->c.conn).version, "TLSv1.2");
  exchange(s);
}

static void test_openssl_server_tickets_resume_clients_of_ours(void **state) {
  Secured *s = *state;
  secured_listen(s);
  serve_with(s, server_ctx(s));
  secured_connect(s);
  exchange(s);
  secured_leave(s);
  secured_connect(s);
  assert_int_equal(info_of(s->c.conn).resumed, 1);
  assert_int_equal(info_of(s->w.conn).resumed, 1);
  exchange(s);
}

static void test_openssl_server_verify_mode_demands_a_client_certificate(void **state) {
  static const int modes[] = {SSL_VERIFY_PEER, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(modes); ++i) {
    for (int given = 0; given < 2; ++given) {
      void *one;
      secured_setup(&one);
      Secured *s = one;
      Cert *mine = cert_make_client(s->ca, "somebody");
      SSL_CTX *ctx = server_ctx(s);
      put_root(ctx, s->ca);
      SSL_CTX_set_verify(ctx, modes[i], NULL);
      if (given) s->client_config.cert_pem = cert_pem(mine);
      if (given) s->client_config.key_pem = cert_key(mine);
      secured_listen(s);
      serve_with(s, ctx);
      if (given || i == 0) {
        secured_connect(s);
        assert_string_equal(info_of(s->w.conn).peer_subject, given ? "CN=somebody" : "");
        exchange(s);
      } else {
        caller_start(&s->c);
        caller_wait_down(&s->c, 1);
        assert_int_equal(s->w.opened, 0);
        secured_wait_line(s, "the peer gave no certificate");
      }
      secured_teardown(&one);
      cert_free(mine);
    }
  }
}

static void test_openssl_server_refuses_a_client_certificate_of_a_stranger(void **state) {
  Secured *s = *state;
  Cert *other = cert_make_ca("other root"), *mine = cert_make_client(other, "stranger");
  SSL_CTX *ctx = server_ctx(s);
  put_root(ctx, s->ca);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
  s->client_config.cert_pem = cert_pem(mine);
  s->client_config.key_pem = cert_key(mine);
  secured_listen(s);
  serve_with(s, ctx);
  caller_start(&s->c);
  caller_wait_down(&s->c, 1);
  secured_wait_line(s, "certificate verify failed: ");
  secured_wait_line(s, "(CN=stranger)");
  assert_int_equal(s->w.opened, 0);
  cert_free(mine);
  cert_free(other);
}

static void test_openssl_server_without_a_certificate_refuses_each_handshake(void **state) {
  Secured *s = *state;
  secured_listen(s);
  serve_with(s, new_ctx(TLS_server_method()));
  caller_start(&s->c);
  caller_wait_down(&s->c, 1);
  secured_wait_line(s, "no shared cipher");
  if (faults_are_on()) return; /* an alert leaves at once or never */
  secured_expect_refused(s, WS_ERR_TLS, "the TLS alert \"handshake failure\"");
}

static int choose_h2(SSL *ssl, const unsigned char **out, unsigned char *len,
                     const unsigned char *in, unsigned in_len, void *arg) {
  (void)ssl, (void)in, (void)in_len, (void)arg;
  *out = (const unsigned char *)"h2";
  *len = 2;
  return SSL_TLSEXT_ERR_OK;
}

static void test_openssl_alpn_of_another_protocol_is_refused(void **state) {
  Secured *s = *state;
  SSL_CTX *ctx = server_ctx(s), *mine = client_ctx(s);
  SSL_CTX_set_alpn_select_cb(ctx, choose_h2, NULL);
  assert_int_equal(SSL_CTX_set_alpn_protos(mine, (const unsigned char *)"\x02h2", 3), 0);
  secured_listen(s);
  serve_with(s, ctx);
  call_with(s, mine, 0);
  caller_start(&s->c);
  secured_expect_refused(s, WS_ERR_TLS, "\"h2\" was agreed on, which is not http/1.1");
}

/* ---- clients ---- */

static void test_openssl_client_trusts_the_roots_of_its_ctx(void **state) {
  Secured *s = *state;
  secured_listen(s);
  call_with(s, client_ctx(s), 0);
  secured_connect(s);
  assert_string_equal(info_of(s->c.conn).peer_subject, "CN=test server");
  assert_string_equal(info_of(s->w.conn).server_name, "localhost");
  exchange(s);
}

static void test_openssl_client_refuses_a_stranger_and_says_why(void **state) {
  Secured *s = *state;
  Cert *other = cert_make_ca("other root");
  SSL_CTX *ctx = new_ctx(TLS_client_method());
  put_root(ctx, other);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
  secured_listen(s);
  call_with(s, ctx, 0);
  expect_refused(s, "(CN=test server)");
  cert_free(other);
}

/* A name and an address, with settings around an SSL_CTX and with ours. */
static void test_openssl_name_is_checked_unless_told_otherwise(void **state) {
  static const char *const hosts[] = {"two.test", "127.0.0.2"};
  (void)state;
  for (int i = 0; i < 8; ++i) {
    const int foreign = i & 1, any_name = i & 2, which = i >> 2;
    void *one;
    secured_setup(&one);
    Secured *s = one;
    if (any_name) s->client_config.flags = WS_TLS_NO_NAME_CHECK;
    secured_listen(s);
    if (foreign) call_with(s, client_ctx(s), any_name ? WS_TLS_NO_NAME_CHECK : 0);
    caller_set_url(&s->c, "wss://%s:%d/", hosts[which], s->w.port);
    if (any_name) {
      secured_connect(s);
      assert_string_equal(info_of(s->c.conn).peer_subject, "CN=test server");
      assert_string_equal(info_of(s->w.conn).server_name, which == 0 ? "two.test" : "");
    } else {
      expect_refused(s, "was asked for (CN=test server)");
    }
    secured_teardown(&one);
  }
}

/* The chain is still checked when the name is not. */
static void test_openssl_stranger_is_refused_without_a_name_check(void **state) {
  (void)state;
  for (int foreign = 0; foreign < 2; ++foreign) {
    void *one;
    secured_setup(&one);
    Secured *s = one;
    Cert *other = cert_make_ca("other root");
    SSL_CTX *ctx = new_ctx(TLS_client_method());
    put_root(ctx, other);
    SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
    s->client_config.ca_pem = cert_pem(other);
    s->client_config.flags = WS_TLS_NO_NAME_CHECK;
    secured_listen(s);
    if (foreign) call_with(s, ctx, WS_TLS_NO_NAME_CHECK);
    if (!foreign) SSL_CTX_free(ctx);
    expect_refused(s, "certificate verify failed");
    secured_teardown(&one);
    cert_free(other);
  }
}

static void test_openssl_client_that_verifies_nothing_takes_anybody(void **state) {
  Secured *s = *state;
  secured_listen(s);
  call_with(s, new_ctx(TLS_client_method()), 0);
  caller_set_url(&s->c, "wss://two.test:%d/", s->w.port);
  secured_connect(s);
  assert_string_equal(info_of(s->c.conn).peer_subject, "");
  assert_string_equal(info_of(s->w.conn).server_name, "two.test");
  exchange(s);
}

static int judged;
static int take_anybody(int ok, X509_STORE_CTX *chain) {
  (void)ok, (void)chain;
  ++judged;
  return 1;
}

static void test_openssl_verify_callback_of_the_ctx_decides(void **state) {
  Secured *s = *state;
  SSL_CTX *ctx = new_ctx(TLS_client_method());
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, take_anybody);
  judged = 0;
  secured_listen(s);
  call_with(s, ctx, 0);
  secured_connect(s);
  assert_true(judged > 0);
  exchange(s);
}

static int take_nobody(int ok, X509_STORE_CTX *chain) {
  (void)ok;
  X509_STORE_CTX_set_error(chain, X509_V_ERR_CERT_REVOKED);
  return 0;
}

static void test_openssl_verify_callback_that_refuses_is_told(void **state) {
  Secured *s = *state;
  SSL_CTX *ctx = client_ctx(s);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, take_nobody);
  secured_listen(s);
  call_with(s, ctx, 0);
  expect_refused(s, "certificate verify failed: certificate revoked");
}

/* ---- the SSL_CTX stays its owner's ---- */

static int told;
static void tell(const SSL *ssl, int where, int value) {
  (void)ssl, (void)where, (void)value;
  ++told;
}
static void tell_message(int out, int version, int type, const void *data, size_t len, SSL *ssl,
                         void *arg) {
  (void)out, (void)version, (void)type, (void)data, (void)len, (void)ssl, (void)arg;
  ++told;
}
static unsigned tell_psk(SSL *ssl, const char *hint, char *name, unsigned name_len,
                         unsigned char *key, unsigned key_len) {
  (void)ssl, (void)hint, (void)name, (void)name_len, (void)key, (void)key_len;
  ++told;
  return 0;
}
static unsigned tell_server_psk(SSL *ssl, const char *name, unsigned char *key, unsigned key_len) {
  (void)ssl, (void)name, (void)key, (void)key_len;
  ++told;
  return 0;
}
static int tell_use_psk(SSL *ssl, const EVP_MD *md, const unsigned char **id, size_t *len,
                        SSL_SESSION **session) {
  (void)ssl, (void)md, (void)id, (void)len;
  *session = NULL;
  ++told;
  return 1;
}
static int tell_find_psk(SSL *ssl, const unsigned char *id, size_t len, SSL_SESSION **session) {
  (void)ssl, (void)id, (void)len;
  *session = NULL;
  ++told;
  return 1;
}

static void put_callbacks(SSL_CTX *ctx) {
  SSL_CTX_set_info_callback(ctx, tell);
  SSL_CTX_set_msg_callback(ctx, tell_message);
  SSL_CTX_set_psk_client_callback(ctx, tell_psk);
  SSL_CTX_set_psk_server_callback(ctx, tell_server_psk);
  SSL_CTX_set_psk_use_session_callback(ctx, tell_use_psk);
  SSL_CTX_set_psk_find_session_callback(ctx, tell_find_psk);
}

static void *app_data_seen;
static int lines_seen;
static void note_line(const SSL *ssl, const char *line) {
  (void)line;
  if (SSL_get_app_data(ssl) != NULL) app_data_seen = SSL_get_app_data(ssl);
  ++lines_seen;
}

/* The same SSL_CTX for both roles. */
static void test_openssl_ctx_is_not_changed_and_its_callbacks_are_not_called(void **state) {
  Secured *s = *state;
  SSL_CTX *ctx = new_ctx(TLS_method());
  put_certificate(ctx, s->cert);
  put_root(ctx, s->ca);
  SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER, NULL);
  assert_int_equal(SSL_CTX_set_purpose(ctx, X509_PURPOSE_ANY), 1); /* it is a server's */
  SSL_CTX_clear_mode(ctx, SSL_MODE_AUTO_RETRY);
  SSL_CTX_set_mode(ctx, SSL_MODE_ASYNC);
  put_callbacks(ctx);
  SSL_CTX_set_keylog_callback(ctx, note_line);
  const uint64_t options = SSL_CTX_get_options(ctx);
  const long mode = SSL_CTX_get_mode(ctx), cache = SSL_CTX_get_session_cache_mode(ctx);
  const unsigned long depth = (unsigned long)SSL_CTX_get_verify_depth(ctx);
  const unsigned long verify = X509_VERIFY_PARAM_get_flags(SSL_CTX_get0_param(ctx));
  const unsigned host_flags = X509_VERIFY_PARAM_get_hostflags(SSL_CTX_get0_param(ctx));
  told = lines_seen = 0;
  app_data_seen = NULL;
  secured_listen(s);
  SSL_CTX_up_ref(ctx);
  serve_with(s, ctx);
  SSL_CTX_up_ref(ctx);
  call_with(s, ctx, 0);
  for (int i = 0; i < 2; ++i) {
    secured_connect(s);
    assert_int_equal(info_of(s->c.conn).resumed, 0);
    exchange(s);
    secured_leave(s);
  }
  assert_int_equal(told, 0);
  assert_true(lines_seen > 0);
  assert_null(app_data_seen);
  assert_int_equal(SSL_CTX_get_options(ctx), options);
  assert_int_equal(SSL_CTX_get_mode(ctx), mode);
  assert_int_equal(SSL_CTX_get_session_cache_mode(ctx), cache);
  assert_int_equal(SSL_CTX_get_verify_mode(ctx), SSL_VERIFY_PEER);
  assert_int_equal(SSL_CTX_get_verify_depth(ctx), depth);
  assert_int_equal(X509_VERIFY_PARAM_get_flags(SSL_CTX_get0_param(ctx)), verify);
  assert_int_equal(X509_VERIFY_PARAM_get_hostflags(SSL_CTX_get0_param(ctx)), host_flags);
  assert_int_equal(SSL_CTX_get_max_early_data(ctx), 0);
  assert_int_equal(SSL_CTX_get_read_ahead(ctx), 0);
  assert_null(SSL_CTX_get_verify_callback(ctx));
  assert_null(SSL_CTX_sess_get_new_cb(ctx));
  assert_null(SSL_CTX_get_app_data(ctx));
  assert_true(SSL_CTX_get_info_callback(ctx) == tell);
  assert_true(SSL_CTX_get_keylog_callback(ctx) == note_line);
  SSL_CTX_free(ctx);
}

static void test_openssl_ctx_is_shared_by_two_with_different_flags(void **state) {
  Secured *s = *state;
  SSL_CTX *ctx = client_ctx(s);
  ws_tls *strict = around(ctx, 0), *lax = around(ctx, WS_TLS_NO_NAME_CHECK);
  SSL_CTX_free(ctx);
  secured_listen(s);
  ws_tls_unref(s->client_tls);
  s->client_tls = NULL;
  s->c.config.tls = lax;
  caller_set_url(&s->c, "wss://two.test:%d/", s->w.port);
  secured_connect(s);
  ws_tls_unref(lax);
  exchange(s);
  secured_leave(s);
  s->c.config.tls = strict;
  caller_start(&s->c);
  caller_wait_down(&s->c, 1);
  assert_int_equal(s->c.why.error, WS_ERR_TLS_VERIFY);
  ws_tls_unref(strict);
}

static void test_openssl_certificate_is_told_in_pem(void **state) {
  Secured *s = *state;
  SSL_CTX *with = server_ctx(s), *without = client_ctx(s);
  ws_tls *one = around(with, 0), *two = around(without, 0);
  SSL_CTX_free(with);
  SSL_CTX_free(without);
  assert_string_equal(ws_tls_certificate(one), cert_pem(s->cert));
  assert_string_equal(ws_tls_certificate(two), "");
  ws_tls_unref(one);
  ws_tls_unref(two);
}

/* ---- what it is not for ---- */

static void test_openssl_ctx_of_clients_cannot_serve(void **state) {
  Secured *s = *state;
  SSL_CTX *ctx = client_ctx(s);
  ws_tls *t = around(ctx, 0);
  ws_listener *more = NULL;
  SSL_CTX_free(ctx);
  secured_listen(s);
  s->listen.tls = t;
  assert_fails(WS_ERR_TLS_CONFIG, ws_server_listen(s->w.server, &s->listen, &more));
  assert_detail_has("for clients only");
  assert_fails(WS_ERR_TLS_CONFIG, ws_listener_set_tls(s->w.listener, t));
  ws_tls_unref(t);
}

static void test_openssl_ctx_of_servers_cannot_connect(void **state) {
  Secured *s = *state;
  SSL_CTX *ctx = server_ctx(s);
  ws_tls *t = around(ctx, 0);
  ws_client *client = NULL;
  SSL_CTX_free(ctx);
  secured_listen(s);
  s->c.config.tls = t;
  assert_fails(WS_ERR_TLS_CONFIG, ws_client_new(s->c.loop, &s->c.config, &client));
  assert_detail_has("for servers only");
  s->c.config.tls = NULL;
  s->c.config.proxy_tls = t;
  assert_fails(WS_ERR_TLS_CONFIG, ws_client_new(s->c.loop, &s->c.config, &client));
  assert_null(client);
  ws_tls_unref(t);
}

static void test_openssl_ctx_that_is_not_tls_is_refused(void **state) {
  SSL_CTX *ctx = new_ctx(DTLS_method());
  ws_tls *t = NULL;
  (void)state;
  assert_fails(WS_ERR_TLS_CONFIG, ws_tls_new_openssl(ctx, 0, &t));
  assert_null(t);
  SSL_CTX_free(ctx);
}

static void test_openssl_wrong_arguments_are_refused(void **state) {
  Secured *s = *state;
  SSL_CTX *ctx = server_ctx(s);
  ws_tls *t = NULL;
  assert_fails(WS_ERR_INVALID, ws_tls_new_openssl(NULL, 0, &t));
  assert_fails(WS_ERR_INVALID, ws_tls_new_openssl(ctx, 0, NULL));
  assert_fails(WS_ERR_UNSUPPORTED, ws_tls_new_openssl(ctx, WS_TLS_KERNEL, &t));
  assert_fails(WS_ERR_UNSUPPORTED, ws_tls_new_openssl(ctx, 1u << 31, &t));
  assert_null(t);
  t = around(ctx, 0);
  const ws_tls *const others[] = {t};
  ws_tls *both = NULL;
  s->server_config.alternatives = (ws_tls *const *)others;
  s->server_config.alternative_count = 1;
  assert_fails(WS_ERR_INVALID, ws_tls_new(&s->server_config, &both));
  assert_null(both);
  ws_tls_unref(t);
  SSL_CTX_free(ctx);
}

int main(void) {
#define SECURED(f) cmocka_unit_test_setup_teardown(f, secured_setup, secured_teardown)
  const struct CMUnitTest tests[] = {
      SECURED(test_openssl_server_shows_the_certificate_of_its_ctx),
      SECURED(test_openssl_server_versions_are_those_of_its_ctx),
      SECURED(test_openssl_server_tickets_resume_clients_of_ours),
      cmocka_unit_test(test_openssl_server_verify_mode_demands_a_client_certificate),
      SECURED(test_openssl_server_refuses_a_client_certificate_of_a_stranger),
      SECURED(test_openssl_server_without_a_certificate_refuses_each_handshake),
      SECURED(test_openssl_alpn_of_another_protocol_is_refused),
      SECURED(test_openssl_client_trusts_the_roots_of_its_ctx),
      SECURED(test_openssl_client_refuses_a_stranger_and_says_why),
      cmocka_unit_test(test_openssl_name_is_checked_unless_told_otherwise),
      cmocka_unit_test(test_openssl_stranger_is_refused_without_a_name_check),
      SECURED(test_openssl_client_that_verifies_nothing_takes_anybody),
      SECURED(test_openssl_verify_callback_of_the_ctx_decides),
      SECURED(test_openssl_verify_callback_that_refuses_is_told),
      SECURED(test_openssl_ctx_is_not_changed_and_its_callbacks_are_not_called),
      SECURED(test_openssl_ctx_is_shared_by_two_with_different_flags),
      SECURED(test_openssl_certificate_is_told_in_pem),
      SECURED(test_openssl_ctx_of_clients_cannot_serve),
      SECURED(test_openssl_ctx_of_servers_cannot_connect),
      cmocka_unit_test(test_openssl_ctx_that_is_not_tls_is_refused),
      SECURED(test_openssl_wrong_arguments_are_refused),
  };
  return cmocka_run_group_tests_name("tls_openssl", tests, NULL, NULL);
}
