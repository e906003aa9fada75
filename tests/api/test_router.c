/*
 * router.h: requests go to their route's callbacks, limits, subprotocols and origins, at once or
 * later; and what credentials and parameters a request shows there.
 */
#include "world.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

typedef struct Site {
  World w;
  ws_router *router;
  ws_request *waiting;
  char seen[512]; /* by on_request of a route */
} Site;

static ws_route route(const char *pattern) {
  ws_route r;
  WS_INIT(&r);
  r.pattern = pattern;
  return r;
}

/* One whose connections are written down. */
static ws_route logged(Site *s, const char *pattern) {
  ws_route r = route(pattern);
  r.user = &s->w;
  return r;
}

static void site_prepare(Site *s) {
  memset(s, 0, sizeof *s);
  world_prepare(&s->w);
  assert_ok(ws_router_new(NULL, &s->router));
  s->w.config.on_request = ws_router_on_request;
  s->w.config.user = s->router;
}

static void site_stop(Site *s) {
  world_stop(&s->w);
  ws_request_unref(s->waiting);
  ws_router_free(s->router);
}

static void add(Site *s, ws_route r) { assert_ok(ws_router_add(s->router, &r)); }

static void ask(Site *s, Peer *p, const char *request) {
  peer_connect(p, s->w.loop, s->w.port);
  peer_say(p, request);
}

static void expect_status(Site *s, const char *request, int status) {
  Peer p;
  ask(s, &p, request);
  peer_expect_status(&p, status, NULL, 0);
  peer_drop(&p);
}

static void write_param(char *out, size_t room, const ws_request *r, const char *name) {
  size_t len = 77;
  const char *value = ws_request_param(r, name, &len);
  if (value == NULL) {
    assert_int_equal(len, 77);
    snprintf(out, room, "%s - ", name);
    return;
  }
  assert_int_equal(strlen(value), len);
  snprintf(out, room, "%s %s ", name, value);
}

static void on_room(ws_request *r, void *user) {
  Site *s = user;
  char id[200], rest[200];
  write_param(id, sizeof id, r, "id");
  write_param(rest, sizeof rest, r, "rest");
  snprintf(s->seen, sizeof s->seen, "%s%s", id, rest);
}

static void test_router_route_sees_its_parameters_and_accepts_by_default(void **state) {
  (void)state;
  Site s;
  Peer p;
  static const char *const protocols[] = {"v2", "v1"};
  site_prepare(&s);
  ws_route r = route("/rooms/:id/*rest");
  r.on_request = on_room;
  r.user = &s;
  r.subprotocols = protocols;
  r.subprotocol_count = 2;
  r.handlers = &s.w.handlers;
  add(&s, r);
  world_start(&s.w);
  s.w.handlers.on_message = NULL; /* the route has a copy */
  ask(&s, &p, WIRE_OPEN("/rooms/caf%C3%a9%20%2b/a%23/b?x", "Sec-WebSocket-Protocol: v1, v2\r\n"));
  char head[512];
  peer_expect_status(&p, 101, head, sizeof head);
  assert_non_null(strstr(head, "Sec-WebSocket-Protocol: v2\r\n"));
  assert_string_equal(s.seen, "id caf\xc3\xa9 + rest a#/b ");
  peer_drop(&p);
  expect_status(&s, WIRE_OPEN("/rooms/1", ""), 404);
  expect_status(&s, WIRE_OPEN("/rooms/%2e%2e/", ""), 400);
  expect_status(&s, WIRE_OPEN("/rooms/a%2Fb/", ""), 400);
  expect_status(&s, WIRE_GET("/rooms/1/", ""), 426);
  expect_status(&s, WIRE_GET("/", ""), 404);
  site_stop(&s);
}

static void on_open(ws_conn *c, void *user) { assert_ok(ws_conn_send(c, WS_OP_TEXT, user, 1, 0)); }

static void test_router_connections_have_the_callbacks_and_user_of_their_route(void **state) {
  (void)state;
  Site s;
  Peer p;
  ws_handlers h;
  char a[] = "a", b[] = "b";
  site_prepare(&s);
  WS_INIT(&h);
  h.on_open = on_open;
  ws_route r = route("/a");
  r.handlers = &h;
  r.user = a;
  add(&s, r);
  r.pattern = "/:any";
  r.user = b;
  add(&s, r);
  world_start(&s.w);
  for (int i = 0; i < 4; ++i) {
    ask(&s, &p, i % 2 == 0 ? WIRE_OPEN("/a", "") : WIRE_OPEN("/x", ""));
    peer_expect_101(&p);
    peer_expect_text(&p, i % 2 == 0 ? "a" : "b");
    peer_drop(&p);
  }
  site_stop(&s);
}

