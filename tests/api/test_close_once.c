/*
 * However a connection dies, on_close comes once, last, with the cause, and the handle is still
 * good inside it.
 */
#include "world.h"

static void by_peer_close(World *w, Peer *p) {
  (void)w;
  peer_send_close(p, 1000, "");
}
static void by_peer_end(World *w, Peer *p) {
  (void)w;
  peer_fin(p);
}
static void by_peer_reset(World *w, Peer *p) {
  (void)w;
  peer_reset(p);
}
static void by_bad_frame(World *w, Peer *p) {
  (void)w;
  peer_send_frame(p, 0x83, "", 0);
}
static void by_bad_text(World *w, Peer *p) {
  (void)w;
  peer_send_frame(p, 0x81, "\xff", 1);
}
static void by_size(World *w, Peer *p) {
  static const char big[2000];
  (void)w;
  peer_send_frame(p, 0x82, big, sizeof big);
}
static void by_silence(World *w, Peer *p) {
  (void)w;
  (void)p;
}
static void by_close_answered(World *w, Peer *p) {
  assert_ok(ws_conn_close(w->conn, 1001, NULL));
  peer_expect_close(p, 1001);
  peer_send_close(p, 1001, "");
}
static void by_close_unanswered(World *w, Peer *p) {
  (void)p;
  assert_ok(ws_conn_close(w->conn, 1001, NULL));
}
static void by_abort(World *w, Peer *p) {
  (void)p;
  ws_conn_abort(w->conn);
}
static void by_shutdown(World *w, Peer *p) {
  (void)p;
  assert_ok(ws_server_shutdown(w->server, 1001, 20, NULL, NULL));
}
static void by_server_free(World *w, Peer *p) {
  (void)p;
  ws_server_free(w->server);
  w->server = NULL;
}

static void use_handle(World *w, const char *event, ws_conn *c) {
  if (strcmp(event, "close") != 0) return;
  assert_true(ws_conn_id(c) != 0);
  assert_ptr_equal(ws_conn_loop(c), w->loop);
  assert_int_equal(ws_conn_send(c, WS_OP_TEXT, "x", 1, 0), WS_ERR_CLOSED);
}

/* req: 88 */
/* bad: 138 */
static void test_close_comes_once_for_each_way_to_die(void **state) {
  static const struct {
    const char *name;
    void (*die)(World *w, Peer *p);
    int error;
  } ways[] = {
      {"peer's Close", by_peer_close, WS_OK},
      {"end of stream", by_peer_end, WS_ERR_EOF},
      {"reset", by_peer_reset, WS_ERR_EOF},
      {"bad frame", by_bad_frame, WS_ERR_PROTOCOL},
      {"bad text", by_bad_text, WS_ERR_UTF8},
      {"too big", by_size, WS_ERR_TOO_BIG},
      {"silence", by_silence, WS_ERR_TIMEOUT},
      {"our Close, answered", by_close_answered, WS_OK},
      {"our Close, not answered", by_close_unanswered, WS_ERR_TIMEOUT},
      {"abort", by_abort, WS_ERR_CANCELLED},
      {"shutdown's deadline", by_shutdown, WS_ERR_CANCELLED},
      {"server freed", by_server_free, WS_ERR_CANCELLED},
  };
  (void)state;
  for (size_t i = 0; i < sizeof ways / sizeof ways[0]; ++i) {
    World w;
    Peer p;
    world_prepare(&w);
    w.on = use_handle;
    w.limits.max_message_bytes = 1000;
    w.limits.idle_timeout_ms = 100;
    w.limits.close_timeout_ms = 100;
    world_start(&w);
    world_join(&w, &p);
    ways[i].die(&w, &p);
    world_wait_closed(&w, 1);
    run_for(w.loop, 20);
    peer_drop(&p);
    run_for(w.loop, 20);
    if (w.closed != 1 || w.how.error != ways[i].error) {
      fail_msg("%s: %d closes, error %d, log %s", ways[i].name, w.closed, w.how.error, w.log);
    }
    assert_string_equal(strstr(w.log, "close:") + strcspn(strstr(w.log, "close:"), " "), " ");
    world_stop(&w);
    assert_int_equal(w.closed, 1);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_close_comes_once_for_each_way_to_die),
  };
  return cmocka_run_group_tests_name("close_once", tests, NULL, NULL);
}
