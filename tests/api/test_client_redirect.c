/*
 * client.h, redirects (RFC 9110 15.4): which are followed, where to, how many, and what is not sent
 * along to another origin.
 */
#include "caller.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Answers the request that was read with this Location, or none, and waits for the client to go. */
static void redirect(Call *call, int status, const char *location) {
  char text[4096];
  snprintf(text, sizeof text, "HTTP/1.1 %d Elsewhere\r\nContent-Length: 4\r\n%s%s%s\r\ngone",
           status, location != NULL ? "Location: " : "", location != NULL ? location : "",
           location != NULL ? "\r\n" : "");
  peer_say(&call->p, text);
  peer_expect_gone(&call->p);
  peer_drop(&call->p);
}

static void follow(Call *call, int status, const char *location) {
  redirect(call, status, location);
  target_take(&call->t, &call->p);
}

static void open_here(Call *call) {
  target_switch(&call->t, &call->p, "");
  caller_wait_open(&call->c, 1);
}

/* bad: 65 */
static void test_redirect_is_off_by_default(void **state) {
  static const int statuses[] = {301, 302, 303, 307, 308};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(statuses); ++i) {
    void *one;
    call_setup(&one);
    Call *call = one;
    call_begin(call);
    redirect(call, statuses[i], "/elsewhere");
    call_expect_refused(call, WS_ERR_HTTP_STATUS, statuses[i]);
    assert_string_equal(ws_client_response_header(call->c.client, "location", NULL), "/elsewhere");
    assert_int_equal(ws_client_response_body(call->c.client).len, 4);
    target_expect_nobody(&call->t);
    call_teardown(&one);
  }
}

static void test_redirect_of_each_kind_is_followed_within_one_attempt(void **state) {
  static const int statuses[] = {301, 302, 303, 307, 308};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(statuses); ++i) {
    void *one;
    char url[64];
    call_setup(&one);
    Call *call = one;
    call->c.config.max_redirects = 1;
    call_begin(call);
    follow(call, statuses[i], "/elsewhere?x");
    target_expect_target(&call->t, "/elsewhere?x");
    open_here(call);
    caller_expect_log(&call->c, "attempt:1 open ");
    snprintf(url, sizeof url, "ws://127.0.0.1:%d/elsewhere?x", call->t.port);
    assert_string_equal(ws_client_url(call->c.client), url);
    assert_int_equal(ws_client_response_status(call->c.client), 101);
    assert_null(ws_client_response_header(call->c.client, "Location", NULL));
    assert_int_equal(ws_client_response_body(call->c.client).len, 0);
    call_teardown(&one);
  }
}

static void test_redirect_of_no_kind_is_not_followed(void **state) {
  static const int statuses[] = {200, 201, 300, 304, 305, 306, 309, 399, 401};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(statuses); ++i) {
    void *one;
    call_setup(&one);
    Call *call = one;
    call->c.config.max_redirects = 5;
    call_begin(call);
    redirect(call, statuses[i], "/elsewhere");
    call_expect_refused(call, WS_ERR_HTTP_STATUS, statuses[i]);
    target_expect_nobody(&call->t);
    call_teardown(&one);
  }
}

