/*
 * pool.h: starting, spreading connections, limits, stopping.  The pool has the threads; the peers
 * are on the test's own, which turns an empty loop while it waits.
 */
#include "hook.h"
#include "world.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

enum { kMaxLoops = 8, kMaxPeers = 128 };

typedef struct Group {
  ws_pool *pool;
  ws_loop *waiting; /* nothing is on it */
  ws_loop_config loop_config;
  ws_server_config server_config;
  ws_conn_config limits;
  ws_handlers handlers;
  ws_pool_config config;
  ws_pool_listener *listener;
  uint16_t port;
  int fail_at; /* on_start of this index fails */
  atomic_int starts, stops, opened, closed, cancelled, wrong_thread, done, tasks, dropped_tasks;
  atomic_int results[8]; /* of calls made on a thread of the pool */
  pthread_t threads[kMaxLoops];
  Peer peers[kMaxPeers];
  int peer_count;
} Group;

static void on_open(ws_conn *c, void *user) {
  Group *g = user;
  (void)c;
  atomic_fetch_add(&g->opened, 1);
}

static void on_message(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  (void)user;
  if (ws_conn_send(c, op, data, len, 0) < 0) abort();
}

static void on_close(ws_conn *c, const ws_close_info *how, void *user) {
  Group *g = user;
  int mine = 0;
  (void)c;
  for (int i = 0; i < kMaxLoops; ++i) {
    mine += g->threads[i] != 0 && pthread_equal(g->threads[i], pthread_self());
  }
  if (!mine) atomic_fetch_add(&g->wrong_thread, 1);
  if (how->error == WS_ERR_CANCELLED) atomic_fetch_add(&g->cancelled, 1);
  atomic_fetch_add(&g->closed, 1);
}

static int on_start(ws_loop *l, ws_server *s, uint32_t index, void *user) {
  Group *g = user;
  if (l == NULL || s == NULL) abort();
  g->threads[index] = pthread_self();
  if ((int)index == g->fail_at) return -77;
  atomic_fetch_add(&g->starts, 1);
  return 0;
}

static void on_stop(ws_loop *l, uint32_t index, void *user) {
  Group *g = user;
  (void)l;
  if (!pthread_equal(g->threads[index], pthread_self())) atomic_fetch_add(&g->wrong_thread, 1);
  atomic_fetch_add(&g->stops, 1);
}

static Group *group_new(uint32_t threads) {
  Group *g = calloc(1, sizeof *g);
  assert_non_null(g);
  WS_INIT(&g->loop_config);
  WS_INIT(&g->server_config);
  WS_INIT(&g->limits);
  WS_INIT(&g->handlers);
  WS_INIT(&g->config);
  g->loop_config.poller = test_poller();
  g->handlers.on_open = on_open;
  g->handlers.on_message = on_message;
  g->handlers.on_close = on_close;
  g->server_config.handlers = &g->handlers;
  g->server_config.conn = &g->limits;
  g->server_config.user = g;
  g->config.threads = threads;
  g->config.loop = &g->loop_config;
  g->config.server = &g->server_config;
  g->config.on_start = on_start;
  g->config.on_stop = on_stop;
  g->config.user = g;
  g->fail_at = -1;
  assert_ok(ws_loop_new(NULL, &g->waiting));
  return g;
}

static void group_start(Group *g, ws_spread spread) {
  ws_listen_config c;
  WS_INIT(&c);
  c.host = "127.0.0.1";
  assert_ok(ws_pool_new(&g->config, &g->pool));
  assert_ok(ws_pool_listen(g->pool, &c, spread, &g->listener));
  g->port = ws_pool_port(g->listener);
  assert_true(g->port != 0);
}

static void group_end(Group *g) {
  if (g->pool != NULL) assert_ok(ws_pool_free(g->pool));
  for (int i = 0; i < g->peer_count; ++i) peer_drop(&g->peers[i]);
  assert_int_equal(atomic_load(&g->stops), atomic_load(&g->starts));
  assert_int_equal(atomic_load(&g->opened), atomic_load(&g->closed));
  assert_int_equal(atomic_load(&g->wrong_thread), 0);
  assert_ok(ws_loop_free(g->waiting));
  free(g);
}

