/*
 * client.h against servers that break the opening handshake (RFC 6455 4.1): what is refused, with
 * which error, and what it costs at most.
 */
#include "caller.h"

#include <ctype.h>
#include <stdio.h>

#define STATUS_LINE "HTTP/1.1 101 Switching Protocols\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define ACCEPT "Sec-WebSocket-Accept: %s\r\n"
#define GOOD STATUS_LINE UPGRADE CONNECTION ACCEPT
#define END "\r\n"

typedef struct Answer {
  const char *text; /* "%s" is the accept value */
  int error;        /* 0: opens */
} Answer;

/* Everything in one piece, or a turn of the loop after each byte. */
static void say(Call *call, const char *format, int bytewise) {
  char text[8192];
  const char *mark = strstr(format, "%s");
  if (mark == NULL) mark = format + strlen(format);
  int len = snprintf(text, sizeof text, "%.*s%s%s", (int)(mark - format), format,
                     *mark != '\0' ? call->t.accept : "", *mark != '\0' ? mark + 2 : "");
  assert_true(len >= 0 && (size_t)len < sizeof text);
  if (!bytewise) {
    peer_send(&call->p, text, (size_t)len);
    return;
  }
  for (int i = 0; i < len && call->c.downs == 0; ++i) {
    peer_send(&call->p, text + i, 1);
    run_for(call->c.loop, 0);
  }
}

static const char *const kOffered[] = {"v2", "v1"};

/* The handshake failed: nothing was said beyond the request. */
static void expect_silent_end(Peer *p) {
  peer_expect_gone(p);
  assert_bytes(p->in + p->taken, p->len - p->taken, "", 0);
}

static void check_answer(const Answer *a, int bytewise) {
  void *one;
  call_setup(&one);
  Call *call = one;
  call->c.config.subprotocols = kOffered;
  call->c.config.subprotocol_count = COUNT_OF(kOffered);
  call->c.config.retry_count = 1;
  call_begin(call);
  say(call, a->text, bytewise);
  if (a->error == 0) {
    caller_wait_log(&call->c, "open ");
    peer_send_text(&call->p, "works");
    caller_wait_log(&call->c, "text:works ");
  } else {
    caller_wait_down(&call->c, 1);
    if (call->c.why.error != a->error) {
      fail_msg("%d is wanted, %s(%s) for %s", a->error, call->c.log, call->c.why_detail, a->text);
    }
    /* No status refused it: a 101 did not. */
    call_expect_refused(call, a->error, 0);
    assert_int_equal(call->c.why.sys_errno, 0);
    /* Who does not even speak HTTP may be another server the next time. */
    assert_int_equal(call->c.retry_in_ms != WS_NEVER, a->error == WS_ERR_HTTP);
    expect_silent_end(&call->p);
  }
  call_teardown(&one);
}

static void check_answers(const Answer *all, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    check_answer(&all[i], 0);
    check_answer(&all[i], 1);
  }
}

