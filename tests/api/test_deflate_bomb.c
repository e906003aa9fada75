/*
 * A message that is small on the wire and large or costly inside takes no more memory than a
 * message may have, and no more of a turn than others can spare.  Peers speak, so what they send
 * is not what libws would.
 */
#include "both.h"
#include "hook.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#define WITH_BOTH(f) cmocka_unit_test_setup_teardown(f, both_setup, both_teardown)

#define GIB ((uint64_t)1 << 30)
#define MIB ((size_t)1 << 20)

/* conn_read.cpp: what a connection may decompress before others get their turn, and a step. */
enum { INFLATED_AT_ONCE = 768 * 1024, STEP = 64 * 1024 + 64, WINDOW = 32768 };
/* A connection can be looked at twice in a turn: when its bytes come, and again behind the others.
 */
enum { INFLATED_PER_TURN = 2 * (INFLATED_AT_ONCE + STEP) };

/* ---- what is sent ---- */

typedef struct Bytes {
  uint8_t *data;
  size_t len, room;
} Bytes;

static void put(Bytes *b, const void *data, size_t len) {
  if (b->room - b->len < len) {
    b->room = b->room * 2 + len;
    b->data = realloc(b->data, b->room);
    assert_non_null(b->data);
  }
  memcpy(b->data + b->len, data, len);
  b->len += len;
}

/* To the last whole pattern within `total`. */
static Bytes repeated(const void *pattern, size_t len, size_t total) {
  Bytes b = {NULL, 0, 0};
  while (b.len + len <= total) put(&b, pattern, len);
  return b;
}

/* Zeros as one message, without the last four bytes; `len` in pieces of 16 MiB, which are the
 * same. */
static Bytes zeros_deflated(uint64_t len) {
  const size_t piece = 16 * MIB;
  size_t one = 0;
  uint8_t *zeros = calloc(1, piece), *zipped = zip(zeros, piece, &one);
  one += 4; /* and those it has */
  uint8_t *whole = malloc(one);
  memcpy(whole, zipped, one - 4);
  memcpy(whole + one - 4, "\x00\x00\xff\xff", 4);
  Bytes b = repeated(whole, one, one * (size_t)(len / piece));
  b.len -= 4;
  free(zeros);
  free(zipped);
  free(whole);
  return b;
}

/* DEFLATE's bits, least significant first. */
typedef struct Bits {
  Bytes bytes;
  uint32_t waiting;
  int count;
} Bits;

static void put_bits(Bits *b, uint32_t value, int count) {
  b->waiting |= value << b->count;
  b->count += count;
  while (b->count >= 8) {
    const uint8_t byte = (uint8_t)b->waiting;
    put(&b->bytes, &byte, 1);
    b->waiting >>= 8;
    b->count -= 8;
  }
}

/* RFC 1951 3.2.7: where each length code's length stands, and a code, reversed. */
static const int kOrder[] = {16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15};

static void put_block_start(Bits *b, int literals, int distances, const int *length_of,
                            int orders) {
  put_bits(b, 2 << 1, 3); /* dynamic, not the last */
  put_bits(b, (uint32_t)(literals - 257), 5);
  put_bits(b, (uint32_t)(distances - 1), 5);
  put_bits(b, (uint32_t)(orders - 4), 4);
  for (int i = 0; i < orders; ++i) put_bits(b, (uint32_t)length_of[kOrder[i]], 3);
}

/* A block of 12 bytes that holds nothing: two tables, and the end. */
static void put_sparse_block(Bits *b) {
  /* codes: 18 is 0; 0 is 10; 1 is 11 */
  static const int length_of[19] = {[18] = 1, [0] = 2, [1] = 2};
  put_block_start(b, 257, 1, length_of, 18);
  put_bits(b, 0, 1), put_bits(b, 138 - 11, 7);
  put_bits(b, 0, 1), put_bits(b, 118 - 11, 7);
  put_bits(b, 3, 2); /* the end of the block has one bit */
  put_bits(b, 1, 2); /* there are no distances */
  put_bits(b, 0, 1); /* the end */
}

