/*
 * client.h, WS_CLIENT_PROXY_ENV: which variable names the proxy, and for whom there is none.  The
 * rules of no_proxy are in test_proxy_env.cpp, one by one.
 */
#include "caller.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const kVariables[] = {"wss_proxy",  "WSS_PROXY",   "ws_proxy",  "WS_PROXY",
                                         "http_proxy", "HTTP_PROXY",  "all_proxy", "HTTPS_PROXY",
                                         "ALL_PROXY",  "https_proxy", "no_proxy",  "NO_PROXY"};
static char *before[COUNT_OF(kVariables)];

static int environment_setup(void **state) {
  for (size_t i = 0; i < COUNT_OF(kVariables); ++i) {
    const char *value = getenv(kVariables[i]);
    before[i] = value != NULL ? strdup(value) : NULL;
    unsetenv(kVariables[i]);
  }
  return call_setup(state);
}

static int environment_teardown(void **state) {
  for (size_t i = 0; i < COUNT_OF(kVariables); ++i) {
    unsetenv(kVariables[i]);
    if (before[i] != NULL) setenv(kVariables[i], before[i], 1);
    free(before[i]);
  }
  return call_teardown(state);
}

/* "P" in the value is where the proxy is, "X" where nobody is. */
static void set_variable(Call *call, const char *name, const char *value) {
  char text[256];
  snprintf(text, sizeof text, "http://127.0.0.1:%d", call->t.port);
  setenv(name,
         strcmp(value, "P") == 0   ? text
         : strcmp(value, "X") == 0 ? "http://127.0.0.1:1"
                                   : value,
         1);
}

typedef struct Setting {
  const char *name, *value;
} Setting;

/* The server listens where both the proxy and the server of the URL are: what comes first tells
 * which of them it is taken for. */
static void expect_way(Call *call, const Setting *settings, size_t count, int is_proxied) {
  char head[1024];
  for (size_t i = 0; i < count && settings[i].name != NULL; ++i) {
    set_variable(call, settings[i].name, settings[i].value);
  }
  caller_set_url(&call->c, "ws://localhost:%d/", call->t.port);
  caller_start(&call->c);
  target_accept(&call->t, &call->p);
  peer_read_head(&call->p, head, sizeof head);
  if (strncmp(head, is_proxied ? "CONNECT localhost:" : "GET / HTTP", is_proxied ? 18 : 10) != 0) {
    fail_msg("%s=%s...: %s", settings[0].name, settings[0].value, head);
  }
}

static void test_proxy_of_the_environment(void **state) {
  static const struct {
    Setting settings[4];
    int is_proxied;
  } all[] = {
      {{{"http_proxy", "P"}}, 1},
      {{{"ws_proxy", "P"}}, 1},
      {{{"WS_PROXY", "P"}}, 1},
      {{{"all_proxy", "P"}}, 1},
      {{{"ALL_PROXY", "P"}}, 1},
      {{{"ws_proxy", "P"}, {"http_proxy", "X"}, {"all_proxy", "X"}}, 1},
      {{{"ws_proxy", "P"}, {"WS_PROXY", "X"}}, 1},
      {{{"WS_PROXY", "P"}, {"http_proxy", "X"}}, 1},
      {{{"http_proxy", "P"}, {"all_proxy", "X"}}, 1},
      {{{"all_proxy", "P"}, {"ALL_PROXY", "X"}}, 1},
      /* Set but empty: none. */
      {{{"ws_proxy", ""}, {"http_proxy", "X"}}, 0},
      {{{"http_proxy", ""}, {"all_proxy", "X"}}, 0},
      /* A CGI program has it from its peer. */
      {{{"HTTP_PROXY", "X"}}, 0},
      /* Those are for wss. */
      {{{"wss_proxy", "X"}, {"https_proxy", "X"}, {"HTTPS_PROXY", "X"}, {"WSS_PROXY", "X"}}, 0},
      {{{"http_proxy", "X"}, {"no_proxy", "localhost"}}, 0},
      {{{"http_proxy", "X"}, {"no_proxy", "*"}}, 0},
      {{{"http_proxy", "X"}, {"NO_PROXY", "example.org, LocalHost"}}, 0},
      {{{"http_proxy", "X"}, {"no_proxy", ".localhost"}}, 0},
      {{{"http_proxy", "P"}, {"no_proxy", "host"}}, 1},
      {{{"http_proxy", "P"}, {"no_proxy", "localhost.example.org"}}, 1},
      {{{"http_proxy", "P"}, {"no_proxy", "localhost:1"}}, 1},
      {{{"http_proxy", "P"}, {"no_proxy", "127.0.0.1"}}, 1}, /* names are not looked up */
      {{{"http_proxy", "P"}, {"no_proxy", ""}, {"NO_PROXY", "localhost"}}, 1},
  };
  (void)state;
  for (size_t i = 0; i < COUNT_OF(all); ++i) {
    void *one;
    environment_setup(&one);
    Call *call = one;
    call->c.config.flags = WS_CLIENT_PROXY_ENV;
    expect_way(call, all[i].settings, COUNT_OF(all[i].settings), all[i].is_proxied);
    environment_teardown(&one);
  }
}

