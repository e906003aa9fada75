/*
 * loop.h: running, stopping, embedding, tasks, timers, figures.  Threads are in test_threads.c.
 */
#include "world.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/time.h>

typedef struct Notes {
  ws_loop *loop;
  ws_timer *timers[4];
  char log[1024];
  int flag;
} Notes;

static Notes notes;

static int setup(void **state) {
  ws_loop_config c;
  memset(&notes, 0, sizeof notes);
  WS_INIT(&c);
  c.poller = test_poller();
  *state = &notes;
  return ws_loop_new(&c, &notes.loop);
}

static int teardown(void **state) {
  Notes *n = *state;
  if (n->loop == NULL) return 0;
  return ws_loop_free(n->loop);
}

static void note(const char *text) {
  snprintf(notes.log + strlen(notes.log), sizeof notes.log - strlen(notes.log), "%s ", text);
}

static void note_task(ws_loop *l, void *arg, int cancelled) {
  assert_ptr_equal(l, notes.loop);
  note(cancelled ? "cancelled" : arg);
}

static void test_loop_posted_tasks_run_in_order_on_the_next_turn(void **state) {
  Notes *n = *state;
  assert_ok(ws_loop_post(n->loop, note_task, "a"));
  assert_ok(ws_loop_post(n->loop, note_task, "b"));
  assert_string_equal(n->log, "");
  assert_int_equal(ws_loop_dispatch(n->loop, 1000), 2);
  assert_string_equal(n->log, "a b ");
  assert_int_equal(ws_loop_dispatch(n->loop, 0), 0);
}

static void post_another(ws_loop *l, void *arg, int cancelled) {
  note_task(l, "outer", cancelled);
  assert_ok(ws_loop_post(l, note_task, arg));
}

static void test_loop_task_posted_by_a_task_waits_for_the_next_turn(void **state) {
  Notes *n = *state;
  assert_ok(ws_loop_post(n->loop, post_another, "inner"));
  assert_int_equal(ws_loop_dispatch(n->loop, 1000), 1);
  assert_string_equal(n->log, "outer ");
  assert_int_equal(ws_loop_dispatch(n->loop, 1000), 1); /* does not wait */
  assert_string_equal(n->log, "outer inner ");
}

static void test_loop_free_cancels_tasks_and_those_they_post(void **state) {
  Notes *n = *state;
  assert_ok(ws_loop_post(n->loop, note_task, "a"));
  assert_ok(ws_loop_post(n->loop, post_another, "b"));
  assert_ok(ws_loop_free(n->loop));
  n->loop = NULL;
  assert_string_equal(n->log, "cancelled cancelled cancelled ");
}

static void stop_task(ws_loop *l, void *arg, int cancelled) {
  note_task(l, arg, cancelled);
  ws_loop_stop(l);
}

static void test_loop_run_ends_at_stop_also_when_that_came_first(void **state) {
  Notes *n = *state;
  ws_loop_stop(n->loop);
  assert_ok(ws_loop_run(n->loop));
  assert_ok(ws_loop_post(n->loop, stop_task, "stop"));
  assert_ok(ws_loop_run(n->loop));
  assert_string_equal(n->log, "stop ");
  assert_ok(ws_loop_post(n->loop, stop_task, "again"));
  assert_ok(ws_loop_run(n->loop));
}

static void stop_on_signal(int number) {
  (void)number;
  ws_loop_stop(notes.loop);
}

/* bad: 232, 264 */
static void test_loop_stop_is_safe_in_a_signal_handler(void **state) {
  Notes *n = *state;
  struct sigaction act, old;
  memset(&act, 0, sizeof act);
  act.sa_handler = stop_on_signal;
  sigaction(SIGALRM, &act, &old);
  struct itimerval in = {{0, 0}, {0, 5000}};
  setitimer(ITIMER_REAL, &in, NULL);
  uint64_t start = clock_ms();
  assert_ok(ws_loop_run(n->loop));
  assert_true(clock_ms() - start < 2000);
  sigaction(SIGALRM, &old, NULL);
}

