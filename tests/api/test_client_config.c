/*
 * client.h, settings that cannot be used: ws_client_new() refuses them, says which one it was, and
 * neither connects nor touches *out.
 */
#include "caller.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static ws_client *const kUntouched = (ws_client *)(uintptr_t)16;

/* The call fails with `error`, the detail holds `named`, and nobody connects. */
static void expect_bad(Call *call, int error, const char *named) {
  ws_client *out = kUntouched;
  int got = ws_client_new(call->c.loop, &call->c.config, &out);
  if (got != error) fail_msg("%d is wanted for %s, but it is %d", error, named, got);
  if (strstr(ws_last_detail(), named) == NULL) {
    fail_msg("\"%s\" is not in \"%s\"", named, ws_last_detail());
  }
  assert_ptr_equal(out, kUntouched);
}

static void expect_nothing_happened(Call *call) {
  target_expect_nobody(&call->t);
  caller_expect_log(&call->c, "");
}

/* And the byte at which each is wrong. */
static const struct {
  const char *url;
  int at;
} kBadUrls[] = {
    {"", 0},
    {"w", 0},
    {"ws", 0},
    {"ws:", 3},
    {"ws:/", 3},
    {"ws://", 5},
    {"ws:///x", 5},
    {"ws://?x", 5},
    {"http://h/", 0},
    {"https://h/", 0},
    {"ftp://h/", 0},
    {"//h/", 0},
    {"h:80/", 0},
    {" ws://h/", 0},
    {"ws://h/#", 7},
    {"ws://h/a#b", 8},
    {"ws://h#b", 6},
    {"ws://h:/", 7},
    {"ws://h:0/", 7},
    {"ws://h:-1/", 7},
    {"ws://h:+1/", 7},
    {"ws://h: 1/", 7},
    {"ws://h:80a/", 7},
    {"ws://h:65536/", 7},
    {"ws://h:99999999999999999999/", 7},
    {"ws://[::1/", 5},
    {"ws://::1]/", 5},
    {"ws://[::1]x/", 10},
    {"ws://[::g]/", 6},
    {"ws://[]/", 6},
    {"ws://[fe80::1%eth0]/", 13},
    {"ws://a b/", 6},
    {"ws://a\r\nb/", 6},
    {"ws://h/\r\nX: y", 7},
    {"ws://h/\n", 7},
    {"ws://h/\x7f", 7},
    {"ws://h/\t", 7},
    {"ws://h/a\\b", 8},
    {"ws://h%41/", 6},
    {"ws://caf\xc3\xa9/", 8},
    {"ws://a..b/", 7},
    {"ws://.a/", 5},
    {"ws://127.1/", 5},
    {"ws://2130706433/", 5},
    {"ws://0x7f000001/", 5},
    {"ws://0177.0.0.1/", 5},
    {"ws://1.2.3.4.5/", 5},
    {"ws://256.0.0.1/", 5},
    {"ws://u:p@@h/", 9},
    {"ws://u%0ax@h/", 6},
    {"ws://u%3Ax:p@h/", 5},
    {"ws://u%zz@h/", 6},
    {"ws://u x@h/", 6},
    {"ws+unix:", 8},
    {"ws+unix://", 10},
    {"ws+unix://relative", 10},
    {"ws+unix:@", 8},
    {"ws+unix:///a:b", 13},
    {"ws+unix:///a?b", 12},
    {"ws+unix:///a%00b", 12},
};

