/*
 * redis.h: what ws_redis_bridge_new() takes and refuses.
 */
#include "fake_redis.h"

#define assert_redis_fails(code, call, text)                 \
  do {                                                       \
    assert_int_equal((call), (code));                        \
    assert_non_null(strstr(ws_redis_last_detail(), (text))); \
  } while (0)

static void refuses(Fake *f, int code, const char *text) {
  assert_redis_fails(code, ws_redis_bridge_new(f->hub, f->world.loop, &f->config, &f->bridge),
                     text);
  assert_null(f->bridge);
}

static void accepts(Fake *f) {
  fake_bridge(f);
  ws_redis_bridge_free(f->bridge);
  f->bridge = NULL;
}

static void test_config_required_arguments_are_required(void **state) {
  Fake *f = *state;
  ws_loop *l = f->world.loop;
  ws_redis_stats s;
  WS_INIT(&s);
  assert_redis_fails(WS_ERR_INVALID, ws_redis_bridge_new(NULL, l, &f->config, &f->bridge), "NULL");
  assert_redis_fails(WS_ERR_INVALID, ws_redis_bridge_new(f->hub, NULL, &f->config, &f->bridge),
                     "NULL");
  assert_redis_fails(WS_ERR_INVALID, ws_redis_bridge_new(f->hub, l, NULL, &f->bridge), "NULL");
  assert_redis_fails(WS_ERR_INVALID, ws_redis_bridge_new(f->hub, l, &f->config, NULL), "NULL");
  assert_redis_fails(WS_ERR_INVALID, ws_redis_bridge_get_stats(NULL, &s), "NULL");
  ws_redis_bridge_free(NULL);
  f->config.url = NULL;
  refuses(f, WS_ERR_INVALID, "url");
}

static void test_config_size_is_checked(void **state) {
  Fake *f = *state;
  struct {
    ws_redis_config known;
    uint64_t newer;
  } later;
  memset(&later, 0, sizeof later);
  later.known = f->config;
  later.known.size = sizeof later;
  assert_ok(ws_redis_bridge_new(f->hub, f->world.loop, &later.known, &f->bridge));
  ws_redis_bridge_free(f->bridge);
  f->bridge = NULL;
  later.newer = 1;
  assert_redis_fails(WS_ERR_UNSUPPORTED,
                     ws_redis_bridge_new(f->hub, f->world.loop, &later.known, &f->bridge), "newer");
  f->config.size = 0;
  refuses(f, WS_ERR_INVALID, "WS_INIT");
}

static void test_config_older_caller_gets_the_defaults(void **state) {
  Fake *f = *state;
  f->config.retry_min_ms = 0x80000000u; /* beyond what it says it knows */
  f->config.size = offsetof(ws_redis_config, retry_min_ms);
  accepts(f);
}

static void test_config_stats_of_an_older_caller_are_cut(void **state) {
  Fake *f = *state;
  ws_redis_stats s;
  memset(&s, 0x55, sizeof s);
  s.size = offsetof(ws_redis_stats, published);
  fake_bridge(f);
  assert_ok(ws_redis_bridge_get_stats(f->bridge, &s));
  assert_int_equal(s.connects, 0);
  assert_int_equal(s.published, 0x5555555555555555);
}

static void test_config_times_are_bounded(void **state) {
  Fake *f = *state;
  f->config.retry_max_ms = 0x7fffffff;
  f->config.retry_min_ms = 0x7fffffff;
  accepts(f);
  f->config.retry_max_ms = 0x80000000u;
  refuses(f, WS_ERR_INVALID, "retry_max_ms");
  f->config.retry_max_ms = 10;
  f->config.retry_min_ms = 11;
  refuses(f, WS_ERR_INVALID, "retry_min_ms");
  f->config.retry_min_ms = 10;
  accepts(f);
  f->config.connect_timeout_ms = WS_NEVER;
  refuses(f, WS_ERR_INVALID, "connect_timeout_ms");
  f->config.connect_timeout_ms = 0;
  f->config.ping_interval_ms = WS_NEVER;
  refuses(f, WS_ERR_INVALID, "ping_interval_ms");
}

static void test_config_one_retry_bound_alone_moves_the_other(void **state) {
  Fake *f = *state;
  f->config.retry_min_ms = 60000;
  f->config.retry_max_ms = 0;
  accepts(f);
  f->config.retry_min_ms = 0;
  f->config.retry_max_ms = 1;
  accepts(f);
}

static void test_config_prefix_is_bounded(void **state) {
  Fake *f = *state;
  char prefix[258];
  memset(prefix, 'p', sizeof prefix);
  prefix[256] = '\0';
  f->config.prefix = prefix;
  accepts(f);
  prefix[256] = 'p';
  prefix[257] = '\0';
  refuses(f, WS_ERR_INVALID, "prefix");
}

static void test_config_tls_is_for_rediss(void **state) {
  Fake *f = *state;
  f->config.ca_file = "/nonexistent/ca.pem";
  refuses(f, WS_ERR_INVALID, "rediss");
  f->config.url = "rediss://127.0.0.1";
  refuses(f, WS_ERR_TLS_CONFIG, "/nonexistent/ca.pem");
  f->config.ca_file = NULL;
  f->config.verify = WS_TLS_VERIFY_OPTIONAL;
  refuses(f, WS_ERR_INVALID, "verify");
  f->config.verify = WS_TLS_VERIFY_NONE;
  f->config.key_file = "/nonexistent/key.pem";
  refuses(f, WS_ERR_INVALID, "cert_file");
  f->config.cert_file = "/nonexistent/cert.pem";
  refuses(f, WS_ERR_TLS_CONFIG, "/nonexistent/cert.pem");
  f->config.cert_file = f->config.key_file = NULL;
  accepts(f);
}

static void test_config_url_is_never_quoted(void **state) {
  Fake *f = *state;
  f->config.url = "redis://:secret@host:port";
  refuses(f, WS_ERR_INVALID, "port");
  assert_null(strstr(ws_redis_last_detail(), "secret"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, fake_setup, fake_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      TEST(test_config_required_arguments_are_required),
      TEST(test_config_size_is_checked),
      TEST(test_config_older_caller_gets_the_defaults),
      TEST(test_config_stats_of_an_older_caller_are_cut),
      TEST(test_config_times_are_bounded),
      TEST(test_config_one_retry_bound_alone_moves_the_other),
      TEST(test_config_prefix_is_bounded),
      TEST(test_config_tls_is_for_rediss),
      TEST(test_config_url_is_never_quoted),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
