/*
 * ws_accept.conn and ws_route.conn: a connection with limits of its own, beside others of the same
 * server that have the server's.
 */
#include "world.h"

#include <stdlib.h>

typedef struct Site {
  World w;
  ws_router *router;
  ws_conn_config limits; /* of /own, /with and /later */
  ws_request *waiting;
} Site;

static void accept_with(ws_request *r, const ws_conn_config *limits, int rc) {
  ws_accept how;
  WS_INIT(&how);
  how.conn = limits;
  assert_int_equal(ws_request_accept(r, &how), rc);
}

static void with(ws_request *r, void *user) {
  World *w = user;
  accept_with(r, &((Site *)w)->limits, WS_OK);
}

static void later(ws_request *r, void *user) {
  World *w = user;
  ((Site *)w)->waiting = ws_request_ref(r);
}

static void add(Site *s, const char *pattern, const ws_conn_config *conn,
                void (*on_request)(ws_request *r, void *user)) {
  ws_route r;
  WS_INIT(&r);
  r.pattern = pattern;
  r.conn = conn;
  r.on_request = on_request;
  r.user = &s->w; /* which is the first member */
  assert_ok(ws_router_add(s->router, &r));
}

/* /servers has the server's limits, /own those of its route, /with those of the answer. */
static void site_prepare(Site *s) {
  memset(s, 0, sizeof *s);
  world_prepare(&s->w);
  WS_INIT(&s->limits);
  s->limits.deflate = WS_DEFLATE_OFF;
  assert_ok(ws_router_new(NULL, &s->router));
  s->w.config.on_request = ws_router_on_request;
  s->w.config.user = s->router;
}

static void site_start(Site *s) {
  add(s, "/servers", NULL, NULL);
  add(s, "/own", &s->limits, NULL);
  add(s, "/with", NULL, with);
  add(s, "/later", NULL, later);
  world_start(&s->w);
}

static void site_stop(Site *s) {
  world_stop(&s->w);
  ws_request_unref(s->waiting);
  ws_router_free(s->router);
}

static const char *const kOwn[] = {WIRE_OPEN("/own", ""), WIRE_OPEN("/with", "")};

static void join(Site *s, Peer *p, const char *request) {
  const int before = s->w.opened;
  peer_connect(p, s->w.loop, s->w.port);
  peer_say(p, request);
  peer_expect_101(p);
  for (uint64_t end = clock_ms() + PATIENCE_MS; s->w.opened == before;) {
    assert_true(clock_ms() < end);
    ws_loop_dispatch(s->w.loop, 2);
  }
}

static void expect_message_of(Site *s, Peer *p, size_t len, int taken) {
  static uint8_t payload[4096];
  const int before = s->w.messages, closed = s->w.closed;
  peer_send_frame(p, FIN_BINARY, payload, len);
  if (!taken) {
    peer_expect_close(p, 1009);
    peer_drop(p);
    world_wait_closed(&s->w, closed + 1);
    assert_int_equal(s->w.how.error, WS_ERR_TOO_BIG);
    return;
  }
  for (uint64_t end = clock_ms() + PATIENCE_MS; s->w.messages == before;) {
    assert_true(clock_ms() < end);
    ws_loop_dispatch(s->w.loop, 2);
  }
  assert_int_equal(s->w.len, len);
}

static void test_accept_conn_message_limit_is_the_routes(void **state) {
  (void)state;
  /* Smaller than the server's, and larger. */
  static const struct { uint64_t servers, own; } kRows[] = {{2000, 1000}, {1000, 2000}};
  for (size_t row = 0; row < COUNT_OF(kRows); ++row) {
    Site s;
    Peer p;
    site_prepare(&s);
    s.w.limits.max_message_bytes = kRows[row].servers;
    s.limits.max_message_bytes = kRows[row].own;
    site_start(&s);
    for (size_t i = 0; i < COUNT_OF(kOwn); ++i) {
      join(&s, &p, kOwn[i]);
      expect_message_of(&s, &p, (size_t)kRows[row].own - 1, 1);
      expect_message_of(&s, &p, (size_t)kRows[row].own, 1);
      expect_message_of(&s, &p, (size_t)kRows[row].own + 1, 0);
    }
    join(&s, &p, WIRE_OPEN("/servers", ""));
    expect_message_of(&s, &p, (size_t)kRows[row].servers, 1);
    expect_message_of(&s, &p, (size_t)kRows[row].servers + 1, 0);
    site_stop(&s);
  }
}

