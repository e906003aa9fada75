/*
 * Who ends it decides what comes next: ws_client_close() in every state, ws_conn_close(),
 * ws_conn_abort(), the peer; and a server that goes away and comes back many times.
 */
#include "client_at.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>

#define WITH_CALL(f) cmocka_unit_test_setup_teardown(f, call_setup, call_teardown)

static long live; /* blocks allocated */

static void *resize(void *user, void *ptr, size_t bytes) {
  (void)user;
  if (bytes == 0) {
    if (ptr != NULL) __atomic_fetch_sub(&live, 1, __ATOMIC_RELAXED);
    free(ptr);
    return NULL;
  }
  if (ptr == NULL) __atomic_fetch_add(&live, 1, __ATOMIC_RELAXED);
  return realloc(ptr, bytes);
}

static int set_hook(void **state) {
  ws_allocator a;
  (void)state;
  WS_INIT(&a);
  a.resize = resize;
  return ws_set_allocator(&a);
}

static int count_descriptors(void) {
  int n = 0;
  DIR *dir = opendir("/proc/self/fd");
  assert_non_null(dir);
  while (readdir(dir) != NULL) ++n;
  closedir(dir);
  return n;
}

/* ---- ws_client_close() in every state ---- */

static void test_client_close_in_every_state_is_the_end(void **state) {
  FOR_EACH_STATE(at) {
    Call *call = fresh_call(state);
    Caller *c = &call->c;
    bring_to(call, at);
    int attempts = c->attempts, downs = c->downs;
    assert_ok(ws_client_close(c->client, 4000, "enough"));
    assert_ok(ws_client_close(c->client, 4000, "enough")); /* harmless */
    assert_string_equal(c->log, "");                       /* not from inside the call */
    assert_int_equal(ws_client_send(c->client, WS_OP_TEXT, "x", 1, 0), WS_ERR_CLOSED);
    if (at == OPEN) {
      assert_int_equal(ws_client_retry_now(c->client), WS_OK);
      peer_expect_close(&call->p, 4000);
      peer_send_close(&call->p, 4000, NULL);
      peer_drop(&call->p);
    }
    if (at != IDLE) caller_wait_down(c, downs + 1);
    const char *want = at == OPEN   ? "close:4000/4000/0 down:0/0/never "
                       : at == IDLE ? ""
                                    : "down:-10/0/never ";
    if (strcmp(c->log, want) != 0) fail_msg("%s: \"%s\", not \"%s\"", at_name(at), c->log, want);
    expect_nothing_told(c);
    assert_int_equal(c->attempts, attempts);
    assert_null(ws_client_conn(c->client));
    if (call->p.fd >= 0) peer_expect_gone(&call->p);
  }
}

/* What may not be sent may not be asked for, whether it would be sent or not. */
static void test_client_close_with_a_bad_code_or_reason_changes_nothing(void **state) {
  static const uint16_t bad[] = {1, 999, 1004, 1005, 1006, 1015, 1016, 2999, 5000, 65535};
  char long_reason[125];
  memset(long_reason, 'r', sizeof long_reason);
  long_reason[124] = '\0';
  FOR_EACH_STATE(at) {
    Call *call = fresh_call(state);
    Caller *c = &call->c;
    bring_to(call, at);
    for (size_t i = 0; i < COUNT_OF(bad); ++i) {
      int rc = ws_client_close(c->client, bad[i], NULL);
      if (rc != WS_ERR_INVALID) fail_msg("%s: code %u gave %d", at_name(at), bad[i], rc);
    }
    int rc = ws_client_close(c->client, 1000, long_reason);
    if (rc != WS_ERR_INVALID) fail_msg("%s: a reason of 124 bytes gave %d", at_name(at), rc);
    rc = ws_client_close(c->client, 1000, "caf\xC3");
    if (rc != WS_ERR_INVALID) fail_msg("%s: a reason that is not UTF-8 gave %d", at_name(at), rc);
    rc = ws_client_close(c->client, 0, "a reason needs a code");
    if (rc != WS_ERR_INVALID) fail_msg("%s: a reason without a code gave %d", at_name(at), rc);
    run_for(c->loop, 3);
    assert_null(strstr(c->log, "down"));
    if (at == OPEN) {
      peer_send_text(&call->p, "still open");
      caller_wait_messages(c, 1);
    }
  }
}

static void test_client_close_codes_that_may_be_sent_are_taken(void **state) {
  static const uint16_t good[] = {0, 1000, 1003, 1007, 1010, 1014, 3000, 4999};
  char reason[124];
  memset(reason, 'r', sizeof reason);
  reason[123] = '\0';
  for (size_t i = 0; i < COUNT_OF(good); ++i) {
    for (At at = SHAKING; at <= WAITING; at = (At)(at + 1)) {
      Call *call = fresh_call(state);
      bring_to(call, at);
      assert_ok(ws_client_close(call->c.client, good[i], good[i] != 0 ? reason : NULL));
      if (at == OPEN) {
        peer_expect_close(&call->p, good[i]);
        peer_send_close(&call->p, 1000, NULL);
        peer_drop(&call->p);
      }
      caller_wait_log(&call->c, "/never ");
    }
  }
}

