/*
 * Topics on one loop: names and patterns, who gets what, limits, and ends.
 */
#include "topics.h"

#include <stdio.h>

/* How many subscriptions to `pattern` a message to `topic` reaches: 0 or 1. */
static uint64_t reaches(World *w, ws_hub *h, const char *pattern, const char *topic) {
  const uint64_t before = hub_stats(h).delivered;
  assert_ok(ws_hub_subscribe(h, w->conn, pattern));
  assert_ok(hub_say(h, topic, "x", NULL, 0));
  assert_true(ws_loop_dispatch(w->loop, 0) >= 0);
  assert_ok(ws_hub_unsubscribe(h, w->conn, pattern));
  return hub_stats(h).delivered - before;
}

static void test_hub_pattern_table(void **state) {
  static const struct {
    const char *pattern, *topic;
    uint64_t match;
  } cases[] = {
      {"a", "a", 1},           {"a", "b", 0},           {"a", "a/", 0},
      {"a", "A", 0},           {"a/", "a/", 1},         {"/", "/", 1},
      {"a/b", "a/b", 1},       {"a/b", "a", 0},         {"a", "a/b", 0},
      {"*", "a", 1},           {"*", "a/b", 0},         {"*", "/", 0},
      {"*/*", "/", 1},         {"*/*", "a/b", 1},       {"*/*", "a", 0},
      {"a/*", "a/b", 1},       {"a/*", "a", 0},         {"a/*", "a/", 1},
      {"a/*", "a/b/c", 0},     {"a/*", "b/b", 0},       {"*/b", "a/b", 1},
      {"*/b", "a/c", 0},       {"a/*/c", "a/b/c", 1},   {"a/*/c", "a/c", 0},
      {"a/*/c", "a/b/b/c", 0}, {"**", "a", 1},          {"**", "a/b/c", 1},
      {"**", "/", 1},          {"a/**", "a", 0},        {"a/**", "a/", 1},
      {"a/**", "a/b", 1},      {"a/**", "a/b/c/d", 1},  {"a/**", "b/c", 0},
      {"*/**", "a", 0},        {"*/**", "a/b", 1},      {"a/*/**", "a/b", 0},
      {"a/*/**", "a/b/c", 1},  {"a/*/**", "a/b/c/", 1}, {"ab", "a", 0},
  };
  World *w = *state;
  Peer p;
  ws_hub *h = hub_new(0, 0, 0);
  world_join(w, &p);
  for (size_t i = 0; i < COUNT_OF(cases); ++i) {
    if (reaches(w, h, cases[i].pattern, cases[i].topic) != cases[i].match) {
      fail_msg("'%s' and '%s'", cases[i].pattern, cases[i].topic);
    }
    assert_int_equal(hub_stats(h).topics, 0);
  }
  ws_hub_unref(h);
  peer_drop(&p);
}

static void test_hub_malformed_topic_is_refused(void **state) {
  static const char *const bad[] = {"",     "a*",    "*a",    "***",   "a/**/b",
                                    "**/a", "a/b*c", "a/***", "**/**", "a/* "};
  World *w = *state;
  Peer p;
  ws_hub *h = hub_new(0, 0, 0);
  world_join(w, &p);
  for (size_t i = 0; i < COUNT_OF(bad); ++i) {
    assert_fails(WS_ERR_INVALID, ws_hub_subscribe(h, w->conn, bad[i]));
    assert_fails(WS_ERR_INVALID, ws_hub_unsubscribe(h, w->conn, bad[i]));
    assert_fails(WS_ERR_INVALID, hub_say(h, bad[i], "x", NULL, 0));
    assert_int_equal(ws_hub_count(h, bad[i]), 0);
  }
  assert_fails(WS_ERR_INVALID, hub_say(h, "a/*", "x", NULL, 0));
  assert_fails(WS_ERR_INVALID, hub_say(h, "**", "x", NULL, 0));
  assert_fails(WS_ERR_UNSUPPORTED, hub_say(h, "a", "x", NULL, 2));
  assert_int_equal(hub_stats(h).published, 0);
  assert_int_equal(hub_stats(h).topics, 0);
  ws_hub_unref(h);
  peer_drop(&p);
}

