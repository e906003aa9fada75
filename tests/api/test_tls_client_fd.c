/*
 * WS_CLIENT_FD: a client on a socket that somebody else has connected, plain and secured.  Named
 * for the certificates it needs.
 */
#include "secured.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>

/* A client on one end of a pair of unix sockets; the test speaks for the other. */
typedef struct Ends {
  Caller c;
  Peer p;
  Target t; /* for what it computes */
  int fd;
} Ends;

static int ends_setup(void **state) {
  static Ends e;
  int fds[2];
  memset(&e, 0, sizeof e);
  caller_prepare(&e.c);
  if (socketpair(AF_UNIX, SOCK_STREAM, 0, fds) != 0) return -1;
  e.fd = fds[0];
  peer_use(&e.p, e.c.loop, fds[1]);
  e.p.is_server = 1;
  e.t.loop = e.c.loop;
  e.c.config.flags = WS_CLIENT_FD;
  e.c.config.fd = e.fd;
  caller_set_url(&e.c, "ws://name.invalid:1234/chat");
  *state = &e;
  return 0;
}

static int ends_teardown(void **state) {
  Ends *e = *state;
  caller_stop(&e->c);
  peer_drop(&e->p);
  assert_int_equal(e->c.opened, e->c.closed);
  return 0;
}

/* The descriptor is not open any more. */
static void expect_closed(int fd) {
  assert_int_equal(fcntl(fd, F_GETFD), -1);
  assert_int_equal(errno, EBADF);
}

static int connect_tcp(uint16_t port) {
  struct sockaddr_in to;
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  memset(&to, 0, sizeof to);
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
  return fd;
}

static void test_fd_is_used_and_the_url_gives_host_and_target(void **state) {
  Ends *e = *state;
  caller_start(&e->c);
  target_read_request(&e->t, &e->p);
  target_expect_target(&e->t, "/chat");
  target_expect_line(&e->t, "Host: name.invalid:1234");
  target_switch(&e->t, &e->p, "");
  caller_wait_open(&e->c, 1);
  assert_string_equal(ws_conn_peer(e->c.conn), "unix:");
  peer_send_text(&e->p, "hello");
  caller_wait_messages(&e->c, 1);
  assert_ok(ws_conn_send(e->c.conn, WS_OP_TEXT, "back", 4, 0));
  peer_expect_text(&e->p, "back");
}

