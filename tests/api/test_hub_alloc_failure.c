/*
 * Every allocation of a hub fails in turn, once or from there on: the call says so and has changed
 * nothing, a publish reaches those it can, nothing leaks.
 */
#include "scarce.h"
#include "topics.h"

/* Runs `call` with its n-th allocation failing, for n from 1 until it succeeds. */
#define fail_each(call, check)                       \
  do {                                               \
    int failing_rc = WS_ERR_NOMEM;                   \
    for (unsigned long n = 1; failing_rc < 0; ++n) { \
      scarce.seen = 0;                               \
      scarce.fail_at = n;                            \
      failing_rc = (call);                           \
      scarce.fail_at = 0;                            \
      if (failing_rc < 0) {                          \
        assert_int_equal(failing_rc, WS_ERR_NOMEM);  \
        check;                                       \
      }                                              \
      assert_true(n < 100);                          \
    }                                                \
    assert_int_equal(failing_rc, WS_OK);             \
  } while (0)

static int topics_told;
static void on_topic(ws_hub *h, const char *topic, int active, void *user) {
  (void)h, (void)topic, (void)user;
  topics_told += active ? 1 : -1;
}

static void on_publish(ws_hub *h, const char *topic, ws_message *m, void *user) {
  (void)h, (void)topic, (void)m, (void)user;
}

static void unchanged(ws_hub *h, uint64_t topics, uint64_t subscriptions) {
  assert_int_equal(hub_stats(h).topics, topics);
  assert_int_equal(hub_stats(h).subscriptions, subscriptions);
}

static void test_hub_alloc_failure_at_each_point(void **state) {
  (void)state;
  static const char *const names[] = {"a", "b", "a/*", "*/*/c", "x/y/**", "x/y/*/z", "**", "last"};
  for (scarce.fail_on = 0; scarce.fail_on < 2; ++scarce.fail_on) {
    World w[2];
    Peer p[2];
    ws_hub *h = NULL;
    ws_hub_bridge bridge;
    ws_message *m;
    const unsigned long before = scarce.live;
    fail_each(ws_hub_new(NULL, &h), assert_null(h));
    for (int i = 0; i < 2; ++i) {
      world_start_default(&w[i]);
      world_join(&w[i], &p[i]);
      for (size_t t = 0; t < COUNT_OF(names); ++t) {
        const uint64_t topics = i == 0 ? t : COUNT_OF(names);
        fail_each(ws_hub_subscribe(h, w[i].conn, names[t]),
                  unchanged(h, topics, (uint64_t)i * COUNT_OF(names) + t));
      }
    }
    topics_told = 0;
    WS_INIT(&bridge);
    bridge.loop = w[0].loop;
    bridge.on_topic = on_topic;
    bridge.on_publish = on_publish;
    fail_each(ws_hub_set_bridge(h, &bridge), assert_int_equal(topics_told, 0));
    assert_ok(ws_message_new(WS_OP_TEXT, "hello", 5, &m));
    fail_each(ws_hub_publish(h, "x/y/c/z", m, NULL, 0),
              assert_int_equal(hub_stats(h).published, 0));
    ws_message_unref(m);
    for (int i = 0; i < 2; ++i) {
      peer_expect_text(&p[i], "hello");
      peer_expect_quiet(&p[i]);
    }
    assert_int_equal(topics_told, COUNT_OF(names));
    /* Ending needs no memory. */
    scarce.fail_at = 1;
    scarce.fail_on = 1;
    scarce.seen = 0;
    for (size_t t = 0; t < COUNT_OF(names); ++t) {
      assert_ok(ws_hub_unsubscribe(h, w[0].conn, names[t]));
      assert_ok(ws_hub_unsubscribe(h, w[1].conn, names[t]));
    }
    scarce.fail_at = 0;
    run_for(w[0].loop, 2);
    assert_int_equal(topics_told, 0);
    unchanged(h, 0, 0);
    for (int i = 0; i < 2; ++i) {
      peer_drop(&p[i]);
      world_stop(&w[i]);
    }
    ws_hub_unref(h);
    assert_int_equal(scarce.live, before);
  }
}

/* The queue of the subscriber needs memory: what does not fit into what there is it misses. */
static void test_hub_alloc_failure_while_delivering_is_a_drop(void **state) {
  (void)state;
  enum { MANY = 1000 };
  World w;
  Peer p;
  char text[201];
  ws_hub *h = hub_new(0, 0, 0);
  memset(text, 'x', 200);
  text[200] = '\0';
  world_start_default(&w);
  world_join(&w, &p);
  assert_ok(ws_hub_subscribe(h, w.conn, "t"));
  for (int i = 0; i < MANY; ++i) assert_ok(hub_say(h, "t", text, NULL, 0));
  scarce.seen = 0;
  scarce.fail_at = 1;
  scarce.fail_on = 1;
  assert_true(ws_loop_dispatch(w.loop, 0) >= 0);
  scarce.fail_at = 0;
  const ws_hub_stats stats = hub_stats(h);
  assert_true(stats.dropped > 0);
  assert_int_equal(stats.delivered + stats.dropped, MANY);
  for (uint64_t i = 0; i < stats.delivered; ++i) peer_expect_text(&p, text);
  assert_ok(hub_say(h, "t", "after", NULL, 0));
  peer_expect_text(&p, "after");
  peer_drop(&p);
  world_stop(&w);
  ws_hub_unref(h);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_hub_alloc_failure_at_each_point),
      cmocka_unit_test(test_hub_alloc_failure_while_delivering_is_a_drop),
  };
  return cmocka_run_group_tests_name("hub_alloc_failure", tests, scarce_set, NULL);
}
