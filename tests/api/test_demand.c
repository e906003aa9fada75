/*
 * conn.h, ws_conn_demand: messages come by credit, both roles, whole and in chunks, and what does
 * not is kept or pushed back.
 */
#include "both.h"

#include "hook.h"

#include <sys/socket.h>

typedef struct Script {
  uint32_t first;    /* demanded in on_open */
  uint32_t each;     /* in on_message */
  int pause_at_open; /* as well */
  int demand_none;   /* no call in on_open */
} Script;

static void run_script(const Script *s, const char *event, ws_conn *c) {
  if (strcmp(event, "open") == 0) {
    if (s->pause_at_open) assert_ok(ws_conn_pause(c));
    if (!s->demand_none) assert_ok(ws_conn_demand(c, s->first));
  } else if (strcmp(event, "message") == 0 && s->each != 0) {
    assert_ok(ws_conn_demand(c, s->each));
  }
}

static void on_world(World *w, const char *event, ws_conn *c) { run_script(w->extra, event, c); }

static void on_caller(Caller *w, const char *event, ws_conn *c) {
  if (c != NULL) run_script(w->extra, event, c);
}

/* Both sides do it; what was sent to each side is in its log. */
static void use_script(Both *b, Script *s) {
  b->w.on = on_world;
  b->c.on = on_caller;
  b->w.extra = b->c.extra = s;
}

static void settle(Both *b) {
  for (int i = 0; i < 10; ++i) assert_true(ws_loop_dispatch(b->loop, 1) >= 0);
}

static void send_both(Both *b, const char *text) {
  assert_ok(ws_conn_send(b->c.conn, WS_OP_TEXT, text, strlen(text), 0));
  assert_ok(ws_conn_send(b->w.conn, WS_OP_TEXT, text, strlen(text), 0));
}

static void demand_both(Both *b, uint32_t n) {
  assert_ok(ws_conn_demand(b->c.conn, n));
  assert_ok(ws_conn_demand(b->w.conn, n));
}

static void expect_both(Both *b, int messages) {
  both_wait(b, &b->w.messages, messages);
  both_wait(b, &b->c.messages, messages);
  settle(b);
  assert_int_equal(b->w.messages, messages);
  assert_int_equal(b->c.messages, messages);
}

static void test_demand_in_on_open_holds_everything_until_there_is_credit(void **state) {
  Both *b = *state;
  Script s = {0};
  use_script(b, &s);
  both_open(b);
  for (int i = 0; i < 5; ++i) send_both(b, i % 2 ? "odd" : "even");
  expect_both(b, 0);
  demand_both(b, 0);
  expect_both(b, 0);
  demand_both(b, 1);
  expect_both(b, 1);
  demand_both(b, 1);
  demand_both(b, 1); /* they add up */
  expect_both(b, 3);
  demand_both(b, 100);
  expect_both(b, 5);
  send_both(b, "within what is left");
  expect_both(b, 6);
}

static void test_demand_of_two_lets_two_come(void **state) {
  Both *b = *state;
  Script s = {.first = 2};
  use_script(b, &s);
  both_open(b);
  for (int i = 0; i < 5; ++i) send_both(b, "m");
  expect_both(b, 2);
  demand_both(b, WS_NEVER);
  expect_both(b, 5);
  send_both(b, "m");
  expect_both(b, 6);
}

static void test_demand_inside_on_message_keeps_it_flowing(void **state) {
  Both *b = *state;
  Script s = {.first = 1, .each = 1};
  use_script(b, &s);
  both_open(b);
  for (int i = 0; i < 700; ++i) send_both(b, "m"); /* more than a turn's events */
  expect_both(b, 700);
}

static void test_demand_saturates_below_no_limit(void **state) {
  Both *b = *state;
  Script s = {.first = WS_NEVER - 1};
  use_script(b, &s);
  both_open(b);
  demand_both(b, WS_NEVER - 1);
  demand_both(b, 1);
  for (int i = 0; i < 3; ++i) send_both(b, "m");
  expect_both(b, 3);
}

static void test_demand_and_pause_must_both_allow(void **state) {
  Both *b = *state;
  Script s = {.first = 2, .pause_at_open = 1};
  use_script(b, &s);
  both_open(b);
  for (int i = 0; i < 4; ++i) send_both(b, "m");
  expect_both(b, 0);
  assert_ok(ws_conn_resume(b->c.conn));
  assert_ok(ws_conn_resume(b->w.conn));
  expect_both(b, 2);
  assert_ok(ws_conn_pause(b->c.conn));
  assert_ok(ws_conn_pause(b->w.conn));
  demand_both(b, 1);
  expect_both(b, 2);
  assert_ok(ws_conn_resume(b->c.conn));
  assert_ok(ws_conn_resume(b->w.conn));
  expect_both(b, 3);
}

static void test_demand_first_called_later_begins_there(void **state) {
  Both *b = *state;
  Script s = {.demand_none = 1};
  use_script(b, &s);
  both_open(b);
  send_both(b, "free");
  expect_both(b, 1);
  demand_both(b, 0);
  send_both(b, "held");
  expect_both(b, 1);
  demand_both(b, 1);
  expect_both(b, 2);
}

static int whole_chunked;

