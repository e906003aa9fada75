/*
 * redis.h: what the bridge says to Redis and to the hub, and how it comes back.
 */
#include "fake_redis.h"

#include <stdio.h>
#include <unistd.h>

static void join(Fake *f, Peer *p, const char *topic) {
  world_join(&f->world, p);
  assert_ok(ws_hub_subscribe(f->hub, f->world.conn, topic));
}

static void test_bridge_connects_and_says_so_when_topics_are_told(void **state) {
  Fake *f = *state;
  fake_bridge(f);
  fake_log_in(f);
  fake_expect(f, FAKE_SUBSCRIBER, "PING");
  fake_expect_nothing(f, FAKE_PUBLISHER);
  assert_int_equal(f->told, 0);
  assert_false(fake_stats(f).connected);
  fake_say(f, FAKE_SUBSCRIBER, "+PONG\r\n");
  fake_wait_told(f, 1, WS_REDIS_CONNECTED);
  assert_false(f->state.missed);
  assert_int_equal(f->state.dropped, 0);
  assert_int_equal(f->state.error, 0);
  assert_true(fake_stats(f).connected);
  assert_int_equal(fake_stats(f).connects, 1);
}

static void test_bridge_logs_in_before_anything_else(void **state) {
  Fake *f = *state;
  char url[128];
  snprintf(url, sizeof url, "redis://us%%65r:p%%40ss@127.0.0.1:%u/12", f->port);
  f->config.url = url;
  fake_bridge(f);
  fake_accept(f);
  for (int i = 0; i < 2; ++i) {
    fake_expect(f, i, "AUTH user p@ss");
    fake_expect(f, i, "SELECT 12");
    fake_expect(f, i, "PING");
    fake_say(f, i, "+OK\r\n+OK\r\n+PONG\r\n");
  }
  fake_expect(f, FAKE_SUBSCRIBER, "PING");
}

