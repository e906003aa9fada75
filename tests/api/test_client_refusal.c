/*
 * client.h, a server that answers with HTTP: status, fields and body of the refusal are there to
 * be read, and nothing opens.
 */
#include "caller.h"

#include <stdio.h>
#include <stdlib.h>

#define KIB64 65536

static void expect_body(Call *call, const void *body, size_t len) {
  ws_slice got = ws_client_response_body(call->c.client);
  assert_bytes(got.data, got.len, body, len);
}

/* req: 19 */
/* bad: 55 */
static void test_refusal_of_each_status_is_told_with_its_body(void **state) {
  static const int statuses[] = {200, 201, 300, 301, 302, 400, 401, 403, 404,
                                 407, 408, 426, 429, 500, 502, 503, 599, 999};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(statuses); ++i) {
    for (int has_body = 0; has_body < 2; ++has_body) {
      void *one;
      char answer[200], want[64];
      call_setup(&one);
      Call *call = one;
      call_begin(call);
      snprintf(answer, sizeof answer,
               "HTTP/1.1 %d Whatever\r\nX-Why: because\r\nContent-Length: %d\r\n\r\n%s",
               statuses[i], has_body ? 5 : 0, has_body ? "hello" : "");
      peer_say(&call->p, answer);
      call_expect_refused(call, WS_ERR_HTTP_STATUS, statuses[i]);
      snprintf(want, sizeof want, "attempt:1 down:-61/%d/never ", statuses[i]);
      caller_expect_log(&call->c, want);
      assert_int_equal(ws_client_response_status(call->c.client), statuses[i]);
      assert_string_equal(ws_client_response_header(call->c.client, "x-why", NULL), "because");
      expect_body(call, "hello", has_body ? 5 : 0);
      peer_expect_gone(&call->p);
      call_teardown(&one);
    }
  }
}

/* bad: 55 */
static void test_refusal_that_cannot_have_a_body_has_none(void **state) {
  static const int statuses[] = {204, 304};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(statuses); ++i) {
    void *one;
    char answer[200];
    call_setup(&one);
    Call *call = one;
    call_begin(call);
    snprintf(answer, sizeof answer, "HTTP/1.1 %d X\r\nContent-Length: 5\r\n\r\nhello", statuses[i]);
    peer_say(&call->p, answer);
    call_expect_refused(call, WS_ERR_HTTP_STATUS, statuses[i]);
    expect_body(call, "", 0);
    call_teardown(&one);
  }
}

typedef enum Framing { LENGTH, CHUNKED, TO_EOF } Framing;

/* `len` bytes of body in that framing; chunks are of several sizes, one of them in capitals, one
 * with an extension, and a trailer follows. */
static void send_refusal(Peer *p, Framing framing, const uint8_t *body, size_t len) {
  char text[128];
  size_t sent = 0, chunk = 1;
  if (framing == LENGTH) {
    snprintf(text, sizeof text, "HTTP/1.1 403 X\r\nContent-Length: %zu\r\n\r\n", len);
    peer_say(p, text);
    peer_send(p, body, len);
    return;
  }
  peer_say(p, "HTTP/1.1 403 X\r\n");
  if (framing == TO_EOF) {
    peer_say(p, "\r\n");
    peer_send(p, body, len);
    peer_fin(p);
    return;
  }
  peer_say(p, "Transfer-Encoding: Chunked\r\n\r\n");
  while (sent < len) {
    size_t n = len - sent < chunk ? len - sent : chunk;
    snprintf(text, sizeof text, chunk % 2 ? "%zX\r\n" : "000%zx ;a=\"b\"\r\n", n);
    peer_say(p, text);
    peer_send(p, body + sent, n);
    peer_say(p, "\r\n");
    sent += n;
    chunk = chunk * 3 + sent % 2;
  }
  peer_say(p, "0\r\nX-Trailer: 1\r\n\r\n");
}

