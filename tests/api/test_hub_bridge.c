/*
 * The bridge: which topics there are, what is published, and the ends of both.
 */
#include "topics.h"

#include <stdio.h>
#include <stdlib.h>

typedef struct Told {
  ws_hub *hub;
  char log[4096]; /* "+a -a a=text " */
  int calls;
  void (*on)(struct Told *t, const char *what);
} Told;

static void tell(Told *t, const char *format, const char *a, const char *b) {
  char what[1200];
  snprintf(what, sizeof what, format, a, b);
  ++t->calls;
  if (strlen(t->log) + strlen(what) < sizeof t->log) strcat(t->log, what);
  if (t->on != NULL) t->on(t, what);
}

static void on_topic(ws_hub *h, const char *topic, int active, void *user) {
  Told *t = user;
  assert_ptr_equal(h, t->hub);
  tell(t, "%s%s ", active ? "+" : "-", topic);
}

static void on_publish(ws_hub *h, const char *topic, ws_message *m, void *user) {
  Told *t = user;
  char text[64];
  const ws_slice data = ws_message_data(m);
  assert_ptr_equal(h, t->hub);
  assert_true(data.len < sizeof text);
  memcpy(text, data.data, data.len);
  text[data.len] = '\0';
  tell(t, "%s=%s ", topic, text);
}

static void bridge_set(Told *t, ws_hub *h, ws_loop *loop, uint64_t max_queued) {
  ws_hub_bridge b;
  memset(t, 0, sizeof *t);
  t->hub = h;
  WS_INIT(&b);
  b.loop = loop;
  b.on_topic = on_topic;
  b.on_publish = on_publish;
  b.user = t;
  b.max_queued_bytes = max_queued;
  assert_ok(ws_hub_set_bridge(h, &b));
}

#define expect_told(t, w, text)          \
  do {                                   \
    run_for((w)->loop, 2);               \
    assert_string_equal((t)->log, text); \
    (t)->log[0] = '\0';                  \
  } while (0)

static ws_loop *other_loop(void) {
  ws_loop_config c;
  ws_loop *l;
  WS_INIT(&c);
  c.poller = test_poller();
  assert_ok(ws_loop_new(&c, &l));
  return l;
}

static void test_hub_bridge_is_told_first_and_last_subscriber(void **state) {
  World *w = *state;
  Peer p, q;
  Told t;
  ws_hub *h = hub_new(0, 0, 0);
  world_join(w, &p);
  ws_conn *first = w->conn;
  world_join(w, &q);
  assert_ok(ws_hub_subscribe(h, first, "before"));
  bridge_set(&t, h, w->loop, 0);
  expect_told(&t, w, "+before ");
  assert_ok(ws_hub_subscribe(h, first, "a/*"));
  assert_ok(ws_hub_subscribe(h, w->conn, "a/*"));
  assert_ok(ws_hub_subscribe(h, w->conn, "b"));
  expect_told(&t, w, "+a/* +b ");
  assert_ok(ws_hub_unsubscribe(h, first, "a/*"));
  expect_told(&t, w, "");
  assert_ok(ws_hub_unsubscribe(h, w->conn, "a/*"));
  assert_ok(ws_hub_unsubscribe(h, w->conn, "b"));
  assert_ok(ws_hub_subscribe(h, w->conn, "c"));
  expect_told(&t, w, "-a/* -b +c ");
  peer_reset(&p);
  peer_reset(&q);
  world_wait_closed(w, 2);
  run_for(w->loop, 2);
  assert_true(strcmp(t.log, "-before -c ") == 0 || strcmp(t.log, "-c -before ") == 0);
  ws_hub_unref(h);
}

