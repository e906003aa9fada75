/*
 * A Redis that refuses, breaks, lies, floods or says nothing: bounded, told, and tried again.
 */
#include "fake_redis.h"

#include <stdio.h>
#include <stdlib.h>

/* The connection is over, it was told, and another attempt comes. */
static void expect_lost(Fake *f, int error, const char *why) {
  fake_wait_told(f, 2, WS_REDIS_LOST); /* after CONNECTED */
  assert_int_equal(f->state.error, error);
  if (why != NULL) assert_non_null(strstr(f->detail, why));
  assert_false(fake_stats(f).connected);
  fake_drop(f);
  fake_connect(f);
  assert_true(f->state.missed);
}

static void connected_hears(Fake *f, int conn, const char *text, int error, const char *why) {
  fake_bridge(f);
  fake_connect(f);
  fake_say(f, conn, text);
  expect_lost(f, error, why);
}

static void test_hostile_garbage_ends_the_connection(void **state) {
  connected_hears(*state, FAKE_SUBSCRIBER, "HTTP/1.1 400 Bad Request\r\n\r\n", WS_ERR_PROTOCOL,
                  "not Redis");
}

static void test_hostile_answer_to_nothing_ends_the_connection(void **state) {
  connected_hears(*state, FAKE_PUBLISHER, ":1\r\n", WS_ERR_PROTOCOL, "answer to nothing");
}

static void test_hostile_error_to_nothing_ends_the_connection(void **state) {
  connected_hears(*state, FAKE_PUBLISHER, "-ERR\r\n", WS_ERR_PROTOCOL, "answer to nothing");
}

static void test_hostile_number_for_a_subscriber_ends_the_connection(void **state) {
  connected_hears(*state, FAKE_SUBSCRIBER, ":1\r\n", WS_ERR_PROTOCOL, "no message");
}

static void test_hostile_message_of_numbers_ends_the_connection(void **state) {
  connected_hears(*state, FAKE_SUBSCRIBER, "*3\r\n:1\r\n:2\r\n:3\r\n", WS_ERR_PROTOCOL,
                  "no message");
}

static void test_hostile_empty_array_ends_the_connection(void **state) {
  connected_hears(*state, FAKE_SUBSCRIBER, "*0\r\n", WS_ERR_PROTOCOL, NULL);
}

static void test_hostile_nil_array_ends_the_connection(void **state) {
  connected_hears(*state, FAKE_SUBSCRIBER, "*-1\r\n", WS_ERR_PROTOCOL, NULL);
}

static void test_hostile_array_of_billions_takes_no_memory(void **state) {
  connected_hears(*state, FAKE_SUBSCRIBER, "*2147483647\r\n", WS_ERR_PROTOCOL, "not Redis");
}

static void test_hostile_arrays_inside_arrays_are_refused(void **state) {
  connected_hears(*state, FAKE_SUBSCRIBER, "*3\r\n*3\r\n$1\r\na\r\n", WS_ERR_PROTOCOL, "not Redis");
}

static void test_hostile_nils_for_a_message_count_as_malformed(void **state) {
  Fake *f = *state;
  fake_bridge(f);
  fake_connect(f);
  fake_say(f, FAKE_SUBSCRIBER, "*3\r\n$7\r\nmessage\r\n$-1\r\n$-1\r\n");
  while (fake_stats(f).malformed != 1) fake_turn(f);
}

static void test_hostile_answer_beyond_the_bound_ends_the_connection(void **state) {
  Fake *f = *state;
  enum { CHUNK = 64 * 1024 };
  char *chunk = calloc(1, CHUNK);
  f->config.max_message_bytes = 4 * CHUNK;
  fake_bridge(f);
  fake_connect(f);
  fake_say(f, FAKE_SUBSCRIBER, "*3\r\n$7\r\nmessage\r\n$4\r\nws:t\r\n$500000000\r\n");
  for (int i = 0; i < 4; ++i) {
    fake_send(f, FAKE_SUBSCRIBER, chunk, CHUNK);
    fake_turn(f);
  }
  expect_lost(f, WS_ERR_TOO_BIG, "max_message_bytes");
  free(chunk);
}

static void test_hostile_endless_line_ends_the_connection(void **state) {
  Fake *f = *state;
  char chunk[4096];
  memset(chunk, 'a', sizeof chunk);
  f->config.max_message_bytes = 4 * sizeof chunk;
  fake_bridge(f);
  fake_connect(f);
  fake_say(f, FAKE_SUBSCRIBER, "+");
  for (int i = 0; i < 4; ++i) fake_send(f, FAKE_SUBSCRIBER, chunk, sizeof chunk);
  expect_lost(f, WS_ERR_TOO_BIG, NULL);
}