static void wait_for(Group *g, atomic_int *what, int count) {
  for (uint64_t end = clock_ms() + PATIENCE_MS; atomic_load(what) < count;) {
    if (clock_ms() > end) fail_msg("%d of %d", atomic_load(what), count);
    ws_loop_dispatch(g->waiting, 1);
  }
  assert_int_equal(atomic_load(what), count);
}

static Peer *join(Group *g) {
  Peer *p = &g->peers[g->peer_count++];
  peer_connect(p, g->waiting, g->port);
  peer_open(p);
  return p;
}

static void test_pool_calls_start_and_stop_once_on_each_thread(void **state) {
  (void)state;
  for (uint32_t n = 1; n <= kMaxLoops; n += n == 1 ? 1 : 3) {
    Group *g = group_new(n);
    assert_ok(ws_pool_new(&g->config, &g->pool));
    assert_int_equal(atomic_load(&g->starts), n);
    assert_int_equal(ws_pool_size(g->pool), n);
    for (uint32_t i = 0; i < n; ++i) {
      assert_non_null(ws_pool_loop(g->pool, i));
      assert_non_null(ws_pool_server(g->pool, i));
      for (uint32_t k = 0; k < i; ++k) {
        assert_false(pthread_equal(g->threads[i], g->threads[k]));
        assert_ptr_not_equal(ws_pool_loop(g->pool, i), ws_pool_loop(g->pool, k));
      }
    }
    assert_null(ws_pool_loop(g->pool, n));
    assert_null(ws_pool_server(g->pool, n));
    assert_int_equal(ws_pool_count(g->pool), 0);
    assert_int_equal(atomic_load(&g->stops), 0);
    group_end(g);
  }
}

static void test_pool_without_a_config_has_a_thread_for_each_processor(void **state) {
  ws_pool *p = NULL;
  (void)state;
  assert_ok(ws_pool_new(NULL, &p));
  assert_true(ws_pool_size(p) >= 1);
  assert_ok(ws_pool_free(p));
  assert_ok(ws_pool_free(NULL));
}

static void test_pool_start_that_fails_stops_the_others(void **state) {
  (void)state;
  for (int at = 0; at < 4; ++at) {
    Group *g = group_new(4);
    g->fail_at = at;
    assert_fails(-77, ws_pool_new(&g->config, &g->pool));
    assert_detail_has("on_start");
    assert_null(g->pool);
    assert_int_equal(atomic_load(&g->stops), 3);
    group_end(g);
  }
}

static void test_pool_with_a_bad_config_is_refused(void **state) {
  (void)state;
  Group *g = group_new(1025);
  assert_fails(WS_ERR_INVALID, ws_pool_new(&g->config, &g->pool));
  g->config.threads = 1;
  assert_fails(WS_ERR_INVALID, ws_pool_new(&g->config, NULL));
  g->loop_config.read_bytes = 1;
  assert_fails(WS_ERR_INVALID, ws_pool_new(&g->config, &g->pool));
  g->loop_config.read_bytes = 0;
  g->server_config.origin_count = 1;
  assert_fails(WS_ERR_INVALID, ws_pool_new(&g->config, &g->pool));
  g->server_config.size = 1;
  assert_fails(WS_ERR_INVALID, ws_pool_new(&g->config, &g->pool));
  assert_null(g->pool);
  assert_int_equal(atomic_load(&g->starts), 0);
  group_end(g);
}

static void expect_even(Group *g) {
  size_t least = SIZE_MAX, most = 0, sum = 0;
  for (uint32_t i = 0; i < ws_pool_size(g->pool); ++i) {
    size_t n = ws_server_count(ws_pool_server(g->pool, i));
    least = n < least ? n : least;
    most = n > most ? n : most;
    sum += n;
  }
  assert_int_equal(sum, ws_pool_count(g->pool));
  if (most - least > 1) fail_msg("%zu to %zu", least, most);
}

static void test_pool_handover_keeps_connections_even(void **state) {
  (void)state;
  for (uint32_t n = 2; n <= kMaxLoops; ++n) {
    Group *g = group_new(n);
    group_start(g, WS_SPREAD_HANDOVER);
    int many = (int)(3 * n + n / 2);
    for (int i = 0; i < many; ++i) join(g);
    wait_for(g, &g->opened, many);
    assert_int_equal(ws_pool_count(g->pool), many);
    expect_even(g);
    for (int i = 0; i < many; ++i) peer_send_text(&g->peers[i], "hello");
    for (int i = 0; i < many; ++i) peer_expect_text(&g->peers[i], "hello");
    group_end(g);
  }
}