static void test_proxy_of_the_environment_is_only_used_when_asked_for(void **state) {
  static const Setting set[] = {{"http_proxy", "X"}, {"ws_proxy", "X"}, {"all_proxy", "X"}};
  expect_way(*state, set, COUNT_OF(set), 0);
}

static void test_proxy_that_is_given_goes_before_the_environment(void **state) {
  static const Setting set[] = {{"ws_proxy", "X"}, {"no_proxy", "*"}};
  Call *call = *state;
  call->c.config.flags = WS_CLIENT_PROXY_ENV;
  char proxy[64];
  snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", call->t.port);
  call->c.config.proxy = proxy;
  expect_way(call, set, COUNT_OF(set), 1);
}

static void test_proxy_of_the_environment_is_not_for_unix_sockets(void **state) {
  static const Setting set[] = {{"ws_proxy", "X"}, {"all_proxy", "X"}};
  Call *call = *state;
  char path[64];
  target_stop(&call->t);
  snprintf(path, sizeof path, "@libws-test-proxy-env-%d", (int)getpid());
  target_listen_unix(&call->t, call->c.loop, path);
  for (size_t i = 0; i < COUNT_OF(set); ++i) set_variable(call, set[i].name, set[i].value);
  call->c.config.flags = WS_CLIENT_PROXY_ENV;
  caller_set_url(&call->c, "ws+unix:%s", path);
  call_open(call);
}

static void test_proxy_of_the_environment_that_is_none_ends_the_attempt(void **state) {
  static const Setting all[] = {{"ws_proxy", "ftp://h"},
                                {"http_proxy", "http://h:0"},
                                {"all_proxy", "http://a b"},
                                {"no_proxy", "10.0.0.0/33"}};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(all); ++i) {
    void *one;
    environment_setup(&one);
    Call *call = one;
    call->c.config.flags = WS_CLIENT_PROXY_ENV;
    call->c.config.retry_count = 5;
    setenv("ALL_PROXY", "http://127.0.0.1:1", 1);
    setenv(all[i].name, all[i].value, 1);
    caller_start(&call->c);
    call_expect_refused(call, WS_ERR_INVALID, 0);
    assert_int_equal(strncmp(call->c.why_detail, all[i].name, strlen(all[i].name)), 0);
    assert_int_equal(call->c.retry_in_ms, WS_NEVER);
    target_expect_nobody(&call->t);
    environment_teardown(&one);
  }
}

static void test_proxy_of_the_environment_is_read_by_each_attempt(void **state) {
  Call *call = *state;
  call->c.config.flags = WS_CLIENT_PROXY_ENV;
  call->c.config.retry_count = 1;
  call->c.config.retry_min_ms = call->c.config.retry_max_ms = 1;
  call_begin(call);
  peer_drop(&call->p);
  set_variable(call, "http_proxy", "P");
  target_accept(&call->t, &call->p);
  peer_expect_bytes(&call->p, "CONNECT 127.0.0.1:");
}

#define environment_test_of(f) \
  cmocka_unit_test_setup_teardown(f, environment_setup, environment_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_proxy_of_the_environment),
      environment_test_of(test_proxy_of_the_environment_is_only_used_when_asked_for),
      environment_test_of(test_proxy_that_is_given_goes_before_the_environment),
      environment_test_of(test_proxy_of_the_environment_is_not_for_unix_sockets),
      cmocka_unit_test(test_proxy_of_the_environment_that_is_none_ends_the_attempt),
      environment_test_of(test_proxy_of_the_environment_is_read_by_each_attempt),
  };
  return cmocka_run_group_tests_name("client_proxy_env", tests, NULL, NULL);
}
