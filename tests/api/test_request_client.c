/*
 * request.h, ws_request_client(): who is behind the proxies that are trusted, and nobody that
 * others made up.  The fields' grammar is tested in tests/unit/test_forwarded.cpp.
 */
#include "world.h"

#include <stdio.h>
#include <stdlib.h>

static char client[128];
static ws_request *kept;

static void note_request(ws_request *r, void *user) {
  (void)user;
  snprintf(client, sizeof client, "%s", ws_request_client(r));
}

static void start(World *w, const char *const *trusted, size_t count, ws_proxy_field field) {
  world_prepare(w);
  w->config.on_request = note_request;
  w->config.trusted_proxies = trusted;
  w->config.trusted_proxy_count = count;
  w->config.proxy_field = field;
  world_start(w);
}

/* Of a plain request from this address with these fields. */
static const char *client_of(World *w, const char *from, const char *fields) {
  Peer p;
  char request[2048];
  snprintf(request, sizeof request, "GET / HTTP/1.1\r\nHost: h\r\n%s\r\n", fields);
  client[0] = '\0';
  assert_int_equal(peer_try_connect_from(&p, w->loop, w->port, from), 0);
  peer_say(&p, request);
  peer_expect_status(&p, 426, NULL, 0);
  peer_drop(&p);
  return client;
}

static const char *const nets[] = {"127.0.0.1", "10.0.0.0/8", "fd00::/8"};

static void test_client_is_the_peer_where_nobody_is_trusted(void **state) {
  World w;
  (void)state;
  start(&w, NULL, 0, WS_PROXY_FIELD_DEFAULT);
  assert_string_equal(client_of(&w, "127.0.0.1", ""), "127.0.0.1");
  assert_string_equal(client_of(&w, "127.0.0.9", "X-Forwarded-For: 192.0.2.7\r\n"), "127.0.0.9");
  assert_string_equal(client_of(&w, "127.0.0.9", "Forwarded: for=192.0.2.7\r\n"), "127.0.0.9");
  world_stop(&w);
}

static void test_client_is_the_first_address_that_is_not_trusted(void **state) {
  const char *const rows[][2] = {
      {"", "127.0.0.1"},
      {"X-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"},
      {"X-Forwarded-For: 192.0.2.7:80\r\n", "192.0.2.7"},
      {"X-Forwarded-For: [2001:DB8:0::1]:80\r\n", "2001:db8::1"},
      {"X-Forwarded-For: ::ffff:192.0.2.7\r\n", "192.0.2.7"},
      {"X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\n", "192.0.2.7"},
      {"X-Forwarded-For: 6.6.6.6, 192.0.2.7, 10.1.2.3\r\n", "192.0.2.7"},
      {"X-Forwarded-For: 6.6.6.6, 192.0.2.7\r\nX-Forwarded-For: fd00::5, 10.1.2.3\r\n",
       "192.0.2.7"},
      {"X-Forwarded-For: 10.0.0.9, 10.1.2.3\r\n", "10.0.0.9"}, /* all trusted: the first */
      {"X-Forwarded-For: 6.6.6.6, unknown, 10.1.2.3\r\n", "10.1.2.3"},
      {"X-Forwarded-For: 6.6.6.6, 10.1.2.300, 10.1.2.3\r\n", "10.1.2.3"},
      {"X-Forwarded-For: 6.6.6.6, fe80::1%lo, 10.1.2.3\r\n", "10.1.2.3"},
      {"X-Forwarded-For: 6.6.6.6, , 10.1.2.3\r\n", "10.1.2.3"},
      {"X-Forwarded-For: nonsense\r\n", "127.0.0.1"},
      {"Forwarded: for=6.6.6.6\r\n", "127.0.0.1"},
      {"Forwarded: for=6.6.6.6\r\nX-Forwarded-For: 192.0.2.7\r\n", "192.0.2.7"},
  };
  World w;
  (void)state;
  start(&w, nets, COUNT_OF(nets), WS_PROXY_FIELD_DEFAULT);
  for (size_t i = 0; i < COUNT_OF(rows); ++i) {
    assert_string_equal(client_of(&w, "127.0.0.1", rows[i][0]), rows[i][1]);
  }
  assert_string_equal(client_of(&w, "127.0.0.2", "X-Forwarded-For: 6.6.6.6\r\n"), "127.0.0.2");
  world_stop(&w);
}

static void test_client_from_forwarded_when_the_proxies_write_that(void **state) {
  const char *const rows[][2] = {
      {"Forwarded: for=192.0.2.7\r\n", "192.0.2.7"},
      {"Forwarded: for=\"[2001:db8::1]:80\";proto=https\r\n", "2001:db8::1"},
      {"Forwarded: for=6.6.6.6, for=192.0.2.7;by=10.0.0.1, for=10.1.2.3\r\n", "192.0.2.7"},
      {"Forwarded: for=6.6.6.6, for=unknown, for=10.1.2.3\r\n", "10.1.2.3"},
      {"Forwarded: for=6.6.6.6, for=_secret, for=10.1.2.3\r\n", "10.1.2.3"},
      {"Forwarded: for=6.6.6.6, for=\"\\10.0.0.1\", for=10.1.2.3\r\n", "10.1.2.3"},
      {"Forwarded: for=\"6.6.6.6, for=192.0.2.7\r\n", "192.0.2.7"},
      {"X-Forwarded-For: 6.6.6.6\r\n", "127.0.0.1"},
      {"X-Forwarded-For: 6.6.6.6\r\nForwarded: for=192.0.2.7\r\n", "192.0.2.7"},
  };
  World w;
  (void)state;
  start(&w, nets, COUNT_OF(nets), WS_PROXY_FORWARDED);
  for (size_t i = 0; i < COUNT_OF(rows); ++i) {
    assert_string_equal(client_of(&w, "127.0.0.1", rows[i][0]), rows[i][1]);
  }
  world_stop(&w);
}