static void test_pool_handover_fills_the_loops_that_lost_connections(void **state) {
  (void)state;
  Group *g = group_new(3);
  group_start(g, WS_SPREAD_HANDOVER);
  for (int i = 0; i < 12; ++i) {
    join(g);
    wait_for(g, &g->opened, i + 1); /* one at a time: the i-th is on loop i % 3 */
  }
  for (int i = 0; i < 12; i += 3) peer_drop(&g->peers[i]);
  wait_for(g, &g->closed, 4);
  for (int i = 0; i < 4; ++i) join(g);
  wait_for(g, &g->opened, 16);
  expect_even(g);
  group_end(g);
}

static void test_pool_reuseport_has_one_port_for_all(void **state) {
  (void)state;
  Group *g = group_new(4);
  int fds[8];
  group_start(g, WS_SPREAD_REUSEPORT);
  assert_int_equal(ws_pool_listener_fds(g->listener, fds, 8), 4);
  assert_int_equal(ws_pool_listener_fds(g->listener, fds, 1), 4);
  for (int i = 0; i < 24; ++i) join(g);
  wait_for(g, &g->opened, 24);
  for (int i = 0; i < 24; ++i) {
    peer_send_text(&g->peers[i], "x");
    peer_expect_text(&g->peers[i], "x");
  }
  group_end(g);
}

static void test_pool_listens_on_an_inherited_descriptor(void **state) {
  (void)state;
  Group *g = group_new(2);
  Group *other = group_new(1);
  group_start(other, WS_SPREAD_HANDOVER);
  assert_ok(ws_pool_new(&g->config, &g->pool));
  int fd = -1;
  assert_int_equal(ws_pool_listener_fds(other->listener, &fd, 1), 1);
  int copy = dup(fd);
  assert_ok(ws_pool_listen_fd(g->pool, copy, NULL, &g->listener));
  g->port = ws_pool_port(g->listener);
  assert_int_equal(g->port, other->port);
  assert_ok(ws_pool_free(other->pool)); /* the port stays open */
  other->pool = NULL;
  for (int i = 0; i < 4; ++i) join(g);
  wait_for(g, &g->opened, 4);
  expect_even(g);
  assert_fails(WS_ERR_INVALID, ws_pool_listen_fd(g->pool, g->peers[0].fd, NULL, NULL));
  assert_fails(WS_ERR_INVALID, ws_pool_listen_fd(g->pool, -1, NULL, NULL));
  group_end(g);
  group_end(other);
}

static void test_pool_listen_refuses_what_cannot_be(void **state) {
  (void)state;
  Group *g = group_new(2);
  ws_listen_config c;
  group_start(g, WS_SPREAD_HANDOVER);
  WS_INIT(&c);
  c.host = "127.0.0.1";
  c.port = g->port;
  assert_fails(WS_ERR_ADDR, ws_pool_listen(g->pool, &c, WS_SPREAD_HANDOVER, NULL));
  assert_fails(WS_ERR_ADDR, ws_pool_listen(g->pool, &c, WS_SPREAD_REUSEPORT, NULL));
  assert_fails(WS_ERR_INVALID, ws_pool_listen(g->pool, &c, (ws_spread)2, NULL));
  c.host = NULL;
  c.port = 0;
  c.unix_path = "@libws-pool-test";
  assert_fails(WS_ERR_INVALID, ws_pool_listen(g->pool, &c, WS_SPREAD_REUSEPORT, NULL));
  c.unix_mode = 01000;
  assert_fails(WS_ERR_INVALID, ws_pool_listen(g->pool, &c, WS_SPREAD_HANDOVER, NULL));
  assert_fails(WS_ERR_INVALID, ws_pool_listen(NULL, &c, WS_SPREAD_HANDOVER, NULL));
  join(g);
  wait_for(g, &g->opened, 1);
  group_end(g);
}

/* ---- limits ---- */

