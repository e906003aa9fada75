/*
 * A server on a thread of its own, for clients that block.  It echoes, and some texts are orders:
 *
 *   "bye"     one, two, three, then Close 4001 "enough"
 *   "drop"    abort
 *   "quiet"   read no more
 *   "flood"   1000 messages of 1000 bytes
 *   "empties" 100000 messages of none
 *   "ping"    a ping, and "ponged" when its pong is in
 *
 * The target /refused is answered with 401; `not_yet` requests are answered with 503.
 */
#ifndef TESTS_SUPPORT_ECHO_H
#define TESTS_SUPPORT_ECHO_H

#include "check.h"

#include <pthread.h>
#include <stdatomic.h>

typedef struct Echo {
  ws_loop *loop;
  ws_server *server;
  pthread_t thread;
  char url[64];          /* "ws://127.0.0.1:port" */
  ws_conn_config limits; /* to be changed between echo_prepare() and echo_start() */
  atomic_int not_yet, requests, opened, closed;
} Echo;

void echo_prepare(Echo *e);
void echo_start(Echo *e);
void echo_stop(Echo *e);
/* Wait, without a loop, until *value is at least `want`. */
void echo_wait(const atomic_int *value, int want);

/* CMocka fixtures: *state is a started Echo that takes messages of 32 MiB. */
int echo_setup(void **state);
int echo_teardown(void **state);

/* A blocking client of it. */
ws_sync *sync_join(Echo *e);
ws_sync *sync_join_with(Echo *e, const ws_conn_config *limits);
void sync_say(ws_sync *s, const char *text);
void sync_expect_text(ws_sync *s, const char *text);
void sync_expect_echo(ws_sync *s, const char *text);
/* recv() fails with `code` and leaves what it was given alone. */
void sync_expect_none(ws_sync *s, uint32_t timeout_ms, int code);

#endif /* TESTS_SUPPORT_ECHO_H */
