#include "check.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static void print_hex(const char *title, const void *data, size_t len) {
  char line[3 * 48 + 1] = "";
  for (size_t i = 0; i < len && i < 48; ++i) {
    snprintf(line + 3 * i, 4, " %02x", ((const unsigned char *)data)[i]);
  }
  print_error("%s %zu bytes:%s%s\n", title, len, line, len > 48 ? " ..." : "");
}

void check_bytes(const void *got, size_t got_len, const void *want, size_t want_len,
                 const char *file, int line) {
  if (got_len == want_len && (want_len == 0 || memcmp(got, want, want_len) == 0)) return;
  print_hex("got ", got, got_len);
  print_hex("want", want, want_len);
  _fail(file, line);
}

int faults_are_on(void) { return getenv("LIBWS_FAULT") != NULL; }
int valgrind_is_on(void) { return getenv("LIBWS_TEST_VALGRIND") != NULL; }

uint64_t clock_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}