/* RFC 3986 5.4; the base is /a/b/c?q.  "%d" is the port. */
static void test_redirect_location_is_relative_to_the_url(void **state) {
  static const struct {
    const char *location, *target;
  } all[] = {
      {"/", "/"},
      {"/x", "/x"},
      {"x", "/a/b/x"},
      {"./x", "/a/b/x"},
      {"../x?y", "/a/x?y"},
      {"../../../x", "/x"},
      {".", "/a/b/"},
      {"?y", "/a/b/c?y"},
      {"x/./../y", "/a/b/y"},
      {"x:y/z", NULL}, /* a scheme */
      {"./x:y", "/a/b/x:y"},
      {"/x#fragment", "/x"},
      {"#fragment", "/a/b/c?q"},
      {"", "/a/b/c?q"},
      {"/x y", "/x%20y"},
      {"/caf\xc3\xa9", "/caf%C3%A9"},
      {"//127.0.0.1:%d/x", "/x"},
      {"ws://127.0.0.1:%d/x", "/x"},
      {"http://127.0.0.1:%d", "/"},
      {"HTTP://127.0.0.1:%d/x?y", "/x?y"},
  };
  (void)state;
  for (size_t i = 0; i < COUNT_OF(all); ++i) {
    void *one;
    char location[128];
    const char *mark = strstr(all[i].location, "%d");
    call_setup(&one);
    Call *call = one;
    call->c.config.max_redirects = 1;
    caller_set_url(&call->c, "ws://127.0.0.1:%d/a/b/c?q", call->t.port);
    call_begin(call);
    snprintf(location, sizeof location, "%s", all[i].location);
    if (mark != NULL) {
      snprintf(location, sizeof location, "%.*s%d%s", (int)(mark - all[i].location),
               all[i].location, call->t.port, mark + 2);
    }
    if (all[i].target == NULL) {
      redirect(call, 302, location);
      call_expect_refused(call, WS_ERR_HTTP_STATUS, 302);
    } else {
      follow(call, 302, location);
      target_expect_target(&call->t, all[i].target);
      open_here(call);
    }
    call_teardown(&one);
  }
}

/* bad: 65 */
static void test_redirect_that_leads_nowhere_ends_the_attempt(void **state) {
  static const char *const bad[] = {
      NULL,
      "http://",
      "http:///x",
      "http://h:99999/",
      "http://[::1/",
      "http://a b/",
      "ftp://127.0.0.1/",
      "javascript:1",
      "file:///x",
      "ws+unix:///tmp/x",
      "ws+unix:@x",
      "//",
      "/a\\b",
      "/a\tb",
      "http://u:p@h/",
      "http://u@h/",
      "http://127.1/",
      "http://caf\xc3\xa9/",
  };
  (void)state;
  for (size_t i = 0; i < COUNT_OF(bad); ++i) {
    void *one;
    call_setup(&one);
    Call *call = one;
    call->c.config.max_redirects = 5;
    call->c.config.retry_count = 1;
    call_begin(call);
    redirect(call, 307, bad[i]);
    call_expect_refused(call, WS_ERR_HTTP_STATUS, 307);
    assert_int_equal(call->c.retry_in_ms, WS_NEVER);
    if (strstr(call->c.why_detail, "redirect") == NULL) {
      fail_msg("%s: %s", bad[i] != NULL ? bad[i] : "no Location", call->c.why_detail);
    }
    for (const char *c = call->c.why_detail; *c != '\0'; ++c) assert_true(*c >= ' ' && *c < 0x7f);
    target_expect_nobody(&call->t);
    call_teardown(&one);
  }
}

/* Which of two is meant nobody knows. */
/* bad: 65 */
static void test_redirect_with_two_locations_is_refused(void **state) {
  Call *call = *state;
  call->c.config.max_redirects = 5;
  call_begin(call);
  redirect(call, 302, "/a\r\nLocation: /b");
  call_expect_refused(call, WS_ERR_HTTP_STATUS, 302);
  assert_non_null(strstr(call->c.why_detail, "Location"));
  target_expect_nobody(&call->t);
}

/* bad: 65 */
static void test_redirect_limit_is_exact(void **state) {
  enum { LIMIT = 3 };
  (void)state;
  for (int hops = LIMIT - 1; hops <= LIMIT + 1; ++hops) {
    void *one;
    char location[16] = "";
    call_setup(&one);
    Call *call = one;
    call->c.config.max_redirects = LIMIT;
    call_begin(call);
    for (int i = 1; i < hops; ++i) {
      snprintf(location, sizeof location, "/%d", i);
      follow(call, 302, location);
      target_expect_target(&call->t, location);
    }
    if (hops <= LIMIT) {
      follow(call, 302, "/last");
      open_here(call);
    } else {
      redirect(call, 302, "/last");
      call_expect_refused(call, WS_ERR_HTTP_STATUS, 302);
      assert_non_null(strstr(call->c.why_detail, "more than 3 redirects"));
      assert_string_equal(ws_client_response_header(call->c.client, "Location", NULL), "/last");
      target_expect_nobody(&call->t);
    }
    call_teardown(&one);
  }
}