static void test_fd_becomes_non_blocking_and_close_on_exec(void **state) {
  Ends *e = *state;
  assert_int_equal(fcntl(e->fd, F_GETFL) & O_NONBLOCK, 0);
  assert_int_equal(fcntl(e->fd, F_GETFD) & FD_CLOEXEC, 0);
  caller_start(&e->c);
  assert_int_equal(fcntl(e->fd, F_GETFL) & O_NONBLOCK, O_NONBLOCK);
  assert_int_equal(fcntl(e->fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

static void test_fd_of_tcp_tells_its_peer(void **state) {
  Call *call = *state;
  char peer[64];
  call->c.config.flags = WS_CLIENT_FD;
  call->c.config.fd = connect_tcp(call->t.port);
  caller_set_url(&call->c, "ws://name.invalid/");
  call_open(call);
  snprintf(peer, sizeof peer, "127.0.0.1:%d", call->t.port);
  assert_string_equal(ws_conn_peer(call->c.conn), peer);
}

static void test_fd_carries_tls_by_the_name_of_the_url(void **state) {
  (void)state;
  for (int wrong = 0; wrong < 2; ++wrong) {
    void *one;
    secured_setup(&one);
    Secured *s = one;
    secured_listen(s);
    const int fd = connect_tcp(s->w.port);
    s->c.config.connect_to = NULL;
    s->c.config.flags = WS_CLIENT_FD;
    s->c.config.fd = fd;
    caller_set_url(&s->c, wrong ? "wss://two.test/" : "wss://one.test/");
    if (wrong) {
      caller_start(&s->c);
      secured_expect_refused(s, WS_ERR_TLS_VERIFY, "\"two.test\" was asked for");
      caller_expect_log(&s->c, "attempt:1 down:-42/0/never ");
      expect_closed(fd);
    } else {
      secured_connect(s);
      assert_ok(ws_conn_send(s->w.conn, WS_OP_TEXT, "secret", 6, 0));
      caller_wait_messages(&s->c, 1);
    }
    secured_teardown(&one);
  }
}

static void test_fd_client_sends_what_was_queued(void **state) {
  Ends *e = *state;
  e->c.config.queue_bytes = 1000;
  caller_start(&e->c);
  assert_ok(ws_client_send(e->c.client, WS_OP_TEXT, "queued", 6, 0));
  target_read_request(&e->t, &e->p);
  target_switch(&e->t, &e->p, "");
  peer_expect_text(&e->p, "queued");
}

/* ---- whose it is, and when it is closed ---- */

static void test_fd_of_a_client_that_was_freed_unused_is_closed(void **state) {
  Ends *e = *state;
  caller_start(&e->c);
  ws_client_free(e->c.client);
  e->c.client = NULL;
  expect_closed(e->fd);
  peer_expect_end(&e->p);
  caller_expect_log(&e->c, "");
}

static void free_in_attempt(Caller *c, const char *event, ws_conn *conn) {
  (void)conn;
  if (strcmp(event, "attempt") != 0) return;
  ws_client_free(c->client);
  c->client = NULL;
}

static void test_fd_of_a_client_that_was_freed_in_on_attempt_is_closed(void **state) {
  Ends *e = *state;
  e->c.on = free_in_attempt;
  caller_start(&e->c);
  peer_expect_end(&e->p);
  expect_closed(e->fd);
}

static void test_fd_of_a_loop_that_was_freed_is_closed(void **state) {
  (void)state;
  for (int turns = 0; turns < 3; ++turns) {
    void *one;
    ends_setup(&one);
    Ends *e = one;
    caller_start(&e->c);
    for (int i = 0; i < turns; ++i) assert_true(ws_loop_dispatch(e->c.loop, 0) >= 0);
    assert_ok(ws_loop_free(e->c.loop));
    e->c.loop = e->p.loop = NULL;
    e->c.client = NULL;
    expect_closed(e->fd);
    ends_teardown(&one);
  }
}

static void test_fd_of_a_client_that_was_closed_unused_is_closed(void **state) {
  Ends *e = *state;
  caller_start(&e->c);
  assert_ok(ws_client_close(e->c.client, 1000, NULL));
  expect_closed(e->fd);
  caller_wait_down(&e->c, 1);
  peer_expect_end(&e->p);
}

static void test_fd_client_has_one_attempt(void **state) {
  Ends *e = *state;
  e->c.config.flags |= WS_CLIENT_RETRY_ALL;
  caller_start(&e->c);
  target_read_request(&e->t, &e->p);
  peer_say(&e->p, "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n");
  caller_wait_down(&e->c, 1);
  assert_int_equal(e->c.retry_in_ms, WS_NEVER);
  assert_int_equal(e->c.why.http_status, 503);
  assert_ok(ws_client_retry_now(e->c.client));
  run_for(e->c.loop, 5);
  assert_int_equal(e->c.attempts, 1);
  assert_int_equal(e->c.downs, 1);
}

static void test_fd_peer_that_is_gone_is_told(void **state) {
  Ends *e = *state;
  peer_drop(&e->p);
  caller_start(&e->c);
  caller_wait_down(&e->c, 1);
  assert_int_equal(e->c.why.error, WS_ERR_EOF);
  expect_closed(e->fd);
}

/* Nobody can turn its server while it blocks, so all it finds is the end. */
static void test_fd_of_a_blocking_client_is_used_too(void **state) {
  Ends *e = *state;
  ws_sync *ws = NULL;
  ws_client_config config;
  WS_INIT(&config);
  config.flags = WS_CLIENT_FD;
  config.fd = e->fd;
  peer_fin(&e->p);
  assert_fails(WS_ERR_EOF, ws_sync_connect("ws://name.invalid/", &config, &ws));
  expect_closed(e->fd);
}

/* ---- what cannot be used ---- */

/* Refused, and left as it was. */
static void refuse(Caller *c, int fd) {
  const int status = fcntl(fd, F_GETFL), flags = fcntl(fd, F_GETFD);
  ws_client *client = NULL;
  c->config.fd = fd;
  assert_fails(WS_ERR_INVALID, ws_client_new(c->loop, &c->config, &client));
  assert_null(client);
  assert_int_equal(fcntl(fd, F_GETFL), status);
  assert_int_equal(fcntl(fd, F_GETFD), flags);
}

static void test_fd_that_is_no_connected_stream_socket_is_invalid(void **state) {
  Ends *e = *state;
  Target listening;
  int datagrams[2];
  const int file = open("/dev/null", O_RDONLY), alone = socket(AF_INET, SOCK_STREAM, 0);
  target_listen(&listening, e->c.loop);
  assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, datagrams), 0);
  refuse(&e->c, -1);
  refuse(&e->c, 1000000);
  refuse(&e->c, file);
  refuse(&e->c, alone);
  assert_detail_has("not a connected stream socket");
  refuse(&e->c, listening.fd);
  refuse(&e->c, datagrams[0]);
  close(file);
  close(alone);
  close(datagrams[0]);
  close(datagrams[1]);
  close(e->fd);
  target_stop(&listening);
}

static void test_fd_and_what_needs_another_connection_exclude_each_other(void **state) {
  Ends *e = *state;
  const ws_client_config good = e->c.config;
  e->c.config.retry_count = 1;
  refuse(&e->c, e->fd);
  assert_detail_has("retry_count");
  e->c.config = good;
  e->c.config.max_redirects = 1;
  refuse(&e->c, e->fd);
  assert_detail_has("max_redirects");
  e->c.config = good;
  e->c.config.proxy = "http://127.0.0.1:1";
  refuse(&e->c, e->fd);
  assert_detail_has("proxy");
  e->c.config = good;
  e->c.config.flags |= WS_CLIENT_PROXY_ENV;
  refuse(&e->c, e->fd);
  assert_detail_has("WS_CLIENT_PROXY_ENV");
  e->c.config = good;
  e->c.config.connect_to = "127.0.0.1:1";
  refuse(&e->c, e->fd);
  assert_detail_has("connect_to");
  close(e->fd);
}

static void test_fd_without_the_flag_is_not_looked_at(void **state) {
  Call *call = *state;
  call->c.config.fd = 1000000;
  call_open(call);
}

int main(void) {
#define ENDS(f) cmocka_unit_test_setup_teardown(f, ends_setup, ends_teardown)
#define CALL(f) cmocka_unit_test_setup_teardown(f, call_setup, call_teardown)
  const struct CMUnitTest tests[] = {
      ENDS(test_fd_is_used_and_the_url_gives_host_and_target),
      ENDS(test_fd_becomes_non_blocking_and_close_on_exec),
      CALL(test_fd_of_tcp_tells_its_peer),
      cmocka_unit_test(test_fd_carries_tls_by_the_name_of_the_url),
      ENDS(test_fd_client_sends_what_was_queued),
      ENDS(test_fd_of_a_client_that_was_freed_unused_is_closed),
      ENDS(test_fd_of_a_client_that_was_freed_in_on_attempt_is_closed),
      cmocka_unit_test(test_fd_of_a_loop_that_was_freed_is_closed),
      ENDS(test_fd_of_a_client_that_was_closed_unused_is_closed),
      ENDS(test_fd_client_has_one_attempt),
      ENDS(test_fd_peer_that_is_gone_is_told),
      ENDS(test_fd_of_a_blocking_client_is_used_too),
      ENDS(test_fd_that_is_no_connected_stream_socket_is_invalid),
      ENDS(test_fd_and_what_needs_another_connection_exclude_each_other),
      CALL(test_fd_without_the_flag_is_not_looked_at),
  };
  return cmocka_run_group_tests_name("client_fd", tests, NULL, NULL);
}
