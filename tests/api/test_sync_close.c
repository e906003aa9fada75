/*
 * How a blocking client ends: closed, dropped, timed out or freed, and what can be learned of it.
 */
#include "echo.h"
#include "peer.h"

#include <time.h>

static void test_sync_peer_close_gives_all_messages_first(void **state) {
  ws_sync *s = sync_join(*state);
  sync_say(s, "bye");
  sync_expect_text(s, "one");
  sync_expect_text(s, "two");
  sync_expect_text(s, "three");
  sync_expect_none(s, WS_NEVER, WS_ERR_CLOSED);
  const ws_close_info *how = ws_sync_how(s);
  assert_non_null(how);
  assert_int_equal(how->error, WS_OK);
  assert_int_equal(how->code, 4001);
  assert_int_equal(how->flags, WS_CLOSE_CLEAN | WS_CLOSE_BY_PEER);
  assert_string_equal(how->reason, "enough");
  assert_int_equal(how->reason_len, 6);
  assert_fails(WS_ERR_CLOSED, ws_sync_send(s, WS_OP_TEXT, "late", 4));
  sync_expect_none(s, 0, WS_ERR_CLOSED);
  assert_ok(ws_sync_close(s, 1000, NULL));
  ws_sync_free(s);
}

/* Until a send finds out that the peer has gone: from then on how() knows why. */
static void test_sync_send_to_a_dropped_connection_is_closed(void **state) {
  for (int round = 0; round < 20; ++round) {
    ws_sync *s = sync_join(*state);
    int rc;
    uint64_t end = clock_ms() + PATIENCE_MS;
    sync_say(s, "drop");
    while ((rc = ws_sync_send(s, WS_OP_TEXT, "x", 1)) == WS_OK) assert_true(clock_ms() < end);
    assert_int_equal(rc, WS_ERR_CLOSED);
    sync_expect_none(s, WS_NEVER, WS_ERR_CLOSED);
    assert_non_null(ws_sync_how(s));
    assert_int_not_equal(ws_sync_how(s)->error, WS_OK);
    assert_int_equal(ws_sync_how(s)->code, 1006);
    assert_int_not_equal(ws_sync_close(s, 1000, NULL), WS_OK);
    ws_sync_free(s);
  }
}

/* A send that ends the connection has an end to show. */
static void test_sync_closed_from_send_has_how(void **state) {
  static const uint8_t zeros[65536];
  for (int round = 0; round < 20; ++round) {
    ws_sync *s = sync_join(*state);
    sync_say(s, "drop");
    while (ws_sync_send(s, WS_OP_BINARY, zeros, sizeof zeros) == WS_OK) {
    }
    assert_non_null(ws_sync_how(s));
    ws_sync_free(s);
  }
}

static void test_sync_free_while_open_drops_the_connection(void **state) {
  Echo *e = *state;
  for (int i = 0; i < 10; ++i) {
    ws_sync *s = sync_join(e);
    if (i % 3 == 1) sync_say(s, "flood");
    if (i % 3 == 2) sync_expect_echo(s, "x");
    ws_sync_free(s);
    echo_wait(&e->closed, i + 1);
  }
}

static void test_sync_held_connection_is_inert_after_free(void **state) {
  ws_sync *s = sync_join(*state);
  ws_conn *c = ws_conn_ref(ws_sync_conn(s));
  assert_int_equal(ws_conn_is_open(c), 1);
  ws_sync_free(s);
  assert_int_equal(ws_conn_is_open(c), 0);
  assert_null(ws_conn_loop(c));
  assert_fails(WS_ERR_CLOSED, ws_conn_send(c, WS_OP_TEXT, "x", 1, 0));
  ws_conn_unref(c);
}

static void test_sync_close_drops_what_arrives_meanwhile(void **state) {
  ws_sync *s = sync_join(*state);
  sync_say(s, "flood");
  ws_opcode op;
  const void *data;
  size_t len;
  assert_ok(ws_sync_recv(s, PATIENCE_MS, &op, &data, &len));
  assert_ok(ws_sync_close(s, 1001, "enough"));
  sync_expect_none(s, 0, WS_ERR_CLOSED);
  assert_int_equal(ws_sync_how(s)->flags, WS_CLOSE_CLEAN);
  assert_fails(WS_ERR_CLOSED, ws_sync_send(s, WS_OP_TEXT, "x", 1));
  ws_sync_free(s);
}

static void test_sync_close_of_a_peer_that_does_not_answer_times_out(void **state) {
  ws_conn_config limits;
  WS_INIT(&limits);
  limits.close_timeout_ms = 40;
  ws_sync *s = sync_join_with(*state, &limits);
  sync_say(s, "quiet");
  assert_fails(WS_ERR_TIMEOUT, ws_sync_close(s, 1000, NULL));
  assert_int_equal(ws_sync_how(s)->error, WS_ERR_TIMEOUT);
  assert_int_equal(ws_sync_how(s)->sent_code, 1000);
  assert_int_equal(ws_sync_how(s)->code, 1006);
  assert_fails(WS_ERR_TIMEOUT, ws_sync_close(s, 1000, NULL));
  ws_sync_free(s);
}

