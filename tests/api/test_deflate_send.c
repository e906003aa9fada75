/*
 * Which messages are compressed and how: flags, levels and sizes, parts, and messages that many
 * connections send.
 */
#include "both.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

#define WITH_BOTH(f) cmocka_unit_test_setup_teardown(f, both_setup, both_teardown)
#define PMD "permessage-deflate"

static Both *fresh(void **state) {
  both_teardown(state);
  both_setup(state);
  return *state;
}

/* From fresh() or the setup to an open connection. */
static ws_conn *meet(Both *b, int role, Peer *p) {
  both_start(b);
  return both_meet(b, role, p, role == SERVER ? PMD : NO_TAKEOVER);
}

static void leave(Both *b, Peer *p) {
  peer_drop(p);
  both_wait(b, &b->w.closed, b->w.opened);
  both_wait(b, &b->c.closed, b->c.opened);
}

/* The next frame is this message, compressed or not; returns its payload's size. */
static size_t expect_sent(Peer *p, int compressed, const void *data, size_t len) {
  WireFrame f;
  peer_read_frame(p, &f);
  assert_int_equal(f.first, compressed ? ZIPPED_BINARY : FIN_BINARY);
  if (compressed) {
    expect_unzipped(&f, data, len);
  } else {
    assert_bytes(f.payload, f.len, data, len);
  }
  return f.len;
}

/* ---- sizes and content ---- */

static void test_send_shorter_than_deflate_min_bytes_is_sent_as_it_is(void **state) {
  static const struct {
    ws_deflate mode;
    uint64_t configured, least;
  } kRows[] = {
      {WS_DEFLATE_SHARED, 0, 256},
      {WS_DEFLATE_DEDICATED, 0, 32},
      {WS_DEFLATE_SHARED, 100, 100},
      {WS_DEFLATE_DEDICATED, 1000, 1000},
  };
  for (size_t i = 0; i < COUNT_OF(kRows); ++i) {
    for (int role = SERVER; role <= CLIENT; ++role) {
      Both *b = fresh(state);
      Peer p;
      both_limits(b, role)->deflate = kRows[i].mode;
      both_limits(b, role)->deflate_min_bytes = kRows[i].configured;
      both_limits(b, role)->deflate_window_bits = 15;
      both_start(b);
      const int dedicated = kRows[i].mode == WS_DEFLATE_DEDICATED;
      ws_conn *c = both_meet(b, role, &p, dedicated ? PMD : NO_TAKEOVER);
      char same[2000];
      memset(same, 'x', sizeof same);
      for (int off = -1; off <= 1; ++off) {
        WireFrame f;
        const size_t len = (size_t)kRows[i].least + (size_t)off;
        assert_ok(ws_conn_send(c, WS_OP_BINARY, same, len, 0));
        peer_read_frame(&p, &f);
        assert_int_equal(f.first, off < 0 ? FIN_BINARY : ZIPPED_BINARY);
      }
      leave(b, &p);
    }
  }
}

static void test_send_with_deflate_min_bytes_unlimited_never_compresses(void **state) {
  for (int role = SERVER; role <= CLIENT; ++role) {
    Both *b = fresh(state);
    Peer p;
    both_limits(b, role)->deflate_min_bytes = WS_UNLIMITED;
    ws_conn *c = meet(b, role, &p);
    char *json = some_json(5000, 1);
    assert_ok(ws_conn_send(c, WS_OP_BINARY, json, 5000, 0));
    expect_sent(&p, 0, json, 5000);
    assert_ok(ws_conn_send(c, WS_OP_BINARY, json, 5000, WS_SEND_DEFLATE));
    expect_sent(&p, 0, json, 5000);
    assert_ok(ws_conn_send_part(c, WS_OP_BINARY, json, 5000, 1));
    expect_sent(&p, 0, json, 5000);
    peer_send_frame(&p, ZIPPED_TEXT, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7); /* the peer does */
    both_wait(b, role == SERVER ? &b->w.messages : &b->c.messages, 1);
    assert_int_equal(loop_stats_of(b->loop).deflated, 0);
    assert_int_equal(loop_stats_of(b->loop).inflated, 1);
    free(json);
    leave(b, &p);
  }
}

