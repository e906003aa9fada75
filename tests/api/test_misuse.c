/*
 * Every call with NULL for its handle and for each required argument: a code, a neutral value or
 * nothing, never a crash, and nothing changed.
 */
#include "world.h"

#include <stdio.h>

/* bad: 230, 241 */
static void test_misuse_null_handles_of_calls_with_a_code_are_invalid(void **state) {
  (void)state;
  ws_message *m;
  ws_event ev;
  ws_conn_stats cs;
  ws_loop_stats ls;
  WS_INIT(&ev);
  WS_INIT(&cs);
  WS_INIT(&ls);
  assert_ok(ws_message_new(WS_OP_TEXT, "m", 1, &m));
  const int codes[] = {
      ws_set_allocator(NULL),
      ws_message_new(WS_OP_TEXT, "x", 1, NULL),
      ws_message_wrap(WS_OP_TEXT, "x", 1, NULL, NULL, NULL),
      ws_request_accept(NULL, NULL),
      ws_request_respond(NULL, 200, NULL, 0, NULL, 0),
      ws_engine_new_server(NULL, NULL),
      ws_engine_new_client(NULL, NULL, NULL),
      ws_engine_feed(NULL, "x", 1),
      ws_engine_feed_inplace(NULL, NULL, 0),
      ws_engine_landed(NULL, 0),
      ws_engine_feed_eof(NULL),
      ws_engine_next(NULL, &ev),
      ws_engine_sent(NULL, 0),
      ws_engine_tick(NULL, 0),
      ws_engine_send(NULL, WS_OP_TEXT, "x", 1, 0),
      ws_engine_send_part(NULL, WS_OP_TEXT, "x", 1, 1),
      ws_engine_send_message(NULL, m),
      ws_engine_ping(NULL, NULL, 0),
      ws_engine_pong(NULL, NULL, 0),
      ws_engine_close(NULL, 1000, NULL),
      ws_loop_new(NULL, NULL),
      ws_loop_run(NULL),
      ws_loop_dispatch(NULL, 0),
      ws_loop_fd(NULL),
      ws_loop_post(NULL, NULL, NULL),
      ws_timer_new(NULL, NULL, NULL, NULL),
      ws_timer_start(NULL, 0),
      ws_loop_get_stats(NULL, &ls),
      ws_conn_send(NULL, WS_OP_TEXT, "x", 1, 0),
      ws_conn_send_part(NULL, WS_OP_TEXT, "x", 1, 1),
      ws_conn_send_message(NULL, m),
      ws_conn_post_message(NULL, m),
      ws_conn_keep_message(NULL, &m),
      ws_conn_ping(NULL, NULL, 0),
      ws_conn_pong(NULL, NULL, 0),
      ws_conn_flush(NULL),
      ws_conn_pause(NULL),
      ws_conn_resume(NULL),
      ws_conn_set_chunks(NULL, 1),
      ws_conn_close(NULL, 1000, NULL),
      ws_conn_get_stats(NULL, &cs),
      ws_server_new(NULL, NULL, NULL),
      ws_server_listen(NULL, NULL, NULL),
      ws_server_listen_fd(NULL, 0, NULL),
      ws_server_each(NULL, NULL, NULL),
      ws_server_shutdown(NULL, 1000, 0, NULL, NULL),
  };
  for (size_t i = 0; i < COUNT_OF(codes); ++i) {
    if (codes[i] != WS_ERR_INVALID) fail_msg("call %zu returned %d", i, codes[i]);
  }
  assert_detail_has("NULL");
  ws_message_unref(m);
}

/* bad: 230, 241 */
static void test_misuse_null_clients_and_tls_settings_are_invalid(void **state) {
  (void)state;
  ws_tls_info ti;
  ws_opcode op;
  const void *data;
  size_t len;
  WS_INIT(&ti);
  const int codes[] = {
      ws_tls_new(NULL, NULL),
      ws_tls_new_self_signed(NULL, NULL),
      ws_tls_new_self_signed("localhost", NULL),
      ws_conn_get_tls(NULL, &ti),
      ws_listener_set_tls(NULL, NULL),
      ws_request_get_tls(NULL, &ti),
      ws_client_new(NULL, NULL, NULL),
      ws_client_close(NULL, 1000, NULL),
      ws_client_send(NULL, WS_OP_TEXT, "x", 1, 0),
      ws_client_retry_now(NULL),
      ws_client_set_headers(NULL, NULL, 0),
      ws_sync_connect(NULL, NULL, NULL),
      ws_sync_connect("ws://127.0.0.1:1/", NULL, NULL),
      ws_sync_send(NULL, WS_OP_TEXT, "x", 1),
      ws_sync_recv(NULL, 0, &op, &data, &len),
      ws_sync_close(NULL, 1000, NULL),
  };
  for (size_t i = 0; i < COUNT_OF(codes); ++i) {
    if (codes[i] != WS_ERR_INVALID) fail_msg("call %zu returned %d", i, codes[i]);
  }
  assert_detail_has("NULL");
}