static void test_pool_never_passes_max_connections(void **state) {
  (void)state;
  for (int spread = 0; spread < 2; ++spread) {
    Group *g = group_new(spread == 0 ? 3 : 1);
    g->server_config.max_connections = 2;
    group_start(g, spread == 0 ? WS_SPREAD_HANDOVER : WS_SPREAD_REUSEPORT);
    int places = spread == 0 ? 6 : 2;
    for (int i = 0; i < places; ++i) join(g);
    wait_for(g, &g->opened, places);
    Peer *late[3];
    for (int i = 0; i < 3; ++i) { /* these wait in the kernel */
      late[i] = &g->peers[g->peer_count++];
      peer_connect(late[i], g->waiting, g->port);
      peer_say(late[i], WIRE_OPEN("/", ""));
    }
    run_for(g->waiting, 20);
    assert_int_equal(atomic_load(&g->opened), places);
    for (int i = 0; i < 3; ++i) {
      peer_drop(&g->peers[i % places]);
      if (i >= places) peer_drop(late[0]);
      wait_for(g, &g->opened, places + i + 1);
      peer_expect_101(late[i]);
    }
    group_end(g);
  }
}

static void test_pool_out_of_descriptors_goes_on_when_some_are_free(void **state) {
  (void)state;
  if (valgrind_is_on()) skip();
  Group *g = group_new(2);
  struct rlimit before, low;
  group_start(g, WS_SPREAD_HANDOVER);
  for (int i = 0; i < 4; ++i) join(g);
  wait_for(g, &g->opened, 4);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
  /* A hole for the peer's end, none for the server's. */
  int lowest = dup(0);
  close(lowest);
  low = before;
  low.rlim_cur = (rlim_t)lowest + 1;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
  Peer *late = &g->peers[g->peer_count++];
  peer_connect(late, g->waiting, g->port);
  peer_say(late, WIRE_OPEN("/", ""));
  run_for(g->waiting, 30);
  assert_int_equal(atomic_load(&g->opened), 4);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
  wait_for(g, &g->opened, 5);
  peer_expect_101(late);
  group_end(g);
}

/* ---- calls from a thread of the pool, and tasks ---- */

static void run_calls(ws_loop *l, void *arg, int cancelled) {
  Group *g = arg;
  ws_listen_config c;
  (void)l;
  if (cancelled) return;
  WS_INIT(&c);
  c.host = "127.0.0.1";
  atomic_store(&g->results[0], ws_pool_free(g->pool));
  atomic_store(&g->results[1], ws_pool_wait(g->pool));
  atomic_store(&g->results[2], ws_pool_listen(g->pool, &c, WS_SPREAD_HANDOVER, NULL));
  atomic_store(&g->results[3], ws_pool_listen_fd(g->pool, 0, NULL, NULL));
  atomic_store(&g->results[4], ws_server_listen(ws_pool_server(g->pool, 0), &c, NULL));
  atomic_store(&g->results[5], ws_server_listen_fd(ws_pool_server(g->pool, 0), 0, NULL));
  atomic_store(&g->done, 1);
}

static void test_pool_calls_that_wait_are_refused_on_its_threads(void **state) {
  (void)state;
  Group *g = group_new(2);
  group_start(g, WS_SPREAD_HANDOVER);
  assert_ok(ws_loop_post(ws_pool_loop(g->pool, 0), run_calls, g));
  wait_for(g, &g->done, 1);
  for (int i = 0; i < 4; ++i) assert_int_equal(atomic_load(&g->results[i]), WS_ERR_REENTRANT);
  for (int i = 4; i < 6; ++i) assert_int_equal(atomic_load(&g->results[i]), WS_ERR_STATE);
  group_end(g);
}

static void count_task(ws_loop *l, void *arg, int cancelled) {
  Group *g = arg;
  (void)l;
  atomic_fetch_add(cancelled ? &g->dropped_tasks : &g->tasks, 1);
}

static void test_pool_post_runs_once_on_each_loop_or_is_cancelled(void **state) {
  (void)state;
  Group *g = group_new(5);
  group_start(g, WS_SPREAD_HANDOVER);
  assert_ok(ws_pool_post(g->pool, count_task, g));
  wait_for(g, &g->tasks, 5);
  assert_fails(WS_ERR_INVALID, ws_pool_post(g->pool, NULL, g));
  ws_pool_stop(g->pool);
  assert_ok(ws_pool_wait(g->pool));
  assert_ok(ws_pool_post(g->pool, count_task, g));
  assert_int_equal(atomic_load(&g->dropped_tasks), 0);
  assert_ok(ws_pool_free(g->pool));
  g->pool = NULL;
  assert_int_equal(atomic_load(&g->dropped_tasks), 5);
  assert_int_equal(atomic_load(&g->tasks), 5);
  group_end(g);
}