/* req: 1, 2 */
/* bad: 72 */
static void test_config_url_that_is_none_is_refused_with_its_byte(void **state) {
  Call *call = *state;
  for (size_t i = 0; i < COUNT_OF(kBadUrls); ++i) {
    char at[32];
    ws_client *out = kUntouched;
    call->c.config.url = kBadUrls[i].url;
    snprintf(at, sizeof at, " at byte %d", kBadUrls[i].at);
    int got = ws_client_new(call->c.loop, &call->c.config, &out);
    if (got != WS_ERR_INVALID) fail_msg("%d for \"%s\"", got, kBadUrls[i].url);
    assert_ptr_equal(out, kUntouched);
    const char *detail = ws_last_detail();
    size_t len = strlen(detail), end = strlen(at);
    if (strncmp(detail, "url: ", 5) != 0 || len < end || strcmp(detail + len - end, at) != 0) {
      fail_msg("\"%s\": \"url: ...%s\" is wanted, but: %s", kBadUrls[i].url, at, detail);
    }
    for (const char *c = detail; *c != '\0'; ++c) assert_true(*c >= ' ' && *c < 0x7f);
  }
  expect_nothing_happened(call);
}

static int new_with_url(Call *call, const char *url) {
  ws_client *out = NULL;
  call->c.config.url = url;
  int got = ws_client_new(call->c.loop, &call->c.config, &out);
  if (got == WS_OK) ws_client_free(out);
  return got;
}

/* req: 2, 3 */
/* bad: 72 */
static void test_config_url_bounds(void **state) {
  Call *call = *state;
  char url[600];
  assert_int_equal(new_with_url(call, "ws://h:1/"), WS_OK);
  assert_int_equal(new_with_url(call, "ws://h:65535/"), WS_OK);
  assert_int_equal(new_with_url(call, "ws://h:65536/"), WS_ERR_INVALID);
  assert_int_equal(new_with_url(call, "wss://h:443/"), WS_OK);
  assert_int_equal(new_with_url(call, "WsS://h/"), WS_OK);
  for (int n = 62; n <= 64; ++n) {
    snprintf(url, sizeof url, "ws://%0*d.org/", n, 0);
    assert_int_equal(new_with_url(call, url), n <= 63 ? WS_OK : WS_ERR_INVALID);
  }
  /* Four labels and what fills up to 254, 255 and 256 bytes. */
  for (int n = 254; n <= 256; ++n) {
    snprintf(url, sizeof url, "ws://%063d.%063d.%063d.%0*d%c/", 0, 0, 0, n - 193, 0, 'a');
    assert_int_equal(new_with_url(call, url), n <= 255 ? WS_OK : WS_ERR_INVALID);
  }
  char *big = malloc(70000);
  memset(big, 'a', 69999);
  memcpy(big, "ws://h/", 7);
  big[69999] = '\0';
  assert_int_equal(new_with_url(call, big), WS_ERR_INVALID);
  assert_detail_has("url: ");
  free(big);
  expect_nothing_happened(call);
}

/* req: 13, 122, 123 */
/* bad: 73, 74 */
static void test_config_headers_that_cannot_be_sent_are_refused(void **state) {
  Call *call = *state;
  static const ws_header fields[] = {
      {"X", "a\r\nY: b"},
      {"X", "a\nb"},
      {"X", "a\rb"},
      {"X", "a\x01"},
      {"X", "a\x7f"},
      {"X\r\nY", "b"},
      {"X Y", "b"},
      {"X:", "b"},
      {"", "b"},
      {"X\x80", "b"},
      {"Host", "h"},
      {"hOST", "h"},
      {"Upgrade", "websocket"},
      {"connection", "Upgrade"},
      {"Content-Length", "0"},
      {"Transfer-Encoding", "chunked"},
      {"Keep-Alive", "1"},
      {"Sec-WebSocket-Key", "x"},
      {"Sec-WebSocket-Version", "13"},
      {"Sec-WebSocket-Protocol", "chat"},
      {"Sec-WebSocket-Extensions", "permessage-deflate"},
      {"sec-websocket-accept", "x"},
      {"Sec-WebSocket-Anything", "x"},
  };
  static const ws_header good = {"X-Good", "1"};
  for (size_t i = 0; i < COUNT_OF(fields); ++i) {
    ws_header both[2] = {good, fields[i]};
    call->c.config.headers = both;
    call->c.config.header_count = 2;
    expect_bad(call, WS_ERR_INVALID, "header '");
    assert_null(strpbrk(ws_last_detail(), "\r\n\x80"));
  }
  ws_header null_name = {NULL, "x"}, null_value = {"X", NULL};
  call->c.config.header_count = 1;
  call->c.config.headers = &null_name;
  expect_bad(call, WS_ERR_INVALID, "header");
  call->c.config.headers = &null_value;
  expect_bad(call, WS_ERR_INVALID, "header");
  call->c.config.headers = NULL;
  expect_bad(call, WS_ERR_INVALID, "headers");
  expect_nothing_happened(call);
}

