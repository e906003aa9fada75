/*
 * Option values as types: text from the command line is checked here once, so that the code
 * behind works with numbers and addresses.  No I/O.
 */
#ifndef WS_CLI_VALUES_H
#define WS_CLI_VALUES_H

#include <stdint.h>

/* "4096", "64K", "16M", "1G" (powers of 1024): 1 byte to 1024G.  Returns 0 if it is not that. */
int parse_bytes(const char *text, uint64_t *bytes);

/* "30", "0.5": 0 to INT32_MAX milliseconds.  Returns 0 if it is not that. */
int parse_seconds(const char *text, uint32_t *ms);

/* A decimal number from 0 to `max`.  Returns 0 if it is not that. */
int parse_count(const char *text, uint32_t max, uint32_t *count);

/* 1 for a token (RFC 9110 5.6.2): what a subprotocol or the name of a header field can be. */
int is_token(const char *text);

enum { kMaxHost = 253 }; /* a DNS name is no longer */

/* Where to listen.  `host` is a name or address without brackets, "" for all interfaces;
 * `unix_path` is set instead for a unix socket, and points into the text parsed. */
struct address {
  char host[kMaxHost + 1];
  uint16_t port;
  const char *unix_path;
};

/* "HOST:PORT", "[IPV6]:PORT", ":PORT" or "unix:PATH".  Returns NULL, or what is wrong with it
 * as the end of a sentence. */
const char *parse_address(const char *text, struct address *out);

/* 1 for what a browser can send as Origin, "https://example.com" (perhaps with a port) or
 * "null", and for "*".  Anything else would never match. */
int is_origin(const char *text);

#endif /* WS_CLI_VALUES_H */
