#include "hook.h"

#include "check.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>

/* gcc says it in one way, clang in another. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* Before each block: its size. */
enum { HEAD = 16 };

static atomic_size_t live, most, blocks;

static void add(size_t bytes) {
  const size_t now = atomic_fetch_add(&live, bytes) + bytes;
  size_t seen = atomic_load(&most);
  while (now > seen && !atomic_compare_exchange_weak(&most, &seen, now)) {
  }
}

static void *resize(void *user, void *ptr, size_t bytes) {
  char *block = ptr != NULL ? (char *)ptr - HEAD : NULL;
  size_t before = 0;
  (void)user;
  if (block != NULL) memcpy(&before, block, sizeof before);
  if (bytes == 0) {
    if (block == NULL) return NULL;
    atomic_fetch_sub(&live, before);
    atomic_fetch_sub(&blocks, 1);
    free(block);
    return NULL;
  }
  char *moved = realloc(block, HEAD + bytes);
  if (moved == NULL) return NULL;
  /* A block that moves is there twice for a moment. */
  add(bytes);
  atomic_fetch_sub(&live, before);
  if (block == NULL) atomic_fetch_add(&blocks, 1);
  memcpy(moved, &bytes, sizeof bytes);
  return moved + HEAD;
}

int hook_set(void **state) {
  ws_allocator a;
  (void)state;
  WS_INIT(&a);
  a.resize = resize;
  return ws_set_allocator(&a);
}

size_t hook_live(void) { return atomic_load(&live); }
size_t hook_most(void) { return atomic_load(&most); }
void hook_reset_most(void) { atomic_store(&most, atomic_load(&live)); }
size_t hook_blocks(void) { return atomic_load(&blocks); }

void rss_reset_most(void) {
  FILE *f = fopen("/proc/self/clear_refs", "w");
  if (f == NULL) return;
  fputs("5", f);
  fclose(f);
}

size_t rss_most(void) {
  char line[256];
  size_t kib = 0;
  if (SANITIZED || valgrind_is_on()) return 0;
  FILE *f = fopen("/proc/self/status", "r");
  if (f == NULL) return 0;
  while (fgets(line, sizeof line, f) != NULL) {
    if (sscanf(line, "VmHWM: %zu kB", &kib) == 1) break;
  }
  fclose(f);
  return kib * 1024;
}
