/*
 * The blocking client against a server on another thread: every call, every way in which it can
 * fail, and that it does not wait for itself.
 */
#include "echo.h"
#include "peer.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define MIB ((size_t)1024 * 1024)

static void test_sync_connects_echoes_and_closes_cleanly(void **state) {
  Echo *e = *state;
  ws_sync *s = sync_join(e);
  assert_null(ws_sync_how(s));
  assert_non_null(ws_sync_conn(s));
  sync_expect_echo(s, "hello");
  assert_null(ws_sync_how(s));
  assert_ok(ws_sync_close(s, 1000, "done"));
  const ws_close_info *how = ws_sync_how(s);
  assert_non_null(how);
  assert_int_equal(how->error, WS_OK);
  assert_int_equal(how->code, 1000);
  assert_int_equal(how->sent_code, 1000);
  assert_int_equal(how->flags, WS_CLOSE_CLEAN);
  assert_string_equal(how->reason, ""); /* the server echoes the code only */
  assert_null(ws_sync_conn(s));
  assert_ok(ws_sync_close(s, 1000, "again"));
  assert_ptr_equal(ws_sync_how(s), how);
  assert_string_equal(how->reason, ""); /* the server echoes the code only */
  ws_sync_free(s);
  assert_int_equal(atomic_load(&e->opened), 1);
}

/* A port that nobody listens on. */
static uint16_t free_port(void) {
  struct sockaddr_in a;
  socklen_t len = sizeof a;
  memset(&a, 0, sizeof a);
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
  close(fd);
  return ntohs(a.sin_port);
}

/* bad: 241 */
static void test_sync_connect_to_a_closed_port_names_it(void **state) {
  (void)state;
  char url[64], name[32];
  ws_sync *s = NULL;
  uint16_t port = free_port();
  snprintf(url, sizeof url, "ws://127.0.0.1:%u/", port);
  snprintf(name, sizeof name, "127.0.0.1:%u", port);
  assert_fails(WS_ERR_CONNECT, ws_sync_connect(url, NULL, &s));
  assert_detail_has(name);
  assert_detail_has("refused");
  assert_null(s);
}

static void test_sync_connect_refused_by_status_tells_it(void **state) {
  Echo *e = *state;
  char url[80];
  ws_sync *s = NULL;
  snprintf(url, sizeof url, "%s/refused", e->url);
  assert_fails(WS_ERR_HTTP_STATUS, ws_sync_connect(url, NULL, &s));
  assert_detail_has("401");
  assert_null(s);
  assert_int_equal(atomic_load(&e->requests), 1);
}

static void test_sync_connect_to_a_silent_server_times_out(void **state) {
  (void)state;
  struct sockaddr_in a;
  socklen_t len = sizeof a;
  char url[64];
  ws_sync *s = NULL;
  ws_client_config c;
  ws_conn_config limits;
  memset(&a, 0, sizeof a);
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
  assert_int_equal(listen(fd, 5), 0);
  assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &len), 0);
  snprintf(url, sizeof url, "ws://127.0.0.1:%u", ntohs(a.sin_port));
  WS_INIT(&c);
  WS_INIT(&limits);
  limits.handshake_timeout_ms = 40;
  c.conn = &limits;
  assert_fails(WS_ERR_TIMEOUT, ws_sync_connect(url, &c, &s));
  assert_null(s);
  close(fd);
}

static void test_sync_retry_count_counts_attempts_to_open(void **state) {
  Echo *e = *state;
  ws_sync *s = NULL;
  ws_client_config c;
  WS_INIT(&c);
  c.retry_min_ms = 1;
  c.retry_max_ms = 2;
  for (uint32_t retries = 0; retries < 5; ++retries) {
    atomic_store(&e->requests, 0);
    atomic_store(&e->not_yet, 3);
    c.retry_count = retries;
    int rc = ws_sync_connect(e->url, &c, &s);
    if (retries < 3) {
      assert_int_equal(rc, WS_ERR_HTTP_STATUS);
      assert_detail_has("503");
      assert_null(s);
      assert_int_equal(atomic_load(&e->requests), retries + 1);
    } else {
      assert_int_equal(rc, WS_OK);
      assert_int_equal(atomic_load(&e->requests), 4);
      sync_expect_echo(s, "at last");
      ws_sync_free(s);
      s = NULL;
    }
  }
}

static void fill(uint8_t *data, size_t len) {
  for (size_t i = 0; i < len; ++i) data[i] = (uint8_t)(i * 31 + (i >> 8) + (i >> 16));
}

