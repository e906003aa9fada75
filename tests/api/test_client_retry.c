/*
 * Attempts and what comes after them: how many, how long between them, which failures are final,
 * and what the application can do about it.
 */
#include "client_at.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <time.h>

#define WITH_CALL(f) cmocka_unit_test_setup_teardown(f, call_setup, call_teardown)

/* ---- how many ---- */

static void test_client_retry_count_is_how_often_it_tries_again(void **state) {
  static const uint32_t counts[] = {0, 1, 2, 7};
  for (size_t i = 0; i < COUNT_OF(counts); ++i) {
    char want[1024] = "";
    Call *call = fresh_call(state);
    lead_to_refusal(call);
    retry_fast(call, counts[i]);
    caller_start(&call->c);
    assert_string_equal(call->c.log, ""); /* nothing from inside ws_client_new() */
    caller_wait_down(&call->c, (int)counts[i] + 1);
    for (uint32_t n = 1; n <= counts[i] + 1; ++n) {
      size_t used = strlen(want);
      snprintf(want + used, sizeof want - used, "attempt:%u down:%d/0/%s ", n, WS_ERR_CONNECT,
               n <= counts[i] ? "retry" : "never");
    }
    assert_string_equal(call->c.log, want);
    expect_nothing_told(&call->c);
    assert_int_equal(ws_client_response_status(call->c.client), 0);
  }
}

static void test_client_retry_count_never_goes_on_until_somebody_listens(void **state) {
  Call *call = *state;
  lead_to_refusal(call);
  retry_fast(call, WS_NEVER);
  caller_start(&call->c);
  caller_wait_down(&call->c, 40);
  assert_int_equal(call->c.attempts, 40);
  assert_int_equal(call->c.number, 40);
  assert_int_not_equal(call->c.retry_in_ms, WS_NEVER);
  assert_int_equal(listen(call->t.fd, 5), 0);
  target_welcome(&call->t, &call->p);
  caller_wait_open(&call->c, 1);
  assert_null(strstr(call->c.log, "never"));
  assert_int_equal(call->c.downs, call->c.attempts - 1);
}

static void test_client_attempts_that_open_count_until_they_lasted(void **state) {
  Call *call = *state;
  retry_fast(call, 2);
  caller_start(&call->c);
  for (int i = 0; i < 3; ++i) {
    target_welcome(&call->t, &call->p);
    caller_wait_open(&call->c, i + 1);
    peer_drop(&call->p);
    caller_wait_down(&call->c, i + 1);
  }
  caller_expect_log(&call->c,
                    "attempt:1 open close:1006/0/-23 down:-23/0/retry "
                    "attempt:2 open close:1006/0/-23 down:-23/0/retry "
                    "attempt:3 open close:1006/0/-23 down:-23/0/never ");
  expect_nothing_told(&call->c);
}

/* ---- how long ---- */

enum { CROWD = 60, TRIES = 6 };

typedef struct Delays {
  uint32_t delay_ms[TRIES];
  int count;
} Delays;

static void note_delay(ws_client *cl, const ws_close_info *why, uint32_t retry_in_ms, void *user) {
  Delays *d = user;
  (void)cl, (void)why;
  if (d->count < TRIES) d->delay_ms[d->count] = retry_in_ms;
  ++d->count;
}

/* req: 30 */
static void test_client_delays_are_random_below_a_bound_that_doubles(void **state) {
  static const uint32_t bounds[TRIES] = {8, 16, 32, 50, 50, WS_NEVER};
  Call *call = *state;
  static Delays crowd[CROWD];
  ws_client *clients[CROWD];
  lead_to_refusal(call);
  memset(crowd, 0, sizeof crowd);
  call->c.config.retry_count = TRIES - 1;
  call->c.config.retry_min_ms = 8;
  call->c.config.retry_max_ms = 50;
  call->c.config.on_attempt = NULL;
  call->c.config.on_down = note_delay;
  for (int i = 0; i < CROWD; ++i) {
    call->c.config.user = &crowd[i];
    assert_ok(ws_client_new(call->c.loop, &call->c.config, &clients[i]));
  }
  uint64_t end = clock_ms() + PATIENCE_MS;
  for (int i = 0; i < CROWD; ++i) {
    while (crowd[i].count < TRIES) {
      assert_true(clock_ms() < end);
      ws_loop_dispatch(call->c.loop, 5);
    }
  }
  for (int n = 0; n < TRIES; ++n) {
    uint32_t least = UINT32_MAX, most = 0;
    for (int i = 0; i < CROWD; ++i) {
      uint32_t delay = crowd[i].delay_ms[n];
      if (delay < least) least = delay;
      if (delay > most) most = delay;
    }
    assert_true(most <= bounds[n]);
    if (n == TRIES - 1) {
      assert_int_equal(least, WS_NEVER);
    } else { /* one in 2^59 that all of them are in one half */
      assert_true(least < bounds[n] / 2);
      assert_true(most > bounds[n] / 2);
    }
  }
  for (int i = 0; i < CROWD; ++i) ws_client_free(clients[i]);
}

