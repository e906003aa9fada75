/*
 * ws_loop_abandon() in a forked child: the parent's connections, plain and secured, go on as if
 * there had been no child.  Named for the certificates it needs.
 */
#include "both.h"
#include "child.h"
#include "hook.h"
#include "secured.h"

#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* A server and a client on one loop, connected to each other. */
typedef struct Pair {
  Both *plain;
  Secured *secured;
  World *w;
  Caller *c;
  int descriptors; /* before there was a loop */
  size_t blocks;
} Pair;

static void pair_open(Pair *p, int secure) {
  void *state;
  memset(p, 0, sizeof *p);
  p->descriptors = open_descriptors();
  p->blocks = hook_blocks();
  if (secure) {
    secured_setup(&state);
    p->secured = state;
    p->w = &p->secured->w;
    p->c = &p->secured->c;
    secured_open(p->secured);
  } else {
    both_setup(&state);
    p->plain = state;
    p->w = &p->plain->w;
    p->c = &p->plain->c;
    p->w->limits.deflate = p->c->limits.deflate = WS_DEFLATE_OFF;
    both_open(p->plain);
  }
}

static void pair_close(Pair *p) {
  void *state = p->plain;
  if (p->secured != NULL) state = p->secured;
  if (p->secured != NULL) secured_teardown(&state);
  if (p->plain != NULL) both_teardown(&state);
}

static void pair_wait(Pair *p, const int *value, int want) {
  uint64_t end = clock_ms() + PATIENCE_MS;
  while (*value < want) {
    if (clock_ms() > end) fail_msg("client: %s; server: %s", p->c->log, p->w->log);
    assert_true(ws_loop_dispatch(p->w->loop, 2) >= 0);
  }
}

#define FOR_PLAIN_AND_TLS(secure) for (int secure = 0; secure < 2; ++secure)

/* The child's part: nothing of the loop is left in it, neither descriptors nor memory. */
static void abandon(void *arg) {
  Pair *p = arg;
  ws_loop_abandon(p->w->loop);
  assert_int_equal(open_descriptors(), p->descriptors);
  if (p->secured != NULL) ws_tls_unref(p->secured->server_tls);
  if (p->secured != NULL) ws_tls_unref(p->secured->client_tls);
  assert_int_equal(hook_blocks(), p->blocks);
}

/* More than the kernel holds, so that the connection keeps some of it, which the paused other side
 * does not read; how many messages. */
static int flood(Pair *p, ws_conn *from, ws_conn *to) {
  enum { PIECE = 256 * 1024 };
  uint8_t *noise = some_noise(PIECE, 7);
  int count = 0;
  assert_ok(ws_conn_pause(to));
  while (ws_conn_buffered(from) < 4 * PIECE) {
    assert_true(ws_conn_send(from, WS_OP_BINARY, noise, PIECE, 0) >= 0);
    assert_true(ws_loop_dispatch(p->w->loop, 0) >= 0);
    ++count;
  }
  free(noise);
  return count;
}

static void test_fork_connections_of_the_parent_go_on_with_what_was_queued(void **state) {
  (void)state;
  FOR_PLAIN_AND_TLS(secure) {
    Pair p;
    Child child;
    pair_open(&p, secure);
    const int down = flood(&p, p.w->conn, p.c->conn), up = flood(&p, p.c->conn, p.w->conn);
    child_run(&child, abandon, &p);
    assert_ok(ws_conn_resume(p.w->conn));
    assert_ok(ws_conn_resume(p.c->conn));
    pair_wait(&p, &p.c->messages, down);
    child_end(&child);
    pair_wait(&p, &p.w->messages, up);
    assert_ok(ws_conn_send(p.w->conn, WS_OP_TEXT, "down", 4, 0));
    assert_ok(ws_conn_send(p.c->conn, WS_OP_TEXT, "up", 2, 0));
    pair_wait(&p, &p.c->messages, down + 1);
    pair_wait(&p, &p.w->messages, up + 1);
    assert_ok(ws_conn_close(p.c->conn, 1000, NULL));
    pair_wait(&p, &p.c->closed, 1);
    pair_wait(&p, &p.w->closed, 1);
    assert_int_equal(p.c->how.error, WS_OK);
    assert_int_equal(p.w->how.error, WS_OK);
    pair_close(&p);
  }
}

