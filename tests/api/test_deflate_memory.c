/*
 * What permessage-deflate costs in memory: nothing for a connection in shared mode, a bounded and
 * counted amount in dedicated mode, given back when it is not used.
 */
#include "both.h"
#include "hook.h"

#include <stdlib.h>

#define WITH_BOTH(f) cmocka_unit_test_setup_teardown(f, both_setup, both_teardown)
#define DEDICATED_OFFER "permessage-deflate; client_max_window_bits"
#define DEDICATED_ANSWER "permessage-deflate; server_max_window_bits=12; client_max_window_bits=12"

enum { WINDOW = 4096 /* of 12 bits */, MOST_WINDOW = 32768 };

/* deflate_budget_bytes that one connection with default window and level asks for: the window and
 * chains, hash and output, zlib's state, and a peer's window that may be large. */
enum { ABOUT_NEED = 16384 + 16384 + 6144 + MOST_WINDOW };

static void prepare_dedicated(Both *b) {
  b->w.limits.deflate = b->c.limits.deflate = WS_DEFLATE_DEDICATED;
}

static ws_conn *meet_dedicated(Both *b, int role, Peer *p) {
  return both_meet(b, role, p, role == SERVER ? DEDICATED_OFFER : DEDICATED_ANSWER);
}

static uint64_t held(const Both *b) { return loop_stats_of(b->loop).deflate_bytes; }

static Both *fresh(void **state) {
  both_teardown(state);
  both_setup(state);
  return *state;
}

static void send_json(ws_conn *c, unsigned seed, size_t len) {
  char *json = some_json(len, seed);
  assert_true(ws_conn_send(c, WS_OP_TEXT, json, len, 0) >= 0);
  free(json);
}

static void leave(Both *b, Peer *p) {
  peer_drop(p);
  both_wait(b, &b->w.closed, b->w.opened);
  both_wait(b, &b->c.closed, b->c.opened);
}

/* ---- the budget ---- */

static int gets_takeover(void **state, uint64_t budget, Both **out, Peer *p) {
  Both *b = fresh(state);
  prepare_dedicated(b);
  b->w.loop_config.deflate_budget_bytes = budget;
  both_start(b);
  *out = b;
  const ws_deflate_info info = deflate_info_of(meet_dedicated(b, SERVER, p));
  assert_true(info.flags & WS_DEFLATE_AGREED);
  return (info.flags & WS_DEFLATE_SEND_TAKEOVER) != 0;
}

/* The least budget with which a server gives takeover. */
static uint64_t need_of_one(void **state) {
  uint64_t low = 1, high = 1 << 20;
  while (low < high) {
    const uint64_t middle = (low + high) / 2;
    Both *b;
    Peer p;
    if (gets_takeover(state, middle, &b, &p)) {
      high = middle;
    } else {
      low = middle + 1;
    }
    leave(b, &p);
  }
  return low;
}

static void test_deflate_budget_of_one_connection_is_what_it_takes(void **state) {
  const uint64_t need = need_of_one(state);
  assert_in_range(need, ABOUT_NEED, ABOUT_NEED + 512);
  for (int off = -1; off <= 1; ++off) {
    Both *b;
    Peer p;
    const int takeover = gets_takeover(state, need + (uint64_t)(int64_t)off, &b, &p);
    assert_int_equal(takeover, off >= 0);
    const ws_deflate_info info = deflate_info_of(b->w.conn);
    const uint32_t both_ways = WS_DEFLATE_SEND_TAKEOVER | WS_DEFLATE_RECV_TAKEOVER;
    assert_int_equal(info.flags & both_ways, off >= 0 ? both_ways : 0);
    assert_string_equal(both_agreed(b, SERVER),
                        off >= 0 ? "permessage-deflate; client_max_window_bits=12" : NO_TAKEOVER);
    assert_int_equal(held(b), off >= 0 ? WINDOW : 0);
    leave(b, &p);
    assert_int_equal(held(b), 0);
  }
}

static void test_deflate_budget_used_up_gives_new_connections_shared(void **state) {
  const uint64_t need = need_of_one(state);
  for (int off = -1; off <= 1; ++off) {
    Both *b;
    Peer first, second, third;
    assert_int_equal(gets_takeover(state, need + WINDOW + (uint64_t)(int64_t)off, &b, &first), 1);
    const ws_deflate_info info = deflate_info_of(meet_dedicated(b, SERVER, &second));
    assert_int_equal((info.flags & WS_DEFLATE_SEND_TAKEOVER) != 0, off >= 0);
    peer_drop(&second);
    leave(b, &first);
    assert_int_equal(held(b), 0);
    assert_true(deflate_info_of(meet_dedicated(b, SERVER, &third)).flags &
                WS_DEFLATE_SEND_TAKEOVER);
    leave(b, &third);
  }
}

