/*
 * handover.h: listening sockets from one process to the next.  The taker is a thread here, because
 * its calls wait; the old process is the test's own loop.
 */
#include "hook.h"
#include "world.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

static char path[64];
static int taken;
static ws_handover *to_free;

static void on_taken(void *user) {
  (void)user;
  ++taken;
  if (to_free != NULL) ws_handover_free(to_free);
  to_free = NULL;
}

typedef struct Taking {
  pthread_t thread;
  atomic_int step; /* 1: took, 2: go on, 3: over */
  int rc, ready_rc, then_ready;
  ws_takeover *t;
} Taking;

static void *run_taking(void *arg) {
  Taking *k = arg;
  k->rc = ws_handover_take(path, PATIENCE_MS, &k->t);
  atomic_store(&k->step, 1);
  while (atomic_load(&k->step) == 1) sched_yield();
  if (k->rc == WS_OK && k->then_ready) k->ready_rc = ws_takeover_ready(k->t, PATIENCE_MS);
  atomic_store(&k->step, 3);
  return NULL;
}

static void until_step(ws_loop *l, Taking *k, int step) {
  for (uint64_t end = clock_ms() + PATIENCE_MS; atomic_load(&k->step) != step;) {
    assert_true(clock_ms() < end);
    ws_loop_dispatch(l, 1);
  }
}

static void take(ws_loop *l, Taking *k) {
  memset(k, 0, sizeof *k);
  assert_int_equal(pthread_create(&k->thread, NULL, run_taking, k), 0);
  until_step(l, k, 1);
}

static void finish(ws_loop *l, Taking *k, int ready) {
  k->then_ready = ready;
  atomic_store(&k->step, 2);
  until_step(l, k, 3);
  pthread_join(k->thread, NULL);
}

static void configure(World *w, ws_handover_config *c) {
  static ws_listener *listeners[1];
  listeners[0] = w->listener;
  snprintf(path, sizeof path, "/tmp/libws-handover-%ld", (long)getpid());
  taken = 0;
  WS_INIT(c);
  c->path = path;
  c->listeners = listeners;
  c->listener_count = 1;
  c->on_taken = on_taken;
}

static ws_handover *offer(World *w) {
  ws_handover_config c;
  ws_handover *h = NULL;
  configure(w, &c);
  assert_ok(ws_handover_offer(w->loop, &c, &h));
  return h;
}

static int path_is_there(void) {
  struct stat file;
  return stat(path, &file) == 0;
}

static void test_handover_gives_sockets_and_frees_the_path(void **state) {
  World *w = *state;
  World next;
  Taking k;
  Peer p;
  char name[64];
  to_free = offer(w);
  struct stat file;
  assert_int_equal(stat(path, &file), 0);
  assert_int_equal(file.st_mode & 0777, 0600);
  take(w->loop, &k);
  assert_ok(k.rc);
  assert_int_equal(taken, 0);
  assert_int_equal(ws_takeover_count(k.t), 1);
  snprintf(name, sizeof name, "127.0.0.1:%u", (unsigned)w->port);
  assert_string_equal(ws_takeover_name(k.t, 0), name);
  assert_null(ws_takeover_name(k.t, 1));
  assert_int_equal(ws_takeover_claim(k.t, 1), -1);
  world_start_default(&next);
  ws_listener_close(next.listener);
  int fd = ws_takeover_claim(k.t, 0);
  assert_int_equal(ws_takeover_claim(k.t, 0), -1);
  assert_ok(ws_server_listen_fd(next.server, fd, &next.listener));
  finish(w->loop, &k, 1);
  assert_ok(k.ready_rc);
  assert_int_equal(taken, 1);
  assert_null(to_free);
  assert_false(path_is_there());
  assert_fails(WS_ERR_STATE, ws_takeover_ready(k.t, 1));
  ws_takeover_free(k.t);
  ws_listener_close(w->listener); /* the port stays */
  next.port = w->port;
  world_join(&next, &p);
  peer_drop(&p);
  world_stop(&next);
}

static void test_handover_to_one_that_dies_changes_nothing(void **state) {
  World *w = *state;
  Taking k;
  Peer p;
  ws_handover *h = offer(w);
  for (int i = 0; i < 3; ++i) {
    take(w->loop, &k);
    assert_ok(k.rc);
    finish(w->loop, &k, 0);
    ws_takeover_free(k.t);
    assert_int_equal(taken, 0);
    assert_true(path_is_there());
    world_join(w, &p);
    peer_drop(&p);
  }
  take(w->loop, &k);
  finish(w->loop, &k, 1);
  assert_ok(k.ready_rc);
  assert_int_equal(taken, 1);
  ws_takeover_free(k.t);
  ws_handover_free(h);
}

