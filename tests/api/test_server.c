/*
 * server.h, listening: addresses, unix sockets, inherited descriptors, limits, running out of
 * descriptors.  Stopping is in test_server_stop.c, requests in test_request.c.
 */
#include "world.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

static char directory[] = "/tmp/libws-test-XXXXXX";

static int make_directory(void **state) {
  (void)state;
  return mkdtemp(directory) != NULL ? 0 : -1;
}

static int remove_directory(void **state) {
  (void)state;
  return rmdir(directory);
}

static const char *in_directory(const char *name) {
  static char path[100];
  snprintf(path, sizeof path, "%s/%s", directory, name);
  return path;
}

static int listen_on(World *w, const char *host, uint16_t port, uint32_t flags, ws_listener **out) {
  ws_listen_config c;
  WS_INIT(&c);
  c.host = host;
  c.port = port;
  c.flags = flags;
  return ws_server_listen(w->server, &c, out);
}

static int listen_unix(World *w, const char *path, uint32_t mode, ws_listener **out) {
  ws_listen_config c;
  WS_INIT(&c);
  c.unix_path = path;
  c.unix_mode = mode;
  return ws_server_listen(w->server, &c, out);
}

static void expect_echo_at(World *w, Peer *p) {
  int before = w->opened;
  peer_open(p);
  for (int i = 0; i < 1000 && w->opened == before; ++i) run_for(w->loop, 1);
  assert_int_equal(w->opened, before + 1);
  assert_ok(ws_conn_send(w->conn, WS_OP_TEXT, "hello", 5, 0));
  peer_expect_text(p, "hello");
  peer_drop(p);
}

static int have_v6(void) {
  struct sockaddr_in6 a;
  memset(&a, 0, sizeof a);
  a.sin6_family = AF_INET6;
  a.sin6_addr = in6addr_loopback;
  int fd = socket(AF_INET6, SOCK_STREAM, 0);
  int ok = fd >= 0 && bind(fd, (struct sockaddr *)&a, sizeof a) == 0;
  if (fd >= 0) close(fd);
  return ok;
}

static void test_server_listens_on_v4_v6_and_both(void **state) {
  World *w = *state;
  Peer p;
  ws_listener *ln = NULL;
  assert_ok(listen_on(w, "127.0.0.1", 0, 0, &ln));
  assert_int_not_equal(ws_listener_port(ln), w->port);
  peer_connect(&p, w->loop, ws_listener_port(ln));
  expect_echo_at(w, &p);
  assert_ok(listen_on(w, "localhost", 0, 0, NULL));
  if (!have_v6()) skip();
  assert_ok(listen_on(w, "::1", 0, 0, &ln));
  peer_connect_v6(&p, w->loop, ws_listener_port(ln));
  expect_echo_at(w, &p);
  assert_int_equal(peer_try_connect(&p, w->loop, ws_listener_port(ln), 0), ECONNREFUSED);
  assert_ok(listen_on(w, NULL, 0, 0, &ln));
  peer_connect_v6(&p, w->loop, ws_listener_port(ln));
  expect_echo_at(w, &p);
  peer_connect(&p, w->loop, ws_listener_port(ln));
  expect_echo_at(w, &p);
  assert_ok(listen_on(w, "::", 0, WS_LISTEN_V6ONLY, &ln));
  assert_int_equal(peer_try_connect(&p, w->loop, ws_listener_port(ln), 0), ECONNREFUSED);
  peer_connect_v6(&p, w->loop, ws_listener_port(ln));
  expect_echo_at(w, &p);
}

static char seen_peer[128];
static void note_peer(World *w, const char *event, ws_conn *c) {
  (void)w;
  if (strcmp(event, "open") == 0) snprintf(seen_peer, sizeof seen_peer, "%s", ws_conn_peer(c));
}