/* An end that reaches the other side is one that the child has no copy of. */
static void test_fork_what_the_parent_closes_ends_while_the_child_lives(void **state) {
  (void)state;
  FOR_PLAIN_AND_TLS(secure) {
    for (int by_client = 0; by_client < 2; ++by_client) {
      Pair p;
      Peer nobody;
      Child child;
      pair_open(&p, secure);
      child_run(&child, abandon, &p);
      ws_conn_abort(by_client ? p.c->conn : p.w->conn);
      pair_wait(&p, &p.c->closed, 1);
      pair_wait(&p, &p.w->closed, 1);
      assert_int_equal(by_client ? p.w->how.error : p.c->how.error, WS_ERR_EOF);
      ws_listener_close(p.w->listener);
      assert_int_equal(peer_try_connect(&nobody, p.w->loop, p.w->port, 0), ECONNREFUSED);
      child_end(&child);
      pair_close(&p);
    }
  }
}

static void abandon_and_talk(void *arg) {
  Pair own;
  abandon(arg);
  pair_open(&own, 0);
  assert_ok(ws_conn_send(own.c->conn, WS_OP_TEXT, "child", 5, 0));
  pair_wait(&own, &own.w->messages, 1);
  assert_ok(ws_conn_close(own.w->conn, 1000, NULL));
  pair_wait(&own, &own.c->closed, 1);
  assert_int_equal(own.c->how.error, WS_OK);
  pair_close(&own);
}

static void test_fork_child_makes_a_loop_of_its_own(void **state) {
  (void)state;
  FOR_PLAIN_AND_TLS(secure) {
    Pair p;
    Child child;
    pair_open(&p, secure);
    child_run(&child, abandon_and_talk, &p);
    child_end(&child);
    assert_ok(ws_conn_send(p.w->conn, WS_OP_TEXT, "parent", 6, 0));
    pair_wait(&p, &p.c->messages, 1);
    pair_close(&p);
  }
}

/* ---- what lives on a loop besides ---- */

static void forget(void *arg) {
  World *w = arg;
  const int before = w->closed;
  ws_loop_abandon(w->loop);
  assert_int_equal(w->closed, before);
  assert_int_equal(hook_blocks(), 0);
}

static void test_fork_child_says_nothing_to_a_peer(void **state) {
  World *w = *state;
  Peer open, half, silent;
  Child child;
  world_join(w, &open);
  peer_connect(&half, w->loop, w->port);
  peer_say(&half, "GET / HTTP/1.1\r\nHost: x\r\n");
  peer_connect(&silent, w->loop, w->port);
  run_for(w->loop, 5);
  child_run(&child, forget, w);
  peer_expect_quiet(&open);
  peer_expect_quiet(&half);
  peer_expect_quiet(&silent);
  child_end(&child);
  peer_expect_quiet(&open);
  peer_send_text(&open, "still there");
  world_wait_log(w, "text:still there");
  world_stop(w);
  peer_expect_gone(&open);
  peer_expect_gone(&half);
  peer_expect_gone(&silent);
  peer_drop(&open);
  peer_drop(&half);
  peer_drop(&silent);
}

static void test_fork_socket_file_stays_the_parents(void **state) {
  World *w = *state;
  char path[64];
  struct stat file;
  ws_listen_config listen;
  Child child;
  Peer p;
  snprintf(path, sizeof path, "/tmp/libws-fork-%d.sock", (int)getpid());
  WS_INIT(&listen);
  listen.unix_path = path;
  assert_ok(ws_server_listen(w->server, &listen, NULL));
  child_run(&child, forget, w);
  child_end(&child);
  assert_int_equal(stat(path, &file), 0);
  assert_int_equal(peer_try_unix(&p, w->loop, path), 0);
  peer_open(&p);
  peer_drop(&p);
  world_wait_closed(w, 1);
  world_stop(w);
  assert_int_not_equal(stat(path, &file), 0);
}

static void never(ws_timer *t, void *user) {
  (void)t, (void)user;
  fail();
}

static int tasks;
static void count_task(ws_loop *l, void *arg, int cancelled) {
  (void)l, (void)arg, (void)cancelled;
  ++tasks;
}

static void forget_tasks(void *arg) {
  forget(arg);
  assert_int_equal(tasks, 0);
}

