/*
 * server.h, ws_server_drain(): Close frames that are spread over time, requests under way, and
 * what of a listener is for another process.
 */
#include "world.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static int told;
static void done(ws_server *s, void *arg) {
  (void)s, (void)arg;
  ++told;
}

static void test_drain_spreads_closes_evenly_the_oldest_first(void **state) {
  World *w = *state;
  enum { kPeers = 5, kSpreadMs = 200 };
  Peer peers[kPeers];
  ws_drain how;
  told = 0;
  for (int i = 0; i < kPeers; ++i) world_join(w, &peers[i]);
  WS_INIT(&how);
  how.code = 1012;
  how.reason = "restart";
  how.spread_ms = kSpreadMs;
  uint64_t start = clock_ms();
  assert_ok(ws_server_drain(w->server, &how, done, NULL));
  for (int i = 0; i < kPeers; ++i) {
    peer_expect_close(&peers[i], 1012);
    /* Timers are never early; how late they are is the machine's affair. */
    assert_true(clock_ms() - start + 2 >= (uint64_t)(i * kSpreadMs / kPeers));
    assert_int_equal(w->closed, i);
    peer_send_close(&peers[i], 1012, NULL);
    world_wait_closed(w, i + 1);
    assert_int_equal(told, 0);
    if (i + 1 == kPeers) break;
  }
  assert_true(run_until(w->loop, &told, PATIENCE_MS));
  assert_int_equal(told, 1);
  for (int i = 0; i < kPeers; ++i) peer_drop(&peers[i]);
}

static void test_drain_defaults_are_1001_at_once(void **state) {
  World *w = *state;
  Peer p, q;
  told = 0;
  world_join(w, &p);
  world_join(w, &q);
  assert_ok(ws_server_drain(w->server, NULL, done, NULL));
  peer_expect_close(&p, 1001);
  peer_expect_close(&q, 1001);
  assert_int_equal(w->closed, 0);
  peer_drop(&p);
  peer_drop(&q);
  assert_true(run_until(w->loop, &told, PATIENCE_MS));
}

static void test_drain_whose_clients_leave_early_is_done_early(void **state) {
  World *w = *state;
  Peer p, q;
  ws_drain how;
  told = 0;
  world_join(w, &p);
  world_join(w, &q);
  WS_INIT(&how);
  how.spread_ms = INT32_MAX;
  assert_ok(ws_server_drain(w->server, &how, done, NULL));
  peer_expect_close(&p, 1001);
  peer_drop(&p);
  peer_drop(&q);
  assert_true(run_until(w->loop, &told, PATIENCE_MS));
}

static void test_drain_deadline_counts_from_the_end_of_the_spread(void **state) {
  World *w = *state;
  Peer p;
  ws_drain how;
  told = 0;
  world_join(w, &p);
  WS_INIT(&how);
  how.spread_ms = 60;
  how.timeout_ms = 40;
  uint64_t start = clock_ms();
  assert_ok(ws_server_drain(w->server, &how, done, NULL));
  peer_expect_close(&p, 1001);
  assert_true(run_until(w->loop, &told, PATIENCE_MS));
  assert_true(clock_ms() - start >= 98);
  assert_string_equal(w->log, "open close:1006/1001/-10 ");
  peer_drop(&p);
}

static void test_drain_answers_requests_under_way_with_503(void **state) {
  World *w = *state;
  Peer none, some;
  char head[1024];
  told = 0;
  peer_connect(&none, w->loop, w->port);
  peer_connect(&some, w->loop, w->port);
  peer_say(&some, "GET / HTTP/1.1\r\nHost: x\r\n");
  run_for(w->loop, 20);
  assert_ok(ws_server_drain(w->server, NULL, done, NULL));
  peer_expect_gone(&none); /* who said nothing gets nothing */
  peer_expect_status(&some, 503, head, sizeof head);
  assert_non_null(strstr(head, "Connection: close"));
  peer_drop(&none);
  peer_drop(&some);
  assert_true(run_until(w->loop, &told, PATIENCE_MS));
}

static void test_drain_that_finishes_opens_and_then_closes(void **state) {
  World *w = *state;
  Peer open, none, some;
  ws_drain how;
  told = 0;
  world_join(w, &open);
  peer_connect(&none, w->loop, w->port);
  peer_connect(&some, w->loop, w->port);
  peer_say(&some, "GET / HTTP/1.1\r\nHost: x\r\n");
  run_for(w->loop, 20);
  WS_INIT(&how);
  how.code = 1012;
  how.flags = 2;
  assert_fails(WS_ERR_UNSUPPORTED, ws_server_drain(w->server, &how, done, NULL));
  how.flags = WS_DRAIN_FINISH;
  assert_ok(ws_server_drain(w->server, &how, done, NULL));
  peer_expect_close(&open, 1012);
  peer_drop(&open);
  peer_open(&none);
  peer_expect_close(&none, 1012);
  peer_drop(&none);
  peer_say(&some,
           "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
           "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n");
  peer_expect_101(&some);
  peer_expect_close(&some, 1012);
  assert_int_equal(told, 0);
  peer_drop(&some);
  assert_true(run_until(w->loop, &told, PATIENCE_MS));
  assert_int_equal(w->opened, 3);
}