/* bad: 65 */
static void test_redirect_to_itself_ends_at_the_limit(void **state) {
  Call *call = *state;
  char self[64];
  call->c.config.max_redirects = 50;
  call_begin(call);
  snprintf(self, sizeof self, "http://127.0.0.1:%d/", call->t.port);
  for (int i = 0; i < 50; ++i) follow(call, 301, self);
  redirect(call, 301, self);
  call_expect_refused(call, WS_ERR_HTTP_STATUS, 301);
  caller_expect_log(&call->c, "attempt:1 down:-61/301/never ");
}

/* Each attempt begins at the URL that was given, with all of its redirects. */
static void test_redirect_is_followed_anew_by_each_attempt(void **state) {
  Call *call = *state;
  call->c.config.max_redirects = 1;
  call->c.config.retry_count = 2;
  call->c.config.retry_min_ms = call->c.config.retry_max_ms = 1;
  call_begin(call);
  for (int i = 1; i <= 2; ++i) {
    target_expect_target(&call->t, "/");
    follow(call, 302, "/x");
    target_expect_target(&call->t, "/x");
    peer_drop(&call->p);
    target_take(&call->t, &call->p);
  }
  caller_expect_log(&call->c, "attempt:1 down:-23/0/retry attempt:2 down:-23/0/retry attempt:3 ");
}

static const ws_header kSecrets[] = {{"Authorization", "Bearer secret"},
                                     {"Cookie", "a=secret"},
                                     {"cookie", "b=secret"},
                                     {"X-Other", "kept"},
                                     {"Origin", "https://example.org"}};

static void expect_secrets(Call *call, int sent) {
  assert_int_equal(target_count(&call->t, "Authorization"), sent ? 1 : 0);
  assert_int_equal(target_count(&call->t, "Cookie"), sent ? 2 : 0);
  if (!sent) assert_null(strstr(call->t.head, "secret"));
  target_expect_line(&call->t, "X-Other: kept");
  target_expect_line(&call->t, "Origin: https://example.org");
}

static void begin_with_secrets(Call *call) {
  call->c.config.max_redirects = 5;
  call->c.config.headers = kSecrets;
  call->c.config.header_count = COUNT_OF(kSecrets);
  call_begin(call);
  expect_secrets(call, 1);
}

/* bad: 65 */
static void test_redirect_within_the_origin_keeps_secrets(void **state) {
  Call *call = *state;
  char location[64];
  caller_set_url(&call->c, "ws://localhost:%d/", call->t.port);
  begin_with_secrets(call);
  follow(call, 302, "/relative");
  expect_secrets(call, 1);
  snprintf(location, sizeof location, "http://LocalHost:%d/absolute", call->t.port);
  follow(call, 302, location);
  expect_secrets(call, 1);
  snprintf(location, sizeof location, "//localhost:%d/", call->t.port);
  follow(call, 302, location);
  expect_secrets(call, 1);
  open_here(call);
}

/* The other server that a redirect leads to takes over the Call; the first one is in `first`. */
static void move_to_other_port(Call *call, Target *first) {
  *first = call->t;
  target_listen(&call->t, call->c.loop);
}

/* bad: 65 */
static void test_redirect_to_another_port_leaves_secrets_behind(void **state) {
  Call *call = *state;
  Target first;
  char location[64], url[64];
  begin_with_secrets(call);
  move_to_other_port(call, &first);
  snprintf(location, sizeof location, "http://127.0.0.1:%d/x", call->t.port);
  follow(call, 308, location);
  expect_secrets(call, 0);
  snprintf(url, sizeof url, "127.0.0.1:%d", call->t.port);
  assert_string_equal(target_field(&call->t, "Host"), url);
  /* A relative one from there stays there. */
  follow(call, 302, "/y");
  expect_secrets(call, 0);
  target_expect_target(&call->t, "/y");
  open_here(call);
  snprintf(url, sizeof url, "ws://127.0.0.1:%d/y", call->t.port);
  assert_string_equal(ws_client_url(call->c.client), url);
  target_stop(&first);
}