/* req: 145, 156, 161 */
/* bad: 163 */
static void test_send_flags_choose_for_one_message(void **state) {
  for (int role = SERVER; role <= CLIENT; ++role) {
    Both *b = fresh(state);
    Peer p;
    ws_conn *c = meet(b, role, &p);
    char *json = some_json(5000, 1);
    uint8_t *noise = some_noise(5000, 1);
    assert_ok(ws_conn_send(c, WS_OP_BINARY, json, 5000, 0));
    assert_in_range(expect_sent(&p, 1, json, 5000), 100, 4000);
    assert_ok(ws_conn_send(c, WS_OP_BINARY, json, 5000, WS_SEND_NO_DEFLATE));
    expect_sent(&p, 0, json, 5000);
    assert_ok(ws_conn_send(c, WS_OP_BINARY, noise, 5000, 0));
    expect_sent(&p, 0, noise, 5000);
    assert_ok(ws_conn_send(c, WS_OP_BINARY, noise, 5000, WS_SEND_DEFLATE));
    assert_in_range(expect_sent(&p, 1, noise, 5000), 5000, 5100);
    for (size_t len = 0; len < 3; ++len) {
      assert_ok(ws_conn_send(c, WS_OP_BINARY, "ab", len, 0));
      expect_sent(&p, 0, "ab", len);
      assert_ok(ws_conn_send(c, WS_OP_BINARY, "ab", len, WS_SEND_DEFLATE | WS_SEND_LATER));
      const size_t wire = expect_sent(&p, 1, "ab", len);
      if (len == 0) assert_int_equal(wire, 1);
    }
    free(json);
    free(noise);
    leave(b, &p);
  }
}

static void test_send_level_is_of_one_message(void **state) {
  for (int role = SERVER; role <= CLIENT; ++role) {
    Both *b = fresh(state);
    Peer p;
    ws_conn *c = meet(b, role, &p);
    char *json = some_json(20000, 1);
    size_t size[10];
    for (uint32_t level = 0; level <= 9; ++level) {
      assert_ok(ws_conn_send(c, WS_OP_BINARY, json, 20000, WS_SEND_LEVEL(level)));
      size[level] = expect_sent(&p, 1, json, 20000);
    }
    assert_int_equal(size[0], size[1]); /* the default */
    assert_true(size[9] != size[1]);    /* which is smaller depends on the library */
    assert_ok(ws_conn_send(c, WS_OP_BINARY, json, 20000, 0));
    assert_int_equal(expect_sent(&p, 1, json, 20000), size[1]);
    assert_fails(WS_ERR_INVALID, ws_conn_send(c, WS_OP_BINARY, json, 20000, WS_SEND_LEVEL(10)));
    assert_fails(WS_ERR_INVALID,
                 ws_conn_send(c, WS_OP_BINARY, json, 20000, WS_SEND_DEFLATE | WS_SEND_NO_DEFLATE));
    assert_fails(WS_ERR_UNSUPPORTED, ws_conn_send(c, WS_OP_BINARY, json, 20000, 1u << 4));
    assert_fails(WS_ERR_UNSUPPORTED, ws_conn_send(c, WS_OP_BINARY, json, 20000, 1u << 12));
    peer_expect_quiet(&p);
    free(json);
    leave(b, &p);
  }
}

static void test_send_level_change_of_a_context_refers_to_nothing_before(void **state) {
  Both *b = *state;
  Peer p;
  b->w.limits.deflate = WS_DEFLATE_DEDICATED;
  both_start(b);
  ws_conn *c = both_meet(b, SERVER, &p, PMD);
  char *json = some_json(2000, 1);
  const uint32_t flags[] = {0, 0, WS_SEND_LEVEL(9), WS_SEND_LEVEL(9), 0, 0};
  for (size_t i = 0; i < COUNT_OF(flags); ++i) {
    WireFrame f;
    assert_ok(ws_conn_send(c, WS_OP_BINARY, json, 2000, flags[i]));
    peer_read_frame(&p, &f);
    assert_int_equal(f.first, ZIPPED_BINARY);
    if (i % 2 == 0) {
      expect_unzipped(&f, json, 2000);
    } else {
      assert_in_range(f.len, 1, 60);
    }
  }
  free(json);
  leave(b, &p);
}

/* What the other end must be told next. */
static const void *expected;
static size_t expected_len;

static void check_there(World *w, const char *event, ws_conn *c) {
  (void)c;
  w->log[0] = '\0';
  if (strcmp(event, "message") == 0) assert_bytes(w->data, w->len, expected, expected_len);
}

static void check_here(Caller *c, const char *event, ws_conn *conn) {
  (void)conn;
  c->log[0] = '\0';
  if (strcmp(event, "message") == 0) assert_bytes(c->data, c->len, expected, expected_len);
}

static void check_both(Both *b) {
  b->w.on = check_there;
  b->c.on = check_here;
}