/* bad: 230 */
static void test_misuse_null_handles_of_getters_give_nothing(void **state) {
  (void)state;
  void *to = &to;
  size_t len = 7;
  ws_header h;
  ws_slice out[1];
  assert_null(ws_message_ref(NULL));
  assert_int_equal(ws_message_opcode(NULL), 0);
  assert_int_equal(ws_message_data(NULL).len, 0);
  assert_null(ws_request_ref(NULL));
  assert_int_equal(ws_request_is_upgrade(NULL), 0);
  (void)ws_request_method(NULL);
  (void)ws_request_path(NULL);
  (void)ws_request_query(NULL);
  (void)ws_request_peer(NULL);
  (void)ws_request_local(NULL);
  assert_null(ws_request_header(NULL, "Host", &len));
  assert_int_equal(ws_request_header_at(NULL, 0, &h), 0);
  assert_null(ws_request_cookie(NULL, "a", &len));
  assert_null(ws_request_subprotocol(NULL, 0));
  ws_engine_landing(NULL, &to, &len);
  assert_int_equal(len, 0);
  assert_int_equal(ws_engine_output(NULL, out, 1), 0);
  assert_int_equal(ws_engine_want(NULL), 0);
  (void)ws_engine_deadline(NULL);
  assert_null(ws_engine_request(NULL));
  assert_null(ws_engine_response_header(NULL, "x", NULL));
  assert_int_equal(ws_engine_response_body(NULL).len, 0);
  (void)ws_engine_subprotocol(NULL);
  assert_int_equal(ws_engine_buffered(NULL), 0);
  assert_int_equal(ws_loop_now(NULL), 0);
  assert_null(ws_conn_ref(NULL));
  assert_int_equal(ws_conn_id(NULL), 0);
  assert_null(ws_conn_loop(NULL));
  assert_null(ws_conn_user(NULL));
  (void)ws_conn_peer(NULL);
  assert_string_equal(ws_conn_local(NULL), "");
  (void)ws_conn_subprotocol(NULL);
  assert_int_equal(ws_conn_is_open(NULL), 0);
  assert_int_equal(ws_conn_buffered(NULL), 0);
  assert_int_equal(ws_listener_port(NULL), 0);
  assert_int_equal(ws_server_count(NULL), 0);
  assert_null(ws_tls_ref(NULL));
  assert_string_equal(ws_tls_certificate(NULL), "");
  assert_null(ws_client_conn(NULL));
  assert_int_equal(ws_client_queued(NULL), 0);
  assert_int_equal(ws_client_response_status(NULL), 0);
  assert_null(ws_client_response_header(NULL, "x", &len));
  assert_int_equal(ws_client_response_header_at(NULL, 0, &h), 0);
  assert_int_equal(ws_client_response_body(NULL).len, 0);
  (void)ws_client_url(NULL);
  assert_null(ws_sync_how(NULL));
  assert_null(ws_sync_client(NULL));
  assert_null(ws_sync_conn(NULL));
}

static void test_misuse_null_may_be_freed(void **state) {
  (void)state;
  ws_message_unref(NULL);
  ws_request_unref(NULL);
  ws_engine_free(NULL);
  assert_ok(ws_loop_free(NULL));
  ws_loop_stop(NULL);
  ws_timer_free(NULL);
  ws_timer_stop(NULL);
  ws_conn_unref(NULL);
  ws_conn_set_user(NULL, NULL);
  ws_conn_abort(NULL);
  ws_server_free(NULL);
  ws_listener_close(NULL);
  ws_tls_unref(NULL);
  ws_client_free(NULL);
  ws_sync_free(NULL);
}

static void some_timer(ws_timer *t, void *user) { (void)t, (void)user; }

