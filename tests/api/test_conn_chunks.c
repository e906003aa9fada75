/*
 * conn.h, ws_conn_set_chunks: from parts to whole messages and back; in both roles, with and
 * without compression.
 */
#include "both.h"

#include <stdio.h>
#include <stdlib.h>

/* "(abc) " for a message that came in parts, however many, "[abc] " for a whole one. */
static char told[4096];
static int ended; /* messages */
/* Called in both callbacks, after it was told. */
static void (*inside)(ws_conn *c);

static void tell(const char *before, const void *data, size_t len, const char *after) {
  const size_t used = strlen(told);
  snprintf(told + used, sizeof told - used, "%s%.*s%s", before, (int)len,
           len != 0 ? (const char *)data : "", after);
}

static void whole(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  (void)user;
  assert_int_equal(op, WS_OP_TEXT);
  tell("[", data, len, "] ");
  ++ended;
  if (inside != NULL) inside(c);
}

static void part(ws_conn *c, ws_opcode op, uint32_t flags, const void *data, size_t len,
                 void *user) {
  (void)user;
  assert_int_equal(op, WS_OP_TEXT);
  tell(flags & WS_PART_FIRST ? "(" : "", data, len, flags & WS_PART_LAST ? ") " : "");
  if (flags & WS_PART_LAST) ++ended;
  if (inside != NULL) inside(c);
}

static void forget(void) {
  told[0] = '\0';
  ended = 0;
  inside = NULL;
}

static int setup(void **state) {
  if (both_setup(state) != 0) return -1;
  Both *b = *state;
  b->w.handlers.on_message = b->c.handlers.on_message = whole;
  b->w.handlers.on_chunk = b->c.handlers.on_chunk = part;
  forget();
  return 0;
}

static void expect_told(Both *b, int messages, const char *log) {
  both_wait(b, &ended, messages);
  assert_string_equal(told, log);
  told[0] = '\0';
  ended = 0;
}

static void wait_told(Both *b, const char *log) {
  const uint64_t end = clock_ms() + PATIENCE_MS;
  while (strcmp(told, log) != 0) {
    if (clock_ms() > end) fail_msg("\"%s\" instead of \"%s\"", told, log);
    assert_true(ws_loop_dispatch(b->loop, 2) >= 0);
  }
}

static void test_chunks_begin_as_the_handlers_say_and_can_be_switched(void **state) {
  Both *b = *state;
  both_start(b);
  FOR_BOTH_ROLES(role) {
    Peer p;
    ws_conn *c = both_meet(b, role, &p, "");
    peer_send_text(&p, "first");
    expect_told(b, 1, "(first) ");
    assert_ok(ws_conn_set_chunks(c, 0));
    peer_send_text(&p, "second");
    expect_told(b, 1, "[second] ");
    assert_ok(ws_conn_set_chunks(c, 0));
    peer_send_frame(&p, PART_TEXT, "thi", 3);
    peer_send_frame(&p, PART_LAST, "rd", 2);
    expect_told(b, 1, "[third] ");
    assert_ok(ws_conn_set_chunks(c, 7)); /* anything but 0 */
    peer_send_frame(&p, PART_TEXT, "fou", 3);
    peer_send_frame(&p, PART_LAST, "rth", 3);
    expect_told(b, 1, "(fourth) ");
    peer_drop(&p);
  }
}

/* One byte at a time too: the switch comes behind each of them in turn. */
static void test_chunks_message_that_has_begun_ends_as_it_began(void **state) {
  Both *b = *state;
  both_start(b);
  FOR_BOTH_ROLES(role) {
    Peer p;
    ws_conn *c = both_meet(b, role, &p, "");
    for (int on = 0; on <= 1; ++on) {
      uint8_t wire[64];
      const size_t header = role == SERVER ? 6 : 2;
      const size_t n = role == SERVER ? wire_client_frame(wire, FIN_TEXT, "abcdef", 6)
                                      : wire_server_frame(wire, FIN_TEXT, "abcdef", 6);
      for (size_t at = header + 1; at < n; ++at) {
        assert_ok(ws_conn_set_chunks(c, on));
        for (size_t i = 0; i < at; ++i) {
          peer_send(&p, wire + i, 1);
          run_for(b->loop, 1);
        }
        if (on) {
          char begun[16];
          snprintf(begun, sizeof begun, "(%.*s", (int)(at - header), "abcdef");
          wait_told(b, begun);
        }
        assert_ok(ws_conn_set_chunks(c, !on));
        peer_send(&p, wire + at, n - at);
        peer_send_text(&p, "next");
        expect_told(b, 2, on ? "(abcdef) [next] " : "[abcdef] (next) ");
      }
    }
    peer_drop(&p);
  }
}

