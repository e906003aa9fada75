/*
 * A client may be freed in any callback and in any state, and so may its loop; what is owed is
 * told once and nothing after.
 */
#include "client_at.h"
#include "world.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define WITH_CALL(f) cmocka_unit_test_setup_teardown(f, call_setup, call_teardown)

static int count_descriptors(void) {
  int n = 0;
  DIR *dir = opendir("/proc/self/fd");
  assert_non_null(dir);
  while (readdir(dir) != NULL) ++n;
  closedir(dir);
  return n;
}

static void expect_no_connections(ws_loop *loop) {
  ws_loop_stats s;
  uint64_t end = clock_ms() + PATIENCE_MS;
  WS_INIT(&s);
  do {
    run_for(loop, 1);
    assert_ok(ws_loop_get_stats(loop, &s));
  } while (s.connections != 0 && clock_ms() < end);
  assert_int_equal(s.connections, 0);
}

/* ---- free ---- */

static const char *free_at;
static void free_inside(Caller *c, const char *event, ws_conn *conn) {
  if (strcmp(event, free_at) != 0 || c->client == NULL) return;
  ws_client_free(c->client);
  c->client = NULL;
  if (conn == NULL) return;
  /* The connection can be used until the callback returns. */
  assert_fails(WS_ERR_CLOSED, ws_conn_send(conn, WS_OP_TEXT, "after", 5, 0));
  assert_int_equal(ws_conn_is_open(conn), 0);
  assert_string_equal(ws_conn_subprotocol(conn), "");
  assert_ptr_equal(ws_conn_user(conn), c);
}

static void free_in(void **state, const char *event, const char *want) {
  static uint8_t zeros[4096];
  Call *call = fresh_call(state);
  Caller *c = &call->c;
  retry_fast(call, WS_NEVER);
  free_at = event;
  c->on = free_inside;
  c->limits.send_high_bytes = 1000;
  c->limits.send_low_bytes = 100;
  caller_start(c);
  if (strcmp(event, "attempt") != 0) target_welcome(&call->t, &call->p);
  if (strcmp(event, "drain") == 0) {
    caller_wait_open(c, 1);
    while (ws_client_send(c->client, WS_OP_BINARY, zeros, sizeof zeros, 0) != WS_BACKPRESSURE) {
    }
    while (c->drains == 0) {
      WireFrame f;
      peer_read_frame(&call->p, &f);
    }
  } else if (call->p.fd >= 0) {
    uint8_t wire[64];
    size_t n = wire_server_frame(wire, FIN_TEXT, "one", 3);
    n += wire_server_frame(wire + n, FIN_TEXT, "two", 3);
    n += wire_server_frame(wire + n, FIN_CLOSE, "\x03\xe9", 2);
    peer_send(&call->p, wire, n);
    peer_expect_gone(&call->p);
  }
  caller_wait_log(c, want + strlen(want) - 5);
  run_for(c->loop, 20);
  assert_string_equal(c->log, want);
  assert_null(c->client);
  expect_no_connections(c->loop);
}

static void test_client_free_inside_every_callback_is_the_end(void **state) {
  free_in(state, "attempt", "attempt:1 ");
  free_in(state, "open", "attempt:1 open close:1006/0/-10 ");
  free_in(state, "message", "attempt:1 open text:one close:1006/0/-10 ");
  free_in(state, "drain", "attempt:1 open drain close:1006/0/-10 ");
  free_in(state, "close", "attempt:1 open text:one text:two close:1001/1001/0 ");
}

static void test_client_free_inside_on_down_is_the_end(void **state) {
  Call *call = *state;
  retry_fast(call, WS_NEVER);
  free_at = "down";
  call->c.on = free_inside;
  caller_start(&call->c);
  target_welcome(&call->t, &call->p);
  peer_send_close(&call->p, 1001, NULL);
  peer_expect_close(&call->p, 1001);
  peer_expect_gone(&call->p);
  expect_nothing_told(&call->c);
  caller_expect_log(&call->c, "attempt:1 open close:1001/1001/0 down:0/0/retry ");
  expect_no_connections(call->c.loop);
}