static void on_chunk(ws_conn *c, ws_opcode op, uint32_t flags, const void *data, size_t len,
                     void *user) {
  (void)c, (void)op, (void)data, (void)len, (void)user;
  if ((flags & WS_PART_LAST) != 0) ++whole_chunked;
}

static void test_demand_counts_a_chunked_message_by_its_last_chunk(void **state) {
  Both *b = *state;
  Peer p;
  Script s = {.first = 1};
  whole_chunked = 0;
  use_script(b, &s);
  b->w.handlers.on_chunk = on_chunk;
  both_start(b);
  ws_conn *c = both_meet(b, SERVER, &p, "");
  peer_send_frame(&p, PART_TEXT, "a", 1);
  peer_send_frame(&p, PART_MORE, "b", 1);
  settle(b);
  assert_int_equal(whole_chunked, 0);
  peer_send_frame(&p, PART_LAST, "c", 1);
  peer_send_frame(&p, FIN_TEXT, "next", 4);
  both_wait(b, &whole_chunked, 1);
  settle(b);
  assert_int_equal(whole_chunked, 1);
  assert_ok(ws_conn_demand(c, 1));
  both_wait(b, &whole_chunked, 2);
  peer_drop(&p);
}

static void test_demand_without_credit_still_closes(void **state) {
  Both *b = *state;
  Script s = {0};
  use_script(b, &s);
  both_open(b);
  send_both(b, "never told");
  settle(b);
  assert_ok(ws_conn_close(b->c.conn, 1000, "enough"));
  settle(b);
  assert_int_equal(b->w.closed, 0); /* behind the message */
  assert_ok(ws_conn_demand(b->w.conn, 1));
  both_wait(b, &b->w.closed, 1);
  both_wait(b, &b->c.closed, 1);
  assert_non_null(strstr(b->w.log, "text:never told close:1000/1000/0 "));
  assert_int_equal(b->c.messages, 0);
}

static void test_demand_is_not_needed_for_a_close_with_nothing_in_front(void **state) {
  Both *b = *state;
  Script s = {0};
  use_script(b, &s);
  both_open(b);
  assert_ok(ws_conn_close(b->c.conn, 1000, NULL));
  both_wait(b, &b->c.closed, 1);
  both_wait(b, &b->w.closed, 1);
  assert_int_equal(b->c.how.flags, WS_CLOSE_CLEAN);
}

static void test_demand_of_a_closed_connection_is_refused(void **state) {
  Both *b = *state;
  both_open(b);
  ws_conn *held = ws_conn_ref(b->w.conn);
  ws_conn_abort(b->c.conn);
  both_wait(b, &b->w.closed, 1);
  assert_fails(WS_ERR_CLOSED, ws_conn_demand(held, 1));
  assert_fails(WS_ERR_INVALID, ws_conn_demand(NULL, 1));
  ws_conn_unref(held);
}

/* Whatever the peer sends, no more waits than the window and a read. */
static void test_demand_without_credit_bounds_what_waits(void **state) {
  Both *b = *state;
  static uint8_t wire[70000];
  Peer p;
  Script s = {0};
  use_script(b, &s);
  both_start(b);
  ws_conn *c = both_meet(b, SERVER, &p, "");
  const size_t n = wire_client_frame(wire, FIN_BINARY, wire + WIRE_OVERHEAD, 65000);
  const size_t before = hook_live();
  hook_reset_most();
  ws_conn_stats stats;
  WS_INIT(&stats);
  for (int round = 0; round < 300; ++round) { /* as much as the kernel takes, and more */
    size_t at = 0;
    while (at < n) {
      const ssize_t sent = send(p.fd, wire + at, n - at, MSG_DONTWAIT | MSG_NOSIGNAL);
      if (sent > 0) at += (size_t)sent;
      assert_true(ws_loop_dispatch(b->loop, 0) >= 0);
      if (sent <= 0) assert_ok(ws_conn_demand(c, 1));
    }
  }
  /* The window, a message, and freed blocks that the loop keeps; of 19 MB. */
  assert_true(hook_most() - before < (size_t)1 << 20);
  assert_ok(ws_conn_demand(c, WS_NEVER));
  both_wait(b, &b->w.messages, 300);
  peer_drop(&p);
}

int main(void) {
#define WITH_BOTH(f) cmocka_unit_test_setup_teardown(f, both_setup, both_teardown)
  const struct CMUnitTest tests[] = {
      WITH_BOTH(test_demand_in_on_open_holds_everything_until_there_is_credit),
      WITH_BOTH(test_demand_of_two_lets_two_come),
      WITH_BOTH(test_demand_inside_on_message_keeps_it_flowing),
      WITH_BOTH(test_demand_saturates_below_no_limit),
      WITH_BOTH(test_demand_and_pause_must_both_allow),
      WITH_BOTH(test_demand_first_called_later_begins_there),
      WITH_BOTH(test_demand_counts_a_chunked_message_by_its_last_chunk),
      WITH_BOTH(test_demand_without_credit_still_closes),
      WITH_BOTH(test_demand_is_not_needed_for_a_close_with_nothing_in_front),
      WITH_BOTH(test_demand_of_a_closed_connection_is_refused),
      WITH_BOTH(test_demand_without_credit_bounds_what_waits),
  };
  return cmocka_run_group_tests_name("demand", tests, hook_set, NULL);
}
