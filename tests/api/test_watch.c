/*
 * loop.h: ws_watch, a descriptor of the application's on the loop.
 */
#include "child.h"
#include "world.h"

#include <sys/socket.h>
#include <unistd.h>

typedef struct Watched {
  ws_loop *loop;
  ws_watch *watch;
  int ends[2]; /* a socket pair: [0] is watched */
  int calls;
  uint32_t ready; /* of the last call */
  void (*then)(struct Watched *w);
} Watched;

static int setup(void **state) {
  static Watched watched;
  ws_loop_config c;
  memset(&watched, 0, sizeof watched);
  WS_INIT(&c);
  c.poller = test_poller();
  *state = &watched;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, watched.ends) != 0) return -1;
  return ws_loop_new(&c, &watched.loop);
}

static int teardown(void **state) {
  Watched *w = *state;
  ws_loop_free(w->loop);
  close(w->ends[0]);
  close(w->ends[1]);
  return 0;
}

static void on_watch(ws_watch *watch, uint32_t ready, void *user) {
  Watched *w = user;
  assert_ptr_equal(watch, w->watch);
  ++w->calls;
  w->ready = ready;
  if (w->then != NULL) w->then(w);
}

static void watch(Watched *w, uint32_t events) {
  assert_ok(ws_watch_new(w->loop, w->ends[0], events, on_watch, w, &w->watch));
}

static void give(Watched *w) { assert_int_equal(write(w->ends[1], "x", 1), 1); }

static void test_watch_readable_is_told_until_it_is_read(void **state) {
  Watched *w = *state;
  char byte;
  watch(w, WS_WATCH_READ);
  assert_int_equal(ws_loop_dispatch(w->loop, 0), 0);
  assert_int_equal(w->calls, 0);
  give(w);
  assert_int_equal(ws_loop_dispatch(w->loop, 10000), 1);
  assert_int_equal(ws_loop_dispatch(w->loop, 10000), 1);
  assert_int_equal(w->calls, 2);
  assert_int_equal(w->ready, WS_WATCH_READ);
  assert_int_equal(read(w->ends[0], &byte, 1), 1);
  assert_int_equal(ws_loop_dispatch(w->loop, 0), 0);
  assert_int_equal(w->calls, 2);
}

static void test_watch_tells_only_what_it_was_set_to(void **state) {
  Watched *w = *state;
  watch(w, WS_WATCH_READ);
  ws_loop_dispatch(w->loop, 0);
  assert_int_equal(w->calls, 0);
  assert_ok(ws_watch_set(w->watch, WS_WATCH_READ | WS_WATCH_WRITE));
  ws_loop_dispatch(w->loop, 10000);
  assert_int_equal(w->ready, WS_WATCH_WRITE);
  give(w);
  ws_loop_dispatch(w->loop, 10000);
  assert_int_equal(w->ready, WS_WATCH_READ | WS_WATCH_WRITE);
  assert_ok(ws_watch_set(w->watch, WS_WATCH_READ));
  ws_loop_dispatch(w->loop, 10000);
  assert_int_equal(w->ready, WS_WATCH_READ);
  assert_ok(ws_watch_set(w->watch, 0));
  assert_int_equal(ws_loop_dispatch(w->loop, 0), 0);
  assert_int_equal(w->calls, 3);
}

static void test_watch_hangup_is_told_whatever_the_events(void **state) {
  Watched *w = *state;
  watch(w, 0);
  close(w->ends[1]);
  w->ends[1] = -1;
  ws_loop_dispatch(w->loop, 10000);
  assert_int_equal(w->calls, 1);
  assert_true(w->ready & WS_WATCH_HANGUP);
  ws_loop_dispatch(w->loop, 10000);
  assert_int_equal(w->calls, 2);
}

static void free_it(Watched *w) { ws_watch_free(w->watch); }

static void test_watch_freed_in_its_callback_is_not_called_again(void **state) {
  Watched *w = *state;
  char byte;
  watch(w, WS_WATCH_READ);
  give(w);
  w->then = free_it;
  ws_loop_dispatch(w->loop, 10000);
  ws_loop_dispatch(w->loop, 0);
  assert_int_equal(w->calls, 1);
  assert_int_equal(read(w->ends[0], &byte, 1), 1); /* the descriptor is still open */
}

/* Two are ready in one turn; the first to be called frees the other. */
typedef struct Pair {
  ws_watch *watches[2];
  int calls;
} Pair;

static void free_both(ws_watch *watch, uint32_t ready, void *user) {
  Pair *pair = user;
  (void)watch, (void)ready;
  ++pair->calls;
  ws_watch_free(pair->watches[0]);
  ws_watch_free(pair->watches[1]);
}

