/*
 * conn.h, on_room: large messages that go straight to memory of the application's, in both roles.
 */
#include "both.h"

#include <stdio.h>
#include <stdlib.h>

enum { MIB = 1 << 20, FROM = 16 * 1024 };

static struct {
  uint8_t *at; /* freed by whoever takes it: on_message or on_close */
  size_t len;
  ws_opcode op;
  int asked, landed, elsewhere, lost; /* lost: freed in on_close */
  int none;
  void (*inside)(ws_conn *c);
  uint8_t *want; /* the message that is on its way */
  ws_message *kept;
} room;

static void *on_room(ws_conn *c, ws_opcode op, size_t len, void *user) {
  assert_ptr_equal(ws_conn_user(c), user);
  assert_null(room.at);
  ++room.asked;
  room.op = op;
  room.len = len;
  ws_message *m = NULL;
  assert_fails(WS_ERR_STATE, ws_conn_keep_message(c, &m));
  if (room.none) return NULL;
  room.at = malloc(len); /* no byte more, for ASan */
  assert_non_null(room.at);
  void *answer = room.at;
  if (room.inside != NULL) room.inside(c);
  return answer;
}

static void take(const char *event, ws_conn *c, const void *data, size_t len) {
  if (strcmp(event, "close") == 0 && room.at != NULL) {
    free(room.at);
    room.at = NULL;
    ++room.lost;
  }
  if (strcmp(event, "message") != 0) return;
  if (room.want != NULL) assert_memory_equal(data, room.want, len);
  if (room.kept == NULL && len >= FROM) assert_ok(ws_conn_keep_message(c, &room.kept));
  if (room.at == NULL) {
    ++room.elsewhere;
    return;
  }
  ++room.landed;
  assert_ptr_equal(data, room.at);
  assert_int_equal(len, room.len);
  free(room.at);
  room.at = NULL;
}

static void on_server(World *w, const char *event, ws_conn *c) { take(event, c, w->data, w->len); }
static void on_client(Caller *w, const char *event, ws_conn *c) { take(event, c, w->data, w->len); }

static int setup(void **state) {
  if (both_setup(state) != 0) return -1;
  Both *b = *state;
  memset(&room, 0, sizeof room);
  b->w.handlers.on_room = b->c.handlers.on_room = on_room;
  b->w.on = on_server;
  b->c.on = on_client;
  return 0;
}

static int teardown(void **state) {
  both_teardown(state);
  assert_null(room.at);
  free(room.want);
  ws_message_unref(room.kept);
  return 0;
}

static const int *messages_of(Both *b, int role) {
  return role == SERVER ? &b->w.messages : &b->c.messages;
}

static const int *closed_of(Both *b, int role) {
  return role == SERVER ? &b->w.closed : &b->c.closed;
}

/* The wire form of a message of letters, which becomes room.want. */
static uint8_t *make(int role, uint8_t first, size_t len, size_t *size) {
  uint8_t *wire = malloc(len + WIRE_OVERHEAD);
  assert_non_null(wire);
  free(room.want);
  room.want = malloc(len);
  assert_non_null(room.want);
  for (size_t i = 0; i < len; ++i) room.want[i] = (uint8_t)('a' + (i * 7 + i / 251) % 26);
  *size = role == SERVER ? wire_client_frame(wire, first, room.want, len)
                         : wire_server_frame(wire, first, room.want, len);
  return wire;
}

static void wait_asked(Both *b, int count) { both_wait(b, &room.asked, count); }

/* The first `head` bytes by themselves, then the rest. */
static void send_split(Both *b, int role, Peer *p, uint8_t first, size_t len, size_t head) {
  size_t size;
  uint8_t *wire = make(role, first, len, &size);
  const int before = *messages_of(b, role);
  peer_send(p, wire, head);
  run_for(b->loop, 5);
  peer_send(p, wire + head, size - head);
  both_wait(b, messages_of(b, role), before + 1);
  free(wire);
}

static void test_room_of_each_border_length_gets_the_message(void **state) {
  Both *b = *state;
  static const size_t sizes[] = {FROM - 1, FROM, FROM + 1, 65536, MIB - 1, MIB};
  both_start(b);
  FOR_BOTH_ROLES(role) {
    Peer p;
    both_meet(b, role, &p, "");
    for (size_t i = 0; i < COUNT_OF(sizes); ++i) {
      for (int text = 0; text <= 1; ++text) {
        const int asked = sizes[i] >= FROM;
        room.asked = room.landed = room.elsewhere = 0;
        send_split(b, role, &p, text ? FIN_TEXT : FIN_BINARY, sizes[i], 100);
        assert_int_equal(room.asked, asked);
        assert_int_equal(room.landed, asked);
        assert_int_equal(room.elsewhere, !asked);
        if (asked) assert_int_equal(room.op, text ? WS_OP_TEXT : WS_OP_BINARY);
      }
    }
    peer_drop(&p);
    both_wait(b, closed_of(b, role), 1);
    assert_int_equal(room.lost, 0);
  }
}

