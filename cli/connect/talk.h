/*
 * A running `ws connect`: one client, stdin and stdout, and who waits for whom.
 *
 * One thread: connect.c waits for the loop, for stdin and for stdout with one poll(2).  stdin is
 * read only while the connection is open and takes more (no WS_BACKPRESSURE), and the connection
 * only while stdout takes more.
 *
 * The end of stdin: a ping goes behind what was sent, and its pong says that the server has read
 * all of it.  From then on the connection is closed as soon as it was silent for --linger.
 */
#ifndef WS_CLI_CONNECT_TALK_H
#define WS_CLI_CONNECT_TALK_H

#include "../client/client.h"
#include "input.h"
#include "output.h"
#include "settings.h"

struct talk {
  struct connect_settings settings;
  struct trace trace;
  struct input input;
  struct output output;
  ws_loop *loop;
  ws_client *client;
  ws_conn *conn; /* borrowed; NULL unless open */
  ws_timer *linger;
  int blocked;     /* nothing is sent until on_drain */
  int held;        /* nothing is read from the server until stdout has taken more */
  int asked;       /* the ping behind the end of stdin was sent */
  int answered;    /* and its pong came */
  int got_one;     /* a message came */
  int opened;      /* on_open was called in this attempt */
  int ever_opened; /* or in an earlier one */
  int closing;     /* this side ends it */
  int stopped;     /* because it was told to, or nobody reads the output any more */
  int output_lost; /* nothing more can be written to stdout */
  int done;        /* the last on_down was there */
  int status;      /* to exit with */
};

/* send.c: send what stdin has until it would block; begin to end it when stdin has ended. */
void talk_send(struct talk *t);

/* Is this the payload of the ping that send.c puts behind the end of stdin? */
int is_end_mark(const void *data, size_t len);

/* Close politely and then exit; with `status`, unless it is EXIT_DONE and the end itself says
 * something else. */
void talk_close(struct talk *t, int status);

/* receive.c: the callbacks of the client and its connections; `user` is the struct talk. */
extern const ws_handlers talk_handlers;
void talk_on_attempt(ws_client *cl, uint32_t number, void *user);
void talk_on_down(ws_client *cl, const ws_close_info *why, uint32_t retry_in_ms, void *user);
void talk_on_linger(ws_timer *timer, void *user);

/* The status to exit with, and a complaint where one is due.  `why`: how the last connection ended;
 * NULL = it is cut short. */
int talk_status(struct talk *t, const ws_close_info *why);

/* Read from the server again if it was held and stdout has caught up. */
void talk_unhold(struct talk *t);

/* Where lines for people go: above the prompt, or to stderr. */
void talk_note(void *user, const char *line);

#endif /* WS_CLI_CONNECT_TALK_H */
