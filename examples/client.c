/* A client that comes back: cc client.c $(pkg-config --cflags --libs libws) && ./a.out URL */
#include <libws/ws.h>
#include <stdio.h>

static void on_open(ws_conn *c, void *user) {
  (void)user;
  printf("open, subprotocol '%s'\n", ws_conn_subprotocol(c));
  ws_conn_send(c, WS_OP_TEXT, "hello", 5, 0);
}

static void on_message(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  (void)user;
  if (op == WS_OP_TEXT) printf("%.*s\n", (int)len, (const char *)data);
  ws_conn_close(c, 1000, "bye");
}

/* After every attempt, whatever became of it. */
static void on_down(ws_client *client, const ws_close_info *why, uint32_t retry_in_ms, void *user) {
  ws_loop *loop = user;
  (void)client;
  printf("down: %s\n", why->detail);
  if (retry_in_ms == WS_NEVER) {
    ws_loop_stop(loop);
  } else {
    printf("next attempt in %u ms\n", (unsigned)retry_in_ms);
  }
}

int main(int argc, char **argv) {
  ws_handlers handlers;
  ws_client_config config;
  ws_loop *loop;
  ws_client *client;
  WS_INIT(&handlers);
  WS_INIT(&config);
  handlers.on_open = on_open;
  handlers.on_message = on_message;
  config.url = argc > 1 ? argv[1] : "ws://127.0.0.1:9001/";
  config.handlers = &handlers;
  config.on_down = on_down;
  config.retry_count = 5;
  config.flags = WS_CLIENT_PROXY_ENV;
  if (ws_loop_new(NULL, &loop) < 0) return 1;
  config.user = loop;
  if (ws_client_new(loop, &config, &client) < 0) {
    fprintf(stderr, "%s\n", ws_last_detail());
    return 1;
  }
  ws_loop_run(loop);
  return ws_loop_free(loop) < 0;
}