static void test_client_close_while_closing_waits_for_the_same_end(void **state) {
  Call *call = *state;
  retry_fast(call, WS_NEVER);
  call->c.limits.close_timeout_ms = 30;
  call_open(call);
  assert_ok(ws_conn_close(call->c.conn, 1001, NULL));
  assert_ok(ws_client_close(call->c.client, 1000, NULL));
  caller_wait_down(&call->c, 1); /* the peer does not answer */
  caller_expect_log(&call->c, "attempt:1 open close:1006/1001/-9 down:-9/0/never ");
  expect_nothing_told(&call->c);
}

/* It is told at once, although TCP goes on until the peer ends it. */
static void test_client_close_after_the_peer_closed_ends_the_wait(void **state) {
  Call *call = *state;
  call->c.config.retry_count = WS_NEVER;
  call->c.config.retry_min_ms = call->c.config.retry_max_ms = 1000000;
  call_open(call);
  peer_send_close(&call->p, 1001, "bye");
  caller_wait_down(&call->c, 1);
  peer_expect_close(&call->p, 1001);
  assert_ok(ws_client_close(call->c.client, 1000, NULL));
  caller_wait_down(&call->c, 2);
  caller_expect_log(&call->c, "attempt:1 open close:1001/1001/0 down:0/0/retry down:-10/0/never ");
  expect_nothing_told(&call->c);
}

static const char *close_at;
static void close_inside(Caller *c, const char *event, ws_conn *conn) {
  (void)conn;
  if (strcmp(event, close_at) == 0) assert_ok(ws_client_close(c->client, 1000, NULL));
}

static void test_client_close_inside_every_callback_is_the_end(void **state) {
  static const struct {
    const char *at, *want;
  } cases[] = {
      {"attempt", "attempt:1 down:-10/0/never "},
      {"open", "attempt:1 open close:1000/1000/0 down:0/0/never "},
      {"message", "attempt:1 open text:one close:1000/1000/0 down:0/0/never "},
      {"close", "attempt:1 open text:one text:two close:1001/1001/0 down:0/0/never "},
      {"down",
       "attempt:1 open text:one text:two close:1001/1001/0 down:0/0/retry "
       "down:-10/0/never "},
  };
  for (size_t i = 0; i < COUNT_OF(cases); ++i) {
    Call *call = fresh_call(state);
    retry_fast(call, WS_NEVER);
    call->c.config.retry_min_ms = call->c.config.retry_max_ms = 1000;
    close_at = cases[i].at;
    call->c.on = close_inside;
    caller_start(&call->c);
    if (i > 0) {
      int ours = i < 3;
      target_welcome(&call->t, &call->p);
      if (i != 1) peer_send_text(&call->p, "one");
      if (i != 1) peer_send_text(&call->p, "two");
      if (!ours) peer_send_close(&call->p, 1001, NULL);
      peer_expect_close(&call->p, ours ? 1000 : 1001);
      if (ours) peer_send_close(&call->p, 1000, NULL);
      peer_drop(&call->p);
    }
    caller_wait_log(&call->c, "/never ");
    caller_expect_log(&call->c, cases[i].want);
    expect_nothing_told(&call->c);
  }
}

/* ---- ws_conn_close(), ws_conn_abort(), the peer ---- */

static void test_client_conn_close_by_the_application_is_the_end(void **state) {
  Call *call = *state;
  retry_fast(call, WS_NEVER);
  call_open(call);
  assert_ptr_equal(ws_client_conn(call->c.client), call->c.conn);
  assert_ok(ws_conn_close(call->c.conn, 1000, NULL));
  peer_expect_close(&call->p, 1000);
  peer_send_close(&call->p, 1000, NULL);
  peer_drop(&call->p);
  caller_wait_down(&call->c, 1);
  caller_expect_log(&call->c, "attempt:1 open close:1000/1000/0 down:0/0/never ");
  expect_nothing_told(&call->c);
}

static void test_client_conn_abort_by_the_application_is_the_end(void **state) {
  Call *call = *state;
  retry_fast(call, WS_NEVER);
  call_open(call);
  ws_conn_abort(call->c.conn);
  caller_wait_down(&call->c, 1);
  caller_expect_log(&call->c, "attempt:1 open close:1006/0/-10 down:-10/0/never ");
  peer_expect_gone(&call->p);
  expect_nothing_told(&call->c);
}

