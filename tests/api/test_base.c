/*
 * base.h and message.h: version, texts, details, messages.
 */
#include "check.h"

#include <errno.h>
#include <pthread.h>
#include <stdio.h>

static void test_base_version_and_build_info_agree_with_the_headers(void **state) {
  (void)state;
  char want[32];
  assert_int_equal(ws_version(), WS_VERSION_MAJOR << 16 | WS_VERSION_MINOR << 8 | WS_VERSION_PATCH);
  snprintf(want, sizeof want, "libws %d.%d.%d", WS_VERSION_MAJOR, WS_VERSION_MINOR,
           WS_VERSION_PATCH);
  assert_int_equal(strncmp(ws_build_info(), want, strlen(want)), 0);
  assert_ptr_equal(ws_build_info(), ws_build_info());
  assert_null(strchr(ws_build_info(), '\n'));
}

static void test_base_every_code_has_its_own_sentence(void **state) {
  (void)state;
  static const int codes[] = {0,  1,   -1,  -2,  -3,  -4,  -5,  -6,  -7,  -8,
                              -9, -10, -20, -23, -24, -60, -61, -62, -80, -81};
  for (size_t i = 0; i < COUNT_OF(codes); ++i) {
    assert_true(strlen(ws_strerror(codes[i])) > 4);
    for (size_t k = 0; k < i; ++k) {
      assert_string_not_equal(ws_strerror(codes[i]), ws_strerror(codes[k]));
    }
  }
  assert_non_null(ws_strerror(-12345));
  assert_string_equal(ws_strerror(12345), ws_strerror(INT32_MIN));
}

static void *detail_of_a_new_thread(void *arg) {
  snprintf(arg, 16, "%s", ws_last_detail());
  return NULL;
}

static void test_base_detail_is_of_this_thread_and_stays_after_success(void **state) {
  (void)state;
  pthread_t thread;
  char other[16] = "untouched";
  ws_message *m = NULL;
  assert_fails(WS_ERR_UTF8, ws_message_new(WS_OP_TEXT, "\xff", 1, &m));
  char before[256];
  snprintf(before, sizeof before, "%s", ws_last_detail());
  pthread_create(&thread, NULL, detail_of_a_new_thread, other);
  pthread_join(thread, NULL);
  assert_string_equal(other, "");
  assert_ok(ws_message_new(WS_OP_TEXT, "x", 1, &m));
  assert_string_equal(ws_last_detail(), before);
  ws_message_unref(m);
}

/* bad: 243 */
static void test_base_failing_calls_leave_errno_alone(void **state) {
  (void)state;
  ws_loop *l;
  ws_loop_config c;
  WS_INIT(&c);
  c.poller = "magic";
  errno = 4711;
  assert_fails(WS_ERR_UNSUPPORTED, ws_loop_new(&c, &l));
  assert_int_equal(errno, 4711);
}

static void test_base_init_zeroes_and_sets_the_size(void **state) {
  (void)state;
  ws_server_config c;
  memset(&c, 0xff, sizeof c);
  WS_INIT(&c);
  assert_int_equal(c.size, sizeof c);
  assert_null(c.handlers);
  assert_int_equal(c.max_connections, 0);
}

static void *some_resize(void *user, void *p, size_t n) {
  (void)user, (void)p, (void)n;
  return NULL;
}

static void test_base_allocator_is_refused_without_resize_or_too_late(void **state) {
  (void)state;
  ws_allocator a;
  ws_message *m;
  assert_ok(ws_message_new(WS_OP_TEXT, "x", 1, &m)); /* memory has been used */
  ws_message_unref(m);
  assert_fails(WS_ERR_INVALID, ws_set_allocator(NULL));
  WS_INIT(&a);
  assert_fails(WS_ERR_INVALID, ws_set_allocator(&a));
  a.resize = some_resize;
  assert_fails(WS_ERR_STATE, ws_set_allocator(&a));
  a.size = 0;
  assert_fails(WS_ERR_INVALID, ws_set_allocator(&a));
}

static void test_message_holds_a_copy(void **state) {
  (void)state;
  char text[] = "hello";
  ws_message *m;
  assert_ok(ws_message_new(WS_OP_TEXT, text, 5, &m));
  text[0] = 'J';
  assert_bytes(ws_message_data(m).data, ws_message_data(m).len, "hello", 5);
  assert_int_equal(ws_message_opcode(m), WS_OP_TEXT);
  assert_ptr_equal(ws_message_ref(m), m);
  ws_message_unref(m);
  assert_int_equal(ws_message_data(m).len, 5);
  ws_message_unref(m);
  assert_ok(ws_message_new(WS_OP_BINARY, NULL, 0, &m));
  assert_int_equal(ws_message_data(m).len, 0);
  ws_message_unref(m);
}