static void test_chunks_switch_between_fragments_waits_for_the_next_message(void **state) {
  Both *b = *state;
  both_start(b);
  FOR_BOTH_ROLES(role) {
    Peer p;
    ws_conn *c = both_meet(b, role, &p, "");
    peer_send_frame(&p, PART_TEXT, "one ", 4);
    wait_told(b, "(one ");
    assert_ok(ws_conn_set_chunks(c, 0));
    peer_send_frame(&p, FIN_PING, "x", 1);
    peer_expect_frame(&p, FIN_PONG, "x", 1);
    peer_send_frame(&p, PART_LAST, "two", 3);
    expect_told(b, 1, "(one two) ");
    peer_send_frame(&p, PART_TEXT, "three ", 6);
    peer_send_frame(&p, FIN_PING, "y", 1);
    peer_expect_frame(&p, FIN_PONG, "y", 1); /* so the fragment before it was read */
    assert_string_equal(told, "");
    assert_ok(ws_conn_set_chunks(c, 1));
    peer_send_frame(&p, PART_LAST, "four", 4);
    expect_told(b, 1, "[three four] ");
    peer_drop(&p);
  }
}

static int mode;
static void alternate(ws_conn *c) { assert_ok(ws_conn_set_chunks(c, mode = !mode)); }

static void test_chunks_switch_inside_a_callback_acts_on_what_was_read_behind_it(void **state) {
  Both *b = *state;
  both_start(b);
  FOR_BOTH_ROLES(role) {
    Peer p;
    uint8_t wire[256];
    size_t n = 0;
    ws_conn *c = both_meet(b, role, &p, "");
    assert_ok(ws_conn_set_chunks(c, mode = 1));
    for (int i = 0; i < 6; ++i) {
      char name = (char)('a' + i);
      n += role == SERVER ? wire_client_frame(wire + n, FIN_TEXT, &name, 1)
                          : wire_server_frame(wire + n, FIN_TEXT, &name, 1);
    }
    inside = alternate;
    peer_send(&p, wire, n);
    /* A message of one byte is one part, so each ends in one callback. */
    expect_told(b, 6, "(a) [b] (c) [d] (e) [f] ");
    inside = NULL;
    peer_drop(&p);
  }
}

static void test_chunks_compressed_messages_switch_alike(void **state) {
  Both *b = *state;
  both_start(b);
  FOR_BOTH_ROLES(role) {
    Peer p;
    size_t n;
    uint8_t *zipped = zip("compressed text", 15, &n);
    assert_true(n > 4);
    ws_conn *c = both_meet(b, role, &p, NO_TAKEOVER);
    for (int on = 1; on >= 0; --on) {
      assert_ok(ws_conn_set_chunks(c, on));
      peer_send_frame(&p, ZIPPED_TEXT, zipped, n);
      expect_told(b, 1, on ? "(compressed text) " : "[compressed text] ");
      /* The switch comes when half of it is there. */
      peer_send_frame(&p, PART_TEXT | RSV1, zipped, n / 2);
      peer_send_frame(&p, FIN_PING, "x", 1);
      peer_expect_frame(&p, FIN_PONG, "x", 1);
      assert_ok(ws_conn_set_chunks(c, !on));
      peer_send_frame(&p, PART_LAST, zipped + n / 2, n - n / 2);
      peer_send_frame(&p, ZIPPED_TEXT, zipped, n);
      expect_told(
          b, 2,
          on ? "(compressed text) [compressed text] " : "[compressed text] (compressed text) ");
    }
    free(zipped);
    peer_drop(&p);
  }
}

