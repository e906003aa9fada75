/*
 * The entries marked "Thread: any", called from many threads while connections close and the loop
 * ends.  Made for ThreadSanitizer; short, because it is repeated there.
 */
#include "world.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { THREADS = 8 };
#define FOR_MS 300

typedef struct Shared {
  World *w;
  ws_conn *conns[16];
  int count;
  ws_message *message;
  atomic_int stop, posted, run, cancelled, ready;
} Shared;

static void count_task(ws_loop *l, void *arg, int cancelled) {
  Shared *s = arg;
  (void)l;
  atomic_fetch_add(cancelled ? &s->cancelled : &s->run, 1);
}

static void *hammer_connections(void *arg) {
  Shared *s = arg;
  unsigned i = 0;
  while (!atomic_load(&s->stop)) {
    ws_conn *c = ws_conn_ref(s->conns[i++ % (unsigned)s->count]);
    ws_message *m = ws_message_ref(s->message);
    int rc = ws_conn_post_message(c, m);
    if (rc != WS_OK && rc != WS_ERR_CLOSED) abort();
    if (ws_conn_id(c) == 0 || ws_message_data(m).len != 5) abort();
    if (rc < 0 && ws_last_detail()[0] == '\0') abort();
    ws_message_unref(m);
    ws_conn_unref(c);
    if (i % 64 == 0) sched_yield();
  }
  return NULL;
}

static void start(Shared *s, pthread_t *threads, void *(*body)(void *)) {
  for (int i = 0; i < THREADS; ++i) assert_int_equal(pthread_create(&threads[i], NULL, body, s), 0);
}

static void stop(Shared *s, pthread_t *threads) {
  atomic_store(&s->stop, 1);
  for (int i = 0; i < THREADS; ++i) pthread_join(threads[i], NULL);
}

/* bad: 231, 236 */
static void test_threads_posting_while_connections_close_and_the_loop_ends(void **state) {
  (void)state;
  World w;
  Shared s;
  static Peer peers[16];
  pthread_t threads[THREADS];
  world_start_default(&w);
  memset(&s, 0, sizeof s);
  s.w = &w;
  s.count = 16;
  assert_ok(ws_message_new(WS_OP_TEXT, "hello", 5, &s.message));
  for (int i = 0; i < 16; ++i) {
    world_join(&w, &peers[i]);
    s.conns[i] = ws_conn_ref(w.conn);
  }
  start(&s, threads, hammer_connections);
  for (int i = 0; i < 16; ++i) {
    run_for(w.loop, FOR_MS / 16);
    if (i % 4 == 0) peer_reset(&peers[i]);
    if (i % 4 == 1) ws_conn_abort(s.conns[i]);
    if (i % 4 == 2) (void)ws_conn_close(s.conns[i], 1000, NULL);
  }
  assert_ok(ws_loop_free(w.loop)); /* with the posts still coming */
  assert_int_equal(w.closed, 16);
  for (uint64_t end = clock_ms() + 20; clock_ms() < end;) sched_yield();
  stop(&s, threads);
  for (int i = 0; i < 16; ++i) {
    assert_int_equal(ws_conn_post_message(s.conns[i], s.message), WS_ERR_CLOSED);
    ws_conn_unref(s.conns[i]);
    peers[i].loop = NULL;
    peer_drop(&peers[i]);
  }
  ws_message_unref(s.message);
}

static void *post_tasks(void *arg) {
  Shared *s = arg;
  for (int i = 0; i < 2000; ++i) {
    if (ws_loop_post(s->w->loop, count_task, s) != WS_OK) abort();
    atomic_fetch_add(&s->posted, 1);
  }
  atomic_fetch_add(&s->ready, 1);
  return NULL;
}

static void test_threads_every_task_runs_or_is_cancelled_exactly_once(void **state) {
  (void)state;
  World w;
  Shared s;
  pthread_t threads[THREADS];
  world_start_default(&w);
  memset(&s, 0, sizeof s);
  s.w = &w;
  start(&s, threads, post_tasks);
  while (atomic_load(&s.run) < THREADS * 1000) ws_loop_dispatch(w.loop, 5);
  stop(&s, threads);
  world_stop(&w);
  assert_int_equal(atomic_load(&s.posted), THREADS * 2000);
  assert_int_equal(atomic_load(&s.run) + atomic_load(&s.cancelled), THREADS * 2000);
}

typedef struct Ordered {
  Shared *s;
  int thread, next;
} Ordered;

static int last_of[THREADS];
static void check_order(ws_loop *l, void *arg, int cancelled) {
  Ordered *o = arg;
  (void)l, (void)cancelled;
  if (last_of[o->thread] != o->next) abort();
  ++last_of[o->thread];
  free(o);
}

