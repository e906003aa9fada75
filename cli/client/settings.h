/*
 * What the commands that connect have in common: where to, how, and with which credentials.
 *
 * The options are one piece of the option table of each such command: its enum of options begins
 * with CLIENT_OPTION_COUNT, and its table with CLIENT_OPTION_TABLE.
 */
#ifndef WS_CLI_CLIENT_SETTINGS_H
#define WS_CLI_CLIENT_SETTINGS_H

#include <libws/ws.h>

#include "../options.h"

enum { kMaxHeaders = 64, kMaxSubprotocols = 32 };

enum client_option {
  OPT_HEADER,
  OPT_SUBPROTOCOL,
  OPT_ORIGIN,
  OPT_USER,
  OPT_CACERT,
  OPT_CERT,
  OPT_KEY,
  OPT_KEY_PASSWORD_FILE,
  OPT_INSECURE,
  OPT_TLS_NAME,
  OPT_PROXY,
  OPT_PROXY_CACERT,
  OPT_NO_PROXY,
  OPT_CONNECT_TO,
  OPT_REDIRECTS,
  OPT_TIMEOUT,
  OPT_VERBOSE,
  CLIENT_OPTION_COUNT
};

#define CLIENT_OPTION_TABLE                                                                        \
  [OPT_HEADER] = {'H', "header", 1}, [OPT_SUBPROTOCOL] = {0, "subprotocol", 1},                    \
  [OPT_ORIGIN] = {0, "origin", 1}, [OPT_USER] = {'u', "user", 1}, [OPT_CACERT] = {0, "cacert", 1}, \
  [OPT_CERT] = {0, "cert", 1}, [OPT_KEY] = {0, "key", 1},                                          \
  [OPT_KEY_PASSWORD_FILE] = {0, "key-password-file", 1}, [OPT_INSECURE] = {'k', "insecure", 0},    \
  [OPT_TLS_NAME] = {0, "tls-name", 1}, [OPT_PROXY] = {0, "proxy", 1},                              \
  [OPT_PROXY_CACERT] = {0, "proxy-cacert", 1}, [OPT_NO_PROXY] = {0, "no-proxy", 0},                \
  [OPT_CONNECT_TO] = {0, "connect-to", 1}, [OPT_REDIRECTS] = {0, "redirects", 1},                  \
  [OPT_TIMEOUT] = {0, "timeout", 1}, [OPT_VERBOSE] = {'v', "verbose", 0}

/* The part of --help that says what they do. */
extern const char client_help[];

struct client_settings {
  const char *command; /* how it calls itself in complaints */
  const char *url;
  ws_header headers[kMaxHeaders]; /* names are allocated, and values point into the same block */
  size_t header_count;
  const char *subprotocols[kMaxSubprotocols];
  size_t subprotocol_count;
  const char *cacert, *cert, *key, *key_password_file, *tls_name; /* NULL = not given */
  const char *proxy, *proxy_cacert, *connect_to;
  const char *user;
  int insecure, no_proxy, verbose;
  uint32_t redirects;
  uint32_t timeout_ms; /* WS_NEVER = none */
};

/* Start with this, and end with the other once nobody uses the settings any more. */
void client_settings_init(struct client_settings *s, const char *command);
void client_settings_clear(struct client_settings *s);

/* One of the options above, or the URL as an operand.  Return SETTINGS_READ or a status. */
int client_settings_apply(struct client_settings *s, int option, const char *value);
int client_settings_url(struct client_settings *s, const char *url);

/* After the last option: what does not go together. */
int client_settings_check(struct client_settings *s);

/* 1 if the field may hold a secret and is not to be shown. */
int is_secret_header(const char *name);

#endif /* WS_CLI_CLIENT_SETTINGS_H */
