/*
 * A running `ws serve`, and what a mode (echo, broadcast, chat) has to provide.
 *
 * One thread, one loop, one server.  A mode is a table of connection callbacks; http.c answers
 * requests, session.c keeps and logs what is known about a connection, listen.c opens and
 * announces the addresses, tls.c has the certificate, stop.c ends it all.
 */
#ifndef WS_CLI_SERVE_SERVE_H
#define WS_CLI_SERVE_SERVE_H

#include <libws/ws.h>

#include "settings.h"
#include "static_file.h"

struct serve;
struct session;

struct mode {
  const char *name;
  uint64_t max_message_bytes; /* when --max-message does not say */
  uint64_t send_limit_bytes;  /* 0 = room for four of the longest messages */
  int has_page;               /* serves the chat page at / */

  /* Bytes of this mode's state per connection, which begins with a struct session and is the
   * `user` of its callbacks.  0: it needs none, and `user` is not to be used. */
  size_t session_bytes;

  /* A connection was asked for; copy what on_open needs from the request.  May be NULL. */
  void (*on_upgrade)(struct session *session, const ws_request *request);

  ws_handlers handlers;

  /* After the last callback: release what the mode holds.  May be NULL. */
  void (*stop)(void);
};

extern const struct mode echo_mode;
extern const struct mode broadcast_mode;
extern const struct mode chat_mode;

struct serve {
  struct settings settings;
  const struct mode *mode;
  struct site site; /* the files of --static */
  ws_loop *loop;
  ws_server *server;
  ws_listener *listeners[kMaxListen]; /* as settings.listen */
  ws_server *metrics;                 /* NULL without --metrics */
  ws_tls *tls;                        /* NULL = plain */
  int stopped;                        /* the graceful stop is complete */
};

/* listen.c: open all addresses, then print where.  Returns an exit status. */
int listen_all(struct serve *s);

enum { kMaxMetricsUrl = kMaxHost + 64 };
/* metrics.c: listen for --metrics, if it is asked for; `where` is what to announce, "" if nothing.
 * Returns an exit status. */
int metrics_listen(struct serve *s, char where[kMaxMetricsUrl]);

/* http.c: on_request of the server; `user` is the struct serve. */
void answer_request(ws_request *r, void *user);

/* stop.c: from the first call on, SIGINT and SIGTERM end run_until_stopped(), gracefully the
 * first time and at once the second, and SIGHUP loads certificates of files again.  That returns an
 * exit status. */
void catch_stop_signals(struct serve *s);
int run_until_stopped(struct serve *s);

#endif /* WS_CLI_SERVE_SERVE_H */
