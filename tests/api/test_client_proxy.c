/*
 * client.h, HTTP proxies (RFC 9110 9.3.6), good and bad ones.  The server here is first the proxy
 * and, on the same connection, then the server behind it.  SOCKS is in test_client_socks.c, proxies
 * of the environment are in test_client_proxy_env.c.
 */
#include "caller.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define TO "example.org:1234"
#define ESTABLISHED "HTTP/1.1 200 Connection established\r\n\r\n"

static char proxy_url[128];

/* The client is to reach ws://example.org:1234/x through this scheme and user. */
static void use_proxy(Call *call, const char *scheme_and_user) {
  snprintf(proxy_url, sizeof proxy_url, "%s127.0.0.1:%d", scheme_and_user, call->t.port);
  call->c.config.proxy = proxy_url;
  caller_set_url(&call->c, "ws://" TO "/x");
}

static void begin(Call *call, const char *scheme_and_user) {
  use_proxy(call, scheme_and_user);
  caller_start(&call->c);
  target_accept(&call->t, &call->p);
}

static void expect_connect(Call *call, const char *to, const char *more) {
  char head[1024], want[1024];
  peer_read_head(&call->p, head, sizeof head);
  snprintf(want, sizeof want, "CONNECT %s HTTP/1.1\r\nHost: %s\r\n%s\r\n", to, to, more);
  assert_string_equal(head, want);
}

/* The tunnel stands: the request comes through it, and messages both ways. */
static void expect_tunnel(Call *call, const char *host) {
  target_read_request(&call->t, &call->p);
  assert_string_equal(target_field(&call->t, "Host"), host);
  assert_int_equal(target_count(&call->t, "Proxy-Authorization"), 0);
  target_switch(&call->t, &call->p, "");
  caller_wait_log(&call->c, "open ");
  assert_ok(ws_client_send(call->c.client, WS_OP_TEXT, "there", 5, 0));
  peer_expect_text(&call->p, "there");
  peer_send_text(&call->p, "and back");
  caller_wait_log(&call->c, "text:and back ");
}

/* req: 7 */
static void test_proxy_http_tunnel_carries_the_connection(void **state) {
  Call *call = *state;
  begin(call, "http://");
  expect_connect(call, TO, "");
  peer_expect_quiet(&call->p);
  peer_say(&call->p, "HTTP/1.1 200 OK\r\nVia: me\r\n");
  peer_expect_quiet(&call->p);
  peer_say(&call->p, "\r\n");
  expect_tunnel(call, TO);
  target_expect_target(&call->t, "/x");
  caller_expect_log(&call->c, "attempt:1 open text:and back ");
  assert_string_equal(ws_client_url(call->c.client), "ws://" TO "/x");
  assert_int_equal(ws_client_response_status(call->c.client), 101);
  assert_null(ws_client_response_header(call->c.client, "Via", NULL));
}

/* bad: 71 */
static void test_proxy_http_credentials_are_for_the_proxy_only(void **state) {
  static const struct {
    const char *user, *value;
  } all[] = {{"http://Aladdin:open%20sesame@", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
             {"http://user@", "Basic dXNlcjo="},
             {"u%40:@", "Basic dUA6"}};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(all); ++i) {
    void *one;
    char more[128];
    call_setup(&one);
    Call *call = one;
    begin(call, all[i].user);
    snprintf(more, sizeof more, "Proxy-Authorization: %s\r\n", all[i].value);
    expect_connect(call, TO, more);
    peer_say(&call->p, ESTABLISHED);
    expect_tunnel(call, TO);
    assert_int_equal(target_count(&call->t, "Authorization"), 0);
    call_teardown(&one);
  }
}

static void test_proxy_http_request_has_nothing_of_the_other_request(void **state) {
  static const ws_header headers[] = {{"Authorization", "Bearer t"}, {"Cookie", "a=b"}};
  Call *call = *state;
  use_proxy(call, "http://");
  call->c.config.headers = headers;
  call->c.config.header_count = 2;
  caller_set_url(&call->c, "ws://u:p@" TO "/x");
  caller_start(&call->c);
  target_accept(&call->t, &call->p);
  expect_connect(call, TO, "");
  peer_say(&call->p, ESTABLISHED);
  expect_tunnel(call, TO);
  target_expect_line(&call->t, "Authorization: Bearer t");
}

