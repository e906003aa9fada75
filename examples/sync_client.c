/* Without callbacks: cc sync_client.c $(pkg-config --cflags --libs libws) && ./a.out URL */
#include <libws/ws.h>
#include <stdio.h>

int main(int argc, char **argv) {
  const char *url = argc > 1 ? argv[1] : "ws://127.0.0.1:9001/";
  ws_sync *ws;
  ws_opcode op;
  const void *data;
  size_t len;
  if (ws_sync_connect(url, NULL, &ws) < 0 || ws_sync_send(ws, WS_OP_TEXT, "hello", 5) < 0 ||
      ws_sync_recv(ws, 5000, &op, &data, &len) < 0) {
    return fprintf(stderr, "%s\n", ws_last_detail()), 1;
  }
  printf("%.*s\n", (int)len, (const char *)data);
  ws_sync_close(ws, 1000, NULL);
  ws_sync_free(ws);
  return 0;
}
