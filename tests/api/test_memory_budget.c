/*
 * server.h, memory_budget_bytes: who is ended when the connections of a server hold too much, and
 * who is not.
 */
#include "hook.h"
#include "world.h"

#include <stdlib.h>

enum { MIB = 1 << 20, CONNS = 48 };

/* The connections in the order they opened. */
static ws_conn *conns[CONNS];
static int ended[CONNS];

static void note(World *w, const char *event, ws_conn *c) {
  if (strcmp(event, "open") == 0) conns[w->opened - 1] = c;
  if (strcmp(event, "close") != 0) return;
  for (int i = 0; i < w->opened; ++i) {
    if (conns[i] != c) continue;
    conns[i] = NULL;
    ended[i] = w->how.error;
  }
}

static void start(World *w, uint64_t budget) {
  world_prepare(w);
  memset(conns, 0, sizeof conns);
  memset(ended, 0, sizeof ended);
  w->on = note;
  w->config.memory_budget_bytes = budget;
  w->limits.max_message_bytes = 16 * MIB;
  w->limits.send_limit_bytes = 64 * MIB;
  world_start(w);
}

/* A peer that never reads. */
static void join_slow(World *w, Peer *p) {
  int before = w->opened;
  assert_int_equal(peer_try_connect(p, w->loop, w->port, 4096), 0);
  peer_open(p);
  for (int i = 0; i < 1000 && w->opened == before; ++i) run_for(w->loop, 1);
  assert_int_equal(w->opened, before + 1);
}

/* Sends until so much waits, or until the connection is ended. */
static void fill(World *w, int i, size_t bytes) {
  static char piece[64 * 1024];
  while (conns[i] != NULL && ws_conn_buffered(conns[i]) < bytes) {
    int rc = ws_conn_send(conns[i], WS_OP_BINARY, piece, sizeof piece, 0);
    assert_true(rc >= 0 || rc == WS_ERR_CLOSED);
    ws_loop_dispatch(w->loop, 0);
  }
}

static void test_budget_ends_the_longest_queue_and_no_other(void **state) {
  World w;
  Peer p[3];
  (void)state;
  start(&w, 8 * MIB);
  for (int i = 0; i < 3; ++i) join_slow(&w, &p[i]);
  fill(&w, 0, 2 * MIB);
  fill(&w, 1, 3 * MIB);
  fill(&w, 2, 2 * MIB);
  run_for(w.loop, 5);
  assert_int_equal(w.closed, 0);
  fill(&w, 1, 6 * MIB);
  world_wait_closed(&w, 1);
  assert_int_equal(ended[1], WS_ERR_FULL);
  assert_int_equal(w.how.code, 1006);
  assert_int_equal(w.how.sent_code, 0); /* a Close would have had to wait behind the queue */
  assert_non_null(strstr(w.detail, "memory_budget_bytes"));
  /* There is room again, and then it is the next one's turn. */
  fill(&w, 0, 5 * MIB);
  run_for(w.loop, 5);
  assert_int_equal(w.closed, 1);
  fill(&w, 0, 8 * MIB);
  world_wait_closed(&w, 2);
  assert_int_equal(ended[0], WS_ERR_FULL);
  assert_int_equal(ended[2], 0);
  for (int i = 0; i < 3; ++i) peer_drop(&p[i]);
  world_stop(&w);
}

/* Whether a connection that holds the first 10,000 bytes of a message is ended. */
static int ended_with(uint64_t budget) {
  World w;
  Peer p;
  WireFrame f;
  static uint8_t payload[10000];
  start(&w, budget);
  world_join(&w, &p);
  peer_send_frame(&p, PART_BINARY, payload, sizeof payload);
  peer_send_frame(&p, FIN_PING, "?", 1);
  peer_read_frame(&p, &f); /* the pong, or the Close */
  if (f.first == FIN_PONG) run_for(w.loop, 2);
  const int result = w.closed;
  assert_int_equal(result != 0, ended[0] == WS_ERR_FULL);
  peer_drop(&p);
  world_stop(&w);
  return result;
}

