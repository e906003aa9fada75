#include "side.h"

#include <stdio.h>
#include <stdlib.h>

int side_random(void *user, void *out, size_t len) {
  (void)user;
  for (size_t i = 0; i < len; ++i) ((char *)out)[i] = "the sample nonce"[i % 16];
  return 0;
}

void side_prepare(Side *s, int role) {
  memset(s, 0, sizeof *s);
  s->role = role;
  s->now = 1000;
  s->seed = 1;
  WS_INIT(&s->limits);
  s->limits.deflate = WS_DEFLATE_OFF; /* so that bytes count; tests of it turn it on */
  WS_INIT(&s->config);
  s->config.conn = &s->limits;
  s->config.random = side_random;
}

void side_start(Side *s) {
  if (s->role == SERVER) {
    assert_ok(ws_engine_new_server(&s->config, &s->e));
  } else {
    ws_open open;
    WS_INIT(&open);
    open.host = "localhost:9001";
    assert_ok(ws_engine_new_client(&s->config, &open, &s->e));
  }
  assert_ok(ws_engine_tick(s->e, s->now));
  side_take_output(s);
}

void side_open(Side *s) {
  Cut cut = s->cut;
  s->cut = WHOLE;
  if (s->role == SERVER) {
    side_say(s, WIRE_OPEN("/", ""));
    side_expect(s, "request open ");
    side_expect_sent_text(s, "HTTP/1.1 101 ");
  } else {
    side_expect_sent_text(s, "GET / HTTP/1.1\r\n");
    side_say(s,
             "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\n"
             "Connection: Upgrade\r\nSec-WebSocket-Accept: " SAMPLE_ACCEPT "\r\n\r\n");
    side_expect(s, "open ");
  }
  s->cut = cut;
}

void side_start_open(Side *s, int role) {
  side_prepare(s, role);
  side_start(s);
  side_open(s);
}

void side_free(Side *s) {
  ws_engine_free(s->e);
  free(s->sent);
  s->e = NULL;
  s->sent = NULL;
}

static void note(Side *s, const char *format, ...) {
  va_list args;
  size_t used = strlen(s->log);
  va_start(args, format);
  vsnprintf(s->log + used, sizeof s->log - used, format, args);
  va_end(args);
}

static void note_data(Side *s, const char *name, const ws_event *ev) {
  if (ev->len <= 32) {
    note(s, "%s:%.*s ", name, (int)ev->len, ev->len != 0 ? (const char *)ev->data : "");
  } else {
    note(s, "%s#%zu ", name, ev->len);
  }
}

static void note_message(Side *s, const ws_event *ev) {
  note_data(s, ev->op == WS_OP_TEXT ? "text" : "binary", ev);
  if ((ev->flags & WS_PART_FIRST) == 0) note(s, "~");
  if ((ev->flags & WS_PART_LAST) == 0) note(s, "+");
}

void side_events(Side *s) {
  ws_event ev;
  int rc;
  WS_INIT(&ev);
  while ((rc = ws_engine_next(s->e, &ev)) == 1) {
    switch (ev.type) {
      case WS_EV_REQUEST:
        note(s, "request ");
        assert_non_null(ws_engine_request(s->e));
        if (!s->answer_later) assert_ok(ws_request_accept(ws_engine_request(s->e), NULL));
        break;
      case WS_EV_OPEN: note(s, "open "); break;
      case WS_EV_MESSAGE: note_message(s, &ev); break;
      case WS_EV_PING: note_data(s, "ping", &ev); break;
      case WS_EV_PONG: note_data(s, "pong", &ev); break;
      case WS_EV_CLOSED:
        s->how = *ev.close;
        snprintf(s->reason, sizeof s->reason, "%s", ev.close->reason);
        note(s, "close:%d/%d/%d ", s->how.code, s->how.sent_code, s->how.error);
        break;
      default: fail_msg("event %d", (int)ev.type);
    }
  }
  assert_int_equal(rc, 0);
}

static void feed_piece(Side *s, const uint8_t *data, size_t len) {
  if (s->cut == IN_PLACE) {
    /* A block of its own size, so that a sanitizer sees every byte beyond it. */
    uint8_t *copy = malloc(len + (len == 0));
    memcpy(copy, data, len);
    assert_ok(ws_engine_feed_inplace(s->e, copy, len));
    side_events(s);
    free(copy);
    return;
  }
  assert_ok(ws_engine_feed(s->e, data, len));
  side_events(s);
}