static void test_hub_topic_of_1024_bytes_is_the_longest(void **state) {
  World *w = *state;
  Peer p;
  char name[1026];
  ws_hub *h = hub_new(0, 0, 0);
  world_join(w, &p);
  for (size_t len = 1023; len <= 1025; ++len) {
    memset(name, 'n', len);
    name[len] = '\0';
    if (len == 1025) {
      assert_fails(WS_ERR_INVALID, ws_hub_subscribe(h, w->conn, name));
      assert_fails(WS_ERR_INVALID, hub_say(h, name, "x", NULL, 0));
    } else {
      assert_int_equal(reaches(w, h, name, name), 1);
    }
  }
  ws_hub_unref(h);
  peer_drop(&p);
}

static void test_hub_pattern_of_32_segments_is_the_longest(void **state) {
  World *w = *state;
  Peer p;
  ws_hub *h = hub_new(0, 0, 0);
  world_join(w, &p);
  for (size_t segments = 31; segments <= 33; ++segments) {
    char pattern[80], topic[80];
    for (size_t i = 0; i < segments; ++i) {
      memcpy(pattern + 2 * i, "*/", 2);
      memcpy(topic + 2 * i, "a/", 2);
    }
    pattern[2 * segments - 1] = topic[2 * segments - 1] = '\0';
    if (segments == 33) {
      assert_fails(WS_ERR_INVALID, ws_hub_subscribe(h, w->conn, pattern));
      assert_int_equal(reaches(w, h, topic, topic), 1); /* a name has any number */
    } else {
      assert_int_equal(reaches(w, h, pattern, topic), 1);
    }
  }
  ws_hub_unref(h);
  peer_drop(&p);
}

static void test_hub_matching_twice_is_delivered_once(void **state) {
  static const char *const all[] = {"a/b", "a/*", "*/b", "*/*", "a/**", "**"};
  World *w = *state;
  Peer p;
  ws_hub *h = hub_new(0, 0, 0);
  world_join(w, &p);
  for (size_t i = 0; i < COUNT_OF(all); ++i) {
    assert_ok(ws_hub_subscribe(h, w->conn, all[i]));
    assert_ok(ws_hub_subscribe(h, w->conn, all[i]));
    assert_int_equal(ws_hub_count(h, all[i]), 1);
  }
  assert_int_equal(hub_stats(h).subscriptions, COUNT_OF(all));
  assert_int_equal(hub_stats(h).topics, COUNT_OF(all));
  assert_ok(hub_say(h, "a/b", "one", NULL, 0));
  assert_ok(hub_say(h, "a/c", "two", NULL, 0));
  peer_expect_text(&p, "one");
  peer_expect_text(&p, "two");
  peer_expect_quiet(&p);
  assert_ok(ws_hub_unsubscribe(h, w->conn, "never"));
  assert_ok(ws_hub_unsubscribe_all(h, w->conn));
  assert_ok(ws_hub_unsubscribe_all(h, w->conn));
  assert_ok(ws_hub_unsubscribe(h, w->conn, "a/b"));
  assert_int_equal(hub_stats(h).subscriptions, 0);
  assert_int_equal(hub_stats(h).topics, 0);
  assert_ok(hub_say(h, "a/b", "three", NULL, 0));
  peer_expect_quiet(&p);
  assert_int_equal(hub_stats(h).published, 3);
  assert_int_equal(hub_stats(h).delivered, 2);
  ws_hub_unref(h);
  peer_drop(&p);
}

static void test_hub_except_is_left_out_also_when_it_is_closed(void **state) {
  World *w = *state;
  Peer a, b;
  ws_hub *h = hub_new(0, 0, 0);
  world_join(w, &a);
  ws_conn *first = ws_conn_ref(w->conn);
  assert_ok(ws_hub_subscribe(h, first, "t"));
  world_join(w, &b);
  assert_ok(ws_hub_subscribe(h, w->conn, "t"));
  assert_int_equal(ws_hub_count(h, "t"), 2);
  assert_ok(hub_say(h, "t", "not to a", first, 0));
  peer_expect_text(&b, "not to a");
  assert_ok(hub_say(h, "t", "not to b", w->conn, 0));
  peer_expect_text(&a, "not to b");
  peer_reset(&a);
  world_wait_closed(w, 1);
  assert_int_equal(ws_hub_count(h, "t"), 1);
  assert_ok(hub_say(h, "t", "to b", first, 0));
  peer_expect_text(&b, "to b");
  assert_fails(WS_ERR_CLOSED, ws_hub_subscribe(h, first, "t"));
  assert_fails(WS_ERR_CLOSED, ws_hub_unsubscribe(h, first, "t"));
  assert_fails(WS_ERR_CLOSED, ws_hub_unsubscribe_all(h, first));
  ws_conn_unref(first);
  ws_hub_unref(h);
  peer_drop(&a);
  peer_drop(&b);
}

