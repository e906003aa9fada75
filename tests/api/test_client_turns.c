/*
 * WS_CLIENT_TAKE_TURNS: of the clients that ask for it, one at a time is on its way to a place.
 */
#include "target.h"

#include <stdio.h>

enum { kMost = 4 };

typedef struct Line {
  ws_loop *loop;
  Target t, other;
  Peer p[kMost];
  ws_client *clients[kMost];
  int opened, downs;
} Line;

static void count_open(ws_conn *c, void *user) {
  (void)c;
  ++((Line *)user)->opened;
}

static void count_down(ws_client *cl, const ws_close_info *why, uint32_t retry_in_ms, void *user) {
  (void)cl, (void)why, (void)retry_in_ms;
  ++((Line *)user)->downs;
}

static int line_setup(void **state) {
  static Line line;
  memset(&line, 0, sizeof line);
  for (int i = 0; i < kMost; ++i) line.p[i].fd = -1;
  if (ws_loop_new(NULL, &line.loop) < 0) return -1;
  target_listen(&line.t, line.loop);
  target_listen(&line.other, line.loop);
  *state = &line;
  return 0;
}

static int line_teardown(void **state) {
  Line *l = *state;
  for (int i = 0; i < kMost; ++i) peer_drop(&l->p[i]);
  ws_loop_free(l->loop);
  target_stop(&l->t);
  target_stop(&l->other);
  return 0;
}

/* Client `i` to `host` at that target, or by it as a proxy. */
static void call_at(Line *l, int i, uint32_t flags, const Target *t, const char *proxied_host) {
  ws_handlers handlers;
  ws_client_config c;
  char url[64], proxy[64];
  WS_INIT(&handlers);
  WS_INIT(&c);
  handlers.on_open = count_open;
  c.handlers = &handlers;
  c.user = l;
  c.on_down = count_down;
  c.flags = flags;
  snprintf(url, sizeof url, "ws://127.0.0.1:%u/%d", t->port, i);
  if (proxied_host != NULL) {
    snprintf(url, sizeof url, "ws://%s/%d", proxied_host, i);
    snprintf(proxy, sizeof proxy, "http://127.0.0.1:%u", t->port);
    c.proxy = proxy;
  }
  c.url = url;
  assert_ok(ws_client_new(l->loop, &c, &l->clients[i]));
}

static void wait_for_open(Line *l, int count) {
  for (int i = 0; i < PATIENCE_MS && l->opened < count; ++i) run_for(l->loop, 1);
  assert_int_equal(l->opened, count);
}

static void wait_for_down(Line *l, int count) {
  for (int i = 0; i < PATIENCE_MS && l->downs < count; ++i) run_for(l->loop, 1);
  assert_int_equal(l->downs, count);
}

/* req: 5 */
static void test_client_turns_open_lets_the_next_one_go(void **state) {
  Line *l = *state;
  for (int i = 0; i < kMost; ++i) call_at(l, i, WS_CLIENT_TAKE_TURNS, &l->t, NULL);
  for (int i = 0; i < kMost; ++i) {
    char target[8];
    target_take(&l->t, &l->p[i]);
    snprintf(target, sizeof target, "/%d", i); /* in the order they were made */
    target_expect_target(&l->t, target);
    target_expect_nobody(&l->t);
    target_switch(&l->t, &l->p[i], "");
    wait_for_open(l, i + 1);
  }
}

/* req: 5 */
static void test_client_turns_failure_lets_the_next_one_go(void **state) {
  Line *l = *state;
  for (int i = 0; i < 3; ++i) call_at(l, i, WS_CLIENT_TAKE_TURNS, &l->t, NULL);
  target_take(&l->t, &l->p[0]);
  target_expect_nobody(&l->t);
  peer_drop(&l->p[0]);
  target_take(&l->t, &l->p[1]);
  target_expect_target(&l->t, "/1");
  target_answer(&l->t, &l->p[1], "HTTP/1.1 503 Later\r\nContent-Length: 0\r\n\r\n");
  target_take(&l->t, &l->p[2]);
  target_expect_target(&l->t, "/2");
  wait_for_down(l, 2);
}

static void test_client_turns_free_and_close_leave_the_line(void **state) {
  Line *l = *state;
  for (int i = 0; i < kMost; ++i) call_at(l, i, WS_CLIENT_TAKE_TURNS, &l->t, NULL);
  target_take(&l->t, &l->p[0]);
  ws_client_free(l->clients[1]); /* in the middle: nobody may go for that */
  target_expect_nobody(&l->t);
  assert_ok(ws_client_close(l->clients[2], 1000, NULL));
  wait_for_down(l, 1);
  target_expect_nobody(&l->t);
  ws_client_free(l->clients[0]); /* whose turn it is */
  target_take(&l->t, &l->p[3]);
  target_expect_target(&l->t, "/3");
  target_switch(&l->t, &l->p[3], "");
  wait_for_open(l, 1);
}

static void test_client_turns_are_for_one_place_and_for_who_asks(void **state) {
  Line *l = *state;
  call_at(l, 0, WS_CLIENT_TAKE_TURNS, &l->t, NULL);
  target_take(&l->t, &l->p[0]);
  call_at(l, 1, WS_CLIENT_TAKE_TURNS, &l->other, NULL); /* another port */
  target_take(&l->other, &l->p[1]);
  call_at(l, 2, 0, &l->t, NULL); /* does not ask */
  target_take(&l->t, &l->p[2]);
  call_at(l, 3, WS_CLIENT_TAKE_TURNS, &l->t, NULL);
  target_expect_nobody(&l->t);
}

/* req: 6 */
static void test_client_turns_behind_a_proxy_are_the_proxys(void **state) {
  Line *l = *state;
  call_at(l, 0, WS_CLIENT_TAKE_TURNS, &l->t, "one.example");
  call_at(l, 1, WS_CLIENT_TAKE_TURNS, &l->t, "two.example");
  target_accept(&l->t, &l->p[0]);
  target_expect_nobody(&l->t);
  peer_drop(&l->p[0]);
  target_accept(&l->t, &l->p[1]);
  wait_for_down(l, 1);
}

static void test_client_turns_waiting_at_the_end_of_the_loop_is_told(void **state) {
  Line *l = *state;
  for (int i = 0; i < 2; ++i) call_at(l, i, WS_CLIENT_TAKE_TURNS, &l->t, NULL);
  target_take(&l->t, &l->p[0]);
  assert_ok(ws_loop_free(l->loop));
  assert_int_equal(l->downs, 2);
  assert_ok(ws_loop_new(NULL, &l->loop)); /* for the teardown */
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_client_turns_open_lets_the_next_one_go, line_setup,
                                      line_teardown),
      cmocka_unit_test_setup_teardown(test_client_turns_failure_lets_the_next_one_go, line_setup,
                                      line_teardown),
      cmocka_unit_test_setup_teardown(test_client_turns_free_and_close_leave_the_line, line_setup,
                                      line_teardown),
      cmocka_unit_test_setup_teardown(test_client_turns_are_for_one_place_and_for_who_asks,
                                      line_setup, line_teardown),
      cmocka_unit_test_setup_teardown(test_client_turns_behind_a_proxy_are_the_proxys, line_setup,
                                      line_teardown),
      cmocka_unit_test_setup_teardown(test_client_turns_waiting_at_the_end_of_the_loop_is_told,
                                      line_setup, line_teardown),
  };
  return cmocka_run_group_tests_name("client_turns", tests, NULL, NULL);
}