static void reenter(ws_loop *l, void *arg, int cancelled) {
  assert_fails(WS_ERR_REENTRANT, ws_loop_run(l));
  assert_fails(WS_ERR_REENTRANT, ws_loop_dispatch(l, 0));
  assert_fails(WS_ERR_REENTRANT, ws_loop_free(l));
  note_task(l, arg, cancelled);
}

static void reenter_timer(ws_timer *t, void *user) {
  (void)t;
  reenter(notes.loop, user, 0);
}

/* bad: 223 */
static void test_loop_reentering_is_an_error_and_does_nothing(void **state) {
  Notes *n = *state;
  ws_timer *t;
  assert_ok(ws_loop_post(n->loop, reenter, "task"));
  assert_ok(ws_timer_new(n->loop, reenter_timer, "timer", &t));
  assert_ok(ws_timer_start(t, 0));
  for (int i = 0; i < 100 && strlen(n->log) < 11; ++i) ws_loop_dispatch(n->loop, 5);
  assert_ok(ws_loop_post(n->loop, reenter, "freeing"));
  assert_ok(ws_loop_free(n->loop));
  n->loop = NULL;
  assert_non_null(strstr(n->log, "task"));
  assert_non_null(strstr(n->log, "timer"));
  assert_non_null(strstr(n->log, "cancelled"));
}

/* Another loop may be turned from inside a callback. */
static void turn_other(ws_loop *l, void *arg, int cancelled) {
  (void)l, (void)cancelled;
  assert_int_equal(ws_loop_dispatch(arg, 0), 1);
}

static void note_other(ws_loop *l, void *arg, int cancelled) {
  (void)l, (void)cancelled;
  note(arg);
}

static void test_loop_other_loop_may_run_inside_a_callback(void **state) {
  Notes *n = *state;
  ws_loop *other;
  assert_ok(ws_loop_new(NULL, &other));
  assert_ok(ws_loop_post(other, note_other, "other"));
  assert_ok(ws_loop_post(n->loop, turn_other, other));
  assert_int_equal(ws_loop_dispatch(n->loop, 0), 1);
  assert_string_equal(n->log, "other ");
  assert_ok(ws_loop_free(other));
}

static uint64_t fired_at;
static void fire(ws_timer *t, void *user) {
  (void)t;
  fired_at = clock_ms();
  note(user);
}

static void test_loop_timer_fires_once_not_before_its_time(void **state) {
  Notes *n = *state;
  ws_timer *t;
  assert_ok(ws_timer_new(n->loop, fire, "x", &t));
  static const uint32_t times[] = {0, 1, 2, 15, 64, 70};
  for (size_t i = 0; i < COUNT_OF(times); ++i) {
    n->log[0] = '\0';
    uint64_t start = clock_ms();
    assert_ok(ws_timer_start(t, times[i]));
    while (n->log[0] == '\0') ws_loop_dispatch(n->loop, 1000);
    assert_true(fired_at - start + 1 >= times[i]);
    ws_loop_dispatch(n->loop, 5);
    assert_string_equal(n->log, "x ");
  }
  ws_timer_free(t);
}

static void test_loop_timer_can_be_moved_stopped_and_is_bounded(void **state) {
  Notes *n = *state;
  ws_timer *t;
  assert_ok(ws_timer_new(n->loop, fire, "x", &t));
  assert_fails(WS_ERR_INVALID, ws_timer_start(t, 0x80000000u));
  assert_fails(WS_ERR_INVALID, ws_timer_start(t, WS_NEVER));
  assert_ok(ws_timer_start(t, 0x7fffffff));
  assert_ok(ws_timer_start(t, 5));
  assert_ok(ws_timer_start(t, 30));
  run_for(n->loop, 15);
  assert_string_equal(n->log, "");
  run_for(n->loop, 30);
  assert_string_equal(n->log, "x ");
  assert_ok(ws_timer_start(t, 1));
  ws_timer_stop(t);
  ws_timer_stop(t);
  run_for(n->loop, 10);
  assert_string_equal(n->log, "x ");
  ws_timer_free(t);
}