/* bad: 65 */
static void test_redirect_to_another_name_of_the_same_server_leaves_secrets_behind(void **state) {
  Call *call = *state;
  char location[64];
  begin_with_secrets(call);
  snprintf(location, sizeof location, "http://localhost:%d/", call->t.port);
  follow(call, 302, location);
  expect_secrets(call, 0);
}

/* bad: 65 */
static void test_redirect_takes_url_credentials_only_within_the_origin(void **state) {
  Call *call = *state;
  Target first;
  char location[64];
  call->c.config.max_redirects = 5;
  caller_set_url(&call->c, "ws://user:pw@127.0.0.1:%d/", call->t.port);
  call_begin(call);
  assert_string_equal(target_field(&call->t, "Authorization"), "Basic dXNlcjpwdw==");
  follow(call, 302, "/x");
  assert_string_equal(target_field(&call->t, "Authorization"), "Basic dXNlcjpwdw==");
  move_to_other_port(call, &first);
  snprintf(location, sizeof location, "http://127.0.0.1:%d/", call->t.port);
  follow(call, 302, location);
  assert_int_equal(target_count(&call->t, "Authorization"), 0);
  open_here(call);
  assert_null(strstr(ws_client_url(call->c.client), "pw"));
  target_stop(&first);
}

/* What connect_to says is about the server of the URL. */
static void test_redirect_to_another_origin_dials_that(void **state) {
  Call *call = *state;
  Target first;
  char to[32], location[64];
  call->c.config.max_redirects = 5;
  call->c.config.url = "ws://example.org/";
  snprintf(to, sizeof to, "127.0.0.1:%d", call->t.port);
  call->c.config.connect_to = to;
  call_begin(call);
  target_expect_line(&call->t, "Host: example.org");
  follow(call, 302, "http://example.org:80/again");
  target_expect_line(&call->t, "Host: example.org");
  move_to_other_port(call, &first);
  snprintf(location, sizeof location, "http://127.0.0.1:%d/", call->t.port);
  follow(call, 302, location);
  open_here(call);
  target_stop(&first);
}

/* bad: 65 */
static void test_redirect_to_https_makes_tls(void **state) {
  Call *call = *state;
  char location[64], url[64];
  call->c.config.max_redirects = 1;
  call_begin(call);
  snprintf(location, sizeof location, "https://127.0.0.1:%d/", call->t.port);
  redirect(call, 302, location);
  target_accept(&call->t, &call->p);
  peer_expect_data(&call->p, "\x16\x03", 2); /* a ClientHello */
  snprintf(url, sizeof url, "wss://127.0.0.1:%d/", call->t.port);
  assert_string_equal(ws_client_url(call->c.client), url);
}

/* bad: 65 */
static void test_redirect_on_a_unix_socket_stays_there_unless_it_names_another(void **state) {
  Call *call = *state;
  Target tcp = call->t;
  char path[64], location[64];
  snprintf(path, sizeof path, "@libws-test-redirect-%d", (int)getpid());
  target_listen_unix(&call->t, call->c.loop, path);
  caller_set_url(&call->c, "ws+unix:%s:/a", path);
  begin_with_secrets(call);
  follow(call, 302, "/b");
  target_expect_target(&call->t, "/b");
  expect_secrets(call, 1);
  follow(call, 302, "http://localhost/c");
  target_expect_target(&call->t, "/c");
  expect_secrets(call, 1);
  snprintf(location, sizeof location, "http://127.0.0.1:%d/d", tcp.port);
  Target unix_socket = call->t;
  call->t = tcp;
  follow(call, 302, location);
  target_expect_target(&call->t, "/d");
  expect_secrets(call, 0);
  target_stop(&unix_socket);
}

