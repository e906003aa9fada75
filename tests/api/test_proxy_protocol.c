/*
 * server.h, WS_LISTEN_PROXY: who a connection is from when a proxy says so, what follows the
 * header, and what happens to everything that is not one.  The header's grammar is tested in
 * tests/unit/test_proxy_header.cpp.
 */
#include "world.h"

#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#define V1 "PROXY TCP4 192.0.2.7 198.51.100.1 50417 443\r\n"

static const uint8_t signature[12] = {'\r', '\n', '\r', '\n', 0,   '\r',
                                      '\n', 'Q',  'U',  'I',  'T', '\n'};

/* 2001:db8::1 port 80, and a TLV. */
static size_t v2_header(uint8_t *out, uint8_t command, uint8_t family) {
  memset(out, 0, 16 + 36 + 5);
  memcpy(out, signature, sizeof signature);
  out[12] = command;
  out[13] = family;
  out[15] = 36 + 5;
  memcpy(out + 16, "\x20\x01\x0d\xb8", 4);
  out[31] = 1;
  out[49] = 80;
  out[52] = 2; /* PP2_TYPE_AUTHORITY */
  out[54] = 2;
  memcpy(out + 55, "ab", 2);
  return 16 + 36 + 5;
}

static char lines[8192], peer_seen[128], request_seen[128];

static void take_line(void *user, ws_log_level level, const char *line, size_t len) {
  size_t used = strlen(lines);
  (void)user;
  if (level > WS_LOG_WARN) return;
  snprintf(lines + used, sizeof lines - used, "%.*s\n", (int)len, line);
}

static void note(World *w, const char *event, ws_conn *c) {
  (void)w;
  if (strcmp(event, "open") == 0) snprintf(peer_seen, sizeof peer_seen, "%s", ws_conn_peer(c));
}

static void note_request(ws_request *r, void *user) {
  (void)user;
  snprintf(request_seen, sizeof request_seen, "%s", ws_request_peer(r));
}

static const char *const from_loopback[] = {"127.0.0.1", "unix:"};

static void prepare(World *w) {
  world_prepare(w);
  lines[0] = peer_seen[0] = request_seen[0] = '\0';
  w->on = note;
  w->config.on_request = note_request;
  w->loop_config.log_level = WS_LOG_WARN;
  w->loop_config.log = take_line;
}

static void set_proxy(ws_listen_config *c) {
  WS_INIT(c);
  c->flags = WS_LISTEN_PROXY;
  c->proxy_from = from_loopback;
  c->proxy_from_count = COUNT_OF(from_loopback);
}

static void start(World *w) {
  ws_listen_config c;
  world_start(w);
  ws_listener_close(w->listener);
  set_proxy(&c);
  c.host = "127.0.0.1";
  assert_ok(ws_server_listen(w->server, &c, &w->listener));
  w->port = ws_listener_port(w->listener);
}

static int setup(void **state) {
  World *w = malloc(sizeof *w);
  prepare(w);
  start(w);
  *state = w;
  return 0;
}

static void wait_line(World *w, const char *text) {
  uint64_t end = clock_ms() + PATIENCE_MS;
  while (strstr(lines, text) == NULL) {
    if (clock_ms() > end) fail_msg("no \"%s\" was logged, but: %s", text, lines);
    ws_loop_dispatch(w->loop, 2);
  }
}

static void expect_open_from(World *w, Peer *p, const char *peer) {
  int before = w->opened;
  peer_expect_101(p);
  for (int i = 0; i < 1000 && w->opened == before; ++i) run_for(w->loop, 1);
  assert_int_equal(w->opened, before + 1);
  assert_string_equal(peer_seen, peer);
  assert_string_equal(request_seen, peer);
  peer_send_text(p, "behind it");
  world_wait_log(w, "text:behind it");
  w->log[0] = '\0';
  peer_drop(p);
  world_wait_closed(w, before + 1);
}