static void restart(ws_timer *t, void *user) {
  note(user);
  if (strlen(notes.log) < 10) assert_ok(ws_timer_start(t, 0));
}

static void free_own(ws_timer *t, void *user) {
  note(user);
  ws_timer_free(t);
}

static void free_next(ws_timer *t, void *user) {
  note(user);
  for (int i = 0; i < 4; ++i) {
    if (notes.timers[i] != NULL && notes.timers[i] != t) ws_timer_free(notes.timers[i]);
    if (notes.timers[i] != t) notes.timers[i] = NULL;
  }
}

/* bad: 227 */
static void test_loop_timers_may_restart_and_free_each_other_when_due_together(void **state) {
  Notes *n = *state;
  ws_timer *t;
  assert_ok(ws_timer_new(n->loop, restart, "r", &t));
  assert_ok(ws_timer_start(t, 1));
  run_for(n->loop, 20);
  assert_string_equal(n->log, "r r r r r ");
  ws_timer_free(t);
  n->log[0] = '\0';
  assert_ok(ws_timer_new(n->loop, free_own, "own", &t));
  assert_ok(ws_timer_start(t, 1));
  run_for(n->loop, 5);
  assert_string_equal(n->log, "own ");
  n->log[0] = '\0';
  for (int i = 0; i < 4; ++i) {
    assert_ok(ws_timer_new(n->loop, free_next, "one", &n->timers[i]));
    assert_ok(ws_timer_start(n->timers[i], 2));
  }
  run_for(n->loop, 10);
  assert_string_equal(n->log, "one ");
  /* the one that is left goes with the loop */
}

static int count;
static void count_timer(ws_timer *t, void *user) {
  (void)user;
  ++count;
  ws_timer_free(t);
}

/* bad: 179 */
static void test_loop_many_timers_due_at_once_all_fire(void **state) {
  Notes *n = *state;
  ws_loop_stats s;
  enum { N = 20000 };
  WS_INIT(&s);
  count = 0;
  for (int i = 0; i < N; ++i) {
    ws_timer *t;
    assert_ok(ws_timer_new(n->loop, count_timer, NULL, &t));
    assert_ok(ws_timer_start(t, 5));
  }
  assert_ok(ws_loop_get_stats(n->loop, &s));
  assert_int_equal(s.timers, N);
  uint64_t end = clock_ms() + PATIENCE_MS;
  while (count < N && clock_ms() < end) ws_loop_dispatch(n->loop, 10);
  assert_int_equal(count, N);
  assert_ok(ws_loop_get_stats(n->loop, &s));
  assert_int_equal(s.timers, 0);
}

static void test_loop_dispatch_waits_no_longer_than_told(void **state) {
  Notes *n = *state;
  uint64_t start = clock_ms();
  assert_int_equal(ws_loop_dispatch(n->loop, 0), 0);
  assert_true(clock_ms() - start < 500);
  start = clock_ms();
  assert_int_equal(ws_loop_dispatch(n->loop, 20), 0);
  assert_true(clock_ms() - start >= 19);
  ws_timer *t;
  assert_ok(ws_timer_new(n->loop, fire, "x", &t));
  assert_ok(ws_timer_start(t, 10));
  start = clock_ms();
  while (n->log[0] == '\0') assert_true(ws_loop_dispatch(n->loop, WS_NEVER) >= 0);
  assert_true(clock_ms() - start < 2000);
  uint64_t now = ws_loop_now(n->loop);
  assert_true(now + 1000 > clock_ms() && now <= clock_ms());
}

/* Polls the loop's descriptor as an embedding program does. */
static void embed(ws_loop *l, int fd, const volatile int *flag) {
  uint64_t end = clock_ms() + 3000;
  while (*flag == 0) {
    struct pollfd p = {fd, POLLIN, 0};
    if (clock_ms() > end) fail_msg("the descriptor never became readable");
    if (poll(&p, 1, 1000) > 0) assert_true(ws_loop_dispatch(l, 0) >= 0);
  }
}

