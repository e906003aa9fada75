/*
 * conn.h, on_room, over TLS: records are decrypted into the application's memory, on both sides.
 */
#include "secured.h"

#include <stdlib.h>

enum { LEN = 1 << 20 };

typedef struct Room {
  uint8_t *at;
  int asked, landed, lost;
} Room;

static Room there, here; /* the server's, the client's */
static uint8_t *want;

static void *ask(Room *r, size_t len) {
  assert_null(r->at);
  assert_int_equal(len, LEN);
  ++r->asked;
  r->at = malloc(len);
  assert_non_null(r->at);
  return r->at;
}

static void *on_room_there(ws_conn *c, ws_opcode op, size_t len, void *user) {
  (void)c, (void)op, (void)user;
  return ask(&there, len);
}

static void *on_room_here(ws_conn *c, ws_opcode op, size_t len, void *user) {
  (void)c, (void)op, (void)user;
  return ask(&here, len);
}

static void take(Room *r, const char *event, const void *data, size_t len) {
  if (strcmp(event, "message") == 0) {
    assert_int_equal(len, LEN);
    assert_ptr_equal(data, r->at);
    assert_memory_equal(data, want, LEN);
    ++r->landed;
  } else if (strcmp(event, "close") == 0 && r->at != NULL) {
    ++r->lost;
  } else {
    return;
  }
  free(r->at);
  r->at = NULL;
}

static void on_server(World *w, const char *event, ws_conn *c) {
  if (strcmp(event, "message") == 0) assert_true(ws_conn_send(c, w->op, w->data, w->len, 0) >= 0);
  take(&there, event, w->data, w->len);
}

static void on_client(Caller *w, const char *event, ws_conn *c) {
  (void)c;
  take(&here, event, w->data, w->len);
}

static int setup(void **state) {
  if (secured_setup(state) != 0) return -1;
  Secured *s = *state;
  memset(&there, 0, sizeof there);
  memset(&here, 0, sizeof here);
  s->w.handlers.on_room = on_room_there;
  s->c.handlers.on_room = on_room_here;
  s->w.on = on_server;
  s->c.on = on_client;
  want = malloc(LEN);
  assert_non_null(want);
  for (size_t i = 0; i < LEN; ++i) want[i] = (uint8_t)('a' + (i * 7 + i / 251) % 26);
  return 0;
}

static int teardown(void **state) {
  secured_teardown(state);
  assert_null(there.at);
  assert_null(here.at);
  free(want);
  return 0;
}

static void test_tls_room_gets_messages_of_both_sides(void **state) {
  Secured *s = *state;
  secured_open(s);
  for (int i = 1; i <= 4; ++i) {
    const ws_opcode op = i % 2 ? WS_OP_TEXT : WS_OP_BINARY;
    assert_true(ws_conn_send(s->c.conn, op, want, LEN, 0) >= 0);
    caller_wait_messages(&s->c, i);
    assert_int_equal(there.landed, i);
    assert_int_equal(here.landed, i);
  }
  assert_int_equal(there.asked + here.asked, 8);
}

static void test_tls_room_of_a_stream_that_is_cut_is_given_up_in_on_close(void **state) {
  Secured *s = *state;
  Relay r;
  secured_listen(s);
  relay_listen(&r, s);
  caller_start(&s->c);
  relay_accept(&r);
  relay_until(&r, &s->c.opened, 1);
  r.allow_up = r.up + 300000;
  assert_true(ws_conn_send(s->c.conn, WS_OP_BINARY, want, LEN, 0) >= 0);
  relay_until(&r, &there.asked, 1);
  relay_settle(&r);
  assert_int_equal(there.lost + there.landed, 0);
  peer_drop(&r.server);
  world_wait_closed(&s->w, 1);
  assert_int_equal(there.lost, 1);
  relay_stop(&r);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test_setup_teardown(test_tls_room_gets_messages_of_both_sides, setup, teardown),
      cmocka_unit_test_setup_teardown(test_tls_room_of_a_stream_that_is_cut_is_given_up_in_on_close,
                                      setup, teardown),
  };
  return cmocka_run_group_tests_name("tls_room", tests, NULL, NULL);
}