static void user_is_null(ws_conn *c, void *user) {
  assert_null(user);
  assert_ok(ws_conn_send(c, WS_OP_TEXT, "n", 1, 0));
}

static void test_router_is_never_the_user_of_a_connection(void **state) {
  (void)state;
  Site s;
  Peer p;
  ws_handlers h;
  site_prepare(&s);
  WS_INIT(&h);
  h.on_open = user_is_null;
  ws_route r = route("/");
  r.handlers = &h;
  add(&s, r);
  world_start(&s.w);
  ask(&s, &p, WIRE_OPEN("/", ""));
  peer_expect_101(&p);
  peer_expect_text(&p, "n");
  peer_drop(&p);
  site_stop(&s);
}

static void keep(ws_request *r, void *user) { ((Site *)user)->waiting = ws_request_ref(r); }

static void wait_for_request(Site *s) {
  for (uint64_t end = clock_ms() + PATIENCE_MS; s->waiting == NULL;) {
    assert_true(clock_ms() < end);
    ws_loop_dispatch(s->w.loop, 2);
  }
}

/* Answered later, with part of it said by the answer and the rest by the route, which is gone. */
static void test_router_answer_may_come_after_the_router_is_gone(void **state) {
  (void)state;
  Site s;
  Peer p;
  ws_handlers h;
  ws_accept how;
  char mine[] = "m";
  site_prepare(&s);
  WS_INIT(&h);
  h.on_open = on_open;
  ws_route r = route("/:name");
  r.handlers = &h;
  r.on_request = keep;
  r.user = &s;
  add(&s, r);
  world_start(&s.w);
  ask(&s, &p, WIRE_OPEN("/later", ""));
  wait_for_request(&s);
  s.w.config.on_request = NULL;
  ws_router_free(s.router); /* no other request comes */
  s.router = NULL;
  assert_string_equal(ws_request_param(s.waiting, "name", NULL), "later");
  WS_INIT(&how);
  how.user = mine;
  assert_ok(ws_request_accept(s.waiting, &how));
  peer_expect_101(&p);
  peer_expect_text(&p, "m");
  peer_drop(&p);
  site_stop(&s);
}

static void test_router_handshake_timer_runs_while_the_answer_is_awaited(void **state) {
  (void)state;
  Site s;
  Peer p;
  site_prepare(&s);
  s.w.limits.handshake_timeout_ms = 100;
  ws_route r = route("/");
  r.on_request = keep;
  r.user = &s;
  add(&s, r);
  world_start(&s.w);
  ask(&s, &p, WIRE_OPEN("/", ""));
  peer_expect_status(&p, 503, NULL, 0);
  wait_for_request(&s);
  assert_fails(WS_ERR_CLOSED, ws_request_accept(s.waiting, NULL));
  peer_drop(&p);
  site_stop(&s);
}

static void test_router_origins_are_the_routes_or_the_servers(void **state) {
  (void)state;
  Site s;
  static const char *const ours[] = {"https://a.example"};
  static const char *const any[] = {"*"};
  static const char *const servers[] = {"https://s.example"};
  site_prepare(&s);
  s.w.config.origins = servers;
  s.w.config.origin_count = 1;
  add(&s, logged(&s, "/plain"));
  ws_route r = logged(&s, "/ours");
  r.origins = ours;
  r.origin_count = 1;
  add(&s, r);
  r.pattern = "/any";
  r.origins = any;
  add(&s, r);
  world_start(&s.w);
  expect_status(&s, WIRE_OPEN("/plain", "Origin: https://s.example\r\n"), 101);
  expect_status(&s, WIRE_OPEN("/plain", "Origin: https://a.example\r\n"), 403);
  expect_status(&s, WIRE_OPEN("/plain", ""), 101);
  expect_status(&s, WIRE_OPEN("/ours", "Origin: https://a.example\r\n"), 101);
  expect_status(&s, WIRE_OPEN("/ours", "Origin: https://A.example:443\r\n"), 101);
  expect_status(&s, WIRE_OPEN("/ours", "Origin: https://s.example\r\n"), 403);
  expect_status(&s, WIRE_OPEN("/ours", "Origin: null\r\n"), 403);
  expect_status(&s, WIRE_OPEN("/ours", ""), 101);
  expect_status(&s, WIRE_OPEN("/any", "Origin: null\r\n"), 101);
  expect_status(&s, WIRE_OPEN("/none", "Origin: https://x.example\r\n"), 404);
  site_stop(&s);
}