/* Timers, the descriptor of ws_loop_fd(), a shutdown under way, tasks, messages posted and queued.
 */
static void test_fork_everything_on_a_loop_is_forgotten(void **state) {
  World *w = *state;
  Peer p;
  ws_timer *timer;
  ws_message *m;
  Child child;
  world_join(w, &p);
  tasks = 0;
  if (strcmp(test_poller(), "poll") != 0) assert_true(ws_loop_fd(w->loop) >= 0);
  assert_ok(ws_timer_new(w->loop, never, NULL, &timer));
  assert_ok(ws_timer_start(timer, 100000));
  assert_ok(ws_loop_post(w->loop, count_task, NULL));
  assert_ok(ws_message_new(WS_OP_TEXT, "posted", 6, &m));
  assert_ok(ws_conn_post_message(w->conn, m));
  ws_message_unref(m);
  assert_ok(ws_loop_post(w->loop, count_task, NULL));
  assert_ok(ws_conn_send(w->conn, WS_OP_TEXT, "later", 5, WS_SEND_LATER));
  assert_ok(ws_server_shutdown(w->server, 1001, 10000, NULL, NULL));
  child_run(&child, forget_tasks, w);
  child_end(&child);
  assert_int_equal(tasks, 0);
  peer_expect_text(&p, "later");
  peer_expect_close(&p, 1001);
  for (uint64_t end = clock_ms() + PATIENCE_MS; tasks < 2 && clock_ms() < end;) {
    assert_true(ws_loop_dispatch(w->loop, 2) >= 0);
  }
  assert_int_equal(tasks, 2);
  peer_drop(&p);
}

/* Freed handles whose ends were not told yet. */
static void test_fork_connections_without_an_owner_are_closed_too(void **state) {
  (void)state;
  FOR_PLAIN_AND_TLS(secure) {
    Pair p;
    Child child;
    pair_open(&p, secure);
    ws_client_free(p.c->client);
    p.c->client = NULL;
    ws_server_free(p.w->server);
    p.w->server = NULL;
    child_run(&child, abandon, &p);
    assert_int_equal(p.c->closed + p.w->closed, 0);
    pair_wait(&p, &p.c->closed, 1);
    pair_wait(&p, &p.w->closed, 1);
    child_end(&child);
    pair_close(&p);
  }
}

static int before_any_loop;
static void forget_clients(void *arg) {
  forget(arg);
  assert_int_equal(open_descriptors(), before_any_loop);
}

/* Clients that connect, shake hands, wait to retry, and wait for their turn. */
static void test_fork_clients_on_their_way_are_forgotten(void **state) {
  static const char *const urls[] = {"ws://localhost:%d/", "ws://127.0.0.1:%d/", "ws://[::1]:%d/",
                                     "ws+unix:///nowhere/at/all"};
  World *w = *state;
  Caller c[2 * COUNT_OF(urls)];
  Child child;
  for (size_t i = 0; i < COUNT_OF(c); ++i) {
    char url[64];
    snprintf(url, sizeof url, urls[i / 2], w->port);
    caller_prepare(&c[i]);
    assert_ok(ws_loop_free(c[i].loop));
    c[i].loop = w->loop;
    c[i].config.retry_count = WS_NEVER;
    c[i].config.flags = WS_CLIENT_TAKE_TURNS | WS_CLIENT_RETRY_ALL;
    caller_set_url(&c[i], "%s", url);
    caller_start(&c[i]);
  }
  for (int turn = 0; turn < 4; ++turn) {
    child_run(&child, forget_clients, w);
    child_end(&child);
    assert_true(ws_loop_dispatch(w->loop, 1) >= 0);
  }
  for (size_t i = 0; i < COUNT_OF(c); ++i) ws_client_free(c[i].client);
}

/* What a thread is at, in the midst of getaddrinfo(), stays as it is in the child. */
static void leave_look_up(void *arg) {
  Caller *c = arg;
  ws_loop_abandon(c->loop);
  assert_int_equal(c->downs, 0);
}

