/*
 * Topics over several loops, turned by one thread in whatever order a test wants: what waits for a
 * loop, its bound, and loops and hubs that go while something waits.
 */
#include "topics.h"

#include <stdio.h>

enum { LOOPS = 3 };

typedef struct Several {
  ws_hub *hub;
  World w[LOOPS];
  Peer p[LOOPS];
} Several;

static void several_start(Several *s, uint64_t max_queued) {
  s->hub = hub_new(0, 0, max_queued);
  for (int i = 0; i < LOOPS; ++i) {
    world_start_default(&s->w[i]);
    world_join(&s->w[i], &s->p[i]);
    assert_ok(ws_hub_subscribe(s->hub, s->w[i].conn, "t"));
  }
}

static void several_stop(Several *s) {
  for (int i = 0; i < LOOPS; ++i) {
    peer_drop(&s->p[i]);
    world_stop(&s->w[i]);
  }
  ws_hub_unref(s->hub);
}

static void test_hub_loops_each_gets_all_in_order(void **state) {
  (void)state;
  Several s;
  several_start(&s, 0);
  assert_int_equal(ws_hub_count(s.hub, "t"), LOOPS);
  assert_int_equal(hub_stats(s.hub).topics, 1);
  for (int n = 0; n < 200; ++n) {
    char text[32];
    snprintf(text, sizeof text, "%d", n);
    assert_ok(hub_say(s.hub, "t", text, n % 10 == 0 ? s.w[n / 10 % LOOPS].conn : NULL, 0));
    if (n % 7 == 0) assert_true(ws_loop_dispatch(s.w[n % LOOPS].loop, 0) >= 0);
  }
  for (int i = 0; i < LOOPS; ++i) {
    for (int n = 0; n < 200; ++n) {
      char text[32];
      if (n % 10 == 0 && n / 10 % LOOPS == i) continue;
      snprintf(text, sizeof text, "%d", n);
      peer_expect_text(&s.p[i], text);
    }
    peer_expect_quiet(&s.p[i]);
  }
  assert_int_equal(hub_stats(s.hub).queued_bytes, 0);
  several_stop(&s);
}

static void test_hub_loops_many_messages_are_one_wake_up(void **state) {
  (void)state;
  Several s;
  ws_loop_stats before, after;
  several_start(&s, 0);
  WS_INIT(&before);
  WS_INIT(&after);
  for (int i = 0; i < LOOPS; ++i) run_for(s.w[i].loop, 3);
  assert_ok(ws_loop_get_stats(s.w[0].loop, &before));
  for (int n = 0; n < 100; ++n) assert_ok(hub_say(s.hub, "t", "x", NULL, 0));
  for (int n = 0; n < 100; ++n) peer_expect_text(&s.p[0], "x");
  assert_ok(ws_loop_get_stats(s.w[0].loop, &after));
  assert_int_equal(after.tasks - before.tasks, 1);
  several_stop(&s);
}

/* 64 and the topic and the payload for each. */
static void test_hub_loops_queue_bound_drops_for_that_loop_only(void **state) {
  (void)state;
  static const uint64_t kEach = 64 + 1 + 5;
  for (int off = -1; off <= 1; ++off) {
    Several s;
    several_start(&s, 3 * kEach + (uint64_t)(int64_t)off);
    const int fit = off < 0 ? 2 : 3;
    for (int n = 0; n < fit; ++n) assert_ok(hub_say(s.hub, "t", "hello", NULL, 0));
    assert_int_equal(hub_stats(s.hub).queued_bytes, LOOPS * (uint64_t)fit * kEach);
    peer_expect_text(&s.p[1], "hello"); /* that loop is not busy */
    assert_int_equal(hub_say(s.hub, "t", "hello", NULL, 0), WS_DROPPED);
    assert_int_equal(hub_stats(s.hub).dropped_busy, LOOPS - 1);
    assert_int_equal(hub_stats(s.hub).published, (uint64_t)fit + 1);
    for (int i = 0; i < LOOPS; ++i) {
      for (int n = i == 1 ? 1 : 0; n < (i == 1 ? fit + 1 : fit); ++n) {
        peer_expect_text(&s.p[i], "hello");
      }
      peer_expect_quiet(&s.p[i]);
    }
    assert_ok(hub_say(s.hub, "t", "hello", NULL, 0)); /* and there is room again */
    several_stop(&s);
  }
}

static void test_hub_loops_message_larger_than_the_bound_is_dropped(void **state) {
  (void)state;
  Several s;
  char text[101];
  memset(text, 'x', 100);
  text[100] = '\0';
  several_start(&s, 64 + 1 + 99);
  assert_int_equal(hub_say(s.hub, "t", text, NULL, 0), WS_DROPPED);
  text[99] = '\0';
  assert_ok(hub_say(s.hub, "t", text, NULL, 0));
  for (int i = 0; i < LOOPS; ++i) peer_expect_text(&s.p[i], text);
  several_stop(&s);
}