void side_feed(Side *s, const void *data, size_t len) {
  const uint8_t *from = data;
  while (len != 0) {
    size_t n = len;
    if (s->cut == BYTES) n = 1;
    if (s->cut == RANDOM) {
      s->seed = s->seed * 1664525u + 1013904223u;
      n = 1 + (s->seed >> 16) % 17;
      if (n > len) n = len;
    }
    feed_piece(s, from, n);
    from += n;
    len -= n;
  }
}

void side_say(Side *s, const char *text) { side_feed(s, text, strlen(text)); }

size_t side_peer_frame(const Side *s, uint8_t *out, uint8_t first, const void *payload,
                       size_t len) {
  return s->role == SERVER ? wire_client_frame(out, first, payload, len)
                           : wire_server_frame(out, first, payload, len);
}

void side_frame(Side *s, uint8_t first, const void *payload, size_t len) {
  uint8_t *frame = malloc(len + WIRE_OVERHEAD);
  side_feed(s, frame, side_peer_frame(s, frame, first, payload, len));
  free(frame);
}

void side_close_frame(Side *s, uint16_t code, const char *reason) {
  uint8_t body[128];
  side_frame(s, FIN_CLOSE, body, code != 0 ? wire_close_body(body, code, reason) : 0);
}

void side_eof(Side *s) {
  assert_ok(ws_engine_feed_eof(s->e));
  side_events(s);
}

void side_tick(Side *s, uint64_t now) {
  s->now = now;
  assert_ok(ws_engine_tick(s->e, now));
  side_events(s);
}

void side_expect(Side *s, const char *log) {
  assert_string_equal(s->log, log);
  s->log[0] = '\0';
}

void side_take_output(Side *s) {
  ws_slice out[4];
  size_t n;
  if (s->sent_taken != 0) {
    memmove(s->sent, s->sent + s->sent_taken, s->sent_len - s->sent_taken);
    s->sent_len -= s->sent_taken;
    s->sent_taken = 0;
  }
  while ((n = ws_engine_output(s->e, out, COUNT_OF(out))) != 0) {
    size_t total = 0;
    for (size_t i = 0; i < n; ++i) {
      s->sent = realloc(s->sent, s->sent_len + out[i].len);
      memcpy(s->sent + s->sent_len, out[i].data, out[i].len);
      s->sent_len += out[i].len;
      total += out[i].len;
    }
    assert_true(ws_engine_want(s->e) & WS_WANT_WRITE);
    assert_ok(ws_engine_sent(s->e, total));
  }
  assert_int_equal(ws_engine_buffered(s->e), 0);
  assert_false(ws_engine_want(s->e) & WS_WANT_WRITE);
}

static void next_sent(Side *s, WireFrame *f) {
  side_take_output(s);
  assert_int_equal(wire_parse(s->sent, s->sent_len, f), 1);
  assert_int_equal(f->masked, s->role == CLIENT);
  s->sent_taken = f->size;
}

void side_expect_sent(Side *s, uint8_t first, const void *payload, size_t len) {
  WireFrame f;
  next_sent(s, &f);
  assert_int_equal(f.first, first);
  assert_bytes(f.payload, f.len, payload, len);
}

void side_expect_sent_close(Side *s, uint16_t code) {
  WireFrame f;
  next_sent(s, &f);
  assert_int_equal(f.first, FIN_CLOSE);
  if (code == 0) {
    assert_int_equal(f.len, 0);
  } else {
    assert_true(f.len >= 2);
    assert_int_equal(f.payload[0] << 8 | f.payload[1], code);
  }
}

void side_expect_sent_text(Side *s, const char *start) {
  side_take_output(s);
  assert_true(s->sent_len >= strlen(start));
  assert_bytes(s->sent, strlen(start), start, strlen(start));
  s->sent_taken = s->sent_len;
}

void side_expect_sent_nothing(Side *s) {
  side_take_output(s);
  assert_bytes(s->sent, s->sent_len, "", 0);
}