static void test_proxy_http_is_told_host_and_port(void **state) {
  static const struct {
    const char *url, *connect_to, *to, *host;
  } all[] = {
      {"ws://example.org/", NULL, "example.org:80", "example.org"},
      {"ws://[2001:db8::1]/", NULL, "[2001:db8::1]:80", "[2001:db8::1]"},
      {"ws://192.0.2.1:81/", NULL, "192.0.2.1:81", "192.0.2.1:81"},
      {"ws://example.org/", "[::1]:5", "[::1]:5", "example.org"},
      {"ws://example.org/", "other:5", "other:5", "example.org"},
  };
  (void)state;
  for (size_t i = 0; i < COUNT_OF(all); ++i) {
    void *one;
    call_setup(&one);
    Call *call = one;
    use_proxy(call, "http://");
    call->c.config.url = all[i].url;
    call->c.config.connect_to = all[i].connect_to;
    caller_start(&call->c);
    target_accept(&call->t, &call->p);
    expect_connect(call, all[i].to, "");
    peer_say(&call->p, ESTABLISHED);
    expect_tunnel(call, all[i].host);
    call_teardown(&one);
  }
}

/* bad: 71 */
static void test_proxy_http_answers_that_open_the_tunnel(void **state) {
  static const char *const all[] = {
      ESTABLISHED,
      "HTTP/1.0 200 OK\r\n\r\n",
      "HTTP/1.1 204\r\n\r\n",
      "HTTP/1.1 299 x\r\n\r\n",
      /* Both mean nothing in an answer to CONNECT. */
      "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
      "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
      "HTTP/1.1 100 Continue\r\n\r\n" ESTABLISHED,
      "HTTP/1.1 103 x\r\nLink: y\r\n\r\nHTTP/1.1 102 x\r\n\r\n" ESTABLISHED,
  };
  (void)state;
  for (size_t i = 0; i < COUNT_OF(all); ++i) {
    for (int bytewise = 0; bytewise < 2; ++bytewise) {
      void *one;
      call_setup(&one);
      Call *call = one;
      begin(call, "http://");
      expect_connect(call, TO, "");
      for (const char *c = all[i]; bytewise && *c != '\0'; ++c) {
        peer_send(&call->p, c, 1);
        run_for(call->c.loop, 0);
      }
      if (!bytewise) peer_say(&call->p, all[i]);
      expect_tunnel(call, TO);
      call_teardown(&one);
    }
  }
}

/* What was not opened was told nothing more than CONNECT or a greeting. */
static void expect_refused(Call *call, int error, int status) {
  call_expect_refused(call, error, status);
  peer_expect_gone(&call->p);
  assert_int_equal(ws_client_response_status(call->c.client), 0);
  assert_int_equal(ws_client_response_body(call->c.client).len, 0);
  for (const char *c = call->c.why_detail; *c != '\0'; ++c) assert_true(*c >= ' ' && *c < 0x7f);
}

/* req: 8 */
/* bad: 71 */
static void test_proxy_http_refusal_has_its_status(void **state) {
  static const struct {
    int status;
    int is_retried;
  } all[] = {{301, 0}, {302, 0}, {400, 0}, {403, 0}, {404, 0}, {405, 0}, {407, 0},
             {408, 1}, {425, 1}, {429, 1}, {499, 0}, {500, 1}, {502, 1}, {503, 1}};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(all); ++i) {
    void *one;
    char answer[128], status[8];
    call_setup(&one);
    Call *call = one;
    call->c.config.max_redirects = 5;
    call->c.config.retry_count = 1;
    begin(call, "http://");
    expect_connect(call, TO, "");
    snprintf(answer, sizeof answer,
             "HTTP/1.1 %d Because\r\nLocation: http://127.0.0.1/\r\nContent-Length: 3\r\n\r\nsee",
             all[i].status);
    peer_say(&call->p, answer);
    expect_refused(call, WS_ERR_PROXY, all[i].status);
    snprintf(status, sizeof status, "%d", all[i].status);
    assert_non_null(strstr(call->c.why_detail, status));
    assert_non_null(strstr(call->c.why_detail, "Because"));
    assert_int_equal(call->c.retry_in_ms != WS_NEVER, all[i].is_retried);
    call_teardown(&one);
  }
}