/* bad: 73, 74 */
static void test_config_set_headers_refuses_the_same_and_keeps_the_old(void **state) {
  Call *call = *state;
  static const ws_header old = {"X-Old", "1"}, injected = {"X", "a\r\nb"}, reserved = {"Host", "x"};
  call->c.config.headers = &old;
  call->c.config.header_count = 1;
  caller_start(&call->c);
  assert_fails(WS_ERR_INVALID, ws_client_set_headers(call->c.client, &injected, 1));
  assert_fails(WS_ERR_INVALID, ws_client_set_headers(call->c.client, &reserved, 1));
  assert_fails(WS_ERR_INVALID, ws_client_set_headers(call->c.client, NULL, 1));
  target_take(&call->t, &call->p);
  target_expect_line(&call->t, "X-Old: 1");
  assert_ok(ws_client_set_headers(call->c.client, NULL, 0));
}

/* req: 16 */
/* bad: 73 */
static void test_config_subprotocols_that_are_no_distinct_tokens_are_refused(void **state) {
  Call *call = *state;
  static const char *const bad[] = {"", "a b", "a,b", "a;b", "\"a\"", "a\r\nb", "a\x80", "a/b"};
  static const char *const twice[] = {"a", "b", "a"};
  static const char *const null[] = {"a", NULL};
  static const char *const distinct[] = {"a", "A"};
  for (size_t i = 0; i < COUNT_OF(bad); ++i) {
    call->c.config.subprotocols = &bad[i];
    call->c.config.subprotocol_count = 1;
    expect_bad(call, WS_ERR_INVALID, "subprotocol '");
  }
  call->c.config.subprotocols = twice;
  call->c.config.subprotocol_count = 3;
  expect_bad(call, WS_ERR_INVALID, "subprotocol 'a' is named twice");
  call->c.config.subprotocols = null;
  call->c.config.subprotocol_count = 2;
  expect_bad(call, WS_ERR_INVALID, "subprotocols");
  call->c.config.subprotocols = NULL;
  expect_bad(call, WS_ERR_INVALID, "subprotocols");
  expect_nothing_happened(call);
  call->c.config.subprotocols = distinct;
  caller_start(&call->c);
}

static void set_retries(Call *call, uint32_t min_ms, uint32_t max_ms) {
  call->c.config.retry_min_ms = min_ms;
  call->c.config.retry_max_ms = max_ms;
}

static void test_config_retry_bounds(void **state) {
  Call *call = *state;
  static const uint32_t good[][2] = {{0, 0},         {1, 1},         {1, 0},    {0, 500},
                                     {100000, 0},    {INT32_MAX, 0}, {7, 7},    {7, 8},
                                     {1, INT32_MAX}, {0, INT32_MAX}, {30000, 0}};
  for (size_t i = 0; i < COUNT_OF(good); ++i) {
    ws_client *out = NULL;
    set_retries(call, good[i][0], good[i][1]);
    assert_ok(ws_client_new(call->c.loop, &call->c.config, &out));
    ws_client_free(out);
  }
  set_retries(call, 8, 7);
  expect_bad(call, WS_ERR_INVALID, "retry_max_ms 7 is less than retry_min_ms 8");
  set_retries(call, 0, 499);
  expect_bad(call, WS_ERR_INVALID, "retry_max_ms 499 is less than retry_min_ms 500");
  set_retries(call, (uint32_t)INT32_MAX + 1, 0);
  expect_bad(call, WS_ERR_INVALID, "retry_min_ms");
  set_retries(call, 0, (uint32_t)INT32_MAX + 1);
  expect_bad(call, WS_ERR_INVALID, "retry_max_ms");
  set_retries(call, 0, WS_NEVER);
  expect_bad(call, WS_ERR_INVALID, "retry_max_ms");
  expect_nothing_happened(call);
}