static void leave_word(World *w, const char *event, ws_conn *c) {
  ws_hub *h = w->extra;
  if (strcmp(event, "close") != 0) return;
  assert_int_equal(ws_hub_count(h, "room"), 1); /* its own is over */
  assert_fails(WS_ERR_CLOSED, ws_hub_subscribe(h, c, "room"));
  assert_ok(hub_say(h, "room", "left", NULL, 0));
}

static void test_hub_subscriptions_end_before_on_close_which_may_publish(void **state) {
  World *w = *state;
  Peer a, b;
  ws_hub *h = hub_new(0, 0, 0);
  world_join(w, &a);
  ws_conn *stays = w->conn;
  assert_ok(ws_hub_subscribe(h, stays, "room"));
  world_join(w, &b);
  assert_ok(ws_hub_subscribe(h, w->conn, "room"));
  assert_ok(ws_hub_subscribe(h, w->conn, "*"));
  w->extra = h;
  w->on = leave_word;
  peer_send_close(&b, 1000, "");
  world_wait_closed(w, 1);
  peer_expect_text(&a, "left");
  assert_int_equal(hub_stats(h).subscriptions, 1);
  w->on = NULL;
  ws_hub_unref(h);
  peer_drop(&a);
  peer_drop(&b);
}

static void test_hub_closing_connection_gets_nothing_and_is_no_drop(void **state) {
  World *w = *state;
  Peer p;
  ws_hub *h = hub_new(0, 0, 0);
  world_join(w, &p);
  assert_ok(ws_hub_subscribe(h, w->conn, "t"));
  assert_ok(ws_conn_close(w->conn, 1000, NULL));
  assert_fails(WS_ERR_CLOSED, ws_hub_subscribe(h, w->conn, "u"));
  assert_ok(hub_say(h, "t", "x", NULL, 0));
  peer_expect_close(&p, 1000);
  assert_int_equal(ws_hub_count(h, "t"), 1);
  assert_ok(ws_hub_unsubscribe(h, w->conn, "t"));
  assert_int_equal(hub_stats(h).delivered, 0);
  assert_int_equal(hub_stats(h).dropped, 0);
  ws_hub_unref(h);
  peer_drop(&p);
}

static void answer(World *w, const char *event, ws_conn *c) {
  ws_hub *h = w->extra;
  if (strcmp(event, "message") != 0) return;
  assert_ok(hub_say(h, "t", "two", NULL, 0)); /* in the turn: behind what waits for it */
  assert_int_equal(hub_stats(h).delivered, 2);
  assert_ok(ws_conn_send(c, WS_OP_TEXT, "three", 5, 0));
  assert_ok(hub_say(h, "t", "four", c, 0));
  assert_ok(hub_say(h, "t", "five", NULL, 0));
}

static void test_hub_order_of_one_thread_is_kept_inside_and_outside_of_a_turn(void **state) {
  World *w = *state;
  Peer p;
  ws_hub *h = hub_new(0, 0, 0);
  world_join(w, &p);
  assert_ok(ws_hub_subscribe(h, w->conn, "t"));
  w->extra = h;
  w->on = answer;
  peer_send_text(&p, "go");
  assert_ok(hub_say(h, "t", "one", NULL, 0));
  assert_int_equal(hub_stats(h).delivered, 0);
  assert_true(hub_stats(h).queued_bytes > 0);
  peer_expect_text(&p, "one");
  peer_expect_text(&p, "two");
  peer_expect_text(&p, "three");
  peer_expect_text(&p, "five");
  assert_int_equal(hub_stats(h).queued_bytes, 0);
  w->on = NULL;
  ws_hub_unref(h);
  peer_drop(&p);
}

static void test_hub_max_topics_is_the_bound(void **state) {
  World *w = *state;
  Peer p;
  ws_hub *h = hub_new(3, 0, 0);
  world_join(w, &p);
  assert_ok(ws_hub_subscribe(h, w->conn, "a"));
  assert_ok(ws_hub_subscribe(h, w->conn, "b/*"));
  assert_ok(ws_hub_subscribe(h, w->conn, "c"));
  assert_fails(WS_ERR_FULL, ws_hub_subscribe(h, w->conn, "d"));
  assert_fails(WS_ERR_FULL, ws_hub_subscribe(h, w->conn, "d/*"));
  assert_ok(ws_hub_subscribe(h, w->conn, "a"));
  assert_int_equal(hub_stats(h).topics, 3);
  assert_int_equal(reaches(w, h, "a", "d/x"), 0); /* nothing of it is left */
  assert_ok(ws_hub_subscribe(h, w->conn, "d/*"));
  assert_ok(ws_hub_unsubscribe_all(h, w->conn));
  ws_hub_unref(h);
  peer_drop(&p);
}

