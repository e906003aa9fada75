/*
 * A loop with a server on it that writes down what it is told, and lets the test do something
 * inside any callback.
 */
#ifndef TESTS_SUPPORT_WORLD_H
#define TESTS_SUPPORT_WORLD_H

#include "peer.h"

typedef struct World World;

struct World {
  ws_loop *loop;
  ws_server *server;
  ws_listener *listener;
  uint16_t port;

  /* Set between world_prepare() and world_start(). */
  ws_loop_config loop_config;
  ws_handlers handlers;
  ws_conn_config limits;
  ws_server_config config;
  /* Called in each callback, after it was logged. */
  void (*on)(World *w, const char *event, ws_conn *c);
  /* For on_message and on_chunk: the data of this call. */
  ws_opcode op;
  uint32_t flags;
  const void *data;
  size_t len;
  void *extra; /* the test's own */

  ws_conn *conn; /* the one that opened last; not referenced */
  int opened, messages, drains, closed;
  ws_close_info how; /* of the last close; its texts are the two below */
  char reason[128], detail[256];
  char log[16384]; /* "open text:hi close:1000/1000/0 " */
};

/* All callbacks but on_chunk, which would replace on_message, and on_room. */
void world_prepare(World *w);
void world_start(World *w);
void world_stop(World *w); /* frees server and loop */
void world_start_default(World *w);

/* The poller this run is to use. */
const char *test_poller(void);

/* Connect and open; waits for on_open. */
void world_join(World *w, Peer *p);
void world_wait_closed(World *w, int count);
void world_wait_log(World *w, const char *text); /* until the log holds it */
void world_log(World *w, const char *format, ...);

/* CMocka fixtures: *state is a started World with defaults. */
int world_setup(void **state);
int world_teardown(void **state);

#endif /* TESTS_SUPPORT_WORLD_H */