/* req: 20, 21, 25, 28 */
/* bad: 56, 57, 68, 69 */
static void test_handshake_upgrade_and_connection_are_checked(void **state) {
  static const Answer all[] = {
      {GOOD END, 0},
      {"HTTP/1.1 101\r\nupgrade: WebSocket\r\nCONNECTION: keep-alive, upgrade\r\n"
       "sec-websocket-accept:   %s  \r\n\r\n",
       0},
      {"HTTP/1.1 101 \r\n" UPGRADE "Connection: keep-alive\r\nConnection: UPGRADE\r\n" ACCEPT END,
       0},
      {STATUS_LINE ACCEPT "X: y\r\n" CONNECTION UPGRADE END, 0},
      {STATUS_LINE UPGRADE ACCEPT END, WS_ERR_HANDSHAKE},
      {STATUS_LINE CONNECTION ACCEPT END, WS_ERR_HANDSHAKE},
      {STATUS_LINE ACCEPT END, WS_ERR_HANDSHAKE},
      {STATUS_LINE END, WS_ERR_HANDSHAKE},
      {STATUS_LINE "Upgrade: websocketx\r\n" CONNECTION ACCEPT END, WS_ERR_HANDSHAKE},
      {STATUS_LINE "Upgrade: websocke\r\n" CONNECTION ACCEPT END, WS_ERR_HANDSHAKE},
      {STATUS_LINE "Upgrade: h2c\r\n" CONNECTION ACCEPT END, WS_ERR_HANDSHAKE},
      {STATUS_LINE "Upgrade:\r\n" CONNECTION ACCEPT END, WS_ERR_HANDSHAKE},
      {STATUS_LINE UPGRADE "Upgrade: h2c\r\n" CONNECTION ACCEPT END, WS_ERR_HANDSHAKE},
      {STATUS_LINE UPGRADE "Connection: keep-alive\r\n" ACCEPT END, WS_ERR_HANDSHAKE},
      {STATUS_LINE UPGRADE "Connection: upgraded\r\n" ACCEPT END, WS_ERR_HANDSHAKE},
      {STATUS_LINE UPGRADE "Connection: \"Upgrade\"\r\n" ACCEPT END, WS_ERR_HANDSHAKE},
      {STATUS_LINE UPGRADE "Connection:\r\n" ACCEPT END, WS_ERR_HANDSHAKE},
      {"HTTP/1.0 101 Switching Protocols\r\n" UPGRADE CONNECTION ACCEPT END, WS_ERR_HANDSHAKE},
      {GOOD "Content-Length: 0\r\n" END, 0},
      {GOOD "Content-Length: 5\r\n" END, WS_ERR_HANDSHAKE},
      {GOOD "Transfer-Encoding: chunked\r\n" END, WS_ERR_HANDSHAKE},
  };
  (void)state;
  check_answers(all, COUNT_OF(all));
}

/* req: 22, 26 */
/* bad: 58 */
static void test_handshake_accept_must_be_there_once(void **state) {
  static const Answer all[] = {
      {STATUS_LINE UPGRADE CONNECTION END, WS_ERR_HANDSHAKE},
      {STATUS_LINE UPGRADE CONNECTION "Sec-WebSocket-Accept:\r\n" END, WS_ERR_HANDSHAKE},
      {STATUS_LINE UPGRADE CONNECTION "Sec-WebSocket-Accept: " SAMPLE_ACCEPT "\r\n" END,
       WS_ERR_HANDSHAKE},
      {STATUS_LINE UPGRADE CONNECTION "Sec-WebSocket-Accept: %sx\r\n" END, WS_ERR_HANDSHAKE},
      {STATUS_LINE UPGRADE CONNECTION "Sec-WebSocket-Accept: x%s\r\n" END, WS_ERR_HANDSHAKE},
      {STATUS_LINE UPGRADE CONNECTION "Sec-WebSocket-Accept: \"%s\"\r\n" END, WS_ERR_HANDSHAKE},
      {STATUS_LINE UPGRADE CONNECTION "Sec-WebSocket-Accept: %s, x\r\n" END, WS_ERR_HANDSHAKE},
      {STATUS_LINE UPGRADE CONNECTION "Sec-WebSocket-Accept: \t %s \t \r\n" END, 0},
      {GOOD "Sec-WebSocket-Accept: x\r\n" END, WS_ERR_HANDSHAKE},
      {STATUS_LINE UPGRADE CONNECTION "sec-websocket-accept: \r\n" ACCEPT END, WS_ERR_HANDSHAKE},
  };
  (void)state;
  check_answers(all, COUNT_OF(all));
}

static void expect_wrong_accept(void (*spoil)(char *accept, size_t i), size_t i) {
  void *one;
  call_setup(&one);
  Call *call = one;
  call_begin(call);
  spoil(call->t.accept, i);
  target_switch(&call->t, &call->p, "");
  call_expect_refused(call, WS_ERR_HANDSHAKE, 0);
  assert_non_null(strstr(call->c.why_detail, "Sec-WebSocket-Accept"));
  call_teardown(&one);
}

static void change_one(char *accept, size_t i) { accept[i] = accept[i] == 'A' ? 'B' : 'A'; }

static void change_case(char *accept, size_t i) {
  for (; *accept != '\0'; ++accept) {
    *accept = (char)(i == 0 ? tolower((unsigned char)*accept) : toupper((unsigned char)*accept));
  }
}

static void cut_at(char *accept, size_t i) { accept[i] = '\0'; }