static void set_flag(ws_timer *t, void *user) {
  (void)t;
  *(int *)user = 1;
}

static void set_flag_task(ws_loop *l, void *arg, int cancelled) {
  (void)l, (void)cancelled;
  *(int *)arg = 1;
}

static void test_loop_descriptor_carries_timers_posts_and_sockets(void **state) {
  (void)state;
  World w;
  Peer p;
  ws_timer *t;
  int flag = 0;
  world_start_default(&w);
  int fd = ws_loop_fd(w.loop);
  if (strcmp(test_poller(), "poll") == 0) {
    assert_int_equal(fd, WS_ERR_UNSUPPORTED);
    world_stop(&w);
    skip();
  }
  assert_true(fd >= 0);
  assert_int_equal(ws_loop_fd(w.loop), fd);
  assert_ok(ws_timer_new(w.loop, set_flag, &flag, &t));
  assert_ok(ws_timer_start(t, 10));
  embed(w.loop, fd, &flag);
  for (int i = 0; i < 3; ++i) {
    flag = 0;
    assert_ok(ws_timer_start(t, 0));
    embed(w.loop, fd, &flag);
    flag = 0;
    assert_ok(ws_loop_post(w.loop, set_flag_task, &flag));
    embed(w.loop, fd, &flag);
  }
  world_join(&w, &p);
  peer_send_text(&p, "x");
  embed(w.loop, fd, &w.messages);
  ws_conn_abort(w.conn); /* on_close is owed: the descriptor says so */
  embed(w.loop, fd, &w.closed);
  peer_drop(&p);
  world_join(&w, &p);
  assert_ok(ws_conn_pause(w.conn));
  peer_send_text(&p, "y");
  run_for(w.loop, 5);
  w.messages = 0;
  assert_ok(ws_conn_resume(w.conn));
  embed(w.loop, fd, &w.messages);
  assert_ok(ws_conn_send(w.conn, WS_OP_TEXT, "later", 5, WS_SEND_LATER));
  struct pollfd q = {fd, POLLIN, 0};
  assert_int_equal(poll(&q, 1, 1000), 1);
  assert_true(ws_loop_dispatch(w.loop, 0) >= 0);
  peer_expect_text(&p, "later");
  peer_drop(&p);
  world_stop(&w);
}

static void note_turn_end(ws_loop *l, void *user) {
  World *w = user;
  char text[32];
  snprintf(text, sizeof text, "end%d", w->messages);
  note(text);
  if (w->messages != 2) return;
  /* As in any callback: what is sent leaves with the turn, what is closed is told in the next. */
  assert_ok(ws_conn_send(w->conn, WS_OP_TEXT, "both", 4, 0));
  assert_ok(ws_conn_close(w->conn, 1000, NULL));
  assert_int_equal(ws_loop_dispatch(l, 0), WS_ERR_REENTRANT);
  assert_ok(ws_loop_set_turn_end(l, NULL, NULL));
}

static void test_loop_turn_end_comes_after_the_callbacks_and_before_the_writes(void **state) {
  (void)state;
  World w;
  Peer p;
  notes.log[0] = 0;
  world_start_default(&w);
  world_join(&w, &p);
  assert_ok(ws_loop_set_turn_end(w.loop, note_turn_end, &w));
  assert_true(ws_loop_dispatch(w.loop, 0) >= 0);
  assert_string_equal(notes.log, "end0 ");
  ws_conn *c = w.conn;
  ws_conn_ref(c);
  peer_send_text(&p, "x");
  peer_send_text(&p, "y");
  while (w.messages < 2) assert_true(ws_loop_dispatch(w.loop, 1000) >= 0);
  assert_non_null(strstr(notes.log, "end2 "));
  if (!faults_are_on()) assert_int_equal(ws_conn_buffered(c), 0);
  ws_conn_unref(c);
  peer_expect_text(&p, "both");
  peer_expect_close(&p, 1000);
  size_t noted = strlen(notes.log);
  run_for(w.loop, 5);
  assert_int_equal(strlen(notes.log), noted);
  peer_drop(&p);
  world_stop(&w);
  assert_int_equal(ws_loop_set_turn_end(NULL, note_turn_end, NULL), WS_ERR_INVALID);
}