/* Agreed on with room for it, but others are quicker to use it: compressors are the loop's then. */
static void test_deflate_budget_full_before_first_message_compresses_with_shared(void **state) {
  const uint64_t need = need_of_one(state);
  Both *b;
  Peer a, c;
  assert_int_equal(gets_takeover(state, need + WINDOW, &b, &a), 1);
  ws_conn *first = b->w.conn, *second = meet_dedicated(b, SERVER, &c);
  assert_true(deflate_info_of(second).flags & WS_DEFLATE_SEND_TAKEOVER);
  char *json = some_json(2000, 1);
  ws_conn *conns[] = {first, second};
  Peer *peers[] = {&a, &c};
  for (int i = 0; i < 2; ++i) {
    for (int times = 0; times < 2; ++times) {
      WireFrame f;
      assert_ok(ws_conn_send(conns[i], WS_OP_TEXT, json, 2000, 0));
      peer_read_frame(peers[i], &f);
      assert_int_equal(f.first, ZIPPED_TEXT);
      /* With a context of its own, the second is a few references to the first. */
      if (i == 0 && times == 1) assert_in_range(f.len, 1, 60);
      if (i == 1 || times == 0) expect_unzipped(&f, json, 2000);
    }
  }
  assert_true(deflate_info_of(first).context_bytes > 30000);
  assert_int_equal(deflate_info_of(second).context_bytes, 0);
  assert_in_range(held(b), 0, need + WINDOW);
  free(json);
  peer_drop(&c);
  leave(b, &a);
  assert_int_equal(held(b), 0);
}

/* However many begin at once. */
static void test_deflate_budget_of_clients_that_connect_at_once_is_kept(void **state) {
  enum { COUNT = 40 };
  const uint64_t budget = ABOUT_NEED + 1024;
  ws_client *clients[COUNT];
  if (faults_are_on()) skip(); /* an attempt may fail then */
  Both *b = fresh(state);
  prepare_dedicated(b);
  b->w.limits.deflate = WS_DEFLATE_OFF;
  b->w.loop_config.deflate_budget_bytes = budget;
  both_start(b);
  Target t;
  target_listen(&t, b->loop);
  caller_set_url(&b->c, "ws://127.0.0.1:%d/", t.port);
  for (int i = 0; i < COUNT; ++i) {
    assert_ok(ws_client_new(b->loop, &b->c.config, &clients[i]));
  }
  /* All have asked before the first is answered. */
  Peer peers[COUNT];
  char keys[COUNT][ACCEPT_CHARS + 1];
  int takeover[COUNT], takeovers = 0;
  for (int i = 0; i < COUNT; ++i) {
    target_take(&t, &peers[i]);
    memcpy(keys[i], t.accept, sizeof keys[i]);
    takeover[i] =
        strstr(target_field(&t, "Sec-WebSocket-Extensions"), "max_window_bits=12") != NULL;
    takeovers += takeover[i];
  }
  for (int i = 0; i < COUNT; ++i) {
    memcpy(t.accept, keys[i], sizeof keys[i]);
    target_switch(
        &t, &peers[i],
        takeover[i] ? DEFLATE_FIELD DEDICATED_ANSWER "\r\n" : DEFLATE_FIELD NO_TAKEOVER "\r\n");
  }
  both_wait(b, &b->c.opened, COUNT);
  assert_in_range(takeovers, 1, COUNT - 1);
  assert_in_range(held(b), WINDOW, budget);
  for (int i = 0; i < COUNT; ++i) {
    ws_client_free(clients[i]);
    peer_drop(&peers[i]);
  }
  both_wait(b, &b->c.closed, COUNT);
  assert_int_equal(held(b), 0);
  target_stop(&t);
}

/* ---- what dedicated connections hold ---- */