static void keep_if_whole(ws_conn *c) {
  ws_message *m = NULL;
  if (mode) {
    assert_fails(WS_ERR_STATE, ws_conn_keep_message(c, &m));
    return;
  }
  assert_ok(ws_conn_keep_message(c, &m));
  ws_slice s = ws_message_data(m);
  assert_bytes(s.data, s.len, "onetwo", 6);
  ws_message_unref(m);
}

static void test_chunks_whole_messages_can_be_kept_and_parts_cannot(void **state) {
  Both *b = *state;
  both_start(b);
  FOR_BOTH_ROLES(role) {
    Peer p;
    ws_conn *c = both_meet(b, role, &p, "");
    inside = keep_if_whole;
    for (int on = 0; on <= 1; ++on) {
      assert_ok(ws_conn_set_chunks(c, mode = on));
      peer_send_frame(&p, PART_TEXT, "one", 3);
      peer_send_frame(&p, PART_LAST, "two", 3);
      expect_told(b, 1, on ? "(onetwo) " : "[onetwo] ");
    }
    inside = NULL;
    peer_drop(&p);
  }
}

static void test_chunks_without_the_callback_are_refused(void **state) {
  for (int on = 0; on <= 1; ++on) {
    Both *b = *state;
    if (on) {
      b->w.handlers.on_chunk = b->c.handlers.on_chunk = NULL;
    } else {
      b->w.handlers.on_message = b->c.handlers.on_message = NULL;
    }
    both_start(b);
    FOR_BOTH_ROLES(role) {
      Peer p;
      ws_conn *c = both_meet(b, role, &p, "");
      assert_fails(WS_ERR_INVALID, ws_conn_set_chunks(c, on));
      assert_detail_has(on ? "on_chunk" : "on_message");
      assert_ok(ws_conn_set_chunks(c, !on));
      peer_send_text(&p, "as before");
      expect_told(b, 1, on ? "[as before] " : "(as before) ");
      peer_drop(&p);
    }
    if (!on) {
      both_teardown(state);
      assert_int_equal(setup(state), 0);
    }
  }
}

static void test_chunks_after_the_end_are_closed(void **state) {
  Both *b = *state;
  both_start(b);
  FOR_BOTH_ROLES(role) {
    Peer p;
    ws_conn *c = ws_conn_ref(both_meet(b, role, &p, ""));
    const int *closed = role == SERVER ? &b->w.closed : &b->c.closed;
    const int before = *closed;
    assert_ok(ws_conn_close(c, 1000, NULL));
    assert_ok(ws_conn_set_chunks(c, 0)); /* not yet */
    ws_conn_abort(c);
    assert_fails(WS_ERR_CLOSED, ws_conn_set_chunks(c, 0));
    both_wait(b, closed, before + 1);
    assert_fails(WS_ERR_CLOSED, ws_conn_set_chunks(c, 1));
    ws_conn_unref(c);
    peer_drop(&p);
  }
}

int main(void) {
#define WITH_BOTH(f) cmocka_unit_test_setup_teardown(f, setup, both_teardown)
  const struct CMUnitTest tests[] = {
      WITH_BOTH(test_chunks_begin_as_the_handlers_say_and_can_be_switched),
      WITH_BOTH(test_chunks_message_that_has_begun_ends_as_it_began),
      WITH_BOTH(test_chunks_switch_between_fragments_waits_for_the_next_message),
      WITH_BOTH(test_chunks_switch_inside_a_callback_acts_on_what_was_read_behind_it),
      WITH_BOTH(test_chunks_compressed_messages_switch_alike),
      WITH_BOTH(test_chunks_whole_messages_can_be_kept_and_parts_cannot),
      WITH_BOTH(test_chunks_without_the_callback_are_refused),
      WITH_BOTH(test_chunks_after_the_end_are_closed),
  };
  return cmocka_run_group_tests_name("conn_chunks", tests, NULL, NULL);
}
