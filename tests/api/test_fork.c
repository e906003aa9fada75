/*
 * ws_loop_abandon() in a child that was forked inside a callback: the callback returns, nothing
 * more is called, and the turn ends with the loop.  The parent does not notice.
 */
#include "both.h"
#include "child.h"
#include "hook.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* Where to fork next, and what became of it. */
static struct {
  const char *event;
  ws_loop *loop;
  pid_t pid;    /* in the parent, once it has forked */
  int is_child; /* the loop was abandoned */
  int later;    /* callbacks in the child after that */
  int descriptors;
} at;

static void fork_at(const char *event, ws_loop *loop, int descriptors) {
  memset(&at, 0, sizeof at);
  at.event = event;
  at.loop = loop;
  at.descriptors = descriptors;
}

static void maybe_fork(const char *event, ws_conn *c) {
  if (at.is_child) ++at.later;
  if (at.event == NULL || strcmp(event, at.event) != 0) return;
  at.event = NULL;
  at.pid = child_fork();
  if (at.pid != 0) return;
  at.is_child = 1;
  ws_loop_abandon(at.loop);
  assert_int_equal(open_descriptors(), at.descriptors);
  if (c == NULL) return;
  assert_int_equal(ws_conn_is_open(c), 0);
  assert_fails(WS_ERR_CLOSED, ws_conn_send(c, WS_OP_TEXT, "child", 5, 0));
  assert_fails(WS_ERR_CLOSED, ws_conn_flush(c));
  assert_fails(WS_ERR_CLOSED, ws_conn_close(c, 1000, NULL));
  ws_conn_abort(c);
}

/* The end of the child: the turn is over, and nothing of the loop is left. */
static void end_child(int result) {
  assert_int_equal(result, WS_ERR_CLOSED);
  assert_int_equal(at.later, 0);
  assert_int_equal(hook_blocks(), 0);
  _exit(0);
}

/* One turn of the loop after the other until the parent has forked. */
static void drive(ws_loop *loop) {
  uint64_t end = clock_ms() + PATIENCE_MS;
  while (at.pid == 0) {
    if (clock_ms() > end) fail_msg("no %s", at.event);
    const int result = ws_loop_dispatch(loop, 2);
    if (at.is_child) end_child(result);
    assert_true(result >= 0);
  }
  child_expect_success(at.pid);
}

/* ---- servers ---- */

static void in_server(World *w, const char *event, ws_conn *c) {
  /* What the callback was given stays readable. */
  char data[8] = "";
  if (strcmp(event, "message") == 0) memcpy(data, w->data, w->len);
  maybe_fork(event, c);
  if (strcmp(event, "message") == 0) assert_memory_equal(w->data, data, w->len);
}

static void in_request(ws_request *r, void *user) {
  (void)user;
  maybe_fork("request", NULL);
  if (!at.is_child) return;
  assert_string_equal(ws_request_path(r), "/");
  assert_fails(WS_ERR_CLOSED, ws_request_accept(r, NULL));
}

static void test_fork_in_each_callback_of_a_server(void **state) {
  static const char *const events[] = {"request", "open", "message", "ping", "pong", "close"};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(events); ++i) {
    const int descriptors = open_descriptors();
    World w;
    Peer p, other;
    world_prepare(&w);
    w.on = in_server;
    w.config.on_request = in_request;
    world_start(&w);
    memset(&at, 0, sizeof at);
    world_join(&w, &other);
    peer_connect(&p, w.loop, w.port);
    fork_at(events[i], w.loop, descriptors + 2);
    peer_say(&p, WIRE_OPEN("/", ""));
    peer_send_frame(&p, FIN_TEXT, "hello", 5);
    peer_send_frame(&p, FIN_PING, "a", 1);
    peer_send_frame(&p, FIN_PONG, "b", 1);
    peer_send_close(&p, 1000, "");
    drive(w.loop);
    peer_expect_101(&p);
    peer_expect_frame(&p, FIN_PONG, "a", 1);
    peer_expect_close(&p, 1000);
    world_wait_closed(&w, 1);
    peer_send_text(&other, "other");
    world_wait_log(&w, "text:other");
    peer_drop(&p);
    peer_drop(&other);
    world_stop(&w);
  }
}

