/*
 * A Redis that the test plays, on the loop's thread, and a hub with a bridge to it.
 */
#ifndef TESTS_REDIS_FAKE_REDIS_H
#define TESTS_REDIS_FAKE_REDIS_H

#include "topics.h"

#include <libws/redis.h>

enum { FAKE_SUBSCRIBER = 0, FAKE_PUBLISHER = 1 };

typedef struct FakeConn {
  int fd; /* -1: none */
  char in[65536];
  size_t len;
} FakeConn;

typedef struct Fake {
  World world; /* first: a fixture's state is a World */
  ws_hub *hub;
  ws_redis_bridge *bridge;
  ws_redis_config config;
  int listener;
  uint16_t port;
  char url[64];
  FakeConn conns[2];
  char command[65536]; /* the last one read */
  size_t command_len;

  int told; /* calls of on_state */
  ws_redis_state state;
  char detail[512];
  int free_when_told;
} Fake;

/* CMocka fixtures: *state is a Fake with a server and a hub, without a bridge. */
int fake_setup(void **state);
int fake_teardown(void **state);

/* Make the bridge from f->config. */
void fake_bridge(Fake *f);
/* Turn the loop once, without waiting long. */
void fake_turn(Fake *f);
/* Take both connections, the subscriber first. */
void fake_accept(Fake *f);
/* The same, and their logins. */
void fake_log_in(Fake *f);
/* The one that says more after its login is the subscriber. */
void fake_sort(Fake *f);
/* Log both in, and answer the subscriber's ping behind its topics: until CONNECTED is told. */
void fake_connect(Fake *f);
void fake_drop(Fake *f); /* both */

/* A turn of a Redis that takes whoever comes, and answers what it is asked.  Returns the connection
 * that has subscribed to something in this turn, or -1. */
int fake_serve(Fake *f);

/* The next command is this one, its words joined by spaces. */
void fake_expect(Fake *f, int conn, const char *words);
/* The next command is a PUBLISH of `text` in `channel`; its envelope. */
void fake_expect_publish(Fake *f, const char *channel, const char *text, char envelope[26]);
/* Nothing has come, nor comes in the next turns. */
void fake_expect_nothing(Fake *f, int conn);
void fake_send(Fake *f, int conn, const void *data, size_t len);
void fake_say(Fake *f, int conn, const char *text);
/* A message of another bridge, by its `origin` and number; pattern NULL: by its name. */
void fake_deliver(Fake *f, const char *pattern, const char *channel, char origin, uint64_t number,
                  const char *text);

/* on_state was called `count` times in all, and the last event is this one. */
void fake_wait_told(Fake *f, int count, ws_redis_event event);
ws_redis_stats fake_stats(Fake *f);

#endif /* TESTS_REDIS_FAKE_REDIS_H */