/* req: 14 */
static void test_redirect_then_open_agrees_on_a_subprotocol_of_its_own(void **state) {
  static const char *const offered[] = {"v1", "v2"};
  Call *call = *state;
  char first_key[64];
  call->c.config.max_redirects = 1;
  call->c.config.subprotocols = offered;
  call->c.config.subprotocol_count = 2;
  call_begin(call);
  strcpy(first_key, call->t.key);
  follow(call, 302, "/x\r\nSec-WebSocket-Protocol: v1");
  target_expect_line(&call->t, "Sec-WebSocket-Protocol: v1, v2");
  assert_string_not_equal(call->t.key, first_key);
  target_switch(&call->t, &call->p, "Sec-WebSocket-Protocol: v2\r\n");
  caller_wait_open(&call->c, 1);
  assert_string_equal(ws_conn_subprotocol(call->c.conn), "v2");
  peer_send_text(&call->p, "works");
  caller_wait_log(&call->c, "text:works ");
}

static void test_redirect_then_refusal_tells_the_refusal(void **state) {
  Call *call = *state;
  call->c.config.max_redirects = 1;
  call_begin(call);
  follow(call, 302, "/x");
  peer_say(&call->p, "HTTP/1.1 403 No\r\nContent-Length: 2\r\n\r\nno");
  call_expect_refused(call, WS_ERR_HTTP_STATUS, 403);
  assert_int_equal(ws_client_response_status(call->c.client), 403);
  assert_int_equal(ws_client_response_body(call->c.client).len, 2);
}

static void test_redirect_to_where_nobody_listens_tells_that(void **state) {
  Call *call = *state;
  Target nobody;
  char location[64];
  call->c.config.max_redirects = 1;
  call_begin(call);
  target_refuse(&nobody, call->c.loop);
  snprintf(location, sizeof location, "http://127.0.0.1:%d/", nobody.port);
  redirect(call, 302, location);
  call_expect_refused(call, WS_ERR_CONNECT, 0);
  location[strlen(location) - 1] = '\0';
  assert_non_null(strstr(call->c.why_detail, location + strlen("http://")));
  assert_int_equal(ws_client_response_status(call->c.client), 0);
  target_stop(&nobody);
}

/* However many there may be, all of them have the one handshake_timeout_ms. */
static void test_redirect_hops_share_one_timeout(void **state) {
  Call *call = *state;
  call->c.config.max_redirects = WS_NEVER;
  call->c.limits.handshake_timeout_ms = short_timeout_ms();
  caller_start(&call->c);
  Peer *p = &call->p;
  for (int hops = 0; call->c.downs == 0; ++hops) {
    int fd = accept(call->t.fd, NULL, NULL);
    if (hops > 5000) fail_msg("%d turns and no timeout", hops);
    run_for(call->c.loop, 5);
    if (fd < 0) continue;
    peer_drop(p);
    peer_use(p, call->c.loop, fd);
    static const char answer[] = "HTTP/1.1 302 X\r\nLocation: /\r\nContent-Length: 0\r\n\r\n";
    (void)send(fd, answer, sizeof answer - 1, MSG_NOSIGNAL);
  }
  call_expect_refused(call, WS_ERR_TIMEOUT, 0);
  caller_expect_log(&call->c, "attempt:1 down:-9/0/never ");
}

static void test_redirect_is_not_followed_after_close(void **state) {
  Call *call = *state;
  call->c.config.max_redirects = 5;
  call->c.config.retry_count = 5;
  call->c.limits.handshake_timeout_ms = WS_NEVER; /* so that it is not what ends it */
  call_begin(call);
  peer_say(&call->p, "HTTP/1.1 302 X\r\nLocation: /x\r\nContent-Length: 9\r\n\r\nhalf");
  run_for(call->c.loop, 2);
  assert_ok(ws_client_close(call->c.client, 1000, NULL));
  caller_wait_down(&call->c, 1);
  assert_int_equal(call->c.opened, 0);
  assert_int_equal(call->c.retry_in_ms, WS_NEVER);
  target_expect_nobody(&call->t);
}