static void own_address(const Peer *p, char *out, size_t room) {
  struct sockaddr_in self;
  socklen_t len = sizeof self;
  assert_int_equal(getsockname(p->fd, (struct sockaddr *)&self, &len), 0);
  snprintf(out, room, "127.0.0.1:%d", ntohs(self.sin_port));
}

static void test_proxy_header_names_the_peer_and_the_request_follows_it(void **state) {
  World *w = *state;
  Peer p;
  uint8_t header[64];
  peer_connect(&p, w->loop, w->port);
  peer_say(&p, V1 WIRE_OPEN("/", "")); /* in one segment */
  expect_open_from(w, &p, "192.0.2.7:50417");
  peer_connect(&p, w->loop, w->port);
  peer_send(&p, header, v2_header(header, 0x21, 0x21));
  peer_say(&p, WIRE_OPEN("/", ""));
  expect_open_from(w, &p, "[2001:db8::1]:80");
  peer_connect(&p, w->loop, w->port);
  peer_say(&p, "PROXY TCP6 ::ffff:192.0.2.9 ::1 9 9\r\n" WIRE_OPEN("/", ""));
  expect_open_from(w, &p, "192.0.2.9:9");
}

static void test_proxy_that_speaks_for_itself_is_the_peer(void **state) {
  World *w = *state;
  Peer p;
  uint8_t header[64];
  char self[64];
  for (int way = 0; way < 4; ++way) {
    peer_connect(&p, w->loop, w->port);
    own_address(&p, self, sizeof self);
    if (way == 0) peer_say(&p, "PROXY UNKNOWN\r\n");
    if (way == 1) peer_say(&p, "PROXY UNKNOWN 192.0.2.7 x y z\r\n");
    if (way == 2) peer_send(&p, header, v2_header(header, 0x20, 0x00));
    if (way == 3) peer_send(&p, header, v2_header(header, 0x20, 0x21));
    peer_say(&p, WIRE_OPEN("/", ""));
    expect_open_from(w, &p, self);
  }
}

static void test_proxy_header_byte_by_byte(void **state) {
  World *w = *state;
  Peer p;
  uint8_t header[64];
  for (int version = 1; version <= 2; ++version) {
    const char *v1 = V1;
    size_t len = version == 1 ? strlen(v1) : v2_header(header, 0x21, 0x21);
    peer_connect(&p, w->loop, w->port);
    for (size_t i = 0; i < len; ++i) {
      peer_send(&p, version == 1 ? (const uint8_t *)v1 + i : header + i, 1);
      ws_loop_dispatch(w->loop, 1);
    }
    peer_say(&p, WIRE_OPEN("/", ""));
    expect_open_from(w, &p, version == 1 ? "192.0.2.7:50417" : "[2001:db8::1]:80");
  }
}

/* Level-triggered: what is there of a header must not wake the loop again and again. */
static void test_proxy_header_under_way_does_not_spin(void **state) {
  World *w = *state;
  Peer p;
  ws_loop_stats before, after;
  WS_INIT(&before);
  WS_INIT(&after);
  peer_connect(&p, w->loop, w->port);
  peer_say(&p, "PROXY TCP4");
  run_for(w->loop, 20);
  assert_ok(ws_loop_get_stats(w->loop, &before));
  for (int i = 0; i < 5; ++i) ws_loop_dispatch(w->loop, 10);
  assert_ok(ws_loop_get_stats(w->loop, &after));
  assert_int_equal(after.events, before.events);
  peer_drop(&p);
}

static void test_proxy_on_a_unix_socket(void **state) {
  World *w = *state;
  Peer p;
  ws_listen_config c;
  set_proxy(&c);
  c.unix_path = "@libws-test-proxy-protocol";
  assert_ok(ws_server_listen(w->server, &c, NULL));
  assert_int_equal(peer_try_unix(&p, w->loop, c.unix_path), 0);
  peer_say(&p, V1 WIRE_OPEN("/", ""));
  expect_open_from(w, &p, "192.0.2.7:50417");
  assert_int_equal(peer_try_unix(&p, w->loop, c.unix_path), 0);
  peer_say(&p, "PROXY UNKNOWN\r\n" WIRE_OPEN("/", ""));
  expect_open_from(w, &p, "unix:");
}

