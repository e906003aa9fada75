#include "caller.h"

#include "world.h"

#include <stdio.h>
#include <stdlib.h>

void caller_log(Caller *w, const char *format, ...) {
  va_list args;
  size_t used = strlen(w->log);
  va_start(args, format);
  vsnprintf(w->log + used, sizeof w->log - used, format, args);
  va_end(args);
}

static void tell(Caller *w, const char *event, ws_conn *c) {
  if (w->on != NULL) w->on(w, event, c);
}

static void log_data(Caller *w, const char *name, const void *data, size_t len) {
  if (len <= 32) {
    caller_log(w, "%s:%.*s ", name, (int)len, len != 0 ? (const char *)data : "");
  } else {
    caller_log(w, "%s#%zu ", name, len);
  }
}

/* A copy of `from` whose texts last. */
static void keep_info(ws_close_info *to, char *reason, size_t reason_room, char *detail,
                      size_t detail_room, const ws_close_info *from) {
  assert_int_equal(from->size, sizeof *from);
  assert_int_equal(strlen(from->reason), from->reason_len);
  snprintf(reason, reason_room, "%s", from->reason);
  snprintf(detail, detail_room, "%s", from->detail);
  *to = *from;
  to->reason = reason;
  to->detail = detail;
}

static void on_attempt(ws_client *cl, uint32_t number, void *user) {
  Caller *w = user;
  (void)cl;
  ++w->attempts;
  w->number = number;
  caller_log(w, "attempt:%u ", number);
  tell(w, "attempt", NULL);
}

static void on_open(ws_conn *c, void *user) {
  Caller *w = user;
  w->conn = c;
  ++w->opened;
  caller_log(w, "open ");
  tell(w, "open", c);
}

static void on_message(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  Caller *w = user;
  ++w->messages;
  w->op = op;
  w->data = data;
  w->len = len;
  log_data(w, op == WS_OP_TEXT ? "text" : "binary", data, len);
  tell(w, "message", c);
}

static void on_drain(ws_conn *c, void *user) {
  Caller *w = user;
  ++w->drains;
  caller_log(w, "drain ");
  tell(w, "drain", c);
}

static void on_ping(ws_conn *c, const void *data, size_t len, void *user) {
  log_data(user, "ping", data, len);
  tell(user, "ping", c);
}

static void on_pong(ws_conn *c, const void *data, size_t len, void *user) {
  log_data(user, "pong", data, len);
  tell(user, "pong", c);
}

static void on_close(ws_conn *c, const ws_close_info *how, void *user) {
  Caller *w = user;
  if (w->conn == c) w->conn = NULL;
  ++w->closed;
  keep_info(&w->how, w->reason, sizeof w->reason, w->detail, sizeof w->detail, how);
  caller_log(w, "close:%d/%d/%d ", how->code, how->sent_code, how->error);
  tell(w, "close", c);
}

static void on_down(ws_client *cl, const ws_close_info *why, uint32_t retry_in_ms, void *user) {
  Caller *w = user;
  (void)cl;
  ++w->downs;
  w->retry_in_ms = retry_in_ms;
  keep_info(&w->why, w->why_reason, sizeof w->why_reason, w->why_detail, sizeof w->why_detail, why);
  caller_log(w, "down:%d/%d/%s ", why->error, why->http_status,
             retry_in_ms == WS_NEVER ? "never" : "retry");
  tell(w, "down", NULL);
}

void caller_prepare(Caller *w) {
  ws_loop_config loop;
  memset(w, 0, sizeof *w);
  WS_INIT(&loop);
  loop.poller = test_poller();
  assert_ok(ws_loop_new(&loop, &w->loop));
  WS_INIT(&w->handlers);
  WS_INIT(&w->limits);
  w->limits.deflate = WS_DEFLATE_OFF; /* so that bytes count; tests of it turn it on */
  WS_INIT(&w->config);
  w->handlers.on_open = on_open;
  w->handlers.on_message = on_message;
  w->handlers.on_drain = on_drain;
  w->handlers.on_ping = on_ping;
  w->handlers.on_pong = on_pong;
  w->handlers.on_close = on_close;
  w->config.handlers = &w->handlers;
  w->config.conn = &w->limits;
  w->config.on_attempt = on_attempt;
  w->config.on_down = on_down;
  w->config.user = w;
}