/* bad: 55 */
static void test_refusal_body_is_kept_up_to_64_kib(void **state) {
  static const size_t sizes[] = {0, 1, 1000, KIB64 - 1, KIB64, KIB64 + 1, 3 * KIB64};
  uint8_t *body = malloc(3 * KIB64);
  (void)state;
  for (size_t i = 0; i < 3 * KIB64; ++i) body[i] = (uint8_t)(i * 7 + i / 256);
  for (size_t i = 0; i < COUNT_OF(sizes); ++i) {
    for (int framing = LENGTH; framing <= TO_EOF; ++framing) {
      void *one;
      call_setup(&one);
      Call *call = one;
      call_begin(call);
      /* What is beyond the limit may meet a socket that is closed already. */
      size_t send = sizes[i] > KIB64 + 1 ? KIB64 + 1 : sizes[i];
      if (framing == LENGTH && sizes[i] > send) {
        char head[64];
        snprintf(head, sizeof head, "HTTP/1.1 403 X\r\nContent-Length: %zu\r\n\r\n", sizes[i]);
        peer_say(&call->p, head);
        peer_send(&call->p, body, KIB64);
      } else {
        send_refusal(&call->p, (Framing)framing, body, send);
      }
      call_expect_refused(call, WS_ERR_HTTP_STATUS, 403);
      expect_body(call, body, sizes[i] < KIB64 ? sizes[i] : KIB64);
      call_teardown(&one);
    }
  }
  free(body);
}

static void test_refusal_body_byte_by_byte_is_the_same(void **state) {
  /* The bar is where the body is known to be over. */
  static const char *const answers[] = {
      "HTTP/1.1 503 X\r\nContent-Length: 11\r\n\r\nhello world|",
      "HTTP/1.1 503 X\r\nTransfer-Encoding: chunked\r\n\r\n"
      "5\r\nhello\r\n6;x\r\n world\r\n0\r\n|",
  };
  (void)state;
  for (size_t i = 0; i < COUNT_OF(answers); ++i) {
    void *one;
    call_setup(&one);
    Call *call = one;
    call_begin(call);
    for (const char *c = answers[i]; *c != '|'; ++c) {
      run_for(call->c.loop, 0);
      assert_int_equal(call->c.downs, 0);
      peer_send(&call->p, c, 1);
    }
    call_expect_refused(call, WS_ERR_HTTP_STATUS, 503);
    expect_body(call, "hello world", 11);
    call_teardown(&one);
  }
}

/* bad: 55 */
static void test_refusal_body_that_is_cut_off_is_kept_as_far_as_it_came(void **state) {
  static const char *const answers[] = {
      "HTTP/1.1 401 X\r\nContent-Length: 100\r\n\r\nhello",
      "HTTP/1.1 401 X\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhello",
      "HTTP/1.1 401 X\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nhello\r\nzz\r\nmore",
      "HTTP/1.1 401 X\r\nContent-Length: 99999999999999999999999\r\n\r\nhello",
  };
  (void)state;
  for (size_t i = 0; i < COUNT_OF(answers); ++i) {
    void *one;
    call_setup(&one);
    Call *call = one;
    call_begin(call);
    peer_say(&call->p, answers[i]);
    peer_fin(&call->p);
    call_expect_refused(call, WS_ERR_HTTP_STATUS, 401);
    expect_body(call, "hello", 5);
    call_teardown(&one);
  }
}

static void test_refusal_body_that_never_ends_is_given_up_at_the_handshake_timeout(void **state) {
  Call *call = *state;
  call->c.limits.handshake_timeout_ms = short_timeout_ms();
  call_begin(call);
  peer_say(&call->p, "HTTP/1.1 503 X\r\nContent-Length: 100\r\n\r\nhello");
  call_expect_refused(call, WS_ERR_HTTP_STATUS, 503);
  expect_body(call, "hello", 5);
}

