/*
 * The certificate of `ws serve`: loaded at the start, again with SIGHUP, or made on the spot.
 */
#ifndef WS_CLI_SERVE_TLS_H
#define WS_CLI_SERVE_TLS_H

#include "serve.h"

/* Fill s->tls if the settings ask for TLS.  Returns an exit status, after a complaint. */
int tls_load(struct serve *s);

/* SIGHUP: load the files again, for connections to come.  When they cannot be used, that is logged
 * and the old ones stay in use. */
void tls_reload(struct serve *s);

/* How to connect to `url` in spite of a certificate that nobody knows; nothing for others. */
void tls_hint(const struct serve *s, const char *url);

#endif /* WS_CLI_SERVE_TLS_H */
