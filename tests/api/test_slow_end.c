/*
 * Connections that end while messages wait, in each way; and ending them from other threads.
 */
#include "slow.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdlib.h>

static Both *open_waiting(void **state, Slow *s, int role, uint32_t count) {
  both_setup(state);
  Both *b = *state;
  b->w.limits.deflate = b->c.limits.deflate = WS_DEFLATE_OFF;
  ws_conn_config *limits = both_limits(b, role);
  limits->slow = WS_SLOW_DROP_OLDEST;
  limits->send_high_bytes = 20000;
  both_open(b);
  slow_begin(s, &b->w, &b->c, role);
  slow_fill(s, 20000);
  for (uint32_t i = 1; i <= count; ++i) assert_int_equal(send_raw(s, i, 100), WS_BACKPRESSURE);
  assert_int_equal(stats_of(s->from).waiting_messages, count);
  return b;
}

static int closed_count(Both *b, int role) { return role == SERVER ? b->w.closed : b->c.closed; }

static void wait_closed(Both *b, int role) {
  both_wait(b, role == SERVER ? &b->w.closed : &b->c.closed, 1);
}

static void test_slow_close_sends_what_waits_first(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    void *one;
    Slow s;
    Both *b = open_waiting(&one, &s, role, 500);
    ws_conn *from = ws_conn_ref(s.from);
    /* Refused, so nothing changes. */
    assert_fails(WS_ERR_INVALID, ws_conn_close(from, 1005, NULL));
    assert_int_equal(stats_of(from).waiting_messages, 500);
    assert_ok(ws_conn_close(from, 1000, "bye"));
    assert_int_equal(stats_of(from).waiting_messages, 0);
    assert_fails(WS_ERR_CLOSED, send_raw(&s, 501, 100));
    assert_ok(ws_conn_resume(s.to));
    wait_closed(b, !role);
    wait_closed(b, role);
    expect_got_range(&s, 1, 500);
    assert_int_equal(stats_of(from).messages_dropped, 0);
    assert_int_equal(role == SERVER ? b->c.how.code : b->w.how.code, 1000);
    ws_conn_unref(from);
    slow_free(&s);
    both_teardown(&one);
  }
}

static uint64_t dropped_at_close;
static void note_dropped(World *w, const char *event, ws_conn *c) {
  (void)w;
  if (strcmp(event, "close") == 0) dropped_at_close = stats_of(c).messages_dropped;
}
static void note_dropped_too(Caller *w, const char *event, ws_conn *c) {
  (void)w;
  if (strcmp(event, "close") == 0) dropped_at_close = stats_of(c).messages_dropped;
}

typedef enum How { ABORT, PEER_CLOSES, PEER_ABORTS, WAYS } How;

/* All is dropped, counted when on_close says so, and nothing is left over. */
static void test_slow_end_drops_and_counts_what_waits(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    for (How how = ABORT; how < WAYS; how = (How)(how + 1)) {
      void *one;
      Slow s;
      Both *b = open_waiting(&one, &s, role, 500);
      ws_conn *from = ws_conn_ref(s.from), *to = s.to;
      if (role == SERVER) b->w.on = note_dropped;
      if (role == CLIENT) b->c.on = note_dropped_too;
      dropped_at_close = 0;
      if (how == ABORT) ws_conn_abort(from);
      if (how == PEER_CLOSES) assert_ok(ws_conn_close(to, 1000, NULL));
      if (how == PEER_ABORTS) ws_conn_abort(to);
      wait_closed(b, role);
      if (!faults_are_on()) assert_true(dropped_at_close > 0);
      if (how == ABORT) assert_int_equal(dropped_at_close, 500);
      const ws_conn_stats stats = stats_of(from);
      assert_int_equal(stats.messages_dropped, dropped_at_close);
      assert_int_equal(stats.waiting_messages, 0);
      assert_int_equal(stats.waiting_bytes, 0);
      assert_fails(WS_ERR_CLOSED, send_raw(&s, 501, 100));
      ws_conn_unref(from);
      slow_free(&s);
      both_teardown(&one);
    }
  }
}

static void test_slow_owner_may_be_freed_while_messages_wait(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    void *one;
    Slow s;
    Both *b = open_waiting(&one, &s, role, 50);
    ws_conn *from = ws_conn_ref(s.from);
    slow_free(&s);
    both_teardown(&one);
    assert_int_equal(stats_of(from).waiting_messages, 0);
    ws_conn_unref(from);
    (void)b;
  }
}