static void test_sync_message_of_every_size_comes_back_whole(void **state) {
  Echo *e = *state;
  static const size_t sizes[] = {0,     1,     124,     125,     126,          127,     1000,
                                 65534, 65535, 65536,   65537,   MIB - 1,      MIB,     MIB + 1,
                                 0,     1,     4 * MIB, 8 * MIB, 16 * MIB - 1, 16 * MIB};
  ws_conn_config limits;
  WS_INIT(&limits);
  limits.max_message_bytes = 16 * MIB;
  limits.send_limit_bytes = 32 * MIB;
  ws_sync *s = sync_join_with(e, &limits);
  uint8_t *data = malloc(16 * MIB);
  fill(data, 16 * MIB);
  for (size_t i = 0; i < COUNT_OF(sizes); ++i) {
    ws_opcode op;
    const void *got;
    size_t len;
    assert_ok(ws_sync_send(s, WS_OP_BINARY, sizes[i] != 0 ? data : NULL, sizes[i]));
    assert_ok(ws_sync_recv(s, WS_NEVER, &op, &got, &len));
    assert_int_equal(op, WS_OP_BINARY);
    assert_bytes(got, len, data, sizes[i]);
  }
  free(data);
  assert_ok(ws_sync_close(s, 1000, NULL));
  ws_sync_free(s);
}

static void test_sync_recv_times_out_and_goes_on(void **state) {
  ws_sync *s = sync_join(*state);
  sync_expect_none(s, 0, WS_ERR_TIMEOUT);
  uint64_t start = clock_ms();
  sync_expect_none(s, 30, WS_ERR_TIMEOUT);
  assert_true(clock_ms() - start >= 29); /* both clocks count whole milliseconds */
  sync_expect_none(s, 1, WS_ERR_TIMEOUT);
  sync_expect_echo(s, "still here");
  ws_sync_free(s);
}

static void test_sync_recv_with_timeout_0_looks_at_the_socket(void **state) {
  ws_sync *s = sync_join(*state);
  ws_opcode op;
  const void *data;
  size_t len;
  int rc;
  uint64_t end = clock_ms() + PATIENCE_MS;
  sync_say(s, "soon");
  while ((rc = ws_sync_recv(s, 0, &op, &data, &len)) == WS_ERR_TIMEOUT) {
    assert_true(clock_ms() < end);
  }
  assert_ok(rc);
  assert_bytes(data, len, "soon", 4);
  ws_sync_free(s);
}

static void test_sync_data_is_valid_until_the_next_recv(void **state) {
  ws_sync *s = sync_join(*state);
  ws_opcode op;
  const void *first;
  size_t len;
  sync_say(s, "first message");
  assert_ok(ws_sync_recv(s, PATIENCE_MS, &op, &first, &len));
  for (int i = 0; i < 20; ++i) sync_say(s, "others that arrive while sending");
  assert_bytes(first, len, "first message", 13);
  for (int i = 0; i < 20; ++i) sync_expect_text(s, "others that arrive while sending");
  sync_say(s, "last message");
  assert_ok(ws_sync_recv(s, PATIENCE_MS, &op, &first, &len));
  assert_ok(ws_sync_close(s, 0, NULL));
  assert_bytes(first, len, "last message", 12);
  ws_sync_free(s);
}

/* The server echoes and stops reading while its queue is long, so a client that only sent would
 * wait for ever. */
static void test_sync_sending_while_the_peer_echoes_does_not_deadlock(void **state) {
  enum { MESSAGES = 512 };
  Echo *e = *state;
  uint8_t *data = malloc(65536);
  ws_conn_config limits;
  WS_INIT(&limits);
  limits.send_limit_bytes = 40 * MIB;
  ws_sync *s = sync_join_with(e, &limits);
  fill(data, 65536);
  for (unsigned i = 0; i < MESSAGES; ++i) {
    memcpy(data, &i, sizeof i);
    assert_ok(ws_sync_send(s, WS_OP_BINARY, data, 65536));
  }
  for (unsigned i = 0; i < MESSAGES; ++i) {
    ws_opcode op;
    const void *got;
    size_t len;
    assert_ok(ws_sync_recv(s, PATIENCE_MS, &op, &got, &len));
    memcpy(data, &i, sizeof i);
    assert_bytes(got, len, data, 65536);
  }
  assert_ok(ws_sync_close(s, 1000, NULL));
  free(data);
  ws_sync_free(s);
}

/* The same with an inbox of 64 KiB: what does not fit waits at the server, whose queue is longer
 * than all of it. */
