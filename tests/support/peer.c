#include "peer.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int run_until(ws_loop *loop, const volatile int *flag, unsigned max_ms) {
  uint64_t end = clock_ms() + max_ms;
  while (*flag == 0) {
    if (clock_ms() > end) return 0;
    assert_true(ws_loop_dispatch(loop, 5) >= 0);
  }
  return 1;
}

void run_for(ws_loop *loop, unsigned ms) {
  uint64_t end = clock_ms() + ms;
  do {
    assert_true(ws_loop_dispatch(loop, 1) >= 0);
  } while (clock_ms() < end);
}

void peer_use(Peer *p, ws_loop *loop, int fd) {
  memset(p, 0, sizeof *p);
  p->loop = loop;
  p->fd = fd;
  assert_true(fd >= 0);
  fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
}

static int try_connect(Peer *p, ws_loop *loop, uint16_t port, const char *from, int receive_bytes) {
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  struct sockaddr_in to, self;
  memset(&to, 0, sizeof to);
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  assert_true(fd >= 0);
  if (receive_bytes != 0) {
    setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &receive_bytes, sizeof receive_bytes);
  }
  memset(&self, 0, sizeof self);
  self.sin_family = AF_INET;
  if (from != NULL) {
    assert_int_equal(inet_pton(AF_INET, from, &self.sin_addr), 1);
    assert_int_equal(bind(fd, (struct sockaddr *)&self, sizeof self), 0);
  }
  if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0) {
    int reason = errno;
    close(fd);
    return reason;
  }
  int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  peer_use(p, loop, fd);
  return 0;
}

int peer_try_connect(Peer *p, ws_loop *loop, uint16_t port, int receive_bytes) {
  return try_connect(p, loop, port, NULL, receive_bytes);
}

int peer_try_connect_from(Peer *p, ws_loop *loop, uint16_t port, const char *from) {
  return try_connect(p, loop, port, from, 0);
}

void peer_connect(Peer *p, ws_loop *loop, uint16_t port) {
  assert_int_equal(peer_try_connect(p, loop, port, 0), 0);
}

void peer_connect_v6(Peer *p, ws_loop *loop, uint16_t port) {
  struct sockaddr_in6 to;
  memset(&to, 0, sizeof to);
  to.sin6_family = AF_INET6;
  to.sin6_port = htons(port);
  to.sin6_addr = in6addr_loopback;
  int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(connect(fd, (struct sockaddr *)&to, sizeof to), 0);
  peer_use(p, loop, fd);
}

int peer_try_unix(Peer *p, ws_loop *loop, const char *path) {
  struct sockaddr_un to;
  memset(&to, 0, sizeof to);
  to.sun_family = AF_UNIX;
  size_t len = strlen(path);
  assert_true(len < sizeof to.sun_path);
  memcpy(to.sun_path, path, len);
  socklen_t size = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + len + 1);
  if (path[0] == '@') {
    to.sun_path[0] = '\0';
    --size;
  }
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, (struct sockaddr *)&to, size) != 0) {
    int reason = errno;
    close(fd);
    return reason;
  }
  peer_use(p, loop, fd);
  return 0;
}

static void turn(Peer *p) {
  if (p->loop != NULL) assert_true(ws_loop_dispatch(p->loop, 1) >= 0);
}

void peer_send(Peer *p, const void *data, size_t len) {
  const uint8_t *from = data;
  uint64_t end = clock_ms() + PATIENCE_MS;
  while (len != 0) {
    ssize_t n = send(p->fd, from, len, MSG_NOSIGNAL);
    if (n > 0) {
      from += n;
      len -= (size_t)n;
      continue;
    }
    if (errno != EAGAIN) fail_msg("the peer cannot send: %s", strerror(errno));
    if (clock_ms() > end) fail_msg("libws does not read what the peer sends");
    turn(p);
  }
}

void peer_say(Peer *p, const char *text) { peer_send(p, text, strlen(text)); }

void peer_send_frame(Peer *p, uint8_t first, const void *payload, size_t len) {
  uint8_t *frame = malloc(len + WIRE_OVERHEAD);
  size_t n = p->is_server ? wire_server_frame(frame, first, payload, len)
                          : wire_client_frame(frame, first, payload, len);
  peer_send(p, frame, n);
  free(frame);
}

void peer_send_text(Peer *p, const char *text) { peer_send_frame(p, FIN_TEXT, text, strlen(text)); }

void peer_send_close(Peer *p, uint16_t code, const char *reason) {
  uint8_t body[128];
  peer_send_frame(p, FIN_CLOSE, body, code != 0 ? wire_close_body(body, code, reason) : 0);
}

/* Reads what is there; 1 when something came. */
static int receive(Peer *p) {
  if (p->ended) return 0;
  if (p->room - p->len < 65536) {
    p->room = p->room * 2 + 131072;
    p->in = realloc(p->in, p->room);
  }
  ssize_t n = recv(p->fd, p->in + p->len, p->room - p->len, 0);
  if (n > 0) {
    p->len += (size_t)n;
    return 1;
  }
  if (n == 0) p->ended = 1;
  if (n < 0 && errno != EAGAIN) p->ended = 2;
  return 0;
}