static void check_refusals(const char *const *answers, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    void *one;
    call_setup(&one);
    Call *call = one;
    begin(call, "http://");
    expect_connect(call, TO, "");
    peer_say(&call->p, answers[i]);
    call_expect_refused(call, WS_ERR_PROXY,
                        strstr(answers[i], "1 101 ") == answers[i] + 7 ? 101 : 0);
    assert_non_null(strstr(call->c.why_detail, "proxy"));
    call_teardown(&one);
  }
}

/* bad: 71, 182 */
static void test_proxy_http_that_does_not_speak_http_is_refused(void **state) {
  static const char *const all[] = {
      "SSH-2.0-OpenSSH\r\n",
      "\x05\xff",
      "HTTP/2 200\r\n\r\n",
      "HTTP/1.1 200 OK\n\n",
      "HTTP/1.1 2000 OK\r\n\r\n",
      "HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
      "HTTP/1.1 200 OK\r\nA: b\x01\r\n\r\n",
      "HTTP/1.1 101 Switching Protocols\r\n\r\n",
  };
  (void)state;
  check_refusals(all, COUNT_OF(all));
}

/* Whoever is behind the tunnel waits for us to speak. */
/* bad: 71 */
static void test_proxy_http_bytes_beyond_the_answer_are_refused(void **state) {
  static const char *const all[] = {ESTABLISHED "x", ESTABLISHED "HTTP/1.1 101 X\r\n\r\n"};
  (void)state;
  if (faults_are_on()) skip(); /* reads that end with the answer leave the rest to the tunnel */
  check_refusals(all, COUNT_OF(all));
}

/* bad: 71 */
static void test_proxy_http_answer_without_end_is_bounded(void **state) {
  static const char *const pieces[] = {"x", "X: y\r\n", "HTTP/1.1 102 x\r\n\r\n"};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(pieces); ++i) {
    void *one;
    uint64_t end = clock_ms() + PATIENCE_MS;
    call_setup(&one);
    Call *call = one;
    begin(call, "http://");
    expect_connect(call, TO, "");
    if (i < 2) peer_say(&call->p, i == 0 ? "HTTP/1.1 200 " : "HTTP/1.1 200 OK\r\n");
    for (size_t total = 0; call->c.downs == 0; run_for(call->c.loop, 0)) {
      ssize_t n = total < 65536 ? send(call->p.fd, pieces[i], strlen(pieces[i]), MSG_NOSIGNAL) : 0;
      if (n > 0) total += (size_t)n;
      if (clock_ms() > end) fail_msg("%zu bytes are not too many", total);
    }
    call_expect_refused(call, WS_ERR_PROXY, 0);
    call_teardown(&one);
  }
}

/* For https proxies, without the system's roots, which take their time to load. */
static ws_tls *unverified(void) {
  ws_tls_config config;
  ws_tls *tls = NULL;
  WS_INIT(&config);
  config.verify = WS_TLS_VERIFY_NONE;
  assert_ok(ws_tls_new(&config, &tls));
  return tls;
}

/* bad: 71 */
static void test_proxy_that_says_nothing_is_given_up(void **state) {
  static const char *const schemes[] = {"http://", "https://", "socks5://", "socks4a://"};
  ws_tls *tls = unverified();
  (void)state;
  for (size_t i = 0; i < COUNT_OF(schemes); ++i) {
    void *one;
    call_setup(&one);
    Call *call = one;
    call->c.limits.handshake_timeout_ms = short_timeout_ms();
    call->c.config.proxy_tls = tls;
    begin(call, schemes[i]);
    call_expect_refused(call, WS_ERR_TIMEOUT, 0);
    assert_non_null(strstr(call->c.why_detail, "proxy"));
    peer_expect_gone(&call->p);
    call_teardown(&one);
  }
  ws_tls_unref(tls);
}

/* bad: 71 */
static void test_proxy_https_that_does_not_speak_tls_is_refused(void **state) {
  Call *call = *state;
  call->c.config.proxy_tls = unverified();
  begin(call, "https://");
  peer_expect_data(&call->p, "\x16\x03", 2); /* a ClientHello */
  peer_say(&call->p, "HTTP/1.1 400 Bad Request\r\n\r\n");
  call_expect_refused(call, WS_ERR_TLS, 0);
  ws_tls_unref(call->c.config.proxy_tls);
}

