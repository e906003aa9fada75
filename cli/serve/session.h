/*
 * What `ws serve` remembers about one connection, from the request to on_close.
 *
 * Sessions are made only if the mode keeps state or --verbose asks for log lines: an idle
 * connection of a plain echo server costs nothing here.
 */
#ifndef WS_CLI_SERVE_SESSION_H
#define WS_CLI_SERVE_SESSION_H

#include "serve.h"

enum { kMaxLoggedPath = 200, kMaxPeer = 80 };

struct session {
  struct serve *serve;
  uint64_t opened_ms;
  char peer[kMaxPeer]; /* both escaped, and cut to fit */
  char path[kMaxLoggedPath];
};

/* The mode's callbacks, with those of the session around them where there are sessions. */
ws_handlers session_handlers(const struct serve *s);

int session_needed(const struct serve *s);

/* Accept an upgrade with a new session. */
void session_accept(struct serve *s, ws_request *r);

#define kUnknownLength SIZE_MAX

/* --verbose: the line for a plain request and its answer.  How much a file was is not known here.
 */
void log_request(const struct serve *s, const ws_request *r, int status, size_t len);

#endif /* WS_CLI_SERVE_SESSION_H */