/* What is in the kernel when the loop looks is read at once, so nothing has to be asked. */
static void test_room_is_not_asked_for_small_messages_and_fragments(void **state) {
  Both *b = *state;
  both_start(b);
  FOR_BOTH_ROLES(role) {
    Peer p;
    both_meet(b, role, &p, "");
    const int before = *messages_of(b, role);
    size_t size;
    uint8_t *wire = make(role, FIN_BINARY, 300000, &size);
    for (int i = 0; i < 10; ++i) peer_send_frame(&p, FIN_BINARY, room.want, 1000);
    peer_send_frame(&p, PART_BINARY, room.want, 150000);
    peer_send_frame(&p, PART_LAST, room.want + 150000, 150000);
    both_wait(b, messages_of(b, role), before + 11);
    assert_int_equal(room.asked, 0);
    free(wire);
    peer_drop(&p);
  }
}

static void test_room_message_cut_anywhere_is_byte_exact(void **state) {
  Both *b = *state;
  both_start(b);
  FOR_BOTH_ROLES(role) {
    Peer p;
    both_meet(b, role, &p, "");
    room.asked = room.landed = 0;
    for (unsigned round = 1; round <= 6; ++round) {
      size_t size;
      uint8_t *wire = make(role, FIN_TEXT, 40000 + round, &size);
      const int before = *messages_of(b, role);
      uint32_t seed = round;
      for (size_t at = 0; at < size;) {
        seed = seed * 1664525u + 1013904223u;
        size_t n = at < 200 ? 1 : 1 + (seed >> 8) % (round * 3000);
        if (n > size - at) n = size - at;
        peer_send(&p, wire + at, n);
        ws_loop_dispatch(b->loop, 0);
        at += n;
      }
      both_wait(b, messages_of(b, role), before + 1);
      free(wire);
    }
    assert_int_equal(room.asked, 6);
    assert_int_equal(room.landed, 6);
    peer_drop(&p);
  }
}

static void test_room_none_is_memory_of_the_library(void **state) {
  Both *b = *state;
  both_start(b);
  room.none = 1;
  FOR_BOTH_ROLES(role) {
    Peer p;
    both_meet(b, role, &p, "");
    room.asked = room.elsewhere = 0;
    send_split(b, role, &p, FIN_TEXT, 300000, 100);
    assert_int_equal(room.asked, 1);
    assert_int_equal(room.elsewhere, 1);
    peer_drop(&p);
  }
}

static void test_room_message_that_was_kept_outlives_it(void **state) {
  Both *b = *state;
  both_start(b);
  FOR_BOTH_ROLES(role) {
    Peer p;
    both_meet(b, role, &p, "");
    send_split(b, role, &p, FIN_BINARY, 300000, 100); /* kept, and the room freed behind it */
    assert_int_equal(room.landed, role + 1);
    ws_slice s = ws_message_data(room.kept);
    assert_bytes(s.data, s.len, room.want, 300000);
    ws_message_unref(room.kept);
    room.kept = NULL;
    peer_drop(&p);
  }
}

static void test_room_is_not_asked_beyond_max_message_bytes(void **state) {
  Both *b = *state;
  both_start(b);
  FOR_BOTH_ROLES(role) {
    Peer p;
    both_meet(b, role, &p, "");
    size_t size;
    uint8_t *wire = make(role, FIN_BINARY, MIB + 1, &size);
    peer_send(&p, wire, 50000);
    peer_expect_close(&p, 1009);
    assert_int_equal(room.asked, 0);
    free(wire);
    peer_drop(&p);
  }
}

static void abort_it(ws_conn *c) { ws_conn_abort(c); }
static void close_it(ws_conn *c) { assert_ok(ws_conn_close(c, 1001, "enough")); }
static void free_it(ws_conn *c) { /* the library must not write into it any more */
  ws_conn_abort(c);
  free(room.at);
  room.at = NULL;
  ++room.lost;
}

