/*
 * Opening the addresses of --listen and saying on stdout where the server is to be found.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../command.h"
#include "serve.h"
#include "sockets.h"
#include "tls.h"

static int is_any_address(const char *host) {
  return host[0] == '\0' || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

static int listen_at(struct serve *s, const struct address *at, ws_pool_listener **out) {
  ws_listen_config cfg;
  WS_INIT(&cfg);
  if (at->unix_path != NULL) {
    cfg.unix_path = at->unix_path;
  } else {
    cfg.host = at->host[0] != '\0' ? at->host : NULL;
    cfg.port = at->port;
  }
  cfg.tls = s->tls;
  return ws_pool_listen(s->pool, &cfg, WS_SPREAD_HANDOVER, out);
}

/* "ws: listening on ws://127.0.0.1:9001/", with the page's address if there is one.  An address
 * that means all interfaces is no address to type, so localhost stands for it. */
static void announce(const struct serve *s, const struct address *at, unsigned port) {
  const char *secure = s->tls != NULL ? "s" : "";
  if (at->unix_path != NULL) {
    printf("ws: listening on unix:%s%s\n", at->unix_path, s->tls != NULL ? " (TLS)" : "");
    return;
  }
  char where[kMaxHost + 16];
  char url[kMaxHost + 32];
  const char *host = is_any_address(at->host) ? "localhost" : at->host;
  int bracket = strchr(host, ':') != NULL;
  snprintf(where, sizeof where, "%s%s%s:%u", bracket ? "[" : "", host, bracket ? "]" : "", port);
  snprintf(url, sizeof url, "ws%s://%s/", secure, where);
  printf("ws: listening on %s", url);
  if (s->mode->has_page || s->settings.static_dir != NULL)
    printf(" and http%s://%s/", secure, where);
  printf("%s\n", is_any_address(at->host) ? " (all interfaces)" : "");
  tls_hint(s, url);
}

static int listen_as_asked(struct serve *s) {
  for (size_t i = 0; i < s->settings.listen_count; i++) {
    if (listen_at(s, &s->settings.listen[i], &s->served[i].listener) < 0) {
      return failure(SERVE_COMMAND, "cannot listen: %s", ws_last_detail());
    }
    s->served_count++;
  }
  return EXIT_DONE;
}

static void announce_inherited(const struct serve *s, const struct served *served) {
  struct address at;
  if (parse_address(served->text, &at) == NULL) {
    announce(s, &at, at.port);
  } else {
    printf("ws: listening on %s\n", served->text);
  }
}

int listen_all(struct serve *s) {
  char metrics[kMaxMetricsUrl];
  int status = sockets_inherit(s);
  int inherited = s->served_count != 0;
  if (status == EXIT_DONE && !inherited) status = listen_as_asked(s);
  if (status == EXIT_DONE) status = metrics_listen(s, metrics);
  if (status == EXIT_DONE) status = sockets_offer(s);
  if (status != EXIT_DONE) return status;
  /* Only now: a line that was printed stays true. */
  for (size_t i = 0; i < s->served_count; i++) {
    if (inherited) {
      announce_inherited(s, &s->served[i]);
    } else {
      announce(s, &s->settings.listen[i], ws_pool_port(s->served[i].listener));
    }
  }
  if (metrics[0] != '\0') printf("ws: metrics on %s\n", metrics);
  if (fflush(stdout) == EOF) {
    return failure(SERVE_COMMAND, "cannot write to standard output: %s", strerror(errno));
  }
  return EXIT_DONE;
}