static void test_client_free_in_every_state_tells_only_on_close(void **state) {
  FOR_EACH_STATE(at) {
    Call *call = fresh_call(state);
    bring_to(call, at);
    ws_client_free(call->c.client);
    call->c.client = NULL;
    assert_string_equal(call->c.log, ""); /* not from inside the call */
    run_for(call->c.loop, 20);
    const char *want = at == OPEN ? "close:1006/0/-10 " : "";
    if (strcmp(call->c.log, want) != 0) fail_msg("%s: \"%s\"", at_name(at), call->c.log);
    if (call->p.fd >= 0) peer_expect_gone(&call->p);
    expect_no_connections(call->c.loop);
  }
}

static void test_client_free_in_every_state_without_another_turn(void **state) {
  FOR_EACH_STATE(at) {
    Call *call = fresh_call(state);
    bring_to(call, at);
    caller_stop(&call->c); /* frees the client, then the loop */
    assert_string_equal(call->c.log, at == OPEN ? "close:1006/0/-10 " : "");
    call->p.loop = NULL;
    if (call->p.fd >= 0) peer_expect_gone(&call->p);
  }
}

static void test_client_free_while_closing_tells_on_close(void **state) {
  Call *call = *state;
  call_open(call);
  assert_ok(ws_client_close(call->c.client, 1000, NULL));
  ws_client_free(call->c.client);
  call->c.client = NULL;
  caller_wait_closed(&call->c, 1);
  peer_expect_gone(&call->p);
  expect_nothing_told(&call->c);
  assert_int_equal(call->c.downs, 0);
  assert_int_equal(call->c.how.error, WS_ERR_CANCELLED);
}

/* A connection whose end was told, but whose peer has not ended TCP, while the next attempt is
 * under way. */
static void leave_one_behind(Call *call, Peer *old) {
  retry_fast(call, WS_NEVER);
  caller_start(&call->c);
  for (int i = 1; i <= 2; ++i) {
    target_welcome(&call->t, old + i - 1);
    caller_wait_open(&call->c, i);
    peer_send_close(old + i - 1, 1001, NULL);
    peer_expect_close(old + i - 1, 1001);
    caller_wait_down(&call->c, i);
  }
  target_welcome(&call->t, &call->p);
  caller_wait_open(&call->c, 3);
}

static void test_client_free_while_an_earlier_connection_waits_for_its_peer(void **state) {
  for (int by_loop = 0; by_loop < 2; ++by_loop) {
    int before = count_descriptors();
    Call *call = fresh_call(state);
    Peer old[2];
    int prepared = count_descriptors();
    call->c.limits.close_timeout_ms = 50;
    leave_one_behind(call, old);
    if (!by_loop) {
      ws_client_free(call->c.client);
      call->c.client = NULL;
      run_for(call->c.loop, 80); /* beyond the close timeout */
      expect_no_connections(call->c.loop);
      peer_drop(&call->p);
      peer_expect_gone(&old[0]);
      peer_expect_gone(&old[1]);
      peer_drop(&old[0]);
      peer_drop(&old[1]);
      assert_int_equal(count_descriptors(), prepared);
    } else {
      call->c.client = NULL;
      assert_ok(ws_loop_free(call->c.loop));
      call->c.loop = NULL;
      call->p.loop = old[0].loop = old[1].loop = NULL;
      peer_expect_gone(&call->p);
      peer_expect_gone(&old[0]);
      peer_expect_gone(&old[1]);
      peer_drop(&call->p);
      peer_drop(&old[0]);
      peer_drop(&old[1]);
    }
    call_teardown(state);
    assert_true(count_descriptors() < before);
    call_setup(state);
  }
}