static void call_router(ws_request *r, void *user) {
  ws_router_on_request(r, ((Site *)user)->router);
}

/* The server does not know what the function does, so its own rule comes first. */
static void test_router_behind_another_function_keeps_the_servers_origins(void **state) {
  (void)state;
  Site s;
  static const char *const any[] = {"*"};
  site_prepare(&s);
  s.w.config.on_request = call_router;
  s.w.config.user = &s;
  ws_route r = logged(&s, "/any");
  r.origins = any;
  r.origin_count = 1;
  add(&s, r);
  world_start(&s.w);
  expect_status(&s, WIRE_OPEN("/any", "Origin: https://x.example\r\n"), 403);
  expect_status(&s, WIRE_OPEN("/any", "Origin: http://localhost:9001\r\n"), 101);
  expect_status(&s, WIRE_OPEN("/none", ""), 404);
  site_stop(&s);
}

static void test_router_route_without_a_user_has_the_servers(void **state) {
  (void)state;
  Site s;
  Peer p;
  site_prepare(&s); /* whose world is at its front */
  s.w.config.on_request = call_router;
  s.w.config.user = &s;
  add(&s, route("/"));
  world_start(&s.w);
  ask(&s, &p, WIRE_OPEN("/", ""));
  peer_expect_101(&p);
  peer_send_text(&p, "hi");
  world_wait_log(&s.w, "open text:hi ");
  peer_drop(&p);
  site_stop(&s);
}

static void answer_hello(ws_request *r, void *user) {
  assert_ok(ws_request_respond(r, 200, NULL, 0, user, strlen(user)));
}

static void test_router_page_and_socket_share_a_path(void **state) {
  (void)state;
  Site s;
  Peer p;
  char hello[] = "hello";
  site_prepare(&s);
  add(&s, logged(&s, "/"));
  ws_route r = route("/");
  r.flags = WS_ROUTE_HTTP;
  r.on_request = answer_hello;
  r.user = hello;
  add(&s, r);
  world_start(&s.w);
  expect_status(&s, WIRE_OPEN("/", ""), 101);
  ask(&s, &p, WIRE_GET("/", ""));
  peer_expect_status(&p, 200, NULL, 0);
  peer_expect_bytes(&p, "hello");
  peer_expect_end(&p);
  peer_drop(&p);
  site_stop(&s);
}

static void ignore(ws_request *r, void *user) { (void)r, (void)user; }

static void test_router_plain_request_that_is_not_answered_gets_426(void **state) {
  (void)state;
  Site s;
  site_prepare(&s);
  ws_route r = logged(&s, "/");
  r.flags = WS_ROUTE_HTTP | WS_ROUTE_UPGRADE;
  r.on_request = ignore;
  add(&s, r);
  world_start(&s.w);
  expect_status(&s, WIRE_GET("/", ""), 426);
  expect_status(&s, WIRE_OPEN("/", ""), 101);
  site_stop(&s);
}

static void test_router_arguments_that_are_wrong_are_told(void **state) {
  (void)state;
  ws_router *router;
  ws_router_config config;
  ws_handlers h;
  ws_conn_config conn;
  static const char *const list[] = {"a b"};
  WS_INIT(&config);
  config.max_routes = 2;
  assert_fails(WS_ERR_INVALID, ws_router_new(&config, NULL));
  assert_ok(ws_router_new(&config, &router));
  assert_fails(WS_ERR_INVALID, ws_router_add(router, NULL));
  ws_route r = route(NULL);
  assert_fails(WS_ERR_INVALID, ws_router_add(router, &r));
  assert_fails(WS_ERR_INVALID, ws_router_add(NULL, &r));
  r = route("a");
  assert_fails(WS_ERR_INVALID, ws_router_add(router, &r));
  r = route("/");
  r.host = "a:80";
  assert_fails(WS_ERR_INVALID, ws_router_add(router, &r));
  assert_detail_has("a:80");
  r = route("/");
  r.flags = WS_ROUTE_HTTP;
  assert_fails(WS_ERR_INVALID, ws_router_add(router, &r));
  assert_detail_has("on_request");
  r = route("/");
  r.flags = 4;
  assert_fails(WS_ERR_UNSUPPORTED, ws_router_add(router, &r));
  r = route("/");
  r.subprotocols = list;
  r.subprotocol_count = 1;
  assert_fails(WS_ERR_INVALID, ws_router_add(router, &r));
  r = route("/");
  r.origins = list;
  r.origin_count = 1;
  assert_fails(WS_ERR_INVALID, ws_router_add(router, &r));
  r = route("/");
  memset(&h, 0, sizeof h);
  r.handlers = &h;
  assert_fails(WS_ERR_INVALID, ws_router_add(router, &r));
  r = route("/");
  WS_INIT(&conn);
  conn.deflate_level = 10;
  r.conn = &conn;
  assert_fails(WS_ERR_INVALID, ws_router_add(router, &r));
  r = route("/");
  assert_ok(ws_router_add(router, &r)); /* none of those was kept */
  assert_fails(WS_ERR_INVALID, ws_router_add(router, &r));
  r = route("/2");
  assert_ok(ws_router_add(router, &r));
  r = route("/3");
  assert_fails(WS_ERR_TOO_BIG, ws_router_add(router, &r));
  ws_router_free(router);
  ws_router_free(NULL);
  ws_router_on_request(NULL, NULL);
}

