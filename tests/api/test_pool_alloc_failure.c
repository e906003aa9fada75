/*
 * Every allocation fails in turn while a pool starts, listens, serves and stops, and while sockets
 * are offered: NOMEM, nothing leaks, nobody waits for ever.
 */
#include "peer.h"
#include "scarce.h"

#include <sys/socket.h>

static int went_well(int rc) {
  if (rc >= 0) return 1;
  if (rc != WS_ERR_NOMEM) fail_msg("%s: %s", ws_strerror(rc), ws_last_detail());
  return 0;
}

static void nothing(ws_loop *l, void *arg, int cancelled) { (void)l, (void)arg, (void)cancelled; }

static int serve(ws_spread spread) {
  ws_pool_config pc;
  ws_listen_config lc;
  ws_pool *p = NULL;
  ws_pool_listener *ln = NULL;
  int complete = 0;
  WS_INIT(&pc);
  WS_INIT(&lc);
  pc.threads = 2;
  lc.host = "127.0.0.1";
  if (!went_well(ws_pool_new(&pc, &p))) {
    assert_null(p);
    return 0;
  }
  if (went_well(ws_pool_listen(p, &lc, spread, &ln))) {
    Peer a, b;
    peer_connect(&a, NULL, ws_pool_port(ln));
    peer_connect(&b, NULL, ws_pool_port(ln));
    complete = went_well(ws_pool_post(p, nothing, NULL));
    complete &= went_well(ws_pool_shutdown(p, NULL, NULL, NULL));
    if (complete) assert_ok(ws_pool_wait(p));
    peer_drop(&a);
    peer_drop(&b);
  } else {
    assert_null(ln);
  }
  assert_ok(ws_pool_free(p));
  return complete;
}

static void on_taken(void *user) { (void)user; }

static int offer(void) {
  ws_loop *l = NULL;
  ws_server *s = NULL;
  ws_listener *ln = NULL;
  ws_handover *h = NULL;
  ws_listen_config lc;
  ws_handover_config c;
  int ok;
  WS_INIT(&lc);
  WS_INIT(&c);
  lc.host = "127.0.0.1";
  if (!went_well(ws_loop_new(NULL, &l))) return 0;
  ok = went_well(ws_server_new(l, NULL, &s)) && went_well(ws_server_listen(s, &lc, &ln));
  if (ok) {
    c.path = "@libws-offer-alloc-failure";
    c.listeners = &ln;
    c.listener_count = 1;
    c.on_taken = on_taken;
    ok = went_well(ws_handover_offer(l, &c, &h));
    if (!ok) assert_null(h);
  }
  assert_ok(ws_loop_free(l));
  return ok;
}

static int handover_serve(void) { return serve(WS_SPREAD_HANDOVER); }
static int reuseport_serve(void) { return serve(WS_SPREAD_REUSEPORT); }

static void fail_each_allocation_of(int (*scenario)(void)) {
  for (scarce.fail_on = 0; scarce.fail_on < 2; ++scarce.fail_on) {
    unsigned long n = 0;
    int failed;
    do {
      scarce.fail_at = ++n;
      scarce.seen = 0;
      scarce.failures = 0;
      int complete = scenario();
      failed = scarce.failures;
      scarce.fail_at = 0;
      if (scarce.live != 0)
        fail_msg("%lu blocks leaked when allocation %lu failed", scarce.live, n);
      if (failed == 0) assert_true(complete);
      assert_true(n < 10000);
    } while (failed != 0);
    assert_true(n > 3);
  }
}

static void test_alloc_failure_in_a_pool_that_hands_over(void **state) {
  (void)state;
  fail_each_allocation_of(handover_serve);
}

static void test_alloc_failure_in_a_pool_with_reuseport(void **state) {
  (void)state;
  fail_each_allocation_of(reuseport_serve);
}

static void test_alloc_failure_in_an_offer(void **state) {
  (void)state;
  fail_each_allocation_of(offer);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_alloc_failure_in_a_pool_that_hands_over),
      cmocka_unit_test(test_alloc_failure_in_a_pool_with_reuseport),
      cmocka_unit_test(test_alloc_failure_in_an_offer),
  };
  return cmocka_run_group_tests_name("pool_alloc_failure", tests, scarce_set, NULL);
}