/* What it sends does not make the descriptor readable: the turn writes it. */
static void send_at_turn_end(ws_loop *l, void *user) {
  World *w = user;
  (void)l;
  if (w->messages == 0) return;
  w->messages = 0;
  assert_ok(ws_conn_send(w->conn, WS_OP_TEXT, "answer", 6, 0));
}

static void test_loop_turn_end_that_sends_leaves_the_descriptor_quiet(void **state) {
  (void)state;
  World w;
  Peer p;
  world_start_default(&w);
  int fd = ws_loop_fd(w.loop);
  if (fd == WS_ERR_UNSUPPORTED) {
    world_stop(&w);
    skip();
  }
  world_join(&w, &p);
  run_for(w.loop, 5);
  assert_ok(ws_loop_set_turn_end(w.loop, send_at_turn_end, &w));
  peer_send_text(&p, "x");
  struct pollfd q = {fd, POLLIN, 0};
  assert_int_equal(poll(&q, 1, 1000), 1);
  assert_true(ws_loop_dispatch(w.loop, 0) >= 0);
  peer_expect_text(&p, "answer");
  assert_int_equal(poll(&q, 1, 0), 0);
  peer_drop(&p);
  world_stop(&w);
}

static void test_loop_stats_count_turns_tasks_and_connections(void **state) {
  (void)state;
  World w;
  Peer p;
  ws_loop_stats s, t;
  int flag = 0;
  world_start_default(&w);
  WS_INIT(&s);
  WS_INIT(&t);
  assert_ok(ws_loop_get_stats(w.loop, &s));
  assert_int_equal(s.connections, 0);
  world_join(&w, &p);
  assert_ok(ws_loop_post(w.loop, set_flag_task, &flag));
  run_for(w.loop, 5);
  assert_ok(ws_loop_get_stats(w.loop, &t));
  assert_int_equal(t.connections, 1);
  assert_int_equal(t.tasks - s.tasks, 1);
  assert_true(t.turns > s.turns);
  assert_true(t.events > s.events);
  assert_fails(WS_ERR_INVALID, ws_loop_get_stats(w.loop, NULL));
  peer_drop(&p);
  world_stop(&w);
}

/* bad: 237 */
static void test_loop_config_out_of_range_is_refused(void **state) {
  (void)state;
  ws_loop *l = NULL;
  static const uint32_t bad[] = {1, 4095, 16 * 1024 * 1024 + 1, UINT32_MAX};
  ws_loop_config c;
  for (size_t i = 0; i < COUNT_OF(bad); ++i) {
    WS_INIT(&c);
    c.read_bytes = bad[i];
    assert_fails(WS_ERR_INVALID, ws_loop_new(&c, &l));
  }
  WS_INIT(&c);
  c.poller = "magic";
  assert_fails(WS_ERR_UNSUPPORTED, ws_loop_new(&c, &l));
  c.poller = "";
  assert_fails(WS_ERR_UNSUPPORTED, ws_loop_new(&c, &l));
  WS_INIT(&c);
  c.max_events = UINT32_MAX;
  assert_fails(WS_ERR_INVALID, ws_loop_new(&c, &l));
  assert_null(l);
  WS_INIT(&c);
  c.read_bytes = 4096;
  c.max_events = 1;
  assert_ok(ws_loop_new(&c, &l));
  assert_ok(ws_loop_free(l));
  assert_ok(ws_loop_free(NULL));
}