static void test_budget_is_what_may_be_held_and_not_a_byte_less(void **state) {
  uint64_t enough = 64 * 1024, little = 10000;
  (void)state;
  if (faults_are_on()) skip(); /* how a message grows depends on how it is read */
  assert_int_equal(ended_with(enough), 0);
  assert_int_equal(ended_with(little), 1);
  while (enough - little > 1) {
    const uint64_t middle = little + (enough - little) / 2;
    if (ended_with(middle)) {
      little = middle;
    } else {
      enough = middle;
    }
  }
  assert_true(enough < 2 * 10000 + 1024);
  assert_int_equal(ended_with(enough - 1), 1);
  assert_int_equal(ended_with(enough), 0);
  assert_int_equal(ended_with(enough + 1), 0);
}

/* Whoever holds most cannot push out those who hold less, however often he adds. */
static void test_budget_spares_small_ones_from_a_large_one(void **state) {
  World w;
  Peer p[8];
  (void)state;
  start(&w, 4 * MIB);
  for (int i = 0; i < 8; ++i) join_slow(&w, &p[i]);
  for (int i = 0; i < 7; ++i) fill(&w, i, MIB / 4);
  fill(&w, 7, 16 * MIB);
  world_wait_closed(&w, 1);
  assert_int_equal(ended[7], WS_ERR_FULL);
  run_for(w.loop, 5);
  assert_int_equal(w.closed, 1);
  for (int i = 0; i < 8; ++i) peer_drop(&p[i]);
  world_stop(&w);
}

static void test_budget_tells_1013_when_nothing_waits_before_it(void **state) {
  World w;
  Peer p[2];
  static uint8_t bytes[4 * MIB];
  uint8_t header[WIRE_OVERHEAD];
  (void)state;
  start(&w, 2 * MIB);
  for (int i = 0; i < 2; ++i) world_join(&w, &p[i]);
  /* Masked with whatever: they are never whole. */
  for (int i = 0; i < 2; ++i) {
    peer_send(&p[i], header, wire_client_header(header, FIN_BINARY, 4 * MIB));
    peer_send(&p[i], bytes, MIB / 4);
  }
  run_for(w.loop, 5);
  assert_int_equal(w.closed, 0);
  peer_send(&p[1], bytes, 3 * MIB);
  peer_expect_close(&p[1], 1013);
  world_wait_closed(&w, 1);
  assert_int_equal(ended[1], WS_ERR_FULL);
  assert_int_equal(w.how.sent_code, 1013);
  /* The other's message still comes. */
  peer_send(&p[0], bytes, MIB / 4);
  run_for(w.loop, 5);
  assert_int_equal(w.closed, 1);
  peer_drop(&p[0]);
  peer_drop(&p[1]);
  world_stop(&w);
}

static void note_and_pause(World *w, const char *event, ws_conn *c) {
  note(w, event, c);
  if (strcmp(event, "message") == 0) assert_ok(ws_conn_pause(c));
}

/* Paused at the first message of a read: the rest of it waits. */
static void test_budget_counts_input_that_waits(void **state) {
  World w;
  Peer p[2];
  static uint8_t payload[100], many[1000 * (100 + WIRE_OVERHEAD)];
  size_t len = 0;
  (void)state;
  if (faults_are_on()) skip(); /* reads are shorter then */
  start(&w, 32 * 1024);
  world_join(&w, &p[0]);
  world_join(&w, &p[1]);
  w.on = note_and_pause;
  for (int i = 0; i < 1000; ++i) len += wire_client_frame(many + len, FIN_BINARY, payload, 100);
  peer_send(&p[1], many, len);
  peer_expect_close(&p[1], 1013);
  world_wait_closed(&w, 1);
  assert_int_equal(ended[1], WS_ERR_FULL);
  assert_int_equal(w.messages, 1);
  peer_drop(&p[0]);
  peer_drop(&p[1]);
  world_stop(&w);
}