static void test_accept_conn_send_limit_is_the_routes(void **state) {
  (void)state;
  static const uint8_t payload[1000];
  Site s;
  Peer p;
  site_prepare(&s);
  s.limits.send_limit_bytes = 1000 + 4;
  site_start(&s);
  for (size_t i = 0; i < COUNT_OF(kOwn); ++i) {
    join(&s, &p, kOwn[i]);
    assert_fails(WS_ERR_FULL, ws_conn_send(s.w.conn, WS_OP_BINARY, payload, 1001, 0));
    assert_true(ws_conn_send(s.w.conn, WS_OP_BINARY, payload, 1000, 0) >= 0);
    peer_drop(&p);
    world_wait_closed(&s.w, (int)i + 1);
  }
  join(&s, &p, WIRE_OPEN("/servers", ""));
  assert_ok(ws_conn_send(s.w.conn, WS_OP_BINARY, payload, 1000, 0));
  assert_ok(ws_conn_send(s.w.conn, WS_OP_BINARY, payload, 1000, 0));
  peer_drop(&p);
  site_stop(&s);
}

static void test_accept_conn_idle_timeout_is_the_routes(void **state) {
  (void)state;
  Site s;
  Peer own, servers;
  site_prepare(&s);
  s.limits.idle_timeout_ms = 100;
  s.limits.ping_interval_ms = WS_NEVER;
  site_start(&s);
  join(&s, &servers, WIRE_OPEN("/servers", ""));
  for (size_t i = 0; i < COUNT_OF(kOwn); ++i) {
    join(&s, &own, kOwn[i]);
    world_wait_closed(&s.w, (int)i + 1); /* long before the handshake's timer would look again */
    assert_int_equal(s.w.how.error, WS_ERR_TIMEOUT);
    assert_non_null(strstr(s.w.detail, "idle"));
    peer_drop(&own);
  }
  peer_send_text(&servers, "here");
  world_wait_log(&s.w, "text:here");
  peer_drop(&servers);
  site_stop(&s);
}

static void test_accept_conn_ping_interval_is_the_routes(void **state) {
  (void)state;
  Site s;
  Peer p;
  WireFrame frame;
  site_prepare(&s);
  s.w.limits.ping_interval_ms = WS_NEVER;
  s.limits.ping_interval_ms = 50;
  site_start(&s);
  for (size_t i = 0; i < COUNT_OF(kOwn); ++i) {
    join(&s, &p, kOwn[i]);
    peer_read_frame(&p, &frame);
    assert_int_equal(frame.first, FIN_PING);
    peer_drop(&p);
  }
  site_stop(&s);
}

static void test_accept_conn_may_turn_compression_off_and_on(void **state) {
  (void)state;
#define OFFER "Sec-WebSocket-Extensions: permessage-deflate\r\n"
  static const char *const kOffers[] = {WIRE_OPEN("/own", OFFER), WIRE_OPEN("/with", OFFER)};
  for (int own_is_on = 0; own_is_on < 2; ++own_is_on) {
    Site s;
    Peer p;
    char head[512];
    site_prepare(&s);
    s.w.limits.deflate = own_is_on ? WS_DEFLATE_OFF : WS_DEFLATE_SHARED;
    s.limits.deflate = own_is_on ? WS_DEFLATE_SHARED : WS_DEFLATE_OFF;
    site_start(&s);
    for (size_t i = 0; i < COUNT_OF(kOffers) + 1; ++i) {
      const int is_own = i < COUNT_OF(kOffers);
      peer_connect(&p, s.w.loop, s.w.port);
      peer_say(&p, is_own ? kOffers[i] : WIRE_OPEN("/servers", OFFER));
      peer_expect_status(&p, 101, head, sizeof head);
      assert_int_equal(strstr(head, "permessage-deflate") != NULL, is_own == own_is_on);
      peer_drop(&p);
    }
    site_stop(&s);
  }
}

