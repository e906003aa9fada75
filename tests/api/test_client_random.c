/*
 * Clients, their server and their application do anything at any time, from a seed that is
 * printed.  Whatever happens: on_attempt, on_open, on_close and on_down come in that order, each
 * once, and nothing after the client is freed but the on_close it owes.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

enum { CLIENTS = 4, STEPS = 400, MAX_CALLS = 100000 };

typedef struct Life {
  ws_client *client;  /* NULL once freed */
  ws_conn *conn;      /* between on_open and on_close */
  ws_conn *held;      /* a reference kept beyond it */
  int attempting;     /* between on_attempt and on_down */
  int opened, closed; /* in this attempt */
  int started;        /* on_attempt was promised: by new, retry_now or a delay */
  int owes_down;      /* ws_client_close() was called while nothing was attempted */
  uint32_t number;
} Life;

static struct Run {
  uint32_t seed, random;
  ws_loop *loop;
  ws_server *server;
  uint16_t port;
  Life lives[CLIENTS * STEPS];
  int used;
  Life *now[CLIENTS];
  int calls, opens, depth;
} run;

static uint32_t draw(uint32_t below) {
  run.random ^= run.random << 13;
  run.random ^= run.random >> 17;
  run.random ^= run.random << 5;
  return run.random % below;
}