static void test_hub_max_subscriptions_per_connection_is_the_bound(void **state) {
  World *w = *state;
  Peer p, q;
  ws_hub *h = hub_new(0, 2, 0);
  world_join(w, &p);
  ws_conn *first = w->conn;
  world_join(w, &q);
  assert_ok(ws_hub_subscribe(h, first, "a"));
  assert_ok(ws_hub_subscribe(h, first, "b"));
  assert_fails(WS_ERR_FULL, ws_hub_subscribe(h, first, "c"));
  assert_int_equal(ws_hub_count(h, "c"), 0);
  assert_ok(ws_hub_subscribe(h, first, "b"));
  assert_ok(ws_hub_subscribe(h, w->conn, "c"));
  assert_ok(ws_hub_unsubscribe(h, first, "a"));
  assert_ok(ws_hub_subscribe(h, first, "c"));
  assert_int_equal(ws_hub_count(h, "c"), 2);
  ws_hub_unref(h);
  peer_drop(&p);
  peer_drop(&q);
}

static void full_subscriber(ws_slow slow_policy) {
  World w;
  Peer p, q;
  char text[1001];
  ws_conn_stats stats;
  world_prepare(&w);
  w.limits.send_high_bytes = 1000;
  w.limits.send_limit_bytes = 4000;
  w.limits.send_low_bytes = 500;
  w.limits.slow = slow_policy;
  world_start(&w);
  ws_hub *h = hub_new(0, 0, 0);
  memset(text, 'x', 1000);
  text[1000] = '\0';
  world_join(&w, &p);
  ws_conn *slow = w.conn;
  assert_ok(ws_hub_subscribe(h, slow, "t"));
  uint64_t published = 0;
  /* Nobody reads p's socket. */
  while (hub_stats(h).dropped < 5) {
    assert_ok(hub_say(h, "t", text, NULL, 0));
    ++published;
    assert_true(published < 100000);
    assert_true(ws_loop_dispatch(w.loop, 0) >= 0);
  }
  world_join(&w, &q);
  assert_ok(ws_hub_subscribe(h, w.conn, "t"));
  assert_ok(hub_say(h, "t", text, NULL, 0));
  peer_expect_text(&q, text);
  WS_INIT(&stats);
  assert_ok(ws_conn_get_stats(slow, &stats));
  assert_int_equal(stats.messages_dropped, hub_stats(h).dropped);
  const uint64_t dropped = hub_stats(h).dropped;
  if (!faults_are_on()) assert_int_equal(dropped, 6);
  assert_int_equal(hub_stats(h).delivered + hub_stats(h).dropped, published + 2);
  world_stop(&w);
  assert_int_equal(hub_stats(h).subscriptions, 0);
  assert_int_equal(hub_stats(h).dropped, dropped); /* the figures outlive the loop */
  ws_hub_unref(h);
  peer_drop(&p);
  peer_drop(&q);
}

static void test_hub_full_subscriber_misses_it_and_it_is_counted(void **state) {
  (void)state;
  full_subscriber(WS_SLOW_REFUSE);
  full_subscriber(WS_SLOW_DROP_NEWEST);
}

static void test_hub_subscriber_inside_a_message_in_parts_misses_it(void **state) {
  World *w = *state;
  Peer p;
  ws_hub *h = hub_new(0, 0, 0);
  world_join(w, &p);
  assert_ok(ws_hub_subscribe(h, w->conn, "t"));
  assert_ok(ws_conn_send_part(w->conn, WS_OP_TEXT, "be", 2, 0));
  assert_ok(hub_say(h, "t", "x", NULL, 0));
  run_for(w->loop, 5);
  assert_ok(ws_conn_send_part(w->conn, WS_OP_TEXT, "gun", 3, 1));
  assert_ok(hub_say(h, "t", "y", NULL, 0));
  peer_expect_frame(&p, PART_TEXT, "be", 2);
  peer_expect_frame(&p, PART_LAST, "gun", 3);
  peer_expect_text(&p, "y");
  assert_int_equal(hub_stats(h).dropped, 1);
  ws_hub_unref(h);
  peer_drop(&p);
}