static int released;
static void count_release(void *arg, const void *data, size_t len) {
  (void)arg, (void)data, (void)len;
  ++released;
}

static void say_wrapped(ws_hub *h) {
  ws_message *m;
  assert_ok(ws_message_wrap(WS_OP_TEXT, "hello", 5, count_release, NULL, &m));
  assert_ok(ws_hub_publish(h, "t", m, NULL, 0));
  ws_message_unref(m);
}

static void test_hub_loops_one_freed_while_messages_wait_for_it(void **state) {
  (void)state;
  Several s;
  released = 0;
  several_start(&s, 0);
  say_wrapped(s.hub);
  say_wrapped(s.hub);
  world_stop(&s.w[0]);
  s.p[0].loop = NULL;
  assert_int_equal(s.w[0].closed, 1);
  assert_int_equal(ws_hub_count(s.hub, "t"), 2);
  say_wrapped(s.hub);
  for (int i = 1; i < LOOPS; ++i) {
    for (int n = 0; n < 3; ++n) peer_expect_text(&s.p[i], "hello");
    run_for(s.w[i].loop, 2);
  }
  assert_int_equal(released, 3);
  assert_int_equal(hub_stats(s.hub).queued_bytes, 0);
  several_stop(&s);
}

static void test_hub_loops_freed_hub_delivers_what_was_published_and_nothing_more(void **state) {
  (void)state;
  Several s;
  released = 0;
  several_start(&s, 0);
  assert_ptr_equal(ws_hub_ref(s.hub), s.hub);
  ws_hub_unref(s.hub);
  assert_int_equal(ws_hub_count(s.hub, "t"), LOOPS);
  say_wrapped(s.hub);
  ws_hub_unref(s.hub);
  s.hub = NULL;
  world_stop(&s.w[2]); /* one goes without another turn */
  s.p[2].loop = NULL;
  for (int i = 0; i < 2; ++i) {
    peer_expect_text(&s.p[i], "hello");
    peer_expect_quiet(&s.p[i]);
    assert_int_equal(s.w[i].closed, 0);
  }
  assert_int_equal(released, 1);
  several_stop(&s);
}

/* More than 64: the set of loops of a topic gets its other form. */
static void test_hub_loops_a_hundred(void **state) {
  (void)state;
  enum { MANY = 100 };
  static World w[MANY];
  static Peer p[MANY];
  ws_hub *h = hub_new(0, 0, 0);
  for (int i = 0; i < MANY; ++i) {
    world_prepare(&w[i]);
    w[i].loop_config.read_bytes = 4096;
    w[i].loop_config.max_events = 16;
    world_start(&w[i]);
    world_join(&w[i], &p[i]);
    assert_ok(ws_hub_subscribe(h, w[i].conn, i % 2 ? "t" : "*"));
  }
  assert_ok(hub_say(h, "t", "all", NULL, 0));
  assert_ok(hub_say(h, "u", "even", NULL, 0));
  for (int i = 0; i < MANY; ++i) {
    peer_expect_text(&p[i], "all");
    if (i % 2 == 0) peer_expect_text(&p[i], "even");
    peer_expect_quiet(&p[i]);
    peer_drop(&p[i]);
    world_stop(&w[i]);
  }
  assert_int_equal(hub_stats(h).topics, 0);
  ws_hub_unref(h);
}

static void publish_late(World *w, const char *event, ws_conn *c) {
  (void)c;
  if (strcmp(event, "close") == 0) assert_ok(hub_say(w->extra, "t", "bye", NULL, 0));
}

static void test_hub_loops_publish_from_on_close_inside_loop_free(void **state) {
  (void)state;
  Several s;
  several_start(&s, 0);
  Peer more;
  world_join(&s.w[0], &more);
  assert_ok(ws_hub_subscribe(s.hub, s.w[0].conn, "t"));
  s.w[0].extra = s.hub;
  s.w[0].on = publish_late;
  world_stop(&s.w[0]);
  s.p[0].loop = more.loop = NULL;
  for (int i = 1; i < LOOPS; ++i) {
    peer_expect_text(&s.p[i], "bye");
    peer_expect_text(&s.p[i], "bye");
    peer_expect_quiet(&s.p[i]);
  }
  peer_drop(&more);
  several_stop(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_hub_loops_each_gets_all_in_order),
      cmocka_unit_test(test_hub_loops_many_messages_are_one_wake_up),
      cmocka_unit_test(test_hub_loops_queue_bound_drops_for_that_loop_only),
      cmocka_unit_test(test_hub_loops_message_larger_than_the_bound_is_dropped),
      cmocka_unit_test(test_hub_loops_one_freed_while_messages_wait_for_it),
      cmocka_unit_test(test_hub_loops_freed_hub_delivers_what_was_published_and_nothing_more),
      cmocka_unit_test(test_hub_loops_a_hundred),
      cmocka_unit_test(test_hub_loops_publish_from_on_close_inside_loop_free),
  };
  return cmocka_run_group_tests_name("hub_loops", tests, NULL, NULL);
}