#define must(what)                                                            \
  do {                                                                        \
    if (!(what)) fail_msg("seed %u, line %d: %s", run.seed, __LINE__, #what); \
  } while (0)

/* ---- what the application does ---- */

static void free_client(Life *l) {
  ws_client_free(l->client);
  l->client = NULL;
}

static void close_client(Life *l) {
  int idle = !l->attempting && !l->started;
  must(ws_client_close(l->client, draw(2) ? 1000 : 0, NULL) == WS_OK);
  if (!l->attempting && !idle) l->owes_down = 1;
  l->started = 0;
}

static void send_something(Life *l) {
  static const char data[3000];
  int rc = ws_client_send(l->client, WS_OP_BINARY, data, draw(sizeof data), 0);
  must(rc >= 0 || rc == WS_ERR_CLOSED || rc == WS_ERR_FULL);
}

static void retry(Life *l) {
  must(ws_client_retry_now(l->client) == WS_OK);
  /* Whether it was idle, and so begins, is for on_attempt to show. */
  if (!l->attempting && !l->owes_down) l->started = 1;
}

static void act(Life *l) {
  if (l->client == NULL) return;
  switch (draw(10)) {
    case 0: free_client(l); break;
    case 1: close_client(l); break;
    case 2: retry(l); break;
    case 3: must(ws_client_set_headers(l->client, NULL, 0) == WS_OK); break;
    case 4:
      if (l->conn != NULL) (void)ws_conn_close(l->conn, 1000, NULL);
      break;
    case 5:
      if (l->conn != NULL) ws_conn_abort(l->conn);
      break;
    case 6:
      if (l->held != NULL) (void)ws_conn_send(l->held, WS_OP_TEXT, "x", 1, 0);
      break;
    case 7:
      if (l->conn != NULL) (void)(draw(2) ? ws_conn_pause(l->conn) : ws_conn_resume(l->conn));
      break;
    default: send_something(l); break;
  }
}

static void act_inside(Life *l) {
  must(++run.calls < MAX_CALLS);
  if (draw(4) == 0) act(l);
}

static void on_attempt(ws_client *cl, uint32_t number, void *user) {
  Life *l = user;
  must(l->client == cl);
  must(!l->attempting && l->started && !l->owes_down);
  must(number == ++l->number);
  l->attempting = 1;
  l->started = l->opened = l->closed = 0;
  act_inside(l);
}

static void on_open(ws_conn *c, void *user) {
  Life *l = user;
  must(l->client != NULL && l->attempting && !l->opened);
  must(ws_client_conn(l->client) == c);
  l->opened = 1;
  l->conn = c;
  ++run.opens;
  if (l->held == NULL && draw(2)) l->held = ws_conn_ref(c);
  act_inside(l);
}

static void on_message(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  Life *l = user;
  (void)op, (void)data, (void)len;
  must(l->client != NULL && l->conn == c);
  act_inside(l);
}

static void on_close(ws_conn *c, const ws_close_info *how, void *user) {
  Life *l = user;
  must(l->conn == c && l->opened && !l->closed);
  must(how->detail != NULL);
  l->closed = 1;
  act_inside(l);
  l->conn = NULL;
}

static void on_down(ws_client *cl, const ws_close_info *why, uint32_t retry_in_ms, void *user) {
  Life *l = user;
  must(l->client == cl);
  must(l->attempting || l->owes_down);
  must(l->opened == l->closed);
  must(why->detail != NULL);
  if (!l->attempting) must(retry_in_ms == WS_NEVER && why->error == WS_ERR_CANCELLED);
  l->attempting = 0;
  l->owes_down = 0;
  l->started = retry_in_ms != WS_NEVER;
  act_inside(l);
}

/* ---- what the server does ---- */

static void on_request(ws_request *r, void *user) {
  (void)user;
  switch (draw(6)) {
    case 0: (void)ws_request_respond(r, 503, NULL, 0, "busy", 4); break;
    case 1: (void)ws_request_respond(r, 404, NULL, 0, NULL, 0); break;
    case 2: ws_request_unref(ws_request_ref(r)); break; /* unanswered, so accepted */
    default: break;
  }
}

static void served_message(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  (void)user;
  switch (draw(8)) {
    case 0: (void)ws_conn_close(c, 1001, "bye"); break;
    case 1: ws_conn_abort(c); break;
    default: (void)ws_conn_send(c, op, data, len, 0); break;
  }
}

static int end_some(ws_conn *c, void *arg) {
  (void)arg;
  if (draw(2)) ws_conn_abort(c);
  return 0;
}

static void serve(void) {
  ws_server_config c;
  ws_handlers h;
  ws_listen_config lc;
  ws_listener *ln;
  WS_INIT(&c);
  WS_INIT(&h);
  WS_INIT(&lc);
  h.on_message = served_message;
  c.handlers = &h;
  c.on_request = on_request;
  lc.host = "127.0.0.1";
  lc.port = run.port;
  must(ws_server_new(run.loop, &c, &run.server) == WS_OK);
  must(ws_server_listen(run.server, &lc, &ln) == WS_OK);
  run.port = ws_listener_port(ln);
}

static void begin(int i) {
  ws_client_config c;
  ws_conn_config limits;
  ws_handlers h;
  char url[64];
  Life *l = &run.lives[run.used++];
  WS_INIT(&c);
  WS_INIT(&limits);
  WS_INIT(&h);
  h.on_open = on_open;
  h.on_message = on_message;
  h.on_close = on_close;
  limits.close_timeout_ms = 1 + draw(20);
  limits.handshake_timeout_ms = 200;
  c.handlers = &h;
  c.conn = &limits;
  c.on_attempt = on_attempt;
  c.on_down = on_down;
  c.retry_count = draw(3) == 0 ? 0 : draw(2) ? 3 : WS_NEVER;
  c.retry_min_ms = 1;
  c.retry_max_ms = 1 + draw(5);
  c.queue_bytes = draw(2) * 5000;
  if (draw(3) == 0) c.flags = WS_CLIENT_RETRY_ALL;
  snprintf(url, sizeof url, "ws://%s:%d/", draw(4) == 0 ? "localhost" : "127.0.0.1", run.port);
  c.url = url;
  c.user = l;
  l->started = 1;
  must(ws_client_new(run.loop, &c, &l->client) == WS_OK);
  run.now[i] = l;
}

static void step(void) {
  int i = (int)draw(CLIENTS);
  switch (draw(12)) {
    case 0:
      if (run.now[i]->client == NULL) begin(i);
      break;
    case 1:
      if (run.server != NULL && draw(3) == 0) {
        ws_server_free(run.server);
        run.server = NULL;
      } else if (run.server == NULL) {
        serve();
      }
      break;
    case 2:
      if (run.server != NULL) (void)ws_server_each(run.server, end_some, NULL);
      break;
    case 3:
    case 4: /* several before the loop gets to any of them */
      for (uint32_t n = 1 + draw(4); n > 0; --n) act(run.now[i]);
      break;
    default: must(ws_loop_dispatch(run.loop, draw(3)) >= 0); break;
  }
}

static void live_randomly(uint32_t seed) {
  ws_loop_config lc;
  memset(&run, 0, sizeof run);
  run.seed = seed;
  run.random = seed * 2654435761u | 1;
  WS_INIT(&lc);
  lc.poller = test_poller();
  assert_ok(ws_loop_new(&lc, &run.loop));
  serve();
  for (int i = 0; i < CLIENTS; ++i) begin(i);
  for (int i = 0; i < STEPS; ++i) step();
  assert_ok(ws_loop_free(run.loop));
  for (int i = 0; i < run.used; ++i) {
    Life *l = &run.lives[i];
    must(l->conn == NULL && l->opened == l->closed);
    if (l->client != NULL) must(!l->attempting);
    if (l->held != NULL) {
      must(ws_conn_send(l->held, WS_OP_TEXT, "x", 1, 0) == WS_ERR_CLOSED);
      ws_conn_unref(l->held);
    }
  }
}

static void test_client_random_lives_keep_the_order_of_callbacks(void **state) {
  (void)state;
  int opens = 0;
  uint32_t first = (uint32_t)clock_ms();
  const char *wanted = getenv("LIBWS_TEST_SEED");
  if (wanted != NULL) {
    live_randomly((uint32_t)strtoul(wanted, NULL, 10));
    return;
  }
  print_message("seeds 1 to 20 and %u to %u; LIBWS_TEST_SEED=n repeats one\n", first, first + 19);
  for (uint32_t i = 0; i < 40; ++i) {
    live_randomly(i < 20 ? i + 1 : first + i - 20);
    opens += run.opens;
  }
  assert_true(opens > 40); /* something did happen */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_client_random_lives_keep_the_order_of_callbacks),
  };
  return cmocka_run_group_tests_name("client_random", tests, NULL, NULL);
}