static void test_server_names_its_peers(void **state) {
  World *w = *state;
  Peer p;
  ws_listener *ln;
  struct sockaddr_in self;
  socklen_t len = sizeof self;
  char want[64];
  w->on = note_peer;
  world_join(w, &p);
  assert_int_equal(getsockname(p.fd, (struct sockaddr *)&self, &len), 0);
  snprintf(want, sizeof want, "127.0.0.1:%d", ntohs(self.sin_port));
  assert_string_equal(seen_peer, want);
  peer_drop(&p);
  assert_ok(listen_unix(w, "@libws-test-peer-name", 0, &ln));
  assert_int_equal(peer_try_unix(&p, w->loop, "@libws-test-peer-name"), 0);
  expect_echo_at(w, &p);
  assert_string_equal(seen_peer, "unix:");
  if (!have_v6()) skip();
  assert_ok(listen_on(w, "::1", 0, 0, &ln));
  peer_connect_v6(&p, w->loop, ws_listener_port(ln));
  expect_echo_at(w, &p);
  assert_int_equal(strncmp(seen_peer, "[::1]:", 6), 0);
}

static char seen_local[128], last_local[128];
static void note_local(World *w, const char *event, ws_conn *c) {
  (void)w;
  if (strcmp(event, "open") == 0) snprintf(seen_local, sizeof seen_local, "%s", ws_conn_local(c));
  if (strcmp(event, "close") == 0) snprintf(last_local, sizeof last_local, "%s", ws_conn_local(c));
}

static void test_server_names_the_address_that_was_reached(void **state) {
  World *w = *state;
  Peer p;
  ws_listener *ln;
  char want[64];
  w->on = note_local;
  world_join(w, &p);
  snprintf(want, sizeof want, "127.0.0.1:%d", w->port);
  assert_string_equal(seen_local, want);
  ws_conn *c = ws_conn_ref(w->conn);
  assert_string_equal(ws_conn_local(c), want);
  peer_drop(&p);
  world_wait_closed(w, 1);
  assert_string_equal(last_local, want); /* inside on_close still */
  run_for(w->loop, 5);
  assert_string_equal(ws_conn_local(c), "");
  ws_conn_unref(c);
  assert_ok(listen_on(w, "0.0.0.0", 0, 0, &ln));
  peer_connect(&p, w->loop, ws_listener_port(ln));
  expect_echo_at(w, &p);
  snprintf(want, sizeof want, "127.0.0.1:%d", ws_listener_port(ln));
  assert_string_equal(seen_local, want);
  assert_ok(listen_unix(w, "@libws-test-local-name", 0, &ln));
  assert_int_equal(peer_try_unix(&p, w->loop, "@libws-test-local-name"), 0);
  expect_echo_at(w, &p);
  assert_string_equal(seen_local, "unix:");
  if (!have_v6()) skip();
  assert_ok(listen_on(w, "::", 0, 0, &ln));
  peer_connect_v6(&p, w->loop, ws_listener_port(ln));
  expect_echo_at(w, &p);
  snprintf(want, sizeof want, "[::1]:%d", ws_listener_port(ln));
  assert_string_equal(seen_local, want);
}

/* bad: 250 */
static void test_server_address_in_use_is_named(void **state) {
  World *w = *state;
  char want[64];
  ws_listener *untouched = (ws_listener *)w;
  assert_fails(WS_ERR_ADDR, listen_on(w, "127.0.0.1", w->port, 0, &untouched));
  assert_ptr_equal(untouched, w);
  snprintf(want, sizeof want, "127.0.0.1:%d: Address already in use", w->port);
  assert_detail_has(want);
  assert_fails(WS_ERR_ADDR, listen_on(w, "192.0.2.1", 0, 0, NULL));
  assert_detail_has("192.0.2.1");
  assert_fails(WS_ERR_ADDR, listen_on(w, "256.0.0.1.invalid", 0, 0, NULL));
  assert_fails(WS_ERR_ADDR, listen_on(w, "", 0, 0, NULL));
}

