/* Rooms behind a password, and the page that opens them:
 *   cc rooms.c $(pkg-config --cflags --libs libws) && ./a.out 9001 DIRECTORY
 * wss is tls_echo.c's matter; without it a password crosses the network in the clear. */
#include <libws/ws.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

static ws_loop *loop;
static ws_files *files;

static void on_signal(int number) {
  (void)number;
  ws_loop_stop(loop);
}

static void on_message(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  (void)user;
  ws_conn_send(c, op, data, len, 0);
}

/* /rooms/:id.  What is left unanswered is accepted. */
static void on_room(ws_request *r, void *user) {
  char name[64] = "", password[64] = "";
  (void)user;
  ws_request_basic(r, name, sizeof name, password, sizeof password);
  int known = ws_secret_equal(name, strlen(name), "guest", 5);
  int right = ws_secret_equal(password, strlen(password), "sesame", 6);
  if (!(known & right)) {
    ws_request_challenge(r, "Basic realm=\"rooms\", charset=\"UTF-8\"");
    return;
  }
  printf("%s enters %s\n", name, ws_request_param(r, "id", NULL));
}

static void on_page(ws_request *r, void *user) {
  (void)user;
  ws_files_answer(files, r, NULL);
}

static int add_routes(ws_router *router) {
  ws_conn_config small;
  ws_handlers handlers;
  ws_route rooms, pages;
  WS_INIT(&small);
  WS_INIT(&handlers);
  WS_INIT(&rooms);
  WS_INIT(&pages);
  small.max_message_bytes = 4096;
  handlers.on_message = on_message;
  rooms.pattern = "/rooms/:id";
  rooms.handlers = &handlers;
  rooms.conn = &small;
  rooms.on_request = on_room;
  pages.pattern = "/*path";
  pages.flags = WS_ROUTE_HTTP;
  pages.on_request = on_page;
  return ws_router_add(router, &rooms) == WS_OK && ws_router_add(router, &pages) == WS_OK;
}

int main(int argc, char **argv) {
  ws_router *router;
  ws_server *server;
  ws_files_config site;
  ws_server_config config;
  ws_listen_config address;
  WS_INIT(&site);
  WS_INIT(&config);
  WS_INIT(&address);
  site.directory = argc > 2 ? argv[2] : NULL;
  address.host = "127.0.0.1";
  address.port = (uint16_t)(argc > 1 ? atoi(argv[1]) : 9001);
  config.on_request = ws_router_on_request;
  if (ws_loop_new(NULL, &loop) || ws_files_new(&site, &files) ||
      ws_files_add(files, "/healthz", "text/plain", "ok\n", 3) || ws_router_new(NULL, &router) ||
      !add_routes(router)) {
    fprintf(stderr, "rooms: %s\n", ws_last_detail());
    return 1;
  }
  config.user = router;
  if (ws_server_new(loop, &config, &server) || ws_server_listen(server, &address, NULL)) {
    fprintf(stderr, "rooms: %s\n", ws_last_detail());
    return 1;
  }
  signal(SIGINT, on_signal);
  ws_loop_run(loop);
  ws_loop_free(loop); /* and the server with it */
  ws_router_free(router);
  ws_files_unref(files);
  return 0;
}