/* ---- parts ---- */

/* `count` frames of one message; returns the payloads joined, to be freed. */
static uint8_t *read_parts(Peer *p, uint8_t first, int count, size_t *len) {
  uint8_t *all = NULL;
  *len = 0;
  for (int i = 0; i < count; ++i) {
    WireFrame f;
    peer_read_frame(p, &f);
    const int want = (i == 0 ? first : 0) | (i == count - 1 ? PART_LAST : 0);
    assert_int_equal(f.first, want);
    all = realloc(all, *len + f.len + 1);
    memcpy(all + *len, f.payload, f.len);
    *len += f.len;
  }
  return all;
}

/* req: 144, 146 */
static void test_begin_parts_flags_hold_for_one_message(void **state) {
  static const uint32_t kFlags[] = {
      0, WS_SEND_NO_DEFLATE, 0, WS_SEND_DEFLATE, WS_SEND_LEVEL(9), WS_SEND_LATER};
  for (int role = SERVER; role <= CLIENT; ++role) {
    Both *b = fresh(state);
    Peer p;
    ws_conn *c = meet(b, role, &p);
    char *json = some_json(3000, 1);
    for (size_t i = 0; i < COUNT_OF(kFlags); ++i) {
      size_t len = 0;
      const int plain = kFlags[i] == WS_SEND_NO_DEFLATE;
      assert_ok(ws_conn_begin_parts(c, WS_SEND_NO_DEFLATE)); /* the last one counts */
      assert_ok(ws_conn_begin_parts(c, kFlags[i]));
      assert_ok(ws_conn_send_part(c, WS_OP_BINARY, json, 1000, 0));
      assert_fails(WS_ERR_STATE, ws_conn_begin_parts(c, 0));
      assert_ok(ws_conn_send_part(c, WS_OP_BINARY, NULL, 0, 0));
      assert_ok(ws_conn_send_part(c, WS_OP_BINARY, json + 1000, 10, 0));
      assert_ok(ws_conn_send_part(c, WS_OP_BINARY, json + 1010, 1990, 1));
      uint8_t *wire = read_parts(&p, plain ? PART_BINARY : PART_BINARY | RSV1, 4, &len);
      if (plain) {
        assert_bytes(wire, len, json, 3000);
      } else {
        size_t plain_len = 0;
        uint8_t *got = unzip(wire, len, &plain_len);
        assert_bytes(got, plain_len, json, 3000);
        free(got);
      }
      free(wire);
      /* Forgotten. */
      assert_ok(ws_conn_send_part(c, WS_OP_BINARY, json, 1000, 1));
      expect_sent(&p, 1, json, 1000);
    }
    assert_fails(WS_ERR_UNSUPPORTED, ws_conn_begin_parts(c, 1u << 4));
    assert_fails(WS_ERR_INVALID, ws_conn_begin_parts(c, WS_SEND_LEVEL(10)));
    assert_fails(WS_ERR_INVALID, ws_conn_begin_parts(NULL, 0));
    ws_conn_ref(c);
    leave(b, &p);
    assert_fails(WS_ERR_CLOSED, ws_conn_begin_parts(c, 0));
    ws_conn_unref(c);
    free(json);
  }
}

static void test_parts_of_any_content_and_cut_arrive_at_the_other_end(void **state) {
  enum { MOST = 7 * 4096 };
  for (int mode = WS_DEFLATE_SHARED; mode <= WS_DEFLATE_DEDICATED; ++mode) {
    for (int role = SERVER; role <= CLIENT; ++role) {
      Both *b = fresh(state);
      b->w.limits.deflate = b->c.limits.deflate = (ws_deflate)mode;
      check_both(b);
      both_open(b);
      ws_conn *c = role == SERVER ? b->w.conn : b->c.conn;
      int *got = role == SERVER ? &b->c.messages : &b->w.messages;
      uint8_t *noise = some_noise(4096, 5);
      uint8_t *whole = malloc(MOST);
      char *json = some_json(4096, 2);
      uint32_t seed = 1;
      for (int round = 0; round < 50; ++round) {
        const int parts = round % 7 + 1;
        expected = whole;
        expected_len = 0;
        for (int i = 0; i < parts; ++i) {
          seed = seed * 1664525u + 1013904223u;
          const size_t len = seed >> 12 & 1 ? seed >> 20 : seed >> 26;
          uint8_t *part = whole + expected_len;
          memcpy(part, seed >> 13 & 1 ? (const void *)noise : json, len);
          expected_len += len;
          assert_true(ws_conn_send_part(c, WS_OP_BINARY, part, len, i == parts - 1) >= 0);
        }
        both_wait(b, got, 2 * round + 1);
        /* A whole one between, so that both use the context. */
        expected = json;
        expected_len = 1000;
        assert_ok(ws_conn_send(c, WS_OP_BINARY, json, 1000, 0));
        both_wait(b, got, 2 * round + 2);
      }
      assert_int_equal(b->w.closed + b->c.closed, 0);
      free(whole);
      free(noise);
      free(json);
    }
  }
}

