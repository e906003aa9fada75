/*
 * A forked child that does its part of a test and stays until it may go.  What it asserts ends it
 * by abort(), which the parent's part then tells.
 */
#ifndef TESTS_SUPPORT_CHILD_H
#define TESTS_SUPPORT_CHILD_H

#include "check.h"

#include <sys/types.h>

typedef struct Child {
  pid_t pid;
  int done, leave; /* pipes: readable when the script is done; closed to let it go */
} Child;

/* fork() for a test: in the child a failed assertion aborts. */
pid_t child_fork(void);
/* Runs script(arg) in a child and waits until it is through; the child lives on. */
void child_run(Child *c, void (*script)(void *arg), void *arg);
/* The child ends, and everything went well in it. */
void child_end(Child *c);
void child_expect_success(pid_t pid);

/* Descriptors of this process; inside a script, without those of the child itself. */
int open_descriptors(void);

#endif /* TESTS_SUPPORT_CHILD_H */