/* req: 8 */
/* bad: 70, 71 */
static void test_proxy_that_goes_away(void **state) {
  static const struct {
    const char *scheme, *begin;
  } all[] = {{"http://", ""},
             {"http://", "HTTP/1.1 200"},
             {"socks5://", ""},
             {"socks5://", "\x05"},
             {"socks4a://", ""}};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(all); ++i) {
    void *one;
    call_setup(&one);
    Call *call = one;
    begin(call, all[i].scheme);
    peer_say(&call->p, all[i].begin);
    run_for(call->c.loop, 2);
    peer_fin(&call->p);
    expect_refused(call, WS_ERR_PROXY, 0);
    assert_non_null(strstr(call->c.why_detail, "proxy"));
    call_teardown(&one);
  }
}

/* req: 8 */
/* bad: 71 */
static void test_proxy_that_is_not_there_is_named(void **state) {
  Call *call = *state;
  char where[32];
  target_stop(&call->t);
  target_refuse(&call->t, call->c.loop);
  use_proxy(call, "http://");
  caller_start(&call->c);
  call_expect_refused(call, WS_ERR_CONNECT, 0);
  assert_int_equal(call->c.why.sys_errno, ECONNREFUSED);
  snprintf(where, sizeof where, "127.0.0.1:%d", call->t.port);
  assert_non_null(strstr(call->c.why_detail, where));
}

/* The server refuses through the tunnel: that is an answer of the server. */
static void test_proxy_then_refusal_is_the_servers(void **state) {
  Call *call = *state;
  begin(call, "http://");
  expect_connect(call, TO, "");
  peer_say(&call->p, ESTABLISHED);
  target_read_request(&call->t, &call->p);
  peer_say(&call->p, "HTTP/1.1 407 X\r\nContent-Length: 2\r\n\r\nno");
  call_expect_refused(call, WS_ERR_HTTP_STATUS, 407);
  assert_int_equal(ws_client_response_body(call->c.client).len, 2);
}

/* bad: 65, 71 */
static void test_proxy_is_asked_again_for_each_redirect(void **state) {
  Call *call = *state;
  call->c.config.max_redirects = 1;
  begin(call, "http://u:p@");
  expect_connect(call, TO, "Proxy-Authorization: Basic dTpw\r\n");
  peer_say(&call->p, ESTABLISHED);
  target_read_request(&call->t, &call->p);
  peer_say(&call->p, "HTTP/1.1 302 X\r\nLocation: http://elsewhere/y\r\nContent-Length: 0\r\n\r\n");
  peer_expect_gone(&call->p);
  peer_drop(&call->p);
  target_accept(&call->t, &call->p);
  expect_connect(call, "elsewhere:80", "Proxy-Authorization: Basic dTpw\r\n");
  peer_say(&call->p, ESTABLISHED);
  expect_tunnel(call, "elsewhere");
  target_expect_target(&call->t, "/y");
}

#define test_of(f) cmocka_unit_test_setup_teardown(f, call_setup, call_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      test_of(test_proxy_http_tunnel_carries_the_connection),
      cmocka_unit_test(test_proxy_http_credentials_are_for_the_proxy_only),
      test_of(test_proxy_http_request_has_nothing_of_the_other_request),
      cmocka_unit_test(test_proxy_http_is_told_host_and_port),
      cmocka_unit_test(test_proxy_http_answers_that_open_the_tunnel),
      cmocka_unit_test(test_proxy_http_refusal_has_its_status),
      cmocka_unit_test(test_proxy_http_that_does_not_speak_http_is_refused),
      cmocka_unit_test(test_proxy_http_bytes_beyond_the_answer_are_refused),
      cmocka_unit_test(test_proxy_http_answer_without_end_is_bounded),
      cmocka_unit_test(test_proxy_that_says_nothing_is_given_up),
      test_of(test_proxy_https_that_does_not_speak_tls_is_refused),
      cmocka_unit_test(test_proxy_that_goes_away),
      test_of(test_proxy_that_is_not_there_is_named),
      test_of(test_proxy_then_refusal_is_the_servers),
      test_of(test_proxy_is_asked_again_for_each_redirect),
  };
  return cmocka_run_group_tests_name("client_proxy", tests, NULL, NULL);
}