static void test_fork_in_a_message_that_was_assembled(void **state) {
  const int descriptors = open_descriptors();
  World w;
  Peer p;
  (void)state;
  world_prepare(&w);
  w.on = in_server;
  world_start(&w);
  memset(&at, 0, sizeof at);
  world_join(&w, &p);
  fork_at("message", w.loop, descriptors + 1);
  peer_send_frame(&p, 0x01, "fr", 2);
  peer_send_frame(&p, 0x80, "ag", 2);
  drive(w.loop);
  world_wait_log(&w, "text:frag");
  peer_drop(&p);
  world_stop(&w);
}

static void test_fork_in_a_drain(void **state) {
  const int descriptors = open_descriptors();
  World w;
  Peer p;
  (void)state;
  world_prepare(&w);
  w.on = in_server;
  world_start(&w);
  memset(&at, 0, sizeof at);
  world_join(&w, &p);
  uint8_t *noise = some_noise(65536, 5);
  while (ws_conn_send(w.conn, WS_OP_BINARY, noise, 65536, 0) != WS_BACKPRESSURE) {
    assert_true(ws_loop_dispatch(w.loop, 0) >= 0);
  }
  fork_at("drain", w.loop, descriptors + 1);
  uint64_t end = clock_ms() + PATIENCE_MS;
  while (at.pid == 0) {
    assert_true(clock_ms() < end);
    recv(p.fd, noise, 65536, MSG_DONTWAIT);
    const int result = ws_loop_dispatch(w.loop, 0);
    if (at.is_child) end_child(result);
    assert_true(result >= 0);
  }
  child_expect_success(at.pid);
  assert_int_equal(ws_conn_is_open(w.conn), 1);
  free(noise);
  peer_drop(&p);
  world_stop(&w);
}

static void stop_in_timer(ws_timer *t, void *user) {
  (void)t, (void)user;
  maybe_fork("timer", NULL);
}

static void stop_in_task(ws_loop *l, void *arg, int cancelled) {
  (void)l, (void)arg, (void)cancelled;
  maybe_fork("task", NULL);
}

/* The others that are due in the same turn are not run any more. */
static void test_fork_in_a_timer_and_in_a_task(void **state) {
  static const char *const events[] = {"timer", "task"};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(events); ++i) {
    const int descriptors = open_descriptors();
    World w;
    Peer p;
    ws_timer *timers[3];
    world_start_default(&w);
    world_join(&w, &p);
    fork_at(events[i], w.loop, descriptors + 1);
    for (size_t k = 0; k < COUNT_OF(timers); ++k) {
      assert_ok(ws_timer_new(w.loop, stop_in_timer, NULL, &timers[k]));
      assert_ok(ws_timer_start(timers[k], 0));
      assert_ok(ws_loop_post(w.loop, stop_in_task, NULL));
    }
    drive(w.loop);
    peer_send_text(&p, "parent");
    world_wait_log(&w, "text:parent");
    peer_drop(&p);
    world_stop(&w);
  }
}

static void stop_loop(ws_loop *l, void *arg, int cancelled) {
  (void)arg, (void)cancelled;
  ws_loop_stop(l);
}

static void test_fork_inside_ws_loop_run_returns_closed(void **state) {
  const int descriptors = open_descriptors();
  World w;
  (void)state;
  world_start_default(&w);
  fork_at("task", w.loop, descriptors);
  assert_ok(ws_loop_post(w.loop, stop_in_task, NULL));
  assert_ok(ws_loop_post(w.loop, stop_loop, NULL));
  const int result = ws_loop_run(w.loop);
  if (at.is_child) end_child(result);
  assert_ok(result);
  child_expect_success(at.pid);
  world_stop(&w);
}

/* ws_loop_free() ends as it always does. */
static void test_fork_in_a_close_that_ws_loop_free_tells(void **state) {
  const int descriptors = open_descriptors();
  World w;
  Peer p, other;
  (void)state;
  world_prepare(&w);
  w.on = in_server;
  world_start(&w);
  memset(&at, 0, sizeof at);
  world_join(&w, &p);
  world_join(&w, &other);
  fork_at("close", w.loop, descriptors + 2);
  assert_ok(ws_loop_free(w.loop));
  if (at.is_child) end_child(WS_ERR_CLOSED);
  child_expect_success(at.pid);
  assert_int_equal(w.closed, 2);
  w.loop = p.loop = other.loop = NULL;
  peer_drop(&p);
  peer_drop(&other);
}

