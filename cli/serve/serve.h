/*
 * A running `ws serve`, and what a mode (echo, broadcast, chat) has to provide.
 *
 * A pool of threads serves; the main thread has a loop of its own for signals and for who takes the
 * sockets over.  A mode is a table of connection callbacks, called on the pool's threads; http.c
 * answers requests, session.c keeps and logs what is known about a connection, listen.c opens and
 * announces the addresses, sockets.c gets them from others, tls.c has the certificate, notify.c
 * talks to systemd, stop.c ends it all.
 */
#ifndef WS_CLI_SERVE_SERVE_H
#define WS_CLI_SERVE_SERVE_H

#include <libws/ws.h>

#include "settings.h"

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

enum { kMaxServedText = 320 };

/* An address that is served, as --listen would say it. */
struct served {
  char text[kMaxServedText];
  ws_pool_listener *listener;
};

struct serve {
  struct settings settings;
  const struct mode *mode;
  ws_files *files; /* of --static, NULL = none */
  ws_loop *loop;   /* the main thread's; no connection is on it */
  ws_pool *pool;
  struct served served[WS_HANDOVER_MAX];
  size_t served_count;
  ws_takeover *takeover; /* while the process before this one waits for it to be ready */
  ws_handover *handover; /* NULL = no --takeover */
  ws_server *metrics;    /* on the main thread's loop; NULL without --metrics */
  ws_tls *tls;           /* NULL = plain */
  int stop_code;         /* a graceful stop is due; of the Close frames.  0 = not */
  int stopped;           /* the pool has ended */
};

/* listen.c: open all addresses unless others have given some, then print where.  Returns an exit
 * status. */
int listen_all(struct serve *s);

enum { kMaxMetricsUrl = kMaxHost + 64 };
/* metrics.c: listen for --metrics, if it is asked for; `where` is what to announce, "" if nothing.
 * Returns an exit status. */
int metrics_listen(struct serve *s, char where[kMaxMetricsUrl]);

/* http.c: on_request of the server; `user` is the struct serve. */
void answer_request(ws_request *r, void *user);

#endif /* WS_CLI_SERVE_SERVE_H */