/* The same number of the code 16, "as before", repeats in one bit and two. */
static void put_as_before(Bits *b, int times) {
  while (times != 0) {
    int n = times < 6 ? times : 6;
    if (times - n != 0 && times - n < 3) n = times - 3;
    put_bits(b, 0, 1);
    put_bits(b, (uint32_t)(n - 3), 2);
    times -= n;
  }
}

/* A block of 30 bytes that holds nothing, with the largest tables there are. */
static void put_dense_block(Bits *b) {
  /* codes: 16 is 0; 4 is 100, 5 is 101, 8 is 110, 9 is 111; bits of a code come first to last */
  static const int length_of[19] = {[16] = 1, [4] = 3, [5] = 3, [8] = 3, [9] = 3};
  put_block_start(b, 286, 30, length_of, 12);
  put_bits(b, 3, 3), put_as_before(b, 225); /* 226 of 8 bits and 60 of 9 */
  put_bits(b, 7, 3), put_as_before(b, 59);
  put_bits(b, 1, 3), put_bits(b, 1, 3);
  put_bits(b, 5, 3), put_as_before(b, 27);
  /* the end is number 256 of 286: the 31st of 9 bits, which begin at 226 * 2 */
  const uint32_t code = 226 * 2 + 30;
  for (int bit = 8; bit >= 0; --bit) put_bits(b, code >> bit & 1, 1);
}

static Bytes blocks(void (*put_block)(Bits *b), size_t total) {
  Bits b = {{NULL, 0, 0}, 0, 0};
  while (b.bytes.len < total) put_block(&b);
  /* What follows on the wire ends the message: an empty stored block. */
  put_bits(&b, 0, 3);
  if (b.count != 0) put_bits(&b, 0, 8 - b.count);
  return b.bytes;
}

/* As one message of the peer's, in frames of `piece` bytes; takes `payload`. */
static Bytes framed_by(const Peer *p, Bytes payload, size_t piece) {
  Bytes b = {NULL, 0, 0};
  uint8_t *frame = malloc(piece + WIRE_OVERHEAD);
  for (size_t at = 0; at < payload.len; at += piece) {
    const size_t n = payload.len - at < piece ? payload.len - at : piece;
    const int first = (at == 0 ? PART_BINARY | RSV1 : 0) | (at + n == payload.len ? PART_LAST : 0);
    put(&b, frame,
        (p->is_server ? wire_server_frame : wire_client_frame)(frame, (uint8_t)first,
                                                               payload.data + at, n));
  }
  free(frame);
  free(payload.data);
  return b;
}

static Bytes framed(const Peer *p, Bytes payload) { return framed_by(p, payload, payload.len); }

/* ---- the run: one connection is sent that, another one echoes ---- */

typedef struct Run {
  Both *b;
  int role;
  Peer attacker, other;
  ws_conn *victim;
  uint64_t delivered; /* to the victim's on_chunk or on_message */
  uint64_t most_in_turn;
  int ended; /* chunks: the last one came */
  int nonzero;
  int turns, slowest_turns; /* until an echo was there */
  uint64_t slowest_us, longest_turn_us, longest_turn_cpu_us, cpu_us;
  int echoes;
} Run;

static Run *run_of_test;

