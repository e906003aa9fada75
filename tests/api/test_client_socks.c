/*
 * client.h, SOCKS proxies: SOCKS 5 (RFC 1928, 1929) and SOCKS 4a, byte for byte.  The server here
 * is first the proxy and, on the same connection, then the server behind it.
 */
#include "caller.h"

#include <stdio.h>

#define TO "example.org:1234"

static char proxy_url[128];

static void begin(Call *call, const char *scheme_and_user, const char *url) {
  snprintf(proxy_url, sizeof proxy_url, "%s127.0.0.1:%d", scheme_and_user, call->t.port);
  call->c.config.proxy = proxy_url;
  call->c.config.url = url != NULL ? url : "ws://" TO "/x";
  caller_start(&call->c);
  target_accept(&call->t, &call->p);
}

typedef struct Bytes {
  const char *data;
  size_t len;
} Bytes;
#define BYTES_OF(text) \
  { text, sizeof(text) - 1 }

/* One question of the client and the proxy's answer to it. */
typedef struct Turn {
  Bytes question, answer;
} Turn;

static void talk(Call *call, const Turn *turns, size_t count, int bytewise) {
  for (size_t i = 0; i < count && turns[i].question.data != NULL; ++i) {
    peer_expect_data(&call->p, turns[i].question.data, turns[i].question.len);
    peer_expect_quiet(&call->p);
    for (size_t k = 0; bytewise && k < turns[i].answer.len; ++k) {
      peer_send(&call->p, turns[i].answer.data + k, 1);
      run_for(call->c.loop, 0);
    }
    if (!bytewise) peer_send(&call->p, turns[i].answer.data, turns[i].answer.len);
  }
}

#define GREETING BYTES_OF("\x05\x01\x00")
#define GREETING_LOGIN BYTES_OF("\x05\x02\x00\x02")
#define LOGIN BYTES_OF("\x01\x04user\x02pw")
#define REQUEST              \
  BYTES_OF(                  \
      "\x05\x01\x00\x03\x0b" \
      "example.org\x04\xd2")
#define REQUEST_4                            \
  BYTES_OF(                                  \
      "\x04\x01\x04\xd2\x00\x00\x00\x01\x00" \
      "example.org\x00")
#define DONE "\x05\x00\x00\x01\x00\x00\x00\x00\x00\x00"

/* req: 7 */
static void test_proxy_socks_tunnel_carries_the_connection(void **state) {
  static const struct {
    const char *proxy, *url; /* NULL = the usual one */
    Turn turns[3];
  } all[] = {
      {"socks5://", NULL, {{GREETING, BYTES_OF("\x05\x00")}, {REQUEST, BYTES_OF(DONE)}}},
      {"socks5h://", NULL, {{GREETING, BYTES_OF("\x05\x00")}, {REQUEST, BYTES_OF(DONE)}}},
      /* The address that the proxy bound: a name, an IPv6 address, an empty name. */
      {"socks5://",
       NULL,
       {{GREETING, BYTES_OF("\x05\x00")}, {REQUEST, BYTES_OF("\x05\x00\x00\x03\x02hi\x00\x00")}}},
      {"socks5://",
       NULL,
       {{GREETING, BYTES_OF("\x05\x00")}, {REQUEST, BYTES_OF("\x05\x00\x00\x03\x00\x00\x00")}}},
      {"socks5://",
       NULL,
       {{GREETING, BYTES_OF("\x05\x00")},
        {REQUEST, BYTES_OF("\x05\x00\x00\x04"
                           "0123456789abcdefpp")}}},
      {"socks5://user:pw@",
       NULL,
       {{GREETING_LOGIN, BYTES_OF("\x05\x02")},
        {LOGIN, BYTES_OF("\x01\x00")},
        {REQUEST, BYTES_OF(DONE)}}},
      /* It need not want them. */
      {"socks5://user:pw@",
       NULL,
       {{GREETING_LOGIN, BYTES_OF("\x05\x00")}, {REQUEST, BYTES_OF(DONE)}}},
      {"socks5://",
       "ws://192.0.2.7:80/",
       {{GREETING, BYTES_OF("\x05\x00")},
        {BYTES_OF("\x05\x01\x00\x01\xc0\x00\x02\x07\x00\x50"), BYTES_OF(DONE)}}},
      {"socks5://",
       "ws://[2001:db8::1]:65535/",
       {{GREETING, BYTES_OF("\x05\x00")},
        {BYTES_OF("\x05\x01\x00\x04\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01\xff\xff"),
         BYTES_OF(DONE)}}},
      {"socks4a://", NULL, {{REQUEST_4, BYTES_OF("\x00\x5a\x01\x02\x03\x04\x05\x06")}}},
      {"socks4a://me@",
       NULL,
       {{BYTES_OF("\x04\x01\x04\xd2\x00\x00\x00\x01me\x00"
                  "example.org\x00"),
         BYTES_OF("\x00\x5a\0\0\0\0\0\0")}}},
      {"socks4a://",
       "ws://192.0.2.7/",
       {{BYTES_OF("\x04\x01\x00\x50\xc0\x00\x02\x07\x00"), BYTES_OF("\x00\x5a\0\0\0\0\0\0")}}},
  };
  (void)state;
  for (size_t i = 0; i < COUNT_OF(all); ++i) {
    for (int bytewise = 0; bytewise < 2; ++bytewise) {
      void *one;
      call_setup(&one);
      Call *call = one;
      begin(call, all[i].proxy, all[i].url);
      talk(call, all[i].turns, COUNT_OF(all[i].turns), bytewise);
      target_read_request(&call->t, &call->p);
      target_switch(&call->t, &call->p, "");
      caller_wait_log(&call->c, "open ");
      assert_ok(ws_client_send(call->c.client, WS_OP_TEXT, "there", 5, 0));
      peer_expect_text(&call->p, "there");
      peer_send_text(&call->p, "and back");
      caller_wait_log(&call->c, "text:and back ");
      call_teardown(&one);
    }
  }
}