static void test_handover_to_one_that_is_too_slow_goes_on(void **state) {
  World *w = *state;
  Taking k;
  ws_handover_config c;
  ws_handover *h;
  configure(w, &c);
  c.timeout_ms = 30;
  assert_ok(ws_handover_offer(w->loop, &c, &h));
  take(w->loop, &k);
  assert_ok(k.rc);
  run_for(w->loop, 60);
  finish(w->loop, &k, 1);
  assert_int_equal(k.ready_rc, WS_ERR_EOF);
  assert_int_equal(taken, 0);
  assert_true(path_is_there());
  ws_takeover_free(k.t);
  ws_handover_free(h);
  assert_false(path_is_there());
}

static void test_handover_to_one_that_says_something_else_goes_on(void **state) {
  World *w = *state;
  Peer p;
  Taking k;
  ws_handover *h = offer(w);
  assert_int_equal(peer_try_unix(&p, w->loop, path), 0);
  run_for(w->loop, 5);
  peer_say(&p, "X");
  peer_expect_gone(&p);
  peer_drop(&p);
  assert_int_equal(taken, 0);
  take(w->loop, &k);
  finish(w->loop, &k, 1);
  assert_ok(k.ready_rc);
  assert_int_equal(taken, 1);
  ws_takeover_free(k.t);
  ws_handover_free(h);
}

static void test_handover_serves_one_taker_at_a_time(void **state) {
  World *w = *state;
  Taking first, second;
  ws_handover *h = offer(w);
  take(w->loop, &first);
  memset(&second, 0, sizeof second);
  assert_int_equal(pthread_create(&second.thread, NULL, run_taking, &second), 0);
  run_for(w->loop, 20);
  assert_int_equal(atomic_load(&second.step), 0);
  finish(w->loop, &first, 0);
  ws_takeover_free(first.t);
  until_step(w->loop, &second, 1);
  assert_ok(second.rc);
  finish(w->loop, &second, 1);
  assert_ok(second.ready_rc);
  ws_takeover_free(second.t);
  ws_handover_free(h);
}

static void test_handover_of_a_pool_and_a_unix_socket(void **state) {
  World *w = *state;
  Taking k;
  ws_pool *pool;
  ws_pool_config pc;
  ws_pool_listener *pl[2];
  ws_listen_config lc;
  ws_listener *ln[1];
  ws_handover_config c;
  ws_handover *h;
  char file[80], name[128];
  struct stat st;
  configure(w, &c);
  WS_INIT(&pc);
  pc.threads = 3;
  assert_ok(ws_pool_new(&pc, &pool));
  WS_INIT(&lc);
  lc.host = "127.0.0.1";
  assert_ok(ws_pool_listen(pool, &lc, WS_SPREAD_REUSEPORT, &pl[0]));
  WS_INIT(&lc);
  snprintf(file, sizeof file, "%s.served", path);
  lc.unix_path = file;
  assert_ok(ws_pool_listen(pool, &lc, WS_SPREAD_HANDOVER, &pl[1]));
  ln[0] = w->listener;
  c.listeners = ln;
  c.pool_listeners = pl;
  c.pool_listener_count = 2;
  assert_ok(ws_handover_offer(w->loop, &c, &h));
  take(w->loop, &k);
  assert_ok(k.rc);
  assert_int_equal(ws_takeover_count(k.t), 5);
  snprintf(name, sizeof name, "127.0.0.1:%u", (unsigned)ws_pool_port(pl[0]));
  for (size_t i = 1; i < 4; ++i) assert_string_equal(ws_takeover_name(k.t, i), name);
  snprintf(name, sizeof name, "unix:%s", file);
  assert_string_equal(ws_takeover_name(k.t, 4), name);
  finish(w->loop, &k, 1);
  assert_ok(k.ready_rc);
  ws_handover_free(h);
  assert_ok(ws_pool_free(pool));
  assert_int_equal(stat(file, &st), 0); /* it is the successor's */
  unlink(file);
  ws_takeover_free(k.t);
}

