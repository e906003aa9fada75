/*
 * A hub called from many threads while connections subscribe, unsubscribe and close, and loops and
 * the hub itself go.  Made for ThreadSanitizer; short, because it is repeated there.
 */
#include "topics.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

enum { LOOPS = 4, PUBLISHERS = 4, PEERS = 4, EACH = 300 };

#define must(x)                                                                     \
  do {                                                                              \
    if (!(x)) {                                                                     \
      fprintf(stderr, "%s:%d: %s: %s\n", __FILE__, __LINE__, #x, ws_last_detail()); \
      abort();                                                                      \
    }                                                                               \
  } while (0)

/* A loop and what the thread that runs it does to its connections. */
typedef struct Side {
  ws_hub *hub;
  ws_loop *loop;
  ws_server *server;
  uint16_t port;
  pthread_t thread;
  ws_conn *conns[PEERS];
  int opened, turns, leave_open;
  int quiet; /* on_close does not use the hub */
  atomic_int ready, stop;
} Side;

static void on_open(ws_conn *c, void *user) {
  Side *s = user;
  must(ws_hub_subscribe(s->hub, c, "all") == 0);
  if (s->opened < PEERS) s->conns[s->opened++] = ws_conn_ref(c);
  atomic_fetch_add(&s->ready, 1);
}

static void on_close(ws_conn *c, const ws_close_info *how, void *user) {
  Side *s = user;
  ws_message *m;
  (void)how;
  if (s->quiet) return;
  must(ws_message_new(WS_OP_TEXT, "closed", 6, &m) == 0);
  must(ws_hub_publish(s->hub, "closing", m, c, 0) >= 0);
  ws_message_unref(m);
}

static void side_start(Side *s, ws_hub *h) {
  ws_loop_config lc;
  ws_server_config c;
  ws_handlers hs;
  ws_listen_config listen;
  ws_listener *listener;
  memset(s, 0, sizeof *s);
  s->hub = h;
  WS_INIT(&lc);
  WS_INIT(&c);
  WS_INIT(&hs);
  WS_INIT(&listen);
  lc.poller = test_poller();
  hs.on_open = on_open;
  hs.on_close = on_close;
  c.handlers = &hs;
  c.user = s;
  listen.host = "127.0.0.1";
  must(ws_loop_new(&lc, &s->loop) == 0);
  must(ws_server_new(s->loop, &c, &s->server) == 0);
  must(ws_server_listen(s->server, &listen, &listener) == 0);
  s->port = ws_listener_port(listener);
}

static void change_something(Side *s) {
  static const char *const names[] = {"all", "a/b", "a/*", "**", "closing", "c"};
  const unsigned n = (unsigned)s->turns++;
  ws_conn *c = s->conns[n % PEERS];
  const char *name = names[n / PEERS % COUNT_OF(names)];
  const int rc =
      n % 3 == 2 ? ws_hub_unsubscribe(s->hub, c, name) : ws_hub_subscribe(s->hub, c, name);
  must(rc == 0 || rc == WS_ERR_CLOSED);
  if (n % 50 == 49) (void)ws_hub_unsubscribe_all(s->hub, c);
  if (n == 200) ws_conn_abort(s->conns[0]);
  if (n == 300) (void)ws_conn_close(s->conns[1], 1000, NULL);
}

static void *run_and_change(void *arg) {
  Side *s = arg;
  while (!atomic_load(&s->stop) || s->turns < 350) {
    must(ws_loop_dispatch(s->loop, 1) >= 0);
    if (s->opened == PEERS) change_something(s);
  }
  /* With everybody still publishing. */
  must(ws_loop_free(s->loop) == 0);
  for (int i = 0; i < PEERS; ++i) {
    must(ws_hub_subscribe(s->hub, s->conns[i], "all") == WS_ERR_CLOSED);
    ws_conn_unref(s->conns[i]);
  }
  return NULL;
}

/* Blocking clients, each with a thread that reads. */
typedef struct Client {
  int fd;
  pthread_t thread;
  int next[PUBLISHERS + 1];
  int frames, done;
} Client;

static void client_connect(Client *c, uint16_t port) {
  static const char request[] = WIRE_OPEN("/", "");
  struct sockaddr_in to = {0};
  char head[1024];
  size_t n = 0;
  memset(c, 0, sizeof *c);
  to.sin_family = AF_INET;
  to.sin_port = htons(port);
  to.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  struct timeval patience = {20, 0};
  must(setsockopt(c->fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof patience) == 0);
  must(connect(c->fd, (struct sockaddr *)&to, sizeof to) == 0);
  must(send(c->fd, request, sizeof request - 1, MSG_NOSIGNAL) == (ssize_t)sizeof request - 1);
  do {
    must(n < sizeof head - 1 && recv(c->fd, head + n, 1, 0) == 1);
    head[++n] = '\0';
  } while (strstr(head, "\r\n\r\n") == NULL);
}

/* Frames of a server, up to 125 bytes; "publisher number". */
static void *read_frames(void *arg) {
  Client *c = arg;
  uint8_t in[65536];
  size_t len = 0;
  for (;;) {
    const ssize_t n = recv(c->fd, in + len, sizeof in - len, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return NULL;
    len += (size_t)n;
    size_t at = 0;
    WireFrame f;
    while (wire_parse(in + at, len - at, &f)) {
      int who, number;
      char text[126] = {0};
      if (f.first == FIN_TEXT) {
        memcpy(text, f.payload, f.len);
        ++c->frames;
        if (sscanf(text, "%d %d", &who, &number) == 2) {
          must(who <= PUBLISHERS && number >= c->next[who]); /* in order, each once */
          c->next[who] = number + 1;
        }
        if (strcmp(text, "end") == 0) c->done = 1;
      }
      at += f.size;
    }
    memmove(in, in + at, len - at);
    len -= at;
    if (c->done == 1) return NULL;
  }
}

typedef struct Publisher {
  ws_hub *hub;
  pthread_t thread;
  int who, count;
  atomic_int *stop;
} Publisher;

static void *publish(void *arg) {
  Publisher *p = arg;
  static const char *const topics[] = {"all", "a/b", "c"};
  for (int i = 0; p->stop != NULL ? !atomic_load(p->stop) : i < p->count; ++i) {
    char text[32];
    ws_message *m;
    ws_hub_stats stats;
    snprintf(text, sizeof text, "%d %d", p->who, i);
    must(ws_message_new(WS_OP_TEXT, text, strlen(text), &m) == 0);
    const int rc = ws_hub_publish(p->hub, p->stop != NULL ? topics[i % 3] : "all", m, NULL, 0);
    must(rc == WS_OK || rc == WS_DROPPED);
    ws_message_unref(m);
    WS_INIT(&stats);
    if (i % 16 == 0) {
      (void)ws_hub_count(p->hub, "all");
      must(ws_hub_get_stats(p->hub, &stats) == 0);
      sched_yield();
    }
  }
  return NULL;
}

static void nothing_told(ws_hub *h, const char *topic, int active, void *user) {
  (void)h, (void)active;
  must(topic[0] != '\0');
  ++*(int *)user;
}

static void nothing_said(ws_hub *h, const char *topic, ws_message *m, void *user) {
  (void)h, (void)topic;
  must(ws_message_opcode(m) == WS_OP_TEXT);
  ++*(int *)user;
}

/* Sets and removes a bridge on a loop of its own, again and again. */
typedef struct Bridging {
  ws_hub *hub;
  pthread_t thread;
  atomic_int *stop;
} Bridging;

static void *bridge(void *arg) {
  Bridging *b = arg;
  while (!atomic_load(b->stop)) {
    int calls = 0;
    ws_hub_bridge hooks;
    ws_loop *l;
    must(ws_loop_new(NULL, &l) == 0);
    WS_INIT(&hooks);
    hooks.loop = l;
    hooks.on_topic = nothing_told;
    hooks.on_publish = nothing_said;
    hooks.user = &calls;
    must(ws_hub_set_bridge(b->hub, &hooks) == 0);
    for (int i = 0; i < 20; ++i) must(ws_loop_dispatch(l, 1) >= 0);
    if (calls % 2) {
      must(ws_hub_set_bridge(b->hub, NULL) == 0);
      const int before = calls;
      must(ws_loop_dispatch(l, 0) >= 0);
      must(calls == before);
    }
    must(ws_loop_free(l) == 0);
  }
  return NULL;
}

static void test_hub_threads_publish_while_loops_change_close_and_stop(void **state) {
  (void)state;
  static Side sides[LOOPS];
  static Client clients[LOOPS][PEERS];
  Publisher publishers[PUBLISHERS];
  Bridging b;
  atomic_int stop = 0;
  ws_hub *h = hub_new(0, 0, 100000);
  for (int i = 0; i < LOOPS; ++i) {
    side_start(&sides[i], h);
    must(pthread_create(&sides[i].thread, NULL, run_and_change, &sides[i]) == 0);
  }
  for (int i = 0; i < LOOPS; ++i) {
    for (int j = 0; j < PEERS; ++j) {
      client_connect(&clients[i][j], sides[i].port);
      must(pthread_create(&clients[i][j].thread, NULL, read_frames, &clients[i][j]) == 0);
    }
  }
  for (int i = 0; i < PUBLISHERS; ++i) {
    publishers[i] = (Publisher){h, 0, i, 0, &stop};
    must(pthread_create(&publishers[i].thread, NULL, publish, &publishers[i]) == 0);
  }
  b.hub = h;
  b.stop = &stop;
  must(pthread_create(&b.thread, NULL, bridge, &b) == 0);
  for (int i = 0; i < LOOPS; ++i) {
    atomic_store(&sides[i].stop, 1);
    pthread_join(sides[i].thread, NULL);
  }
  atomic_store(&stop, 1);
  for (int i = 0; i < PUBLISHERS; ++i) pthread_join(publishers[i].thread, NULL);
  pthread_join(b.thread, NULL);
  for (int i = 0; i < LOOPS; ++i) {
    for (int j = 0; j < PEERS; ++j) {
      pthread_join(clients[i][j].thread, NULL);
      close(clients[i][j].fd);
    }
  }
  const ws_hub_stats s = hub_stats(h);
  assert_int_equal(s.subscriptions, 0);
  assert_int_equal(s.topics, 0);
  assert_int_equal(s.queued_bytes, 0);
  assert_true(s.delivered > 0);
  ws_hub_unref(h);
}

static void *run_until_stopped(void *arg) {
  Side *s = arg;
  must(ws_loop_run(s->loop) == 0);
  return NULL;
}

static void test_hub_threads_each_subscriber_gets_all_of_each_publisher_in_order(void **state) {
  (void)state;
  static Side sides[LOOPS];
  static Client clients[LOOPS];
  Publisher publishers[PUBLISHERS];
  ws_hub *h = hub_new(0, 0, 0);
  for (int i = 0; i < LOOPS; ++i) {
    side_start(&sides[i], h);
    must(pthread_create(&sides[i].thread, NULL, run_until_stopped, &sides[i]) == 0);
    client_connect(&clients[i], sides[i].port);
    must(pthread_create(&clients[i].thread, NULL, read_frames, &clients[i]) == 0);
    while (atomic_load(&sides[i].ready) == 0) sched_yield();
  }
  for (int i = 0; i < PUBLISHERS; ++i) {
    publishers[i] = (Publisher){h, 0, i, EACH, NULL};
    must(pthread_create(&publishers[i].thread, NULL, publish, &publishers[i]) == 0);
  }
  for (int i = 0; i < PUBLISHERS; ++i) pthread_join(publishers[i].thread, NULL);
  assert_ok(hub_say(h, "all", "end", NULL, 0));
  for (int i = 0; i < LOOPS; ++i) {
    pthread_join(clients[i].thread, NULL);
    assert_int_equal(clients[i].done, 1);
    assert_int_equal(clients[i].frames, PUBLISHERS * EACH + 1);
    for (int j = 0; j < PUBLISHERS; ++j) assert_int_equal(clients[i].next[j], EACH);
    close(clients[i].fd);
  }
  assert_int_equal(hub_stats(h).delivered, LOOPS * (PUBLISHERS * EACH + 1));
  for (int i = 0; i < LOOPS; ++i) {
    ws_loop_stop(sides[i].loop);
    pthread_join(sides[i].thread, NULL);
    ws_conn_unref(sides[i].conns[0]);
    assert_ok(ws_loop_free(sides[i].loop));
  }
  ws_hub_unref(h);
}

/* The last reference goes on this thread, with subscribers and messages on others. */
static void test_hub_threads_hub_freed_while_loops_deliver(void **state) {
  (void)state;
  for (int round = 0; round < 10; ++round) {
    static Side sides[2];
    static Client clients[2];
    ws_hub *h = hub_new(0, 0, 0);
    for (int i = 0; i < 2; ++i) {
      side_start(&sides[i], h);
      sides[i].quiet = 1;
      must(pthread_create(&sides[i].thread, NULL, run_until_stopped, &sides[i]) == 0);
      client_connect(&clients[i], sides[i].port);
      must(pthread_create(&clients[i].thread, NULL, read_frames, &clients[i]) == 0);
      while (atomic_load(&sides[i].ready) == 0) sched_yield();
    }
    for (int n = 0; n < round * 10; ++n) assert_ok(hub_say(h, "all", "x", NULL, 0));
    assert_ok(hub_say(h, "all", "end", NULL, 0));
    ws_hub_unref(h);
    for (int i = 0; i < 2; ++i) {
      if (round % 2 == 0) pthread_join(clients[i].thread, NULL);
      ws_loop_stop(sides[i].loop);
      pthread_join(sides[i].thread, NULL);
      assert_ok(ws_loop_free(sides[i].loop)); /* every second time with messages waiting */
      if (round % 2 != 0) pthread_join(clients[i].thread, NULL);
      if (round % 2 == 0) assert_int_equal(clients[i].done, 1);
      if (round % 2 == 0) assert_int_equal(clients[i].frames, round * 10 + 1);
      ws_conn_unref(sides[i].conns[0]);
      close(clients[i].fd);
    }
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_hub_threads_publish_while_loops_change_close_and_stop),
      cmocka_unit_test(test_hub_threads_each_subscriber_gets_all_of_each_publisher_in_order),
      cmocka_unit_test(test_hub_threads_hub_freed_while_loops_deliver),
  };
  return cmocka_run_group_tests_name("hub_threads", tests, NULL, NULL);
}
