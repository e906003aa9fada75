/*
 * The answers a server gives without being asked: defaults of server.h, refusals of malformed
 * heads, the Origin check.
 */
#include "world.h"

#include <stdio.h>

static int requests;
static void count_request(ws_request *r, void *user) {
  (void)r, (void)user;
  ++requests;
}

static void expect_refusal(World *w, const char *request, int status, const char *must_have) {
  Peer p;
  char head[2048];
  peer_connect(&p, w->loop, w->port);
  peer_say(&p, request);
  peer_expect_status(&p, status, head, sizeof head);
  assert_non_null(strstr(head, "\r\nConnection: close"));
  assert_non_null(strstr(head, "\r\nContent-Length: "));
  if (must_have != NULL && strstr(head, must_have) == NULL)
    fail_msg("no %s in\n%s", must_have, head);
  peer_expect_gone(&p);
  peer_drop(&p);
}

/* req: 31, 32, 34, 35, 36, 37, 39, 114, 116, 124, 131, 139, 140 */
/* bad: 1, 2, 5, 6, 7, 8, 9, 10, 12, 32, 35 */
static void test_request_that_breaks_a_rule_gets_its_status(void **state) {
  static const struct {
    const char *request;
    int status;
    const char *must_have;
  } all[] = {
      {WIRE_GET("/", ""), 426, "\r\nUpgrade: websocket\r\n"},
      {WIRE_GET("/", ""), 426, "\r\nConnection: close, Upgrade\r\n"},
      {WIRE_GET("/", ""), 426, "\r\nSec-WebSocket-Version: 13\r\n"},
      {WIRE_GET("/", "Upgrade: h2c\r\nConnection: Upgrade\r\n"), 426, NULL},
      {WIRE_GET("/",
                "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: " SAMPLE_KEY "\r\n"),
       400, NULL},
      {WIRE_GET("/",
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 8\r\n"
                "Sec-WebSocket-Key: " SAMPLE_KEY "\r\n"),
       426, "Sec-WebSocket-Version: 13"},
      {WIRE_GET("/",
                "Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
                "Sec-WebSocket-Key: short\r\n"),
       400, NULL},
      {WIRE_OPEN("/", "Host: again\r\n"), 400, NULL},
      {WIRE_OPEN("/", "Content-Length: 5\r\n"), 400, NULL},
      {WIRE_OPEN("/", "Transfer-Encoding: chunked\r\n"), 400, NULL},
      {WIRE_OPEN("/", "Sec-WebSocket-Key: " SAMPLE_KEY "\r\n"), 400, NULL},
      {WIRE_OPEN("/", "Origin: http://a\r\nOrigin: http://a\r\n"), 400, NULL},
      {WIRE_OPEN("/", "X: \x01\r\n"), 400, NULL},
      {WIRE_OPEN("/", "X : y\r\n"), 400, NULL},
      {WIRE_OPEN("/", "X: y\r\n folded\r\n"), 400, NULL},
      {"GET / HTTP/1.1\r\n\r\n", 400, NULL},
      {"GET / HTTP/1.0\r\nHost: h\r\n\r\n", 400, NULL},
      {"GET / HTTP/2.0\r\nHost: h\r\n\r\n", 505, NULL},
      {"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 0\r\n\r\n", 405, "\r\nAllow: GET"},
      {"get / HTTP/1.1\r\nHost: h\r\n\r\n", 405, NULL},
      {"GET / HTTP/1.1\nHost: h\n\n", 400, NULL},
      {"G\001T / HTTP/1.1\r\nHost: h\r\n\r\n", 400, NULL},
      {WIRE_GET("/", "Content-Length: 5\r\n") "hello", 413, NULL},
      {WIRE_GET("/", "Expect: the-unexpected\r\n"), 417, NULL},
      {"\x16\x03\x01\x02\r\n\r\n", 400, NULL},
  };
  (void)state;
  World w;
  world_prepare(&w);
  w.config.on_request = count_request;
  requests = 0;
  world_start(&w);
  for (size_t i = 0; i < COUNT_OF(all); ++i) {
    expect_refusal(&w, all[i].request, all[i].status, all[i].must_have);
  }
  assert_int_equal(requests, 4); /* the plain requests that are well-formed */
  assert_string_equal(w.log, "");
  world_stop(&w);
}