static atomic_int next_thread;
static void *post_in_order(void *arg) {
  Shared *s = arg;
  int thread = atomic_fetch_add(&next_thread, 1);
  for (int i = 0; i < 500; ++i) {
    Ordered *o = malloc(sizeof *o);
    o->s = s;
    o->thread = thread;
    o->next = i;
    if (ws_loop_post(s->w->loop, check_order, o) != WS_OK) abort();
  }
  return NULL;
}

static void test_threads_tasks_of_one_thread_run_in_order(void **state) {
  (void)state;
  World w;
  Shared s;
  pthread_t threads[THREADS];
  world_start_default(&w);
  memset(&s, 0, sizeof s);
  memset(last_of, 0, sizeof last_of);
  atomic_store(&next_thread, 0);
  s.w = &w;
  start(&s, threads, post_in_order);
  run_for(w.loop, 20);
  stop(&s, threads);
  run_for(w.loop, 5);
  for (int i = 0; i < THREADS; ++i) assert_int_equal(last_of[i], 500);
  world_stop(&w);
}

static void *run_the_loop(void *arg) {
  Shared *s = arg;
  atomic_store(&s->ready, 1);
  if (ws_loop_run(s->w->loop) != WS_OK) abort();
  atomic_store(&s->ready, 2);
  return NULL;
}

/* bad: 232 */
static void test_threads_stop_ends_a_running_loop_soon(void **state) {
  (void)state;
  for (int i = 0; i < 20; ++i) {
    World w;
    Shared s;
    pthread_t thread;
    world_start_default(&w);
    memset(&s, 0, sizeof s);
    s.w = &w;
    assert_int_equal(pthread_create(&thread, NULL, run_the_loop, &s), 0);
    if (i % 2) {
      while (!atomic_load(&s.ready)) sched_yield();
    }
    uint64_t start = clock_ms();
    ws_loop_stop(w.loop); /* also when it comes before run() */
    pthread_join(thread, NULL);
    assert_true(clock_ms() - start < 1000);
    world_stop(&w);
  }
}

static void *count_references(void *arg) {
  Shared *s = arg;
  for (int i = 0; i < 20000; ++i) {
    ws_message *m = ws_message_ref(s->message);
    if (ws_message_opcode(m) != WS_OP_TEXT) abort();
    ws_message_unref(m);
  }
  ws_message_unref(s->message);
  return NULL;
}

static atomic_int released;
static void on_release(void *arg, const void *data, size_t len) {
  (void)arg, (void)data, (void)len;
  atomic_fetch_add(&released, 1);
}

static void test_threads_message_is_released_once_by_whoever_is_last(void **state) {
  (void)state;
  Shared s;
  pthread_t threads[THREADS];
  memset(&s, 0, sizeof s);
  atomic_store(&released, 0);
  assert_ok(ws_message_wrap(WS_OP_TEXT, "hello", 5, on_release, NULL, &s.message));
  for (int i = 1; i < THREADS; ++i) ws_message_ref(s.message);
  start(&s, threads, count_references);
  stop(&s, threads);
  assert_int_equal(atomic_load(&released), 1);
}

static void *make_and_free_loops(void *arg) {
  (void)arg;
  for (int i = 0; i < 20; ++i) {
    ws_loop *l;
    ws_server *server;
    ws_listen_config c;
    WS_INIT(&c);
    c.host = "127.0.0.1";
    if (ws_loop_new(NULL, &l) != WS_OK || ws_server_new(l, NULL, &server) != WS_OK) abort();
    if (ws_server_listen(server, &c, NULL) != WS_OK) abort();
    if (ws_loop_dispatch(l, 0) < 0) abort();
    if (ws_server_listen(server, NULL, NULL) == WS_ERR_INVALID) abort();
    if (ws_loop_free(l) != WS_OK) abort();
  }
  return NULL;
}

static void test_threads_loops_are_independent(void **state) {
  (void)state;
  Shared s;
  pthread_t threads[THREADS];
  memset(&s, 0, sizeof s);
  start(&s, threads, make_and_free_loops);
  stop(&s, threads);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_threads_posting_while_connections_close_and_the_loop_ends),
      cmocka_unit_test(test_threads_every_task_runs_or_is_cancelled_exactly_once),
      cmocka_unit_test(test_threads_tasks_of_one_thread_run_in_order),
      cmocka_unit_test(test_threads_stop_ends_a_running_loop_soon),
      cmocka_unit_test(test_threads_message_is_released_once_by_whoever_is_last),
      cmocka_unit_test(test_threads_loops_are_independent),
  };
  return cmocka_run_group_tests_name("threads", tests, NULL, NULL);
}