static void test_budget_counts_a_message_that_many_wait_for_once(void **state) {
  World w;
  Peer p[8];
  ws_message *m = NULL;
  char *text = calloc(1, MIB);
  uint64_t waiting = 0;
  (void)state;
  start(&w, 4 * MIB);
  assert_ok(ws_message_new(WS_OP_BINARY, text, MIB, &m));
  for (int i = 0; i < 8; ++i) join_slow(&w, &p[i]);
  /* Three times the budget, and again when the kernel has taken some of it. */
  for (int round = 0; round < 100 && waiting < 12 * MIB; ++round) {
    for (int i = 0; i < 8; ++i) {
      while (conns[i] != NULL && ws_conn_buffered(conns[i]) < 3 * MIB) {
        assert_true(ws_conn_send_message(conns[i], m) >= 0);
        ws_loop_dispatch(w.loop, 0);
      }
    }
    run_for(w.loop, 5);
    waiting = 0;
    for (int i = 0; i < 8; ++i) waiting += conns[i] != NULL ? ws_conn_buffered(conns[i]) : 0;
  }
  assert_true(waiting >= 12 * MIB);
  assert_int_equal(w.closed, 0);
  /* Messages of its own are another matter. */
  fill(&w, 3, 10 * MIB);
  world_wait_closed(&w, 1);
  assert_int_equal(ended[3], WS_ERR_FULL);
  ws_message_unref(m);
  free(text);
  for (int i = 0; i < 8; ++i) peer_drop(&p[i]);
  world_stop(&w);
}

/* A queue of shared messages costs little beside them. */
static void test_queued_shared_messages_take_a_small_block_each(void **state) {
  World w;
  Peer p;
  ws_message *m = NULL;
  char text[300] = {0};
  (void)state;
  start(&w, WS_UNLIMITED);
  assert_ok(ws_message_new(WS_OP_BINARY, text, sizeof text, &m));
  join_slow(&w, &p);
  fill(&w, 0, MIB);
  const size_t before = hook_live();
  for (int i = 0; i < 5000; ++i) assert_true(ws_conn_send_message(conns[0], m) >= 0);
  assert_true(hook_live() - before <= 5000 * 512);
  ws_message_unref(m);
  peer_drop(&p);
  world_stop(&w);
}

/* More than one look finds at once, none of them open yet. */
static void test_budget_counts_heads_and_ends_as_many_as_it_must(void **state) {
  World w;
  static Peer p[CONNS * 2];
  static char head[12 * 1024];
  ws_loop_stats s;
  uint64_t end = clock_ms() + PATIENCE_MS;
  (void)state;
  WS_INIT(&s);
  start(&w, 256 * 1024);
  memset(head, 'x', sizeof head);
  memcpy(head, "GET / HTTP/1.1\r\nHost: h\r\nA: ", 28);
  memcpy(head + 6000, "\r\nB: ", 5);
  for (int i = 0; i < CONNS * 2; ++i) {
    peer_connect(&p[i], w.loop, w.port);
    peer_send(&p[i], head, sizeof head);
  }
  do {
    assert_true(clock_ms() < end);
    run_for(w.loop, 10);
    assert_ok(ws_loop_get_stats(w.loop, &s));
  } while (s.connections > 256 / 12);
  assert_true(s.connections >= 4);
  for (int i = 0; i < CONNS * 2; ++i) peer_drop(&p[i]);
  world_stop(&w);
}

static void test_budget_unlimited_ends_nobody(void **state) {
  World w;
  Peer p;
  (void)state;
  start(&w, WS_UNLIMITED);
  join_slow(&w, &p);
  fill(&w, 0, 32 * MIB);
  run_for(w.loop, 5);
  assert_int_equal(w.closed, 0);
  peer_drop(&p);
  world_stop(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_budget_ends_the_longest_queue_and_no_other),
      cmocka_unit_test(test_budget_is_what_may_be_held_and_not_a_byte_less),
      cmocka_unit_test(test_budget_spares_small_ones_from_a_large_one),
      cmocka_unit_test(test_budget_tells_1013_when_nothing_waits_before_it),
      cmocka_unit_test(test_budget_counts_input_that_waits),
      cmocka_unit_test(test_budget_counts_a_message_that_many_wait_for_once),
      cmocka_unit_test(test_queued_shared_messages_take_a_small_block_each),
      cmocka_unit_test(test_budget_counts_heads_and_ends_as_many_as_it_must),
      cmocka_unit_test(test_budget_unlimited_ends_nobody),
  };
  return cmocka_run_group_tests_name("memory_budget", tests, hook_set, NULL);
}