/* ---- messages ---- */

static ws_message *make_message(const char *data, size_t len, uint32_t flags) {
  ws_message *m = NULL;
  assert_ok(ws_message_new(WS_OP_BINARY, data, len, &m));
  assert_ok(ws_message_set_flags(m, flags));
  return m;
}

static void test_message_flags_are_those_of_whoever_sends_it(void **state) {
  for (int role = SERVER; role <= CLIENT; ++role) {
    Both *b = fresh(state);
    Peer p;
    ws_conn *c = meet(b, role, &p);
    char *json = some_json(9000, 1);
    static const struct {
      uint32_t flags;
      size_t len;
      int compressed;
    } kRows[] = {
        {0, 9000, 1},
        {WS_SEND_NO_DEFLATE, 9000, 0},
        {0, 100, 0},
        {WS_SEND_DEFLATE, 100, 1},
        {WS_SEND_LEVEL(9), 9000, 1},
        {WS_SEND_DEFLATE | WS_SEND_LEVEL(1), 9000, 1},
    };
    size_t size[COUNT_OF(kRows)];
    for (size_t i = 0; i < COUNT_OF(kRows); ++i) {
      ws_message *m = make_message(json, kRows[i].len, kRows[i].flags);
      for (int times = 0; times < 2; ++times) {
        assert_ok(ws_conn_send_message(c, m));
        size[i] = expect_sent(&p, kRows[i].compressed, json, kRows[i].len);
      }
      ws_message_unref(m);
    }
    assert_true(size[4] != size[0]);
    assert_int_equal(size[5], size[0]);
    free(json);
    leave(b, &p);
  }
}

static void test_message_set_flags_takes_only_what_holds_for_all_who_send_it(void **state) {
  (void)state;
  ws_message *m = make_message("x", 1, 0);
  assert_ok(ws_message_set_flags(m, WS_SEND_LEVEL(9)));
  assert_ok(ws_message_set_flags(m, WS_SEND_LATER | WS_SEND_LEVEL(9)));
  assert_fails(WS_ERR_UNSUPPORTED, ws_message_set_flags(m, WS_SEND_NO_UTF8_CHECK));
  assert_fails(WS_ERR_UNSUPPORTED, ws_message_set_flags(m, 1u << 4));
  assert_fails(WS_ERR_INVALID, ws_message_set_flags(m, WS_SEND_LEVEL(10)));
  assert_fails(WS_ERR_INVALID, ws_message_set_flags(m, WS_SEND_DEFLATE | WS_SEND_NO_DEFLATE));
  assert_fails(WS_ERR_INVALID, ws_message_set_flags(NULL, 0));
  ws_message_unref(m);
}

enum { CROWD = 1000 };

static int crowd_number;

static void accept_some_dedicated(ws_request *r, void *user) {
  ws_accept how;
  (void)user;
  WS_INIT(&how);
  how.deflate = crowd_number++ % 16 < 8 ? WS_DEFLATE_SHARED : WS_DEFLATE_DEDICATED;
  assert_ok(ws_request_accept(r, &how));
}

static int send_to_one(ws_conn *c, void *arg) {
  assert_true(ws_conn_send_message(c, arg) >= 0);
  return 0;
}

/* Connects CROWD peers, every i-th with the (i % kinds)-th offer, sends them all a message twice,
 * and returns how often it was deflated. */
static uint64_t deflated_for_crowd(Both *b, const char *const *offers, size_t kinds) {
  struct rlimit files = {2 * CROWD + 64, 0};
  struct rlimit had;
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &had), 0);
  files.rlim_max = had.rlim_max;
  if (had.rlim_cur < files.rlim_cur) assert_int_equal(setrlimit(RLIMIT_NOFILE, &files), 0);
  Peer *peers = calloc(CROWD, sizeof *peers);
  char *json = some_json(1024, 1);
  ws_message *m = make_message(json, 1024, 0);
  for (size_t i = 0; i < CROWD; ++i) both_meet(b, SERVER, &peers[i], offers[i % kinds]);
  const uint64_t before = loop_stats_of(b->loop).deflated;
  assert_int_equal(ws_server_each(b->w.server, send_to_one, m), 0);
  assert_int_equal(ws_server_each(b->w.server, send_to_one, m), 0);
  const uint64_t deflated = loop_stats_of(b->loop).deflated - before;
  for (size_t i = 0; i < CROWD; ++i) {
    for (int times = 0; times < 2; ++times) {
      expect_sent(&peers[i], offers[i % kinds][0] != '\0', json, 1024);
    }
    peer_drop(&peers[i]);
  }
  both_wait(b, &b->w.closed, CROWD);
  ws_message_unref(m);
  free(json);
  free(peers);
  return deflated;
}

