#include "slow.h"

#include <stdlib.h>

ws_conn_config *slow_limits(World *w, Caller *c, int role) {
  return role == SERVER ? &w->limits : &c->limits;
}

static void take(Slow *s, const void *data, size_t len) {
  uint32_t number;
  assert_true(len >= sizeof number);
  memcpy(&number, data, sizeof number);
  if (number == FILLER) return;
  if (number == THE_END) {
    s->ended = 1;
    return;
  }
  if (s->count == s->room) {
    s->room = s->room * 2 + 64;
    s->got = realloc(s->got, s->room * sizeof *s->got);
    assert_non_null(s->got);
  }
  s->got[s->count++] = number;
  if (s->on != NULL) s->on(s, data, len);
}

static void at_world(World *w, const char *event, ws_conn *c) {
  Slow *s = w->extra;
  if (c == s->to && strcmp(event, "message") == 0) take(s, w->data, w->len);
  w->log[0] = '\0';
}

static void at_caller(Caller *w, const char *event, ws_conn *c) {
  Slow *s = w->extra;
  if (c == s->to && strcmp(event, "message") == 0) take(s, w->data, w->len);
  w->log[0] = '\0';
}

void slow_begin(Slow *s, World *w, Caller *c, int role) {
  memset(s, 0, sizeof *s);
  s->w = w;
  s->c = c;
  s->role = role;
  s->from = role == SERVER ? w->conn : c->conn;
  s->to = role == SERVER ? c->conn : w->conn;
  w->extra = c->extra = s;
  w->on = at_world;
  c->on = at_caller;
  assert_ok(ws_conn_pause(s->to));
}

void slow_free(Slow *s) {
  free(s->got);
  s->w->on = NULL;
  s->c->on = NULL;
}

static uint8_t *numbered_bytes(uint32_t number, size_t len) {
  uint8_t *data = malloc(len);
  assert_non_null(data);
  assert_true(len >= sizeof number);
  for (size_t i = 0; i < len; ++i) data[i] = (uint8_t)(i * 31 + number);
  memcpy(data, &number, sizeof number);
  return data;
}

ws_message *numbered(uint32_t number, size_t len) {
  uint8_t *data = numbered_bytes(number, len);
  ws_message *m;
  assert_ok(ws_message_new(WS_OP_BINARY, data, len, &m));
  free(data);
  return m;
}

int send_numbered(Slow *s, uint32_t number, size_t len, ws_slow slow, unsigned urgency,
                  const char *key) {
  ws_message *m = numbered(number, len);
  assert_ok(ws_message_set_slow(m, slow));
  if (urgency != 0) assert_ok(ws_message_set_urgency(m, urgency));
  if (key != NULL) assert_ok(ws_message_set_key(m, key, strlen(key)));
  int rc = ws_conn_send_message(s->from, m);
  ws_message_unref(m);
  return rc;
}

int send_raw(Slow *s, uint32_t number, size_t len) {
  uint8_t *data = numbered_bytes(number, len);
  int rc = ws_conn_send(s->from, WS_OP_BINARY, data, len, 0);
  free(data);
  return rc;
}

void slow_fill(Slow *s, uint64_t queued) {
  /* Random bytes, so that they fill where messages are compressed too. */
  uint8_t *noise = some_noise(1000, 7);
  ws_message *m;
  memset(noise, 0, 4);
  assert_ok(ws_message_new(WS_OP_BINARY, noise, 1000, &m));
  assert_ok(ws_message_set_slow(m, WS_SLOW_REFUSE));
  /* A kernel that was full may take more a little later, when it has seen what the receiver's side
   * takes. */
  uint64_t late = clock_ms() + PATIENCE_MS, before;
  do {
    for (int i = 0; i < 100000 && ws_conn_buffered(s->from) <= queued; ++i) {
      assert_true(ws_conn_send_message(s->from, m) >= 0);
    }
    assert_true(ws_conn_buffered(s->from) > queued);
    before = stats_of(s->from).bytes_out;
    if (!faults_are_on()) run_for(s->w->loop, 3);
  } while (stats_of(s->from).bytes_out != before && clock_ms() < late);
  assert_true(ws_conn_buffered(s->from) > queued);
  ws_message_unref(m);
  free(noise);
}

/* Until nothing is queued, or the end has arrived; for as long as something moves. */
static void turn_while_moving(Slow *s, int want_end) {
  uint64_t late = clock_ms() + PATIENCE_MS, seen = 0;
  while (want_end ? !s->ended : ws_conn_buffered(s->from) != 0) {
    const uint64_t moved = stats_of(s->from).bytes_out + stats_of(s->to).bytes_in;
    if (moved != seen) late = clock_ms() + PATIENCE_MS;
    if (clock_ms() > late) fail_msg("%zu messages arrived, then no more", s->count);
    seen = moved;
    assert_true(ws_loop_dispatch(s->w->loop, 2) >= 0);
  }
}

void slow_read_all(Slow *s) {
  const uint32_t end = THE_END;
  assert_ok(ws_conn_resume(s->to));
  turn_while_moving(s, 0);
  assert_true(ws_conn_send(s->from, WS_OP_BINARY, &end, sizeof end, 0) >= 0);
  turn_while_moving(s, 1);
}

ws_conn_stats stats_of(const ws_conn *c) {
  ws_conn_stats stats;
  WS_INIT(&stats);
  assert_ok(ws_conn_get_stats(c, &stats));
  return stats;
}

void expect_got_range(Slow *s, uint32_t first, uint32_t last) {
  assert_int_equal(s->count, last - first + 1);
  for (size_t i = 0; i < s->count; ++i) assert_int_equal(s->got[i], first + i);
}

void expect_got(Slow *s, const uint32_t *numbers, size_t count) {
  assert_int_equal(s->count, count);
  for (size_t i = 0; i < count; ++i) assert_int_equal(s->got[i], numbers[i]);
}
