/*
 * Every allocation of a client fails in turn: the N-th alone, and all from the N-th on, for each N
 * until a run needs fewer.  Calls report NOMEM, or on_down says how it ended; nothing leaks,
 * nothing crashes, and the run after it works.
 */
#include "echo.h"
#include "peer.h"

#include <sched.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- the hook ---- */

/* The thread of a server that is not under test: its allocations do not fail. */
static __thread int spared;

typedef union Block {
  int spared; /* who allocated it */
  long double align;
} Block;

static unsigned long seen, fail_at;
static long live;
static int fail_on, failures;

static int fails(void) {
  if (spared) return 0;
  unsigned long n = __atomic_add_fetch(&seen, 1, __ATOMIC_RELAXED);
  if (fail_at == 0 || n < fail_at || (n > fail_at && !fail_on)) return 0;
  __atomic_add_fetch(&failures, 1, __ATOMIC_RELAXED);
  return 1;
}

static void *resize(void *user, void *ptr, size_t bytes) {
  Block *b = ptr != NULL ? (Block *)ptr - 1 : NULL;
  (void)user;
  if (bytes == 0) {
    if (b != NULL && !b->spared) __atomic_sub_fetch(&live, 1, __ATOMIC_RELAXED);
    free(b);
    return NULL;
  }
  if (fails()) return NULL;
  int is_new = b == NULL;
  b = realloc(b, sizeof *b + bytes);
  if (b == NULL) return NULL;
  if (is_new) b->spared = spared;
  if (is_new && !spared) __atomic_add_fetch(&live, 1, __ATOMIC_RELAXED);
  return b + 1;
}

static int set_hook(void **state) {
  ws_allocator a;
  (void)state;
  WS_INIT(&a);
  a.resize = resize;
  return ws_set_allocator(&a);
}

static long live_now(void) { return __atomic_load_n(&live, __ATOMIC_RELAXED); }

/* A look-up that was given up ends on its own thread. */
static void expect_live(long want, unsigned long n) {
  uint64_t end = clock_ms() + PATIENCE_MS;
  while (live_now() != want && clock_ms() < end) sched_yield();
  if (live_now() != want) {
    fail_msg("%ld blocks leaked when allocation %lu failed", live_now() - want, n);
  }
}

/* 1: everything that was expected happened. */
typedef int (*Scenario)(void *arg);

static void fail_each_allocation_of(Scenario scenario, void *arg) {
  long before = live_now();
  for (fail_on = 0; fail_on < 2; ++fail_on) {
    unsigned long n = 0;
    int failed;
    do {
      fail_at = ++n;
      seen = 0;
      failures = 0;
      int complete = scenario(arg);
      expect_live(before, n);
      failed = failures;
      fail_at = 0;
      failures = 0;
      if (failed == 0 && !complete) fail_msg("incomplete without a failure");
      if (failed != 0 && n % 16 == 1) {
        assert_int_equal(scenario(arg), 1);
        expect_live(before, n);
      }
      assert_true(n < 100000);
    } while (failed != 0);
    assert_true(n > 3);
  }
}

/* NOMEM is the only thing that may go wrong. */
static int went_well(int rc) {
  if (rc >= 0) return 1;
  if (rc != WS_ERR_NOMEM && rc != WS_ERR_CLOSED) {
    fail_msg("%s: %s", ws_strerror(rc), ws_last_detail());
  }
  return 0;
}

/* ---- a client with callbacks, against a server on the same loop ---- */

typedef struct Net {
  ws_loop *loop;
  ws_client *client;
  size_t size; /* of the message */
  int attempts, opened, messages, closed, downs, ended, clean;
  int error, status; /* of the last on_down */
} Net;

typedef struct Plan {
  const char *host;
  size_t size;
  int refuse;
  ws_tls *server_tls;
} Plan;

static void served_message(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  (void)user;
  if (!went_well(ws_conn_send(c, op, data, len, 0))) ws_conn_abort(c);
}

static void refuse_request(ws_request *r, void *user) {
  static const ws_header why = {"X-Why", "because"};
  (void)user;
  (void)went_well(ws_request_respond(r, 401, &why, 1, "no entry", 8));
}

static void net_attempt(ws_client *cl, uint32_t number, void *user) {
  static const ws_header fresh = {"Authorization", "Bearer a token that needs memory of its own"};
  (void)number;
  ++((Net *)user)->attempts;
  (void)went_well(ws_client_set_headers(cl, &fresh, 1));
}

