/* An echo server over TLS: ./a.out cert.pem key.pem, or without them a throw-away certificate.
 * SIGHUP loads the files again; connections that are open keep what they have. */
#include <libws/ws.h>
#include <signal.h>
#include <stdio.h>

static ws_loop *loop;
static volatile sig_atomic_t reload;

static void on_hangup(int signal_number) {
  (void)signal_number;
  reload = 1;
  ws_loop_stop(loop); /* async-signal-safe */
}

static void on_message(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  (void)user;
  ws_conn_send(c, op, data, len, 0);
}

static ws_tls *load(int argc, char **argv) {
  ws_tls_config config;
  ws_tls *tls = NULL;
  WS_INIT(&config);
  if (argc > 2) {
    config.cert_file = argv[1];
    config.key_file = argv[2];
    ws_tls_new(&config, &tls);
  } else {
    ws_tls_new_self_signed("localhost", &tls);
  }
  if (tls == NULL) fprintf(stderr, "%s\n", ws_last_detail());
  return tls;
}

int main(int argc, char **argv) {
  ws_handlers handlers;
  ws_server_config config;
  ws_listen_config where;
  ws_server *server;
  ws_listener *listener;
  WS_INIT(&handlers);
  WS_INIT(&config);
  WS_INIT(&where);
  handlers.on_message = on_message;
  config.handlers = &handlers;
  where.host = "127.0.0.1";
  where.port = 9002;
  where.tls = load(argc, argv);
  if (where.tls == NULL) return 1;
  if (ws_loop_new(NULL, &loop) < 0 || ws_server_new(loop, &config, &server) < 0 ||
      ws_server_listen(server, &where, &listener) < 0) {
    fprintf(stderr, "%s\n", ws_last_detail());
    return 1;
  }
  ws_tls_unref(where.tls); /* the listener has its own reference */
  signal(SIGHUP, on_hangup);
  while (ws_loop_run(loop) == 0 && reload != 0) {
    ws_tls *fresh;
    reload = 0;
    fresh = load(argc, argv);
    if (fresh != NULL) ws_listener_set_tls(listener, fresh); /* else the old one stays */
    ws_tls_unref(fresh);
  }
  return ws_loop_free(loop) < 0;
}