/* Released from inside a delivery, when it has left the queue: does everything one can do. */
static World *release_world;
static int releases;
static void on_release(void *arg, const void *data, size_t len) {
  ws_hub *h = arg;
  (void)data, (void)len;
  ++releases;
  if (release_world->conn == NULL) return;
  assert_ok(hub_say(h, "t", "released", NULL, 0));
  (void)ws_hub_unsubscribe_all(h, release_world->conn);
  (void)ws_hub_subscribe(h, release_world->conn, "t");
  (void)ws_hub_subscribe(h, release_world->conn, "*");
}

static void test_hub_may_be_changed_by_who_releases_a_message(void **state) {
  static char big[200000];
  World *w = *state;
  Peer peers[5];
  ws_hub *h = hub_new(0, 0, 0);
  release_world = w;
  releases = 0;
  memset(big, 'b', sizeof big);
  for (int i = 0; i < 5; ++i) {
    world_join(w, &peers[i]);
    assert_ok(ws_hub_subscribe(h, w->conn, "t"));
    if (i % 2) assert_ok(ws_hub_subscribe(h, w->conn, "*"));
  }
  for (int i = 0; i < 20; ++i) {
    ws_message *m;
    assert_ok(ws_message_wrap(WS_OP_BINARY, big, 300 + 9000 * (size_t)i, on_release, h, &m));
    assert_ok(ws_hub_publish(h, "t", m, NULL, 0));
    ws_message_unref(m);
  }
  int texts[5] = {0}, binaries[5] = {0};
  for (int i = 0; i < 5; ++i) {
    while (texts[i] < 20 || binaries[i] < 20) {
      WireFrame f;
      peer_read_frame(&peers[i], &f);
      if (f.first == FIN_TEXT) ++texts[i];
      if (f.first == FIN_BINARY) {
        assert_int_equal(f.len, 300 + 9000 * binaries[i]);
        ++binaries[i];
      }
    }
    peer_expect_quiet(&peers[i]);
  }
  assert_int_equal(releases, 20);
  for (int i = 0; i < 5; ++i) peer_reset(&peers[i]);
  world_wait_closed(w, 5);
  assert_int_equal(hub_stats(h).subscriptions, 0);
  ws_hub_unref(h);
}

/* Against a table of who is subscribed to what: places are swapped all the time. */
static void test_hub_many_changes_keep_everybody_where_he_is(void **state) {
  enum { MANY = 7, TOPICS = 6 };
  static const char *const names[TOPICS] = {"a/b", "a/c", "a/*", "*/b", "**", "d"};
  static const struct {
    const char *topic;
    int match[TOPICS];
  } published[] = {{"a/b", {1, 0, 1, 1, 1, 0}},
                   {"a/c", {0, 1, 1, 0, 1, 0}},
                   {"x/b", {0, 0, 0, 1, 1, 0}},
                   {"d", {0, 0, 0, 0, 1, 1}},
                   {"e", {0, 0, 0, 0, 1, 0}}};
  World *w = *state;
  Peer p[MANY];
  ws_conn *conns[MANY];
  int held[MANY][TOPICS] = {{0}};
  unsigned dice = 1;
  ws_hub *h = hub_new(0, 0, 0);
  for (int i = 0; i < MANY; ++i) {
    world_join(w, &p[i]);
    conns[i] = w->conn;
  }
  for (int step = 0; step < 4000; ++step) {
    dice = dice * 1664525u + 1013904223u;
    const unsigned c = (dice >> 8) % MANY, t = (dice >> 16) % TOPICS;
    if (dice >> 24 < 8) {
      assert_ok(ws_hub_unsubscribe_all(h, conns[c]));
      memset(held[c], 0, sizeof held[c]);
    } else if (held[c][t]) {
      assert_ok(ws_hub_unsubscribe(h, conns[c], names[t]));
      held[c][t] = 0;
    } else {
      assert_ok(ws_hub_subscribe(h, conns[c], names[t]));
      held[c][t] = 1;
    }
    uint64_t want = 0, all = 0;
    const size_t what = (dice >> 4) % COUNT_OF(published);
    for (int i = 0; i < MANY; ++i) {
      int hit = 0;
      for (int j = 0; j < TOPICS; ++j) {
        all += (uint64_t)held[i][j];
        hit |= held[i][j] & published[what].match[j];
      }
      want += (uint64_t)hit;
    }
    assert_int_equal(hub_stats(h).subscriptions, all);
    if (step % 10 != 0) continue;
    const uint64_t before = hub_stats(h).delivered;
    assert_ok(hub_say(h, published[what].topic, "x", NULL, 0));
    assert_true(ws_loop_dispatch(w->loop, 0) >= 0);
    assert_int_equal(hub_stats(h).delivered - before, want);
  }
  ws_hub_unref(h);
  for (int i = 0; i < MANY; ++i) peer_drop(&p[i]);
}