static void test_proxy_from_elsewhere_is_reset_unread(void **state) {
  World *w = *state;
  Peer p;
  assert_int_equal(peer_try_connect_from(&p, w->loop, w->port, "127.0.0.2"), 0);
  peer_expect_gone(&p);
  assert_int_equal(p.ended, 2);
  wait_line(w, "drop peer=127.0.0.2:");
  wait_line(w, "why=\"not in proxy_from\"");
  peer_drop(&p);
  assert_int_equal(w->opened, 0);
}

static void test_proxy_header_that_is_none_is_dropped_and_logged(void **state) {
  const char *const rows[][2] = {
      {WIRE_OPEN("/", ""), "not a PROXY protocol header"},
      {"\x16\x03\x01\x02", "not a PROXY protocol header"},
      {"PROXY TCP4 192.0.2.7 1 2\r\n", "not two addresses and two ports"},
  };
  (void)state;
  for (size_t i = 0; i < COUNT_OF(rows); ++i) {
    World w;
    Peer p;
    prepare(&w);
    start(&w);
    peer_connect(&p, w.loop, w.port);
    peer_say(&p, rows[i][0]);
    peer_expect_gone(&p);
    assert_int_equal(p.len, 0);
    wait_line(&w, "drop peer=127.0.0.1:");
    wait_line(&w, rows[i][1]);
    assert_null(strstr(strchr(lines, '\n') + 1, "\n")); /* once */
    peer_drop(&p);
    world_stop(&w);
  }
}

static void test_proxy_header_that_is_cut_is_logged_and_an_empty_connection_is_not(void **state) {
  World *w = *state;
  Peer p;
  peer_connect(&p, w->loop, w->port);
  peer_fin(&p);
  peer_expect_gone(&p);
  peer_drop(&p);
  assert_string_equal(lines, "");
  peer_connect(&p, w->loop, w->port);
  peer_say(&p, "PROXY TC");
  run_for(w->loop, 5);
  peer_fin(&p);
  peer_expect_gone(&p);
  peer_drop(&p);
  wait_line(w, "why=\"the PROXY protocol header was cut\"");
}

static void test_proxy_header_that_does_not_come_in_time_is_dropped(void **state) {
  const char *const begin[] = {"", "PROXY", "PROXY UNKNOWN\r"};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(begin); ++i) {
    World w;
    Peer p;
    prepare(&w);
    w.limits.handshake_timeout_ms = 20;
    start(&w);
    peer_connect(&p, w.loop, w.port);
    peer_say(&p, begin[i]);
    peer_expect_gone(&p);
    assert_int_equal(p.len, 0);
    wait_line(&w, "why=\"no PROXY protocol header in time\"");
    peer_drop(&p);
    world_stop(&w);
  }
}

/* The time for the header is part of the handshake's. */
static void test_proxy_handshake_timeout_goes_on_behind_the_header(void **state) {
  World w;
  Peer p;
  (void)state;
  prepare(&w);
  w.limits.handshake_timeout_ms = 30;
  start(&w);
  peer_connect(&p, w.loop, w.port);
  peer_say(&p, V1);
  peer_expect_gone(&p);
  assert_int_equal(p.len, 0);
  assert_int_equal(w.opened, 0);
  peer_drop(&p);
  world_stop(&w);
}

