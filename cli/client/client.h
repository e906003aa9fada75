/*
 * From the settings of a command that connects to a running client, and from how it ended to an
 * exit status.
 */
#ifndef WS_CLI_CLIENT_CLIENT_H
#define WS_CLI_CLIENT_CLIENT_H

#include "settings.h"
#include "trace.h"

/* A loop that writes what it does to `t`.  Returns an exit status, like the others here. */
int client_make_loop(const struct client_settings *s, struct trace *t, ws_loop **out);

/* Start connecting.  `cfg` has what is the command's own: handlers, callbacks, user, limits in
 * `conn`, retries; the settings fill in the rest. */
int client_start(const struct client_settings *s, ws_loop *loop, ws_client_config *cfg,
                 ws_conn_config *conn, ws_client **out);

/* What the end of a connection is worth.  `opened`: on_open was called; `by_us`: this side closed
 * it, and that is what the peer's Close answers. */
int client_status(const ws_close_info *how, int opened, int by_us);

/* One sentence about an end that is not EXIT_DONE, on stderr; for a refusal by HTTP, the status
 * and the body too. */
void client_complain(const struct client_settings *s, struct trace *t, ws_client *cl,
                     const ws_close_info *how, int opened);

#endif /* WS_CLI_CLIENT_CLIENT_H */