static void test_deflate_dedicated_contexts_are_made_by_first_use_and_counted(void **state) {
  for (int role = SERVER; role <= CLIENT; ++role) {
    Both *b = fresh(state);
    Peer p;
    WireFrame f;
    prepare_dedicated(b);
    both_start(b);
    ws_conn *c = meet_dedicated(b, role, &p);
    assert_int_equal(held(b), WINDOW); /* set aside, not taken */
    assert_int_equal(deflate_info_of(c).context_bytes, 0);
    const size_t before = hook_live();
    send_json(c, 1, 1000);
    peer_read_frame(&p, &f);
    assert_int_equal(f.first, ZIPPED_TEXT);
    const ws_deflate_info info = deflate_info_of(c);
    const uint64_t compressor = held(b) - WINDOW;
    assert_in_range(compressor, ABOUT_NEED - MOST_WINDOW - 512, ABOUT_NEED - MOST_WINDOW + 512);
    assert_int_equal(info.context_bytes, compressor);
    /* What is counted is what was taken, but for the loop's blocks. */
    assert_in_range(hook_live() - before, compressor, compressor + 4096);
    leave(b, &p);
    assert_int_equal(held(b), 0);
  }
}

static void test_deflate_idle_compressor_is_freed_and_context_begins_anew(void **state) {
  for (int role = SERVER; role <= CLIENT; ++role) {
    for (int keepalive = 0; keepalive < 2; ++keepalive) {
      Both *b = fresh(state);
      Peer p;
      WireFrame f;
      prepare_dedicated(b);
      ws_conn_config *limits = both_limits(b, role);
      limits->deflate_idle_ms = 300;
      if (!keepalive) {
        limits->idle_timeout_ms = limits->ping_interval_ms = limits->send_timeout_ms = WS_NEVER;
        limits->handshake_timeout_ms = limits->close_timeout_ms = WS_NEVER;
      }
      both_start(b);
      ws_conn *c = meet_dedicated(b, role, &p);
      char *json = some_json(2000, 7);
      size_t first = 0;
      for (int round = 0; round < 2; ++round) {
        assert_ok(ws_conn_send(c, WS_OP_TEXT, json, 2000, 0));
        assert_true(held(b) > WINDOW);
        peer_read_frame(&p, &f);
        assert_int_equal(f.first, ZIPPED_TEXT);
        expect_unzipped(&f, json, 2000);
        if (round == 0) first = f.len;
        assert_int_equal(f.len, first);
        const uint64_t end = clock_ms() + PATIENCE_MS;
        while (held(b) != WINDOW) {
          if (clock_ms() > end) fail_msg("still %llu bytes", (unsigned long long)held(b));
          ws_loop_dispatch(b->loop, 5);
        }
        assert_int_equal(deflate_info_of(c).context_bytes, 0);
      }
      free(json);
      leave(b, &p);
    }
  }
}

static void test_deflate_idle_never_keeps_the_compressor(void **state) {
  Both *b = *state;
  Peer p;
  WireFrame f;
  prepare_dedicated(b);
  b->w.limits.deflate_idle_ms = WS_NEVER;
  both_start(b);
  ws_conn *c = meet_dedicated(b, SERVER, &p);
  send_json(c, 1, 1000);
  peer_read_frame(&p, &f);
  run_for(b->loop, 50);
  assert_true(held(b) > WINDOW);
  leave(b, &p);
}

/* ---- shared mode ---- */

enum { FEW = 20, MANY = 120 };

/* Bytes that `count` connections hold which have sent and received. */
static size_t idle_bytes(void **state, int role, ws_deflate mode, int count) {
  static Peer peers[MANY];
  static ws_client *clients[MANY];
  Both *b = fresh(state);
  ws_conn_config *limits = both_limits(b, role);
  limits->deflate = mode;
  limits->idle_timeout_ms = limits->ping_interval_ms = WS_NEVER;
  both_start(b);
  const char *extension = mode == WS_DEFLATE_OFF ? "" : NO_TAKEOVER;
  char *json = some_json(1000, 1);
  size_t zipped = 0;
  uint8_t *payload = zip(json, 1000, &zipped);
  for (int i = 0; i < count; ++i) {
    WireFrame f;
    ws_conn *c = both_meet(b, role, &peers[i], extension);
    clients[i] = b->c.client;
    b->c.client = NULL;
    const int before = role == SERVER ? b->w.messages : b->c.messages;
    if (mode == WS_DEFLATE_OFF) {
      peer_send_frame(&peers[i], FIN_TEXT, json, 1000);
    } else {
      peer_send_frame(&peers[i], ZIPPED_TEXT, payload, zipped);
    }
    assert_ok(ws_conn_send(c, WS_OP_TEXT, json, 1000, 0));
    peer_read_frame(&peers[i], &f);
    assert_int_equal(f.first, mode == WS_DEFLATE_OFF ? FIN_TEXT : ZIPPED_TEXT);
    both_wait(b, role == SERVER ? &b->w.messages : &b->c.messages, before + 1);
    assert_int_equal(deflate_info_of(c).context_bytes, 0);
  }
  const size_t bytes = hook_live();
  for (int i = 0; i < count; ++i) {
    if (clients[i] != NULL) ws_client_free(clients[i]);
    clients[i] = NULL;
    peer_drop(&peers[i]);
  }
  both_wait(b, &b->w.closed, b->w.opened);
  both_wait(b, &b->c.closed, b->c.opened);
  free(json);
  free(payload);
  return bytes;
}