/* req: 129 */
/* bad: 20, 21, 23 */
static void test_request_head_limits_are_met_exactly(void **state) {
  (void)state;
  World w;
  Peer p;
  const char *head = WIRE_OPEN("/", "");
  for (int i = -1; i <= 1; ++i) {
    world_prepare(&w);
    w.limits.max_header_bytes = (uint64_t)((int64_t)strlen(head) + i);
    world_start(&w);
    peer_connect(&p, w.loop, w.port);
    peer_say(&p, head);
    peer_expect_status(&p, i < 0 ? 431 : 101, NULL, 0);
    peer_drop(&p);
    world_stop(&w);
    world_prepare(&w);
    w.limits.max_header_count = (uint32_t)(5 + i);
    world_start(&w);
    peer_connect(&p, w.loop, w.port);
    peer_say(&p, head); /* five fields */
    peer_expect_status(&p, i < 0 ? 431 : 101, NULL, 0);
    peer_drop(&p);
    world_stop(&w);
  }
}

/* bad: 37 */
static void test_request_glued_behind_a_refused_one_is_never_seen(void **state) {
  (void)state;
  World w;
  Peer p;
  world_prepare(&w);
  w.config.on_request = count_request;
  requests = 0;
  world_start(&w);
  peer_connect(&p, w.loop, w.port);
  peer_say(&p, WIRE_GET("/first", "") WIRE_GET("/second", ""));
  peer_expect_status(&p, 426, NULL, 0);
  peer_expect_gone(&p);
  assert_null(memmem(p.in + p.taken, p.len - p.taken, "HTTP/1.1", 8));
  assert_int_equal(requests, 1);
  peer_drop(&p);
  world_stop(&w);
}

/* req: 118 */
/* bad: 36 */
static void test_request_expecting_100_gets_it_before_the_101(void **state) {
  World *w = *state;
  Peer p;
  peer_connect(&p, w->loop, w->port);
  peer_say(&p, WIRE_OPEN("/", "Expect: 100-continue\r\n"));
  peer_expect_status(&p, 100, NULL, 0);
  peer_expect_101(&p);
  peer_drop(&p);
}

/* req: 40, 50 */
/* bad: 38 */
static void test_request_one_byte_at_a_time_with_frames_behind_it_opens(void **state) {
  World *w = *state;
  Peer p;
  uint8_t wire[1024];
  const char *head = WIRE_OPEN("/", "X-Unknown: 1\r\n");
  size_t n = strlen(head);
  memcpy(wire, head, n);
  n += wire_client_frame(wire + n, FIN_TEXT, "glued", 5);
  peer_connect(&p, w->loop, w->port);
  for (size_t i = 0; i < n; ++i) {
    peer_send(&p, wire + i, 1);
    ws_loop_dispatch(w->loop, 0);
  }
  peer_expect_101(&p);
  world_wait_log(w, "text:glued");
  peer_drop(&p);
  peer_connect(&p, w->loop, w->port);
  peer_send(&p, wire, n);
  peer_expect_101(&p);
  world_wait_log(w, "open text:glued close:1006/0/-23 open text:glued ");
  peer_drop(&p);
}

static void test_request_default_accept_takes_the_servers_first_choice(void **state) {
  static const char *const ours[] = {"v3", "v2", "v1"};
  static const struct {
    const char *offer, *answer;
  } cases[] = {
      {"Sec-WebSocket-Protocol: v1, v2\r\n", "\r\nSec-WebSocket-Protocol: v2\r\n"},
      {"Sec-WebSocket-Protocol: V3, x\r\n", NULL},
      {"", NULL},
  };
  (void)state;
  World w;
  world_prepare(&w);
  w.config.subprotocols = ours;
  w.config.subprotocol_count = 3;
  w.config.server_header = "libws-test/1";
  world_start(&w);
  for (size_t i = 0; i < COUNT_OF(cases); ++i) {
    Peer p;
    char head[1024], request[1024];
    snprintf(request, sizeof request, "%.*s%s\r\n", (int)strlen(WIRE_OPEN("/", "")) - 2,
             WIRE_OPEN("/", ""), cases[i].offer);
    peer_connect(&p, w.loop, w.port);
    peer_say(&p, request);
    peer_expect_status(&p, 101, head, sizeof head);
    assert_non_null(strstr(head, "\r\nServer: libws-test/1\r\n"));
    if (cases[i].answer != NULL) assert_non_null(strstr(head, cases[i].answer));
    if (cases[i].answer == NULL) assert_null(strstr(head, "Sec-WebSocket-Protocol"));
    peer_drop(&p);
  }
  world_stop(&w);
}