static void test_client_next_attempt_does_not_come_before_its_delay(void **state) {
  Call *call = *state;
  lead_to_refusal(call);
  call->c.config.retry_count = 5;
  call->c.config.retry_min_ms = 40;
  call->c.config.retry_max_ms = 40;
  caller_start(&call->c);
  for (int i = 1; i <= 5; ++i) {
    caller_wait_down(&call->c, i);
    uint64_t start = clock_ms();
    uint32_t delay = call->c.retry_in_ms;
    assert_true(delay <= 40);
    while (call->c.attempts == i) ws_loop_dispatch(call->c.loop, 5);
    /* Both clocks count whole milliseconds, and the delay began with the turn. */
    assert_true(clock_ms() + 2 + delay / 8 >= start + delay);
  }
}

/* The answer to one request, and what on_down says to it. */
static uint32_t answered(Call *call, const char *answer) {
  int before = call->c.downs;
  target_take(&call->t, &call->p);
  peer_say(&call->p, answer);
  caller_wait_down(&call->c, before + 1);
  peer_drop(&call->p);
  return call->c.retry_in_ms;
}

static uint32_t answered_retry_after(Call *call, int status, const char *value) {
  char text[256];
  snprintf(text, sizeof text, "HTTP/1.1 %d No\r\nContent-Length: 0\r\nRetry-After: %s\r\n\r\n",
           status, value);
  return answered(call, text);
}

static void test_client_retry_after_lengthens_the_delay(void **state) {
  static const struct {
    const char *value;
    uint32_t least, most;
  } cases[] = {
      {"2", 2000, 2000},
      {"0", 0, 2},
      {"3599", 3599000, 3599000},
      {"3600", 3600000, 3600000},
      {"3601", 3600000, 3600000},
      {"99999999999999999999999", 3600000, 3600000},
      {"soon", 0, 2},
      {"-5", 0, 2},
      {"1.5", 0, 2},
      {"", 0, 2},
      {"Sun, 06 Nov 1994 08:49:37 GMT", 0, 2},
      {"Fri, 31 Dec 9999 23:59:59 GMT", 3600000, 3600000},
  };
  static const int statuses[] = {503, 429, 408, 500};
  Call *call = *state;
  retry_fast(call, WS_NEVER);
  caller_start(&call->c);
  for (size_t i = 0; i < COUNT_OF(cases); ++i) {
    uint32_t delay = answered_retry_after(call, statuses[i % 4], cases[i].value);
    if (delay < cases[i].least || delay > cases[i].most) {
      fail_msg("Retry-After: %s gave %u ms", cases[i].value, delay);
    }
    if (delay > 2) {
      run_for(call->c.loop, 5);
      assert_int_equal(call->c.attempts, call->c.downs);
    }
    assert_ok(ws_client_retry_now(call->c.client));
  }
}

static void test_client_retry_after_date_is_waited_for(void **state) {
  char date[64];
  Call *call = *state;
  retry_fast(call, WS_NEVER);
  caller_start(&call->c);
  time_t then = time(NULL) + 500;
  strftime(date, sizeof date, "%a, %d %b %Y %H:%M:%S GMT", gmtime(&then));
  uint32_t delay = answered_retry_after(call, 503, date);
  assert_true(delay <= 500000);
  assert_true(delay > 440000); /* a slow machine takes a minute */
}

/* ---- which ---- */

static int is_final(int status) {
  return status >= 300 && status < 500 && status != 408 && status != 425 && status != 429;
}