static void test_room_of_a_connection_ended_inside_is_left_alone(void **state) {
  Both *b = *state;
  static void (*const ends[])(ws_conn *) = {abort_it, close_it, free_it};
  both_start(b);
  FOR_BOTH_ROLES(role) {
    for (size_t i = 0; i < COUNT_OF(ends); ++i) {
      Peer p;
      both_meet(b, role, &p, "");
      size_t size;
      uint8_t *wire = make(role, FIN_BINARY, 60000, &size);
      const int before = *closed_of(b, role), messages = *messages_of(b, role);
      room.asked = room.lost = 0;
      room.inside = ends[i];
      peer_send(&p, wire, 30000);
      wait_asked(b, 1);
      if (ends[i] == close_it) {
        peer_expect_close(&p, 1001);
        assert_int_equal(room.lost, 0); /* until on_close it is the application's to keep */
        peer_send(&p, wire + 30000, size - 30000);
        peer_send_close(&p, 1001, NULL);
      }
      both_wait(b, closed_of(b, role), before + 1);
      assert_int_equal(room.lost, 1);
      assert_int_equal(*messages_of(b, role), messages);
      free(wire);
      peer_drop(&p);
    }
  }
}

static void pause_it(ws_conn *c) { assert_ok(ws_conn_pause(c)); }

static void test_room_asked_by_a_connection_that_pauses_inside_is_filled_later(void **state) {
  Both *b = *state;
  both_start(b);
  room.inside = pause_it;
  FOR_BOTH_ROLES(role) {
    Peer p;
    ws_conn *c = both_meet(b, role, &p, "");
    size_t size;
    uint8_t *wire = make(role, FIN_TEXT, 100000, &size);
    const int before = *messages_of(b, role);
    room.asked = room.landed = 0;
    peer_send(&p, wire, 90000);
    wait_asked(b, 1);
    peer_send(&p, wire + 90000, size - 90000);
    run_for(b->loop, 5);
    assert_int_equal(room.landed, 0);
    assert_ok(ws_conn_resume(c));
    both_wait(b, messages_of(b, role), before + 1);
    assert_int_equal(room.landed, 1);
    free(wire);
    peer_drop(&p);
  }
}

static void test_room_of_a_peer_that_dies_in_the_middle_is_given_up_in_on_close(void **state) {
  Both *b = *state;
  both_start(b);
  FOR_BOTH_ROLES(role) {
    for (int reset = 0; reset <= 1; ++reset) {
      Peer p;
      both_meet(b, role, &p, "");
      size_t size;
      uint8_t *wire = make(role, FIN_BINARY, 500000, &size);
      const int before = *closed_of(b, role);
      room.asked = room.lost = 0;
      peer_send(&p, wire, 200000);
      wait_asked(b, 1);
      reset ? peer_reset(&p) : peer_drop(&p);
      both_wait(b, closed_of(b, role), before + 1);
      assert_int_equal(room.lost, 1);
      free(wire);
    }
  }
}

static void test_room_text_with_a_fault_in_what_landed_fails_1007(void **state) {
  Both *b = *state;
  both_start(b);
  FOR_BOTH_ROLES(role) {
    Peer p;
    both_meet(b, role, &p, "");
    size_t size;
    uint8_t *wire = make(role, FIN_TEXT, 500000, &size);
    wire[400000] = (uint8_t)(wire[400000] ^ 0x80);
    const int before = *closed_of(b, role);
    room.asked = room.lost = 0;
    peer_send(&p, wire, 100000);
    wait_asked(b, 1);
    peer_send(&p, wire + 100000, size - 100000);
    peer_expect_close(&p, 1007);
    peer_drop(&p);
    both_wait(b, closed_of(b, role), before + 1);
    assert_int_equal(room.lost, 1);
    assert_int_equal(room.landed, 0);
    free(wire);
  }
}

static void test_room_is_given_up_when_its_owner_goes(void **state) {
  Both *b = *state;
  both_start(b);
  for (int role = CLIENT; role >= SERVER; --role) {
    Peer p;
    both_meet(b, role, &p, "");
    size_t size;
    uint8_t *wire = make(role, FIN_BINARY, 500000, &size);
    room.asked = room.lost = 0;
    peer_send(&p, wire, 200000);
    wait_asked(b, 1);
    if (role == SERVER) {
      ws_server_free(b->w.server);
      b->w.server = NULL;
    } else {
      ws_client_free(b->c.client);
      b->c.client = NULL;
    }
    both_wait(b, closed_of(b, role), 1);
    assert_int_equal(room.lost, 1);
    free(wire);
    peer_drop(&p);
  }
}