static void test_accept_conn_that_is_wrong_leaves_the_request_unanswered(void **state) {
  (void)state;
  Site s;
  Peer p;
  ws_conn_config bad;
  ws_accept how;
  ws_handlers h;
  site_prepare(&s);
  s.limits.max_message_bytes = 10;
  site_start(&s);
  peer_connect(&p, s.w.loop, s.w.port);
  peer_say(&p, WIRE_OPEN("/later", ""));
  for (uint64_t end = clock_ms() + PATIENCE_MS; s.waiting == NULL;) {
    assert_true(clock_ms() < end);
    ws_loop_dispatch(s.w.loop, 2);
  }
  WS_INIT(&bad);
  bad.send_low_bytes = 2;
  bad.send_high_bytes = 1;
  accept_with(s.waiting, &bad, WS_ERR_INVALID);
  memset(&bad, 0, sizeof bad);
  accept_with(s.waiting, &bad, WS_ERR_INVALID);
  WS_INIT(&bad);
  bad.flags = 1u << 31;
  accept_with(s.waiting, &bad, WS_ERR_UNSUPPORTED);
  /* Good ones, refused for another reason, are forgotten as well. */
  WS_INIT(&how);
  how.conn = &s.limits;
  how.subprotocol = "not offered";
  assert_fails(WS_ERR_INVALID, ws_request_accept(s.waiting, &how));
  /* Handlers here, limits there: both count. */
  WS_INIT(&how);
  how.conn = &s.limits;
  h = s.w.handlers;
  h.on_ping = NULL;
  how.handlers = &h;
  how.user = &s.w;
  assert_ok(ws_request_accept(s.waiting, &how));
  memset(&h, 0, sizeof h);
  peer_expect_101(&p);
  expect_message_of(&s, &p, 10, 1);
  expect_message_of(&s, &p, 11, 0);
  site_stop(&s);
}

/* The policy of a connection outlives router, server and answer. */
static void test_accept_conn_limits_outlive_the_router(void **state) {
  (void)state;
  Site s;
  Peer p;
  site_prepare(&s);
  s.limits.max_message_bytes = 10;
  site_start(&s);
  join(&s, &p, kOwn[0]);
  ws_router_free(s.router); /* no other request comes */
  s.router = NULL;
  memset(&s.limits, 0, sizeof s.limits);
  expect_message_of(&s, &p, 10, 1);
  expect_message_of(&s, &p, 11, 0);
  site_stop(&s);
}

static void test_accept_conn_counts_for_an_engine_that_stands_alone(void **state) {
  (void)state;
  for (uint64_t limit = 99; limit <= 101; ++limit) {
    static const char open[] = WIRE_OPEN("/", "");
    static uint8_t payload[100];
    ws_engine *e;
    ws_event ev;
    ws_conn_config limits;
    uint8_t wire[200];
    WS_INIT(&limits);
    WS_INIT(&ev);
    limits.max_message_bytes = limit;
    assert_ok(ws_engine_new_server(NULL, &e));
    assert_ok(ws_engine_feed(e, open, sizeof open - 1));
    assert_int_equal(ws_engine_next(e, &ev), 1);
    assert_int_equal(ev.type, WS_EV_REQUEST);
    accept_with(ws_engine_request(e), &limits, WS_OK);
    limits.max_message_bytes = 1;
    assert_int_equal(ws_engine_next(e, &ev), 1);
    assert_int_equal(ev.type, WS_EV_OPEN);
    assert_int_equal(ws_engine_next(e, &ev), 0);
    const size_t n = wire_client_frame(wire, FIN_BINARY, payload, sizeof payload);
    assert_ok(ws_engine_feed(e, wire, n));
    assert_int_equal(ws_engine_next(e, &ev), 1);
    assert_int_equal(ev.type, limit >= 100 ? WS_EV_MESSAGE : WS_EV_CLOSED);
    if (limit < 100) assert_int_equal(ev.close->sent_code, 1009);
    ws_engine_free(e);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_accept_conn_message_limit_is_the_routes),
      cmocka_unit_test(test_accept_conn_send_limit_is_the_routes),
      cmocka_unit_test(test_accept_conn_idle_timeout_is_the_routes),
      cmocka_unit_test(test_accept_conn_ping_interval_is_the_routes),
      cmocka_unit_test(test_accept_conn_may_turn_compression_off_and_on),
      cmocka_unit_test(test_accept_conn_that_is_wrong_leaves_the_request_unanswered),
      cmocka_unit_test(test_accept_conn_limits_outlive_the_router),
      cmocka_unit_test(test_accept_conn_counts_for_an_engine_that_stands_alone),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