/* bad: 237 */
static void test_config_unknown_flags_and_sizes_are_refused(void **state) {
  Call *call = *state;
  ws_client *out = kUntouched;
  call->c.config.flags = 1u << 30;
  expect_bad(call, WS_ERR_UNSUPPORTED, "0x40000000");
  call->c.config.flags = 1u << 31 | WS_CLIENT_RETRY_ALL;
  expect_bad(call, WS_ERR_UNSUPPORTED, "0x80000000");
  call->c.config.flags = 0;
  call->c.config.size = 0;
  expect_bad(call, WS_ERR_INVALID, "ws_client_config.size");
  call->c.config.size = SIZE_MAX;
  expect_bad(call, WS_ERR_INVALID, "ws_client_config.size");
  call->c.config.size = sizeof call->c.config;
  call->c.limits.size = 1;
  expect_bad(call, WS_ERR_INVALID, "ws_conn_config.size");
  WS_INIT(&call->c.limits);
  call->c.limits.flags = 1u << 30;
  expect_bad(call, WS_ERR_UNSUPPORTED, "ws_conn_config.flags");
  WS_INIT(&call->c.limits);
  call->c.limits.handshake_timeout_ms = (uint32_t)INT32_MAX + 1;
  expect_bad(call, WS_ERR_INVALID, "handshake_timeout_ms");
  WS_INIT(&call->c.limits);
  call->c.handlers.size = 1;
  expect_bad(call, WS_ERR_INVALID, "ws_handlers.size");
  call->c.handlers.size = sizeof call->c.handlers;
  call->c.config.url = NULL;
  expect_bad(call, WS_ERR_INVALID, "url");
  assert_fails(WS_ERR_INVALID, ws_client_new(call->c.loop, NULL, &out));
  caller_set_url(&call->c, "ws://h/");
  assert_fails(WS_ERR_INVALID, ws_client_new(NULL, &call->c.config, &out));
  assert_fails(WS_ERR_INVALID, ws_client_new(call->c.loop, &call->c.config, NULL));
  assert_ptr_equal(out, kUntouched);
  expect_nothing_happened(call);
}

/* bad: 237 */
static void test_config_of_a_newer_caller_works_unless_it_uses_what_is_new(void **state) {
  Call *call = *state;
  struct {
    ws_client_config known;
    uint64_t unknown;
  } newer = {call->c.config, 0};
  ws_client *out = kUntouched;
  newer.known.size = sizeof newer;
  newer.unknown = 1;
  assert_fails(WS_ERR_UNSUPPORTED, ws_client_new(call->c.loop, &newer.known, &out));
  assert_detail_has("ws_client_config");
  assert_ptr_equal(out, kUntouched);
  newer.unknown = 0;
  assert_ok(ws_client_new(call->c.loop, &newer.known, &call->c.client));
  target_welcome(&call->t, &call->p);
  caller_wait_open(&call->c, 1);
}