static void test_server_reuseport_shares_a_port(void **state) {
  World *w = *state;
  ws_listener *a, *b;
  Peer p;
  assert_ok(listen_on(w, "127.0.0.1", 0, WS_LISTEN_REUSEPORT, &a));
  assert_ok(listen_on(w, "127.0.0.1", ws_listener_port(a), WS_LISTEN_REUSEPORT, &b));
  assert_fails(WS_ERR_ADDR, listen_on(w, "127.0.0.1", ws_listener_port(a), 0, NULL));
  for (int i = 0; i < 8; ++i) {
    peer_connect(&p, w->loop, ws_listener_port(a));
    expect_echo_at(w, &p);
  }
}

static void test_server_restarts_on_the_port_of_its_old_connections(void **state) {
  World *w = *state;
  Peer p;
  world_join(w, &p);
  peer_send_close(&p, 1000, NULL);
  peer_expect_close(&p, 1000);
  peer_expect_end(&p);
  peer_drop(&p); /* the server closed first: its side is in TIME_WAIT */
  ws_listener_close(w->listener);
  run_for(w->loop, 2);
  assert_ok(listen_on(w, "127.0.0.1", w->port, 0, NULL));
  peer_connect(&p, w->loop, w->port);
  expect_echo_at(w, &p);
}

static void test_server_listener_close_leaves_open_connections(void **state) {
  World *w = *state;
  Peer p, q;
  world_join(w, &p);
  ws_listener_close(w->listener);
  run_for(w->loop, 2);
  assert_int_equal(peer_try_connect(&q, w->loop, w->port, 0), ECONNREFUSED);
  assert_ok(ws_conn_send(w->conn, WS_OP_TEXT, "on", 2, 0));
  peer_expect_text(&p, "on");
  assert_int_equal(ws_listener_port(NULL), 0);
  ws_listener_close(NULL);
  peer_drop(&p);
}

static mode_t mode_of(const char *path) {
  struct stat s;
  assert_int_equal(stat(path, &s), 0);
  return s.st_mode & 0777;
}

/* bad: 243 */
static void test_server_unix_socket_has_its_mode_and_goes_with_the_listener(void **state) {
  World *w = *state;
  const char *path = in_directory("mode");
  Peer p;
  ws_listener *ln;
  mode_t mask = umask(0);
  assert_ok(listen_unix(w, path, 0, &ln));
  assert_int_equal(mode_of(path), 0600);
  assert_int_equal(ws_listener_port(ln), 0);
  assert_int_equal(peer_try_unix(&p, w->loop, path), 0);
  expect_echo_at(w, &p);
  ws_listener_close(ln);
  assert_int_equal(access(path, F_OK), -1);
  umask(077);
  assert_ok(listen_unix(w, path, 0666, &ln));
  assert_int_equal(mode_of(path), 0666);
  assert_int_equal(umask(mask), 077); /* not the library's to change */
  ws_server_free(w->server);
  w->server = NULL;
  assert_int_equal(access(path, F_OK), -1);
}