static void test_handover_of_too_many_or_nothing_is_refused(void **state) {
  World *w = *state;
  ws_handover_config c;
  ws_handover *h = NULL;
  ws_listener *many[WS_HANDOVER_MAX + 1];
  Taking k;
  for (int i = 0; i <= WS_HANDOVER_MAX; ++i) {
    ws_listen_config lc;
    WS_INIT(&lc);
    lc.host = "127.0.0.1";
    assert_ok(ws_server_listen(w->server, &lc, &many[i]));
  }
  configure(w, &c);
  c.listener_count = 0;
  assert_fails(WS_ERR_INVALID, ws_handover_offer(w->loop, &c, &h));
  c.listeners = NULL;
  c.listener_count = 1;
  assert_fails(WS_ERR_INVALID, ws_handover_offer(w->loop, &c, &h));
  c.listeners = many;
  c.listener_count = WS_HANDOVER_MAX + 1;
  assert_fails(WS_ERR_TOO_BIG, ws_handover_offer(w->loop, &c, &h));
  assert_false(path_is_there());
  c.listener_count = WS_HANDOVER_MAX;
  c.on_taken = NULL;
  assert_fails(WS_ERR_INVALID, ws_handover_offer(w->loop, &c, &h));
  c.on_taken = on_taken;
  c.timeout_ms = 0x80000000u;
  assert_fails(WS_ERR_INVALID, ws_handover_offer(w->loop, &c, &h));
  c.timeout_ms = 0;
  c.path = NULL;
  assert_fails(WS_ERR_INVALID, ws_handover_offer(w->loop, &c, &h));
  c.path = path;
  assert_null(h);
  assert_ok(ws_handover_offer(w->loop, &c, &h));
  take(w->loop, &k);
  assert_ok(k.rc);
  assert_int_equal(ws_takeover_count(k.t), WS_HANDOVER_MAX);
  finish(w->loop, &k, 0);
  ws_takeover_free(k.t);
  ws_handover_free(h);
}

static void test_handover_path_that_is_in_use_is_refused(void **state) {
  World *w = *state;
  ws_handover_config c;
  ws_handover *second = NULL;
  ws_handover *h = offer(w);
  configure(w, &c);
  assert_fails(WS_ERR_ADDR, ws_handover_offer(w->loop, &c, &second));
  assert_null(second);
  assert_true(path_is_there());
  ws_handover_free(h);
  assert_false(path_is_there());
  c.path = "@libws-handover-abstract";
  assert_ok(ws_handover_offer(w->loop, &c, NULL)); /* gone with the loop */
}

static void test_takeover_where_nobody_is_says_connect(void **state) {
  World *w = *state;
  ws_takeover *t = NULL;
  ws_handover *h = offer(w);
  ws_handover_free(h);
  assert_fails(WS_ERR_CONNECT, ws_handover_take(path, 1000, &t));
  assert_fails(WS_ERR_CONNECT, ws_handover_take("@libws-no-such-handover", 1000, &t));
  assert_fails(WS_ERR_INVALID, ws_handover_take("", 1000, &t));
  assert_fails(WS_ERR_INVALID, ws_handover_take(NULL, 1000, &t));
  assert_fails(WS_ERR_INVALID, ws_handover_take(path, 1000, NULL));
  assert_null(t);
  ws_takeover_free(NULL);
  ws_handover_free(NULL);
  assert_fails(WS_ERR_INVALID, ws_takeover_ready(NULL, 0));
  assert_int_equal(ws_takeover_count(NULL), 0);
  assert_int_equal(ws_takeover_claim(NULL, 0), -1);
  assert_null(ws_takeover_name(NULL, 0));
}

/* ---- a false offerer ---- */

typedef struct Lie {
  const char *bytes;
  size_t len;
  int fds; /* descriptors that go with it */
  int listening;
  int stay; /* and say nothing more, instead of ending */
  int want;
} Lie;

static int listen_at_path(void) {
  struct sockaddr_un at;
  memset(&at, 0, sizeof at);
  at.sun_family = AF_UNIX;
  snprintf(path, sizeof path, "/tmp/libws-handover-%ld", (long)getpid());
  strcpy(at.sun_path, path);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
  assert_int_equal(listen(fd, 5), 0);
  return fd;
}

static void tell_lie(int to, const Lie *lie, int door) {
  union {
    struct cmsghdr align;
    char bytes[CMSG_SPACE(100 * sizeof(int))];
  } control;
  struct iovec part = {(void *)lie->bytes, lie->len};
  struct msghdr m;
  memset(&m, 0, sizeof m);
  memset(&control, 0, sizeof control);
  m.msg_iov = &part;
  m.msg_iovlen = 1;
  if (lie->fds != 0) {
    m.msg_control = control.bytes;
    m.msg_controllen = CMSG_SPACE((size_t)lie->fds * sizeof(int));
    struct cmsghdr *c = CMSG_FIRSTHDR(&m);
    c->cmsg_level = SOL_SOCKET;
    c->cmsg_type = SCM_RIGHTS;
    c->cmsg_len = CMSG_LEN((size_t)lie->fds * sizeof(int));
    for (int i = 0; i < lie->fds; ++i) {
      int fd = lie->listening ? door : to;
      memcpy(CMSG_DATA(c) + (size_t)i * sizeof fd, &fd, sizeof fd);
    }
  }
  assert_int_equal(sendmsg(to, &m, MSG_NOSIGNAL), lie->len);
}