/* ---- credentials ---- */

static void check_password(ws_request *r, void *user) {
  char name[8] = "kept", password[8] = "kept";
  const int rc = ws_request_basic(r, name, sizeof name, password, sizeof password);
  snprintf(((Site *)user)->seen, 512, "%d %s %s", rc, name, password);
  if (rc == 1 && ws_secret_equal(name, strlen(name), "joe", 3) &
                     ws_secret_equal(password, strlen(password), "secret!", 7)) {
    return;
  }
  assert_ok(ws_request_challenge(r, "Basic realm=\"rooms\", charset=\"UTF-8\""));
}

static void expect_basic(Site *s, const char *request, int status, const char *seen) {
  Peer p;
  char head[1024];
  ask(s, &p, request);
  peer_expect_status(&p, status, head, sizeof head);
  assert_string_equal(s->seen, seen);
  if (status == 401) {
    assert_non_null(
        strstr(head, "\r\nWWW-Authenticate: Basic realm=\"rooms\", charset=\"UTF-8\"\r\n"));
    assert_non_null(strstr(head, "\r\nContent-Type: text/plain"));
  }
  peer_drop(&p);
}

static void test_request_basic_lets_in_who_knows_the_password(void **state) {
  (void)state;
  Site s;
  site_prepare(&s);
  ws_route r = route("/");
  r.on_request = check_password;
  r.user = &s;
  add(&s, r);
  world_start(&s.w);
  expect_basic(&s, WIRE_OPEN("/", "Authorization: Basic am9lOnNlY3JldCE=\r\n"), 101,
               "1 joe secret!");
  expect_basic(&s, WIRE_OPEN("/", "Authorization: Basic am9lOnNlY3JldD8=\r\n"), 401,
               "1 joe secret?");
  expect_basic(&s, WIRE_OPEN("/", ""), 401, "0 kept kept");
  expect_basic(&s, WIRE_OPEN("/", "Authorization: Bearer x\r\n"), 401, "0 kept kept");
  /* "joe:secret!!" and "joes0001:a" need a byte more than there is. */
  expect_basic(&s, WIRE_OPEN("/", "Authorization: Basic am9lOnNlY3JldCEh\r\n"), 401,
               "-8 kept kept");
  expect_basic(&s, WIRE_OPEN("/", "Authorization: Basic am9lczAwMDE6YQ==\r\n"), 401,
               "-8 kept kept");
  expect_basic(&s, WIRE_OPEN("/", "Authorization: Basic am9l\r\n"), 401, "-60 kept kept");
  site_stop(&s);
}

static void show_token(ws_request *r, void *user) {
  size_t len = 77;
  const char *token = ws_request_bearer(r, &len);
  snprintf(((Site *)user)->seen, 512, "%s %zu", token != NULL ? token : "-", len);
  assert_fails(WS_ERR_INVALID, ws_request_challenge(r, "Bearer\r\nX: y"));
  assert_fails(WS_ERR_INVALID, ws_request_challenge(r, NULL));
  assert_ok(ws_request_challenge(r, "Bearer"));
  assert_fails(WS_ERR_STATE, ws_request_challenge(r, "Bearer"));
}