#define NO_LOGIN \
  { GREETING, BYTES_OF("\x05\x00") }

typedef struct Refusal {
  const char *proxy;
  Turn turns[3];
  const char *detail;
} Refusal;

static void check_refusals(const Refusal *all, size_t count) {
  for (size_t i = 0; i < count; ++i) {
    void *one;
    call_setup(&one);
    Call *call = one;
    begin(call, all[i].proxy, NULL);
    talk(call, all[i].turns, COUNT_OF(all[i].turns), 0);
    call_expect_refused(call, WS_ERR_PROXY, 0);
    if (strstr(call->c.why_detail, all[i].detail) == NULL) {
      fail_msg("%zu: \"%s\" is not in \"%s\"", i, all[i].detail, call->c.why_detail);
    }
    call_teardown(&one);
  }
}

/* req: 8 */
/* bad: 71 */
static void test_proxy_socks_refusals_and_nonsense_end_the_attempt(void **state) {
  static const Refusal all[] = {
      {"socks5://", {{GREETING, BYTES_OF("\x04\x00")}}, "SOCKS 5"},
      {"socks5://", {{GREETING, BYTES_OF("HTTP/1.1 400 x\r\n\r\n")}}, "SOCKS 5"},
      {"socks5://", {{GREETING, BYTES_OF("\x05\xff")}}, "login"},
      {"socks5://", {{GREETING, BYTES_OF("\x05\x02")}}, "not offered"},
      {"socks5://", {{GREETING, BYTES_OF("\x05\x01")}}, "not offered"},
      {"socks5://user:pw@", {{GREETING_LOGIN, BYTES_OF("\x05\xff")}}, "login"},
      {"socks5://user:pw@",
       {{GREETING_LOGIN, BYTES_OF("\x05\x02")}, {LOGIN, BYTES_OF("\x01\x01")}},
       "user and password"},
      {"socks5://user:pw@",
       {{GREETING_LOGIN, BYTES_OF("\x05\x02")}, {LOGIN, BYTES_OF("\x05\x00")}},
       "SOCKS 5"},
      {"socks5://", {NO_LOGIN, {REQUEST, BYTES_OF("\x04\x00\x00\x01")}}, "SOCKS 5"},
      {"socks5://", {NO_LOGIN, {REQUEST, BYTES_OF("\x05\x00\x01\x01")}}, "SOCKS 5"},
      {"socks5://", {NO_LOGIN, {REQUEST, BYTES_OF("\x05\x00\x00\x02")}}, "SOCKS 5"},
      {"socks5://", {NO_LOGIN, {REQUEST, BYTES_OF("\x05\x02\x00\x01\0\0\0\0\0\0")}}, "rules"},
      {"socks5://", {NO_LOGIN, {REQUEST, BYTES_OF("\x05\x05\x00\x01\0\0\0\0\0\0")}}, "refused"},
      {"socks5://", {NO_LOGIN, {REQUEST, BYTES_OF("\x05\xc8\x00\x01\0\0\0\0\0\0")}}, "200"},
      {"socks4a://", {{REQUEST_4, BYTES_OF("\x00\x5b\0\0\0\0\0\0")}}, "91"},
      {"socks4a://", {{REQUEST_4, BYTES_OF("\x00\x5c\0\0\0\0\0\0")}}, "92"},
      {"socks4a://", {{REQUEST_4, BYTES_OF("\x00\x00\0\0\0\0\0\0")}}, "proxy"},
      {"socks4a://", {{REQUEST_4, BYTES_OF("\x04\x5a\0\0\0\0\0\0")}}, "SOCKS 4"},
  };
  (void)state;
  check_refusals(all, COUNT_OF(all));
}

/* Whoever is behind the tunnel waits for us to speak. */
/* bad: 71 */
static void test_proxy_socks_bytes_beyond_an_answer_end_the_attempt(void **state) {
  static const Refusal all[] = {
      {"socks5://", {NO_LOGIN, {REQUEST, BYTES_OF(DONE "x")}}, "beyond"},
      {"socks5://", {{GREETING, BYTES_OF("\x05\x00" DONE)}}, "before it was asked"},
      {"socks4a://", {{REQUEST_4, BYTES_OF("\x00\x5a\0\0\0\0\0\0x")}}, "beyond"},
  };
  (void)state;
  if (faults_are_on()) skip(); /* reads that end with the answer leave the rest to the tunnel */
  check_refusals(all, COUNT_OF(all));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_proxy_socks_tunnel_carries_the_connection),
      cmocka_unit_test(test_proxy_socks_refusals_and_nonsense_end_the_attempt),
      cmocka_unit_test(test_proxy_socks_bytes_beyond_an_answer_end_the_attempt),
  };
  return cmocka_run_group_tests_name("client_socks", tests, NULL, NULL);
}
