/*
 * Messages as text: hexadecimal both ways, and what a terminal may be shown.  No I/O.
 */
#ifndef WS_CLI_CONNECT_SHOW_H
#define WS_CLI_CONNECT_SHOW_H

#include <stddef.h>

/* Two digits a byte; `out` has room for 2 * len. */
void show_hex(char *out, const void *data, size_t len);

/* Digits, in pairs or not, with spaces and tabs anywhere between the bytes; decoded in place.
 * Returns how many bytes, or -1 if it is not that. */
ptrdiff_t read_hex(char *line, size_t len);

/* How many bytes one byte of text can become. */
enum { kShowGrowth = 4 };

/* UTF-8 for a terminal: control characters, and those that change the direction of writing, are
 * shown as \xNN or \uNNNN, a tab as spaces, and lines after the first are
 * indented.  `out` has room for
 * kShowGrowth * len; returns how many bytes it took. */
size_t show_text(char *out, const char *text, size_t len);

/* The columns that a line of such text takes, nearly always. */
size_t show_width(const char *text, size_t len);

#endif /* WS_CLI_CONNECT_SHOW_H */
