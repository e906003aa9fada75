/*
 * What the options of `ws ping` ask for, checked; and its help text.
 */
#ifndef WS_CLI_PING_SETTINGS_H
#define WS_CLI_PING_SETTINGS_H

#include "../client/settings.h"

#define PING_COMMAND "ws ping" /* how it calls itself in complaints */

struct ping_settings {
  struct client_settings client;
  uint32_t count; /* 0 = until it is interrupted */
  uint32_t interval_ms;
  uint32_t wait_ms; /* for one pong */
};

/* Read the arguments.  Returns SETTINGS_READ, or the status to exit with at once.  Whatever it
 * returns, out->client is to be cleared. */
int ping_settings_read(struct ping_settings *out, int argc, char **argv);

#endif /* WS_CLI_PING_SETTINGS_H */
