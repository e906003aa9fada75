/*
 * What the options of `ws connect` ask for, checked; and its help text.
 */
#ifndef WS_CLI_CONNECT_SETTINGS_H
#define WS_CLI_CONNECT_SETTINGS_H

#include "../client/settings.h"

#define CONNECT_COMMAND "ws connect" /* how it calls itself in complaints */

/* How messages look on stdin and stdout. */
enum form {
  FORM_TEXT,   /* lines; a binary message that comes is a line of hexadecimal digits */
  FORM_BINARY, /* bytes without any frame around them */
  FORM_HEX     /* lines of hexadecimal digits are binary messages */
};

/* What is offered to the server. */
enum compress {
  COMPRESS_DEFAULT, /* the library's choice: each message for itself */
  COMPRESS_ON,      /* as much as it can bring */
  COMPRESS_OFF
};

struct connect_settings {
  struct client_settings client;
  enum form form;
  enum compress compress;
  int one, timestamps, reconnect;
  int ping_given;
  uint32_t ping_ms;   /* 0 = never, if given */
  uint32_t linger_ms; /* WS_NEVER = until the server closes */
  uint64_t max_message_bytes;
  uint64_t max_line_bytes;
};

/* Read the arguments.  Returns SETTINGS_READ, or the status to exit with at once.  Whatever it
 * returns, *out is to be cleared. */
int connect_settings_read(struct connect_settings *out, int argc, char **argv);
void connect_settings_clear(struct connect_settings *s);

#endif /* WS_CLI_CONNECT_SETTINGS_H */