static void test_proxy_header_under_way_takes_a_place_until_it_ends(void **state) {
  World w;
  Peer p[2];
  (void)state;
  prepare(&w);
  w.config.max_connections = 1;
  start(&w);
  peer_connect(&p[0], w.loop, w.port);
  peer_say(&p[0], "PROXY");
  run_for(w.loop, 5);
  peer_connect(&p[1], w.loop, w.port);
  peer_say(&p[1], V1 WIRE_OPEN("/", ""));
  run_for(w.loop, 20);
  assert_int_equal(w.opened, 0);
  peer_drop(&p[0]);
  expect_open_from(&w, &p[1], "192.0.2.7:50417");
  /* And it becomes the connection's. */
  peer_connect(&p[0], w.loop, w.port);
  peer_say(&p[0], V1 WIRE_OPEN("/", ""));
  peer_expect_101(&p[0]);
  peer_connect(&p[1], w.loop, w.port);
  peer_say(&p[1], V1 WIRE_OPEN("/", ""));
  run_for(w.loop, 20);
  assert_int_equal(w.opened, 2);
  peer_drop(&p[0]);
  expect_open_from(&w, &p[1], "192.0.2.7:50417");
  world_stop(&w);
}

static void test_proxy_limits_count_the_address_that_is_told(void **state) {
  World w;
  Peer p[3];
  (void)state;
  prepare(&w);
  w.config.max_connections_per_ip = 1;
  start(&w);
  for (int i = 0; i < 3; ++i) peer_connect(&p[i], w.loop, w.port); /* none of them counts */
  peer_say(&p[0], V1 WIRE_OPEN("/", ""));
  peer_expect_101(&p[0]);
  peer_say(&p[1], V1 WIRE_OPEN("/", ""));
  peer_expect_gone(&p[1]);
  assert_int_equal(p[1].len, 0);
  wait_line(&w, "drop peer=192.0.2.7:50417 why=\"max_connections_per_ip\"");
  peer_say(&p[2], "PROXY TCP4 192.0.2.8 198.51.100.1 50417 443\r\n" WIRE_OPEN("/", ""));
  peer_expect_101(&p[2]);
  peer_drop(&p[0]);
  peer_drop(&p[1]);
  world_wait_closed(&w, 1);
  peer_connect(&p[0], w.loop, w.port);
  peer_say(&p[0], V1 WIRE_OPEN("/", ""));
  peer_expect_101(&p[0]);
  peer_drop(&p[0]);
  peer_drop(&p[2]);
  world_stop(&w);
}

static void note_done(ws_server *s, void *arg) {
  (void)s;
  *(int *)arg = 1;
}

static void test_proxy_header_under_way_when_the_server_or_the_loop_goes(void **state) {
  (void)state;
  for (int way = 0; way < 3; ++way) {
    World w;
    Peer p[2];
    int done = 0;
    prepare(&w);
    start(&w);
    peer_connect(&p[0], w.loop, w.port);
    peer_connect(&p[1], w.loop, w.port);
    peer_say(&p[1], "PROXY TCP4 1.2");
    run_for(w.loop, 10);
    if (way == 0) {
      ws_server_free(w.server);
      w.server = NULL;
    } else if (way == 1) {
      assert_ok(ws_server_shutdown(w.server, 1001, 5000, note_done, &done));
      assert_true(run_until(w.loop, &done, 2000)); /* nobody is waited for */
    } else {
      assert_ok(ws_loop_free(w.loop)); /* frees the server */
      w.server = NULL;
      w.loop = NULL;
      p[0].loop = p[1].loop = NULL;
    }
    peer_expect_gone(&p[0]);
    peer_expect_gone(&p[1]);
    peer_drop(&p[0]);
    peer_drop(&p[1]);
    world_stop(&w);
  }
}

static void test_proxy_listener_that_closes_leaves_the_headers_under_way(void **state) {
  World *w = *state;
  Peer p;
  peer_connect(&p, w->loop, w->port);
  peer_say(&p, "PROXY TCP4 192.0.2.7 ");
  run_for(w->loop, 10);
  ws_listener_close(w->listener);
  run_for(w->loop, 2);
  peer_say(&p, "198.51.100.1 50417 443\r\n" WIRE_OPEN("/", ""));
  expect_open_from(w, &p, "192.0.2.7:50417");
}