/* req: 22 */
/* bad: 58 */
static void test_handshake_each_character_of_the_accept_counts(void **state) {
  (void)state;
  for (size_t i = 0; i < ACCEPT_CHARS; ++i) expect_wrong_accept(change_one, i);
  for (size_t i = 0; i < 2; ++i) expect_wrong_accept(change_case, i);
  for (size_t i = ACCEPT_CHARS - 2; i < ACCEPT_CHARS; ++i) expect_wrong_accept(cut_at, i);
}

/* req: 22, 26 */
/* bad: 58 */
static void test_handshake_right_accept_twice_is_refused(void **state) {
  Call *call = *state;
  char twice[64];
  call_begin(call);
  snprintf(twice, sizeof twice, "Sec-WebSocket-Accept: %s\r\n", call->t.accept);
  target_switch(&call->t, &call->p, twice);
  call_expect_refused(call, WS_ERR_HANDSHAKE, 0);
}

/* req: 23, 24, 26, 27 */
/* bad: 59, 60 */
static void test_handshake_subprotocol_and_extensions_must_have_been_offered(void **state) {
  static const Answer all[] = {
      {GOOD "Sec-WebSocket-Protocol: v1\r\n" END, 0},
      {GOOD "sec-websocket-protocol:v2\r\n" END, 0},
      {GOOD "Sec-WebSocket-Protocol: V1\r\n" END, WS_ERR_HANDSHAKE},
      {GOOD "Sec-WebSocket-Protocol: v3\r\n" END, WS_ERR_HANDSHAKE},
      {GOOD "Sec-WebSocket-Protocol: v\r\n" END, WS_ERR_HANDSHAKE},
      {GOOD "Sec-WebSocket-Protocol:\r\n" END, WS_ERR_HANDSHAKE},
      {GOOD "Sec-WebSocket-Protocol: v1, v2\r\n" END, WS_ERR_HANDSHAKE},
      {GOOD "Sec-WebSocket-Protocol: v1\r\nSec-WebSocket-Protocol: v1\r\n" END, WS_ERR_HANDSHAKE},
      {GOOD "Sec-WebSocket-Extensions: permessage-deflate\r\n" END, WS_ERR_HANDSHAKE},
      {GOOD "Sec-WebSocket-Extensions: x-unknown; a=b\r\n" END, WS_ERR_HANDSHAKE},
      {GOOD "Sec-WebSocket-Extensions: ;;\r\n" END, WS_ERR_HANDSHAKE},
      {GOOD "Sec-WebSocket-Extensions:\r\nSec-WebSocket-Extensions: x\r\n" END, WS_ERR_HANDSHAKE},
  };
  (void)state;
  check_answers(all, COUNT_OF(all));
}

/* req: 24 */
/* bad: 59 */
static void test_handshake_subprotocol_when_none_was_offered_is_refused(void **state) {
  Call *call = *state;
  call_begin(call);
  assert_int_equal(target_count(&call->t, "Sec-WebSocket-Protocol"), 0);
  target_switch(&call->t, &call->p, "Sec-WebSocket-Protocol: chat\r\n");
  call_expect_refused(call, WS_ERR_HANDSHAKE, 0);
  assert_non_null(strstr(call->c.why_detail, "subprotocol"));
}

