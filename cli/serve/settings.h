/*
 * What the options of `ws serve` ask for, checked; and its help text.
 */
#ifndef WS_CLI_SERVE_SETTINGS_H
#define WS_CLI_SERVE_SETTINGS_H

#include <libws/ws.h>
#include <stddef.h>
#include <stdint.h>

#include "../options.h"
#include "../values.h"

#define SERVE_COMMAND "ws serve" /* how it calls itself in complaints */

enum { kMaxListen = 16, kMaxOrigins = 64, kMaxSubprotocols = 32, kMaxThreads = 1024 };

enum verbosity { QUIET = -1, NORMAL = 0, VERBOSE = 1 };

enum mode_name { MODE_ECHO, MODE_BROADCAST, MODE_CHAT };

/* Files are named as given; NULL = not given. */
struct tls_settings {
  const char *cert, *key, *key_password_file, *client_ca;
  int client_cert_optional;
  uint32_t min_version;    /* 0 = the library's */
  const char *self_signed; /* the name in a throw-away certificate */
  const char *self_signed_out;
};

struct deflate_settings {
  ws_deflate mode;
  uint32_t window_bits; /* these two: 0 = the library's */
  uint32_t level;
};

struct settings {
  struct address listen[kMaxListen]; /* at least one */
  size_t listen_count;
  int metrics_given;
  struct address metrics; /* if given */
  enum mode_name mode;
  const char *static_dir;     /* NULL = none */
  uint64_t max_message_bytes; /* 0 = the mode's own */
  int idle_given;
  uint32_t idle_ms; /* 0 = never, if given */
  const char *origins[kMaxOrigins];
  size_t origin_count;
  const char *subprotocols[kMaxSubprotocols];
  size_t subprotocol_count;
  struct deflate_settings deflate;
  struct tls_settings tls;
  uint32_t threads;     /* 0 = one for each processor */
  const char *takeover; /* NULL = no handing over */
  uint32_t drain_spread_ms;
  enum verbosity verbosity;
};

/* 1 if the addresses are served with TLS. */
int settings_tls(const struct settings *s);

/* Read the arguments.  Returns SETTINGS_READ, or the status to exit with at once.  Strings in *out
 * point into argv. */
int settings_read(struct settings *out, int argc, char **argv);

#endif /* WS_CLI_SERVE_SETTINGS_H */