static void net_open(ws_conn *c, void *user) {
  Net *net = user;
  uint8_t *data = calloc(1, net->size);
  (void)c;
  ++net->opened;
  assert_int_equal(ws_client_response_status(net->client), 101);
  (void)ws_client_response_header(net->client, "Upgrade", NULL);
  if (!went_well(ws_client_send(net->client, WS_OP_BINARY, data, net->size, 0))) {
    (void)went_well(ws_client_close(net->client, 1001, NULL));
  }
  free(data);
}

static void net_message(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  Net *net = user;
  (void)op, (void)data, (void)len;
  if (++net->messages == 2 && !went_well(ws_client_close(net->client, 1000, "enough"))) {
    ws_conn_abort(c);
  }
}

static void net_close(ws_conn *c, const ws_close_info *how, void *user) {
  (void)c;
  ++((Net *)user)->closed;
  assert_non_null(how->detail);
}

static void net_down(ws_client *cl, const ws_close_info *why, uint32_t retry_in_ms, void *user) {
  Net *net = user;
  (void)cl;
  ++net->downs;
  net->ended = retry_in_ms == WS_NEVER;
  net->clean = (why->flags & WS_CLOSE_CLEAN) != 0;
  net->error = why->error;
  net->status = why->http_status;
  if (why->error != WS_OK) assert_true(why->detail[0] != '\0');
}

/* The port, or 0. */
static uint16_t serve(Net *net, const Plan *plan) {
  ws_handlers h;
  ws_server_config c;
  ws_listen_config lc;
  ws_server *server;
  ws_listener *ln;
  WS_INIT(&h);
  WS_INIT(&c);
  WS_INIT(&lc);
  h.on_message = served_message;
  c.handlers = &h;
  if (plan->refuse) c.on_request = refuse_request;
  lc.host = "127.0.0.1";
  lc.tls = plan->server_tls;
  if (!went_well(ws_server_new(net->loop, &c, &server))) return 0;
  if (!went_well(ws_server_listen(server, &lc, &ln))) return 0;
  return ws_listener_port(ln);
}

static int trust(const ws_tls *server, ws_tls **out) {
  ws_tls_config c;
  WS_INIT(&c);
  c.ca_pem = ws_tls_certificate(server);
  return ws_tls_new(&c, out);
}

static int connect_client(Net *net, const Plan *plan, uint16_t port) {
  static const char *const protocols[] = {"chat", "superchat"};
  static const ws_header header = {"X-Name", "a long enough value to need memory"};
  ws_client_config c;
  ws_handlers h;
  char url[128];
  WS_INIT(&c);
  WS_INIT(&h);
  h.on_open = net_open;
  h.on_message = net_message;
  h.on_close = net_close;
  c.handlers = &h;
  c.user = net;
  c.headers = &header;
  c.header_count = 1;
  c.subprotocols = protocols;
  c.subprotocol_count = 2;
  c.retry_count = 2;
  c.retry_min_ms = c.retry_max_ms = 1;
  c.queue_bytes = 1000000;
  c.on_attempt = net_attempt;
  c.on_down = net_down;
  snprintf(url, sizeof url, "%s://user:password@%s:%d/a/target/that/needs/memory?and=a%%20query",
           plan->server_tls != NULL ? "wss" : "ws", plan->host, port);
  c.url = url;
  /* Of its own, because it keeps the tickets of its sessions. */
  if (plan->server_tls != NULL && !went_well(trust(plan->server_tls, &c.tls))) return 0;
  int ok = went_well(ws_client_new(net->loop, &c, &net->client));
  ws_tls_unref(c.tls);
  return ok && went_well(ws_client_send(net->client, WS_OP_TEXT, "queued", 6, 0));
}

/* Until it has ended, or nothing has happened for a while: the server may have lost its memory. */
static void run_net(Net *net) {
  int seen_calls = -1;
  uint64_t quiet_since = clock_ms();
  while (!net->ended) {
    int calls = net->attempts + net->opened + net->messages + net->closed + net->downs;
    if (calls != seen_calls || failures == 0) quiet_since = clock_ms();
    seen_calls = calls;
    if (clock_ms() - quiet_since > 300) break;
    int rc = ws_loop_dispatch(net->loop, 5);
    assert_true(rc >= 0 || rc == WS_ERR_NOMEM);
  }
}

static int client_scenario(void *arg) {
  const Plan *plan = arg;
  Net net;
  memset(&net, 0, sizeof net);
  net.size = plan->size;
  if (!went_well(ws_loop_new(NULL, &net.loop))) return 0;
  uint16_t port = serve(&net, plan);
  int started = port != 0 && connect_client(&net, plan, port);
  if (started) run_net(&net);
  assert_ok(ws_loop_free(net.loop));
  assert_int_equal(net.opened, net.closed);
  assert_int_equal(net.attempts, net.downs);
  if (!started) return 0;
  if (plan->refuse) return net.status == 401 && net.downs == 1;
  return net.messages == 2 && net.clean && net.downs == 1;
}

