/*
 * Every allocation of routing, answering with limits of one's own and serving files fails in turn:
 * a call says NOMEM, or the request gets a 5xx or loses its connection; nothing leaks, nothing
 * crashes.
 */
#include "peer.h"
#include "scarce.h"

/* 1: everything that was expected happened. */
typedef int (*Scenario)(void);

/* With fail_on all from the n-th on fail, else that one. */
static void fail_each_allocation_of(Scenario scenario) {
  for (scarce.fail_on = 0; scarce.fail_on < 2; ++scarce.fail_on) {
    unsigned long n = 0;
    do {
      scarce.fail_at = ++n;
      scarce.seen = 0;
      scarce.failures = 0;
      const int complete = scenario();
      if (scarce.live != 0)
        fail_msg("%lu blocks leaked when allocation %lu failed", scarce.live, n);
      if (scarce.failures == 0 && !complete) fail_msg("incomplete without a failure");
      assert_true(n < 10000);
    } while (scarce.failures != 0);
    scarce.fail_at = 0;
    assert_true(n > 3);
  }
}

/* NOMEM is the only thing that may go wrong. */
static int went_well(int rc) {
  if (rc >= 0) return 1;
  if (rc != WS_ERR_NOMEM) fail_msg("%s: %s", ws_strerror(rc), ws_last_detail());
  return 0;
}

static ws_files *files;
static int tried; /* what the callback of a route did */

static void accept_route(ws_request *r, void *user) {
  char name[64], password[64];
  ws_conn_config conn;
  ws_accept how;
  (void)user;
  tried = went_well(ws_request_basic(r, name, sizeof name, password, sizeof password)) &&
          ws_request_param(r, "a_parameter_with_a_long_name", NULL) != NULL;
  WS_INIT(&conn);
  WS_INIT(&how);
  conn.max_message_bytes = 1000;
  how.conn = &conn;
  if (!tried || !went_well(ws_request_accept(r, &how))) {
    (void)went_well(ws_request_challenge(r, "Basic realm=\"a realm of some length\""));
    tried = 0;
  }
}

static void serve_file(ws_request *r, void *user) {
  (void)user;
  tried = went_well(ws_files_answer(files, r, NULL));
}

static int add_routes(ws_router *router) {
  static const char *const list[] = {"a-subprotocol-with-a-long-name"};
  static const char *const origins[] = {"https://an-origin.example.com"};
  ws_conn_config conn;
  ws_handlers h;
  ws_route r;
  WS_INIT(&conn);
  WS_INIT(&h);
  WS_INIT(&r);
  r.pattern = "/a literal of some length/:a_parameter_with_a_long_name/*rest_of_the_path";
  r.host = "*.a-host-of-some-length.example.com";
  r.conn = &conn;
  r.handlers = &h;
  r.subprotocols = list;
  r.subprotocol_count = 1;
  r.origins = origins;
  r.origin_count = 1;
  r.on_request = accept_route;
  if (!went_well(ws_router_add(router, &r))) return 0;
  WS_INIT(&r);
  r.pattern = "/*all_other_paths_that_there_are";
  r.flags = WS_ROUTE_HTTP;
  r.on_request = serve_file;
  return went_well(ws_router_add(router, &r));
}

/* An engine is enough: it has the request, and no socket to wait for. */
static int ask(const ws_router *router, const char *request, size_t len) {
  ws_engine *e;
  ws_event ev;
  ws_slice out[4];
  int rc, ended = 0, complete = 0;
  WS_INIT(&ev);
  tried = 0;
  if (!went_well(ws_engine_new_server(NULL, &e))) return 0;
  if (went_well(ws_engine_feed(e, request, len))) {
    while ((rc = ws_engine_next(e, &ev)) == 1) {
      if (ev.type == WS_EV_REQUEST)
        ws_router_on_request(ws_engine_request(e), (void *)(uintptr_t)router);
      if (ev.type == WS_EV_CLOSED) ++ended;
      if (ev.type == WS_EV_OPEN) complete = tried;
    }
    assert_true(rc == 0 || rc == WS_ERR_NOMEM);
    assert_true(ended <= 1);
    if (ended && tried && ws_engine_output(e, out, 4) != 0) {
      complete = memcmp(out[0].data, "HTTP/1.1 200 ", 13) == 0;
    }
  }
  ws_engine_free(e);
  return complete;
}

static int routed_upgrade(void) {
  static const char kRequest[] =
      "GET /a%20literal%20of%20some%20length/a%20value%20of%20some%20length/and/the/rest/of/it "
      "HTTP/1.1\r\nHost: x.a-host-of-some-length.example.com\r\nUpgrade: websocket\r\n"
      "Connection: Upgrade\r\nSec-WebSocket-Key: " SAMPLE_KEY
      "\r\nSec-WebSocket-Version: 13\r\n"
      "Authorization: Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==\r\n"
      "Origin: https://an-origin.example.com\r\n\r\n";
  ws_router *router;
  int complete = 0;
  if (!went_well(ws_router_new(NULL, &router))) return 0;
  if (add_routes(router)) complete = ask(router, kRequest, sizeof kRequest - 1);
  ws_router_free(router);
  return complete;
}

static int routed_file(const char *request, size_t len) {
  ws_router *router = NULL;
  ws_files_config config;
  int complete = 0;
  WS_INIT(&config);
  config.directory = "/proc/self/task"; /* has no file of that name */
  config.index = "an-index-of-some-length.html";
  config.cache_control = "public, max-age=31536000, immutable";
  files = NULL;
  if (went_well(ws_router_new(NULL, &router)) && add_routes(router) &&
      went_well(ws_files_new(&config, &files)) &&
      went_well(ws_files_add(files, "/a/path/of/some/length/", NULL, "content of a file", 17)) &&
      went_well(ws_files_add(files, "/a/path/of/some/length/x.js", NULL, "content", 7))) {
    complete = ask(router, request, len);
  }
  ws_files_unref(files);
  ws_router_free(router);
  return complete;
}

static int file_in_memory(void) {
  static const char kRequest[] = WIRE_GET("/a/path/of/some/%6cength/", "");
  return routed_file(kRequest, sizeof kRequest - 1);
}

#define SCENARIO_TEST(name, scenario)  \
  static void name(void **state) {     \
    (void)state;                       \
    fail_each_allocation_of(scenario); \
  }

SCENARIO_TEST(test_alloc_failure_in_a_routed_upgrade_is_reported_or_ends_it, routed_upgrade)
SCENARIO_TEST(test_alloc_failure_in_a_file_from_memory_is_reported_or_ends_it, file_in_memory)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_alloc_failure_in_a_routed_upgrade_is_reported_or_ends_it),
      cmocka_unit_test(test_alloc_failure_in_a_file_from_memory_is_reported_or_ends_it),
  };
  return cmocka_run_group_tests_name("alloc_failure_accepting", tests, scarce_set, NULL);
}
