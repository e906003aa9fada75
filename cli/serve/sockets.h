/*
 * Listening sockets that this process did not open: taken over from a running `ws serve`
 * (--takeover), or passed by the service manager (systemd's LISTEN_FDS).
 */
#ifndef WS_CLI_SERVE_SOCKETS_H
#define WS_CLI_SERVE_SOCKETS_H

#include "serve.h"

/* If there are such sockets, serve them and fill s->served.  Returns an exit status, after a
 * complaint; none at all is EXIT_DONE with s->served_count 0. */
int sockets_inherit(struct serve *s);

/* Everything is served: tell the process that was taken over, if there is one, and from then on
 * offer the sockets at --takeover, if that was given. */
int sockets_offer(struct serve *s);

/* No more offers: the sockets are about to close. */
void sockets_keep(struct serve *s);

#endif /* WS_CLI_SERVE_SOCKETS_H */