static void test_watch_freed_while_its_event_waits_is_not_called(void **state) {
  Watched *w = *state;
  Pair pair = {{NULL, NULL}, 0};
  for (int i = 0; i < 2; ++i) {
    assert_int_equal(write(w->ends[i], "x", 1), 1);
    assert_ok(ws_watch_new(w->loop, w->ends[i], WS_WATCH_READ, free_both, &pair, &pair.watches[i]));
  }
  ws_loop_dispatch(w->loop, 10000);
  ws_loop_dispatch(w->loop, 0);
  assert_int_equal(pair.calls, 1);
}

static void test_watch_of_the_same_descriptor_may_follow(void **state) {
  Watched *w = *state;
  for (int i = 0; i < 3; ++i) {
    watch(w, WS_WATCH_WRITE);
    ws_loop_dispatch(w->loop, 10000);
    ws_watch_free(w->watch);
  }
  assert_int_equal(w->calls, 3);
}

static void test_watch_not_freed_goes_with_the_loop(void **state) {
  Watched *w = *state;
  char byte;
  watch(w, WS_WATCH_READ);
  give(w);
  assert_ok(ws_loop_free(w->loop));
  w->loop = NULL;
  assert_int_equal(w->calls, 0);
  assert_int_equal(read(w->ends[0], &byte, 1), 1);
}

static void test_watch_in_a_fork_leaves_that_of_the_parent(void **state) {
  Watched *w = *state;
  watch(w, WS_WATCH_READ);
  const pid_t child = child_fork();
  if (child == 0) {
    ws_loop_abandon(w->loop);
    _exit(write(w->ends[0], "x", 1) != 1); /* the descriptor is still open */
  }
  child_expect_success(child);
  give(w);
  ws_loop_dispatch(w->loop, 10000);
  assert_int_equal(w->calls, 1);
}

static pid_t forked;

static void fork_and_abandon(Watched *w) {
  forked = child_fork();
  if (forked == 0) ws_loop_abandon(w->loop);
}

static void test_watch_abandoned_in_its_callback_is_gone(void **state) {
  Watched *w = *state;
  watch(w, WS_WATCH_READ);
  give(w);
  w->then = fork_and_abandon;
  const int result = ws_loop_dispatch(w->loop, 10000);
  if (forked == 0) _exit(result != WS_ERR_CLOSED);
  child_expect_success(forked);
  w->then = NULL;
  ws_loop_dispatch(w->loop, 10000);
  assert_int_equal(w->calls, 2);
}

static void test_watch_refuses_what_cannot_be_watched(void **state) {
  Watched *w = *state;
  ws_watch *other = NULL;
  assert_fails(WS_ERR_INVALID, ws_watch_new(NULL, w->ends[0], 0, on_watch, w, &other));
  assert_fails(WS_ERR_INVALID, ws_watch_new(w->loop, -1, 0, on_watch, w, &other));
  assert_fails(WS_ERR_INVALID, ws_watch_new(w->loop, w->ends[0], 0, NULL, w, &other));
  assert_fails(WS_ERR_INVALID, ws_watch_new(w->loop, w->ends[0], 0, on_watch, w, NULL));
  assert_fails(WS_ERR_INVALID,
               ws_watch_new(w->loop, w->ends[0], WS_WATCH_HANGUP, on_watch, w, &other));
  watch(w, WS_WATCH_READ);
  assert_fails(WS_ERR_IO, ws_watch_new(w->loop, w->ends[0], WS_WATCH_READ, on_watch, w, &other));
  assert_fails(WS_ERR_INVALID, ws_watch_set(w->watch, WS_WATCH_HANGUP));
  assert_fails(WS_ERR_INVALID, ws_watch_set(NULL, WS_WATCH_READ));
  assert_null(other);
  ws_watch_free(NULL);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_watch_readable_is_told_until_it_is_read, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(test_watch_tells_only_what_it_was_set_to, setup, teardown),
      cmocka_unit_test_setup_teardown(test_watch_hangup_is_told_whatever_the_events, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(test_watch_freed_in_its_callback_is_not_called_again, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(test_watch_freed_while_its_event_waits_is_not_called, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(test_watch_of_the_same_descriptor_may_follow, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(test_watch_not_freed_goes_with_the_loop, setup, teardown),
      cmocka_unit_test_setup_teardown(test_watch_in_a_fork_leaves_that_of_the_parent, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(test_watch_abandoned_in_its_callback_is_gone, setup,
                                      teardown),
      cmocka_unit_test_setup_teardown(test_watch_refuses_what_cannot_be_watched, setup, teardown),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
