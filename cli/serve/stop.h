/*
 * Running and stopping `ws serve`.
 */
#ifndef WS_CLI_SERVE_STOP_H
#define WS_CLI_SERVE_STOP_H

#include "serve.h"

/* From the first call on, SIGINT and SIGTERM end run_until_stopped(), gracefully the first time and
 * at once the second, and SIGHUP loads certificates of files again.  That returns an exit
 * status. */
void catch_stop_signals(struct serve *s);
int run_until_stopped(struct serve *s);

/* Another process has the sockets: run_until_stopped() ends gracefully. */
void stop_for_successor(struct serve *s);

/* on_stop of the pool: a thread has ended. */
void on_thread_end(ws_loop *l, uint32_t index, void *user);

#endif /* WS_CLI_SERVE_STOP_H */