/* bad: 164 */
static void test_deflate_shared_connection_costs_no_byte_over_a_plain_one(void **state) {
  if (faults_are_on()) skip(); /* what the loop keeps depends on them */
  for (int role = SERVER; role <= CLIENT; ++role) {
    const size_t plain = idle_bytes(state, role, WS_DEFLATE_OFF, MANY) -
                         idle_bytes(state, role, WS_DEFLATE_OFF, FEW);
    const size_t shared = idle_bytes(state, role, WS_DEFLATE_SHARED, MANY) -
                          idle_bytes(state, role, WS_DEFLATE_SHARED, FEW);
    print_message("%s: %zu bytes an idle connection\n", role == SERVER ? "server" : "client",
                  plain / (MANY - FEW));
    assert_int_equal(shared, plain);
    assert_in_range(plain / (MANY - FEW), 200, 8192);
  }
}

/* ---- messages of any size ---- */

typedef struct Stream {
  uint64_t to_send, sent, received;
  int first, last, wrong;
} Stream;

enum { PART = 64 * 1024 };
static char *stream_part; /* every part is this */

static void stream_on(ws_conn *c, Stream *s) {
  while (s->sent < s->to_send) {
    s->sent += PART;
    const int rc = ws_conn_send_part(c, WS_OP_TEXT, stream_part, PART, s->sent == s->to_send);
    assert_true(rc >= 0);
    if (rc == WS_BACKPRESSURE) return;
  }
}

static Stream *stream; /* of the test that runs */

static void on_chunk(ws_conn *c, ws_opcode op, uint32_t flags, const void *data, size_t len,
                     void *user) {
  Stream *s = stream;
  const char *from = data;
  (void)c, (void)op, (void)user;
  s->first += (flags & WS_PART_FIRST) != 0;
  s->last += (flags & WS_PART_LAST) != 0;
  for (size_t done = 0; done < len;) {
    const size_t at = (size_t)((s->received + done) % PART);
    const size_t n = len - done < PART - at ? len - done : PART - at;
    s->wrong += memcmp(from + done, stream_part + at, n) != 0;
    done += n;
  }
  s->received += len;
}

static void on_drain(ws_conn *c, void *user) {
  (void)user;
  stream_on(c, stream);
}

static void test_deflate_64_mib_in_parts_take_bounded_memory_on_both_ends(void **state) {
  static const ws_deflate kModes[] = {WS_DEFLATE_SHARED, WS_DEFLATE_DEDICATED};
  stream_part = some_json(PART, 3);
  for (int role = SERVER; role <= CLIENT; ++role) {
    for (size_t m = 0; m < COUNT_OF(kModes); ++m) {
      Both *b = fresh(state);
      Stream s = {(uint64_t)64 << 20, 0, 0, 0, 0, 0};
      stream = &s;
      b->w.limits.deflate = b->c.limits.deflate = kModes[m];
      b->w.limits.max_message_bytes = b->c.limits.max_message_bytes = WS_UNLIMITED;
      b->w.handlers.on_chunk = b->c.handlers.on_chunk = on_chunk;
      b->w.handlers.on_drain = b->c.handlers.on_drain = on_drain;
      both_open(b);
      const size_t live = hook_live();
      hook_reset_most();
      rss_reset_most();
      const size_t rss = rss_most();
      ws_conn *c = role == SERVER ? b->w.conn : b->c.conn;
      ws_conn *other = role == SERVER ? b->c.conn : b->w.conn;
      stream_on(c, &s);
      const uint64_t end = clock_ms() + 6 * PATIENCE_MS;
      while (s.last == 0) {
        if (clock_ms() > end) fail_msg("%llu bytes came", (unsigned long long)s.received);
        assert_true(ws_loop_dispatch(b->loop, 5) >= 0);
      }
      assert_true(s.received == s.to_send);
      assert_int_equal(s.first, 1);
      assert_int_equal(s.wrong, 0);
      assert_in_range(hook_most() - live, 0, (size_t)2 << 20);
      const size_t most = rss_most();
      assert_in_range(most > rss ? most - rss : 0, 0, (size_t)4 << 20);
      const ws_deflate_info from = deflate_info_of(c), to = deflate_info_of(other);
      assert_true(from.sent_plain_bytes == s.to_send && to.received_plain_bytes == s.to_send);
      assert_true(from.sent_wire_bytes == to.received_wire_bytes);
      assert_in_range(from.sent_wire_bytes, 1 << 20, 32 << 20);
      assert_int_equal(loop_stats_of(b->loop).deflated, 1);
      assert_int_equal(loop_stats_of(b->loop).inflated, 1);
      both_leave(b);
    }
  }
  free(stream_part);
}