/* bad: 245 */
static void test_alloc_failure_in_client_is_reported_or_ends_it(void **state) {
  Plan plan = {"127.0.0.1", 300, 0, NULL};
  (void)state;
  if (faults_are_on()) skip();
  fail_each_allocation_of(client_scenario, &plan);
}

/* bad: 245 */
static void test_alloc_failure_in_client_with_a_big_message(void **state) {
  Plan plan = {"127.0.0.1", 300000, 0, NULL};
  (void)state;
  if (faults_are_on()) skip();
  fail_each_allocation_of(client_scenario, &plan);
}

/* bad: 245 */
static void test_alloc_failure_in_client_of_a_name(void **state) {
  Plan plan = {"localhost", 10, 0, NULL};
  (void)state;
  if (faults_are_on()) skip();
  fail_each_allocation_of(client_scenario, &plan);
}

/* bad: 245 */
static void test_alloc_failure_in_refused_client_is_reported_or_ends_it(void **state) {
  Plan plan = {"127.0.0.1", 10, 1, NULL};
  (void)state;
  if (faults_are_on()) skip();
  fail_each_allocation_of(client_scenario, &plan);
}

/* bad: 245 */
static void test_alloc_failure_in_client_over_tls(void **state) {
  Plan plan = {"127.0.0.1", 20000, 0, NULL};
  (void)state;
  if (faults_are_on()) skip();
  assert_ok(ws_tls_new_self_signed("localhost", &plan.server_tls));
  fail_each_allocation_of(client_scenario, &plan);
  ws_tls_unref(plan.server_tls);
}

static int tls_scenario(void *arg) {
  ws_tls *own, *trusting;
  (void)arg;
  if (!went_well(ws_tls_new_self_signed("example.org", &own))) return 0;
  int ok = went_well(trust(own, &trusting));
  if (ok) ws_tls_unref(trusting);
  ws_tls_unref(own);
  return ok;
}

/* bad: 245 */
static void test_alloc_failure_in_tls_settings_is_reported(void **state) {
  (void)state;
  fail_each_allocation_of(tls_scenario, NULL);
}

/* ---- the blocking client, against a server that has memory ---- */

static int echoed(ws_sync *s, size_t size) {
  uint8_t *data = calloc(1, size);
  ws_opcode op;
  const void *got;
  size_t len = 0;
  int ok = went_well(ws_sync_send(s, WS_OP_BINARY, data, size)) &&
           went_well(ws_sync_recv(s, PATIENCE_MS, &op, &got, &len));
  if (ok) assert_bytes(got, len, data, size);
  free(data);
  return ok;
}

static int sync_scenario(void *arg) {
  Echo *e = arg;
  ws_sync *s = NULL;
  if (!went_well(ws_sync_connect(e->url, NULL, &s))) {
    assert_null(s);
    return 0;
  }
  int ok = echoed(s, 300) && echoed(s, 300000);
  int rc = ws_sync_close(s, 1000, "enough");
  if (rc != WS_ERR_CANCELLED) ok = went_well(rc) && ok; /* aborted for a message it had to lose */
  if (rc == WS_OK) assert_int_equal(ws_sync_how(s)->flags, WS_CLOSE_CLEAN);
  ws_sync_free(s);
  return ok && rc == WS_OK;
}

static void spare_this_thread(ws_loop *l, void *arg, int cancelled) {
  (void)l, (void)arg, (void)cancelled;
  spared = 1;
}

/* bad: 245 */
static void test_alloc_failure_in_sync_is_reported_or_ends_it(void **state) {
  Echo e;
  (void)state;
  if (faults_are_on()) skip();
  spared = 1;
  echo_prepare(&e);
  echo_start(&e);
  assert_ok(ws_loop_post(e.loop, spare_this_thread, NULL));
  spared = 0;
  fail_each_allocation_of(sync_scenario, &e);
  echo_stop(&e);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_alloc_failure_in_client_is_reported_or_ends_it),
      cmocka_unit_test(test_alloc_failure_in_client_with_a_big_message),
      cmocka_unit_test(test_alloc_failure_in_client_of_a_name),
      cmocka_unit_test(test_alloc_failure_in_refused_client_is_reported_or_ends_it),
      cmocka_unit_test(test_alloc_failure_in_client_over_tls),
      cmocka_unit_test(test_alloc_failure_in_tls_settings_is_reported),
      cmocka_unit_test(test_alloc_failure_in_sync_is_reported_or_ends_it),
  };
  return cmocka_run_group_tests_name("client_alloc_failure", tests, set_hook, NULL);
}
