/*
 * Lines for people, on stderr or wherever the command wants them (above a prompt): what --verbose
 * shows of a connection, and what is said anyway.
 *
 * The marks are those of curl: `*` about the connection, `>` sent, `<` received.  What came from
 * the peer is escaped, and fields that may hold credentials are not shown.
 */
#ifndef WS_CLI_CLIENT_TRACE_H
#define WS_CLI_CLIENT_TRACE_H

#include <libws/ws.h>

#include "../command.h"
#include "settings.h"

struct trace {
  int on;
  const struct client_settings *settings;      /* what the requests are made of */
  void (*write)(void *user, const char *line); /* NULL = to stderr */
  void *user;
};

/* With --verbose only. */
void trace_line(struct trace *t, const char *format, ...) PRINTF_LIKE(2, 3);

/* Whether verbose or not. */
void trace_always(struct trace *t, const char *format, ...) PRINTF_LIKE(2, 3);

/* What on_attempt, on_open, the message callbacks, on_close and on_down have to tell.  Those of
 * compression are for commands that may offer it. */
void trace_attempt(struct trace *t, ws_client *cl, uint32_t number);
void trace_open(struct trace *t, ws_client *cl, const ws_conn *c);
void trace_deflate(struct trace *t, const ws_conn *c, int offered);
void trace_message(struct trace *t, int out, ws_opcode op, size_t len);
void trace_deflated(struct trace *t, const ws_conn *c);
void trace_end(struct trace *t, ws_client *cl, const ws_close_info *how, int opened);

#endif /* WS_CLI_CLIENT_TRACE_H */
