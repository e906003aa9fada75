/*
 * The server that a client under test is led to: a listening socket on the test's thread, whose
 * connections are Peers that do what the script says.  What a right answer is, is computed by
 * OpenSSL and not by libws.
 */
#ifndef TESTS_SUPPORT_TARGET_H
#define TESTS_SUPPORT_TARGET_H

#include "peer.h"

#define ACCEPT_CHARS 28

typedef struct Target {
  ws_loop *loop;
  int fd;
  uint16_t port;       /* 0 on a unix socket */
  char unix_path[108]; /* "" on TCP */
  /* Of the last request that was read. */
  char head[32768];
  char key[64];
  char accept[ACCEPT_CHARS + 1]; /* the right answer to it; change one character for a wrong one */
} Target;

/* On 127.0.0.1, any port. */
void target_listen(Target *t, ws_loop *loop);
/* On ::1; 0 when there is no IPv6 here. */
int target_listen_v6(Target *t, ws_loop *loop);
/* A leading '@' is an abstract name. */
void target_listen_unix(Target *t, ws_loop *loop, const char *path);
/* Where 127.0.0.1 refuses: bound, not listening; nobody else gets the port. */
void target_refuse(Target *t, ws_loop *loop);
/* Harmless when done already. */
void target_stop(Target *t);

/* Wait for the next connection.  Its frames are those of a server: sent unmasked, expected to be
 * masked. */
void target_accept(Target *t, Peer *p);
void target_expect_nobody(Target *t); /* no connection within a few turns */

/* The next request on this connection, which must be one line of GET and fields. */
void target_read_request(Target *t, Peer *p);
/* The two together. */
void target_take(Target *t, Peer *p);

/* The value of that field of the request, which must be there once; valid until the next call. */
const char *target_field(Target *t, const char *name);
/* How many there are of that name, without case. */
int target_count(const Target *t, const char *name);
void target_expect_line(const Target *t, const char *line); /* the whole line, "Host: a:1" */
void target_expect_target(const Target *t, const char *target);

/* A right 101, with more lines, each ended by CRLF. */
void target_switch(Target *t, Peer *p, const char *more);
/* As printf; "%s" is where the accept value goes, if anywhere. */
void target_answer(Target *t, Peer *p, const char *format);
/* take and switch */
void target_welcome(Target *t, Peer *p);

/* Sec-WebSocket-Accept for a key, RFC 6455 4.2.2-5.4; `out` has ACCEPT_CHARS + 1. */
void accept_for(const char *key, char *out);

#endif /* TESTS_SUPPORT_TARGET_H */