static void test_client_statuses_that_will_not_change_are_final(void **state) {
  static const int statuses[] = {200, 204, 299, 300, 301, 304, 307, 399, 400, 401, 403, 404, 407,
                                 408, 409, 424, 425, 426, 428, 429, 430, 499, 500, 503, 599};
  for (int all = 0; all < 2; ++all) {
    Call *call = fresh_call(state);
    retry_fast(call, WS_NEVER);
    if (all) call->c.config.flags = WS_CLIENT_RETRY_ALL;
    caller_start(&call->c);
    for (size_t i = 0; i < COUNT_OF(statuses); ++i) {
      char text[128], want[64];
      int final = is_final(statuses[i]) && !all;
      snprintf(text, sizeof text, "HTTP/1.1 %d No\r\nContent-Length: 0\r\n\r\n", statuses[i]);
      snprintf(want, sizeof want, "attempt:%d down:%d/%d/%s ", call->c.downs + 1,
               WS_ERR_HTTP_STATUS, statuses[i], final ? "never" : "retry");
      (void)answered(call, text);
      caller_expect_log(&call->c, want);
      assert_int_equal(ws_client_response_status(call->c.client), statuses[i]);
      char number[8];
      snprintf(number, sizeof number, "%d", statuses[i]);
      assert_non_null(strstr(call->c.why_detail, number));
      if (final) {
        run_for(call->c.loop, 5);
        assert_string_equal(call->c.log, "");
      }
      assert_ok(ws_client_retry_now(call->c.client));
    }
  }
}

/* A Retry-After does not make a final answer less so. */
static void test_client_final_status_with_retry_after_is_final(void **state) {
  Call *call = *state;
  retry_fast(call, WS_NEVER);
  caller_start(&call->c);
  assert_int_equal(answered_retry_after(call, 403, "1"), WS_NEVER);
}

static void test_client_wrong_handshake_is_final(void **state) {
  for (int all = 0; all < 2; ++all) {
    Call *call = fresh_call(state);
    retry_fast(call, 1);
    if (all) call->c.config.flags = WS_CLIENT_RETRY_ALL;
    call_begin(call);
    call->t.accept[3] = call->t.accept[3] == 'A' ? 'B' : 'A';
    target_switch(&call->t, &call->p, "");
    caller_wait_down(&call->c, 1);
    caller_expect_log(&call->c,
                      all ? "attempt:1 down:-62/0/retry " : "attempt:1 down:-62/0/never ");
    peer_drop(&call->p);
    if (!all) expect_nothing_told(&call->c);
    if (all) target_take(&call->t, &call->p);
  }
}

static void test_client_what_is_not_http_is_retried(void **state) {
  Call *call = *state;
  retry_fast(call, 1);
  caller_start(&call->c);
  assert_int_not_equal(answered(call, "SSH-2.0-OpenSSH_9.2\r\n\r\n"), WS_NEVER);
  caller_expect_log(&call->c, "attempt:1 down:-60/0/retry ");
}

static void test_client_handshake_timeout_is_retried(void **state) {
  Call *call = *state;
  retry_fast(call, 1);
  call->c.limits.handshake_timeout_ms = 30;
  caller_start(&call->c);
  caller_wait_down(&call->c, 2);
  caller_expect_log(&call->c, "attempt:1 down:-9/0/retry attempt:2 down:-9/0/never ");
}

/* A TLS server on the caller's loop. */
static ws_server *tls_server(Call *call, ws_tls *tls) {
  ws_server *s;
  ws_listener *ln;
  ws_listen_config lc;
  WS_INIT(&lc);
  lc.host = "127.0.0.1";
  lc.tls = tls;
  assert_ok(ws_server_new(call->c.loop, NULL, &s));
  assert_ok(ws_server_listen(s, &lc, &ln));
  caller_set_url(&call->c, "wss://127.0.0.1:%d/", ws_listener_port(ln));
  return s;
}

static void test_client_certificate_that_is_not_trusted_is_final(void **state) {
  ws_tls *own, *trusting;
  ws_tls_config c;
  WS_INIT(&c);
  assert_ok(ws_tls_new_self_signed("localhost", &own));
  c.ca_pem = ws_tls_certificate(own);
  assert_ok(ws_tls_new(&c, &trusting));
  for (int round = 0; round < 3; ++round) {
    Call *call = fresh_call(state);
    (void)tls_server(call, own); /* goes with the loop */
    retry_fast(call, 1);
    if (round == 1) call->c.config.flags = WS_CLIENT_RETRY_ALL;
    if (round == 2) call->c.config.tls = trusting;
    caller_start(&call->c);
    if (round == 2) {
      caller_wait_open(&call->c, 1);
      continue;
    }
    caller_wait_down(&call->c, round + 1);
    assert_int_equal(call->c.why.error, WS_ERR_TLS_VERIFY);
    assert_int_equal(call->c.retry_in_ms, WS_NEVER);
    expect_nothing_told(&call->c);
  }
  ws_tls_unref(own);
  ws_tls_unref(trusting);
}

