/*
 * Messages that several threads post to one connection, or compress at once.
 */
#include "both.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#define WITH_BOTH(f) cmocka_unit_test_setup_teardown(f, both_setup, both_teardown)
#define PMD "permessage-deflate"

enum { THREADS = 4, POSTS = 200, ENGINES = 7 };

static ws_message *make_message(const char *data, size_t len) {
  ws_message *m = NULL;
  assert_ok(ws_message_new(WS_OP_BINARY, data, len, &m));
  return m;
}

typedef struct Poster {
  pthread_t thread;
  ws_conn *conn;
  ws_message *common;
  int number, failed;
} Poster;

static void *post_many(void *arg) {
  Poster *me = arg;
  char text[1024];
  memset(text, '.', sizeof text);
  for (int i = 0; i < POSTS; ++i) {
    ws_message *m = NULL;
    snprintf(text, 16, "%d/%d", me->number, i);
    if (ws_message_new(WS_OP_BINARY, text, sizeof text, &m) != WS_OK) ++me->failed;
    if (ws_conn_post_message(me->conn, m) != WS_OK) ++me->failed;
    ws_message_unref(m);
    if (ws_conn_post_message(me->conn, me->common) != WS_OK) ++me->failed;
  }
  return NULL;
}

static int next_of[THREADS], common_ones;

static void check_posted(Caller *c, const char *event, ws_conn *conn) {
  int thread = 0, i = 0;
  (void)conn;
  c->log[0] = '\0';
  if (strcmp(event, "message") != 0) return;
  if (((const char *)c->data)[0] == '{') {
    ++common_ones;
    return;
  }
  char text[16];
  memcpy(text, c->data, sizeof text);
  text[15] = '\0';
  assert_int_equal(sscanf(text, "%d/%d", &thread, &i), 2);
  assert_int_equal(i, next_of[thread]++);
}

/* bad: 161 */
static void test_post_message_from_threads_arrives_whole_and_in_order(void **state) {
  static const ws_deflate kModes[] = {WS_DEFLATE_SHARED, WS_DEFLATE_DEDICATED};
  for (size_t m = 0; m < COUNT_OF(kModes); ++m) {
    both_teardown(state);
    both_setup(state);
    Both *b = *state;
    Poster posters[THREADS];
    b->w.limits.deflate = b->c.limits.deflate = kModes[m];
    b->c.on = check_posted;
    memset(next_of, 0, sizeof next_of);
    common_ones = 0;
    both_open(b);
    char *json = some_json(2000, 1);
    ws_message *common = make_message(json, 2000);
    for (int i = 0; i < THREADS; ++i) {
      posters[i] = (Poster){0, b->w.conn, common, i, 0};
      assert_int_equal(pthread_create(&posters[i].thread, NULL, post_many, &posters[i]), 0);
    }
    both_wait(b, &b->c.messages, 2 * THREADS * POSTS);
    for (int i = 0; i < THREADS; ++i) {
      pthread_join(posters[i].thread, NULL);
      assert_int_equal(posters[i].failed, 0);
      assert_int_equal(next_of[i], POSTS);
    }
    assert_int_equal(common_ones, THREADS * POSTS);
    const ws_deflate_info info = deflate_info_of(b->c.conn);
    assert_int_equal(info.received_plain_bytes, (uint64_t)THREADS * POSTS * (1024 + 2000));
    assert_int_equal(loop_stats_of(b->loop).deflated, THREADS * POSTS + 1);
    ws_message_unref(common);
    free(json);
  }
}

typedef struct Sender {
  pthread_t thread;
  ws_message *message;
  pthread_barrier_t *start;
  int sizes[ENGINES]; /* of the payload, by window bits from 9; -1: failed */
} Sender;

/* No assertions of CMocka here: they belong to the thread of the test. */
static int send_with_window(ws_message *m, int bits) {
  ws_engine *e = NULL;
  ws_event ev;
  ws_slice out[4];
  char request[512];
  int size = -1;
  if (ws_engine_new_server(NULL, &e) != WS_OK) return -1;
  WS_INIT(&ev);
  snprintf(request, sizeof request, WIRE_OPEN("/", DEFLATE_FIELD PMD "%s%d\r\n"),
           "; server_max_window_bits=", bits);
  ws_engine_tick(e, 1);
  ws_engine_feed(e, request, strlen(request));
  while (ws_engine_next(e, &ev) == 1) {
    if (ev.type == WS_EV_REQUEST) ws_request_accept(ws_engine_request(e), NULL);
  }
  ws_engine_sent(e, ws_engine_buffered(e));
  if (ws_engine_send_message(e, m) == WS_OK && ws_engine_output(e, out, 4) != 0 &&
      ((const uint8_t *)out[0].data)[0] == ZIPPED_BINARY) {
    size = (int)ws_engine_buffered(e);
  }
  ws_engine_free(e);
  return size;
}

static void *send_all_windows(void *arg) {
  Sender *me = arg;
  pthread_barrier_wait(me->start);
  for (int i = 0; i < ENGINES; ++i) me->sizes[i] = send_with_window(me->message, 9 + i);
  return NULL;
}

static void test_message_compressed_by_threads_at_once_is_the_same_for_all(void **state) {
  (void)state;
  char *json = some_json(20000, 1);
  for (int round = 0; round < 20; ++round) {
    Sender senders[THREADS];
    pthread_barrier_t start;
    ws_message *m = make_message(json, 20000);
    pthread_barrier_init(&start, NULL, THREADS);
    for (int i = 0; i < THREADS; ++i) {
      senders[i].message = m;
      senders[i].start = &start;
      assert_int_equal(pthread_create(&senders[i].thread, NULL, send_all_windows, &senders[i]), 0);
    }
    for (int i = 0; i < THREADS; ++i) pthread_join(senders[i].thread, NULL);
    for (int i = 0; i < THREADS; ++i) {
      for (int w = 0; w < ENGINES; ++w) {
        assert_in_range(senders[i].sizes[w], 100, 15000);
        assert_int_equal(senders[i].sizes[w], senders[0].sizes[w]);
      }
    }
    pthread_barrier_destroy(&start);
    ws_message_unref(m);
  }
  free(json);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_BOTH(test_post_message_from_threads_arrives_whole_and_in_order),
      cmocka_unit_test(test_message_compressed_by_threads_at_once_is_the_same_for_all),
  };
  return cmocka_run_group_tests_name("deflate_threads", tests, NULL, NULL);
}