static void test_loop_with_the_smallest_settings_serves(void **state) {
  (void)state;
  World w;
  Peer p[4];
  static uint8_t data[50000];
  world_prepare(&w);
  w.loop_config.read_bytes = 4096;
  w.loop_config.max_events = 1;
  world_start(&w);
  for (int i = 0; i < 4; ++i) world_join(&w, &p[i]);
  for (int i = 0; i < 4; ++i) peer_send_frame(&p[i], FIN_BINARY, data, sizeof data);
  for (int i = 0; i < 1000 && w.messages < 4; ++i) run_for(w.loop, 1);
  assert_int_equal(w.messages, 4);
  for (int i = 0; i < 4; ++i) peer_drop(&p[i]);
  world_stop(&w);
}

static char logged[4096];
static void log_line(void *user, ws_log_level level, const char *line, size_t len) {
  assert_ptr_equal(user, logged);
  assert_true(level >= WS_LOG_ERROR && level <= WS_LOG_DEBUG);
  assert_int_equal(strlen(line), len);
  for (size_t i = 0; i < len; ++i) assert_true(line[i] >= 0x20 && line[i] < 0x7f);
  snprintf(logged + strlen(logged), sizeof logged - strlen(logged), "%s\n", line);
}

/* req: 92 */
/* bad: 181, 182 */
static void test_loop_log_lines_are_printable(void **state) {
  (void)state;
  World w;
  Peer p;
  logged[0] = '\0';
  world_prepare(&w);
  w.loop_config.log = log_line;
  w.loop_config.log_user = logged;
  w.loop_config.log_level = WS_LOG_DEBUG;
  world_start(&w);
  peer_connect(&p, w.loop, w.port);
  peer_say(&p, WIRE_OPEN("/", "Origin: http://evil\x1b[31m\xff.example\r\n"));
  peer_expect_gone(&p);
  peer_drop(&p);
  peer_connect(&p, w.loop, w.port);
  peer_say(&p, WIRE_OPEN("/", "Origin: http://evil\xff.example\r\n"));
  peer_expect_gone(&p);
  assert_non_null(strstr(logged, "http://evil\\xff.example"));
  peer_drop(&p);
  world_stop(&w);
}

int main(void) {
#define WITH_LOOP(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      WITH_LOOP(test_loop_posted_tasks_run_in_order_on_the_next_turn),
      WITH_LOOP(test_loop_task_posted_by_a_task_waits_for_the_next_turn),
      WITH_LOOP(test_loop_free_cancels_tasks_and_those_they_post),
      WITH_LOOP(test_loop_run_ends_at_stop_also_when_that_came_first),
      WITH_LOOP(test_loop_stop_is_safe_in_a_signal_handler),
      WITH_LOOP(test_loop_reentering_is_an_error_and_does_nothing),
      WITH_LOOP(test_loop_other_loop_may_run_inside_a_callback),
      WITH_LOOP(test_loop_timer_fires_once_not_before_its_time),
      WITH_LOOP(test_loop_timer_can_be_moved_stopped_and_is_bounded),
      WITH_LOOP(test_loop_timers_may_restart_and_free_each_other_when_due_together),
      WITH_LOOP(test_loop_many_timers_due_at_once_all_fire),
      WITH_LOOP(test_loop_dispatch_waits_no_longer_than_told),
      cmocka_unit_test(test_loop_descriptor_carries_timers_posts_and_sockets),
      cmocka_unit_test(test_loop_turn_end_comes_after_the_callbacks_and_before_the_writes),
      cmocka_unit_test(test_loop_turn_end_that_sends_leaves_the_descriptor_quiet),
      cmocka_unit_test(test_loop_stats_count_turns_tasks_and_connections),
      cmocka_unit_test(test_loop_config_out_of_range_is_refused),
      cmocka_unit_test(test_loop_with_the_smallest_settings_serves),
      cmocka_unit_test(test_loop_log_lines_are_printable),
  };
  return cmocka_run_group_tests_name("loop", tests, NULL, NULL);
}