/* ---- the end ---- */

static ws_pool *signalled;
static void on_signal(int number) {
  (void)number;
  ws_pool_stop(signalled);
}

static void test_pool_stop_from_a_signal_handler_ends_it(void **state) {
  (void)state;
  Group *g = group_new(4);
  struct sigaction action, before;
  group_start(g, WS_SPREAD_HANDOVER);
  join(g);
  wait_for(g, &g->opened, 1);
  memset(&action, 0, sizeof action);
  action.sa_handler = on_signal;
  signalled = g->pool;
  sigaction(SIGUSR1, &action, &before);
  raise(SIGUSR1);
  assert_ok(ws_pool_wait(g->pool));
  sigaction(SIGUSR1, &before, NULL);
  assert_int_equal(atomic_load(&g->stops), 4);
  assert_int_equal(atomic_load(&g->closed), 1);
  assert_int_equal(ws_pool_port(g->listener), 0);
  assert_int_equal(ws_pool_listener_fds(g->listener, NULL, 0), 0);
  ws_listen_config c;
  WS_INIT(&c);
  c.host = "127.0.0.1";
  assert_fails(WS_ERR_STATE, ws_pool_listen(g->pool, &c, WS_SPREAD_HANDOVER, NULL));
  assert_fails(WS_ERR_STATE, ws_pool_shutdown(g->pool, NULL, NULL, NULL));
  group_end(g);
}

static void test_pool_free_delivers_every_close_on_its_thread(void **state) {
  (void)state;
  Group *g = group_new(4);
  group_start(g, WS_SPREAD_HANDOVER);
  for (int i = 0; i < 100; ++i) join(g);
  wait_for(g, &g->opened, 100);
  assert_ok(ws_pool_free(g->pool));
  g->pool = NULL;
  assert_int_equal(atomic_load(&g->closed), 100);
  assert_int_equal(atomic_load(&g->cancelled), 100);
  for (int i = 0; i < 100; ++i) peer_expect_gone(&g->peers[i]);
  group_end(g);
}

static void test_pool_free_while_clients_connect_leaves_nothing(void **state) {
  (void)state;
  for (int round = 0; round < 10; ++round) {
    Group *g = group_new(3);
    group_start(g, round % 2 == 0 ? WS_SPREAD_HANDOVER : WS_SPREAD_REUSEPORT);
    for (int i = 0; i < 30; ++i) {
      Peer *p = &g->peers[g->peer_count++];
      peer_connect(p, g->waiting, g->port);
      peer_say(p, WIRE_OPEN("/", ""));
    }
    assert_ok(ws_pool_free(g->pool));
    g->pool = NULL;
    for (int i = 0; i < g->peer_count; ++i) peer_expect_gone(&g->peers[i]);
    group_end(g);
  }
}

static void on_done(ws_pool *p, void *arg) {
  Group *g = arg;
  if (p != g->pool) abort();
  atomic_store(&g->results[0], atomic_load(&g->closed));
  atomic_fetch_add(&g->done, 1);
}

static void test_pool_shutdown_closes_all_tells_once_and_stops(void **state) {
  (void)state;
  Group *g = group_new(3);
  ws_drain how;
  group_start(g, WS_SPREAD_HANDOVER);
  for (int i = 0; i < 10; ++i) join(g);
  wait_for(g, &g->opened, 10);
  WS_INIT(&how);
  how.code = 1005;
  assert_fails(WS_ERR_INVALID, ws_pool_shutdown(g->pool, &how, on_done, g));
  how.code = 1012;
  how.reason = "restart";
  assert_ok(ws_pool_shutdown(g->pool, &how, on_done, g));
  assert_fails(WS_ERR_STATE, ws_pool_shutdown(g->pool, &how, on_done, g));
  for (int i = 0; i < 10; ++i) {
    peer_expect_close(&g->peers[i], 1012);
    assert_int_equal(atomic_load(&g->done), 0);
    peer_send_close(&g->peers[i], 1012, NULL);
    peer_expect_end(&g->peers[i]);
    peer_drop(&g->peers[i]);
  }
  assert_ok(ws_pool_wait(g->pool));
  assert_int_equal(atomic_load(&g->done), 1);
  assert_int_equal(atomic_load(&g->results[0]), 10);
  Peer p;
  assert_true(peer_try_connect(&p, g->waiting, g->port, 0) != 0);
  group_end(g);
}