static void test_client_end_by_the_peer_is_retried(void **state) {
  static const char *const wants[] = {
      "close:1001/1001/0 down:0/0/retry ",    "close:1000/1000/0 down:0/0/retry ",
      "close:1005/1005/0 down:0/0/retry ",    "close:1006/0/-23 down:-23/0/retry ",
      "close:1006/0/-23 down:-23/0/retry ",   "close:1006/1002/-80 down:-80/0/retry ",
      "close:1006/1007/-81 down:-81/0/retry "};
  static const uint16_t answers[] = {1001, 1000, 0, 0, 0, 1002, 1007};
  Call *call = *state;
  call->c.config.retry_count = WS_NEVER;
  call->c.config.retry_min_ms = call->c.config.retry_max_ms = 1000000;
  caller_start(&call->c);
  for (int i = 0; i < (int)COUNT_OF(wants); ++i) {
    char want[128];
    target_welcome(&call->t, &call->p);
    caller_wait_open(&call->c, i + 1);
    switch (i) {
      case 0: peer_send_close(&call->p, 1001, "bye"); break;
      case 1: peer_send_close(&call->p, 1000, NULL); break;
      case 2: peer_send_close(&call->p, 0, NULL); break;
      case 3: break;
      case 4: peer_reset(&call->p); break;
      case 5: peer_send_frame(&call->p, 0x83, "x", 1); break;
      default: peer_send_frame(&call->p, FIN_TEXT, "\xff", 1); break;
    }
    if (i < 3 || i > 4) peer_expect_close(&call->p, answers[i]);
    peer_drop(&call->p);
    caller_wait_down(&call->c, i + 1);
    snprintf(want, sizeof want, "attempt:%d open %s", i + 1, wants[i]);
    caller_expect_log(&call->c, want);
    assert_ok(ws_client_retry_now(call->c.client));
  }
}

/* ---- a server that comes and goes ---- */

typedef struct Host {
  ws_server *server;
  int opened;
} Host;

static void host_opened(ws_conn *c, void *user) {
  (void)c;
  ++((Host *)user)->opened;
}

static void host_start(Host *h, ws_loop *loop, uint16_t port) {
  ws_server_config c;
  ws_handlers handlers;
  ws_listen_config lc;
  WS_INIT(&c);
  WS_INIT(&handlers);
  WS_INIT(&lc);
  handlers.on_open = host_opened;
  c.handlers = &handlers;
  c.user = h;
  lc.host = "127.0.0.1";
  lc.port = port;
  assert_ok(ws_server_new(loop, &c, &h->server));
  assert_ok(ws_server_listen(h->server, &lc, NULL));
}

static void test_client_server_restarted_100_times_is_found_each_time(void **state) {
  enum { ROUNDS = 100, WARM = 20 };
  Call *call = *state;
  Caller *c = &call->c;
  Host host = {NULL, 0};
  int descriptors = 0;
  long blocks = 0;
  target_stop(&call->t); /* its port is free for the server now */
  retry_fast(call, WS_NEVER);
  caller_start(c);
  for (int i = 1; i <= ROUNDS; ++i) {
    uint64_t end = clock_ms() + PATIENCE_MS;
    host_start(&host, c->loop, call->t.port);
    caller_wait_open(c, i);
    while (host.opened < i && clock_ms() < end) ws_loop_dispatch(c->loop, 2);
    assert_int_equal(host.opened, i);
    ws_loop_dispatch(c->loop, 0);
    ws_loop_dispatch(c->loop, 0);
    if (i == WARM) {
      descriptors = count_descriptors();
      blocks = live;
    }
    if (i > WARM) {
      assert_int_equal(count_descriptors(), descriptors);
      assert_true(live <= blocks);
    }
    ws_server_free(host.server);
    caller_wait_closed(c, i);
    while (c->downs < c->attempts && clock_ms() < end) ws_loop_dispatch(c->loop, 2);
    int downs = c->downs;
    while (c->downs == downs && clock_ms() < end) ws_loop_dispatch(c->loop, 2); /* refused once */
    c->log[0] = '\0';
  }
  assert_true(c->downs >= 2 * ROUNDS);
  assert_true(c->attempts == c->downs || c->attempts == c->downs + 1);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      WITH_CALL(test_client_close_in_every_state_is_the_end),
      WITH_CALL(test_client_close_with_a_bad_code_or_reason_changes_nothing),
      WITH_CALL(test_client_close_codes_that_may_be_sent_are_taken),
      WITH_CALL(test_client_close_while_closing_waits_for_the_same_end),
      WITH_CALL(test_client_close_after_the_peer_closed_ends_the_wait),
      WITH_CALL(test_client_close_inside_every_callback_is_the_end),
      WITH_CALL(test_client_conn_close_by_the_application_is_the_end),
      WITH_CALL(test_client_conn_abort_by_the_application_is_the_end),
      WITH_CALL(test_client_end_by_the_peer_is_retried),
      WITH_CALL(test_client_server_restarted_100_times_is_found_each_time),
  };
  return cmocka_run_group_tests_name("client_close", tests, set_hook, NULL);
}