static ws_request *kept;
static void keep(ws_request *r, void *user) {
  (void)user;
  kept = ws_request_ref(r);
}

static void test_drain_answers_for_an_application_that_has_not(void **state) {
  (void)state;
  World w;
  Peer p;
  char head[1024];
  told = 0;
  kept = NULL;
  world_prepare(&w);
  w.config.on_request = keep;
  world_start(&w);
  peer_connect(&p, w.loop, w.port);
  peer_say(&p, WIRE_OPEN("/", ""));
  for (int i = 0; i < 1000 && kept == NULL; ++i) run_for(w.loop, 1);
  assert_non_null(kept);
  assert_ok(ws_server_drain(w.server, NULL, done, NULL));
  assert_fails(WS_ERR_CLOSED, ws_request_accept(kept, NULL));
  peer_expect_status(&p, 503, head, sizeof head);
  ws_request_unref(kept);
  peer_drop(&p);
  assert_true(run_until(w.loop, &told, PATIENCE_MS));
  assert_int_equal(w.opened, 0);
  world_stop(&w);
}

static void test_drain_that_cannot_be_changes_nothing(void **state) {
  World *w = *state;
  Peer p;
  ws_drain how;
  char reason[125];
  told = 0;
  memset(reason, 'r', 124);
  reason[124] = '\0';
  world_join(w, &p);
  for (int i = 0; i < 5; ++i) {
    WS_INIT(&how);
    if (i == 0) how.code = 1006;
    if (i == 1) how.reason = reason;
    if (i == 2) how.reason = "\xff";
    if (i == 3) how.spread_ms = 0x80000000u;
    if (i == 4) how.timeout_ms = 0x80000000u;
    assert_fails(WS_ERR_INVALID, ws_server_drain(w->server, &how, done, NULL));
  }
  assert_fails(WS_ERR_INVALID, ws_server_drain(NULL, NULL, done, NULL));
  WS_INIT(&how);
  how.reason = reason + 1; /* 123 */
  how.timeout_ms = WS_NEVER;
  assert_ok(ws_server_drain(w->server, &how, done, NULL));
  assert_fails(WS_ERR_STATE, ws_server_drain(w->server, &how, done, NULL));
  peer_expect_close(&p, 1001);
  peer_send_close(&p, 1001, NULL);
  assert_true(run_until(w->loop, &told, PATIENCE_MS));
  peer_drop(&p);
}

static void test_listener_fd_is_the_listening_socket(void **state) {
  World *w = *state;
  assert_int_equal(ws_listener_fd(NULL), -1);
  int copy = dup(ws_listener_fd(w->listener));
  assert_true(copy >= 0);
  ws_listener_close(w->listener);
  assert_ok(ws_server_listen_fd(w->server, copy, &w->listener));
  assert_int_equal(ws_listener_port(w->listener), w->port);
  Peer p;
  world_join(w, &p);
  peer_drop(&p);
}

static void test_listener_leaves_its_file_when_told(void **state) {
  World *w = *state;
  char path[64];
  struct stat file;
  ws_listen_config c;
  for (int leave = 0; leave < 2; ++leave) {
    ws_listener *ln;
    snprintf(path, sizeof path, "/tmp/libws-leave-%ld-%d", (long)getpid(), leave);
    WS_INIT(&c);
    c.unix_path = path;
    assert_ok(ws_server_listen(w->server, &c, &ln));
    if (leave) ws_listener_leave_file(ln);
    ws_listener_close(ln);
    assert_int_equal(stat(path, &file), leave ? 0 : -1);
    unlink(path);
  }
  ws_listener_leave_file(NULL);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      WORLD_TEST(test_drain_spreads_closes_evenly_the_oldest_first),
      WORLD_TEST(test_drain_defaults_are_1001_at_once),
      WORLD_TEST(test_drain_whose_clients_leave_early_is_done_early),
      WORLD_TEST(test_drain_deadline_counts_from_the_end_of_the_spread),
      WORLD_TEST(test_drain_answers_requests_under_way_with_503),
      WORLD_TEST(test_drain_that_finishes_opens_and_then_closes),
      cmocka_unit_test(test_drain_answers_for_an_application_that_has_not),
      WORLD_TEST(test_drain_that_cannot_be_changes_nothing),
      WORLD_TEST(test_listener_fd_is_the_listening_socket),
      WORLD_TEST(test_listener_leaves_its_file_when_told),
  };
  return cmocka_run_group_tests_name("drain", tests, NULL, NULL);
}
