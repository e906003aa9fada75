/*
 * What every API test needs: CMocka with the headers it wants before it, and assertions that
 * say what was expected of libws.  The tests are C99 and know the public headers only.
 */
#ifndef TESTS_SUPPORT_CHECK_H
#define TESTS_SUPPORT_CHECK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <libws/ws.h>
#include <string.h>

#define COUNT_OF(a) (sizeof(a) / sizeof *(a))

#define assert_ok(call) assert_int_equal((call), WS_OK)

/* The call fails with `code` and says why. */
#define assert_fails(code, call)              \
  do {                                        \
    assert_int_equal((call), (code));         \
    assert_true(ws_last_detail()[0] != '\0'); \
  } while (0)

#define assert_detail_has(text) assert_non_null(strstr(ws_last_detail(), (text)))

/* Compares and, when they differ, shows both in hex. */
#define assert_bytes(got, got_len, want, want_len) \
  check_bytes((got), (got_len), (want), (want_len), __FILE__, __LINE__)
void check_bytes(const void *got, size_t got_len, const void *want, size_t want_len,
                 const char *file, int line);

/* LIBWS_FAULT is set: sockets do less than they are asked for, so nothing can be counted. */
int faults_are_on(void);
/* The gate that runs a test under valgrind says so: valgrind takes a connection and drops it where
 * the kernel would say EMFILE. */
int valgrind_is_on(void);

/* A monotonic clock in milliseconds, not the library's. */
uint64_t clock_ms(void);

#endif /* TESTS_SUPPORT_CHECK_H */
