/*
 * The other end of a connection: a plain socket that speaks what the test tells it to.  It shares
 * the thread with the loop under test, so whatever it waits for, it turns that loop meanwhile.
 */
#ifndef TESTS_SUPPORT_PEER_H
#define TESTS_SUPPORT_PEER_H

#include "check.h"
#include "wire.h"

/* Longest wait for anything that must happen. */
#define PATIENCE_MS 10000

typedef struct Peer {
  int fd;
  ws_loop *loop;
  uint8_t *in; /* received, not yet expected */
  size_t len, room;
  size_t taken;  /* front of `in` that the last frame still names */
  int ended;     /* 1: end of stream, 2: reset */
  int is_server; /* libws is the client: frames go out unmasked and must come masked */
} Peer;

/* Turn the loop until *flag is not 0; returns 0 when that did not happen in time. */
int run_until(ws_loop *loop, const volatile int *flag, unsigned max_ms);
/* Turn the loop for about that long, whatever happens. */
void run_for(ws_loop *loop, unsigned ms);

void peer_connect(Peer *p, ws_loop *loop, uint16_t port);
/* The same from an address of this machine's, such as "127.0.0.2". */
int peer_try_connect_from(Peer *p, ws_loop *loop, uint16_t port, const char *from);
void peer_connect_v6(Peer *p, ws_loop *loop, uint16_t port);
/* 0 or an errno; a leading '@' is an abstract name. */
int peer_try_unix(Peer *p, ws_loop *loop, const char *path);
/* 0 or an errno; `receive_bytes` 0 leaves the buffer as it is. */
int peer_try_connect(Peer *p, ws_loop *loop, uint16_t port, int receive_bytes);
/* Take over a connected socket. */
void peer_use(Peer *p, ws_loop *loop, int fd);

void peer_send(Peer *p, const void *data, size_t len);
void peer_say(Peer *p, const char *text);
void peer_send_frame(Peer *p, uint8_t first, const void *payload, size_t len);
void peer_send_text(Peer *p, const char *text);
void peer_send_close(Peer *p, uint16_t code, const char *reason);

/* The whole handshake with the sample key, to "/". */
void peer_open(Peer *p);
void peer_expect_101(Peer *p);
/* A response head with this status; copied to `head` when that is not NULL. */
void peer_expect_status(Peer *p, int status, char *head, size_t room);

/* The next HTTP head, whatever it is, as text. */
void peer_read_head(Peer *p, char *head, size_t room);

/* The next frame must be masked as is_server says.  Its payload is valid until the next
 * expectation. */
void peer_read_frame(Peer *p, WireFrame *out);
void peer_expect_frame(Peer *p, uint8_t first, const void *payload, size_t len);
void peer_expect_text(Peer *p, const char *text);
void peer_expect_close(Peer *p, uint16_t code);
void peer_expect_bytes(Peer *p, const char *text);
void peer_expect_data(Peer *p, const void *data, size_t len);

void peer_expect_end(Peer *p);   /* the end of the stream, nothing before it */
void peer_expect_gone(Peer *p);  /* the end or a reset, whatever came before it */
void peer_expect_quiet(Peer *p); /* nothing within a few turns */

void peer_fin(Peer *p);   /* shut down our side, go on reading */
void peer_reset(Peer *p); /* RST */
void peer_drop(Peer *p);  /* close; harmless when done already */

#endif /* TESTS_SUPPORT_PEER_H */
