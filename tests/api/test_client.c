/*
 * client.h, connecting: the request as the server sees it, each way to reach a server, messages of
 * each size, and what can be asked afterwards.  Settings that are refused are in
 * test_client_config.c, refusals of the server in test_client_refusal.c, wicked servers in
 * test_client_handshake.c.
 */
#include "caller.h"

#include <arpa/inet.h>
#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

static void fill(uint8_t *to, size_t len) {
  for (size_t i = 0; i < len; ++i) to[i] = (uint8_t)('a' + i % 23);
}

static uint8_t kept[1 << 20];
static size_t kept_len;
static ws_opcode kept_op;
static void keep_message(Caller *c, const char *event, ws_conn *conn) {
  (void)conn;
  if (strcmp(event, "message") != 0) return;
  assert_true(c->len <= sizeof kept);
  if (c->len != 0) memcpy(kept, c->data, c->len);
  kept_len = c->len;
  kept_op = c->op;
}

/* req: 54 */
static void test_client_messages_of_each_size_go_and_come_back(void **state) {
  static const size_t sizes[] = {0, 1, 125, 126, 127, 65535, 65536, 1 << 20};
  static uint8_t payload[1 << 20];
  Call *call = *state;
  int count = 0;
  fill(payload, sizeof payload);
  call->c.on = keep_message;
  call_open(call);
  for (size_t i = 0; i < COUNT_OF(sizes); ++i) {
    for (int op = WS_OP_TEXT; op <= WS_OP_BINARY; ++op) {
      WireFrame f;
      assert_true(ws_client_send(call->c.client, (ws_opcode)op, payload, sizes[i], 0) >= 0);
      peer_read_frame(&call->p, &f);
      assert_int_equal(f.first, 0x80 | op);
      assert_bytes(f.payload, f.len, payload, sizes[i]);
      peer_send_frame(&call->p, f.first, payload, sizes[i]);
      caller_wait_messages(&call->c, ++count);
      assert_int_equal(kept_op, op);
      assert_bytes(kept, kept_len, payload, sizes[i]);
    }
  }
}

static void test_client_new_calls_nobody_and_the_attempt_comes_first(void **state) {
  Call *call = *state;
  Caller *c = &call->c;
  caller_start(c);
  caller_expect_log(c, "");
  assert_null(ws_client_conn(c->client));
  assert_int_equal(ws_client_response_status(c->client), 0);
  target_take(&call->t, &call->p);
  caller_expect_log(c, "attempt:1 ");
  assert_null(ws_client_conn(c->client));
  target_switch(&call->t, &call->p, "");
  caller_wait_open(c, 1);
  caller_expect_log(c, "open ");
  assert_ptr_equal(ws_client_conn(c->client), c->conn);
  assert_int_equal(ws_conn_is_open(c->conn), 1);
  assert_ptr_equal(ws_conn_user(c->conn), c);
  assert_ptr_equal(ws_conn_loop(c->conn), c->loop);
  assert_string_equal(ws_conn_subprotocol(c->conn), "");
}

/* req: 11, 12, 13, 14, 15 */
static void test_client_request_is_exact(void **state) {
  Call *call = *state;
  char want[512];
  unsigned char key[32];
  call_begin(call);
  snprintf(want, sizeof want,
           "GET / HTTP/1.1\r\nHost: 127.0.0.1:%d\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
           "Sec-WebSocket-Key: %s\r\nSec-WebSocket-Version: 13\r\n\r\n",
           call->t.port, call->t.key);
  assert_string_equal(call->t.head, want);
  /* 16 bytes: 18 with the padding that EVP_DecodeBlock() leaves in. */
  assert_int_equal(strlen(call->t.key), 24);
  assert_string_equal(call->t.key + 22, "==");
  assert_int_equal(EVP_DecodeBlock(key, (const unsigned char *)call->t.key, 24), 18);
}

