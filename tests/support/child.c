#include "child.h"

#include "peer.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

enum { MOST_DESCRIPTORS = 1024 };

static int own_descriptors;

int open_descriptors(void) {
  int count = -own_descriptors;
  for (int fd = 0; fd < MOST_DESCRIPTORS; ++fd) count += fcntl(fd, F_GETFD) >= 0;
  return count;
}

pid_t child_fork(void) {
  fflush(NULL);
  pid_t pid = fork();
  assert_true(pid >= 0);
  if (pid == 0) setenv("CMOCKA_TEST_ABORT", "1", 1);
  return pid;
}

void child_run(Child *c, void (*script)(void *arg), void *arg) {
  int done[2], leave[2];
  char byte = 'x';
  assert_int_equal(pipe(done), 0);
  assert_int_equal(pipe(leave), 0);
  c->pid = child_fork();
  if (c->pid == 0) {
    close(done[0]);
    close(leave[1]);
    own_descriptors = 2;
    script(arg);
    if (write(done[1], &byte, 1) != 1) _exit(1);
    while (read(leave[0], &byte, 1) > 0) {
    }
    _exit(0);
  }
  close(done[1]);
  close(leave[0]);
  c->done = done[0];
  c->leave = leave[1];
  struct pollfd ready = {c->done, POLLIN, 0};
  assert_int_equal(poll(&ready, 1, PATIENCE_MS), 1);
  if (read(c->done, &byte, 1) != 1) fail_msg("the child has failed");
}

void child_expect_success(pid_t pid) {
  int status = -1;
  uint64_t end = clock_ms() + PATIENCE_MS;
  pid_t ended;
  while ((ended = waitpid(pid, &status, WNOHANG)) == 0 && clock_ms() < end) poll(NULL, 0, 1);
  if (ended == 0) {
    kill(pid, SIGKILL);
    waitpid(pid, &status, 0);
    fail_msg("the child does not end");
  }
  assert_int_equal(ended, pid);
  if (!WIFEXITED(status)) fail_msg("the child was ended by signal %d", WTERMSIG(status));
  assert_int_equal(WEXITSTATUS(status), 0);
}

void child_end(Child *c) {
  close(c->leave);
  child_expect_success(c->pid);
  close(c->done);
}