/* ---- the engine that stands alone ---- */

static void test_engine_gives_its_streams_back_after_deflate_idle_ms(void **state) {
  (void)state;
  FOR_BOTH_ROLES(role) {
    Side s;
    side_prepare(&s, role);
    s.limits.deflate = WS_DEFLATE_SHARED;
    s.limits.deflate_idle_ms = 700;
    s.limits.idle_timeout_ms = s.limits.ping_interval_ms = WS_NEVER;
    side_start(&s);
    if (role == SERVER) {
      side_say(&s, WIRE_OPEN("/", DEFLATE_FIELD "permessage-deflate\r\n"));
      side_expect(&s, "request open ");
    } else {
      side_say(&s,
               "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
               "Connection: Upgrade\r\nSec-WebSocket-Accept: " SAMPLE_ACCEPT
               "\r\n" DEFLATE_FIELD NO_TAKEOVER "\r\n\r\n");
      side_expect(&s, "open ");
    }
    side_take_output(&s);
    s.sent_taken = s.sent_len;
    const size_t before = hook_live();
    assert_true(ws_engine_deadline(s.e) == UINT64_MAX);
    for (int round = 0; round < 2; ++round) {
      const uint64_t now = s.now;
      side_frame(&s, ZIPPED_TEXT, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
      side_expect(&s, "text:Hello ");
      char *json = some_json(1000, 1);
      assert_ok(ws_engine_send(s.e, WS_OP_TEXT, json, 1000, 0));
      side_take_output(&s);
      s.sent_taken = s.sent_len;
      free(json);
      assert_in_range(hook_live() - before, 100 * 1024, 400 * 1024 + 16 * 1024);
      assert_true(ws_engine_deadline(s.e) == now + 700);
      side_tick(&s, now + 699);
      assert_in_range(hook_live() - before, 100 * 1024, 400 * 1024 + 16 * 1024);
      side_tick(&s, now + 700);
      assert_in_range(hook_live() - before, 0, 9 * 1024); /* blocks for the next message */
      assert_true(ws_engine_deadline(s.e) == UINT64_MAX);
    }
    side_free(&s);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_BOTH(test_deflate_budget_of_one_connection_is_what_it_takes),
      WITH_BOTH(test_deflate_budget_used_up_gives_new_connections_shared),
      WITH_BOTH(test_deflate_budget_full_before_first_message_compresses_with_shared),
      WITH_BOTH(test_deflate_budget_of_clients_that_connect_at_once_is_kept),
      WITH_BOTH(test_deflate_dedicated_contexts_are_made_by_first_use_and_counted),
      WITH_BOTH(test_deflate_idle_compressor_is_freed_and_context_begins_anew),
      WITH_BOTH(test_deflate_idle_never_keeps_the_compressor),
      WITH_BOTH(test_deflate_shared_connection_costs_no_byte_over_a_plain_one),
      WITH_BOTH(test_deflate_64_mib_in_parts_take_bounded_memory_on_both_ends),
      cmocka_unit_test(test_engine_gives_its_streams_back_after_deflate_idle_ms),
  };
  return cmocka_run_group_tests_name("deflate_memory", tests, hook_set, NULL);
}