/* req: 18 */
static void test_client_says_nothing_before_the_answer(void **state) {
  Call *call = *state;
  call->c.config.queue_bytes = 1000;
  call_begin(call);
  assert_ok(ws_client_send(call->c.client, WS_OP_TEXT, "early", 5, 0));
  peer_expect_quiet(&call->p);
  target_answer(&call->t, &call->p, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n");
  peer_expect_quiet(&call->p);
  target_answer(&call->t, &call->p, "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n\r\n");
  peer_expect_text(&call->p, "early");
}

/* Connects to what the URL says, by way of `t`, and reads the request. */
static void ask(Call *call, const char *connect_to) {
  call->c.config.connect_to = connect_to;
  call_begin(call);
}

static const char *at_target(const Call *call) {
  static char text[32];
  snprintf(text, sizeof text, "127.0.0.1:%d", call->t.port);
  return text;
}

/* req: 1, 3, 4, 11, 12 */
static void test_client_target_and_host_are_those_of_the_url(void **state) {
  static const struct {
    const char *url, *target, *host, *text;
  } all[] = {
      {"ws://example.org", "/", "example.org", "ws://example.org/"},
      {"WS://example.org/", "/", "example.org", "ws://example.org/"},
      {"ws://example.org:80/", "/", "example.org", "ws://example.org/"},
      {"ws://example.org:81/", "/", "example.org:81", "ws://example.org:81/"},
      {"ws://example.org:443/", "/", "example.org:443", "ws://example.org:443/"},
      {"ws://example.org?x", "/?x", "example.org", "ws://example.org/?x"},
      {"ws://example.org/a?b=c&d=/e?", "/a?b=c&d=/e?", "example.org",
       "ws://example.org/a?b=c&d=/e?"},
      {"ws://example.org/a%23b%20", "/a%23b%20", "example.org", "ws://example.org/a%23b%20"},
      {"ws://example.org/a b\xc3\xa9", "/a%20b%C3%A9", "example.org",
       "ws://example.org/a%20b%C3%A9"},
      {"ws://[2001:db8::1]/", "/", "[2001:db8::1]", "ws://[2001:db8::1]/"},
      {"ws://[2001:db8::1]:8080/", "/", "[2001:db8::1]:8080", "ws://[2001:db8::1]:8080/"},
      /* A zone is of this machine only (RFC 6874). */
      {"ws://[fe80::1%25eth0]/", "/", "[fe80::1]", "ws://[fe80::1%25eth0]/"},
      {"ws://192.0.2.7/", "/", "192.0.2.7", "ws://192.0.2.7/"},
  };
  (void)state;
  for (size_t i = 0; i < COUNT_OF(all); ++i) {
    void *one;
    call_setup(&one);
    Call *call = one;
    call->c.config.url = all[i].url;
    ask(call, at_target(call));
    target_expect_target(&call->t, all[i].target);
    assert_string_equal(target_field(&call->t, "Host"), all[i].host);
    target_switch(&call->t, &call->p, "");
    caller_wait_open(&call->c, 1);
    assert_string_equal(ws_client_url(call->c.client), all[i].text);
    call_teardown(&one);
  }
}

static void test_client_headers_are_sent_in_order(void **state) {
  Call *call = *state;
  static const ws_header headers[] = {{"Origin", "https://example.org"},
                                      {"Cookie", "a=b; c=d"},
                                      {"X-Empty", ""},
                                      {"X-Twice", "1"},
                                      {"x-twice", "2"},
                                      {"X-Latin", "caf\xe9\tx"}};
  call->c.config.headers = headers;
  call->c.config.header_count = COUNT_OF(headers);
  call_begin(call);
  assert_non_null(strstr(call->t.head,
                         "\r\nOrigin: https://example.org\r\nCookie: a=b; c=d\r\nX-Empty: \r\n"
                         "X-Twice: 1\r\nx-twice: 2\r\nX-Latin: caf\xe9\tx\r\n"));
  assert_int_equal(target_count(&call->t, "Host"), 1);
  assert_int_equal(target_count(&call->t, "Connection"), 1);
  assert_int_equal(target_count(&call->t, "Authorization"), 0);
}

/* bad: 242 */
static void test_client_keeps_copies_of_what_it_was_given(void **state) {
  Call *call = *state;
  char url[64], name[] = "X-Name", value[] = "value", protocol[] = "chat", to[32];
  const char *protocols[] = {protocol};
  ws_header header = {name, value};
  snprintf(url, sizeof url, "ws://example.org/x");
  snprintf(to, sizeof to, "127.0.0.1:%d", call->t.port);
  call->c.config.url = url;
  call->c.config.headers = &header;
  call->c.config.header_count = 1;
  call->c.config.subprotocols = protocols;
  call->c.config.subprotocol_count = 1;
  call->c.config.connect_to = to;
  caller_start(&call->c);
  memset(url, '!', strlen(url));
  memset(name, '!', strlen(name));
  memset(value, '!', strlen(value));
  memset(protocol, '!', strlen(protocol));
  memset(to, '!', strlen(to));
  memset(&header, 0, sizeof header);
  protocols[0] = NULL;
  memset(&call->c.config, 0xff, sizeof call->c.config);
  memset(&call->c.limits, 0xff, sizeof call->c.limits);
  ws_handlers handlers = call->c.handlers;
  memset(&call->c.handlers, 0, sizeof call->c.handlers);
  target_take(&call->t, &call->p);
  target_expect_target(&call->t, "/x");
  target_expect_line(&call->t, "Host: example.org");
  target_expect_line(&call->t, "X-Name: value");
  target_expect_line(&call->t, "Sec-WebSocket-Protocol: chat");
  target_switch(&call->t, &call->p, "Sec-WebSocket-Protocol: chat\r\n");
  caller_wait_open(&call->c, 1);
  call->c.handlers = handlers;
}

/* req: 16 */
static void test_client_subprotocols_are_offered_in_order_and_one_is_agreed(void **state) {
  static const char *const offered[] = {"v2.chat", "v1.chat", "V1.chat"};
  (void)state;
  for (size_t i = 0; i <= COUNT_OF(offered); ++i) {
    void *one;
    char answer[64] = "";
    call_setup(&one);
    Call *call = one;
    call->c.config.subprotocols = offered;
    call->c.config.subprotocol_count = COUNT_OF(offered);
    call_begin(call);
    target_expect_line(&call->t, "Sec-WebSocket-Protocol: v2.chat, v1.chat, V1.chat");
    if (i < COUNT_OF(offered)) {
      snprintf(answer, sizeof answer, "Sec-WebSocket-Protocol: %s\r\n", offered[i]);
    }
    target_switch(&call->t, &call->p, answer);
    caller_wait_open(&call->c, 1);
    assert_string_equal(ws_conn_subprotocol(call->c.conn), i < COUNT_OF(offered) ? offered[i] : "");
    call_teardown(&one);
  }
}

static void test_client_user_and_password_are_sent_as_basic_authorization(void **state) {
  static const struct {
    const char *user_info, *value; /* RFC 7617; NULL = none */
  } all[] = {
      {"Aladdin:open%20sesame@", "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="},
      {"test:123%C2%A3@", "Basic dGVzdDoxMjPCow=="},
      {"user@", "Basic dXNlcjo="},
      {"user:@", "Basic dXNlcjo="},
      {":pw@", "Basic OnB3"},
      {"a%40b:c:d@", "Basic YUBiOmM6ZA=="},
      {"@", NULL},
      {"", NULL},
  };
  (void)state;
  for (size_t i = 0; i < COUNT_OF(all); ++i) {
    void *one;
    char want[64];
    call_setup(&one);
    Call *call = one;
    caller_set_url(&call->c, "ws://%s127.0.0.1:%d/", all[i].user_info, call->t.port);
    call_begin(call);
    assert_int_equal(target_count(&call->t, "Authorization"), all[i].value != NULL);
    if (all[i].value != NULL) {
      assert_string_equal(target_field(&call->t, "Authorization"), all[i].value);
    }
    snprintf(want, sizeof want, "127.0.0.1:%d", call->t.port);
    assert_string_equal(target_field(&call->t, "Host"), want);
    snprintf(want, sizeof want, "ws://127.0.0.1:%d/", call->t.port);
    assert_string_equal(ws_client_url(call->c.client), want);
    call_teardown(&one);
  }
}

static void test_client_authorization_header_goes_before_the_url(void **state) {
  Call *call = *state;
  static const ws_header header = {"authorization", "Bearer t"};
  call->c.config.headers = &header;
  call->c.config.header_count = 1;
  caller_set_url(&call->c, "ws://user:pw@127.0.0.1:%d/", call->t.port);
  call_begin(call);
  assert_string_equal(target_field(&call->t, "Authorization"), "Bearer t");
}

static void renew_token(Caller *c, const char *event, ws_conn *conn) {
  static const ws_header fresh = {"Authorization", "Bearer fresh"};
  (void)conn;
  if (strcmp(event, "attempt") != 0) return;
  assert_ok(ws_client_set_headers(c->client, &fresh, 1));
}

static void test_client_headers_set_in_on_attempt_are_sent_by_it(void **state) {
  Call *call = *state;
  static const ws_header stale = {"Authorization", "Bearer stale"};
  call->c.config.headers = &stale;
  call->c.config.header_count = 1;
  call->c.on = renew_token;
  call_begin(call);
  assert_string_equal(target_field(&call->t, "Authorization"), "Bearer fresh");
}

static void test_client_reaches_ipv6_and_names(void **state) {
  Call *call = *state;
  caller_set_url(&call->c, "ws://localhost:%d/n", call->t.port);
  call_open(call);
  target_expect_target(&call->t, "/n");
  assert_int_equal(strncmp(ws_conn_peer(call->c.conn), "127.0.0.1:", 10), 0);
  peer_drop(&call->p);
  caller_wait_down(&call->c, 1);
  caller_stop(&call->c);
  target_stop(&call->t);
  caller_prepare(&call->c);
  if (!target_listen_v6(&call->t, call->c.loop)) skip();
  caller_set_url(&call->c, "ws://[::1]:%d/six", call->t.port);
  char want[32];
  snprintf(want, sizeof want, "[::1]:%d", call->t.port);
  call_open(call);
  target_expect_target(&call->t, "/six");
  assert_string_equal(target_field(&call->t, "Host"), want);
  assert_string_equal(ws_conn_peer(call->c.conn), want);
}

static void test_client_names_the_address_it_has(void **state) {
  Call *call = *state;
  struct sockaddr_in seen;
  socklen_t len = sizeof seen;
  char want[32];
  call_open(call);
  assert_int_equal(getpeername(call->p.fd, (struct sockaddr *)&seen, &len), 0);
  snprintf(want, sizeof want, "127.0.0.1:%d", ntohs(seen.sin_port));
  assert_string_equal(ws_conn_local(call->c.conn), want);
}

static void open_unix(Call *call, const char *path) {
  target_stop(&call->t);
  target_listen_unix(&call->t, call->c.loop, path);
  call_open(call);
  assert_string_equal(target_field(&call->t, "Host"), "localhost");
  assert_ok(ws_client_send(call->c.client, WS_OP_TEXT, "hi", 2, 0));
  peer_expect_text(&call->p, "hi");
  assert_int_equal(strncmp(ws_conn_peer(call->c.conn), "unix:", 5), 0);
  assert_string_equal(ws_conn_local(call->c.conn), "unix:");
}

static void test_client_reaches_unix_sockets_by_path(void **state) {
  Call *call = *state;
  char directory[] = "/tmp/libws-test-XXXXXX", path[64], url[96];
  assert_non_null(mkdtemp(directory));
  snprintf(path, sizeof path, "%s/a socket", directory);
  snprintf(url, sizeof url, "ws+unix://%s/a%%20socket:/chat?x", directory);
  caller_set_url(&call->c, "%s", url);
  open_unix(call, path);
  target_expect_target(&call->t, "/chat?x");
  assert_string_equal(ws_client_url(call->c.client), url);
  target_stop(&call->t);
  assert_int_equal(rmdir(directory), 0);
}

static void test_client_reaches_abstract_unix_sockets(void **state) {
  Call *call = *state;
  char path[64];
  snprintf(path, sizeof path, "@libws-test-client-%d", (int)getpid());
  caller_set_url(&call->c, "ws+unix:%s", path);
  open_unix(call, path);
  target_expect_target(&call->t, "/");
}

/* req: 8 */
/* bad: 70 */
static void test_client_tells_when_nobody_listens(void **state) {
  Call *call = *state;
  char where[64];
  target_stop(&call->t);
  target_refuse(&call->t, call->c.loop);
  caller_set_url(&call->c, "ws://127.0.0.1:%d/", call->t.port);
  caller_start(&call->c);
  call_expect_refused(call, WS_ERR_CONNECT, 0);
  caller_expect_log(&call->c, "attempt:1 down:-22/0/never ");
  assert_int_equal(call->c.why.sys_errno, ECONNREFUSED);
  snprintf(where, sizeof where, "127.0.0.1:%d", call->t.port);
  assert_non_null(strstr(call->c.why_detail, where));
  assert_int_equal(ws_client_response_status(call->c.client), 0);
  assert_null(ws_client_response_header(call->c.client, "Server", NULL));
}

/* bad: 70 */
static void test_client_tells_when_the_unix_socket_is_not_there(void **state) {
  Call *call = *state;
  caller_set_url(&call->c, "ws+unix:///tmp/libws-test-absent-%d", (int)getpid());
  caller_start(&call->c);
  call_expect_refused(call, WS_ERR_CONNECT, 0);
  assert_int_equal(call->c.why.sys_errno, ENOENT);
  assert_non_null(strstr(call->c.why_detail, "/tmp/libws-test-absent-"));
}

/* bad: 238 */
static void test_client_without_callbacks_works(void **state) {
  Call *call = *state;
  call->c.config.handlers = NULL;
  call->c.config.conn = NULL;
  call->c.config.on_attempt = NULL;
  call->c.config.on_down = NULL;
  caller_start(&call->c);
  target_welcome(&call->t, &call->p);
  peer_send_frame(&call->p, FIN_PING, "x", 1);
  peer_expect_frame(&call->p, FIN_PONG, "x", 1);
  peer_send_text(&call->p, "for nobody");
  assert_non_null(ws_client_conn(call->c.client));
  assert_ok(ws_client_send(call->c.client, WS_OP_BINARY, "y", 1, 0));
  peer_expect_frame(&call->p, FIN_BINARY, "y", 1);
  peer_send_close(&call->p, 1000, NULL);
  peer_expect_close(&call->p, 1000);
  peer_drop(&call->p);
  for (int i = 0; i < 1000 && ws_client_conn(call->c.client) != NULL; ++i) run_for(call->c.loop, 1);
  assert_null(ws_client_conn(call->c.client));
}

static const char *header_of(Call *call, const char *name) {
  size_t len = 99;
  const char *value = ws_client_response_header(call->c.client, name, &len);
  if (value != NULL) assert_int_equal(len, strlen(value));
  assert_ptr_equal(ws_client_response_header(call->c.client, name, NULL), value);
  return value;
}

static void check_response(Call *call) {
  static const ws_header all[] = {
      {"Upgrade", "websocket"}, {"Connection", "Upgrade"}, {"Sec-WebSocket-Accept", NULL},
      {"Set-Cookie", "a=b"},    {"Server", "x y"},         {"set-cookie", "c=d"},
      {"X-Empty", ""}};
  ws_client *cl = call->c.client;
  ws_header h = {"untouched", "untouched"};
  assert_int_equal(ws_client_response_status(cl), 101);
  assert_string_equal(header_of(call, "SERVER"), "x y");
  assert_string_equal(header_of(call, "Set-Cookie"), "a=b, c=d");
  assert_string_equal(header_of(call, "x-empty"), "");
  assert_null(header_of(call, "Absent"));
  assert_null(header_of(call, ""));
  assert_int_equal(ws_client_response_body(cl).len, 0);
  for (size_t i = 0; i < COUNT_OF(all); ++i) {
    assert_int_equal(ws_client_response_header_at(cl, i, &h), 1);
    assert_string_equal(h.name, all[i].name);
    assert_string_equal(h.value, all[i].value != NULL ? all[i].value : call->t.accept);
  }
  assert_int_equal(ws_client_response_header_at(cl, COUNT_OF(all), &h), 0);
  assert_int_equal(ws_client_response_header_at(cl, SIZE_MAX, &h), 0);
  assert_int_equal(ws_client_response_header_at(cl, 0, NULL), 0);
}

static void check_in_callbacks(Caller *c, const char *event, ws_conn *conn) {
  (void)conn;
  if (strcmp(event, "attempt") == 0) {
    assert_int_equal(ws_client_response_status(c->client), 0);
    return;
  }
  check_response(c->extra);
}

static void test_client_response_can_be_read_from_open_to_down(void **state) {
  Call *call = *state;
  call->c.extra = call;
  call->c.on = check_in_callbacks;
  call_begin(call);
  assert_int_equal(ws_client_response_status(call->c.client), 0);
  assert_null(header_of(call, "Upgrade"));
  target_switch(&call->t, &call->p,
                "Set-Cookie: a=b\r\nServer:   x y  \r\nset-cookie: c=d\r\nX-Empty:\r\n");
  caller_wait_open(&call->c, 1);
  check_response(call);
  peer_send_close(&call->p, 1001, "bye");
  peer_expect_close(&call->p, 1001);
  peer_drop(&call->p);
  caller_wait_down(&call->c, 1);
  check_response(call);
  caller_expect_log(&call->c, "attempt:1 open close:1001/1001/0 down:0/0/never ");
  assert_string_equal(call->c.reason, "bye");
  assert_string_equal(call->c.why_reason, "bye");
  assert_int_equal(call->c.why.code, 1001);
  assert_int_equal(call->c.why.sent_code, 1001);
  assert_int_equal(call->c.why.flags, WS_CLOSE_CLEAN | WS_CLOSE_BY_PEER);
}

/* req: 54, 80 */
static void test_client_close_is_masked_and_ends_it(void **state) {
  Call *call = *state;
  call_open(call);
  assert_ok(ws_client_close(call->c.client, 4001, "enough"));
  peer_expect_frame(&call->p, FIN_CLOSE,
                    "\x0f\xa1"
                    "enough",
                    8);
  peer_send_close(&call->p, 4001, NULL);
  peer_drop(&call->p);
  caller_wait_down(&call->c, 1);
  caller_expect_log(&call->c, "attempt:1 open close:4001/4001/0 down:0/0/never ");
  assert_int_equal(call->c.why.flags, WS_CLOSE_CLEAN);
}

/* bad: 230 */
static void test_client_calls_on_null_are_harmless(void **state) {
  (void)state;
  ws_header h;
  ws_slice body;
  ws_client_free(NULL);
  assert_fails(WS_ERR_INVALID, ws_client_close(NULL, 1000, NULL));
  assert_null(ws_client_conn(NULL));
  assert_fails(WS_ERR_INVALID, ws_client_send(NULL, WS_OP_TEXT, "x", 1, 0));
  assert_int_equal(ws_client_queued(NULL), 0);
  assert_fails(WS_ERR_INVALID, ws_client_retry_now(NULL));
  assert_fails(WS_ERR_INVALID, ws_client_set_headers(NULL, NULL, 0));
  assert_int_equal(ws_client_response_status(NULL), 0);
  assert_null(ws_client_response_header(NULL, "x", NULL));
  assert_int_equal(ws_client_response_header_at(NULL, 0, &h), 0);
  body = ws_client_response_body(NULL);
  assert_int_equal(body.len, 0);
  (void)ws_client_url(NULL);
}

#define test_of(f) cmocka_unit_test_setup_teardown(f, call_setup, call_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      test_of(test_client_messages_of_each_size_go_and_come_back),
      test_of(test_client_new_calls_nobody_and_the_attempt_comes_first),
      test_of(test_client_request_is_exact),
      test_of(test_client_says_nothing_before_the_answer),
      cmocka_unit_test(test_client_target_and_host_are_those_of_the_url),
      test_of(test_client_headers_are_sent_in_order),
      test_of(test_client_keeps_copies_of_what_it_was_given),
      cmocka_unit_test(test_client_subprotocols_are_offered_in_order_and_one_is_agreed),
      cmocka_unit_test(test_client_user_and_password_are_sent_as_basic_authorization),
      test_of(test_client_authorization_header_goes_before_the_url),
      test_of(test_client_headers_set_in_on_attempt_are_sent_by_it),
      test_of(test_client_reaches_ipv6_and_names),
      test_of(test_client_names_the_address_it_has),
      test_of(test_client_reaches_unix_sockets_by_path),
      test_of(test_client_reaches_abstract_unix_sockets),
      test_of(test_client_tells_when_nobody_listens),
      test_of(test_client_tells_when_the_unix_socket_is_not_there),
      test_of(test_client_without_callbacks_works),
      test_of(test_client_response_can_be_read_from_open_to_down),
      test_of(test_client_close_is_masked_and_ends_it),
      cmocka_unit_test(test_client_calls_on_null_are_harmless),
  };
  return cmocka_run_group_tests_name("client", tests, NULL, NULL);
}