static void test_fork_look_up_under_way_is_nobodys_in_the_child(void **state) {
  (void)state;
  if (valgrind_is_on()) skip(); /* what the thread was at is leaked in the child (loop.h) */
  for (int turns = 0; turns < 3; ++turns) {
    Caller c;
    Child child;
    caller_prepare(&c);
    caller_set_url(&c, "ws://name.invalid:9/");
    caller_start(&c);
    for (int i = 0; i < turns; ++i) assert_true(ws_loop_dispatch(c.loop, 0) >= 0);
    c.downs = 0;
    child_run(&child, leave_look_up, &c);
    child_end(&child);
    caller_stop(&c);
  }
}

/* ---- handles that the child still holds ---- */

typedef struct Held {
  World *w;
  ws_conn *conn;
  ws_request *request;
  ws_message *message;
} Held;

static Held held;

static void hold_request(ws_request *r, void *user) {
  World *w = user;
  Held *h = w->extra;
  if (strcmp(ws_request_path(r), "/later") == 0) h->request = ws_request_ref(r);
}

static void expect_inert(void *arg) {
  Held *h = arg;
  ws_tls_info info;
  WS_INIT(&info);
  ws_loop_abandon(h->w->loop);
  ws_conn *c = h->conn;
  assert_int_equal(ws_conn_is_open(c), 0);
  assert_null(ws_conn_loop(c));
  assert_fails(WS_ERR_CLOSED, ws_conn_send(c, WS_OP_TEXT, "x", 1, 0));
  assert_fails(WS_ERR_CLOSED, ws_conn_send_message(c, h->message));
  assert_fails(WS_ERR_CLOSED, ws_conn_post_message(c, h->message));
  assert_fails(WS_ERR_CLOSED, ws_conn_ping(c, NULL, 0));
  assert_fails(WS_ERR_CLOSED, ws_conn_close(c, 1000, NULL));
  assert_fails(WS_ERR_CLOSED, ws_conn_flush(c));
  assert_fails(WS_ERR_CLOSED, ws_conn_pause(c));
  assert_fails(WS_ERR_CLOSED, ws_conn_get_tls(c, &info));
  ws_conn_abort(c);
  assert_int_equal(ws_conn_buffered(c), 0);
  assert_string_equal(ws_request_path(h->request), "/later");
  assert_fails(WS_ERR_CLOSED, ws_request_respond(h->request, 200, NULL, 0, NULL, 0));
  assert_int_equal(h->w->closed, 0);
  ws_conn_unref(c);
  ws_request_unref(h->request);
  ws_message_unref(h->message);
  assert_int_equal(hook_blocks(), 0);
}

static void test_fork_handles_that_are_held_become_inert(void **state) {
  World w;
  Peer p, later;
  Child child;
  (void)state;
  world_prepare(&w);
  memset(&held, 0, sizeof held);
  held.w = &w;
  w.extra = &held;
  w.config.on_request = hold_request;
  world_start(&w);
  world_join(&w, &p);
  held.conn = ws_conn_ref(w.conn);
  assert_ok(ws_message_new(WS_OP_TEXT, "x", 1, &held.message));
  peer_connect(&later, w.loop, w.port);
  peer_say(&later, WIRE_OPEN("/later", ""));
  uint64_t end = clock_ms() + PATIENCE_MS;
  while (held.request == NULL && clock_ms() < end) ws_loop_dispatch(w.loop, 2);
  assert_non_null(held.request);
  child_run(&child, expect_inert, &held);
  child_end(&child);
  assert_ok(ws_request_respond(held.request, 200, NULL, 0, NULL, 0));
  peer_expect_status(&later, 200, NULL, 0);
  assert_ok(ws_conn_send_message(held.conn, held.message));
  peer_expect_text(&p, "x");
  ws_conn_unref(held.conn);
  ws_request_unref(held.request);
  ws_message_unref(held.message);
  peer_drop(&p);
  peer_drop(&later);
  world_stop(&w);
}

/* ---- loops that another thread runs ---- */

typedef struct Runner {
  World w;
  pthread_t thread;
  atomic_int in_callback, may_leave;
  ws_conn *conn;
} Runner;

static void *run_loop(void *arg) {
  Runner *r = arg;
  return ws_loop_run(r->w.loop) == WS_OK ? NULL : arg;
}

static void runner_start(Runner *r) {
  assert_int_equal(pthread_create(&r->thread, NULL, run_loop, r), 0);
}

