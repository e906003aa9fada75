#include "both.h"

#include <stdio.h>
#include <stdlib.h>
#include <zlib.h>

int both_setup(void **state) {
  Both *b = calloc(1, sizeof *b);
  if (b == NULL) return -1;
  world_prepare(&b->w);
  caller_prepare(&b->c);
  assert_ok(ws_loop_free(b->c.loop));
  b->c.loop = NULL;
  b->w.limits.deflate = b->c.limits.deflate = WS_DEFLATE_DEFAULT;
  b->t.fd = -1;
  *state = b;
  return 0;
}

int both_teardown(void **state) {
  Both *b = *state;
  if (b->c.client != NULL) ws_client_free(b->c.client);
  if (b->w.server != NULL) ws_server_free(b->w.server);
  b->c.client = NULL;
  caller_stop(&b->c);
  assert_int_equal(b->w.opened, b->w.closed);
  assert_int_equal(b->c.opened, b->c.closed);
  if (b->t.fd >= 0) target_stop(&b->t);
  free(b);
  return 0;
}

void both_start(Both *b) {
  world_start(&b->w);
  b->loop = b->c.loop = b->w.loop;
  caller_set_url(&b->c, "ws://127.0.0.1:%d/", b->w.port);
}

void both_wait(Both *b, const int *value, int want) {
  uint64_t end = clock_ms() + PATIENCE_MS;
  while (*value < want) {
    if (clock_ms() > end) {
      fail_msg("%d instead of %d; client: %s; server: %s", *value, want, b->c.log, b->w.log);
    }
    assert_true(ws_loop_dispatch(b->loop, 2) >= 0);
  }
}

void both_join(Both *b) {
  const int there = b->w.opened + 1, here = b->c.opened + 1;
  caller_start(&b->c);
  both_wait(b, &b->w.opened, there);
  both_wait(b, &b->c.opened, here);
}

void both_open(Both *b) {
  both_start(b);
  both_join(b);
}

void both_leave(Both *b) {
  if (b->c.client != NULL) ws_client_free(b->c.client);
  b->c.client = NULL;
  both_wait(b, &b->c.closed, b->c.opened);
  both_wait(b, &b->w.closed, b->w.opened);
}

static void line_of(char *out, size_t room, const char *extension) {
  out[0] = '\0';
  if (extension[0] != '\0') snprintf(out, room, DEFLATE_FIELD "%s\r\n", extension);
}

static ws_conn *meet_server(Both *b, Peer *p, const char *extension) {
  char line[512], request[1024];
  const int before = b->w.opened;
  line_of(line, sizeof line, extension);
  snprintf(request, sizeof request, WIRE_OPEN("/", "%s"), line);
  peer_connect(p, b->loop, b->w.port);
  peer_say(p, request);
  peer_expect_status(p, 101, b->t.head, sizeof b->t.head);
  both_wait(b, &b->w.opened, before + 1);
  return b->w.conn;
}

static ws_conn *meet_client(Both *b, Peer *p, const char *extension) {
  char line[512];
  const int before = b->c.opened;
  if (b->t.fd < 0) target_listen(&b->t, b->loop);
  caller_set_url(&b->c, "ws://127.0.0.1:%d/", b->t.port);
  if (b->c.client != NULL) ws_client_free(b->c.client);
  caller_start(&b->c);
  target_take(&b->t, p);
  line_of(line, sizeof line, extension);
  target_switch(&b->t, p, line);
  both_wait(b, &b->c.opened, before + 1);
  return b->c.conn;
}

ws_conn *both_meet(Both *b, int role, Peer *p, const char *extension) {
  ws_conn *c = role == SERVER ? meet_server(b, p, extension) : meet_client(b, p, extension);
  assert_non_null(c);
  return c;
}

const char *both_agreed(Both *b, int role) {
  (void)role; /* either head is there */
  return target_count(&b->t, "Sec-WebSocket-Extensions") != 0
             ? target_field(&b->t, "Sec-WebSocket-Extensions")
             : "";
}

ws_conn_config *both_limits(Both *b, int role) {
  return role == SERVER ? &b->w.limits : &b->c.limits;
}

ws_deflate_info deflate_info_of(const ws_conn *c) {
  ws_deflate_info info;
  WS_INIT(&info);
  assert_ok(ws_conn_get_deflate(c, &info));
  return info;
}

ws_loop_stats loop_stats_of(ws_loop *l) {
  ws_loop_stats stats;
  WS_INIT(&stats);
  assert_ok(ws_loop_get_stats(l, &stats));
  return stats;
}

char *some_json(size_t len, unsigned seed) {
  char *out = malloc(len + 128);
  assert_non_null(out);
  for (size_t n = 0; n < len;) {
    seed = seed * 1664525u + 1013904223u;
    n += (size_t)snprintf(out + n, 128,
                          "{\"id\":%u,\"name\":\"item %u\",\"price\":%u.25,\"ok\":true},",
                          seed >> 8, seed >> 20, seed >> 16 & 0xfff);
  }
  return out;
}

uint8_t *some_noise(size_t len, unsigned seed) {
  uint8_t *out = malloc(len + (len == 0));
  assert_non_null(out);
  for (size_t i = 0; i < len; ++i) {
    seed = seed * 1664525u + 1013904223u;
    out[i] = (uint8_t)(seed >> 24);
  }
  return out;
}

uint8_t *zip(const void *data, size_t len, size_t *zipped) {
  z_stream z;
  memset(&z, 0, sizeof z);
  assert_int_equal(deflateInit2(&z, 9, Z_DEFLATED, -15, 9, Z_DEFAULT_STRATEGY), Z_OK);
  const size_t room = deflateBound(&z, len) + 64;
  uint8_t *out = malloc(room);
  assert_non_null(out);
  z.next_in = (Bytef *)data;
  z.avail_in = (uInt)len;
  z.next_out = out;
  z.avail_out = (uInt)room;
  assert_int_equal(deflate(&z, Z_SYNC_FLUSH), Z_OK);
  *zipped = room - z.avail_out - 4;
  deflateEnd(&z);
  return out;
}

uint8_t *unzip(const void *payload, size_t len, size_t *out_len) {
  static const uint8_t kTail[] = {0x00, 0x00, 0xff, 0xff};
  z_stream z;
  size_t room = 4096;
  uint8_t *out = malloc(room);
  memset(&z, 0, sizeof z);
  assert_int_equal(inflateInit2(&z, -15), Z_OK);
  for (int part = 0; part < 2; ++part) {
    z.next_in = part == 0 ? (Bytef *)payload : (Bytef *)kTail;
    z.avail_in = part == 0 ? (uInt)len : sizeof kTail;
    for (int more = 1; more;) {
      if (room - z.total_out < 1024) out = realloc(out, room *= 2);
      assert_non_null(out);
      z.next_out = out + z.total_out;
      z.avail_out = (uInt)(room - z.total_out);
      const int said = inflate(&z, Z_SYNC_FLUSH);
      if (said != Z_OK && said != Z_BUF_ERROR) fail_msg("not DEFLATE: %s", z.msg);
      more = z.avail_out == 0;
    }
    assert_int_equal(z.avail_in, 0);
  }
  *out_len = z.total_out;
  inflateEnd(&z);
  return out;
}

void expect_unzipped(const WireFrame *f, const void *data, size_t len) {
  size_t got_len = 0;
  uint8_t *got = unzip(f->payload, f->len, &got_len);
  assert_bytes(got, got_len, data, len);
  free(got);
}