static int released;
static void on_release(void *arg, const void *data, size_t len) {
  assert_ptr_equal(arg, &released);
  assert_bytes(data, len, "static", 6);
  ++released;
}

/* bad: 242 */
static void test_message_wrap_releases_once_and_never_when_it_failed(void **state) {
  (void)state;
  static const char data[] = "static";
  ws_message *m = NULL;
  released = 0;
  assert_fails(WS_ERR_UTF8, ws_message_wrap(WS_OP_TEXT, "\xff", 1, on_release, &released, &m));
  assert_fails(WS_ERR_INVALID, ws_message_wrap(WS_OP_PING, data, 6, on_release, &released, &m));
  assert_fails(WS_ERR_INVALID, ws_message_wrap(WS_OP_TEXT, NULL, 6, on_release, &released, &m));
  assert_fails(WS_ERR_INVALID, ws_message_wrap(WS_OP_TEXT, data, 6, on_release, &released, NULL));
  assert_null(m);
  assert_int_equal(released, 0);
  assert_ok(ws_message_wrap(WS_OP_TEXT, data, 6, on_release, &released, &m));
  assert_ptr_equal(ws_message_data(m).data, data);
  ws_message_ref(m);
  ws_message_unref(m);
  assert_int_equal(released, 0);
  ws_message_unref(m);
  assert_int_equal(released, 1);
  assert_ok(ws_message_wrap(WS_OP_BINARY, data, 6, NULL, NULL, &m));
  ws_message_unref(m);
}

/* req: 100, 103 */
/* bad: 109, 110, 113, 233 */
static void test_message_arguments_are_checked(void **state) {
  (void)state;
  static const char *const bad[] = {"\xc0\x80", "\xed\xa0\x80", "\xf4\x90\x80\x80", "\xf5",
                                    "\x80",     "a\xe2\x82",    "\xf0\x8f\xbf\xbf"};
  static const char *const good[] = {"\xef\xbb\xbf", "\xef\xbf\xbf", "\xf4\x8f\xbf\xbf"};
  ws_message *m = NULL;
  for (size_t i = 0; i < COUNT_OF(bad); ++i) {
    assert_fails(WS_ERR_UTF8, ws_message_new(WS_OP_TEXT, bad[i], strlen(bad[i]), &m));
    ws_message *binary;
    assert_ok(ws_message_new(WS_OP_BINARY, bad[i], strlen(bad[i]), &binary));
    ws_message_unref(binary);
  }
  assert_fails(WS_ERR_INVALID, ws_message_new((ws_opcode)0, "x", 1, &m));
  assert_fails(WS_ERR_INVALID, ws_message_new(WS_OP_CLOSE, "x", 1, &m));
  assert_fails(WS_ERR_INVALID, ws_message_new(WS_OP_BINARY, NULL, 1, &m));
  assert_fails(WS_ERR_INVALID, ws_message_new(WS_OP_BINARY, "x", 1, NULL));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
  assert_fails(WS_ERR_NOMEM, ws_message_new(WS_OP_BINARY, "x", SIZE_MAX, &m));
  assert_fails(WS_ERR_NOMEM, ws_message_new(WS_OP_BINARY, "x", SIZE_MAX / 2, &m));
#endif
  assert_null(m);
  for (size_t i = 0; i < COUNT_OF(good); ++i) {
    assert_ok(ws_message_new(WS_OP_TEXT, good[i], strlen(good[i]), &m));
    ws_message_unref(m);
  }
  assert_ok(ws_message_new(WS_OP_TEXT, "a\0b", 3, &m));
  ws_message_unref(m);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_base_version_and_build_info_agree_with_the_headers),
      cmocka_unit_test(test_base_every_code_has_its_own_sentence),
      cmocka_unit_test(test_base_detail_is_of_this_thread_and_stays_after_success),
      cmocka_unit_test(test_base_failing_calls_leave_errno_alone),
      cmocka_unit_test(test_base_init_zeroes_and_sets_the_size),
      cmocka_unit_test(test_base_allocator_is_refused_without_resize_or_too_late),
      cmocka_unit_test(test_message_holds_a_copy),
      cmocka_unit_test(test_message_wrap_releases_once_and_never_when_it_failed),
      cmocka_unit_test(test_message_arguments_are_checked),
  };
  return cmocka_run_group_tests_name("base", tests, NULL, NULL);
}