static void test_hub_bridge_change_that_was_undone_is_not_told(void **state) {
  World *w = *state;
  Peer p;
  Told t;
  ws_hub *h = hub_new(2, 0, 0);
  world_join(w, &p);
  bridge_set(&t, h, w->loop, 0);
  for (int i = 0; i < 10; ++i) {
    char name[16];
    snprintf(name, sizeof name, "n%d", i);
    assert_ok(ws_hub_subscribe(h, w->conn, name));
    assert_ok(ws_hub_unsubscribe(h, w->conn, name));
  }
  expect_told(&t, w, "");
  assert_ok(ws_hub_subscribe(h, w->conn, "stays"));
  assert_ok(ws_hub_subscribe(h, w->conn, "p/**"));
  expect_told(&t, w, "+stays +p/** ");
  assert_ok(ws_hub_unsubscribe(h, w->conn, "stays"));
  assert_ok(ws_hub_unsubscribe(h, w->conn, "p/**"));
  assert_int_equal(hub_stats(h).topics, 0);
  assert_int_equal(ws_hub_count(h, "stays"), 0);
  assert_ok(hub_say(h, "p/1", "nobody", NULL, WS_PUBLISH_LOCAL));
  assert_ok(ws_hub_subscribe(h, w->conn, "p/**"));
  expect_told(&t, w, "-stays ");
  assert_ok(ws_hub_subscribe(h, w->conn, "new")); /* what is gone takes no room */
  assert_fails(WS_ERR_FULL, ws_hub_subscribe(h, w->conn, "third"));
  expect_told(&t, w, "+new ");
  assert_ok(hub_say(h, "p/1", "hello", NULL, WS_PUBLISH_LOCAL));
  peer_expect_text(&p, "hello");
  ws_hub_unref(h);
  peer_drop(&p);
}

static void test_hub_bridge_gets_what_is_published_but_local(void **state) {
  World *w = *state;
  Peer p;
  Told t;
  ws_hub *h = hub_new(0, 0, 0);
  ws_loop *l = other_loop();
  World far = {.loop = l};
  world_join(w, &p);
  assert_ok(ws_hub_subscribe(h, w->conn, "a"));
  bridge_set(&t, h, l, 0);
  expect_told(&t, &far, "+a ");
  assert_ok(hub_say(h, "a", "1", NULL, 0));
  assert_ok(hub_say(h, "nobody", "2", NULL, 0));
  assert_ok(hub_say(h, "a", "3", NULL, WS_PUBLISH_LOCAL));
  assert_ok(hub_say(h, "a", "4", w->conn, 0));
  expect_told(&t, &far, "a=1 nobody=2 a=4 ");
  peer_expect_text(&p, "1");
  peer_expect_text(&p, "3");
  peer_expect_quiet(&p);
  assert_ok(ws_loop_free(l)); /* a bridge ends with its loop */
  assert_ok(hub_say(h, "a", "5", NULL, 0));
  peer_expect_text(&p, "5");
  assert_string_equal(t.log, "");
  ws_hub_unref(h);
  peer_drop(&p);
}

static void test_hub_bridge_queue_bound_drops_and_counts(void **state) {
  World *w = *state;
  static const uint64_t kEach = 64 + 1 + 1;
  for (int off = -1; off <= 1; ++off) {
    Told t;
    ws_hub *h = hub_new(0, 0, 0);
    bridge_set(&t, h, w->loop, 2 * kEach + (uint64_t)(int64_t)off);
    const uint64_t fit = off < 0 ? 1 : 2;
    for (uint64_t i = 0; i < fit; ++i) assert_ok(hub_say(h, "a", "1", NULL, 0));
    assert_int_equal(hub_stats(h).bridge_queued, fit * kEach);
    assert_int_equal(hub_stats(h).bridge_dropped, 0);
    assert_ok(hub_say(h, "a", "2", NULL, 0)); /* subscribers here do not miss it */
    assert_int_equal(hub_stats(h).bridge_dropped, 1);
    expect_told(&t, w, off < 0 ? "a=1 " : "a=1 a=1 ");
    assert_int_equal(hub_stats(h).bridge_queued, 0);
    ws_hub_unref(h);
  }
}

static void remove_it(Told *t, const char *what) {
  (void)what;
  assert_ok(ws_hub_set_bridge(t->hub, NULL));
}

