/*
 * Starting a client, and telling how it ended.
 */
#include "client.h"

#include <stdio.h>
#include <string.h>

#include "../command.h"
#include "../escape.h"
#include "credentials.h"

/* Of the body of a refusal, as much as fits a terminal. */
enum { kMaxBodyShown = 4096 };

static void log_line(void *user, ws_log_level level, const char *line, size_t len) {
  struct trace *t = user;
  (void)level;
  trace_line(t, "* %.*s", (int)len, line);
}

int client_make_loop(const struct client_settings *s, struct trace *t, ws_loop **out) {
  ws_loop_config cfg;
  WS_INIT(&cfg);
  if (s->verbose) {
    cfg.log_level = WS_LOG_DEBUG;
    cfg.log = log_line;
    cfg.log_user = t;
  }
  if (ws_loop_new(&cfg, out) == WS_OK) return EXIT_DONE;
  return failure(s->command, "cannot make an event loop: %s", ws_last_detail());
}

static int make_tls(const struct client_settings *s, ws_tls **out) {
  char password[kMaxPassword + 1];
  ws_tls_config cfg;
  WS_INIT(&cfg);
  cfg.ca_file = s->cacert;
  cfg.cert_file = s->cert;
  cfg.key_file = s->key;
  if (s->insecure) cfg.verify = WS_TLS_VERIFY_NONE;
  /* What is trusted by name is meant, be it a root or the server's own certificate. */
  if (s->cacert != NULL) cfg.flags |= WS_TLS_PARTIAL_CHAIN;
  if (s->key_password_file != NULL) {
    const char *problem = read_password(s->key_password_file, password);
    if (problem != NULL) {
      return failure(s->command, "--key-password-file '%s': %s", s->key_password_file, problem);
    }
    cfg.key_password = password;
  }
  int rc = ws_tls_new(&cfg, out);
  memset(password, 0, sizeof password);
  if (rc == WS_OK) return EXIT_DONE;
  failure(s->command, "TLS settings: %s", ws_last_detail());
  return EXIT_TLS;
}

static int make_proxy_tls(const struct client_settings *s, ws_tls **out) {
  ws_tls_config cfg;
  if (s->proxy_cacert == NULL) return EXIT_DONE;
  WS_INIT(&cfg);
  cfg.ca_file = s->proxy_cacert;
  cfg.flags = WS_TLS_PARTIAL_CHAIN;
  if (ws_tls_new(&cfg, out) == WS_OK) return EXIT_DONE;
  failure(s->command, "TLS settings of the proxy: %s", ws_last_detail());
  return EXIT_TLS;
}

static int start(const struct client_settings *s, ws_loop *loop, const ws_client_config *cfg,
                 ws_client **out) {
  int rc = ws_client_new(loop, cfg, out);
  if (rc == WS_OK) return EXIT_DONE;
  if (rc == WS_ERR_INVALID) return usage_error(s->command, "%s", ws_last_detail());
  return failure(s->command, "cannot connect: %s", ws_last_detail());
}

int client_start(const struct client_settings *s, ws_loop *loop, ws_client_config *cfg,
                 ws_conn_config *conn, ws_client **out) {
  ws_tls *tls = NULL;
  ws_tls *proxy_tls = NULL;
  conn->handshake_timeout_ms = s->timeout_ms;
  cfg->conn = conn;
  cfg->url = s->url;
  cfg->headers = s->headers;
  cfg->header_count = s->header_count;
  cfg->subprotocols = s->subprotocols;
  cfg->subprotocol_count = s->subprotocol_count;
  cfg->tls_name = s->tls_name;
  cfg->proxy = s->proxy;
  if (s->proxy == NULL && !s->no_proxy) cfg->flags |= WS_CLIENT_PROXY_ENV;
  cfg->connect_to = s->connect_to;
  cfg->max_redirects = s->redirects;
  int status = make_tls(s, &tls);
  if (status == EXIT_DONE) status = make_proxy_tls(s, &proxy_tls);
  cfg->tls = tls;
  cfg->proxy_tls = proxy_tls;
  if (status == EXIT_DONE) status = start(s, loop, cfg, out);
  ws_tls_unref(tls); /* the client has its own references */
  ws_tls_unref(proxy_tls);
  return status;
}

static int status_before_open(const ws_close_info *how) {
  switch (how->error) {
    case WS_ERR_TLS:
    case WS_ERR_TLS_CONFIG:
    case WS_ERR_TLS_VERIFY: return EXIT_TLS;
    case WS_ERR_HTTP:
    case WS_ERR_HTTP_STATUS:
    case WS_ERR_HANDSHAKE:
    case WS_ERR_PROTOCOL:
    case WS_ERR_TOO_BIG: return EXIT_REFUSED;
    default: return EXIT_FAILED;
  }
}

int client_status(const ws_close_info *how, int opened, int by_us) {
  if (!opened) return status_before_open(how);
  if (by_us) {
    /* Many servers end the stream, or reset it, instead of answering our Close. */
    int answered = how->error == WS_OK || how->error == WS_ERR_EOF || how->error == WS_ERR_IO;
    return answered ? EXIT_DONE : EXIT_LOST;
  }
  if (how->error != WS_OK) return EXIT_LOST;
  return how->code == 1000 || how->code == 1001 || how->code == 1005 ? EXIT_DONE : EXIT_LOST;
}

/* The body of a refusal often says why.  It is the server's: escaped, line by line. */
static void show_body(struct trace *t, ws_slice body) {
  const char *at = body.data;
  size_t left = body.len < kMaxBodyShown ? body.len : kMaxBodyShown;
  while (left > 0) {
    char line[400];
    const char *end = memchr(at, '\n', left);
    size_t len = end != NULL ? (size_t)(end - at) : left;
    size_t skip = end != NULL ? len + 1 : len;
    if (len > 0 && at[len - 1] == '\r') len--;
    escape_text(line, sizeof line, at, len);
    trace_always(t, "%s", line);
    at += skip;
    left -= skip;
  }
  if (body.len > kMaxBodyShown) trace_always(t, "(%zu bytes more)", body.len - kMaxBodyShown);
}

void client_complain(const struct client_settings *s, struct trace *t, ws_client *cl,
                     const ws_close_info *how, int opened) {
  char text[400];
  escape_text(text, sizeof text, how->detail, strlen(how->detail));
  if (!opened && how->error == WS_ERR_HTTP_STATUS) {
    trace_always(t, "%s: refused with HTTP status %d: %s", s->command, how->http_status, text);
    show_body(t, ws_client_response_body(cl));
  } else if (how->error != WS_OK) {
    trace_always(t, "%s: %s: %s", s->command, opened ? "connection lost" : "cannot connect",
                 text[0] != '\0' ? text : ws_strerror(how->error));
  } else {
    escape(text, sizeof text, how->reason, how->reason_len);
    trace_always(t, "%s: closed by the server with code %u \"%s\"", s->command, how->code, text);
  }
}
