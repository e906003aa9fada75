/*
 * One connection cannot have a turn of the loop for itself: the rest of its input waits while the
 * others get theirs (docs/limits.md, "events of one connection in a turn").
 */
#include "world.h"

enum { FLOOD = 5000, EVENTS_PER_TURN = 256 };

static int from_flood, from_flood_before_other;

static void count(World *w, const char *event, ws_conn *c) {
  (void)c;
  if (strcmp(event, "message") != 0) return;
  w->log[0] = '\0';
  if (w->len == 0) {
    ++from_flood;
  } else {
    from_flood_before_other = from_flood;
  }
}

static void flood(Peer *p) {
  static const uint8_t empty_frame[] = {0x82, 0x80, 1, 2, 3, 4};
  uint8_t frames[FLOOD * sizeof empty_frame];
  for (size_t i = 0; i < FLOOD; ++i) {
    memcpy(frames + i * sizeof empty_frame, empty_frame, sizeof empty_frame);
  }
  peer_send(p, frames, sizeof frames);
}

/* bad: 99, 104, 180 */
static void test_fairness_flood_of_tiny_frames_lets_others_in_between(void **state) {
  World *w = *state;
  Peer a, b;
  world_join(w, &a);
  world_join(w, &b);
  w->on = count;
  from_flood = 0;
  from_flood_before_other = -1;
  flood(&a);
  peer_send_text(&b, "me too");
  for (int turn = 0; turn < 1000 && from_flood < FLOOD; ++turn) ws_loop_dispatch(w->loop, 10);
  assert_int_equal(from_flood, FLOOD);
  /* At most what the flood had in the turns until the other's bytes were seen. */
  assert_in_range(from_flood_before_other, 0, 4 * EVENTS_PER_TURN);
  peer_drop(&a);
  peer_drop(&b);
  world_wait_closed(w, 2);
}

/* What is held between turns is given back when it is used up, and the order stays. */
static void test_fairness_flood_then_text_arrives_in_order(void **state) {
  World *w = *state;
  Peer a;
  world_join(w, &a);
  w->on = count;
  from_flood = 0;
  from_flood_before_other = -1;
  flood(&a);
  peer_send_text(&a, "last");
  for (int turn = 0; turn < 1000 && from_flood_before_other < 0; ++turn) {
    ws_loop_dispatch(w->loop, 10);
  }
  assert_int_equal(from_flood_before_other, FLOOD);
  peer_send_text(&a, "and on");
  from_flood_before_other = -1;
  for (int turn = 0; turn < 1000 && from_flood_before_other < 0; ++turn) {
    ws_loop_dispatch(w->loop, 10);
  }
  assert_int_equal(from_flood_before_other, FLOOD);
  peer_drop(&a);
  world_wait_closed(w, 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_fairness_flood_of_tiny_frames_lets_others_in_between,
                                      world_setup, world_teardown),
      cmocka_unit_test_setup_teardown(test_fairness_flood_then_text_arrives_in_order, world_setup,
                                      world_teardown),
  };
  return cmocka_run_group_tests_name("fairness", tests, NULL, NULL);
}