/* The head is what refused: whatever the transport does after it is not the cause. */
static void test_refusal_then_reset_is_still_a_refusal(void **state) {
  Call *call = *state;
  call_begin(call);
  peer_say(&call->p, "HTTP/1.1 403 X\r\nContent-Length: 100\r\n\r\nhello");
  run_for(call->c.loop, 20);
  peer_reset(&call->p);
  call_expect_refused(call, WS_ERR_HTTP_STATUS, 403);
  expect_body(call, "hello", 5);
}

/* req: 29 */
/* bad: 55 */
static void test_refusal_for_another_version_is_named_and_not_tried(void **state) {
  Call *call = *state;
  call_begin(call);
  peer_say(&call->p,
           "HTTP/1.1 426 Upgrade Required\r\nSec-WebSocket-Version: 8, 7\r\n"
           "Content-Length: 0\r\n\r\n");
  call_expect_refused(call, WS_ERR_HTTP_STATUS, 426);
  assert_non_null(strstr(call->c.why_detail, "version 13"));
  target_expect_nobody(&call->t);
}

static void check_in_down(Caller *c, const char *event, ws_conn *conn) {
  (void)conn;
  if (strcmp(event, "attempt") == 0) {
    /* That of the attempt before is gone. */
    assert_int_equal(ws_client_response_status(c->client), 0);
    assert_null(ws_client_response_header(c->client, "X-A", NULL));
    assert_int_equal(ws_client_response_body(c->client).len, 0);
  } else if (strcmp(event, "down") == 0) {
    expect_body(c->extra, "busy", 4);
    assert_int_equal(ws_client_response_status(c->client), 503);
    assert_string_equal(ws_client_response_header(c->client, "X-A", NULL), "1, 2");
  }
}

static void test_refusal_can_be_read_until_the_next_attempt(void **state) {
  Call *call = *state;
  call->c.on = check_in_down;
  call->c.extra = call;
  call->c.config.retry_count = 1;
  call->c.config.retry_min_ms = call->c.config.retry_max_ms = 1;
  for (int attempt = 1; attempt <= 2; ++attempt) {
    if (attempt == 1) {
      call_begin(call);
    } else {
      target_take(&call->t, &call->p);
    }
    peer_say(&call->p, "HTTP/1.1 503 X\r\nX-A: 1\r\nContent-Length: 4\r\nX-A: 2\r\n\r\nbusy");
    peer_expect_gone(&call->p);
    peer_drop(&call->p);
    caller_wait_log(&call->c, attempt == 1 ? "down:-61/503/retry" : "down:-61/503/never");
  }
  caller_expect_log(&call->c, "attempt:1 down:-61/503/retry attempt:2 down:-61/503/never ");
  expect_body(call, "busy", 4);
}

/* bad: 182 */
static void test_refusal_reason_of_the_peer_cannot_break_the_detail(void **state) {
  Call *call = *state;
  call_begin(call);
  peer_say(&call->p, "HTTP/1.1 500 caf\xc3\xa9\x1b[31m\r\n\r\n");
  call_expect_refused(call, WS_ERR_HTTP, 0);
  for (const char *c = call->c.why_detail; *c != '\0'; ++c) assert_true(*c >= ' ' && *c < 0x7f);
}

#define test_of(f) cmocka_unit_test_setup_teardown(f, call_setup, call_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_refusal_of_each_status_is_told_with_its_body),
      cmocka_unit_test(test_refusal_that_cannot_have_a_body_has_none),
      cmocka_unit_test(test_refusal_body_is_kept_up_to_64_kib),
      cmocka_unit_test(test_refusal_body_byte_by_byte_is_the_same),
      cmocka_unit_test(test_refusal_body_that_is_cut_off_is_kept_as_far_as_it_came),
      test_of(test_refusal_body_that_never_ends_is_given_up_at_the_handshake_timeout),
      test_of(test_refusal_then_reset_is_still_a_refusal),
      test_of(test_refusal_for_another_version_is_named_and_not_tried),
      test_of(test_refusal_can_be_read_until_the_next_attempt),
      test_of(test_refusal_reason_of_the_peer_cannot_break_the_detail),
  };
  return cmocka_run_group_tests_name("client_refusal", tests, NULL, NULL);
}
