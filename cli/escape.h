/*
 * Bytes from a peer as printable ASCII, for log lines and terminals.
 */
#ifndef WS_CLI_ESCAPE_H
#define WS_CLI_ESCAPE_H

#include <stddef.h>

/* Writes at most `room` bytes, NUL included, to `out`: printable ASCII as it is, quote and
 * backslash with a backslash in front, everything else as \xNN; "..." at the end if it was cut. */
void escape(char *out, size_t room, const char *text, size_t len);
void escape_string(char *out, size_t room, const char *text);

/* The same for what stands outside quotes: quote and backslash stay as they are. */
void escape_text(char *out, size_t room, const char *text, size_t len);

#endif /* WS_CLI_ESCAPE_H */
