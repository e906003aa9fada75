/*
 * An allocator that runs out of memory when a test says so.  Any thread may allocate.
 */
#ifndef TESTS_SUPPORT_SCARCE_H
#define TESTS_SUPPORT_SCARCE_H

typedef struct Scarce {
  unsigned long seen;    /* allocations so far, to be set to 0 where counting begins */
  unsigned long fail_at; /* this one fails; 0: none */
  int fail_on;           /* and all after it */
  int failures;          /* how many have failed, to be set to 0 as `seen` */
  unsigned long live;    /* blocks that are not freed */
} Scarce;

extern Scarce scarce;

/* A group setup for CMocka: libws allocates through this from now on. */
int scarce_set(void **state);

#endif /* TESTS_SUPPORT_SCARCE_H */