/* A server that never ends TCP does not collect the client's descriptors. */
static void test_client_connections_left_behind_are_few(void **state) {
  enum { N = 30 };
  Call *call = *state;
  ws_loop_stats s;
  static Peer old[N];
  WS_INIT(&s);
  retry_fast(call, WS_NEVER);
  caller_start(&call->c);
  for (int i = 0; i < N; ++i) {
    target_welcome(&call->t, &old[i]);
    caller_wait_open(&call->c, i + 1);
    peer_send_close(&old[i], 1001, NULL);
    peer_expect_close(&old[i], 1001);
  }
  assert_ok(ws_loop_get_stats(call->c.loop, &s));
  assert_true(s.connections <= 3);
  for (int i = 0; i < N; ++i) peer_drop(&old[i]);
}

/* ---- the loop goes first ---- */

static void test_client_loop_free_in_every_state_tells_what_is_owed(void **state) {
  static const char *const wants[] = {"",
                                      "down:-10/0/never ",
                                      "down:-10/0/never ",
                                      "down:-10/0/never ",
                                      "close:1006/0/-10 down:-10/0/never ",
                                      "",
                                      ""};
  FOR_EACH_STATE(at) {
    Call *call = fresh_call(state);
    bring_to(call, at);
    assert_ok(ws_loop_free(call->c.loop)); /* takes the client with it */
    call->c.client = NULL;
    call->c.loop = NULL;
    if (strcmp(call->c.log, wants[at]) != 0) fail_msg("%s: \"%s\"", at_name(at), call->c.log);
    call->p.loop = NULL;
    if (call->p.fd >= 0) peer_expect_gone(&call->p);
  }
}

static void use_everything(Caller *c, const char *event, ws_conn *conn) {
  (void)conn;
  if (strcmp(event, "down") != 0 && strcmp(event, "close") != 0) return;
  (void)ws_client_retry_now(c->client);
  (void)ws_client_send(c->client, WS_OP_TEXT, "x", 1, 0);
  (void)ws_client_close(c->client, 1000, NULL);
  (void)ws_client_set_headers(c->client, NULL, 0);
  (void)ws_client_retry_now(c->client);
  assert_fails(WS_ERR_REENTRANT, ws_loop_free(c->loop));
}

/* What the callbacks of ws_loop_free() ask for does not keep the loop alive. */
static void test_client_loop_free_ends_whatever_on_down_asks_for(void **state) {
  FOR_EACH_STATE(at) {
    Call *call = fresh_call(state);
    bring_to(call, at);
    call->c.on = use_everything;
    assert_ok(ws_loop_free(call->c.loop));
    call->c.client = NULL;
    call->c.loop = NULL;
    assert_null(strstr(call->c.log, "attempt"));
    assert_true(call->c.downs <= 1 + (at >= WAITING));
  }
}

static void test_client_loop_free_with_a_client_freed_in_on_close_or_on_down(void **state) {
  static const char *const events[] = {"close", "down"};
  for (int i = 0; i < 2; ++i) {
    Call *call = fresh_call(state);
    bring_to(call, OPEN);
    free_at = events[i];
    call->c.on = free_inside;
    assert_ok(ws_loop_free(call->c.loop));
    call->c.loop = NULL;
    assert_null(call->c.client);
    assert_string_equal(call->c.log,
                        i == 0 ? "close:1006/0/-10 " : "close:1006/0/-10 down:-10/0/never ");
  }
}

/* ---- names ---- */