/* bad: 241 */
static void test_misuse_null_arguments_of_live_objects_are_invalid(void **state) {
  World *w = *state;
  Peer p;
  ws_timer *t = NULL;
  ws_server *s = NULL;
  ws_engine *e = NULL;
  world_join(w, &p);
  assert_fails(WS_ERR_INVALID, ws_conn_send_message(w->conn, NULL));
  assert_fails(WS_ERR_INVALID, ws_conn_post_message(w->conn, NULL));
  assert_fails(WS_ERR_INVALID, ws_conn_keep_message(w->conn, NULL));
  assert_fails(WS_ERR_INVALID, ws_conn_get_stats(w->conn, NULL));
  assert_fails(WS_ERR_INVALID, ws_loop_post(w->loop, NULL, NULL));
  assert_fails(WS_ERR_INVALID, ws_timer_new(w->loop, NULL, NULL, &t));
  assert_fails(WS_ERR_INVALID, ws_timer_new(w->loop, some_timer, NULL, NULL));
  assert_null(t);
  assert_fails(WS_ERR_INVALID, ws_server_new(NULL, NULL, &s));
  assert_fails(WS_ERR_INVALID, ws_server_new(w->loop, NULL, NULL));
  assert_null(s);
  assert_fails(WS_ERR_INVALID, ws_server_each(w->server, NULL, NULL));
  assert_ok(ws_engine_new_server(NULL, &e));
  assert_fails(WS_ERR_INVALID, ws_engine_next(e, NULL));
  assert_fails(WS_ERR_INVALID, ws_engine_send_message(e, NULL));
  assert_null(ws_engine_response_header(e, NULL, NULL));
  assert_null(ws_engine_response_header(e, "x", NULL)); /* a server has no response */
  assert_int_equal(ws_engine_response_body(e).len, 0);
  ws_engine_free(e);
  assert_ok(ws_conn_send(w->conn, WS_OP_TEXT, "fine", 4, 0));
  peer_expect_text(&p, "fine");
  peer_drop(&p);
}

/* bad: 241 */
static void test_misuse_null_arguments_of_a_client_are_invalid(void **state) {
  World *w = *state;
  ws_client_config c;
  ws_client *cl = NULL;
  ws_header h, nameless = {NULL, "x"}, empty = {"x", NULL};
  const char *none = NULL;
  char url[64];
  WS_INIT(&c);
  assert_fails(WS_ERR_INVALID, ws_client_new(w->loop, NULL, &cl)); /* no URL */
  assert_fails(WS_ERR_INVALID, ws_client_new(w->loop, &c, &cl));
  snprintf(url, sizeof url, "ws://127.0.0.1:%d/", w->port);
  c.url = url;
  assert_fails(WS_ERR_INVALID, ws_client_new(NULL, &c, &cl));
  assert_fails(WS_ERR_INVALID, ws_client_new(w->loop, &c, NULL));
  c.header_count = 1;
  assert_fails(WS_ERR_INVALID, ws_client_new(w->loop, &c, &cl));
  c.headers = &nameless;
  assert_fails(WS_ERR_INVALID, ws_client_new(w->loop, &c, &cl));
  c.headers = &empty;
  assert_fails(WS_ERR_INVALID, ws_client_new(w->loop, &c, &cl));
  c.header_count = 0;
  c.subprotocol_count = 1;
  assert_fails(WS_ERR_INVALID, ws_client_new(w->loop, &c, &cl));
  c.subprotocols = &none;
  assert_fails(WS_ERR_INVALID, ws_client_new(w->loop, &c, &cl));
  c.subprotocol_count = 0;
  assert_null(cl);
  run_for(w->loop, 5);
  assert_int_equal(w->opened, 0);

  assert_ok(ws_client_new(w->loop, &c, &cl));
  world_wait_log(w, "open");
  while (ws_client_conn(cl) == NULL) ws_loop_dispatch(w->loop, 5);
  assert_fails(WS_ERR_INVALID, ws_client_send(cl, WS_OP_TEXT, NULL, 1, 0));
  assert_fails(WS_ERR_INVALID, ws_client_set_headers(cl, NULL, 1));
  assert_null(ws_client_response_header(cl, NULL, NULL));
  assert_int_equal(ws_client_response_header_at(cl, 0, NULL), 0);
  assert_int_equal(ws_client_response_header_at(cl, SIZE_MAX, &h), 0);
  assert_fails(WS_ERR_INVALID, ws_conn_get_tls(ws_client_conn(cl), NULL));
  assert_ok(ws_client_send(cl, WS_OP_TEXT, "fine", 4, 0));
  world_wait_log(w, "text:fine");
  ws_client_free(cl);
}

