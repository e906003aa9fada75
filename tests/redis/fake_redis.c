#include "fake_redis.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

enum { DEADLINE_MS = 10000 };

static void listen_anywhere(Fake *f) {
  struct sockaddr_in at;
  socklen_t len = sizeof at;
  memset(&at, 0, sizeof at);
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  f->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  assert_true(f->listener >= 0);
  assert_int_equal(bind(f->listener, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(listen(f->listener, 8), 0);
  assert_int_equal(getsockname(f->listener, (struct sockaddr *)&at, &len), 0);
  f->port = ntohs(at.sin_port);
  snprintf(f->url, sizeof f->url, "redis://127.0.0.1:%u", f->port);
}

static void on_state(ws_redis_bridge *b, const ws_redis_state *state, void *user) {
  Fake *f = user;
  assert_ptr_equal(b, f->bridge);
  ++f->told;
  f->state = *state;
  snprintf(f->detail, sizeof f->detail, "%s", state->detail);
  if (!f->free_when_told) return;
  ws_redis_bridge_free(b);
  f->bridge = NULL;
}

int fake_setup(void **state) {
  Fake *f = calloc(1, sizeof *f);
  assert_non_null(f);
  *state = f;
  world_start_default(&f->world);
  f->hub = hub_new(0, 0, 0);
  listen_anywhere(f);
  f->conns[0].fd = f->conns[1].fd = -1;
  WS_INIT(&f->config);
  f->config.url = f->url;
  f->config.retry_min_ms = 1;
  f->config.retry_max_ms = 2;
  f->config.on_state = on_state;
  f->config.user = f;
  return 0;
}

int fake_teardown(void **state) {
  Fake *f = *state;
  ws_redis_bridge_free(f->bridge);
  fake_drop(f);
  if (f->listener >= 0) close(f->listener);
  world_stop(&f->world);
  ws_hub_unref(f->hub);
  free(f);
  return 0;
}

void fake_bridge(Fake *f) {
  assert_ok(ws_redis_bridge_new(f->hub, f->world.loop, &f->config, &f->bridge));
}

void fake_turn(Fake *f) { assert_true(ws_loop_dispatch(f->world.loop, 1) >= 0); }

#define until(f, condition)                        \
  do {                                             \
    const uint64_t end = clock_ms() + DEADLINE_MS; \
    while (!(condition)) {                         \
      assert_true(clock_ms() < end);               \
      fake_turn(f);                                \
    }                                              \
  } while (0)

static int take(Fake *f, FakeConn *c) {
  if (c->fd < 0) {
    c->fd = accept4(f->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    c->len = 0;
  }
  return c->fd >= 0;
}

static int receive(FakeConn *c) {
  ssize_t got = recv(c->fd, c->in + c->len, sizeof c->in - c->len - 1, 0);
  if (got > 0) c->len += (size_t)got;
  return got > 0;
}

void fake_accept(Fake *f) {
  for (int i = 0; i < 2; ++i) until(f, take(f, &f->conns[i]));
}

void fake_log_in(Fake *f) {
  fake_accept(f);
  for (int i = 0; i < 2; ++i) {
    fake_expect(f, i, "PING");
    fake_say(f, i, "+PONG\r\n");
  }
}

void fake_sort(Fake *f) {
  until(f, receive(&f->conns[0]) || receive(&f->conns[1]));
  if (f->conns[1].len == 0) return;
  FakeConn *first = malloc(sizeof *first);
  assert_non_null(first);
  *first = f->conns[0];
  f->conns[0] = f->conns[1];
  f->conns[1] = *first;
  free(first);
}

void fake_connect(Fake *f) {
  const int told = f->told;
  fake_log_in(f);
  do {
    fake_expect(f, FAKE_SUBSCRIBER, NULL);
  } while (strcmp(f->command, "PING") != 0);
  fake_say(f, FAKE_SUBSCRIBER, "+PONG\r\n");
  fake_wait_told(f, told + 1, WS_REDIS_CONNECTED);
}

void fake_drop(Fake *f) {
  for (int i = 0; i < 2; ++i) {
    if (f->conns[i].fd >= 0) close(f->conns[i].fd);
    f->conns[i].fd = -1;
  }
}

/* A number behind `kind`, and the end of its line; NULL: not all there. */
static const char *number(const char *at, const char *end, char kind, size_t *out) {
  const char *line = memchr(at, '\n', (size_t)(end - at));
  if (line == NULL) return NULL;
  assert_int_equal(*at, kind);
  *out = strtoul(at + 1, NULL, 10);
  return line + 1;
}

/* Takes a command off the front, if it is all there. */
static int parse(Fake *f, FakeConn *c) {
  const char *at = c->in, *end = c->in + c->len;
  size_t words, len;
  f->command_len = 0;
  if ((at = number(at, end, '*', &words)) == NULL) return 0;
  for (size_t i = 0; i < words; ++i) {
    if ((at = number(at, end, '$', &len)) == NULL) return 0;
    if ((size_t)(end - at) < len + 2) return 0;
    if (i != 0) f->command[f->command_len++] = ' ';
    memcpy(f->command + f->command_len, at, len);
    f->command_len += len;
    at += len + 2;
  }
  f->command[f->command_len] = '\0';
  c->len = (size_t)(end - at);
  memmove(c->in, at, c->len);
  return 1;
}

static int next_command(Fake *f, FakeConn *c) {
  receive(c);
  c->in[c->len] = '\0';
  return c->len != 0 && parse(f, c);
}

void fake_expect(Fake *f, int conn, const char *words) {
  until(f, next_command(f, &f->conns[conn]));
  if (words != NULL) assert_string_equal(f->command, words);
}

int fake_serve(Fake *f) {
  int subscriber = -1;
  fake_turn(f);
  for (int i = 0; i < 2; ++i) {
    char byte;
    FakeConn *c = &f->conns[i];
    if (!take(f, c)) continue;
    while (next_command(f, c)) {
      if (strcmp(f->command, "PING") == 0) fake_say(f, i, "+PONG\r\n");
      if (strncmp(f->command, "PUBLISH", 7) == 0) fake_say(f, i, ":1\r\n");
      if (strncmp(f->command, "SUBSCRIBE", 9) == 0) subscriber = i;
    }
    const ssize_t left = recv(c->fd, &byte, 1, MSG_PEEK);
    if (left > 0 || (left < 0 && errno == EAGAIN)) continue;
    close(c->fd);
    c->fd = -1;
  }
  return subscriber;
}

void fake_expect_publish(Fake *f, const char *channel, const char *text, char envelope[26]) {
  char head[256];
  const size_t len = (size_t)snprintf(head, sizeof head, "PUBLISH %s ", channel);
  fake_expect(f, FAKE_PUBLISHER, NULL);
  assert_int_equal(f->command_len, len + 26 + strlen(text));
  assert_memory_equal(f->command, head, len);
  memcpy(envelope, f->command + len, 26);
  assert_memory_equal(f->command + len + 26, text, strlen(text));
}

void fake_expect_nothing(Fake *f, int conn) {
  for (int i = 0; i < 5; ++i) {
    fake_turn(f);
    receive(&f->conns[conn]);
  }
  assert_int_equal(f->conns[conn].len, 0);
}

void fake_send(Fake *f, int conn, const void *data, size_t len) {
  const char *at = data;
  const uint64_t end = clock_ms() + DEADLINE_MS;
  while (len != 0) {
    ssize_t put = send(f->conns[conn].fd, at, len, MSG_NOSIGNAL);
    if (put < 0 && errno != EAGAIN) return; /* it has gone, which the test will notice */
    if (put > 0) at += put, len -= (size_t)put;
    if (put < 0) fake_turn(f);
    assert_true(clock_ms() < end);
  }
}

void fake_say(Fake *f, int conn, const char *text) { fake_send(f, conn, text, strlen(text)); }

void fake_deliver(Fake *f, const char *pattern, const char *channel, char origin, uint64_t n,
                  const char *text) {
  char out[1024];
  size_t len;
  if (pattern == NULL) {
    len = (size_t)snprintf(out, sizeof out, "*3\r\n$7\r\nmessage\r\n");
  } else {
    len = (size_t)snprintf(out, sizeof out, "*4\r\n$8\r\npmessage\r\n$%zu\r\n%s\r\n",
                           strlen(pattern), pattern);
  }
  len += (size_t)snprintf(out + len, sizeof out - len, "$%zu\r\n%s\r\n$%zu\r\n", strlen(channel),
                          channel, 26 + strlen(text));
  out[len++] = 1;
  out[len++] = WS_OP_TEXT;
  memset(out + len, origin, 16);
  len += 16;
  for (int shift = 56; shift >= 0; shift -= 8) out[len++] = (char)(n >> shift);
  len += (size_t)snprintf(out + len, sizeof out - len, "%s\r\n", text);
  fake_send(f, FAKE_SUBSCRIBER, out, len);
}

void fake_wait_told(Fake *f, int count, ws_redis_event event) {
  until(f, f->told >= count);
  assert_int_equal(f->told, count);
  assert_int_equal(f->state.event, event);
}

ws_redis_stats fake_stats(Fake *f) {
  ws_redis_stats s;
  WS_INIT(&s);
  assert_ok(ws_redis_bridge_get_stats(f->bridge, &s));
  return s;
}
