/*
 * SIGINT and SIGTERM of the commands that connect: counted, and told through a descriptor, so that
 * poll(2) sees them.
 */
#ifndef WS_CLI_CLIENT_SIGNALS_H
#define WS_CLI_CLIENT_SIGNALS_H

/* From now on they are counted; SIGPIPE is ignored, a write says it as well.  Returns the
 * descriptor that becomes readable with each signal, or -1. */
int signals_catch(void);

/* How many came.  Empties the descriptor. */
int signals_count(void);

/* 0, 1 and 2 are open from here on, so that no socket takes the place of one that was closed.
 * Reading from such a one ends at once, writing fails. */
void standard_streams_open(void);

#endif /* WS_CLI_CLIENT_SIGNALS_H */
