#include "scarce.h"

#include "check.h"

#include <pthread.h>
#include <stdlib.h>

Scarce scarce;

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;

static int fails(void) {
  const unsigned long n = ++scarce.seen;
  if (scarce.fail_at == 0 || n < scarce.fail_at || (n > scarce.fail_at && !scarce.fail_on)) {
    return 0;
  }
  ++scarce.failures;
  return 1;
}

static void *resize(void *user, void *ptr, size_t bytes) {
  void *p = NULL;
  (void)user;
  pthread_mutex_lock(&mutex);
  if (bytes == 0) {
    if (ptr != NULL) --scarce.live;
    free(ptr);
  } else if (!fails()) {
    p = realloc(ptr, bytes);
    if (ptr == NULL && p != NULL) ++scarce.live;
  }
  pthread_mutex_unlock(&mutex);
  return p;
}

int scarce_set(void **state) {
  (void)state;
  ws_allocator a;
  WS_INIT(&a);
  a.resize = resize;
  return ws_set_allocator(&a);
}