static void expect_origin(World *w, const char *origin, int status) {
  Peer p;
  char request[1024];
  snprintf(request, sizeof request,
           "GET / HTTP/1.1\r\nHost: Good.com:8080\r\nUpgrade: websocket\r\n"
           "Connection: Upgrade\r\nSec-WebSocket-Key: " SAMPLE_KEY
           "\r\nSec-WebSocket-Version: 13\r\n%s%s%s\r\n",
           origin != NULL ? "Origin: " : "", origin != NULL ? origin : "",
           origin != NULL ? "\r\n" : "");
  peer_connect(&p, w->loop, w->port);
  peer_say(&p, request);
  peer_expect_status(&p, status, NULL, 0);
  peer_drop(&p);
}

/* req: 43, 44, 107 */
/* bad: 279 */
static void test_request_origin_of_the_same_host_is_allowed_by_default(void **state) {
  World *w = *state;
  expect_origin(w, NULL, 101);
  expect_origin(w, "http://good.com:8080", 101);
  expect_origin(w, "http://GOOD.COM:8080", 101);
  expect_origin(w, "http://good.com", 403);
  expect_origin(w, "http://good.com:8081", 403);
  expect_origin(w, "http://good.com.evil.com:8080", 403);
  expect_origin(w, "http://evilgood.com:8080", 403);
  expect_origin(w, "null", 403);
}

/* req: 107 */
/* bad: 277 */
static void test_request_origin_list_is_exact_and_star_is_all(void **state) {
  static const char *const list[] = {"https://good.com", "http://other.org:8000"};
  static const char *const star[] = {"*"};
  (void)state;
  World w;
  world_prepare(&w);
  w.config.origins = list;
  w.config.origin_count = 2;
  world_start(&w);
  expect_origin(&w, "https://good.com", 101);
  expect_origin(&w, "https://GOOD.com", 101);
  expect_origin(&w, "https://good.com:443", 101);
  expect_origin(&w, "http://other.org:8000", 101);
  expect_origin(&w, NULL, 101);
  expect_origin(&w, "http://good.com", 403);
  expect_origin(&w, "https://good.com:444", 403);
  expect_origin(&w, "https://good.com.", 403);
  expect_origin(&w, "https://good.com.evil.com", 403);
  expect_origin(&w, "https://evilgood.com", 403);
  expect_origin(&w, "http://good.com:8080", 403); /* a list replaces the default */
  expect_origin(&w, "null", 403);
  world_stop(&w);
  world_prepare(&w);
  w.config.origins = star;
  w.config.origin_count = 1;
  world_start(&w);
  expect_origin(&w, "https://anything.example", 101);
  expect_origin(&w, "null", 101);
  world_stop(&w);
}

int main(void) {
#define WITH_WORLD(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_request_that_breaks_a_rule_gets_its_status),
      cmocka_unit_test(test_request_head_limits_are_met_exactly),
      cmocka_unit_test(test_request_glued_behind_a_refused_one_is_never_seen),
      WITH_WORLD(test_request_expecting_100_gets_it_before_the_101),
      WITH_WORLD(test_request_one_byte_at_a_time_with_frames_behind_it_opens),
      cmocka_unit_test(test_request_default_accept_takes_the_servers_first_choice),
      WITH_WORLD(test_request_origin_of_the_same_host_is_allowed_by_default),
      cmocka_unit_test(test_request_origin_list_is_exact_and_star_is_all),
  };
  return cmocka_run_group_tests_name("request_default", tests, NULL, NULL);
}