static void test_sync_full_inbox_leaves_the_rest_with_the_peer(void **state) {
  (void)state;
  Echo e;
  echo_prepare(&e);
  e.limits.send_high_bytes = 64 * MIB;
  e.limits.send_limit_bytes = 64 * MIB;
  echo_start(&e);
  ws_conn_config limits;
  WS_INIT(&limits);
  limits.send_limit_bytes = 65536;
  ws_sync *s = sync_join_with(&e, &limits);
  static uint8_t data[10000];
  for (unsigned i = 0; i < 3200; ++i) {
    memcpy(data, &i, sizeof i);
    assert_ok(ws_sync_send(s, WS_OP_BINARY, data, sizeof data));
  }
  for (unsigned i = 0; i < 3200; ++i) {
    ws_opcode op;
    const void *got;
    size_t len;
    assert_ok(ws_sync_recv(s, PATIENCE_MS, &op, &got, &len));
    memcpy(data, &i, sizeof i);
    assert_bytes(got, len, data, sizeof data);
  }
  assert_ok(ws_sync_close(s, 1000, NULL));
  ws_sync_free(s);
  echo_stop(&e);
}

static void test_sync_message_above_the_limits_is_too_big(void **state) {
  Echo *e = *state;
  static uint8_t data[70000];
  ws_conn_config limits;
  WS_INIT(&limits);
  limits.send_limit_bytes = 65536;
  limits.max_message_bytes = 65000;
  ws_sync *s = sync_join_with(e, &limits);
  assert_fails(WS_ERR_TOO_BIG, ws_sync_send(s, WS_OP_BINARY, data, 65537));
  assert_fails(WS_ERR_TOO_BIG, ws_sync_send(s, WS_OP_BINARY, data, sizeof data));
  sync_expect_echo(s, "nothing of it was sent");
  assert_ok(ws_sync_send(s, WS_OP_BINARY, data, 65000));
  ws_opcode op;
  const void *got;
  size_t len;
  assert_ok(ws_sync_recv(s, PATIENCE_MS, &op, &got, &len));
  assert_int_equal(len, 65000);
  assert_ok(ws_sync_send(s, WS_OP_BINARY, data, 65001)); /* comes back, and is too much */
  sync_expect_none(s, PATIENCE_MS, WS_ERR_CLOSED);
  assert_int_equal(ws_sync_how(s)->error, WS_ERR_TOO_BIG);
  assert_int_equal(ws_sync_how(s)->sent_code, 1009);
  ws_sync_free(s);
}

static void test_sync_refused_arguments_send_nothing(void **state) {
  ws_sync *s = sync_join(*state);
  assert_fails(WS_ERR_UTF8, ws_sync_send(s, WS_OP_TEXT, "caf\xC3", 4));
  assert_fails(WS_ERR_INVALID, ws_sync_send(s, (ws_opcode)8, "x", 1));
  assert_fails(WS_ERR_INVALID, ws_sync_send(s, (ws_opcode)0, "x", 1));
  assert_fails(WS_ERR_INVALID, ws_sync_send(s, WS_OP_TEXT, NULL, 1));
  assert_fails(WS_ERR_INVALID, ws_sync_close(s, 1005, NULL));
  assert_fails(WS_ERR_INVALID, ws_sync_close(s, 999, NULL));
  assert_fails(WS_ERR_INVALID, ws_sync_close(s, 1000, "caf\xC3"));
  assert_null(ws_sync_how(s));
  sync_expect_echo(s, "open");
  ws_sync_free(s);
}

static void some_attempt(ws_client *cl, uint32_t number, void *user) {
  (void)cl, (void)number, (void)user;
  fail();
}

static void some_down(ws_client *cl, const ws_close_info *why, uint32_t retry_in_ms, void *user) {
  (void)cl, (void)why, (void)retry_in_ms, (void)user;
  fail();
}

/* bad: 237, 241 */
static void test_sync_connect_with_callbacks_or_a_bad_config_is_invalid(void **state) {
  Echo *e = *state;
  ws_sync *s = NULL;
  ws_client_config c;
  ws_handlers h;
  WS_INIT(&h);
  WS_INIT(&c);
  c.url = e->url;
  assert_fails(WS_ERR_INVALID, ws_sync_connect(e->url, &c, &s));
  assert_fails(WS_ERR_INVALID, ws_sync_connect(NULL, &c, &s));
  c.url = NULL;
  c.handlers = &h;
  assert_fails(WS_ERR_INVALID, ws_sync_connect(e->url, &c, &s));
  c.handlers = NULL;
  c.on_attempt = some_attempt;
  assert_fails(WS_ERR_INVALID, ws_sync_connect(e->url, &c, &s));
  c.on_attempt = NULL;
  c.on_down = some_down;
  assert_fails(WS_ERR_INVALID, ws_sync_connect(e->url, &c, &s));
  c.on_down = NULL;
  c.size = 3;
  assert_fails(WS_ERR_INVALID, ws_sync_connect(e->url, &c, &s));
  c.size = sizeof c;
  c.flags = 1u << 31;
  assert_fails(WS_ERR_UNSUPPORTED, ws_sync_connect(e->url, &c, &s));
  c.flags = 0;
  assert_fails(WS_ERR_INVALID, ws_sync_connect(NULL, NULL, &s));
  assert_fails(WS_ERR_INVALID, ws_sync_connect("", NULL, &s));
  assert_fails(WS_ERR_INVALID, ws_sync_connect("http//", NULL, &s));
  assert_fails(WS_ERR_INVALID, ws_sync_connect(e->url, &c, NULL));
  assert_null(s);
  assert_int_equal(atomic_load(&e->requests), 0);
  assert_ok(ws_sync_connect(e->url, &c, &s));
  ws_sync_free(s);
}

