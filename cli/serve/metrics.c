/*
 * --metrics: the figures of the server over HTTP, on an address of their own, so that they are not
 * for everybody who may open a WebSocket.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../command.h"
#include "serve.h"

enum { kMaxScrapers = 16 };

/* A request on its way through the threads of the pool: each adds its part, and the main thread,
 * whose request it is, answers. */
struct scrape {
  struct serve *serve;
  ws_request *request;
  ws_metrics *metrics;
  uint32_t next; /* of the pool's loops */
  int failed;
};

static void respond_sum(ws_request *r, const ws_metrics *m) {
  const ws_header headers[] = {
      {"Content-Type", "application/openmetrics-text; version=1.0.0; charset=utf-8"},
      {"Cache-Control", "no-store"},
  };
  int len = ws_metrics_text(m, NULL, 0);
  char *text = len < 0 ? NULL : malloc((size_t)len + 1);
  int sent = WS_ERR_NOMEM;
  if (text != NULL) {
    ws_metrics_text(m, text, (size_t)len + 1);
    sent = ws_request_respond(r, 200, headers, 2, text, (size_t)len);
  }
  if (sent == WS_ERR_NOMEM) ws_request_respond(r, 503, NULL, 0, NULL, 0);
  free(text);
}

static void finish(ws_loop *l, void *arg, int cancelled) {
  struct scrape *scrape = arg;
  (void)l;
  if (!cancelled && scrape->failed) ws_request_respond(scrape->request, 503, NULL, 0, NULL, 0);
  if (!cancelled && !scrape->failed) respond_sum(scrape->request, scrape->metrics);
  ws_metrics_free(scrape->metrics);
  ws_request_unref(scrape->request);
  free(scrape);
}

static void add_part(ws_loop *l, void *arg, int cancelled);

/* Without memory to post the answer is lost with the request; its timeout answers then. */
static void pass_on(struct scrape *scrape) {
  ws_loop *next = scrape->failed ? NULL : ws_pool_loop(scrape->serve->pool, scrape->next);
  int posted = next != NULL ? ws_loop_post(next, add_part, scrape)
                            : ws_loop_post(scrape->serve->loop, finish, scrape);
  if (posted < 0) finish(NULL, scrape, 1);
}

static void add_part(ws_loop *l, void *arg, int cancelled) {
  struct scrape *scrape = arg;
  (void)l;
  scrape->failed =
      cancelled ||
      ws_metrics_add_server(scrape->metrics, ws_pool_server(scrape->serve->pool, scrape->next)) < 0;
  scrape->next++;
  pass_on(scrape);
}

static void begin_scrape(struct serve *s, ws_request *r) {
  struct scrape *scrape = calloc(1, sizeof *scrape);
  if (scrape == NULL || ws_metrics_new(&scrape->metrics) < 0) {
    free(scrape);
    ws_request_respond(r, 503, NULL, 0, NULL, 0);
    return;
  }
  scrape->serve = s;
  scrape->request = ws_request_ref(r);
  pass_on(scrape);
}

static void answer(ws_request *r, void *user) {
  static const ws_header plain = {"Content-Type", "text/plain; charset=utf-8"};
  static const char elsewhere[] = "the figures are at /metrics\n";
  if (!ws_request_is_upgrade(r) && strcmp(ws_request_path(r), "/metrics") == 0) {
    begin_scrape(user, r);
  } else {
    ws_request_respond(r, 404, &plain, 1, elsewhere, sizeof elsewhere - 1);
  }
}

static int listen_there(struct serve *s, ws_listener **listener) {
  ws_server_config server;
  ws_listen_config at;
  WS_INIT(&server);
  WS_INIT(&at);
  server.on_request = answer;
  server.user = s;
  server.max_connections = kMaxScrapers;
  at.host = s->settings.metrics.host[0] != '\0' ? s->settings.metrics.host : NULL;
  at.port = s->settings.metrics.port;
  at.unix_path = s->settings.metrics.unix_path;
  if (at.unix_path != NULL) {
    at.host = NULL;
  } else if (s->settings.takeover != NULL) {
    at.flags = WS_LISTEN_REUSEPORT; /* the process before this one has it still */
  }
  int made = ws_server_new(s->loop, &server, &s->metrics);
  return made < 0 ? made : ws_server_listen(s->metrics, &at, listener);
}

int metrics_listen(struct serve *s, char where[kMaxMetricsUrl]) {
  ws_listener *listener;
  const char *host = s->settings.metrics.host;
  int bracket = strchr(host, ':') != NULL;
  where[0] = '\0';
  if (!s->settings.metrics_given) return EXIT_DONE;
  if (listen_there(s, &listener) < 0) {
    return failure(SERVE_COMMAND, "--metrics: cannot listen: %s", ws_last_detail());
  }
  if (s->settings.metrics.unix_path != NULL) {
    snprintf(where, kMaxMetricsUrl, "unix:%s", s->settings.metrics.unix_path);
  } else {
    snprintf(where, kMaxMetricsUrl, "http://%s%s%s:%u/metrics", bracket ? "[" : "",
             host[0] != '\0' ? host : "localhost", bracket ? "]" : "",
             (unsigned)ws_listener_port(listener));
  }
  return EXIT_DONE;
}