static void test_hostile_message_of_many_pieces_within_the_bound_arrives(void **state) {
  Fake *f = *state;
  Peer p;
  world_join(&f->world, &p);
  assert_ok(ws_hub_subscribe(f->hub, f->world.conn, "t"));
  fake_bridge(f);
  fake_connect(f);
  const char *text = "*3\r\n$7\r\nmessage\r\n$4\r\nws:t\r\n$28\r\n\1\1AAAAAAAAAAAAAAAA";
  for (; *text != '\0'; ++text) {
    fake_send(f, FAKE_SUBSCRIBER, text, 1);
    fake_turn(f);
  }
  fake_send(f, FAKE_SUBSCRIBER, "\0\0\0\0\0\0\0\1hi\r\n", 12);
  peer_expect_text(&p, "hi");
  peer_drop(&p);
}

static void test_hostile_no_greeting_is_a_timeout(void **state) {
  Fake *f = *state;
  f->config.connect_timeout_ms = 20;
  fake_bridge(f);
  fake_accept(f);
  fake_wait_told(f, 1, WS_REDIS_FAILED);
  assert_int_equal(f->state.error, WS_ERR_TIMEOUT);
}

static void test_hostile_topics_never_confirmed_is_a_timeout(void **state) {
  Fake *f = *state;
  f->config.connect_timeout_ms = 200;
  fake_bridge(f);
  fake_log_in(f);
  fake_wait_told(f, 1, WS_REDIS_FAILED);
  assert_int_equal(f->state.error, WS_ERR_TIMEOUT);
}

static void silent(Fake *f, int conn) {
  f->config.ping_interval_ms = 100;
  fake_bridge(f);
  fake_connect(f);
  const int other = 1 - conn;
  while (f->told == 1) {
    fake_turn(f);
    if (fake_stats(f).connected) fake_say(f, other, "+PONG\r\n"); /* more than it is asked for */
  }
  assert_int_equal(f->state.event, WS_REDIS_LOST);
  assert_int_equal(f->state.error, WS_ERR_TIMEOUT);
}

static void test_hostile_silent_subscriber_is_a_timeout(void **state) {
  silent(*state, FAKE_SUBSCRIBER);
}

static void test_hostile_silent_publisher_is_a_timeout(void **state) {
  silent(*state, FAKE_PUBLISHER);
}

static void refused_at_login(Fake *f, const char *answer, int error, const char *why) {
  fake_bridge(f);
  fake_accept(f);
  fake_expect(f, FAKE_SUBSCRIBER, "PING");
  fake_say(f, FAKE_SUBSCRIBER, answer);
  fake_wait_told(f, 1, WS_REDIS_FAILED);
  assert_int_equal(f->state.error, error);
  assert_non_null(strstr(f->detail, why));
  fake_drop(f);
  fake_connect(f);
  assert_false(f->state.missed);
}

static void test_hostile_login_refused_is_told_in_its_words(void **state) {
  refused_at_login(*state, "-NOAUTH Authentication required.\r\n", WS_ERR_CONNECT,
                   "NOAUTH Authentication required.");
}

static void test_hostile_words_are_made_printable(void **state) {
  refused_at_login(*state, "-ERR \x1b[31m\x07red\r\n", WS_ERR_CONNECT, "ERR ?[31m?red");
}

static void test_hostile_login_answered_with_a_number_is_refused(void **state) {
  refused_at_login(*state, ":1\r\n", WS_ERR_PROTOCOL, "not Redis");
}

static void test_hostile_subscription_refused_is_told(void **state) {
  Fake *f = *state;
  fake_bridge(f);
  fake_log_in(f);
  fake_expect(f, FAKE_SUBSCRIBER, "PING");
  fake_say(f, FAKE_SUBSCRIBER, "-NOPERM no channels for you\r\n");
  fake_wait_told(f, 1, WS_REDIS_FAILED);
  assert_int_equal(f->state.error, WS_ERR_CONNECT);
  assert_non_null(strstr(f->detail, "NOPERM no channels for you"));
}

static void test_hostile_publish_refused_is_counted(void **state) {
  Fake *f = *state;
  char envelope[26];
  fake_bridge(f);
  fake_connect(f);
  assert_ok(hub_say(f->hub, "t", "a", NULL, 0));
  assert_ok(hub_say(f->hub, "t", "b", NULL, 0));
  fake_expect_publish(f, "ws:t", "a", envelope);
  fake_expect_publish(f, "ws:t", "b", envelope);
  fake_say(f, FAKE_PUBLISHER, "-NOPERM\r\n:1\r\n");
  while (fake_stats(f).published != 1) fake_turn(f);
  assert_int_equal(fake_stats(f).refused, 1);
  assert_int_equal(fake_stats(f).dropped, 1);
  assert_int_equal(fake_stats(f).queued, 0);
  assert_true(fake_stats(f).connected);
}