static void test_request_bearer_shows_the_token(void **state) {
  (void)state;
  Site s;
  site_prepare(&s);
  ws_route r = route("/");
  r.on_request = show_token;
  r.user = &s;
  r.flags = WS_ROUTE_HTTP | WS_ROUTE_UPGRADE;
  add(&s, r);
  world_start(&s.w);
  expect_status(&s, WIRE_OPEN("/", "Authorization: Bearer mF_9.B5f-4.1JqM\r\n"), 401);
  assert_string_equal(s.seen, "mF_9.B5f-4.1JqM 15");
  expect_status(&s, WIRE_GET("/", "Authorization: Bearer a b\r\n"), 401);
  assert_string_equal(s.seen, "- 77");
  site_stop(&s);
}

static void test_request_credentials_of_nothing_are_none(void **state) {
  (void)state;
  char text[4];
  assert_fails(WS_ERR_INVALID, ws_request_basic(NULL, text, 4, text, 4));
  assert_null(ws_request_bearer(NULL, NULL));
  assert_null(ws_request_param(NULL, "a", NULL));
  assert_fails(WS_ERR_INVALID, ws_request_challenge(NULL, "Basic"));
  assert_int_equal(ws_secret_equal(NULL, 0, "", 0), 1);
  assert_int_equal(ws_secret_equal(NULL, 1, "a", 1), 0);
  assert_int_equal(ws_secret_equal("ab", 2, "ac", 2), 0);
  assert_int_equal(ws_secret_equal("ab", 2, "ab", 2), 1);
}

/* ---- threads ---- */

enum { LOOPS = 3, ROUNDS = 30 };

typedef struct Worker {
  ws_router *router;
  pthread_t thread;
} Worker;

static void *serve_and_ask(void *arg) {
  World w;
  Peer p;
  world_prepare(&w);
  w.config.on_request = ws_router_on_request;
  w.config.user = ((Worker *)arg)->router;
  world_start(&w);
  for (int i = 0; i < ROUNDS; ++i) {
    const int room = i % 3;
    peer_connect(&p, w.loop, w.port);
    peer_say(&p, room == 0   ? WIRE_OPEN("/a", "")
                 : room == 1 ? WIRE_OPEN("/x", "")
                             : WIRE_OPEN("/x/y", ""));
    if (room == 2) {
      peer_expect_status(&p, 404, NULL, 0);
    } else {
      peer_expect_101(&p);
      peer_expect_text(&p, room == 0 ? "a" : "b");
    }
    peer_drop(&p);
  }
  world_stop(&w);
  return NULL;
}

static void test_router_serves_several_loops_at_once(void **state) {
  (void)state;
  Worker workers[LOOPS];
  ws_router *router;
  ws_handlers h;
  char a[] = "a", b[] = "b";
  WS_INIT(&h);
  h.on_open = on_open;
  assert_ok(ws_router_new(NULL, &router));
  ws_route r = route("/a");
  r.handlers = &h;
  r.user = a;
  assert_ok(ws_router_add(router, &r));
  r.pattern = "/:x";
  r.user = b;
  assert_ok(ws_router_add(router, &r));
  for (int i = 0; i < LOOPS; ++i) {
    workers[i].router = router;
    assert_int_equal(pthread_create(&workers[i].thread, NULL, serve_and_ask, &workers[i]), 0);
  }
  for (int i = 0; i < LOOPS; ++i) assert_int_equal(pthread_join(workers[i].thread, NULL), 0);
  ws_router_free(router);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_router_route_sees_its_parameters_and_accepts_by_default),
      cmocka_unit_test(test_router_connections_have_the_callbacks_and_user_of_their_route),
      cmocka_unit_test(test_router_is_never_the_user_of_a_connection),
      cmocka_unit_test(test_router_answer_may_come_after_the_router_is_gone),
      cmocka_unit_test(test_router_handshake_timer_runs_while_the_answer_is_awaited),
      cmocka_unit_test(test_router_origins_are_the_routes_or_the_servers),
      cmocka_unit_test(test_router_behind_another_function_keeps_the_servers_origins),
      cmocka_unit_test(test_router_route_without_a_user_has_the_servers),
      cmocka_unit_test(test_router_page_and_socket_share_a_path),
      cmocka_unit_test(test_router_plain_request_that_is_not_answered_gets_426),
      cmocka_unit_test(test_router_arguments_that_are_wrong_are_told),
      cmocka_unit_test(test_request_basic_lets_in_who_knows_the_password),
      cmocka_unit_test(test_request_bearer_shows_the_token),
      cmocka_unit_test(test_request_credentials_of_nothing_are_none),
      cmocka_unit_test(test_router_serves_several_loops_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