static char plain_location[64];
static void redirect_to_plain(ws_request *r, void *user) {
  ws_header location = {"Location", plain_location};
  (void)user;
  assert_ok(ws_request_respond(r, 302, &location, 1, NULL, 0));
}

/* A TLS server that redirects to the plain one of the Call; returns its port. */
static uint16_t listen_secure(Call *call, ws_tls *tls, ws_server **server) {
  ws_server_config config;
  ws_listen_config listen_config;
  ws_listener *ln;
  WS_INIT(&config);
  WS_INIT(&listen_config);
  config.on_request = redirect_to_plain;
  listen_config.host = "127.0.0.1";
  listen_config.tls = tls;
  assert_ok(ws_server_new(call->c.loop, &config, server));
  assert_ok(ws_server_listen(*server, &listen_config, &ln));
  return ws_listener_port(ln);
}

/* bad: 65 */
static void test_redirect_from_tls_to_plain_is_never_followed(void **state) {
  static const char *const schemes[] = {"http", "ws"};
  Call *call = *state;
  ws_tls_config trust;
  ws_tls *own, *roots;
  ws_server *server;
  WS_INIT(&trust);
  assert_ok(ws_tls_new_self_signed("localhost", &own));
  trust.ca_pem = ws_tls_certificate(own);
  assert_ok(ws_tls_new(&trust, &roots));
  uint16_t port = listen_secure(call, own, &server);
  call->c.config.max_redirects = 5;
  call->c.config.retry_count = 5;
  call->c.config.tls = roots;
  caller_set_url(&call->c, "wss://127.0.0.1:%d/", port);
  for (size_t i = 0; i < COUNT_OF(schemes); ++i) {
    snprintf(plain_location, sizeof plain_location, "%s://127.0.0.1:%d/", schemes[i], call->t.port);
    call->c.downs = 0;
    caller_start(&call->c);
    call_expect_refused(call, WS_ERR_HTTP_STATUS, 302);
    assert_int_equal(call->c.retry_in_ms, WS_NEVER);
    assert_non_null(strstr(call->c.why_detail, "wss to ws"));
    target_expect_nobody(&call->t);
    ws_client_free(call->c.client);
    call->c.client = NULL;
  }
  ws_server_free(server);
  ws_tls_unref(own);
  ws_tls_unref(roots);
}

#define test_of(f) cmocka_unit_test_setup_teardown(f, call_setup, call_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_redirect_is_off_by_default),
      cmocka_unit_test(test_redirect_of_each_kind_is_followed_within_one_attempt),
      cmocka_unit_test(test_redirect_of_no_kind_is_not_followed),
      cmocka_unit_test(test_redirect_location_is_relative_to_the_url),
      cmocka_unit_test(test_redirect_that_leads_nowhere_ends_the_attempt),
      test_of(test_redirect_with_two_locations_is_refused),
      cmocka_unit_test(test_redirect_limit_is_exact),
      test_of(test_redirect_to_itself_ends_at_the_limit),
      test_of(test_redirect_is_followed_anew_by_each_attempt),
      test_of(test_redirect_within_the_origin_keeps_secrets),
      test_of(test_redirect_to_another_port_leaves_secrets_behind),
      test_of(test_redirect_to_another_name_of_the_same_server_leaves_secrets_behind),
      test_of(test_redirect_takes_url_credentials_only_within_the_origin),
      test_of(test_redirect_to_another_origin_dials_that),
      test_of(test_redirect_to_https_makes_tls),
      test_of(test_redirect_on_a_unix_socket_stays_there_unless_it_names_another),
      test_of(test_redirect_then_open_agrees_on_a_subprotocol_of_its_own),
      test_of(test_redirect_then_refusal_tells_the_refusal),
      test_of(test_redirect_to_where_nobody_listens_tells_that),
      test_of(test_redirect_hops_share_one_timeout),
      test_of(test_redirect_is_not_followed_after_close),
      test_of(test_redirect_from_tls_to_plain_is_never_followed),
  };
  return cmocka_run_group_tests_name("client_redirect", tests, NULL, NULL);
}