static void test_hub_bridge_removed_is_not_called_any_more(void **state) {
  World *w = *state;
  Peer p;
  Told t, other;
  ws_hub *h = hub_new(0, 0, 0);
  world_join(w, &p);
  assert_ok(ws_hub_subscribe(h, w->conn, "a"));
  assert_ok(ws_hub_subscribe(h, w->conn, "b"));
  bridge_set(&t, h, w->loop, 0);
  assert_ok(hub_say(h, "c", "1", NULL, 0));
  assert_ok(ws_hub_set_bridge(h, NULL));
  expect_told(&t, w, "");
  bridge_set(&t, h, w->loop, 0); /* by itself, in its first call */
  t.on = remove_it;
  assert_ok(hub_say(h, "c", "2", NULL, 0));
  run_for(w->loop, 3);
  assert_int_equal(t.calls, 1);
  bridge_set(&t, h, w->loop, 0);
  assert_ok(hub_say(h, "c", "3", NULL, 0));
  bridge_set(&other, h, w->loop, 0); /* another takes its place */
  assert_ok(hub_say(h, "c", "4", NULL, 0));
  run_for(w->loop, 3);
  assert_string_equal(t.log, "");
  assert_true(strcmp(other.log, "+a +b c=4 ") == 0 || strcmp(other.log, "+b +a c=4 ") == 0);
  assert_int_equal(ws_hub_count(h, "a"), 1);
  ws_hub_unref(h);
  peer_drop(&p);
}

static void act(Told *t, const char *what) {
  if (strncmp(what, "echo", 4) == 0) return;
  assert_ok(hub_say(t->hub, "echo", "e", NULL, WS_PUBLISH_LOCAL));
}

static void test_hub_bridge_may_publish_and_drop_the_hub_from_its_callback(void **state) {
  World *w = *state;
  Peer p;
  Told t;
  ws_hub *h = hub_new(0, 0, 0);
  world_join(w, &p);
  assert_ok(ws_hub_subscribe(h, w->conn, "echo"));
  bridge_set(&t, h, w->loop, 0);
  t.on = act;
  assert_ok(hub_say(h, "a", "1", NULL, 0));
  peer_expect_text(&p, "e"); /* for +echo */
  peer_expect_text(&p, "e"); /* for the message */
  peer_expect_quiet(&p);
  assert_string_equal(t.log, "+echo a=1 ");
  ws_hub_unref(h);
  peer_drop(&p);
}

static void drop_hub(Told *t, const char *what) {
  (void)what;
  ws_hub_unref(t->hub);
}

static void test_hub_bridge_last_reference_dropped_in_a_callback(void **state) {
  World *w = *state;
  Peer p;
  Told t;
  ws_hub *h = hub_new(0, 0, 0);
  world_join(w, &p);
  assert_ok(ws_hub_subscribe(h, w->conn, "a"));
  assert_ok(ws_hub_subscribe(h, w->conn, "b"));
  bridge_set(&t, h, w->loop, 0);
  t.on = drop_hub;
  assert_ok(hub_say(h, "a", "1", NULL, 0));
  run_for(w->loop, 5);
  assert_int_equal(t.calls, 1);
  peer_expect_text(&p, "1");
  peer_drop(&p);
}

static void test_hub_bridge_without_a_loop_or_callbacks(void **state) {
  World *w = *state;
  ws_hub *h = hub_new(0, 0, 0);
  ws_hub_bridge b;
  WS_INIT(&b);
  assert_fails(WS_ERR_INVALID, ws_hub_set_bridge(h, &b));
  b.loop = w->loop;
  assert_ok(ws_hub_set_bridge(h, &b)); /* interested in nothing */
  assert_ok(hub_say(h, "a", "1", NULL, 0));
  assert_int_equal(hub_stats(h).bridge_queued, 0);
  run_for(w->loop, 2);
  b.size = 0;
  assert_fails(WS_ERR_INVALID, ws_hub_set_bridge(h, &b));
  ws_hub_unref(h);
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      WORLD_TEST(test_hub_bridge_is_told_first_and_last_subscriber),
      WORLD_TEST(test_hub_bridge_change_that_was_undone_is_not_told),
      WORLD_TEST(test_hub_bridge_gets_what_is_published_but_local),
      WORLD_TEST(test_hub_bridge_queue_bound_drops_and_counts),
      WORLD_TEST(test_hub_bridge_removed_is_not_called_any_more),
      WORLD_TEST(test_hub_bridge_may_publish_and_drop_the_hub_from_its_callback),
      WORLD_TEST(test_hub_bridge_last_reference_dropped_in_a_callback),
      WORLD_TEST(test_hub_bridge_without_a_loop_or_callbacks),
  };
  return cmocka_run_group_tests_name("hub_bridge", tests, NULL, NULL);
}