static void test_pool_shutdown_without_connections_is_done(void **state) {
  (void)state;
  Group *g = group_new(4);
  group_start(g, WS_SPREAD_REUSEPORT);
  assert_ok(ws_pool_shutdown(g->pool, NULL, on_done, g));
  assert_ok(ws_pool_wait(g->pool));
  assert_int_equal(atomic_load(&g->done), 1);
  group_end(g);
}

static void test_pool_shutdown_aborts_what_remains(void **state) {
  (void)state;
  Group *g = group_new(2);
  ws_drain how;
  group_start(g, WS_SPREAD_HANDOVER);
  for (int i = 0; i < 4; ++i) join(g);
  wait_for(g, &g->opened, 4);
  WS_INIT(&how);
  how.timeout_ms = 20;
  assert_ok(ws_pool_shutdown(g->pool, &how, on_done, g));
  assert_ok(ws_pool_wait(g->pool));
  assert_int_equal(atomic_load(&g->done), 1);
  assert_int_equal(atomic_load(&g->cancelled), 4);
  group_end(g);
}

static void test_pool_null_handles_are_harmless(void **state) {
  (void)state;
  ws_pool_stop(NULL);
  ws_pool_leave_file(NULL);
  assert_fails(WS_ERR_INVALID, ws_pool_wait(NULL));
  assert_fails(WS_ERR_INVALID, ws_pool_post(NULL, count_task, NULL));
  assert_fails(WS_ERR_INVALID, ws_pool_shutdown(NULL, NULL, NULL, NULL));
  assert_fails(WS_ERR_INVALID, ws_pool_listen_fd(NULL, 0, NULL, NULL));
  assert_fails(WS_ERR_INVALID, ws_pool_set_tls(NULL, NULL));
  assert_int_equal(ws_pool_port(NULL), 0);
  assert_int_equal(ws_pool_size(NULL), 0);
  assert_int_equal(ws_pool_count(NULL), 0);
  assert_int_equal(ws_pool_listener_fds(NULL, NULL, 0), 0);
  assert_null(ws_pool_loop(NULL, 0));
  assert_null(ws_pool_server(NULL, 0));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_pool_calls_start_and_stop_once_on_each_thread),
      cmocka_unit_test(test_pool_without_a_config_has_a_thread_for_each_processor),
      cmocka_unit_test(test_pool_start_that_fails_stops_the_others),
      cmocka_unit_test(test_pool_with_a_bad_config_is_refused),
      cmocka_unit_test(test_pool_handover_keeps_connections_even),
      cmocka_unit_test(test_pool_handover_fills_the_loops_that_lost_connections),
      cmocka_unit_test(test_pool_reuseport_has_one_port_for_all),
      cmocka_unit_test(test_pool_listens_on_an_inherited_descriptor),
      cmocka_unit_test(test_pool_listen_refuses_what_cannot_be),
      cmocka_unit_test(test_pool_never_passes_max_connections),
      cmocka_unit_test(test_pool_out_of_descriptors_goes_on_when_some_are_free),
      cmocka_unit_test(test_pool_calls_that_wait_are_refused_on_its_threads),
      cmocka_unit_test(test_pool_post_runs_once_on_each_loop_or_is_cancelled),
      cmocka_unit_test(test_pool_stop_from_a_signal_handler_ends_it),
      cmocka_unit_test(test_pool_free_delivers_every_close_on_its_thread),
      cmocka_unit_test(test_pool_free_while_clients_connect_leaves_nothing),
      cmocka_unit_test(test_pool_shutdown_closes_all_tells_once_and_stops),
      cmocka_unit_test(test_pool_shutdown_without_connections_is_done),
      cmocka_unit_test(test_pool_shutdown_aborts_what_remains),
      cmocka_unit_test(test_pool_null_handles_are_harmless),
  };
  return cmocka_run_group_tests_name("pool", tests, hook_set, NULL);
}