static void test_client_free_during_the_look_up_of_a_name(void **state) {
  static const char *const hosts[] = {"localhost", "no-such-host.invalid"};
  int before = count_descriptors();
  for (int i = 0; i < 60; ++i) {
    Call *call = fresh_call(state);
    caller_set_url(&call->c, "ws://%s:%d/", hosts[i % 2], call->t.port);
    caller_start(&call->c);
    for (int turns = 0; turns < i % 5; ++turns) ws_loop_dispatch(call->c.loop, 0);
    if (i % 3 == 0) {
      ws_client_free(call->c.client);
      call->c.client = NULL;
      if (i % 4 == 0) run_for(call->c.loop, 10);
    } else if (i % 3 == 1) {
      call->c.client = NULL;
      assert_ok(ws_loop_free(call->c.loop));
      call->c.loop = NULL;
    }
    assert_null(strstr(call->c.log, "open"));
  }
  fresh_call(state);
  /* A look-up that nobody waits for ends by itself; another may begin, so each count counts. */
  uint64_t end = clock_ms() + PATIENCE_MS;
  int now = count_descriptors();
  for (; now > before && clock_ms() < end; now = count_descriptors()) {
    run_for(((Call *)*state)->c.loop, 5);
  }
  assert_int_equal(now, before);
}

/* ---- handles and numbers ---- */

static void test_client_held_connection_is_inert_after_free(void **state) {
  Call *call = *state;
  ws_conn_stats s;
  WS_INIT(&s);
  call_open(call);
  ws_conn *c = ws_conn_ref(call->c.conn);
  uint64_t id = ws_conn_id(c);
  for (int stage = 0; stage < 3; ++stage) {
    if (stage == 0) {
      ws_client_free(call->c.client);
      call->c.client = NULL;
    }
    if (stage == 1) caller_wait_closed(&call->c, 1);
    if (stage == 2) caller_stop(&call->c);
    assert_fails(WS_ERR_CLOSED, ws_conn_send(c, WS_OP_TEXT, "x", 1, 0));
    assert_fails(WS_ERR_CLOSED, ws_conn_close(c, 1000, NULL));
    assert_fails(WS_ERR_CLOSED, ws_conn_flush(c));
    ws_conn_abort(c);
    assert_int_equal(ws_conn_is_open(c), 0);
    assert_int_equal(ws_conn_buffered(c), 0);
    assert_int_equal(ws_conn_id(c), id);
    assert_string_equal(ws_conn_subprotocol(c), "");
    assert_ok(ws_conn_get_stats(c, &s));
    assert_true(s.bytes_in > 0);
    if (stage != 0) assert_null(ws_conn_loop(c));
  }
  ws_conn_unref(c);
}

enum { CROWD = 300 };

typedef struct One {
  int attempts, opened, closed, downs, echoed;
} One;

static void one_attempt(ws_client *cl, uint32_t number, void *user) {
  (void)cl;
  assert_int_equal(number, ++((One *)user)->attempts);
}

static void one_open(ws_conn *c, void *user) {
  ++((One *)user)->opened;
  assert_ok(ws_conn_send(c, WS_OP_BINARY, &user, sizeof user, 0));
}

static void one_message(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  (void)c, (void)op;
  ++((One *)user)->echoed;
  assert_bytes(data, len, &user, sizeof user);
}

static void one_close(ws_conn *c, const ws_close_info *how, void *user) {
  (void)c, (void)how;
  ++((One *)user)->closed;
}

static void one_down(ws_client *cl, const ws_close_info *why, uint32_t retry_in_ms, void *user) {
  (void)cl, (void)why, (void)retry_in_ms;
  ++((One *)user)->downs;
}

static void echo_back(World *w, const char *event, ws_conn *c) {
  if (strcmp(event, "message") == 0) assert_ok(ws_conn_send(c, w->op, w->data, w->len, 0));
  w->log[0] = '\0';
}