static void test_sync_answers_pings_while_it_waits(void **state) {
  ws_sync *s = sync_join(*state);
  sync_say(s, "ping");
  sync_expect_text(s, "ponged");
  ws_sync_free(s);
}

static void test_sync_client_inside_has_the_response(void **state) {
  Echo *e = *state;
  static const char *const protocols[] = {"other", "echo"};
  ws_sync *s;
  ws_client_config c;
  WS_INIT(&c);
  c.subprotocols = protocols;
  c.subprotocol_count = 2;
  assert_ok(ws_sync_connect(e->url, &c, &s));
  ws_client *cl = ws_sync_client(s);
  assert_int_equal(ws_client_response_status(cl), 101);
  assert_string_equal(ws_client_response_header(cl, "server", NULL), "echo/1");
  assert_string_equal(ws_conn_subprotocol(ws_sync_conn(s)), "echo");
  assert_ptr_equal(ws_client_conn(cl), ws_sync_conn(s));
  assert_ok(ws_sync_close(s, 1000, NULL));
  assert_null(ws_sync_conn(s));
  assert_ptr_equal(ws_sync_client(s), cl);
  assert_int_equal(ws_client_response_status(cl), 101);
  ws_sync_free(s);
}

static void *echo_much(void *arg) {
  Echo *e = arg;
  for (int round = 0; round < 10; ++round) {
    ws_sync *s;
    if (ws_sync_connect(e->url, NULL, &s) != WS_OK) abort();
    for (unsigned i = 0; i < 50; ++i) {
      ws_opcode op;
      const void *got;
      size_t len;
      unsigned value;
      if (ws_sync_send(s, WS_OP_BINARY, &i, sizeof i) != WS_OK) abort();
      if (ws_sync_recv(s, WS_NEVER, &op, &got, &len) != WS_OK || len != sizeof i) abort();
      memcpy(&value, got, sizeof value);
      if (value != i) abort();
    }
    if (round % 2 == 0 && ws_sync_close(s, 1000, NULL) != WS_OK) abort();
    ws_sync_free(s);
  }
  return NULL;
}

static void test_sync_two_in_two_threads_are_independent(void **state) {
  Echo *e = *state;
  pthread_t threads[2];
  for (int i = 0; i < 2; ++i) {
    assert_int_equal(pthread_create(&threads[i], NULL, echo_much, e), 0);
  }
  for (int i = 0; i < 2; ++i) pthread_join(threads[i], NULL);
  echo_wait(&e->closed, 20);
}

int main(void) {
#define WITH_ECHO(f) cmocka_unit_test_setup_teardown(f, echo_setup, echo_teardown)
  const struct CMUnitTest tests[] = {
      WITH_ECHO(test_sync_connects_echoes_and_closes_cleanly),
      cmocka_unit_test(test_sync_connect_to_a_closed_port_names_it),
      WITH_ECHO(test_sync_connect_refused_by_status_tells_it),
      cmocka_unit_test(test_sync_connect_to_a_silent_server_times_out),
      WITH_ECHO(test_sync_retry_count_counts_attempts_to_open),
      WITH_ECHO(test_sync_message_of_every_size_comes_back_whole),
      WITH_ECHO(test_sync_recv_times_out_and_goes_on),
      WITH_ECHO(test_sync_recv_with_timeout_0_looks_at_the_socket),
      WITH_ECHO(test_sync_data_is_valid_until_the_next_recv),
      WITH_ECHO(test_sync_sending_while_the_peer_echoes_does_not_deadlock),
      cmocka_unit_test(test_sync_full_inbox_leaves_the_rest_with_the_peer),
      WITH_ECHO(test_sync_message_above_the_limits_is_too_big),
      WITH_ECHO(test_sync_refused_arguments_send_nothing),
      WITH_ECHO(test_sync_connect_with_callbacks_or_a_bad_config_is_invalid),
      WITH_ECHO(test_sync_answers_pings_while_it_waits),
      WITH_ECHO(test_sync_client_inside_has_the_response),
      WITH_ECHO(test_sync_two_in_two_threads_are_independent),
  };
  return cmocka_run_group_tests_name("sync", tests, NULL, NULL);
}