static int released;
static void count_release(void *arg, const void *data, size_t len) {
  (void)data;
  (void)len;
  ++*(int *)arg;
}

/* In the middle of a message that leaves in fragments. */
static void test_slow_end_inside_a_fragmented_message_lets_it_go(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    for (How how = ABORT; how < WAYS; how = (How)(how + 1)) {
      void *one;
      Peer p;
      both_setup(&one);
      Both *b = one;
      const size_t len = (size_t)16 << 20;
      uint8_t *data = calloc(1, len);
      b->w.limits.deflate = b->c.limits.deflate = WS_DEFLATE_OFF;
      both_limits(b, role)->fragment_bytes = 65536;
      both_limits(b, role)->send_limit_bytes = 2 * len;
      both_start(b);
      ws_conn *c = ws_conn_ref(both_meet(b, role, &p, ""));
      ws_message *m;
      released = 0;
      assert_ok(ws_message_wrap(WS_OP_BINARY, data, len, count_release, &released, &m));
      assert_int_equal(ws_conn_send_message(c, m), WS_BACKPRESSURE);
      ws_message_unref(m);
      WireFrame f;
      peer_read_frame(&p, &f);
      assert_int_equal(released, 0);
      if (how == ABORT) ws_conn_abort(c);
      if (how == PEER_CLOSES) peer_send_close(&p, 1000, "");
      if (how == PEER_ABORTS) peer_reset(&p);
      both_wait(b, &released, 1);
      if (how == PEER_CLOSES) {
        while (f.first != FIN_CLOSE) peer_read_frame(&p, &f);
      }
      peer_drop(&p);
      wait_closed(b, role);
      assert_int_equal(stats_of(c).messages_dropped, 1);
      assert_int_equal(stats_of(c).messages_out, 0);
      ws_conn_unref(c);
      both_teardown(&one);
      free(data);
    }
  }
}

/* The peer takes nothing at all: the send timeout stands, whatever waits. */
static void test_slow_peer_that_takes_nothing_meets_the_send_timeout(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    void *one;
    Slow s;
    both_setup(&one);
    Both *b = one;
    both_limits(b, role)->slow = WS_SLOW_LATEST;
    both_limits(b, role)->send_timeout_ms = 50;
    both_limits(b, role)->send_high_bytes = 20000;
    both_open(b);
    slow_begin(&s, &b->w, &b->c, role);
    ws_conn *from = ws_conn_ref(s.from);
    while (closed_count(b, role) == 0) {
      int more = 10;
      while (ws_conn_is_open(from) && (ws_conn_buffered(from) <= 20000 || more-- > 0)) {
        (void)send_raw(&s, 1, 1000);
      }
      assert_true(ws_loop_dispatch(b->loop, 2) >= 0);
    }
    assert_int_equal((role == SERVER ? b->w.how.error : b->c.how.error), WS_ERR_TIMEOUT);
    assert_true(stats_of(from).messages_dropped > 0);
    ws_conn_unref(from);
    slow_free(&s);
    both_teardown(&one);
  }
}

/* ---- from other threads ---- */

static void test_slow_post_close_comes_behind_what_was_posted_before(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    void *one;
    Slow s;
    both_setup(&one);
    Both *b = one;
    both_open(b);
    slow_begin(&s, &b->w, &b->c, role);
    assert_ok(ws_conn_resume(s.to));
    ws_conn *from = ws_conn_ref(s.from);
    for (uint32_t i = 1; i <= 10; ++i) {
      ws_message *m = numbered(i, 10);
      assert_ok(ws_conn_post_message(from, m));
      ws_message_unref(m);
    }
    char reason[] = "posted";
    assert_fails(WS_ERR_INVALID, ws_conn_post_close(from, 1005, NULL));
    assert_fails(WS_ERR_INVALID, ws_conn_post_close(from, 0, "no code"));
    assert_fails(WS_ERR_INVALID, ws_conn_post_close(NULL, 1000, NULL));
    assert_fails(WS_ERR_INVALID, ws_conn_post_abort(NULL));
    assert_ok(ws_conn_post_close(from, 4000, reason));
    reason[0] = '!';
    assert_ok(ws_conn_post_abort(s.to)); /* of no use any more, and no harm */
    assert_int_equal(ws_conn_is_open(from), 1);
    wait_closed(b, role);
    wait_closed(b, !role);
    assert_fails(WS_ERR_CLOSED, ws_conn_post_close(from, 1000, NULL));
    assert_fails(WS_ERR_CLOSED, ws_conn_post_abort(from));
    ws_conn_unref(from);
    slow_free(&s);
    both_teardown(&one);
  }
}