/* bad: 261 */
static void test_server_unix_stale_file_is_replaced_and_live_ones_refused(void **state) {
  World *w = *state;
  const char *path = in_directory("stale");
  struct sockaddr_un a;
  ws_listener *ln;
  Peer p;
  memset(&a, 0, sizeof a);
  a.sun_family = AF_UNIX;
  snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
  int fd = socket(AF_UNIX, SOCK_STREAM, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
  assert_int_equal(listen(fd, 1), 0);
  assert_fails(WS_ERR_ADDR, listen_unix(w, path, 0, NULL));
  assert_detail_has(path);
  assert_int_equal(access(path, F_OK), 0);
  close(fd); /* as after a crash: the file stays */
  assert_int_equal(access(path, F_OK), 0);
  assert_ok(listen_unix(w, path, 0, &ln));
  assert_fails(WS_ERR_ADDR, listen_unix(w, path, 0, NULL)); /* our own is live too */
  assert_int_equal(peer_try_unix(&p, w->loop, path), 0);
  expect_echo_at(w, &p);
  ws_listener_close(ln);
}

static void test_server_unix_path_that_is_no_socket_is_refused_and_kept(void **state) {
  World *w = *state;
  const char *path = in_directory("file");
  FILE *f = fopen(path, "w");
  fputs("precious", f);
  fclose(f);
  assert_fails(WS_ERR_ADDR, listen_unix(w, path, 0, NULL));
  assert_detail_has("not a socket");
  assert_int_equal(access(path, F_OK), 0);
  unlink(path);
  assert_fails(WS_ERR_ADDR, listen_unix(w, directory, 0, NULL));
  assert_fails(WS_ERR_ADDR, listen_unix(w, "/nonexistent/libws/socket", 0, NULL));
}

/* A file that a successor has put there is not ours to remove. */
static void test_server_unix_file_of_a_successor_stays(void **state) {
  World *w = *state;
  const char *path = in_directory("next");
  ws_listener *first, *second;
  assert_ok(listen_unix(w, path, 0, &first));
  unlink(path);
  assert_ok(listen_unix(w, path, 0, &second));
  ws_listener_close(first);
  assert_int_equal(access(path, F_OK), 0);
  ws_listener_close(second);
  assert_int_equal(access(path, F_OK), -1);
}

/* bad: 261 */
static void test_server_unix_path_of_107_bytes_fits_and_108_is_refused(void **state) {
  World *w = *state;
  char name[120];
  Peer p;
  memset(name, 'n', sizeof name);
  name[0] = '@';
  name[108] = '\0';
  assert_ok(listen_unix(w, name, 0, NULL)); /* abstract: '@' and 107 bytes */
  name[108] = 'n';
  name[109] = '\0';
  assert_true(listen_unix(w, name, 0, NULL) < 0);
  assert_true(listen_unix(w, "", 0, NULL) < 0);
  memset(name, '/', sizeof name);
  memcpy(name, directory, strlen(directory));
  name[106] = 'x';
  name[107] = '\0';
  assert_ok(listen_unix(w, name, 0, NULL));
  assert_int_equal(peer_try_unix(&p, w->loop, name), 0);
  expect_echo_at(w, &p);
  name[107] = 'x';
  name[108] = '\0';
  assert_true(listen_unix(w, name, 0, NULL) < 0);
}

static void test_server_abstract_name_is_refused_twice_and_free_again(void **state) {
  World *w = *state;
  ws_listener *ln;
  Peer p;
  assert_ok(listen_unix(w, "@libws-test-abstract", 0, &ln));
  assert_fails(WS_ERR_ADDR, listen_unix(w, "@libws-test-abstract", 0, NULL));
  assert_int_equal(peer_try_unix(&p, w->loop, "@libws-test-abstract"), 0);
  expect_echo_at(w, &p);
  ws_listener_close(ln);
  assert_ok(listen_unix(w, "@libws-test-abstract", 0, &ln));
}

static int plain_listener(int kind) {
  struct sockaddr_in a;
  memset(&a, 0, sizeof a);
  a.sin_family = AF_INET;
  a.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  int fd = socket(AF_INET, kind, 0);
  assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof a), 0);
  return fd;
}

static void test_server_inherited_descriptor_is_taken_and_others_are_refused(void **state) {
  World *w = *state;
  ws_listener *ln;
  Peer p;
  int fd = plain_listener(SOCK_STREAM);
  assert_fails(WS_ERR_INVALID, ws_server_listen_fd(w->server, fd, &ln)); /* not listening */
  assert_int_equal(fcntl(fd, F_GETFD), 0);
  assert_int_equal(listen(fd, 5), 0);
  assert_ok(ws_server_listen_fd(w->server, fd, &ln));
  assert_int_not_equal(ws_listener_port(ln), 0);
  peer_connect(&p, w->loop, ws_listener_port(ln));
  expect_echo_at(w, &p);
  ws_listener_close(ln);
  int udp = plain_listener(SOCK_DGRAM);
  assert_fails(WS_ERR_INVALID, ws_server_listen_fd(w->server, udp, NULL));
  close(udp);
  int file = open("/dev/null", O_RDONLY);
  assert_fails(WS_ERR_INVALID, ws_server_listen_fd(w->server, file, NULL));
  close(file);
  assert_fails(WS_ERR_INVALID, ws_server_listen_fd(w->server, -1, NULL));
  assert_fails(WS_ERR_INVALID, ws_server_listen_fd(w->server, 1 << 20, NULL));
}