static void test_client_tls_with_a_plain_server_is_retried(void **state) {
  Call *call = *state;
  caller_set_url(&call->c, "wss://127.0.0.1:%d/", call->t.port);
  retry_fast(call, 1);
  caller_start(&call->c);
  target_accept(&call->t, &call->p);
  peer_say(&call->p, "HTTP/1.1 400 Bad Request\r\n\r\n");
  caller_wait_down(&call->c, 1);
  assert_int_equal(call->c.why.error, WS_ERR_TLS);
  assert_int_not_equal(call->c.retry_in_ms, WS_NEVER);
}

static void test_client_unknown_name_is_retried(void **state) {
  Call *call = *state;
  caller_set_url(&call->c, "ws://no-such-host.invalid:%d/", call->t.port);
  retry_fast(call, 1);
  caller_start(&call->c);
  caller_wait_down(&call->c, 2);
  caller_expect_log(&call->c, "attempt:1 down:-21/0/retry attempt:2 down:-21/0/never ");
  assert_non_null(strstr(call->c.why_detail, "no-such-host.invalid"));
}

/* ---- retry_now ---- */

static void test_client_retry_now_ends_the_wait(void **state) {
  Call *call = *state;
  call->c.config.retry_count = WS_NEVER;
  call->c.config.retry_min_ms = 1;
  caller_start(&call->c);
  for (int i = 1; i <= 5; ++i) {
    assert_int_equal(answered_retry_after(call, 503, "1000"), 1000000);
    assert_ok(ws_client_retry_now(call->c.client));
    assert_ok(ws_client_retry_now(call->c.client));
    assert_int_equal(call->c.attempts, i); /* not from inside the call */
  }
  target_welcome(&call->t, &call->p);
  caller_wait_open(&call->c, 1);
  assert_int_equal(call->c.attempts, 6);
  target_expect_nobody(&call->t);
}

static void test_client_retry_now_after_the_last_attempt_begins_a_new_series(void **state) {
  Call *call = *state;
  lead_to_refusal(call);
  retry_fast(call, 2);
  caller_start(&call->c);
  for (int series = 1; series <= 3; ++series) {
    caller_wait_down(&call->c, 3 * series);
    assert_int_equal(call->c.retry_in_ms, WS_NEVER);
    expect_nothing_told(&call->c);
    assert_ok(ws_client_retry_now(call->c.client));
    assert_int_equal(call->c.attempts, 3 * series);
  }
}

static void test_client_retry_now_while_due_trying_or_open_does_nothing(void **state) {
  Call *call = *state;
  retry_fast(call, WS_NEVER);
  caller_start(&call->c);
  assert_ok(ws_client_retry_now(call->c.client));
  target_accept(&call->t, &call->p);
  assert_ok(ws_client_retry_now(call->c.client));
  target_read_request(&call->t, &call->p);
  assert_ok(ws_client_retry_now(call->c.client));
  target_expect_nobody(&call->t);
  target_switch(&call->t, &call->p, "");
  caller_wait_open(&call->c, 1);
  assert_ok(ws_client_retry_now(call->c.client));
  expect_nothing_told(&call->c);
  target_expect_nobody(&call->t);
  caller_expect_log(&call->c, "attempt:1 open ");
  peer_send_text(&call->p, "fine");
  caller_wait_messages(&call->c, 1);
}

static void again_on_down(Caller *c, const char *event, ws_conn *conn) {
  (void)conn;
  if (strcmp(event, "down") == 0 && c->downs < 5) assert_ok(ws_client_retry_now(c->client));
}

static void test_client_retry_now_inside_on_down_begins_again(void **state) {
  Call *call = *state;
  lead_to_refusal(call);
  call->c.on = again_on_down;
  caller_start(&call->c);
  caller_wait_down(&call->c, 5);
  assert_int_equal(call->c.attempts, 5);
  expect_nothing_told(&call->c);
}

static void test_client_retry_now_after_a_close_of_ours_connects_again(void **state) {
  Call *call = *state;
  call_open(call);
  assert_ok(ws_client_close(call->c.client, 1000, NULL));
  peer_expect_close(&call->p, 1000);
  peer_send_close(&call->p, 1000, NULL);
  peer_drop(&call->p);
  caller_wait_down(&call->c, 1);
  assert_ok(ws_client_retry_now(call->c.client));
  target_welcome(&call->t, &call->p);
  caller_wait_open(&call->c, 2);
  caller_expect_log(&call->c, "attempt:1 open close:1000/1000/0 down:0/0/never attempt:2 open ");
}

/* ---- headers ---- */

static void fresh_token(Caller *c, const char *event, ws_conn *conn) {
  char token[32];
  ws_header h = {"X-Token", token};
  (void)conn;
  if (strcmp(event, "attempt") != 0) return;
  snprintf(token, sizeof token, "t%u", c->number);
  assert_ok(ws_client_set_headers(c->client, &h, 1));
}