static void test_slow_post_close_tells_code_and_reason(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    void *one;
    Peer p;
    both_setup(&one);
    Both *b = one;
    both_start(b);
    ws_conn *c = ws_conn_ref(both_meet(b, role, &p, ""));
    assert_ok(ws_conn_post_close(c, 4000, "posted"));
    WireFrame f;
    peer_read_frame(&p, &f);
    assert_int_equal(f.first, FIN_CLOSE);
    assert_bytes(f.payload, f.len, "\x0f\xa0posted", 8);
    assert_ok(ws_conn_post_abort(c));
    peer_expect_gone(&p);
    wait_closed(b, role);
    peer_drop(&p);
    both_teardown(&one);
    /* The loop is gone too. */
    assert_fails(WS_ERR_CLOSED, ws_conn_post_close(c, 1000, NULL));
    assert_fails(WS_ERR_CLOSED, ws_conn_post_abort(c));
    ws_conn_unref(c);
  }
}

enum { CONNS = 16, THREADS = 4 };

typedef struct Ends {
  ws_conn *conns[CONNS];
  ws_message *message;
  atomic_int stop;
} Ends;

static void *post_ends(void *arg) {
  Ends *e = arg;
  for (unsigned i = 0; !atomic_load(&e->stop); ++i) {
    ws_conn *c = ws_conn_ref(e->conns[(i + i / 64) % CONNS]);
    int rc = ws_conn_post_message(c, e->message);
    if (rc == WS_OK && i % 64 == 63) {
      rc = i % 128 == 63 ? ws_conn_post_close(c, 1000, "done") : ws_conn_post_abort(c);
    }
    if (rc != WS_OK && rc != WS_ERR_CLOSED) abort();
    ws_conn_unref(c);
    if (i % 16 == 0) sched_yield();
  }
  return NULL;
}

static void test_slow_threads_end_connections_while_messages_wait_and_the_loop_goes(void **state) {
  World w;
  Ends e;
  static Peer peers[CONNS];
  pthread_t threads[THREADS];
  (void)state;
  memset(&e, 0, sizeof e);
  world_prepare(&w);
  w.limits.send_limit_bytes = 20000;
  w.limits.send_high_bytes = 2000;
  w.limits.slow = WS_SLOW_DROP_OLDEST;
  world_start(&w);
  static uint8_t data[1000];
  assert_ok(ws_message_new(WS_OP_BINARY, data, sizeof data, &e.message));
  for (int i = 0; i < CONNS; ++i) {
    world_join(&w, &peers[i]);
    e.conns[i] = ws_conn_ref(w.conn);
  }
  for (int i = 0; i < THREADS; ++i) {
    assert_int_equal(pthread_create(&threads[i], NULL, post_ends, &e), 0);
  }
  uint64_t late = clock_ms() + PATIENCE_MS;
  while (w.closed < CONNS / 2 && clock_ms() < late) assert_true(ws_loop_dispatch(w.loop, 2) >= 0);
  assert_true(w.closed >= CONNS / 2);
  assert_ok(ws_loop_free(w.loop)); /* with the posts still coming */
  atomic_store(&e.stop, 1);
  for (int i = 0; i < THREADS; ++i) pthread_join(threads[i], NULL);
  assert_int_equal(w.closed, CONNS);
  for (int i = 0; i < CONNS; ++i) {
    assert_int_equal(ws_conn_post_close(e.conns[i], 1000, NULL), WS_ERR_CLOSED);
    assert_int_equal(ws_conn_post_abort(e.conns[i]), WS_ERR_CLOSED);
    assert_int_equal(stats_of(e.conns[i]).waiting_messages, 0);
    ws_conn_unref(e.conns[i]);
    peers[i].loop = NULL;
    peer_drop(&peers[i]);
  }
  ws_message_unref(e.message);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_slow_close_sends_what_waits_first),
      cmocka_unit_test(test_slow_end_drops_and_counts_what_waits),
      cmocka_unit_test(test_slow_owner_may_be_freed_while_messages_wait),
      cmocka_unit_test(test_slow_end_inside_a_fragmented_message_lets_it_go),
      cmocka_unit_test(test_slow_peer_that_takes_nothing_meets_the_send_timeout),
      cmocka_unit_test(test_slow_post_close_comes_behind_what_was_posted_before),
      cmocka_unit_test(test_slow_post_close_tells_code_and_reason),
      cmocka_unit_test(test_slow_threads_end_connections_while_messages_wait_and_the_loop_goes),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