static void test_bridge_subscribes_to_what_the_hub_has_and_gets(void **state) {
  Fake *f = *state;
  Peer p;
  join(f, &p, "before");
  fake_bridge(f);
  fake_log_in(f);
  fake_expect(f, FAKE_SUBSCRIBER, "SUBSCRIBE ws:before");
  fake_expect(f, FAKE_SUBSCRIBER, "PING");
  fake_say(f, FAKE_SUBSCRIBER, "*3\r\n$9\r\nsubscribe\r\n$9\r\nws:before\r\n:1\r\n");
  fake_say(f, FAKE_SUBSCRIBER, "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
  fake_wait_told(f, 1, WS_REDIS_CONNECTED);
  assert_ok(ws_hub_subscribe(f->hub, f->world.conn, "a[1]/*/**"));
  fake_expect(f, FAKE_SUBSCRIBER, "PSUBSCRIBE ws:a\\[1\\]/*/*");
  assert_int_equal(fake_stats(f).topics, 2);
  assert_ok(ws_hub_unsubscribe_all(f->hub, f->world.conn));
  fake_expect(f, FAKE_SUBSCRIBER, NULL);
  const int name_first = strcmp(f->command, "UNSUBSCRIBE ws:before") == 0;
  if (!name_first) assert_string_equal(f->command, "PUNSUBSCRIBE ws:a\\[1\\]/*/*");
  fake_expect(f, FAKE_SUBSCRIBER,
              name_first ? "PUNSUBSCRIBE ws:a\\[1\\]/*/*" : "UNSUBSCRIBE ws:before");
  assert_int_equal(fake_stats(f).topics, 0);
  peer_drop(&p);
}

static void test_bridge_publishes_with_an_envelope_that_counts(void **state) {
  Fake *f = *state;
  char first[26], second[26];
  f->config.prefix = "app:";
  fake_bridge(f);
  fake_connect(f);
  assert_ok(hub_say(f->hub, "t", "one", NULL, 0));
  assert_ok(hub_say(f->hub, "t", "local", NULL, WS_PUBLISH_LOCAL));
  assert_ok(hub_say(f->hub, "u/v", "", NULL, 0));
  fake_expect_publish(f, "app:t", "one", first);
  fake_expect_publish(f, "app:u/v", "", second);
  assert_int_equal(first[0], 1);
  assert_int_equal(first[1], WS_OP_TEXT);
  assert_memory_equal(first + 2, second + 2, 16);
  assert_memory_equal(first + 18, "\0\0\0\0\0\0\0\1", 8);
  assert_memory_equal(second + 18, "\0\0\0\0\0\0\0\2", 8);
  assert_int_equal(fake_stats(f).queued, 2);
  fake_say(f, FAKE_PUBLISHER, ":0\r\n:3\r\n");
  while (fake_stats(f).queued != 0) fake_turn(f);
  assert_int_equal(fake_stats(f).queued_bytes, 0);
  assert_int_equal(fake_stats(f).published, 2);
}

static void test_bridge_delivers_what_others_say_once(void **state) {
  Fake *f = *state;
  Peer p;
  join(f, &p, "t");
  assert_ok(ws_hub_subscribe(f->hub, f->world.conn, "*"));
  fake_bridge(f);
  fake_connect(f);
  fake_deliver(f, NULL, "ws:t", 'A', 5, "five");
  fake_deliver(f, "ws:*", "ws:t", 'A', 5, "five");
  fake_deliver(f, NULL, "ws:t", 'B', 5, "of another");
  fake_deliver(f, NULL, "ws:t", 'A', 4, "four again");
  fake_deliver(f, "ws:*", "ws:x", 'A', 6, "six");
  fake_deliver(f, "ws:*", "ws:x/y", 'A', 7, "not for our pattern");
  fake_deliver(f, NULL, "ws:t", 'A', 8, "eight");
  peer_expect_text(&p, "five");
  peer_expect_text(&p, "of another");
  peer_expect_text(&p, "six");
  peer_expect_text(&p, "eight");
  assert_int_equal(fake_stats(f).duplicates, 2);
  assert_int_equal(fake_stats(f).received, 5);
  fake_expect_nothing(f, FAKE_PUBLISHER); /* what came from Redis does not go back */
  peer_drop(&p);
}

static void test_bridge_ignores_its_own_messages(void **state) {
  Fake *f = *state;
  Peer p;
  char envelope[26];
  char echo[128] = "*3\r\n$7\r\nmessage\r\n$4\r\nws:t\r\n$28\r\n";
  join(f, &p, "t");
  fake_bridge(f);
  fake_connect(f);
  assert_ok(hub_say(f->hub, "t", "hi", NULL, 0));
  fake_expect_publish(f, "ws:t", "hi", envelope);
  const size_t head = strlen(echo);
  memcpy(echo + head, envelope, 26);
  memcpy(echo + head + 26, "hi\r\n", 4);
  fake_send(f, FAKE_SUBSCRIBER, echo, head + 30);
  fake_deliver(f, NULL, "ws:t", 'A', 1, "next");
  peer_expect_text(&p, "hi");
  peer_expect_text(&p, "next");
  assert_int_equal(fake_stats(f).own, 1);
  peer_drop(&p);
}

static void test_bridge_comes_back_and_says_again_what_was_not_confirmed(void **state) {
  Fake *f = *state;
  Peer p;
  char confirmed[26], first[26], again[26];
  join(f, &p, "t");
  fake_bridge(f);
  fake_connect(f);
  assert_ok(hub_say(f->hub, "t", "confirmed", NULL, 0));
  assert_ok(hub_say(f->hub, "t", "sent", NULL, 0));
  fake_expect_publish(f, "ws:t", "confirmed", confirmed);
  fake_expect_publish(f, "ws:t", "sent", first);
  fake_say(f, FAKE_PUBLISHER, ":1\r\n");
  while (fake_stats(f).published != 1) fake_turn(f);
  fake_drop(f);
  fake_wait_told(f, 2, WS_REDIS_LOST);
  assert_int_equal(f->state.error, WS_ERR_EOF);
  assert_true(f->state.retry_in_ms < 2);
  assert_ok(hub_say(f->hub, "t", "waited", NULL, 0));

  fake_log_in(f);
  fake_expect(f, FAKE_SUBSCRIBER, "SUBSCRIBE ws:t");
  fake_expect(f, FAKE_SUBSCRIBER, "PING");
  fake_expect_nothing(f, FAKE_PUBLISHER); /* not before we are subscribed */
  fake_say(f, FAKE_SUBSCRIBER, "+PONG\r\n");
  fake_wait_told(f, 3, WS_REDIS_CONNECTED);
  assert_true(f->state.missed);
  assert_int_equal(f->state.dropped, 0);
  fake_expect_publish(f, "ws:t", "sent", again);
  assert_memory_equal(first, again, 26);
  fake_expect_publish(f, "ws:t", "waited", again);
  assert_int_equal(again[25], 3);
  peer_drop(&p);
}

/* A message costs its payload, its topic and 64. */
enum { COST = 1 + 1 + 64 };

static void say_digits(Fake *f, int count) {
  for (int i = 0; i < count; ++i) {
    char text[2] = {(char)('0' + i), '\0'};
    assert_ok(hub_say(f->hub, "t", text, NULL, 0));
  }
  for (int i = 0; i < 3; ++i) fake_turn(f);
}

/* With room for three: what is published while down, what of it is sent, what is dropped. */
static void queue_while_down(Fake *f, uint64_t room, int said, int first_sent) {
  char envelope[26];
  f->config.max_queued_bytes = room;
  fake_bridge(f);
  say_digits(f, said);
  assert_int_equal(fake_stats(f).dropped, first_sent);
  assert_int_equal(fake_stats(f).queued, said - first_sent);
  assert_int_equal(fake_stats(f).queued_bytes, (said - first_sent) * COST);
  fake_connect(f);
  assert_int_equal(f->state.dropped, first_sent);
  for (int i = first_sent; i < said; ++i) {
    char text[2] = {(char)('0' + i), '\0'};
    fake_expect_publish(f, "ws:t", text, envelope);
  }
}

static void test_bridge_queue_at_its_bound_keeps_all(void **state) {
  queue_while_down(*state, 3 * COST, 3, 0);
}

static void test_bridge_queue_one_byte_short_drops_the_oldest(void **state) {
  queue_while_down(*state, 3 * COST - 1, 3, 1);
}

static void test_bridge_queue_one_message_more_drops_the_oldest(void **state) {
  queue_while_down(*state, 3 * COST, 4, 1);
}

static void test_bridge_queue_message_beyond_the_bound_drops_only_itself(void **state) {
  Fake *f = *state;
  f->config.max_queued_bytes = COST;
  fake_bridge(f);
  say_digits(f, 1);
  assert_ok(hub_say(f->hub, "t", "22", NULL, 0));
  for (int i = 0; i < 3; ++i) fake_turn(f);
  assert_int_equal(fake_stats(f).queued, 1);
  assert_int_equal(fake_stats(f).dropped, 1);
}

static void test_bridge_freed_in_on_state_is_gone(void **state) {
  Fake *f = *state;
  fake_bridge(f);
  f->free_when_told = 1;
  close(f->listener);
  f->listener = -1;
  while (f->bridge != NULL) fake_turn(f);
  assert_int_equal(f->told, 1);
  assert_int_equal(f->state.event, WS_REDIS_FAILED);
  assert_int_equal(f->state.error, WS_ERR_CONNECT);
  assert_non_null(strstr(f->detail, "127.0.0.1:"));
  assert_ok(hub_say(f->hub, "t", "nobody", NULL, 0));
  for (int i = 0; i < 3; ++i) fake_turn(f);
  assert_int_equal(f->told, 1);
}

static void test_bridge_freed_while_connected_leaves_the_hub_alone(void **state) {
  Fake *f = *state;
  Peer p;
  join(f, &p, "t");
  fake_bridge(f);
  fake_connect(f);
  ws_redis_bridge_free(f->bridge);
  f->bridge = NULL;
  assert_ok(hub_say(f->hub, "t", "still", NULL, 0));
  peer_expect_text(&p, "still");
  fake_expect_nothing(f, FAKE_PUBLISHER);
  peer_drop(&p);
}

static void test_bridge_finds_a_name_without_holding_the_loop_up(void **state) {
  Fake *f = *state;
  snprintf(f->url, sizeof f->url, "redis://localhost:%u", f->port);
  fake_bridge(f);
  assert_int_equal(f->told, 0);
  fake_log_in(f);
  fake_sort(f); /* two look-ups, and no telling which is first */
  fake_expect(f, FAKE_SUBSCRIBER, "PING");
  fake_say(f, FAKE_SUBSCRIBER, "+PONG\r\n");
  fake_wait_told(f, 1, WS_REDIS_CONNECTED);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_bridge_connects_and_says_so_when_topics_are_told),
      TEST(test_bridge_logs_in_before_anything_else),
      TEST(test_bridge_subscribes_to_what_the_hub_has_and_gets),
      TEST(test_bridge_publishes_with_an_envelope_that_counts),
      TEST(test_bridge_delivers_what_others_say_once),
      TEST(test_bridge_ignores_its_own_messages),
      TEST(test_bridge_comes_back_and_says_again_what_was_not_confirmed),
      TEST(test_bridge_queue_at_its_bound_keeps_all),
      TEST(test_bridge_queue_one_byte_short_drops_the_oldest),
      TEST(test_bridge_queue_one_message_more_drops_the_oldest),
      TEST(test_bridge_queue_message_beyond_the_bound_drops_only_itself),
      TEST(test_bridge_freed_in_on_state_is_gone),
      TEST(test_bridge_freed_while_connected_leaves_the_hub_alone),
      TEST(test_bridge_finds_a_name_without_holding_the_loop_up),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
