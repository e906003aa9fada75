/*
 * ws_loop_config.trace: each frame both ways, of servers and clients, and nothing of what they
 * hold.
 */
#include "world.h"

#include <stdio.h>

typedef struct Traced {
  World w;
  char text[8192];
  uint64_t id; /* of the frame told last */
} Traced;

static void tell(void *user, const ws_frame_info *f) {
  Traced *t = user;
  size_t at = strlen(t->text);
  assert_true(f->size >= sizeof *f);
  t->id = f->conn_id;
  snprintf(t->text + at, sizeof t->text - at, "%s%u%s%s%s:%llu%s", f->sent ? ">" : "<", f->opcode,
           f->fin ? "" : "+",
           f->rsv & 4    ? "z"
           : f->rsv != 0 ? "?"
                         : "",
           f->masked ? "m" : "", (unsigned long long)f->length, f->close_code != 0 ? "" : " ");
  at = strlen(t->text);
  if (f->close_code != 0) snprintf(t->text + at, sizeof t->text - at, "/%u ", f->close_code);
}

static void traced_start(Traced *t) {
  memset(t, 0, sizeof *t);
  world_prepare(&t->w);
  t->w.loop_config.trace = tell;
  t->w.loop_config.trace_user = t;
  world_start(&t->w);
}

static void test_trace_tells_frames_both_ways(void **state) {
  (void)state;
  static char large[70000];
  Traced t;
  Peer p;
  traced_start(&t);
  world_join(&t.w, &p);
  assert_string_equal(t.text, ""); /* the handshake is none */
  peer_send_text(&p, "hello");
  peer_send_frame(&p, 0x89, "ping", 4);
  while (t.w.messages < 1) run_for(t.w.loop, 1);
  peer_expect_frame(&p, 0x8a, "ping", 4);
  assert_ok(ws_conn_send(t.w.conn, WS_OP_BINARY, large, sizeof large, 0));
  assert_int_equal(t.id, ws_conn_id(t.w.conn));
  assert_ok(ws_conn_send_part(t.w.conn, WS_OP_TEXT, "a", 1, 0));
  assert_ok(ws_conn_send_part(t.w.conn, WS_OP_TEXT, "b", 1, 1));
  assert_ok(ws_conn_close(t.w.conn, 4001, "x"));
  run_for(t.w.loop, 5);
  peer_send_close(&p, 4001, "");
  world_wait_closed(&t.w, 1);
  assert_string_equal(t.text, "<1m:5 <9m:4 >10:4 >2:70000 >1+:1 >0:1 >8:3/4001 <8m:2/4001 ");
  peer_drop(&p);
  world_stop(&t.w);
}

static void test_trace_tells_the_frame_that_breaks_a_rule(void **state) {
  (void)state;
  Traced t;
  Peer p;
  traced_start(&t);
  world_join(&t.w, &p);
  peer_send_frame(&p, 0xb3, "x", 1);
  peer_expect_close(&p, 1002);
  world_wait_closed(&t.w, 1);
  assert_true(strncmp(t.text, "<3?m:1 >8:", 10) == 0);
  assert_non_null(strstr(t.text, "/1002 "));
  peer_drop(&p);
  world_stop(&t.w);
}

static void test_trace_tells_connections_apart(void **state) {
  (void)state;
  Traced t;
  Peer p;
  Peer q;
  traced_start(&t);
  world_join(&t.w, &p);
  uint64_t first = ws_conn_id(t.w.conn);
  world_join(&t.w, &q);
  peer_send(&p, "\x81\x85", 2); /* half a header */
  run_for(t.w.loop, 5);
  peer_send_text(&q, "whole");
  while (t.w.messages < 1) run_for(t.w.loop, 1);
  assert_string_equal(t.text, "<1m:5 ");
  assert_int_equal(t.id, ws_conn_id(t.w.conn));
  peer_send(&p, "\0\0\0\0rest!", 9);
  while (t.w.messages < 2) run_for(t.w.loop, 1);
  assert_string_equal(t.text, "<1m:5 <1m:5 ");
  assert_int_equal(t.id, first);
  peer_drop(&p);
  peer_drop(&q);
  world_stop(&t.w);
}

static void test_trace_tells_what_comes_in_a_pause(void **state) {
  (void)state;
  Traced t;
  Peer p;
  traced_start(&t);
  world_join(&t.w, &p);
  assert_ok(ws_conn_pause(t.w.conn));
  peer_send_text(&p, "held");
  peer_send_frame(&p, 0x89, "now", 3);
  peer_expect_frame(&p, 0x8a, "now", 3);
  assert_int_equal(t.w.messages, 0);
  assert_string_equal(t.text, "<1m:4 <9m:3 >10:3 ");
  peer_drop(&p);
  world_stop(&t.w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_trace_tells_frames_both_ways),
      cmocka_unit_test(test_trace_tells_the_frame_that_breaks_a_rule),
      cmocka_unit_test(test_trace_tells_connections_apart),
      cmocka_unit_test(test_trace_tells_what_comes_in_a_pause),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
