/*
 * --broadcast: each message goes to everyone but its sender.  It is framed once, and compressed
 * once for all who agreed on the same, however many there are.  One slow reader must not hold up
 * the others, so who falls behind by a whole send queue is closed with 1013, "try again later".
 */
#include "serve.h"
#include "session.h"

struct delivery {
  const ws_conn *sender;
  ws_message *message;
};

static int deliver(ws_conn *c, void *arg) {
  const struct delivery *d = arg;
  if (c == d->sender) return 0;
  if (ws_conn_send_message(c, d->message) == WS_ERR_FULL) {
    ws_conn_close(c, 1013, "reads too slowly");
  }
  return 0;
}

static void on_message(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  struct session *n = user;
  struct delivery d = {c, NULL};
  (void)op;
  (void)data;
  (void)len;
  if (ws_conn_keep_message(c, &d.message) < 0) {
    ws_conn_close(c, 1011, "out of memory");
    return;
  }
  ws_server_each(ws_pool_server(n->serve->pool, 0), deliver, &d);
  ws_message_unref(d.message);
}

const struct mode broadcast_mode = {
    .name = "broadcast",
    .max_message_bytes = 16 * 1024 * 1024,
    .session_bytes = sizeof(struct session),
    .handlers = {.size = sizeof(ws_handlers), .on_message = on_message},
};
