#include "target.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void accept_for(const char *key, char *out) {
  char text[128];
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  int len = snprintf(text, sizeof text, "%s258EAFA5-E914-47DA-95CA-C5AB0DC85B11", key);
  assert_true(len > 0 && (size_t)len < sizeof text);
  assert_int_equal(EVP_Digest(text, (size_t)len, digest, &size, EVP_sha1(), NULL), 1);
  assert_int_equal(EVP_EncodeBlock((unsigned char *)out, digest, (int)size), ACCEPT_CHARS);
}

static void begin(Target *t, ws_loop *loop, int family) {
  memset(t, 0, sizeof *t);
  t->loop = loop;
  t->fd = socket(family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  assert_true(t->fd >= 0);
}

static void bind_v4(Target *t) {
  struct sockaddr_in at;
  socklen_t size = sizeof at;
  memset(&at, 0, sizeof at);
  at.sin_family = AF_INET;
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_int_equal(bind(t->fd, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(getsockname(t->fd, (struct sockaddr *)&at, &size), 0);
  t->port = ntohs(at.sin_port);
}

void target_listen(Target *t, ws_loop *loop) {
  begin(t, loop, AF_INET);
  bind_v4(t);
  assert_int_equal(listen(t->fd, 16), 0);
}

void target_refuse(Target *t, ws_loop *loop) {
  begin(t, loop, AF_INET);
  bind_v4(t);
}

int target_listen_v6(Target *t, ws_loop *loop) {
  struct sockaddr_in6 at;
  socklen_t size = sizeof at;
  memset(&at, 0, sizeof at);
  at.sin6_family = AF_INET6;
  at.sin6_addr = in6addr_loopback;
  memset(t, 0, sizeof *t);
  t->loop = loop;
  t->fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (t->fd < 0 || bind(t->fd, (struct sockaddr *)&at, sizeof at) != 0) {
    target_stop(t);
    return 0;
  }
  assert_int_equal(getsockname(t->fd, (struct sockaddr *)&at, &size), 0);
  t->port = ntohs(at.sin6_port);
  assert_int_equal(listen(t->fd, 16), 0);
  return 1;
}

void target_listen_unix(Target *t, ws_loop *loop, const char *path) {
  struct sockaddr_un at;
  size_t len = strlen(path);
  begin(t, loop, AF_UNIX);
  memset(&at, 0, sizeof at);
  at.sun_family = AF_UNIX;
  assert_true(len < sizeof at.sun_path);
  memcpy(at.sun_path, path, len);
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len);
  if (path[0] == '@') {
    at.sun_path[0] = '\0';
  } else {
    ++size;
  }
  assert_int_equal(bind(t->fd, (struct sockaddr *)&at, size), 0);
  assert_int_equal(listen(t->fd, 16), 0);
  snprintf(t->unix_path, sizeof t->unix_path, "%s", path);
}

void target_stop(Target *t) {
  if (t->fd > 0) close(t->fd);
  t->fd = -1;
  if (t->unix_path[0] != '\0' && t->unix_path[0] != '@') unlink(t->unix_path);
  t->unix_path[0] = '\0';
}

static void turn(Target *t) { assert_true(ws_loop_dispatch(t->loop, 1) >= 0); }

void target_accept(Target *t, Peer *p) {
  uint64_t end = clock_ms() + PATIENCE_MS;
  int on = 1;
  for (;;) {
    int fd = accept(t->fd, NULL, NULL);
    if (fd >= 0) {
      fcntl(fd, F_SETFD, FD_CLOEXEC);
      peer_use(p, t->loop, fd);
      p->is_server = 1;
      if (t->port != 0) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
      return;
    }
    if (errno != EAGAIN) fail_msg("accept: %s", strerror(errno));
    if (clock_ms() > end) fail_msg("nobody connects");
    turn(t);
  }
}

void target_expect_nobody(Target *t) {
  for (int i = 0; i < 10; ++i) turn(t);
  assert_int_equal(accept(t->fd, NULL, NULL), -1);
  assert_int_equal(errno, EAGAIN);
}

/* The line after `at`, or NULL at the empty one. */
static const char *next_line(const char *at) {
  const char *end = strstr(at, "\r\n");
  return end == NULL || memcmp(end, "\r\n\r\n", 4) == 0 ? NULL : end + 2;
}

static const char *find_field(const char *head, const char *name) {
  size_t len = strlen(name);
  for (const char *line = next_line(head); line != NULL; line = next_line(line)) {
    if (strncasecmp(line, name, len) == 0 && line[len] == ':') return line;
  }
  return NULL;
}

int target_count(const Target *t, const char *name) {
  int n = 0;
  for (const char *at = find_field(t->head, name); at != NULL; at = find_field(at, name)) ++n;
  return n;
}

const char *target_field(Target *t, const char *name) {
  static char value[8192];
  if (target_count(t, name) != 1) {
    fail_msg("%d fields %s in the request:\n%s", target_count(t, name), name, t->head);
  }
  const char *from = find_field(t->head, name) + strlen(name) + 1;
  const char *end = strstr(from, "\r\n");
  if (*from == ' ') ++from;
  assert_true((size_t)(end - from) < sizeof value);
  memcpy(value, from, (size_t)(end - from));
  value[end - from] = '\0';
  return value;
}

void target_expect_line(const Target *t, const char *line) {
  char want[8192];
  snprintf(want, sizeof want, "\r\n%s\r\n", line);
  if (strstr(t->head, want) == NULL) fail_msg("no line \"%s\" in the request:\n%s", line, t->head);
}

void target_expect_target(const Target *t, const char *target) {
  char want[16384];
  snprintf(want, sizeof want, "GET %s HTTP/1.1\r\n", target);
  if (strncmp(t->head, want, strlen(want)) != 0) {
    fail_msg("no request for \"%s\", but:\n%s", target, t->head);
  }
}

void target_read_request(Target *t, Peer *p) {
  peer_read_head(p, t->head, sizeof t->head);
  assert_int_equal(strncmp(t->head, "GET ", 4), 0);
  snprintf(t->key, sizeof t->key, "%s", target_field(t, "Sec-WebSocket-Key"));
  accept_for(t->key, t->accept);
}

void target_take(Target *t, Peer *p) {
  target_accept(t, p);
  target_read_request(t, p);
}

void target_answer(Target *t, Peer *p, const char *format) {
  const char *mark = strstr(format, "%s");
  if (mark == NULL) {
    peer_say(p, format);
    return;
  }
  size_t room = strlen(format) + ACCEPT_CHARS + 1;
  char *text = malloc(room);
  assert_non_null(text);
  snprintf(text, room, "%.*s%s%s", (int)(mark - format), format, t->accept, mark + 2);
  peer_say(p, text);
  free(text);
}

void target_switch(Target *t, Peer *p, const char *more) {
  char text[4096];
  int len = snprintf(text, sizeof text,
                     "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
                     "Connection: Upgrade\r\nSec-WebSocket-Accept: %s\r\n%s\r\n",
                     t->accept, more);
  assert_true(len > 0 && (size_t)len < sizeof text);
  peer_say(p, text);
}

void target_welcome(Target *t, Peer *p) {
  target_take(t, p);
  target_switch(t, p, "");
}