void caller_set_url(Caller *w, const char *format, ...) {
  va_list args;
  va_start(args, format);
  int len = vsnprintf(w->url, sizeof w->url, format, args);
  va_end(args);
  assert_true(len > 0 && (size_t)len < sizeof w->url);
  w->config.url = w->url;
}

void caller_start(Caller *w) { assert_ok(ws_client_new(w->loop, &w->config, &w->client)); }

void caller_stop(Caller *w) {
  if (w->client != NULL) ws_client_free(w->client);
  w->client = NULL;
  if (w->loop != NULL) assert_ok(ws_loop_free(w->loop));
  w->loop = NULL;
}

static void wait_count(Caller *w, const int *have, int count, const char *what) {
  uint64_t end = clock_ms() + PATIENCE_MS;
  while (*have < count) {
    if (clock_ms() > end) fail_msg("no %s number %d; log: %s", what, count, w->log);
    assert_true(ws_loop_dispatch(w->loop, 2) >= 0);
  }
  assert_int_equal(*have, count);
}

void caller_wait_open(Caller *w, int count) { wait_count(w, &w->opened, count, "on_open"); }
void caller_wait_messages(Caller *w, int count) { wait_count(w, &w->messages, count, "message"); }
void caller_wait_closed(Caller *w, int count) { wait_count(w, &w->closed, count, "on_close"); }
void caller_wait_down(Caller *w, int count) { wait_count(w, &w->downs, count, "on_down"); }

void caller_wait_log(Caller *w, const char *text) {
  uint64_t end = clock_ms() + PATIENCE_MS;
  while (strstr(w->log, text) == NULL) {
    if (clock_ms() > end) fail_msg("no \"%s\" in the log: %s", text, w->log);
    assert_true(ws_loop_dispatch(w->loop, 2) >= 0);
  }
}

void caller_expect_log(Caller *w, const char *log) {
  assert_string_equal(w->log, log);
  w->log[0] = '\0';
}

uint32_t short_timeout_ms(void) { return valgrind_is_on() ? 4000 : 300; }

int call_setup(void **state) {
  Call *call = calloc(1, sizeof *call);
  if (call == NULL) return -1;
  caller_prepare(&call->c);
  target_listen(&call->t, call->c.loop);
  caller_set_url(&call->c, "ws://127.0.0.1:%d/", call->t.port);
  call->p.fd = -1;
  *state = call;
  return 0;
}

int call_teardown(void **state) {
  Call *call = *state;
  peer_drop(&call->p);
  caller_stop(&call->c);
  target_stop(&call->t);
  free(call);
  return 0;
}

void call_begin(Call *call) {
  caller_start(&call->c);
  target_take(&call->t, &call->p);
}

void call_open(Call *call) {
  int before = call->c.opened;
  call_begin(call);
  target_switch(&call->t, &call->p, "");
  caller_wait_open(&call->c, before + 1);
}

void call_expect_refused(Call *call, int error, int http_status) {
  Caller *c = &call->c;
  caller_wait_down(c, c->downs + (c->downs == 0));
  if (c->why.error != error || c->why.http_status != http_status) {
    fail_msg("error %d and status %d are wanted, but: %s(%s)", error, http_status, c->log,
             c->why_detail);
  }
  assert_int_equal(c->why.code, 1006);
  assert_int_equal(c->why.sent_code, 0);
  assert_true(c->why_detail[0] != '\0');
  assert_int_equal(c->opened, 0);
  assert_int_equal(c->closed, 0);
  assert_null(ws_client_conn(c->client));
}
