/*
 * Percent-decoding (RFC 3986 2.1), once and strictly.
 */
#ifndef WS_CLI_SERVE_PERCENT_H
#define WS_CLI_SERVE_PERCENT_H

#include <stddef.h>

/* Decode text[0, len) into out, which has room for len bytes.  Returns how many were written,
 * or -1 for a '%' without two hexadecimal digits. */
int percent_decode(const char *text, size_t len, char *out);

#endif /* WS_CLI_SERVE_PERCENT_H */