static void test_hub_null_arguments(void **state) {
  World *w = *state;
  Peer p;
  ws_hub *h = hub_new(0, 0, 0);
  ws_hub_stats stats;
  ws_message *m;
  world_join(w, &p);
  assert_ok(ws_message_new(WS_OP_TEXT, "x", 1, &m));
  WS_INIT(&stats);
  assert_fails(WS_ERR_INVALID, ws_hub_new(NULL, NULL));
  assert_null(ws_hub_ref(NULL));
  ws_hub_unref(NULL);
  assert_fails(WS_ERR_INVALID, ws_hub_subscribe(NULL, w->conn, "t"));
  assert_fails(WS_ERR_INVALID, ws_hub_subscribe(h, NULL, "t"));
  assert_fails(WS_ERR_INVALID, ws_hub_subscribe(h, w->conn, NULL));
  assert_fails(WS_ERR_INVALID, ws_hub_unsubscribe(NULL, w->conn, "t"));
  assert_fails(WS_ERR_INVALID, ws_hub_unsubscribe(h, NULL, "t"));
  assert_fails(WS_ERR_INVALID, ws_hub_unsubscribe(h, w->conn, NULL));
  assert_fails(WS_ERR_INVALID, ws_hub_unsubscribe_all(NULL, w->conn));
  assert_fails(WS_ERR_INVALID, ws_hub_unsubscribe_all(h, NULL));
  assert_fails(WS_ERR_INVALID, ws_hub_publish(NULL, "t", m, NULL, 0));
  assert_fails(WS_ERR_INVALID, ws_hub_publish(h, NULL, m, NULL, 0));
  assert_fails(WS_ERR_INVALID, ws_hub_publish(h, "t", NULL, NULL, 0));
  assert_int_equal(ws_hub_count(NULL, "t"), 0);
  assert_int_equal(ws_hub_count(h, NULL), 0);
  assert_fails(WS_ERR_INVALID, ws_hub_get_stats(NULL, &stats));
  assert_fails(WS_ERR_INVALID, ws_hub_get_stats(h, NULL));
  assert_fails(WS_ERR_INVALID, ws_hub_set_bridge(NULL, NULL));
  assert_ok(ws_hub_set_bridge(h, NULL));
  ws_message_unref(m);
  ws_hub_unref(h);
  peer_drop(&p);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      WORLD_TEST(test_hub_pattern_table),
      WORLD_TEST(test_hub_malformed_topic_is_refused),
      WORLD_TEST(test_hub_topic_of_1024_bytes_is_the_longest),
      WORLD_TEST(test_hub_pattern_of_32_segments_is_the_longest),
      WORLD_TEST(test_hub_matching_twice_is_delivered_once),
      WORLD_TEST(test_hub_except_is_left_out_also_when_it_is_closed),
      WORLD_TEST(test_hub_subscriptions_end_before_on_close_which_may_publish),
      WORLD_TEST(test_hub_closing_connection_gets_nothing_and_is_no_drop),
      WORLD_TEST(test_hub_order_of_one_thread_is_kept_inside_and_outside_of_a_turn),
      WORLD_TEST(test_hub_max_topics_is_the_bound),
      WORLD_TEST(test_hub_max_subscriptions_per_connection_is_the_bound),
      cmocka_unit_test(test_hub_full_subscriber_misses_it_and_it_is_counted),
      WORLD_TEST(test_hub_subscriber_inside_a_message_in_parts_misses_it),
      WORLD_TEST(test_hub_may_be_changed_by_who_releases_a_message),
      WORLD_TEST(test_hub_many_changes_keep_everybody_where_he_is),
      WORLD_TEST(test_hub_null_arguments),
  };
  return cmocka_run_group_tests_name("hub", tests, NULL, NULL);
}
