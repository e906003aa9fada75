/* An echo server: cc echo.c $(pkg-config --cflags --libs libws) && ./a.out */
#include <libws/ws.h>
#include <stdio.h>

static void on_message(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  (void)user;
  ws_conn_send(c, op, data, len, 0);
}

int main(void) {
  ws_handlers handlers;
  ws_server_config config;
  ws_listen_config where;
  ws_loop *loop;
  ws_server *server;
  WS_INIT(&handlers);
  WS_INIT(&config);
  WS_INIT(&where);
  handlers.on_message = on_message;
  config.handlers = &handlers;
  where.host = "127.0.0.1";
  where.port = 9001;
  if (ws_loop_new(NULL, &loop) < 0 || ws_server_new(loop, &config, &server) < 0 ||
      ws_server_listen(server, &where, NULL) < 0) {
    fprintf(stderr, "%s\n", ws_last_detail());
    return 1;
  }
  return ws_loop_run(loop) < 0;
}