#define MAGIC "ws-handover 1\n"
#define LIE(text, fds, listening, stay, want) \
  { text, sizeof text - 1, fds, listening, stay, want }

static void test_takeover_of_what_makes_no_sense_is_refused(void **state) {
  (void)state;
  static const Lie lies[] = {
      LIE("HTTP/1.1 200 OK\r\n\r\n", 0, 0, 1, WS_ERR_PROTOCOL),
      LIE("ws-handover 2\n\1\1a", 1, 1, 1, WS_ERR_PROTOCOL),
      LIE(MAGIC "\0", 1, 1, 1, WS_ERR_PROTOCOL),
      LIE(MAGIC "\x41", 1, 1, 1, WS_ERR_PROTOCOL),
      LIE(MAGIC "\1\1a", 0, 1, 1, WS_ERR_PROTOCOL),
      LIE(MAGIC "\1\1a", 2, 1, 1, WS_ERR_PROTOCOL),
      LIE(MAGIC "\1\1a", 65, 1, 1, WS_ERR_PROTOCOL),
      LIE(MAGIC "\1\1ab", 1, 1, 1, WS_ERR_PROTOCOL),
      LIE(MAGIC "\1\1\n", 1, 1, 1, WS_ERR_PROTOCOL),
      LIE(MAGIC "\1\1a", 1, 0, 1, WS_ERR_PROTOCOL),
      LIE(MAGIC "\1\5a", 1, 1, 0, WS_ERR_EOF),
      LIE("ws-", 1, 1, 0, WS_ERR_EOF),
      LIE(MAGIC "\1\5a", 1, 1, 1, WS_ERR_TIMEOUT),
      LIE(MAGIC "\1\1a", 1, 1, 1, WS_OK),
  };
  ws_loop *l;
  assert_ok(ws_loop_new(NULL, &l));
  for (size_t i = 0; i < COUNT_OF(lies); ++i) {
    int door = listen_at_path();
    Taking k;
    memset(&k, 0, sizeof k);
    ws_takeover *t = NULL;
    assert_int_equal(pthread_create(&k.thread, NULL, run_taking, &k), 0);
    int to = accept(door, NULL, NULL);
    assert_true(to >= 0);
    if (lies[i].want == WS_ERR_TIMEOUT) {
      /* One more taker, with little patience, while the first is answered. */
      tell_lie(to, &lies[i], door);
      assert_fails(WS_ERR_TIMEOUT, ws_handover_take(path, 30, &t));
      close(to);
      to = -1;
    } else {
      tell_lie(to, &lies[i], door);
      if (!lies[i].stay) {
        close(to);
        to = -1;
      }
    }
    until_step(l, &k, 1);
    if (lies[i].want == WS_ERR_TIMEOUT) {
      assert_int_equal(k.rc, WS_ERR_EOF);
    } else if (k.rc != lies[i].want) {
      fail_msg("lie %zu: %d", i, k.rc);
    }
    finish(l, &k, 0);
    ws_takeover_free(k.t);
    if (to >= 0) close(to);
    close(door);
    unlink(path);
  }
  assert_ok(ws_loop_free(l));
}

#define WORLD_TEST(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      WORLD_TEST(test_handover_gives_sockets_and_frees_the_path),
      WORLD_TEST(test_handover_to_one_that_dies_changes_nothing),
      WORLD_TEST(test_handover_to_one_that_is_too_slow_goes_on),
      WORLD_TEST(test_handover_to_one_that_says_something_else_goes_on),
      WORLD_TEST(test_handover_serves_one_taker_at_a_time),
      WORLD_TEST(test_handover_of_a_pool_and_a_unix_socket),
      WORLD_TEST(test_handover_of_too_many_or_nothing_is_refused),
      WORLD_TEST(test_handover_path_that_is_in_use_is_refused),
      WORLD_TEST(test_takeover_where_nobody_is_says_connect),
      cmocka_unit_test(test_takeover_of_what_makes_no_sense_is_refused),
  };
  return cmocka_run_group_tests_name("handover", tests, NULL, NULL);
}
