/*
 * What 100,000 topics and 1,000,000 subscriptions cost, counted through the allocator hook.
 */
#include "hook.h"
#include "topics.h"

#include <stdio.h>

enum { CONNS = 10 };

/* What a subscription may cost, and a topic beside its name. */
#define PER_SUBSCRIPTION 48
#define PER_TOPIC 200
/* A pattern has its segments in two trees: of all loops, and of this one. */
#define PER_PATTERN 700

static size_t subscribe_all(ws_hub *h, ws_conn *c, unsigned topics, const char *format) {
  char name[64];
  size_t names = 0;
  for (unsigned t = 0; t < topics; ++t) {
    names += (size_t)snprintf(name, sizeof name, format, t);
    assert_ok(ws_hub_subscribe(h, c, name));
  }
  return names;
}

static void expect_cost(const char *format, size_t per_topic, unsigned topics) {
  World w;
  Peer p[CONNS];
  ws_conn *conns[CONNS];
  world_start_default(&w);
  for (int i = 0; i < CONNS; ++i) {
    world_join(&w, &p[i]);
    conns[i] = w.conn;
  }
  ws_hub *h = hub_new(0, topics, 0);
  assert_ok(ws_hub_subscribe(h, conns[0], "warm"));
  assert_ok(ws_hub_unsubscribe(h, conns[0], "warm"));
  const size_t before = hook_live();
  const size_t names = subscribe_all(h, conns[0], topics, format);
  const size_t first = hook_live() - before;
  for (int i = 1; i < CONNS; ++i) (void)subscribe_all(h, conns[i], topics, format);
  const size_t rest = hook_live() - before - first;
  assert_int_equal(hub_stats(h).topics, topics);
  assert_int_equal(hub_stats(h).subscriptions, (uint64_t)topics * CONNS);
  print_message("%u '%s': %.1f bytes a subscription, %.1f a topic beside its name\n", topics,
                format, (double)rest / (CONNS - 1) / topics,
                (double)(first - names) / topics - PER_SUBSCRIPTION);
  assert_in_range(rest, 1, (size_t)PER_SUBSCRIPTION * topics * (CONNS - 1));
  assert_in_range(first, names, (PER_SUBSCRIPTION + per_topic) * topics + names);
  /* Ends give it back, one by one or with the connection. */
  assert_ok(ws_hub_unsubscribe_all(h, conns[0]));
  for (int i = 1; i < CONNS; ++i) peer_reset(&p[i]);
  world_wait_closed(&w, CONNS - 1);
  assert_int_equal(hub_stats(h).topics, 0);
  assert_true(hook_live() < before + 4096);
  ws_hub_unref(h);
  peer_drop(&p[0]);
  world_stop(&w);
  assert_int_equal(hook_blocks(), 0);
}

static void test_hub_memory_of_a_million_subscriptions_is_bounded(void **state) {
  (void)state;
  expect_cost("rooms/%u", PER_TOPIC, valgrind_is_on() ? 1000 : 100000);
}

static void test_hub_memory_of_patterns_is_bounded(void **state) {
  (void)state;
  expect_cost("rooms/%u/*", PER_PATTERN, 1000);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_hub_memory_of_a_million_subscriptions_is_bounded),
      cmocka_unit_test(test_hub_memory_of_patterns_is_bounded),
  };
  return cmocka_run_group_tests_name("hub_memory", tests, hook_set, NULL);
}