static void test_client_behind_a_proxy_on_a_unix_socket(void **state) {
  static const char *const unix_only[] = {"unix:"};
  World w;
  Peer p;
  ws_listen_config c;
  (void)state;
  for (int trusted = 0; trusted < 2; ++trusted) {
    start(&w, unix_only, (size_t)trusted, WS_PROXY_X_FORWARDED_FOR);
    WS_INIT(&c);
    c.unix_path = "@libws-test-request-client";
    assert_ok(ws_server_listen(w.server, &c, NULL));
    assert_int_equal(peer_try_unix(&p, w.loop, c.unix_path), 0);
    peer_say(&p, WIRE_GET("/", "X-Forwarded-For: 192.0.2.7\r\n"));
    peer_expect_status(&p, 426, NULL, 0);
    assert_string_equal(client, trusted ? "192.0.2.7" : "unix:");
    peer_drop(&p);
    world_stop(&w);
  }
}

/* The PROXY protocol says who the peer is, which may be another proxy. */
static void test_client_behind_two_kinds_of_proxy(void **state) {
  static const char *const loopback[] = {"127.0.0.0/8"};
  const char *const rows[][2] = {{"10.0.0.1", "192.0.2.7"}, {"198.51.100.1", "198.51.100.1"}};
  World w;
  Peer p;
  ws_listen_config c;
  (void)state;
  start(&w, nets, COUNT_OF(nets), WS_PROXY_FIELD_DEFAULT);
  WS_INIT(&c);
  c.host = "127.0.0.1";
  c.flags = WS_LISTEN_PROXY;
  c.proxy_from = loopback;
  c.proxy_from_count = 1;
  assert_ok(ws_server_listen(w.server, &c, &w.listener));
  for (size_t i = 0; i < COUNT_OF(rows); ++i) {
    char header[64];
    snprintf(header, sizeof header, "PROXY TCP4 %s 127.0.0.1 1 2\r\n", rows[i][0]);
    peer_connect(&p, w.loop, ws_listener_port(w.listener));
    peer_say(&p, header);
    peer_say(&p, WIRE_GET("/", "X-Forwarded-For: 192.0.2.7\r\n"));
    peer_expect_status(&p, 426, NULL, 0);
    assert_string_equal(client, rows[i][1]);
    peer_drop(&p);
  }
  world_stop(&w);
}

static void keep_request(ws_request *r, void *user) {
  (void)user;
  kept = ws_request_ref(r);
}

static void test_client_stays_readable_after_the_connection(void **state) {
  World w;
  Peer p;
  (void)state;
  world_prepare(&w);
  w.config.on_request = keep_request;
  w.config.trusted_proxies = nets;
  w.config.trusted_proxy_count = COUNT_OF(nets);
  world_start(&w);
  kept = NULL;
  peer_connect(&p, w.loop, w.port);
  peer_say(&p, WIRE_OPEN("/", "X-Forwarded-For: 192.0.2.7\r\n"));
  for (int i = 0; i < 1000 && kept == NULL; ++i) run_for(w.loop, 1);
  assert_non_null(kept);
  peer_drop(&p);
  world_stop(&w);
  assert_string_equal(ws_request_client(kept), "192.0.2.7");
  ws_request_unref(kept);
  assert_null(ws_request_client(NULL));
}

static void test_client_config_that_is_wrong_is_refused(void **state) {
  static const char *const bad[] = {"10.0.0.0/8", "proxy.example"}, *const null[] = {NULL};
  ws_server_config c;
  ws_server *s = NULL;
  World w;
  (void)state;
  world_start_default(&w);
  WS_INIT(&c);
  c.trusted_proxies = bad;
  c.trusted_proxy_count = 2;
  assert_fails(WS_ERR_INVALID, ws_server_new(w.loop, &c, &s));
  assert_detail_has("trusted_proxies: 'proxy.example'");
  c.trusted_proxies = null;
  c.trusted_proxy_count = 1;
  assert_fails(WS_ERR_INVALID, ws_server_new(w.loop, &c, &s));
  c.trusted_proxies = NULL;
  assert_fails(WS_ERR_INVALID, ws_server_new(w.loop, &c, &s));
  c.trusted_proxy_count = 0;
  c.proxy_field = (ws_proxy_field)3;
  assert_fails(WS_ERR_INVALID, ws_server_new(w.loop, &c, &s));
  c.proxy_field = WS_PROXY_FORWARDED;
  assert_ok(ws_server_new(w.loop, &c, &s));
  ws_server_free(s);
  world_stop(&w);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_client_is_the_peer_where_nobody_is_trusted),
      cmocka_unit_test(test_client_is_the_first_address_that_is_not_trusted),
      cmocka_unit_test(test_client_from_forwarded_when_the_proxies_write_that),
      cmocka_unit_test(test_client_behind_a_proxy_on_a_unix_socket),
      cmocka_unit_test(test_client_behind_two_kinds_of_proxy),
      cmocka_unit_test(test_client_stays_readable_after_the_connection),
      cmocka_unit_test(test_client_config_that_is_wrong_is_refused),
  };
  return cmocka_run_group_tests_name("request_client", tests, NULL, NULL);
}
