/*
 * What the options of `ws serve` ask for, checked; and its help text.
 */
#ifndef WS_CLI_SERVE_SETTINGS_H
#define WS_CLI_SERVE_SETTINGS_H

#include <stddef.h>
#include <stdint.h>

#include "../values.h"

#define SERVE_COMMAND "ws serve" /* how it calls itself in complaints */

enum { kMaxListen = 16, kMaxOrigins = 64 };

enum verbosity { QUIET = -1, NORMAL = 0, VERBOSE = 1 };

enum mode_name { MODE_ECHO, MODE_BROADCAST, MODE_CHAT };

struct settings {
  struct address listen[kMaxListen]; /* at least one */
  size_t listen_count;
  enum mode_name mode;
  const char *static_dir;     /* NULL = none */
  uint64_t max_message_bytes; /* 0 = the mode's own */
  int idle_given;
  uint32_t idle_ms; /* 0 = never, if given */
  const char *origins[kMaxOrigins];
  size_t origin_count;
  enum verbosity verbosity;
};

enum { SETTINGS_READ = -1 };

/* Read the arguments.  Returns SETTINGS_READ, or the status to exit with at once (help shown,
 * or a complaint made).  Strings in *out point into argv. */
int settings_read(struct settings *out, int argc, char **argv);

#endif /* WS_CLI_SERVE_SETTINGS_H */