static void test_client_300_on_one_loop_are_independent(void **state) {
  World w;
  static One ones[CROWD];
  static ws_client *clients[CROWD];
  ws_client_config c;
  ws_handlers h;
  char url[64];
  (void)state;
  memset(ones, 0, sizeof ones);
  world_prepare(&w);
  w.on = echo_back;
  world_start(&w);
  WS_INIT(&c);
  WS_INIT(&h);
  h.on_open = one_open;
  h.on_message = one_message;
  h.on_close = one_close;
  c.handlers = &h;
  c.on_attempt = one_attempt;
  c.on_down = one_down;
  snprintf(url, sizeof url, "ws://127.0.0.1:%d/", w.port);
  c.url = url;
  for (int i = 0; i < CROWD; ++i) {
    c.user = &ones[i];
    assert_ok(ws_client_new(w.loop, &c, &clients[i]));
  }
  uint64_t end = clock_ms() + PATIENCE_MS;
  for (int i = 0; i < CROWD; ++i) {
    while (ones[i].echoed == 0 && clock_ms() < end) ws_loop_dispatch(w.loop, 5);
    assert_int_equal(ones[i].echoed, 1);
  }
  assert_int_equal(ws_server_count(w.server), CROWD);
  for (int i = 0; i < CROWD; ++i) {
    if (i % 3 == 0) ws_client_free(clients[i]);
    if (i % 3 == 1) assert_ok(ws_client_close(clients[i], 1000, NULL));
  }
  world_wait_closed(&w, 2 * CROWD / 3);
  run_for(w.loop, 5);
  assert_ok(ws_loop_free(w.loop));
  for (int i = 0; i < CROWD; ++i) {
    assert_int_equal(ones[i].attempts, 1);
    assert_int_equal(ones[i].opened, 1);
    assert_int_equal(ones[i].closed, 1);
    assert_int_equal(ones[i].downs, i % 3 != 0);
  }
}

static ws_client *other;
static void free_the_other(Caller *c, const char *event, ws_conn *conn) {
  (void)c, (void)conn;
  if (strcmp(event, "open") != 0 || other == NULL) return;
  ws_client_free(other);
  other = NULL;
}

static void test_client_freed_by_another_client_in_the_same_turn(void **state) {
  Call *call = *state;
  if (faults_are_on()) skip(); /* the answers may then come in different turns */
  One one = {0, 0, 0, 0, 0};
  ws_client_config c = call->c.config;
  c.handlers = NULL;
  c.user = &one;
  c.on_attempt = one_attempt;
  c.on_down = one_down;
  call->c.on = free_the_other;
  caller_start(&call->c);
  assert_ok(ws_client_new(call->c.loop, &c, &other));
  Peer q;
  target_take(&call->t, &call->p);
  target_switch(&call->t, &call->p, "");
  target_take(&call->t, &q); /* both answers are in by the next turn */
  target_switch(&call->t, &q, "");
  caller_wait_open(&call->c, 1);
  run_for(call->c.loop, 5);
  assert_null(other);
  assert_int_equal(one.downs, 0);
  peer_drop(&q);
}

int main(void) {
  /* A look-up that gets no answer ends before anybody loses patience. */
  setenv("RES_OPTIONS", "timeout:1 attempts:1", 1);
  const struct CMUnitTest tests[] = {
      WITH_CALL(test_client_free_inside_every_callback_is_the_end),
      WITH_CALL(test_client_free_inside_on_down_is_the_end),
      WITH_CALL(test_client_free_in_every_state_tells_only_on_close),
      WITH_CALL(test_client_free_in_every_state_without_another_turn),
      WITH_CALL(test_client_free_while_closing_tells_on_close),
      WITH_CALL(test_client_free_while_an_earlier_connection_waits_for_its_peer),
      WITH_CALL(test_client_connections_left_behind_are_few),
      WITH_CALL(test_client_loop_free_in_every_state_tells_what_is_owed),
      WITH_CALL(test_client_loop_free_ends_whatever_on_down_asks_for),
      WITH_CALL(test_client_loop_free_with_a_client_freed_in_on_close_or_on_down),
      WITH_CALL(test_client_free_during_the_look_up_of_a_name),
      WITH_CALL(test_client_held_connection_is_inert_after_free),
      cmocka_unit_test(test_client_300_on_one_loop_are_independent),
      WITH_CALL(test_client_freed_by_another_client_in_the_same_turn),
  };
  return cmocka_run_group_tests_name("client_lifetime", tests, NULL, NULL);
}
