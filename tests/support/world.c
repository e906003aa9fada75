#include "world.h"

#include <stdio.h>
#include <stdlib.h>

const char *test_poller(void) {
  const char *name = getenv("LIBWS_TEST_POLLER");
  return name != NULL ? name : "epoll";
}

void world_log(World *w, const char *format, ...) {
  va_list args;
  size_t used = strlen(w->log);
  va_start(args, format);
  vsnprintf(w->log + used, sizeof w->log - used, format, args);
  va_end(args);
}

static void tell(World *w, const char *event, ws_conn *c) {
  if (w->on != NULL) w->on(w, event, c);
}

static void log_data(World *w, const char *name, const void *data, size_t len) {
  if (len <= 32) {
    world_log(w, "%s:%.*s ", name, (int)len, len != 0 ? (const char *)data : "");
  } else {
    world_log(w, "%s#%zu ", name, len);
  }
}

static void on_open(ws_conn *c, void *user) {
  World *w = user;
  w->conn = c;
  ++w->opened;
  world_log(w, "open ");
  tell(w, "open", c);
}

static void on_message(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  World *w = user;
  ++w->messages;
  w->op = op;
  w->data = data;
  w->len = len;
  log_data(w, op == WS_OP_TEXT ? "text" : "binary", data, len);
  tell(w, "message", c);
}

static void on_drain(ws_conn *c, void *user) {
  World *w = user;
  ++w->drains;
  world_log(w, "drain ");
  tell(w, "drain", c);
}

static void on_ping(ws_conn *c, const void *data, size_t len, void *user) {
  World *w = user;
  log_data(w, "ping", data, len);
  tell(w, "ping", c);
}

static void on_pong(ws_conn *c, const void *data, size_t len, void *user) {
  World *w = user;
  log_data(w, "pong", data, len);
  tell(w, "pong", c);
}

static void on_close(ws_conn *c, const ws_close_info *how, void *user) {
  World *w = user;
  if (w->conn == c) w->conn = NULL;
  ++w->closed;
  w->how = *how;
  snprintf(w->reason, sizeof w->reason, "%s", how->reason);
  snprintf(w->detail, sizeof w->detail, "%s", how->detail);
  assert_int_equal(strlen(how->reason), how->reason_len);
  world_log(w, "close:%d/%d/%d ", how->code, how->sent_code, how->error);
  tell(w, "close", c);
}

void world_prepare(World *w) {
  memset(w, 0, sizeof *w);
  WS_INIT(&w->loop_config);
  WS_INIT(&w->handlers);
  WS_INIT(&w->limits);
  w->limits.deflate = WS_DEFLATE_OFF; /* so that bytes count; tests of it turn it on */
  WS_INIT(&w->config);
  w->loop_config.poller = test_poller();
  w->handlers.on_open = on_open;
  w->handlers.on_message = on_message;
  w->handlers.on_drain = on_drain;
  w->handlers.on_ping = on_ping;
  w->handlers.on_pong = on_pong;
  w->handlers.on_close = on_close;
  w->config.handlers = &w->handlers;
  w->config.conn = &w->limits;
  w->config.user = w;
}

void world_start(World *w) {
  ws_listen_config listen;
  WS_INIT(&listen);
  listen.host = "127.0.0.1";
  assert_ok(ws_loop_new(&w->loop_config, &w->loop));
  assert_ok(ws_server_new(w->loop, &w->config, &w->server));
  assert_ok(ws_server_listen(w->server, &listen, &w->listener));
  w->port = ws_listener_port(w->listener);
  assert_int_not_equal(w->port, 0);
}

void world_start_default(World *w) {
  world_prepare(w);
  world_start(w);
}

void world_stop(World *w) {
  if (w->server != NULL) ws_server_free(w->server);
  w->server = NULL;
  if (w->loop != NULL) assert_ok(ws_loop_free(w->loop));
  w->loop = NULL;
}

void world_join(World *w, Peer *p) {
  int before = w->opened;
  peer_connect(p, w->loop, w->port);
  peer_open(p);
  for (int i = 0; i < 1000 && w->opened == before; ++i) ws_loop_dispatch(w->loop, 1);
  assert_int_equal(w->opened, before + 1);
}

void world_wait_closed(World *w, int count) {
  uint64_t end = clock_ms() + PATIENCE_MS;
  while (w->closed < count) {
    if (clock_ms() > end) fail_msg("no on_close; log: %s", w->log);
    ws_loop_dispatch(w->loop, 2);
  }
  assert_int_equal(w->closed, count);
}

void world_wait_log(World *w, const char *text) {
  uint64_t end = clock_ms() + PATIENCE_MS;
  while (strstr(w->log, text) == NULL) {
    if (clock_ms() > end) fail_msg("no \"%s\" in the log: %s", text, w->log);
    ws_loop_dispatch(w->loop, 2);
  }
}

int world_setup(void **state) {
  World *w = malloc(sizeof *w);
  world_start_default(w);
  *state = w;
  return 0;
}

int world_teardown(void **state) {
  world_stop(*state);
  free(*state);
  return 0;
}