static void test_message_to_1000_connections_is_deflated_once(void **state) {
  static const char *const kOffers[] = {PMD, PMD "; client_max_window_bits"};
  static const ws_deflate kModes[] = {WS_DEFLATE_SHARED, WS_DEFLATE_DEDICATED};
  for (size_t m = 0; m < COUNT_OF(kModes); ++m) {
    Both *b = fresh(state);
    b->w.limits.deflate = kModes[m];
    both_start(b);
    assert_int_equal(deflated_for_crowd(b, kOffers, COUNT_OF(kOffers)), 1);
  }
}

static void test_message_to_mixed_windows_is_deflated_once_for_each(void **state) {
  static const char *const kOffers[] = {
      "",
      PMD "; server_max_window_bits=9",
      PMD "; server_max_window_bits=10",
      PMD "; server_max_window_bits=11",
      PMD "; server_max_window_bits=12",
      PMD "; server_max_window_bits=14",
      PMD "; server_max_window_bits=15",
      PMD,
  };
  Both *b = *state;
  b->w.config.on_request = accept_some_dedicated;
  both_start(b);
  crowd_number = 0;
  /* 9, 10, 11, 12, 14, 15; of the dedicated ones no window is larger than 12 */
  assert_int_equal(deflated_for_crowd(b, kOffers, COUNT_OF(kOffers)), 6);
}

/* A context forgets what the prepared message is not part of, on both ends. */
static void test_message_between_sends_of_a_context_decodes(void **state) {
  for (int role = SERVER; role <= CLIENT; ++role) {
    Both *b = fresh(state);
    b->w.limits.deflate = b->c.limits.deflate = WS_DEFLATE_DEDICATED;
    check_both(b);
    both_open(b);
    ws_conn *c = role == SERVER ? b->w.conn : b->c.conn;
    int *got = role == SERVER ? &b->c.messages : &b->w.messages;
    char *json = some_json(3000, 1);
    uint8_t *noise = some_noise(3000, 1);
    ws_message *m = make_message(json, 2000, 0);
    for (int i = 0; i < 40; ++i) {
      expected = i % 5 == 3 ? json : i % 5 == 4 ? (const char *)noise : json + i;
      expected_len = i % 5 == 3 ? 2000 : i % 5 == 4 ? 3000 : 1000;
      if (i % 5 == 3) {
        assert_ok(ws_conn_send_message(c, m));
      } else {
        const uint32_t flags = i % 10 == 9 ? WS_SEND_DEFLATE : 0;
        assert_ok(ws_conn_send(c, WS_OP_BINARY, expected, expected_len, flags));
      }
      both_wait(b, got, i + 1);
    }
    assert_int_equal(b->w.closed + b->c.closed, 0);
    ws_message_unref(m);
    free(json);
    free(noise);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_BOTH(test_send_shorter_than_deflate_min_bytes_is_sent_as_it_is),
      WITH_BOTH(test_send_with_deflate_min_bytes_unlimited_never_compresses),
      WITH_BOTH(test_send_flags_choose_for_one_message),
      WITH_BOTH(test_send_level_is_of_one_message),
      WITH_BOTH(test_send_level_change_of_a_context_refers_to_nothing_before),
      WITH_BOTH(test_begin_parts_flags_hold_for_one_message),
      WITH_BOTH(test_parts_of_any_content_and_cut_arrive_at_the_other_end),
      WITH_BOTH(test_message_flags_are_those_of_whoever_sends_it),
      cmocka_unit_test(test_message_set_flags_takes_only_what_holds_for_all_who_send_it),
      WITH_BOTH(test_message_to_1000_connections_is_deflated_once),
      WITH_BOTH(test_message_to_mixed_windows_is_deflated_once_for_each),
      WITH_BOTH(test_message_between_sends_of_a_context_decodes),
  };
  return cmocka_run_group_tests_name("deflate_send", tests, NULL, NULL);
}