static void drop_taken(Peer *p) {
  memmove(p->in, p->in + p->taken, p->len - p->taken);
  p->len -= p->taken;
  p->taken = 0;
}

static void wait_more(Peer *p, uint64_t end, const char *what) {
  if (receive(p)) return;
  if (p->ended) fail_msg("waiting for %s, but the connection ended", what);
  if (clock_ms() > end) fail_msg("waiting for %s, but nothing came", what);
  turn(p);
}

/* Size of the head at the front, waiting for all of it. */
static size_t wait_head(Peer *p) {
  uint64_t end = clock_ms() + PATIENCE_MS;
  if (p->taken != 0) drop_taken(p);
  for (;;) {
    for (size_t i = 4; i <= p->len; ++i) {
      if (memcmp(p->in + i - 4, "\r\n\r\n", 4) == 0) return i;
    }
    wait_more(p, end, "an HTTP head");
  }
}

void peer_read_head(Peer *p, char *head, size_t room) {
  size_t n = wait_head(p);
  assert_true(n < room);
  memcpy(head, p->in, n);
  head[n] = '\0';
  p->taken = n;
}

void peer_expect_status(Peer *p, int status, char *head, size_t room) {
  char want[32];
  size_t n = wait_head(p);
  int want_len = snprintf(want, sizeof want, "HTTP/1.1 %d ", status);
  assert_bytes(p->in, (size_t)want_len, want, (size_t)want_len);
  if (head != NULL) {
    assert_true(n < room);
    memcpy(head, p->in, n);
    head[n] = '\0';
  }
  p->taken = n;
}

void peer_expect_101(Peer *p) {
  char head[1024];
  peer_expect_status(p, 101, head, sizeof head);
  assert_non_null(strstr(head, "\r\nSec-WebSocket-Accept: " SAMPLE_ACCEPT "\r\n"));
}

void peer_open(Peer *p) {
  peer_say(p, WIRE_OPEN("/", ""));
  peer_expect_101(p);
}

void peer_read_frame(Peer *p, WireFrame *out) {
  uint64_t end = clock_ms() + PATIENCE_MS;
  if (p->taken != 0) drop_taken(p);
  while (!wire_parse(p->in, p->len, out)) wait_more(p, end, "a frame");
  assert_int_equal(out->masked, p->is_server);
  p->taken = out->size;
}

void peer_expect_frame(Peer *p, uint8_t first, const void *payload, size_t len) {
  WireFrame f;
  peer_read_frame(p, &f);
  assert_int_equal(f.first, first);
  assert_bytes(f.payload, f.len, payload, len);
}

void peer_expect_text(Peer *p, const char *text) {
  peer_expect_frame(p, FIN_TEXT, text, strlen(text));
}

void peer_expect_close(Peer *p, uint16_t code) {
  WireFrame f;
  peer_read_frame(p, &f);
  assert_int_equal(f.first, FIN_CLOSE);
  if (code == 0) {
    assert_int_equal(f.len, 0);
    return;
  }
  assert_true(f.len >= 2);
  assert_int_equal(f.payload[0] << 8 | f.payload[1], code);
}

void peer_expect_data(Peer *p, const void *data, size_t len) {
  uint64_t end = clock_ms() + PATIENCE_MS;
  if (p->taken != 0) drop_taken(p);
  while (p->len < len) wait_more(p, end, "bytes");
  assert_bytes(p->in, len, data, len);
  p->taken = len;
}

void peer_expect_bytes(Peer *p, const char *text) { peer_expect_data(p, text, strlen(text)); }

static void wait_end(Peer *p) {
  uint64_t end = clock_ms() + PATIENCE_MS;
  while (!p->ended) {
    if (receive(p)) continue;
    if (p->ended) return;
    if (clock_ms() > end) fail_msg("waiting for the end of the stream");
    turn(p);
  }
}

void peer_expect_end(Peer *p) {
  wait_end(p);
  assert_bytes(p->in + p->taken, p->len - p->taken, "", 0);
  assert_int_equal(p->ended, 1);
}

void peer_expect_gone(Peer *p) { wait_end(p); }

void peer_expect_quiet(Peer *p) {
  for (int i = 0; i < 10; ++i) {
    turn(p);
    receive(p);
  }
  assert_bytes(p->in + p->taken, p->len - p->taken, "", 0);
  assert_int_equal(p->ended, 0);
}

void peer_fin(Peer *p) { shutdown(p->fd, SHUT_WR); }

void peer_reset(Peer *p) {
  struct linger off = {1, 0};
  setsockopt(p->fd, SOL_SOCKET, SO_LINGER, &off, sizeof off);
  peer_drop(p);
}

void peer_drop(Peer *p) {
  if (p->fd >= 0) close(p->fd);
  p->fd = -1;
  free(p->in);
  p->in = NULL;
  p->len = p->room = p->taken = 0;
}
