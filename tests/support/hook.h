/*
 * The allocator hook, counting, and what the system says of the process's memory.
 */
#ifndef TESTS_SUPPORT_HOOK_H
#define TESTS_SUPPORT_HOOK_H

#include <stddef.h>

/* A group setup for CMocka: libws allocates through this from now on. */
int hook_set(void **state);
/* Bytes that libws holds, and the most it held since hook_reset_most(). */
size_t hook_live(void);
size_t hook_most(void);
void hook_reset_most(void);
size_t hook_blocks(void); /* that are not freed */

/* The most memory that was resident since rss_reset_most(); 0 where that cannot be said or means
 * nothing (sanitizers, valgrind). */
size_t rss_most(void);
void rss_reset_most(void);

#endif /* TESTS_SUPPORT_HOOK_H */