static int fork_in_each(ws_conn *c, void *arg) {
  (void)c, (void)arg;
  maybe_fork("each", NULL);
  return 0;
}

/* Not in a turn, so all is gone at once. */
static void test_fork_while_the_connections_of_a_server_are_visited(void **state) {
  const int descriptors = open_descriptors();
  World w;
  Peer p, other;
  (void)state;
  world_start_default(&w);
  world_join(&w, &p);
  world_join(&w, &other);
  fork_at("each", w.loop, descriptors + 2);
  const int result = ws_server_each(w.server, fork_in_each, NULL);
  if (at.is_child) end_child(WS_ERR_CLOSED);
  assert_ok(result);
  child_expect_success(at.pid);
  peer_drop(&p);
  peer_drop(&other);
  world_stop(&w);
}

/* ---- clients ---- */

static void in_client(Caller *c, const char *event, ws_conn *conn) {
  (void)c;
  maybe_fork(event, conn);
}

static void test_fork_in_each_callback_of_a_client(void **state) {
  static const char *const events[] = {"attempt", "open", "message", "close", "down"};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(events); ++i) {
    const int descriptors = open_descriptors();
    void *one;
    both_setup(&one);
    Both *b = one;
    b->c.on = in_client;
    b->c.config.queue_bytes = 1000;
    b->c.config.retry_count = 3;
    both_start(b);
    fork_at(events[i], b->loop, descriptors);
    caller_start(&b->c);
    assert_ok(ws_client_send(b->c.client, WS_OP_TEXT, "queued", 6, 0));
    if (i >= 2) {
      both_wait(b, &b->w.messages, 1);
      assert_ok(ws_conn_send(b->w.conn, WS_OP_TEXT, "hello", 5, 0));
    }
    if (i >= 3) {
      both_wait(b, &b->c.messages, 1);
      assert_ok(ws_conn_close(b->w.conn, 1000, NULL));
    }
    drive(b->loop);
    both_wait(b, &b->w.messages, 1);
    both_teardown(&one);
  }
}

/* Nobody owns the connection any more whose end is being told. */
static void test_fork_in_the_close_of_a_client_that_was_freed(void **state) {
  const int descriptors = open_descriptors();
  void *one;
  (void)state;
  both_setup(&one);
  Both *b = one;
  b->c.on = in_client;
  memset(&at, 0, sizeof at);
  both_open(b);
  fork_at("close", b->loop, descriptors);
  ws_client_free(b->c.client);
  b->c.client = NULL;
  drive(b->loop);
  both_wait(b, &b->w.closed, 1);
  both_teardown(&one);
}

static void free_and_fork(Caller *c, const char *event, ws_conn *conn) {
  if (strcmp(event, "message") == 0 && !at.is_child) {
    ws_client_free(c->client);
    c->client = NULL;
  }
  maybe_fork(event, conn);
}

static void test_fork_behind_the_free_of_the_client_in_its_callback(void **state) {
  const int descriptors = open_descriptors();
  void *one;
  (void)state;
  both_setup(&one);
  Both *b = one;
  b->c.on = free_and_fork;
  memset(&at, 0, sizeof at);
  both_open(b);
  fork_at("message", b->loop, descriptors);
  assert_ok(ws_conn_send(b->w.conn, WS_OP_TEXT, "hello", 5, 0));
  drive(b->loop);
  both_wait(b, &b->w.closed, 1);
  both_teardown(&one);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_fork_in_each_callback_of_a_server),
      cmocka_unit_test(test_fork_in_a_message_that_was_assembled),
      cmocka_unit_test(test_fork_in_a_drain),
      cmocka_unit_test(test_fork_in_a_timer_and_in_a_task),
      cmocka_unit_test(test_fork_inside_ws_loop_run_returns_closed),
      cmocka_unit_test(test_fork_in_a_close_that_ws_loop_free_tells),
      cmocka_unit_test(test_fork_while_the_connections_of_a_server_are_visited),
      cmocka_unit_test(test_fork_in_each_callback_of_a_client),
      cmocka_unit_test(test_fork_in_the_close_of_a_client_that_was_freed),
      cmocka_unit_test(test_fork_behind_the_free_of_the_client_in_its_callback),
  };
  return cmocka_run_group_tests_name("fork_callback", tests, hook_set, NULL);
}
