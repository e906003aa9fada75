/*
 * A loop with a client on it that writes down what it is told, and lets the test do something
 * inside any callback: World's counterpart.
 */
#ifndef TESTS_SUPPORT_CALLER_H
#define TESTS_SUPPORT_CALLER_H

#include "target.h"

typedef struct Caller Caller;

struct Caller {
  ws_loop *loop; /* from caller_prepare() on */
  ws_client *client;

  /* Set between caller_prepare() and caller_start(). */
  ws_handlers handlers;
  ws_conn_config limits;
  ws_client_config config;
  /* Called in each callback, after it was logged; `c` is NULL for "attempt" and "down". */
  void (*on)(Caller *w, const char *event, ws_conn *c);
  void *extra; /* the test's own */

  /* For on_message: the data of this call. */
  ws_opcode op;
  const void *data;
  size_t len;

  ws_conn *conn; /* the one that is open; not referenced */
  int attempts, opened, messages, drains, closed, downs;
  uint32_t number;      /* of the last attempt */
  uint32_t retry_in_ms; /* of the last on_down */
  ws_close_info how;    /* of the last on_close; its texts are the next two */
  char reason[128], detail[512];
  ws_close_info why; /* of the last on_down; the same */
  char why_reason[128], why_detail[512];
  char url[1024];
  /* "attempt:1 open text:hi close:1000/1000/0 down:0/0/never ": a close has the code received, the
   * code sent and the error; a down the error, the HTTP status, and never or retry. */
  char log[16384];
};

/* All callbacks but on_chunk, which would replace on_message, and on_room; the loop is there. */
void caller_prepare(Caller *w);
/* Sets config.url. */
void caller_set_url(Caller *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
void caller_start(Caller *w);
/* Frees client and loop; harmless when done already. */
void caller_stop(Caller *w);

void caller_wait_log(Caller *w, const char *text); /* until the log holds it */
void caller_wait_open(Caller *w, int count);
void caller_wait_messages(Caller *w, int count);
void caller_wait_closed(Caller *w, int count);
void caller_wait_down(Caller *w, int count);
void caller_log(Caller *w, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* The log is exactly this; it is empty afterwards. */
void caller_expect_log(Caller *w, const char *log);

/* A handshake_timeout_ms to wait for: long enough for what must come before it. */
uint32_t short_timeout_ms(void);

/* A caller, the server it calls, and its connection there. */
typedef struct Call {
  Caller c;
  Target t;
  Peer p;
} Call;

/* CMocka fixtures: *state is a Call that is prepared: the server listens on 127.0.0.1, and the URL
 * is its "/".  The client is not started. */
int call_setup(void **state);
int call_teardown(void **state);

/* From there to an open connection on both sides. */
void call_open(Call *call);
/* From there to where the request is read and waits for its answer. */
void call_begin(Call *call);
/* The last attempt ended with this error and HTTP status, said something about it, and nothing was
 * opened by it. */
void call_expect_refused(Call *call, int error, int http_status);

#endif /* TESTS_SUPPORT_CALLER_H */