static void test_proxy_config_that_is_wrong_is_refused(void **state) {
  World *w = *state;
  ws_listen_config c;
  const char *const bad[] = {"127.0.0.1", "127.0.0.1/8"}, *const null[] = {NULL};
  set_proxy(&c);
  c.host = "127.0.0.1";
  c.flags = 0;
  assert_fails(WS_ERR_INVALID, ws_server_listen(w->server, &c, NULL));
  c.flags = WS_LISTEN_PROXY;
  c.proxy_from_count = 0;
  assert_fails(WS_ERR_INVALID, ws_server_listen(w->server, &c, NULL));
  assert_detail_has("proxy_from");
  c.proxy_from = NULL;
  c.proxy_from_count = 1;
  assert_fails(WS_ERR_INVALID, ws_server_listen(w->server, &c, NULL));
  c.proxy_from = null;
  assert_fails(WS_ERR_INVALID, ws_server_listen(w->server, &c, NULL));
  c.proxy_from = bad;
  c.proxy_from_count = 2;
  assert_fails(WS_ERR_INVALID, ws_server_listen(w->server, &c, NULL));
  assert_detail_has("127.0.0.1/8");
  c.flags = WS_LISTEN_PROXY << 1;
  assert_fails(WS_ERR_UNSUPPORTED, ws_server_listen(w->server, &c, NULL));
}

static void test_proxy_on_an_inherited_descriptor(void **state) {
  World *w = *state;
  Peer p;
  ws_listen_config c;
  ws_listener *ln = NULL;
  struct sockaddr_in a;
  memset(&a, 0, sizeof a);
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, SOCK_STREAM, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
  assert_int_equal(listen(fd, 5), 0);
  set_proxy(&c);
  c.host = "127.0.0.1";
  assert_fails(WS_ERR_INVALID, ws_server_listen_fd_config(w->server, fd, &c, &ln));
  c.host = NULL;
  c.backlog = 5;
  assert_fails(WS_ERR_INVALID, ws_server_listen_fd_config(w->server, fd, &c, &ln));
  c.backlog = 0;
  c.flags |= WS_LISTEN_V6ONLY;
  assert_fails(WS_ERR_INVALID, ws_server_listen_fd_config(w->server, fd, &c, &ln));
  c.flags = WS_LISTEN_PROXY;
  assert_ok(ws_server_listen_fd_config(w->server, fd, &c, &ln));
  peer_connect(&p, w->loop, ws_listener_port(ln));
  peer_say(&p, V1 WIRE_OPEN("/", ""));
  expect_open_from(w, &p, "192.0.2.7:50417");
}

int main(void) {
#define WITH_WORLD(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)
  const struct CMUnitTest tests[] = {
      WITH_WORLD(test_proxy_header_names_the_peer_and_the_request_follows_it),
      WITH_WORLD(test_proxy_that_speaks_for_itself_is_the_peer),
      WITH_WORLD(test_proxy_header_byte_by_byte),
      WITH_WORLD(test_proxy_header_under_way_does_not_spin),
      WITH_WORLD(test_proxy_on_a_unix_socket),
      WITH_WORLD(test_proxy_from_elsewhere_is_reset_unread),
      cmocka_unit_test(test_proxy_header_that_is_none_is_dropped_and_logged),
      WITH_WORLD(test_proxy_header_that_is_cut_is_logged_and_an_empty_connection_is_not),
      cmocka_unit_test(test_proxy_header_that_does_not_come_in_time_is_dropped),
      cmocka_unit_test(test_proxy_handshake_timeout_goes_on_behind_the_header),
      cmocka_unit_test(test_proxy_header_under_way_takes_a_place_until_it_ends),
      cmocka_unit_test(test_proxy_limits_count_the_address_that_is_told),
      cmocka_unit_test(test_proxy_header_under_way_when_the_server_or_the_loop_goes),
      WITH_WORLD(test_proxy_listener_that_closes_leaves_the_headers_under_way),
      WITH_WORLD(test_proxy_config_that_is_wrong_is_refused),
      WITH_WORLD(test_proxy_on_an_inherited_descriptor),
  };
  return cmocka_run_group_tests_name("proxy_protocol", tests, NULL, NULL);
}