/* req: 25, 122, 123 */
/* bad: 67, 68 */
static void test_handshake_answer_that_is_not_http_is_refused(void **state) {
  static const Answer all[] = {
      {"ICY 200 OK\r\n\r\n", WS_ERR_HTTP},
      {"SSH-2.0-OpenSSH_9.2\r\n", WS_ERR_HTTP},
      {"\x15\x03\x01", WS_ERR_HTTP},
      {"\x81\x05hello", WS_ERR_HTTP},
      {"\r\n" GOOD END, WS_ERR_HTTP},
      {" " GOOD END, WS_ERR_HTTP},
      {"http/1.1 101 x\r\n", WS_ERR_HTTP},
      {"HTTP/2 101 x\r\n", WS_ERR_HTTP},
      {"HTTP/2.0 101 x\r\n", WS_ERR_HTTP},
      {"HTTP/1.10 101 x\r\n", WS_ERR_HTTP},
      {"HTTP/1.1  101 x\r\n", WS_ERR_HTTP},
      {"HTTP/1.1 10 x\r\n", WS_ERR_HTTP},
      {"HTTP/1.1 1010 x\r\n", WS_ERR_HTTP},
      {"HTTP/1.1 001 x\r\n", WS_ERR_HTTP},
      {"HTTP/1.1 1x1 x\r\n", WS_ERR_HTTP},
      {"HTTP/1.1 101 a\x01\r\n", WS_ERR_HTTP},
      {"HTTP/1.1 101 x\nUpgrade: websocket\n\n", WS_ERR_HTTP},
      {STATUS_LINE STATUS_LINE UPGRADE CONNECTION ACCEPT END, WS_ERR_HTTP},
      {GOOD "A: b\r\n folded\r\n" END, WS_ERR_HTTP},
      {STATUS_LINE " A: b\r\n" END, WS_ERR_HTTP},
      {GOOD "A : b\r\n" END, WS_ERR_HTTP},
      {GOOD "A b\r\n" END, WS_ERR_HTTP},
      {GOOD ": b\r\n" END, WS_ERR_HTTP},
      {GOOD "A\x80: b\r\n" END, WS_ERR_HTTP},
      {GOOD "A: b\x01\r\n" END, WS_ERR_HTTP},
      {GOOD "A: b\rc\r\n" END, WS_ERR_HTTP},
      {GOOD "A: b\n" END, WS_ERR_HTTP},
      {GOOD "A: b\r\r\n" END, WS_ERR_HTTP},
      {GOOD "A: caf\xc3\xa9\r\n" END, 0},
  };
  (void)state;
  check_answers(all, COUNT_OF(all));
}

/* bad: 67 */
static void test_handshake_nul_in_the_answer_is_refused(void **state) {
  static const char text[] = "HTTP/1.1 101 x\r\nA: b\0c\r\n\r\n";
  Call *call = *state;
  call_begin(call);
  peer_send(&call->p, text, sizeof text - 1);
  call_expect_refused(call, WS_ERR_HTTP, 0);
}

/* A new client of the Call, whose last one has ended. */
static void begin_again(Call *call) {
  peer_drop(&call->p);
  ws_client_free(call->c.client);
  call->c.client = NULL;
  run_for(call->c.loop, 0); /* its on_close, if it was open */
  call->c.opened = call->c.closed = call->c.downs = call->c.messages = 0;
  call->c.log[0] = '\0';
  call_begin(call);
}

/* req: 120 */
/* bad: 63, 66 */
static void test_handshake_split_at_every_byte_with_frames_behind_it_is_the_same(void **state) {
  Call *call = *state;
  size_t len = 1;
  call_begin(call);
  for (size_t cut = 0; cut < len; ++cut) {
    uint8_t wire[1024];
    len = (size_t)snprintf((char *)wire, sizeof wire,
                           STATUS_LINE UPGRADE CONNECTION "Sec-WebSocket-Accept: %s\r\n\r\n",
                           call->t.accept);
    len += wire_server_frame(wire + len, FIN_TEXT, "one", 3);
    len += wire_server_frame(wire + len, FIN_PING, "two", 3);
    len += wire_server_frame(wire + len, FIN_BINARY, "three", 5);
    peer_send(&call->p, wire, cut);
    run_for(call->c.loop, 0);
    peer_send(&call->p, wire + cut, len - cut);
    caller_wait_messages(&call->c, 2);
    caller_expect_log(&call->c, "attempt:1 open text:one ping:two binary:three ");
    peer_expect_frame(&call->p, FIN_PONG, "two", 3);
    begin_again(call);
  }
}

/* bad: 66, 70 */
static void test_handshake_close_glued_to_the_answer_opens_and_closes(void **state) {
  Call *call = *state;
  uint8_t wire[16];
  char answer[256];
  call_begin(call);
  int n = snprintf(answer, sizeof answer, GOOD END, call->t.accept);
  n += (int)wire_server_frame((uint8_t *)answer + n, FIN_CLOSE, wire,
                              wire_close_body(wire, 4000, "no"));
  peer_send(&call->p, answer, (size_t)n);
  peer_fin(&call->p);
  caller_wait_down(&call->c, 1);
  caller_expect_log(&call->c, "attempt:1 open close:4000/4000/0 down:0/0/never ");
  peer_expect_close(&call->p, 4000);
}