/* bad: 241 */
static void test_misuse_tls_settings_without_their_arguments_are_refused(void **state) {
  World *w = *state;
  ws_tls_config c;
  ws_tls *t = NULL, *client = NULL, *none = NULL;
  WS_INIT(&c);
  assert_fails(WS_ERR_INVALID, ws_tls_new_self_signed(NULL, &t));
  assert_fails(WS_ERR_INVALID, ws_tls_new_self_signed("", &t));
  c.alternative_count = 1;
  assert_fails(WS_ERR_INVALID, ws_tls_new(&c, &t));
  c.alternatives = &none;
  assert_fails(WS_ERR_INVALID, ws_tls_new(&c, &t));
  c.alternative_count = 0;
  c.size = 3;
  assert_fails(WS_ERR_INVALID, ws_tls_new(&c, &t));
  c.size = sizeof c;
  c.flags = 1u << 31;
  assert_fails(WS_ERR_UNSUPPORTED, ws_tls_new(&c, &t));
  assert_null(t);
  c.flags = 0;
  c.verify = WS_TLS_VERIFY_NONE;
  assert_ok(ws_tls_new(&c, &client));
  assert_string_equal(ws_tls_certificate(client), "");
  assert_fails(WS_ERR_INVALID, ws_listener_set_tls(w->listener, client)); /* no certificate */
  assert_ok(ws_listener_set_tls(w->listener, NULL));
  ws_tls_unref(client);
}

static void answer_nothing(ws_request *r, void *user) {
  (void)user;
  ws_header h;
  assert_null(ws_request_header(r, NULL, NULL));
  assert_null(ws_request_cookie(r, NULL, NULL));
  assert_int_equal(ws_request_header_at(r, 0, NULL), 0);
  assert_int_equal(ws_request_header_at(r, SIZE_MAX, &h), 0);
  ws_accept how;
  memset(&how, 0, sizeof how);
  assert_fails(WS_ERR_INVALID, ws_request_accept(r, &how)); /* no WS_INIT */
  ws_handlers handlers;
  memset(&handlers, 0, sizeof handlers);
  WS_INIT(&how);
  how.handlers = &handlers;
  assert_fails(WS_ERR_INVALID, ws_request_accept(r, &how));
}

static void test_misuse_of_a_request_leaves_it_answerable(void **state) {
  (void)state;
  World w;
  Peer p;
  world_prepare(&w);
  w.config.on_request = answer_nothing;
  world_start(&w);
  world_join(&w, &p);
  peer_drop(&p);
  world_stop(&w);
}

/* A request referenced and let go without an answer is ended by the handshake timeout. */
static ws_request *dropped;
static void keep_only(ws_request *r, void *user) {
  (void)user;
  dropped = ws_request_ref(r);
}

static void test_misuse_request_kept_and_dropped_unanswered_ends_in_time(void **state) {
  (void)state;
  World w;
  Peer p;
  world_prepare(&w);
  w.config.on_request = keep_only;
  w.limits.handshake_timeout_ms = 40;
  dropped = NULL;
  world_start(&w);
  peer_connect(&p, w.loop, w.port);
  peer_say(&p, WIRE_OPEN("/", ""));
  for (int i = 0; i < 1000 && dropped == NULL; ++i) run_for(w.loop, 1);
  ws_request_unref(dropped);
  peer_expect_status(&p, 503, NULL, 0);
  peer_drop(&p);
  world_stop(&w);
}

int main(void) {
#define WITH_WORLD(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_misuse_null_handles_of_calls_with_a_code_are_invalid),
      cmocka_unit_test(test_misuse_null_clients_and_tls_settings_are_invalid),
      cmocka_unit_test(test_misuse_null_handles_of_getters_give_nothing),
      cmocka_unit_test(test_misuse_null_may_be_freed),
      WITH_WORLD(test_misuse_null_arguments_of_live_objects_are_invalid),
      WITH_WORLD(test_misuse_null_arguments_of_a_client_are_invalid),
      WITH_WORLD(test_misuse_tls_settings_without_their_arguments_are_refused),
      cmocka_unit_test(test_misuse_of_a_request_leaves_it_answerable),
      cmocka_unit_test(test_misuse_request_kept_and_dropped_unanswered_ends_in_time),
  };
  return cmocka_run_group_tests_name("misuse", tests, NULL, NULL);
}