static void test_hostile_what_is_no_message_of_a_bridge_is_counted(void **state) {
  Fake *f = *state;
  static const char head[] = "*3\r\n$7\r\nmessage\r\n$4\r\nws:t\r\n";
  static const char *const payloads[] = {
      "$0\r\n\r\n",
      "$25\r\n\1\1AAAAAAAAAAAAAAAA1111111\r\n" /* one byte short */,
      "$27\r\n\2\1AAAAAAAAAAAAAAAA11111111x\r\n" /* another version */,
      "$27\r\n\1\3AAAAAAAAAAAAAAAA11111111x\r\n" /* neither text nor binary */,
      "$27\r\n\1\1AAAAAAAAAAAAAAAA11111111\xff\r\n" /* text that is not UTF-8 */,
  };
  fake_bridge(f);
  fake_connect(f);
  for (size_t i = 0; i < COUNT_OF(payloads); ++i) {
    fake_say(f, FAKE_SUBSCRIBER, head);
    fake_say(f, FAKE_SUBSCRIBER, payloads[i]);
  }
  fake_deliver(f, NULL, "ws:t", 'B', 0, "number 0");
  fake_deliver(f, "ws:*", "ws:", 'B', 1, "no topic");
  fake_deliver(f, "ws:*", "ws:a*", 'B', 2, "no name of a topic");
  fake_deliver(f, "*", "other:t", 'B', 3, "another prefix");
  while (fake_stats(f).malformed != COUNT_OF(payloads) + 4) fake_turn(f);
  assert_int_equal(fake_stats(f).received, 0);
  fake_deliver(f, NULL, "ws:t", 'B', 4, "good");
  while (fake_stats(f).received != 1) fake_turn(f);
}

static void test_hostile_redis_that_goes_at_once_is_tried_again_and_again(void **state) {
  Fake *f = *state;
  fake_bridge(f);
  for (int i = 0; i < 20; ++i) {
    fake_accept(f);
    fake_drop(f);
    fake_wait_told(f, i + 1, WS_REDIS_FAILED);
    assert_true(f->state.retry_in_ms < 2);
  }
  fake_connect(f);
}

static void test_hostile_lost_while_much_waits_sends_all_of_it_later(void **state) {
  Fake *f = *state;
  char *text = malloc(20001), envelope[26];
  memset(text, 'x', 20000);
  text[20000] = '\0';
  fake_bridge(f);
  fake_connect(f);
  for (int i = 0; i < 100; ++i) {
    assert_ok(hub_say(f->hub, "t", text, NULL, 0));
    fake_turn(f);
  }
  fake_expect_publish(f, "ws:t", text, envelope);
  fake_drop(f);
  fake_wait_told(f, 2, WS_REDIS_LOST);
  fake_connect(f);
  for (int i = 0; i < 100; ++i) {
    fake_expect_publish(f, "ws:t", text, envelope);
    assert_int_equal(envelope[25], i + 1);
    fake_say(f, FAKE_PUBLISHER, ":1\r\n");
  }
  while (fake_stats(f).published != 100) fake_turn(f);
  assert_int_equal(fake_stats(f).dropped, 0);
  free(text);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_hostile_garbage_ends_the_connection),
      TEST(test_hostile_answer_to_nothing_ends_the_connection),
      TEST(test_hostile_error_to_nothing_ends_the_connection),
      TEST(test_hostile_number_for_a_subscriber_ends_the_connection),
      TEST(test_hostile_message_of_numbers_ends_the_connection),
      TEST(test_hostile_empty_array_ends_the_connection),
      TEST(test_hostile_nil_array_ends_the_connection),
      TEST(test_hostile_array_of_billions_takes_no_memory),
      TEST(test_hostile_arrays_inside_arrays_are_refused),
      TEST(test_hostile_nils_for_a_message_count_as_malformed),
      TEST(test_hostile_answer_beyond_the_bound_ends_the_connection),
      TEST(test_hostile_endless_line_ends_the_connection),
      TEST(test_hostile_message_of_many_pieces_within_the_bound_arrives),
      TEST(test_hostile_no_greeting_is_a_timeout),
      TEST(test_hostile_topics_never_confirmed_is_a_timeout),
      TEST(test_hostile_silent_subscriber_is_a_timeout),
      TEST(test_hostile_silent_publisher_is_a_timeout),
      TEST(test_hostile_login_refused_is_told_in_its_words),
      TEST(test_hostile_words_are_made_printable),
      TEST(test_hostile_login_answered_with_a_number_is_refused),
      TEST(test_hostile_subscription_refused_is_told),
      TEST(test_hostile_publish_refused_is_counted),
      TEST(test_hostile_what_is_no_message_of_a_bridge_is_counted),
      TEST(test_hostile_redis_that_goes_at_once_is_tried_again_and_again),
      TEST(test_hostile_lost_while_much_waits_sends_all_of_it_later),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
