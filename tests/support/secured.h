/*
 * A server and a client of libws against each other over TLS, on one loop: World and Caller in
 * one.  A Relay stands between the two where a test wants to watch the bytes or to cut them.
 */
#ifndef TESTS_SUPPORT_SECURED_H
#define TESTS_SUPPORT_SECURED_H

#include "caller.h"
#include "certs.h"
#include "world.h"

typedef struct Secured {
  World w;
  Caller c;
  Cert *ca, *cert; /* the server's is for localhost, one.test and 127.0.0.1 */
  ws_tls_config server_config, client_config;
  ws_listen_config listen;
  ws_tls *server_tls, *client_tls;
  char connect_to[64]; /* the server's address */
  char lines[16384];   /* what was logged, at WARN */
} Secured;

/* CMocka fixtures: *state is a Secured that is prepared and may be changed: the server has its
 * certificate, the client trusts the authority. */
int secured_setup(void **state);
int secured_teardown(void **state);

/* The loop as w.loop_config wants it now. */
void secured_remake_loop(Secured *s);
/* The server listens; the client's URL is wss://localhost:port/, and it dials 127.0.0.1. */
void secured_listen(Secured *s);
/* From there to an open connection on both sides. */
void secured_connect(Secured *s);
/* Both. */
void secured_open(Secured *s);
/* End the client, and what it has open; another may be started. */
void secured_leave(Secured *s);
void secured_wait_line(Secured *s, const char *text);

/* The attempt ended with this error before anything was opened, and says so in these words. */
void secured_expect_refused(Secured *s, int error, const char *detail);

/* SHA-256 of a certificate in 64 hex digits, computed by OpenSSL; valid until the next call. */
const char *fingerprint_of(const char *pem);

/* Forwards between one client and the server, no more than it is allowed to. */
typedef struct Relay {
  Target t;
  Peer client, server;
  size_t up, down;             /* forwarded, from and to the client */
  size_t allow_up, allow_down; /* at most so much; all at first */
  uint8_t first[8];            /* of what the client sent */
} Relay;

/* Where the client dials from now on. */
void relay_listen(Relay *r, Secured *s);
void relay_turn(Relay *r);
/* The client's connection is there, and the one to the server. */
void relay_accept(Relay *r);
/* Forward until *value is at least `want`. */
void relay_until(Relay *r, const int *value, int want);
/* Forward what there is and may be. */
void relay_settle(Relay *r);
void relay_stop(Relay *r);

#endif /* TESTS_SUPPORT_SECURED_H */
