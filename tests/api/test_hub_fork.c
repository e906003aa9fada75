/*
 * The child of a fork(): it lets go of the loops and the hub, and the parent goes on undisturbed.
 */
#include "child.h"
#include "hook.h"
#include "topics.h"

#include <stdlib.h>
#include <unistd.h>

typedef struct Both {
  World w[2];
  Peer p[2];
  ws_hub *hub;
  int told;
} Both;

static void on_topic(ws_hub *h, const char *topic, int active, void *user) {
  (void)h, (void)topic, (void)active;
  ++((Both *)user)->told;
}

static void both_start(Both *b) {
  ws_hub_bridge bridge;
  memset(b, 0, sizeof *b);
  b->hub = hub_new(0, 0, 0);
  WS_INIT(&bridge);
  for (int i = 0; i < 2; ++i) {
    world_start_default(&b->w[i]);
    world_join(&b->w[i], &b->p[i]);
    assert_ok(ws_hub_subscribe(b->hub, b->w[i].conn, "t"));
    assert_ok(ws_hub_subscribe(b->hub, b->w[i].conn, "*"));
    assert_ok(ws_hub_subscribe(b->hub, b->w[i].conn, "x/y/**"));
  }
  bridge.loop = b->w[0].loop;
  bridge.on_topic = on_topic;
  bridge.user = b;
  assert_ok(ws_hub_set_bridge(b->hub, &bridge));
  assert_ok(hub_say(b->hub, "t", "hello", NULL, 0));
}

static void expect_all_works(Both *b) {
  for (int i = 0; i < 2; ++i) peer_expect_text(&b->p[i], "hello");
  assert_int_equal(b->told, 3);
  assert_int_equal(ws_hub_count(b->hub, "t"), 2);
  for (int i = 0; i < 2; ++i) {
    peer_drop(&b->p[i]);
    world_stop(&b->w[i]);
  }
  ws_hub_unref(b->hub);
}

static void let_go(void *arg) {
  Both *b = arg;
  ws_conn *held = ws_conn_ref(b->w[0].conn);
  ws_hub_stats stats;
  WS_INIT(&stats);
  ws_loop_abandon(b->w[0].loop);
  assert_fails(WS_ERR_CLOSED, hub_say(b->hub, "t", "x", NULL, 0));
  assert_fails(WS_ERR_CLOSED, ws_hub_subscribe(b->hub, held, "t"));
  assert_fails(WS_ERR_CLOSED, ws_hub_unsubscribe(b->hub, held, "t"));
  assert_fails(WS_ERR_CLOSED, ws_hub_unsubscribe_all(b->hub, held));
  assert_fails(WS_ERR_CLOSED, ws_hub_get_stats(b->hub, &stats));
  assert_fails(WS_ERR_CLOSED, ws_hub_set_bridge(b->hub, NULL));
  assert_int_equal(ws_hub_count(b->hub, "t"), 0);
  ws_conn_unref(held);
  ws_loop_abandon(b->w[1].loop);
  ws_hub_unref(b->hub);
  assert_int_equal(b->told, 0);
  assert_int_equal(hook_blocks(), 0);
}

static void test_hub_fork_child_lets_go_and_the_parent_goes_on(void **state) {
  (void)state;
  Both b;
  Child c;
  both_start(&b);
  child_run(&c, let_go, &b);
  expect_all_works(&b);
  child_end(&c);
  assert_int_equal(hook_blocks(), 0);
}

static void let_the_hub_go_between(void *arg) {
  Both *b = arg;
  ws_loop_abandon(b->w[1].loop);
  ws_hub_unref(b->hub);
  ws_loop_abandon(b->w[0].loop);
  assert_int_equal(hook_blocks(), 0);
}

static void test_hub_fork_child_lets_go_in_another_order(void **state) {
  (void)state;
  Both b;
  Child c;
  both_start(&b);
  child_run(&c, let_the_hub_go_between, &b);
  expect_all_works(&b);
  child_end(&c);
}

/* In a child that was forked inside a callback. */
static Both *inside;
static void fork_inside(World *w, const char *event, ws_conn *c) {
  (void)c;
  if (strcmp(event, "message") != 0 || inside == NULL) return;
  Both *b = inside;
  inside = NULL;
  const pid_t pid = child_fork();
  if (pid == 0) {
    ws_loop_abandon(w->loop);
    assert_fails(WS_ERR_CLOSED, ws_hub_unsubscribe_all(b->hub, c));
    ws_loop_abandon(b->w[1].loop);
    ws_hub_unref(b->hub);
    w->extra = b;
    return;
  }
  child_expect_success(pid);
}

static void test_hub_fork_inside_a_callback(void **state) {
  (void)state;
  Both b;
  both_start(&b);
  inside = &b;
  b.w[0].on = fork_inside;
  peer_send_text(&b.p[0], "go");
  const uint64_t end = clock_ms() + PATIENCE_MS;
  while (inside != NULL && clock_ms() < end) {
    const int rc = ws_loop_dispatch(b.w[0].loop, 5);
    if (b.w[0].extra != NULL) { /* the child */
      assert_int_equal(rc, WS_ERR_CLOSED);
      assert_int_equal(hook_blocks(), 0);
      _Exit(0);
    }
  }
  assert_null(inside);
  expect_all_works(&b);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_hub_fork_child_lets_go_and_the_parent_goes_on),
      cmocka_unit_test(test_hub_fork_child_lets_go_in_another_order),
      cmocka_unit_test(test_hub_fork_inside_a_callback),
  };
  return cmocka_run_group_tests_name("hub_fork", tests, hook_set, NULL);
}