static uint64_t clock_us(clockid_t clock) {
  struct timespec now;
  clock_gettime(clock, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static void take(ws_conn *c, uint32_t flags, const void *data, size_t len) {
  Run *r = run_of_test;
  if (c != r->victim) {
    if ((flags & WS_PART_LAST) != 0) assert_ok(ws_conn_send(c, WS_OP_TEXT, "you too", 7, 0));
    return;
  }
  r->delivered += len;
  if (len != 0 && (((const char *)data)[0] != 0 || ((const char *)data)[len - 1] != 0)) {
    r->nonzero = 1;
  }
  if ((flags & WS_PART_LAST) != 0) r->ended = 1;
}

static void on_chunk(ws_conn *c, ws_opcode op, uint32_t flags, const void *data, size_t len,
                     void *user) {
  (void)op, (void)user;
  take(c, flags, data, len);
}

static void on_message(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  (void)op, (void)user;
  take(c, WS_PART_LAST, data, len);
}

static void run_prepare(Run *r, Both *b, int role, int chunks, uint64_t max_message_bytes) {
  memset(r, 0, sizeof *r);
  run_of_test = r;
  r->b = b;
  r->role = role;
  ws_handlers *handlers[] = {&b->w.handlers, &b->c.handlers};
  for (size_t i = 0; i < COUNT_OF(handlers); ++i) {
    handlers[i]->on_message = on_message;
    if (chunks) handlers[i]->on_chunk = on_chunk;
  }
  both_limits(b, role)->max_message_bytes = max_message_bytes;
  both_start(b);
  both_meet(b, SERVER, &r->other, "");
  r->victim = both_meet(b, role, &r->attacker, role == CLIENT ? NO_TAKEOVER : "permessage-deflate");
  /* Once, so that what the loop keeps is there. */
  peer_send_frame(&r->attacker, ZIPPED_TEXT, "\xf2\x48\xcd\xc9\xc9\x07\x00", 7);
  peer_send_text(&r->other, "hello");
  peer_expect_text(&r->other, "you too");
  for (int i = 0; i < 1000 && r->delivered < 5; ++i) ws_loop_dispatch(b->loop, 1);
  if (r->delivered != 5) fail_msg("server: %s(%s); client: %s", b->w.log, b->w.detail, b->c.log);
  assert_int_equal(deflate_info_of(r->victim).flags, WS_DEFLATE_AGREED);
  r->delivered = 0;
  r->ended = r->nonzero = 0;
}

/* What the kernel takes of it. */
static size_t push(Peer *p, const uint8_t *data, size_t len) {
  const ssize_t n = send(p->fd, data, len, MSG_NOSIGNAL | MSG_DONTWAIT);
  if (n >= 0) return (size_t)n;
  if (errno != EAGAIN && errno != EPIPE && errno != ECONNRESET) fail_msg("%s", strerror(errno));
  return errno == EAGAIN ? 0 : len;
}

static int got_echo(Peer *p) {
  uint8_t in[64];
  WireFrame f;
  const ssize_t n = recv(p->fd, in, sizeof in, MSG_PEEK | MSG_DONTWAIT);
  if (n <= 0 || !wire_parse(in, (size_t)n, &f)) return 0;
  peer_expect_text(p, "you too");
  return 1;
}

/* Sends `attack` while the other one echoes, until the victim has closed or its message ended. */
static void run_attack(Run *r, Bytes attack) {
  const uint64_t end = clock_ms() + 60000;
  size_t sent = 0;
  uint64_t asked_us = 0;
  int asked_turn = 0;
  const int *closed = r->role == SERVER ? &r->b->w.closed : &r->b->c.closed;
  (void)loop_stats_of(r->b->loop);
  while (*closed == 0 && !r->ended) {
    if (clock_ms() > end) fail_msg("%llu delivered", (unsigned long long)r->delivered);
    if (sent < attack.len) sent += push(&r->attacker, attack.data + sent, attack.len - sent);
    if (asked_us == 0) {
      asked_us = clock_us(CLOCK_MONOTONIC);
      asked_turn = r->turns;
      peer_send_text(&r->other, "me too");
    }
    const uint64_t before = r->delivered, cpu_us = clock_us(CLOCK_THREAD_CPUTIME_ID);
    assert_true(ws_loop_dispatch(r->b->loop, 1) >= 0);
    const uint64_t turn_us = clock_us(CLOCK_THREAD_CPUTIME_ID) - cpu_us;
    ++r->turns;
    if (turn_us > r->longest_turn_cpu_us) r->longest_turn_cpu_us = turn_us;
    r->cpu_us += turn_us;
    if (r->delivered - before > r->most_in_turn) r->most_in_turn = r->delivered - before;
    if (!got_echo(&r->other)) continue;
    const uint64_t us = clock_us(CLOCK_MONOTONIC) - asked_us;
    if (us > r->slowest_us) r->slowest_us = us;
    if (r->turns - asked_turn > r->slowest_turns) r->slowest_turns = r->turns - asked_turn;
    asked_us = 0;
    ++r->echoes;
  }
  if (asked_us != 0) peer_expect_text(&r->other, "you too");
  r->longest_turn_us = loop_stats_of(r->b->loop).longest_turn_us;
  free(attack.data);
}

static void run_report(const Run *r, const char *what) {
  print_message(
      "%s, %s: %d turns, %llu us of CPU, longest %llu (%llu by the clock), %d echoes, "
      "slowest after %llu us and %d turns, at most %llu bytes a turn\n",
      r->role == SERVER ? "server" : "client", what, r->turns, (unsigned long long)r->cpu_us,
      (unsigned long long)r->longest_turn_cpu_us, (unsigned long long)r->longest_turn_us, r->echoes,
      (unsigned long long)r->slowest_us, r->slowest_turns, (unsigned long long)r->most_in_turn);
}

/* Others were served meanwhile. */
static void run_expect_fair(const Run *r) {
  assert_in_range(r->most_in_turn, 0, INFLATED_PER_TURN);
  if (faults_are_on()) return; /* then an echo may take any number of turns */
  assert_in_range(r->slowest_turns, 0, 4);
  assert_in_range(r->echoes, r->turns / 5, r->turns);
}

static void run_leave(Run *r) {
  peer_drop(&r->attacker);
  peer_drop(&r->other);
  both_wait(r->b, &r->b->w.closed, r->b->w.opened);
  both_wait(r->b, &r->b->c.closed, r->b->c.opened);
}

/* ---- memory ---- */

typedef struct Memory {
  size_t live, rss;
} Memory;

static Memory memory_before(void) {
  rss_reset_most();
  hook_reset_most();
  return (Memory){hook_live(), rss_most()};
}

static void expect_memory_within(Memory before, size_t more, const char *what) {
  const size_t live = hook_most() - before.live;
  const size_t most = rss_most(), rss = most > before.rss ? most - before.rss : 0;
  print_message("%s: %zu KiB more through the hook, %zu KiB more resident\n", what, live >> 10,
                rss >> 10);
  assert_in_range(live, 0, more);
  assert_in_range(rss, 0, 4 * MIB);
}

/* ---- tests ---- */

/* req: 161 */
/* bad: 141 */
static void test_bomb_of_1_gib_is_1009_with_defaults(void **state) {
  for (int role = SERVER; role <= CLIENT; ++role) {
    Run r;
    if (role == CLIENT) both_teardown(state), both_setup(state);
    run_prepare(&r, *state, role, 0, 0);
    Bytes attack = framed(&r.attacker, zeros_deflated(GIB));
    /* It must pass as a frame. */
    assert_in_range(attack.len, MIB / 2, MIB + 1000);
    const Memory before = memory_before();
    run_attack(&r, attack);
    expect_memory_within(before, 3 * MIB, "1 GiB, whole");
    run_report(&r, "1 GiB of zeros, whole");
    peer_expect_close(&r.attacker, 1009);
    const ws_close_info *how = role == SERVER ? &r.b->w.how : &r.b->c.how;
    assert_int_equal(how->error, WS_ERR_TOO_BIG);
    assert_int_equal(how->sent_code, 1009);
    assert_int_equal(r.delivered, 0);
    run_expect_fair(&r);
    run_leave(&r);
    assert_in_range(hook_live(), 0, before.live + MIB);
  }
}

/* bad: 141 */
static void test_bomb_of_1_gib_in_chunks_is_delivered_in_bounded_memory(void **state) {
  for (int role = SERVER; role <= CLIENT; ++role) {
    Run r;
    if (role == CLIENT) both_teardown(state), both_setup(state);
    run_prepare(&r, *state, role, 1, WS_UNLIMITED);
    Bytes attack = framed(&r.attacker, zeros_deflated(GIB));
    const Memory before = memory_before();
    run_attack(&r, attack);
    expect_memory_within(before, MIB, "1 GiB, chunks");
    run_report(&r, "1 GiB of zeros, in chunks");
    assert_true(r.delivered == GIB);
    assert_int_equal(r.nonzero, 0);
    run_expect_fair(&r);
    const ws_deflate_info info = deflate_info_of(r.victim);
    assert_true(info.received_plain_bytes == GIB + 5);
    assert_in_range(info.received_wire_bytes, MIB / 2, 2 * MIB);
    assert_int_equal(info.context_bytes, 0);
    run_leave(&r);
  }
}

/* bad: 142 */
static void test_bomb_in_1000_frames_is_1009(void **state) {
  Run r;
  run_prepare(&r, *state, SERVER, 0, 0);
  Bytes whole = zeros_deflated(GIB);
  const size_t piece = whole.len / 1000 + 1;
  Bytes attack = framed_by(&r.attacker, whole, piece);
  const Memory before = memory_before();
  run_attack(&r, attack);
  expect_memory_within(before, 3 * MIB, "1 GiB, 1000 frames");
  peer_expect_close(&r.attacker, 1009);
  run_expect_fair(&r);
  run_leave(&r);
}

typedef struct Spam {
  const char *name;
  Bytes (*make)(void);
  size_t inside; /* bytes */
  int by_byte;   /* each in a frame of its own */
} Spam;

static Bytes final_blocks(void) { return repeated("\x03\x00", 2, MIB); }
/* What each of them keeps is largest when there is a whole window. */
static Bytes final_blocks_late(void) {
  Bytes b = {NULL, 0, 0};
  size_t len = 0;
  uint8_t *zeros = calloc(1, WINDOW), *zipped = zip(zeros, WINDOW, &len);
  put(&b, zipped, len);
  put(&b, "\x00\x00\xff\xff", 4);
  for (size_t i = 0; i < MIB / 8; ++i) put(&b, "\x03\x00", 2);
  free(zeros);
  free(zipped);
  return b;
}
static Bytes stored_blocks(void) {
  Bytes b = repeated("\x00\x00\x00\xff\xff", 5, MIB);
  b.len -= 4; /* which the receiver puts back */
  return b;
}
static Bytes sparse_blocks(void) { return blocks(put_sparse_block, MIB); }
static Bytes dense_blocks(void) { return blocks(put_dense_block, MIB); }

static const Spam kSpams[] = {
    {"final blocks", final_blocks, 0, 0},
    {"final blocks behind a window", final_blocks_late, WINDOW, 0},
    {"empty stored blocks", stored_blocks, 0, 0},
    {"sparse dynamic blocks", sparse_blocks, 0, 0},
    {"dense dynamic blocks", dense_blocks, 0, 0},
    {"empty stored blocks, byte by byte", stored_blocks, 0, 1},
    {"dense dynamic blocks, byte by byte", dense_blocks, 0, 1},
};

/* bad: 145 */
static void test_bomb_of_empty_blocks_leaves_turns_to_others(void **state) {
  for (size_t i = 0; i < COUNT_OF(kSpams); ++i) {
    for (int chunks = 0; chunks < 2; ++chunks) {
      Run r;
      if (i + (size_t)chunks != 0) both_teardown(state), both_setup(state);
      run_prepare(&r, *state, SERVER, chunks, WS_UNLIMITED);
      Bytes payload = kSpams[i].make();
      Bytes attack =
          kSpams[i].by_byte ? framed_by(&r.attacker, payload, 1) : framed(&r.attacker, payload);
      const Memory before = memory_before();
      run_attack(&r, attack);
      run_report(&r, kSpams[i].name);
      expect_memory_within(before, MIB, kSpams[i].name);
      assert_int_equal(r.ended, 1);
      assert_true(r.delivered == kSpams[i].inside);
      run_expect_fair(&r);
      run_leave(&r);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_BOTH(test_bomb_of_1_gib_is_1009_with_defaults),
      WITH_BOTH(test_bomb_of_1_gib_in_chunks_is_delivered_in_bounded_memory),
      WITH_BOTH(test_bomb_in_1000_frames_is_1009),
      WITH_BOTH(test_bomb_of_empty_blocks_leaves_turns_to_others),
  };
  return cmocka_run_group_tests_name("deflate_bomb", tests, hook_set, NULL);
}
