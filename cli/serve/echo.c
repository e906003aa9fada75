/*
 * --echo: each message goes back to its sender.  This is what the benchmarks measure: the
 * message callback is one send.
 */
#include "serve.h"

/* A peer that sends faster than it reads is not read from until it caught up; so its queue
 * never passes the high mark by more than one message, and FULL cannot happen. */
static void hold_back(ws_conn *c, int sent) {
  if (sent == WS_BACKPRESSURE) {
    ws_conn_pause(c);
  } else if (sent != WS_ERR_CLOSED) {
    ws_conn_close(c, 1011, "cannot echo");
  }
}

static void on_message(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  (void)user;
  int sent = ws_conn_send(c, op, data, len, 0);
  if (sent != WS_OK) hold_back(c, sent);
}

static void on_drain(ws_conn *c, void *user) {
  (void)user;
  ws_conn_resume(c);
}

const struct mode echo_mode = {
    .name = "echo",
    .max_message_bytes = 16 * 1024 * 1024,
    .handlers = {.size = sizeof(ws_handlers), .on_message = on_message, .on_drain = on_drain},
};
