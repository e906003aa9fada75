/* An echo server inside a GLib main loop, such as a desktop program has:
 *   cc glib_loop.c $(pkg-config --cflags --libs libws glib-2.0) && ./a.out [PORT]
 * GLib watches one descriptor, ws_loop_fd(); sockets, timers and posted tasks all show on it. */
#include <glib-unix.h>
#include <libws/ws.h>
#include <stdlib.h>

static void on_message(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  (void)user;
  ws_conn_send(c, op, data, len, 0);
}

static int send_tick(ws_conn *c, void *arg) {
  ws_conn_send(c, WS_OP_TEXT, arg, 4, 0);
  return 0;
}

static void on_tick(ws_timer *t, void *server) { /* a timer of the library... */
  ws_server_each(server, send_tick, "tick");
  ws_timer_start(t, 1000);
}

static void stopped(ws_server *s, void *main_loop) {
  ws_server_free(s);
  g_main_loop_quit(main_loop);
}

static gboolean on_ready(gint fd, GIOCondition what, gpointer loop) {
  (void)fd, (void)what;
  return ws_loop_dispatch(loop, 0) < 0 ? G_SOURCE_REMOVE : G_SOURCE_CONTINUE;
}

static GMainLoop *main_loop;

static gboolean on_signal(gpointer server) { /* ...beside an event source of GLib */
  ws_server_shutdown(server, 1001, 5000, stopped, main_loop);
  return G_SOURCE_REMOVE;
}

int main(int argc, char **argv) {
  ws_handlers handlers;
  ws_server_config config;
  ws_listen_config where;
  ws_loop *loop;
  ws_server *server;
  ws_listener *listener;
  ws_timer *timer;
  WS_INIT(&handlers);
  WS_INIT(&config);
  WS_INIT(&where);
  handlers.on_message = on_message;
  config.handlers = &handlers;
  where.host = "127.0.0.1";
  where.port = argc > 1 ? (uint16_t)atoi(argv[1]) : 9001;
  if (ws_loop_new(NULL, &loop) < 0 || ws_server_new(loop, &config, &server) < 0 ||
      ws_server_listen(server, &where, &listener) < 0 ||
      ws_timer_new(loop, on_tick, server, &timer) < 0 || ws_timer_start(timer, 1000) < 0 ||
      ws_loop_fd(loop) < 0) {
    g_printerr("%s\n", ws_last_detail());
    return 1;
  }
  main_loop = g_main_loop_new(NULL, FALSE);
  g_unix_fd_add(ws_loop_fd(loop), G_IO_IN, on_ready, loop);
  g_unix_signal_add(SIGTERM, on_signal, server);
  g_unix_signal_add(SIGINT, on_signal, server);
  g_print("listening on ws://127.0.0.1:%u/\n", ws_listener_port(listener));
  g_main_loop_run(main_loop);
  g_main_loop_unref(main_loop);
  return ws_loop_free(loop) < 0;
}