static void test_config_proxies_that_are_none_are_refused(void **state) {
  Call *call = *state;
  static const char *const bad[] = {
      "",           "http://",        "ftp://h:1",       "http://h:0",     "http://h:65536",
      "http://h/x", "http://h?x",     "http://h\r\n",    "http://a b",     "socks4a://u:p@h",
      "http://[::", "http://u@v@h:1", "socks5://u%0a@h", "http://u%3a:p@h"};
  for (size_t i = 0; i < COUNT_OF(bad); ++i) {
    call->c.config.proxy = bad[i];
    expect_bad(call, WS_ERR_INVALID, "proxy: ");
    assert_detail_has(" at byte ");
  }
  call->c.config.proxy = "http://127.0.0.1:1";
  call->c.config.url = "ws+unix:///tmp/x";
  expect_bad(call, WS_ERR_INVALID, "proxy: ");
  expect_nothing_happened(call);
}

/* RFC 1929 2 has one byte for the length of each. */
static void test_config_socks_credentials_fit_one_byte_of_length(void **state) {
  Call *call = *state;
  for (int n = 254; n <= 256; ++n) {
    for (int second = 0; second < 2; ++second) {
      char proxy[600];
      ws_client *out = NULL;
      snprintf(proxy, sizeof proxy, "socks5://%0*d:%0*d@h", second ? 1 : n, 0, second ? n : 1, 0);
      call->c.config.proxy = proxy;
      if (n == 256) {
        expect_bad(call, WS_ERR_INVALID, "proxy: ");
        continue;
      }
      assert_ok(ws_client_new(call->c.loop, &call->c.config, &out));
      ws_client_free(out);
    }
  }
}

static void test_config_connect_to_must_be_host_and_port(void **state) {
  Call *call = *state;
  static const char *const bad[] = {"",        "h",        ":1",      "h:",      "h:0",
                                    "h:65536", "ws://h:1", "h:1/x",   "h:1\r\n", "a b:1",
                                    "[::1]",   "::1:80",   "[::1:80", "u@h:1",   "127.1:80"};
  for (size_t i = 0; i < COUNT_OF(bad); ++i) {
    call->c.config.connect_to = bad[i];
    expect_bad(call, WS_ERR_INVALID, "connect_to: ");
  }
  call->c.config.connect_to = "127.0.0.1:1";
  call->c.config.url = "ws+unix:///tmp/x";
  expect_bad(call, WS_ERR_INVALID, "connect_to: ");
  expect_nothing_happened(call);
}

/* The length is the system's business, so it is met when the socket's address is made. */
static void test_config_unix_path_that_is_too_long_fails_the_attempt(void **state) {
  Call *call = *state;
  call->c.config.retry_count = 3;
  for (int n = 107; n <= 108; ++n) {
    caller_set_url(&call->c, "ws+unix:///%0*d", n - 1, 0);
    caller_start(&call->c);
    caller_wait_down(&call->c, 1);
    /* 108 bytes do not leave room for the NUL. */
    caller_expect_log(&call->c,
                      n == 107 ? "attempt:1 down:-22/0/retry " : "attempt:1 down:-1/0/never ");
    assert_true(call->c.why_detail[0] != '\0');
    ws_client_free(call->c.client);
    call->c.client = NULL;
    call->c.downs = 0;
  }
}

#define test_of(f) cmocka_unit_test_setup_teardown(f, call_setup, call_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      test_of(test_config_url_that_is_none_is_refused_with_its_byte),
      test_of(test_config_url_bounds),
      test_of(test_config_headers_that_cannot_be_sent_are_refused),
      test_of(test_config_set_headers_refuses_the_same_and_keeps_the_old),
      test_of(test_config_subprotocols_that_are_no_distinct_tokens_are_refused),
      test_of(test_config_retry_bounds),
      test_of(test_config_unknown_flags_and_sizes_are_refused),
      test_of(test_config_of_a_newer_caller_works_unless_it_uses_what_is_new),
      test_of(test_config_proxies_that_are_none_are_refused),
      test_of(test_config_socks_credentials_fit_one_byte_of_length),
      test_of(test_config_connect_to_must_be_host_and_port),
      test_of(test_config_unix_path_that_is_too_long_fails_the_attempt),
  };
  return cmocka_run_group_tests_name("client_config", tests, NULL, NULL);
}