/* bad: 237 */
static void test_server_listen_config_out_of_range_is_refused(void **state) {
  World *w = *state;
  ws_listen_config c;
  WS_INIT(&c);
  c.host = "127.0.0.1";
  c.flags = 1u << 31;
  assert_fails(WS_ERR_UNSUPPORTED, ws_server_listen(w->server, &c, NULL));
  c.flags = 0;
  c.backlog = UINT32_MAX;
  assert_fails(WS_ERR_INVALID, ws_server_listen(w->server, &c, NULL));
  c.backlog = 1;
  c.unix_path = "@both";
  assert_fails(WS_ERR_INVALID, ws_server_listen(w->server, &c, NULL));
  c.host = NULL;
  c.unix_mode = 01000;
  assert_fails(WS_ERR_INVALID, ws_server_listen(w->server, &c, NULL));
  c.unix_mode = 0;
  c.size = 3;
  assert_fails(WS_ERR_INVALID, ws_server_listen(w->server, &c, NULL));
}

/* bad: 175 */
static void test_server_connections_above_the_maximum_wait_in_the_kernel(void **state) {
  (void)state;
  World w;
  Peer p[4];
  world_prepare(&w);
  w.config.max_connections = 2;
  world_start(&w);
  world_join(&w, &p[0]);
  world_join(&w, &p[1]);
  for (int i = 2; i < 4; ++i) {
    peer_connect(&p[i], w.loop, w.port);
    peer_say(&p[i], WIRE_OPEN("/", ""));
  }
  run_for(w.loop, 20);
  assert_int_equal(w.opened, 2);
  assert_int_equal(ws_server_count(w.server), 2);
  peer_drop(&p[0]);
  peer_expect_101(&p[2]);
  run_for(w.loop, 10);
  assert_int_equal(w.opened, 3);
  peer_drop(&p[1]);
  peer_expect_101(&p[3]);
  peer_drop(&p[2]);
  peer_drop(&p[3]);
  world_wait_closed(&w, 4);
  world_stop(&w);
}

/* bad: 249, 257 */
static void test_server_out_of_descriptors_recovers_without_spinning(void **state) {
  World *w = *state;
  Peer p, q;
  struct rlimit old, low;
  ws_loop_stats before, after;
  WS_INIT(&before);
  WS_INIT(&after);
  if (valgrind_is_on()) skip();
  world_join(w, &p);
  peer_connect(&q, w->loop, w->port);
  peer_say(&q, WIRE_OPEN("/", ""));
  int next = dup(0);
  close(next);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
  low = old;
  low.rlim_cur = (rlim_t)next;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
  clock_t cpu = clock();
  assert_ok(ws_loop_get_stats(w->loop, &before));
  uint64_t start = clock_ms();
  while (clock_ms() - start < 250) ws_loop_dispatch(w->loop, 50);
  assert_ok(ws_loop_get_stats(w->loop, &after));
  assert_true(after.turns - before.turns < 30);
  assert_true((clock() - cpu) * 10 < 10 * CLOCKS_PER_SEC);
  assert_int_equal(w->opened, 1);
  assert_ok(ws_conn_send(w->conn, WS_OP_TEXT, "alive", 5, 0)); /* who is there goes on */
  peer_expect_text(&p, "alive");
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
  peer_expect_101(&q); /* within the next try */
  peer_drop(&p);
  peer_drop(&q);
}