static void runner_stop(Runner *r) {
  void *failed;
  ws_loop_stop(r->w.loop);
  pthread_join(r->thread, &failed);
  assert_null(failed);
}

/* 0: all is gone; 3: the thread was on its way into the poller or out of it, and what it was at is
 * leaked. */
static void test_fork_loop_that_a_thread_waits_in_is_released(void **state) {
  Runner r;
  Peer p;
  int status = -1;
  (void)state;
  memset(&r, 0, sizeof r);
  world_start_default(&r.w);
  world_join(&r.w, &p);
  runner_start(&r);
  uint64_t end = clock_ms() + PATIENCE_MS;
  while (status != 0 && clock_ms() < end) {
    pid_t pid = child_fork();
    if (pid == 0) {
      ws_loop_abandon(r.w.loop);
      _exit(hook_blocks() == 0 ? 0 : 3);
    }
    assert_int_equal(waitpid(pid, &status, 0), pid);
    assert_true(WIFEXITED(status));
    status = WEXITSTATUS(status);
    assert_true(status == 0 || status == 3);
  }
  assert_int_equal(status, 0);
  peer_send_text(&p, "parent");
  runner_stop(&r);
  world_wait_log(&r.w, "text:parent");
  peer_drop(&p);
  world_stop(&r.w);
}

static void stay(World *w, const char *event, ws_conn *c) {
  Runner *r = w->extra;
  (void)c;
  if (strcmp(event, "message") != 0) return;
  atomic_store(&r->in_callback, 1);
  while (!atomic_load(&r->may_leave)) usleep(1000);
}

static void abandon_while_turning(void *arg) {
  Runner *r = arg;
  ws_loop_abandon(r->w.loop);
  assert_fails(WS_ERR_CLOSED, ws_conn_flush(r->conn));
  assert_int_equal(r->w.closed, 0);
}

static void test_fork_loop_in_another_threads_callback_is_left_alone(void **state) {
  Runner r;
  Peer p;
  Child child;
  (void)state;
  memset(&r, 0, sizeof r);
  world_start_default(&r.w);
  r.w.on = stay;
  r.w.extra = &r;
  world_join(&r.w, &p);
  r.conn = ws_conn_ref(r.w.conn);
  peer_send_text(&p, "parent");
  runner_start(&r);
  uint64_t end = clock_ms() + PATIENCE_MS;
  while (!atomic_load(&r.in_callback) && clock_ms() < end) usleep(1000);
  assert_int_equal(atomic_load(&r.in_callback), 1);
  child_run(&child, abandon_while_turning, &r);
  child_end(&child);
  atomic_store(&r.may_leave, 1);
  runner_stop(&r);
  assert_ok(ws_conn_send(r.conn, WS_OP_TEXT, "on", 2, 0));
  peer_expect_text(&p, "on");
  ws_conn_unref(r.conn);
  peer_drop(&p);
  world_stop(&r.w);
}

static void test_fork_null_is_accepted(void **state) {
  (void)state;
  ws_loop_abandon(NULL);
}

int main(void) {
#define WORLD(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_fork_connections_of_the_parent_go_on_with_what_was_queued),
      cmocka_unit_test(test_fork_what_the_parent_closes_ends_while_the_child_lives),
      cmocka_unit_test(test_fork_child_makes_a_loop_of_its_own),
      WORLD(test_fork_child_says_nothing_to_a_peer),
      WORLD(test_fork_socket_file_stays_the_parents),
      WORLD(test_fork_everything_on_a_loop_is_forgotten),
      cmocka_unit_test(test_fork_connections_without_an_owner_are_closed_too),
      WORLD(test_fork_clients_on_their_way_are_forgotten),
      cmocka_unit_test(test_fork_handles_that_are_held_become_inert),
      cmocka_unit_test(test_fork_loop_that_a_thread_waits_in_is_released),
      cmocka_unit_test(test_fork_loop_in_another_threads_callback_is_left_alone),
      cmocka_unit_test(test_fork_null_is_accepted),
      /* Last: its look-ups may be under way when it ends, and hold memory that others count. */
      cmocka_unit_test(test_fork_look_up_under_way_is_nobodys_in_the_child),
  };
  before_any_loop = open_descriptors();
  return cmocka_run_group_tests_name("fork", tests, hook_set, NULL);
}