static size_t parts;
static void on_chunk(ws_conn *c, ws_opcode op, uint32_t flags, const void *data, size_t len,
                     void *user) {
  (void)c, (void)op, (void)flags, (void)data, (void)user;
  parts += len;
}

static void to_parts(ws_conn *c) { assert_ok(ws_conn_set_chunks(c, 1)); }

static void test_room_is_asked_for_whole_messages_only(void **state) {
  Both *b = *state;
  b->w.handlers.on_chunk = b->c.handlers.on_chunk = on_chunk;
  both_start(b);
  FOR_BOTH_ROLES(role) {
    Peer p;
    ws_conn *c = both_meet(b, role, &p, "");
    size_t size;
    uint8_t *wire = make(role, FIN_BINARY, 200000, &size);
    room.asked = room.landed = 0;
    room.inside = to_parts;
    parts = 0;
    peer_send(&p, wire, size);
    for (uint64_t end = clock_ms() + PATIENCE_MS; parts < 200000 && clock_ms() < end;) {
      ws_loop_dispatch(b->loop, 2);
    }
    assert_int_equal(parts, 200000);
    assert_int_equal(room.asked, 0);
    assert_ok(ws_conn_set_chunks(c, 0));
    free(wire);
    send_split(b, role, &p, FIN_BINARY, 200000, 100); /* back to parts inside, for the next one */
    assert_int_equal(room.landed, 1);
    peer_send_frame(&p, FIN_BINARY, "next", 4);
    for (uint64_t end = clock_ms() + PATIENCE_MS; parts < 200004 && clock_ms() < end;) {
      ws_loop_dispatch(b->loop, 2);
    }
    assert_int_equal(parts, 200004);
    peer_drop(&p);
  }
}

static void test_room_without_on_message_is_not_asked(void **state) {
  Both *b = *state;
  b->w.handlers.on_message = b->c.handlers.on_message = NULL;
  both_start(b);
  FOR_BOTH_ROLES(role) {
    Peer p;
    both_meet(b, role, &p, "");
    size_t size;
    uint8_t *wire = make(role, FIN_BINARY, 200000, &size);
    peer_send(&p, wire, size);
    peer_send_frame(&p, FIN_PING, "x", 1);
    peer_expect_frame(&p, FIN_PONG, "x", 1);
    assert_int_equal(room.asked, 0);
    free(wire);
    peer_drop(&p);
  }
}

static void accept_with_handlers(ws_request *r, void *user) {
  World *w = user;
  ws_handlers own = w->handlers;
  ws_accept how;
  WS_INIT(&how);
  own.on_room = on_room;
  how.handlers = &own; /* copied */
  assert_ok(ws_request_accept(r, &how));
}

static void test_room_of_handlers_given_to_accept_is_asked(void **state) {
  Both *b = *state;
  b->w.handlers.on_room = NULL;
  b->w.config.on_request = accept_with_handlers;
  both_start(b);
  Peer p;
  both_meet(b, SERVER, &p, "");
  send_split(b, SERVER, &p, FIN_BINARY, 200000, 100);
  assert_int_equal(room.landed, 1);
  peer_drop(&p);
}

int main(void) {
#define WITH_BOTH(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
  const struct CMUnitTest tests[] = {
      WITH_BOTH(test_room_of_each_border_length_gets_the_message),
      WITH_BOTH(test_room_is_not_asked_for_small_messages_and_fragments),
      WITH_BOTH(test_room_message_cut_anywhere_is_byte_exact),
      WITH_BOTH(test_room_none_is_memory_of_the_library),
      WITH_BOTH(test_room_message_that_was_kept_outlives_it),
      WITH_BOTH(test_room_is_not_asked_beyond_max_message_bytes),
      WITH_BOTH(test_room_of_a_connection_ended_inside_is_left_alone),
      WITH_BOTH(test_room_asked_by_a_connection_that_pauses_inside_is_filled_later),
      WITH_BOTH(test_room_of_a_peer_that_dies_in_the_middle_is_given_up_in_on_close),
      WITH_BOTH(test_room_text_with_a_fault_in_what_landed_fails_1007),
      WITH_BOTH(test_room_is_given_up_when_its_owner_goes),
      WITH_BOTH(test_room_is_asked_for_whole_messages_only),
      WITH_BOTH(test_room_without_on_message_is_not_asked),
      WITH_BOTH(test_room_of_handlers_given_to_accept_is_asked),
  };
  return cmocka_run_group_tests_name("conn_room", tests, NULL, NULL);
}