static void test_sync_open_connection_that_ends_is_not_opened_again(void **state) {
  Echo *e = *state;
  ws_sync *s = NULL;
  ws_client_config c;
  WS_INIT(&c);
  c.retry_count = WS_NEVER;
  c.retry_min_ms = 1;
  c.retry_max_ms = 1;
  assert_ok(ws_sync_connect(e->url, &c, &s));
  sync_say(s, "drop");
  sync_expect_none(s, PATIENCE_MS, WS_ERR_CLOSED);
  assert_non_null(ws_sync_how(s));
  assert_true(ws_sync_how(s)->error == WS_ERR_EOF || ws_sync_how(s)->error == WS_ERR_IO);
  for (int i = 0; i < 5; ++i) sync_expect_none(s, 5, WS_ERR_CLOSED);
  assert_int_equal(atomic_load(&e->opened), 1);
  ws_sync_free(s);
}

static void test_sync_send_to_a_peer_that_takes_nothing_times_out(void **state) {
  Echo *e = *state;
  static uint8_t zeros[65536];
  ws_conn_config limits;
  WS_INIT(&limits);
  limits.send_timeout_ms = 60;
  ws_sync *s = sync_join_with(e, &limits);
  sync_say(s, "quiet");
  int rc = WS_OK;
  for (int i = 0; i < 10000 && rc == WS_OK; ++i) {
    rc = ws_sync_send(s, WS_OP_BINARY, zeros, sizeof zeros);
  }
  assert_int_equal(rc, WS_ERR_TIMEOUT);
  assert_true(ws_last_detail()[0] != '\0');
  sync_expect_none(s, WS_NEVER, WS_ERR_CLOSED);
  assert_int_equal(ws_sync_how(s)->error, WS_ERR_TIMEOUT);
  assert_fails(WS_ERR_CLOSED, ws_sync_send(s, WS_OP_TEXT, "x", 1));
  ws_sync_free(s);
}

/* Empty ones cost memory too. */
static void test_sync_inbox_is_bounded_whatever_the_size_of_messages(void **state) {
  Echo *e = *state;
  static const uint8_t zeros[32 * 1024];
  ws_conn_config limits;
  WS_INIT(&limits);
  limits.send_timeout_ms = 300;
  limits.send_high_bytes = 32 * 1024;
  limits.send_low_bytes = 1024;
  limits.send_limit_bytes = 64 * 1024;
  ws_sync *s = sync_join_with(e, &limits);
  sync_say(s, "empties");
  sync_say(s, "quiet");
  int rc = WS_OK;
  for (int i = 0; i < 10000 && rc == WS_OK; ++i) {
    rc = ws_sync_send(s, WS_OP_BINARY, zeros, sizeof zeros);
  }
  assert_int_equal(rc, WS_ERR_TIMEOUT);
  int kept = 0;
  ws_opcode op;
  const void *data;
  size_t len;
  while (ws_sync_recv(s, 0, &op, &data, &len) == WS_OK) ++kept;
  assert_true(kept > 0);
  assert_true(kept <= 64 * 1024 / 512 + 256); /* the bound, and what one turn brings */
  ws_sync_free(s);
}

/* Between calls nothing is read: that is not the server's silence. */
static void test_sync_time_between_calls_is_no_idle_timeout(void **state) {
  Echo *e = *state;
  const struct timespec pause = {0, 400 * 1000 * 1000};
  ws_conn_config limits;
  WS_INIT(&limits);
  limits.idle_timeout_ms = 200;
  ws_sync *s = sync_join_with(e, &limits);
  for (int i = 0; i < 2; ++i) {
    sync_expect_echo(s, "here");
    nanosleep(&pause, NULL);
    sync_expect_none(s, 0, WS_ERR_TIMEOUT);
  }
  sync_expect_echo(s, "still here");
  ws_sync_free(s);
}

int main(void) {
#define WITH_ECHO(f) cmocka_unit_test_setup_teardown(f, echo_setup, echo_teardown)
  const struct CMUnitTest tests[] = {
      WITH_ECHO(test_sync_peer_close_gives_all_messages_first),
      WITH_ECHO(test_sync_send_to_a_dropped_connection_is_closed),
      WITH_ECHO(test_sync_closed_from_send_has_how),
      WITH_ECHO(test_sync_free_while_open_drops_the_connection),
      WITH_ECHO(test_sync_held_connection_is_inert_after_free),
      WITH_ECHO(test_sync_close_drops_what_arrives_meanwhile),
      WITH_ECHO(test_sync_close_of_a_peer_that_does_not_answer_times_out),
      WITH_ECHO(test_sync_open_connection_that_ends_is_not_opened_again),
      WITH_ECHO(test_sync_send_to_a_peer_that_takes_nothing_times_out),
      WITH_ECHO(test_sync_inbox_is_bounded_whatever_the_size_of_messages),
      WITH_ECHO(test_sync_time_between_calls_is_no_idle_timeout),
  };
  return cmocka_run_group_tests_name("sync_close", tests, NULL, NULL);
}