/* A connection that ends gives its descriptor to the one that waits, at once. */
static void test_server_out_of_descriptors_goes_on_when_one_is_closed(void **state) {
  World *w = *state;
  Peer p, q;
  struct rlimit old, low;
  if (valgrind_is_on()) skip();
  world_join(w, &p);
  peer_connect(&q, w->loop, w->port);
  peer_say(&q, WIRE_OPEN("/", ""));
  int next = dup(0);
  close(next);
  assert_int_equal(getrlimit(RLIMIT_NOFILE, &old), 0);
  low = old;
  low.rlim_cur = (rlim_t)next;
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
  run_for(w->loop, 5);
  assert_int_equal(w->opened, 1);
  ws_conn_abort(w->conn);
  peer_expect_101(&q);
  assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
  peer_drop(&p);
  peer_drop(&q);
}

/* bad: 176 */
static void test_server_connect_and_reset_leaves_nothing(void **state) {
  World *w = *state;
  ws_loop_stats s;
  Peer p;
  WS_INIT(&s);
  int next = dup(0);
  close(next);
  for (int i = 0; i < 300; ++i) {
    peer_connect(&p, w->loop, w->port);
    if (i % 3 == 0) peer_say(&p, "GET");
    if (i % 3 == 1) peer_say(&p, WIRE_OPEN("/", ""));
    if (i % 2) peer_reset(&p);
    peer_drop(&p);
    if (i % 7 == 0) ws_loop_dispatch(w->loop, 0);
  }
  uint64_t end = clock_ms() + PATIENCE_MS;
  do {
    run_for(w->loop, 5);
    assert_ok(ws_loop_get_stats(w->loop, &s));
  } while (s.connections != 0 && clock_ms() < end);
  assert_int_equal(s.connections, 0);
  assert_int_equal(w->opened, w->closed);
  int again = dup(0);
  close(again);
  assert_int_equal(again, next);
  uint64_t turns = s.turns;
  while (ws_loop_dispatch(w->loop, 20) > 0) {
  }
  assert_ok(ws_loop_get_stats(w->loop, &s));
  assert_true(s.turns - turns < 10);
}

/* bad: 260 */
static void test_server_descriptors_are_close_on_exec(void **state) {
  World *w = *state;
  Peer p;
  int checked = 0;
  world_join(w, &p);
  for (int fd = 3; fd < 256; ++fd) {
    int type;
    socklen_t len = sizeof type;
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &len) != 0) continue;
    assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
    ++checked;
  }
  assert_true(checked >= 3);
  peer_drop(&p);
}

int main(void) {
#define WITH_WORLD(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
  const struct CMUnitTest tests[] = {
      WITH_WORLD(test_server_listens_on_v4_v6_and_both),
      WITH_WORLD(test_server_names_its_peers),
      WITH_WORLD(test_server_names_the_address_that_was_reached),
      WITH_WORLD(test_server_address_in_use_is_named),
      WITH_WORLD(test_server_reuseport_shares_a_port),
      WITH_WORLD(test_server_restarts_on_the_port_of_its_old_connections),
      WITH_WORLD(test_server_listener_close_leaves_open_connections),
      WITH_WORLD(test_server_unix_socket_has_its_mode_and_goes_with_the_listener),
      WITH_WORLD(test_server_unix_stale_file_is_replaced_and_live_ones_refused),
      WITH_WORLD(test_server_unix_path_that_is_no_socket_is_refused_and_kept),
      WITH_WORLD(test_server_unix_file_of_a_successor_stays),
      WITH_WORLD(test_server_unix_path_of_107_bytes_fits_and_108_is_refused),
      WITH_WORLD(test_server_abstract_name_is_refused_twice_and_free_again),
      WITH_WORLD(test_server_inherited_descriptor_is_taken_and_others_are_refused),
      WITH_WORLD(test_server_listen_config_out_of_range_is_refused),
      cmocka_unit_test(test_server_connections_above_the_maximum_wait_in_the_kernel),
      WITH_WORLD(test_server_out_of_descriptors_recovers_without_spinning),
      WITH_WORLD(test_server_out_of_descriptors_goes_on_when_one_is_closed),
      WITH_WORLD(test_server_connect_and_reset_leaves_nothing),
      WITH_WORLD(test_server_descriptors_are_close_on_exec),
  };
  return cmocka_run_group_tests_name("server", tests, make_directory, remove_directory);
}