static void test_client_set_headers_in_on_attempt_is_for_that_request(void **state) {
  static const ws_header old = {"X-Token", "old"};
  Call *call = *state;
  retry_fast(call, WS_NEVER);
  call->c.config.headers = &old;
  call->c.config.header_count = 1;
  call->c.on = fresh_token;
  caller_start(&call->c);
  for (int i = 1; i <= 4; ++i) {
    char want[32];
    snprintf(want, sizeof want, "t%d", i);
    target_take(&call->t, &call->p);
    assert_string_equal(target_field(&call->t, "X-Token"), want);
    peer_drop(&call->p);
  }
}

static void test_client_set_headers_later_is_for_the_next_request(void **state) {
  static const ws_header old = {"X-Token", "old"};
  static const ws_header fresh[] = {{"X-Token", "new"}, {"Cookie", "a=b"}};
  static const ws_header bad[] = {{"Upgrade", "x"},
                                  {"Sec-WebSocket-Key", "x"},
                                  {"Host", "x"},
                                  {"X-Token", "a\r\nX-Other: b"},
                                  {"X Token", "x"},
                                  {"", "x"},
                                  {NULL, "x"},
                                  {"X-Token", NULL},
                                  {"X-Token", "line\nfeed"}};
  Call *call = *state;
  retry_fast(call, WS_NEVER);
  call->c.config.headers = &old;
  call->c.config.header_count = 1;
  call_begin(call);
  assert_string_equal(target_field(&call->t, "X-Token"), "old");
  assert_ok(ws_client_set_headers(call->c.client, fresh, 2));
  for (size_t i = 0; i < COUNT_OF(bad); ++i) {
    assert_fails(WS_ERR_INVALID, ws_client_set_headers(call->c.client, &bad[i], 1));
  }
  assert_fails(WS_ERR_INVALID, ws_client_set_headers(call->c.client, NULL, 1));
  target_switch(&call->t, &call->p, "");
  caller_wait_open(&call->c, 1);
  peer_drop(&call->p);
  target_take(&call->t, &call->p);
  assert_string_equal(target_field(&call->t, "X-Token"), "new");
  assert_string_equal(target_field(&call->t, "Cookie"), "a=b");
  assert_ok(ws_client_set_headers(call->c.client, NULL, 0));
  peer_drop(&call->p);
  target_take(&call->t, &call->p);
  assert_int_equal(target_count(&call->t, "X-Token"), 0);
}

int main(void) {
  /* A look-up that gets no answer ends before anybody loses patience. */
  setenv("RES_OPTIONS", "timeout:1 attempts:1", 1);
  const struct CMUnitTest tests[] = {
      WITH_CALL(test_client_retry_count_is_how_often_it_tries_again),
      WITH_CALL(test_client_retry_count_never_goes_on_until_somebody_listens),
      WITH_CALL(test_client_attempts_that_open_count_until_they_lasted),
      WITH_CALL(test_client_delays_are_random_below_a_bound_that_doubles),
      WITH_CALL(test_client_next_attempt_does_not_come_before_its_delay),
      WITH_CALL(test_client_retry_after_lengthens_the_delay),
      WITH_CALL(test_client_retry_after_date_is_waited_for),
      WITH_CALL(test_client_statuses_that_will_not_change_are_final),
      WITH_CALL(test_client_final_status_with_retry_after_is_final),
      WITH_CALL(test_client_wrong_handshake_is_final),
      WITH_CALL(test_client_what_is_not_http_is_retried),
      WITH_CALL(test_client_handshake_timeout_is_retried),
      WITH_CALL(test_client_certificate_that_is_not_trusted_is_final),
      WITH_CALL(test_client_tls_with_a_plain_server_is_retried),
      WITH_CALL(test_client_unknown_name_is_retried),
      WITH_CALL(test_client_retry_now_ends_the_wait),
      WITH_CALL(test_client_retry_now_after_the_last_attempt_begins_a_new_series),
      WITH_CALL(test_client_retry_now_while_due_trying_or_open_does_nothing),
      WITH_CALL(test_client_retry_now_inside_on_down_begins_again),
      WITH_CALL(test_client_retry_now_after_a_close_of_ours_connects_again),
      WITH_CALL(test_client_set_headers_in_on_attempt_is_for_that_request),
      WITH_CALL(test_client_set_headers_later_is_for_the_next_request),
  };
  return cmocka_run_group_tests_name("client_retry", tests, NULL, NULL);
}