/* req: 53, 57, 58, 64, 72, 90, 91 */
/* bad: 78, 79, 80 */
static void test_handshake_then_frames_that_are_none_get_a_close_code(void **state) {
  static const struct {
    const char *wire;
    size_t len;
    uint16_t code;
    int error;
  } all[] = {
      {"\x81\x85\x37\xfa\x21\x3d\x7f\x9f\x4d\x51\x58", 11, 1002, WS_ERR_PROTOCOL}, /* masked */
      {"\x89\x80\x01\x02\x03\x04", 6, 1002, WS_ERR_PROTOCOL},
      {"\xc1\x01x", 3, 1002, WS_ERR_PROTOCOL}, /* reserved bits */
      {"\xa1\x01x", 3, 1002, WS_ERR_PROTOCOL},
      {"\x91\x01x", 3, 1002, WS_ERR_PROTOCOL},
      {"\x83\x01x", 3, 1002, WS_ERR_PROTOCOL}, /* reserved opcode */
      {"\x80\x01x", 3, 1002, WS_ERR_PROTOCOL}, /* nothing to continue */
      {"\x09\x01x", 3, 1002, WS_ERR_PROTOCOL}, /* ping in parts */
      {"\x89\x7e\x00\x7e", 4, 1002, WS_ERR_PROTOCOL},
      {"\x88\x01x", 3, 1002, WS_ERR_PROTOCOL},
      {"\x81\x02\xc3\x28", 4, 1007, WS_ERR_UTF8},
      {"\x82\x7f\x00\x00\x00\x00\x00\x10\x00\x01", 10, 1009, WS_ERR_TOO_BIG},
  };
  (void)state;
  for (size_t i = 0; i < COUNT_OF(all); ++i) {
    void *one;
    char want[96];
    call_setup(&one);
    Call *call = one;
    call_open(call);
    peer_send(&call->p, all[i].wire, all[i].len);
    peer_expect_close(&call->p, all[i].code);
    peer_drop(&call->p);
    caller_wait_down(&call->c, 1);
    snprintf(want, sizeof want, "attempt:1 open close:1006/%d/%d down:%d/0/never ", all[i].code,
             all[i].error, all[i].error);
    caller_expect_log(&call->c, want);
    assert_true(call->c.why_detail[0] != '\0');
    assert_int_equal(call->c.why.sent_code, all[i].code);
    assert_int_equal(call->c.why.flags & WS_CLOSE_CLEAN, 0);
    call_teardown(&one);
  }
}

/* req: 14 */
/* bad: 75 */
static void test_handshake_key_is_new_for_each_attempt(void **state) {
  enum { ATTEMPTS = 20 };
  static char keys[ATTEMPTS][64];
  Call *call = *state;
  call->c.config.retry_count = ATTEMPTS;
  call->c.config.retry_min_ms = call->c.config.retry_max_ms = 1;
  caller_start(&call->c);
  for (int i = 0; i < ATTEMPTS; ++i) {
    target_take(&call->t, &call->p);
    strcpy(keys[i], call->t.key);
    for (int k = 0; k < i; ++k) assert_string_not_equal(keys[i], keys[k]);
    peer_drop(&call->p);
  }
}

#define test_of(f) cmocka_unit_test_setup_teardown(f, call_setup, call_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_handshake_upgrade_and_connection_are_checked),
      cmocka_unit_test(test_handshake_accept_must_be_there_once),
      cmocka_unit_test(test_handshake_each_character_of_the_accept_counts),
      test_of(test_handshake_right_accept_twice_is_refused),
      cmocka_unit_test(test_handshake_subprotocol_and_extensions_must_have_been_offered),
      test_of(test_handshake_subprotocol_when_none_was_offered_is_refused),
      cmocka_unit_test(test_handshake_answer_that_is_not_http_is_refused),
      test_of(test_handshake_nul_in_the_answer_is_refused),
      test_of(test_handshake_split_at_every_byte_with_frames_behind_it_is_the_same),
      test_of(test_handshake_close_glued_to_the_answer_opens_and_closes),
      cmocka_unit_test(test_handshake_then_frames_that_are_none_get_a_close_code),
      test_of(test_handshake_key_is_new_for_each_attempt),
  };
  return cmocka_run_group_tests_name("client_handshake", tests, NULL, NULL);
}
