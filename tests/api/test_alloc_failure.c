/*
 * Every allocation fails in turn: the N-th alone, and all from the N-th on, for each N until a run
 * needs fewer.  Calls report NOMEM or the connection ends; nothing leaks, nothing crashes, and the
 * run after it works.
 */
#include "peer.h"
#include "scarce.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

/* 1: everything that was expected happened. */
typedef int (*Scenario)(void);

static void fail_each_allocation_of(Scenario scenario) {
  for (scarce.fail_on = 0; scarce.fail_on < 2; ++scarce.fail_on) {
    unsigned long n = 0;
    do {
      scarce.fail_at = ++n;
      scarce.seen = 0;
      scarce.failures = 0;
      int complete = scenario();
      if (scarce.live != 0)
        fail_msg("%lu blocks leaked when allocation %lu failed", scarce.live, n);
      if (scarce.failures == 0 && !complete) fail_msg("incomplete without a failure");
      scarce.fail_at = 0;
      if (scarce.failures != 0 && n % 8 == 1) {
        assert_int_equal(scenario(), 1);
        assert_int_equal(scarce.live, 0);
      }
      assert_true(n < 100000);
      scarce.fail_at = n;
    } while (scarce.failures != 0);
    scarce.fail_at = 0;
    assert_true(n > 3);
  }
}

/* NOMEM is the only thing that may go wrong. */
static int went_well(int rc) {
  if (rc >= 0) return 1;
  if (rc != WS_ERR_NOMEM && rc != WS_ERR_CLOSED)
    fail_msg("%s: %s", ws_strerror(rc), ws_last_detail());
  return 0;
}

/* Feeds a script, echoes its messages and answers requests. */
typedef struct Run {
  ws_engine *e;
  int messages, closed, requests, failed;
} Run;

static void handle_events(Run *r) {
  ws_event ev;
  int rc;
  WS_INIT(&ev);
  while ((rc = ws_engine_next(r->e, &ev)) == 1) {
    switch (ev.type) {
      case WS_EV_REQUEST: {
        ws_request *q = ws_engine_request(r->e);
        ws_accept how;
        static const ws_header header = {"X-Answer", "a long enough value to need memory"};
        WS_INIT(&how);
        how.subprotocol = "chat";
        how.headers = &header;
        how.header_count = 1;
        ++r->requests;
        (void)ws_request_cookie(q, "a", NULL);
        (void)ws_request_header(q, "X-Twice", NULL);
        if (!went_well(ws_request_accept(q, &how))) {
          r->failed = 1;
          /* A refusal may still be possible; either way the engine stays whole. */
          (void)ws_request_respond(q, 500, NULL, 0, NULL, 0);
        }
        break;
      }
      case WS_EV_MESSAGE:
        ++r->messages;
        if (!went_well(ws_engine_send(r->e, ev.op, ev.data, ev.len, 0))) r->failed = 1;
        break;
      case WS_EV_CLOSED:
        ++r->closed;
        assert_non_null(ev.close->detail);
        break;
      default: break;
    }
  }
  assert_true(rc == 0 || rc == WS_ERR_NOMEM);
  if (rc < 0) r->failed = 1;
}

static size_t drain_output(Run *r) {
  ws_slice out[4];
  size_t n, total = 0;
  while ((n = ws_engine_output(r->e, out, 4)) != 0) {
    size_t step = 0;
    for (size_t i = 0; i < n; ++i) step += out[i].len;
    assert_ok(ws_engine_sent(r->e, step));
    total += step;
  }
  return total;
}

static int feed(Run *r, const void *data, size_t len, size_t step) {
  const uint8_t *from = data;
  while (len != 0) {
    size_t n = len < step ? len : step;
    void *to;
    size_t room;
    ws_engine_landing(r->e, &to, &room);
    if (room != 0) {
      if (n > room) n = room;
      memcpy(to, from, n);
      if (!went_well(ws_engine_landed(r->e, n))) return 0;
    } else if (!went_well(ws_engine_feed(r->e, from, n))) {
      return 0;
    }
    handle_events(r);
    if (ws_engine_request(r->e) != NULL) return 0; /* it could not be answered */
    from += n;
    len -= n;
  }
  return 1;
}

static int finish(Run *r, int want_messages) {
  drain_output(r);
  int complete = !r->failed && r->messages == want_messages && r->closed == 1;
  ws_engine_free(r->e);
  return complete;
}

static const char kHandshake[] =
    WIRE_OPEN("/chat?x",
              "Cookie: a=b\r\nX-Twice: 1\r\nX-Twice: 2\r\nSec-WebSocket-Protocol: chat, other\r\n");

static int engine_server(void) {
  Run r = {NULL, 0, 0, 0, 0};
  uint8_t wire[4096];
  size_t n = 0;
  static uint8_t payload[700];
  memset(payload, 'p', sizeof payload);
  if (!went_well(ws_engine_new_server(NULL, &r.e))) return 0;
  assert_ok(ws_engine_tick(r.e, 1));
  n += wire_client_frame(wire + n, FIN_TEXT, "one", 3);
  n += wire_client_frame(wire + n, PART_TEXT, payload, 700);
  n += wire_client_frame(wire + n, FIN_PING, "p", 1);
  n += wire_client_frame(wire + n, PART_LAST, payload, 300);
  n += wire_client_frame(wire + n, FIN_CLOSE, "\x03\xe8", 2);
  if (feed(&r, kHandshake, sizeof kHandshake - 1, 100)) feed(&r, wire, n, 7);
  return finish(&r, 2);
}

static int the_sample_nonce(void *user, void *out, size_t len) {
  (void)user;
  for (size_t i = 0; i < len; ++i) ((char *)out)[i] = "the sample nonce"[i % 16];
  return 0;
}

static int engine_client(void) {
  Run r = {NULL, 0, 0, 0, 0};
  static const char answer[] =
      "HTTP/1.1 103 Early\r\n\r\nHTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Accept: " SAMPLE_ACCEPT
      "\r\nSec-WebSocket-Protocol: chat\r\n"
      "Set-Cookie: a\r\nSet-Cookie: b\r\n\r\n";
  static const char *const protocols[] = {"chat"};
  static const ws_header header = {"Origin", "https://example.com"};
  uint8_t wire[4096];
  static uint8_t payload[2000];
  size_t n = 0;
  ws_engine_config config;
  ws_open open;
  WS_INIT(&config);
  WS_INIT(&open);
  config.random = the_sample_nonce;
  open.host = "h";
  open.headers = &header;
  open.header_count = 1;
  open.subprotocols = protocols;
  open.subprotocol_count = 1;
  memset(payload, 'p', sizeof payload);
  if (!went_well(ws_engine_new_client(&config, &open, &r.e))) return 0;
  assert_ok(ws_engine_tick(r.e, 1));
  drain_output(&r);
  n += wire_server_frame(wire + n, PART_BINARY, payload, 2000);
  n += wire_server_frame(wire + n, PART_LAST, payload, 1000);
  n += wire_server_frame(wire + n, FIN_CLOSE, "", 0);
  if (feed(&r, answer, sizeof answer - 1, 50)) {
    (void)ws_engine_response_header(r.e, "Set-Cookie", NULL);
    feed(&r, wire, n, 501);
  }
  return finish(&r, 1);
}

static int engine_client_refused(void) {
  Run r = {NULL, 0, 0, 0, 0};
  static const char answer[] = "HTTP/1.1 403 x\r\nContent-Length: 10\r\n\r\n0123456789";
  ws_open open;
  WS_INIT(&open);
  open.host = "h";
  if (!went_well(ws_engine_new_client(NULL, &open, &r.e))) return 0;
  drain_output(&r);
  feed(&r, answer, sizeof answer - 1, 20);
  return finish(&r, 0);
}

/* A message that grows by landing, echoed by reference. */
static int engine_big_message(void) {
  Run r = {NULL, 0, 0, 0, 0};
  size_t len = 600000;
  uint8_t *payload = calloc(1, len), *wire = malloc(len + 32);
  if (went_well(ws_engine_new_server(NULL, &r.e))) {
    static const char head[] = WIRE_OPEN("/", "Sec-WebSocket-Protocol: chat\r\n");
    size_t n = wire_client_frame(wire, FIN_BINARY, payload, len);
    n += wire_client_frame(wire + n, FIN_CLOSE, "", 0);
    if (feed(&r, head, sizeof head - 1, 1000)) feed(&r, wire, n, 65536);
  } else {
    free(payload);
    free(wire);
    return 0;
  }
  free(payload);
  free(wire);
  return finish(&r, 1);
}

static int messages(void) {
  ws_message *m = NULL;
  int ok = went_well(ws_message_new(WS_OP_TEXT, "hello", 5, &m));
  if (!ok) assert_null(m);
  ws_message_unref(m);
  m = NULL;
  if (!went_well(ws_message_wrap(WS_OP_TEXT, "hello", 5, NULL, NULL, &m))) return 0;
  ws_message_unref(m);
  ws_loop *l = NULL;
  ws_timer *t = NULL;
  if (!went_well(ws_loop_new(NULL, &l))) {
    assert_null(l);
    return 0;
  }
  ok &= went_well(ws_timer_new(l, (void (*)(ws_timer *, void *))abort, NULL, &t));
  if (t != NULL) assert_ok(ws_timer_start(t, 1000));
  int ends[2];
  ws_watch *w = NULL;
  assert_int_equal(pipe(ends), 0);
  ok &= went_well(ws_watch_new(l, ends[0], WS_WATCH_READ, (ws_watch_fn)abort, NULL, &w));
  assert_ok(ws_loop_free(l));
  close(ends[0]);
  close(ends[1]);
  return ok;
}

/* ---- with sockets ---- */

typedef struct Net {
  ws_loop *loop;
  ws_server *server;
  uint16_t port;
  uint16_t proxy_port; /* begin with a PROXY protocol header here */
  int opened, closed, messages, failed;
  ws_request *waiting;
  ws_message *kept;
} Net;

static void net_open(ws_conn *c, void *user) {
  (void)c;
  ++((Net *)user)->opened;
}

static void net_message(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  Net *net = user;
  ++net->messages;
  if (net->kept == NULL) (void)went_well(ws_conn_keep_message(c, &net->kept));
  if (!went_well(ws_conn_send(c, op, data, len, 0))) net->failed = 1;
  if (net->kept != NULL) {
    (void)went_well(ws_conn_send_message(c, net->kept));
    (void)went_well(ws_conn_post_message(c, net->kept));
  }
}

static void net_close(ws_conn *c, const ws_close_info *how, void *user) {
  (void)c, (void)how;
  ++((Net *)user)->closed;
}

static void net_defer(ws_request *r, void *user) {
  Net *net = user;
  if (ws_request_path(r)[1] == 'd') net->waiting = ws_request_ref(r);
}

static int net_start(Net *net) {
  static const char *const list[] = {"chat", "other"};
  static const char *const proxies[] = {"127.0.0.0/8", "unix:"};
  ws_handlers h;
  ws_server_config c;
  ws_listen_config lc;
  ws_listener *ln, *proxied;
  memset(net, 0, sizeof *net);
  WS_INIT(&h);
  WS_INIT(&c);
  WS_INIT(&lc);
  h.on_open = net_open;
  h.on_message = net_message;
  h.on_close = net_close;
  c.handlers = &h;
  c.user = net;
  c.on_request = net_defer;
  c.subprotocols = list;
  c.subprotocol_count = 2;
  c.server_header = "a server header that needs memory";
  c.trusted_proxies = proxies;
  c.trusted_proxy_count = 2;
  c.max_connections_per_ip = 9;
  c.max_accept_rate_per_ip = 1000;
  lc.host = "127.0.0.1";
  if (!went_well(ws_loop_new(NULL, &net->loop))) return 0;
  if (went_well(ws_server_new(net->loop, &c, &net->server)) &&
      went_well(ws_server_listen(net->server, &lc, &ln))) {
    net->port = ws_listener_port(ln);
    lc.flags = WS_LISTEN_PROXY;
    lc.proxy_from = proxies;
    lc.proxy_from_count = 2;
    if (went_well(ws_server_listen(net->server, &lc, &proxied))) {
      net->proxy_port = ws_listener_port(proxied);
      return 1;
    }
  }
  assert_ok(ws_loop_free(net->loop));
  return 0;
}

static int net_stop(Net *net) {
  ws_message_unref(net->kept);
  ws_request_unref(net->waiting);
  assert_ok(ws_loop_free(net->loop));
  assert_int_equal(net->opened, net->closed);
  return !net->failed;
}

/* Sends, then reads until `want` bytes came or the stream ended. */
static size_t talk(Net *net, int fd, const uint8_t *data, size_t len, size_t want) {
  static uint8_t sink[65536];
  size_t got = 0;
  for (int idle = 0; idle < 60 && (got < want || len != 0);) {
    ssize_t n = len != 0 ? send(fd, data, len, MSG_NOSIGNAL) : 0;
    if (n > 0) {
      data += n;
      len -= (size_t)n;
    }
    if (n < 0 && errno != EAGAIN) break;
    int rc = ws_loop_dispatch(net->loop, idle == 0 ? 0 : 1);
    assert_true(rc >= 0 || rc == WS_ERR_NOMEM);
    n = recv(fd, sink, sizeof sink, 0);
    if (n == 0 || (n < 0 && errno != EAGAIN)) break;
    if (n > 0) got += (size_t)n;
    idle = n > 0 ? 0 : idle + 1;
  }
  return got;
}

static int net_echo(size_t size, const char *proxy, const char *head) {
  Net net;
  Peer p;
  if (!net_start(&net)) return 0;
  uint8_t *wire = malloc(size + 64), *payload = calloc(1, size);
  size_t n = wire_client_frame(wire, FIN_BINARY, payload, size);
  size_t echo = size + (size < 126 ? 2 : size < 65536 ? 4 : 10);
  peer_connect(&p, net.loop, proxy[0] != '\0' ? net.proxy_port : net.port);
  for (size_t i = 0; proxy[i] != '\0'; ++i) talk(&net, p.fd, (const uint8_t *)proxy + i, 1, 0);
  talk(&net, p.fd, (const uint8_t *)head, strlen(head), 100);
  if (net.waiting != NULL && !went_well(ws_request_accept(net.waiting, NULL))) {
    (void)ws_request_respond(net.waiting, 500, NULL, 0, "no", 2);
  }
  size_t got = talk(&net, p.fd, wire, n, 3 * echo + (net.waiting != NULL ? 100 : 0));
  int complete = net.messages == 1 && got >= 3 * echo;
  talk(&net, p.fd, wire, wire_client_frame(wire, FIN_CLOSE, "", 0), 2);
  peer_drop(&p);
  free(wire);
  free(payload);
  return net_stop(&net) && complete;
}

static int loop_echo(void) { return net_echo(300, "", WIRE_OPEN("/", "")); }
static int loop_echo_big(void) { return net_echo(300000, "", WIRE_OPEN("/", "")); }
static int loop_deferred(void) { return net_echo(20, "", WIRE_OPEN("/d", "")); }
static int loop_proxied(void) {
  return net_echo(20, "PROXY TCP4 10.0.0.1 10.0.0.2 10 20\r\n",
                  WIRE_OPEN("/", "X-Forwarded-For: 10.0.0.3\r\n"));
}

static int stopped;
static void net_done(ws_server *s, void *arg) {
  (void)s, (void)arg;
  ++stopped;
}

static int loop_refusal_and_shutdown(void) {
  Net net;
  Peer p;
  if (!net_start(&net)) return 0;
  peer_connect(&p, net.loop, net.port);
  size_t got = talk(&net, p.fd, (const uint8_t *)WIRE_GET("/", ""), strlen(WIRE_GET("/", "")), 100);
  peer_drop(&p);
  stopped = 0;
  int ok = went_well(ws_server_shutdown(net.server, 1001, 100, net_done, NULL));
  for (int i = 0; i < 20 && ok && !stopped; ++i) (void)ws_loop_dispatch(net.loop, 1);
  if (ok) assert_int_equal(stopped, 1);
  return net_stop(&net) && got >= 100 && ok;
}

#define SCENARIO_TEST(name, scenario)  \
  static void name(void **state) {     \
    (void)state;                       \
    fail_each_allocation_of(scenario); \
  }
/* talk() gives up after a few quiet turns, which faulty sockets have without end. */
#define SOCKET_SCENARIO_TEST(name, scenario) \
  static void name(void **state) {           \
    (void)state;                             \
    if (faults_are_on()) skip();             \
    fail_each_allocation_of(scenario);       \
  }

/* bad: 245 */
SCENARIO_TEST(test_alloc_failure_in_engine_server_is_reported_or_ends_it, engine_server)
/* bad: 245 */
SCENARIO_TEST(test_alloc_failure_in_engine_client_is_reported_or_ends_it, engine_client)
/* bad: 245 */
SCENARIO_TEST(test_alloc_failure_in_refused_client_is_reported_or_ends_it, engine_client_refused)
/* bad: 245 */
SCENARIO_TEST(test_alloc_failure_in_big_message_is_reported_or_ends_it, engine_big_message)
/* bad: 245 */
SCENARIO_TEST(test_alloc_failure_in_messages_and_timers_is_reported, messages)
/* bad: 245 */
SOCKET_SCENARIO_TEST(test_alloc_failure_in_loop_echo_is_reported_or_ends_it, loop_echo)
/* bad: 245 */
SOCKET_SCENARIO_TEST(test_alloc_failure_in_loop_echo_of_a_big_message, loop_echo_big)
/* bad: 245 */
SOCKET_SCENARIO_TEST(test_alloc_failure_in_deferred_accept_is_reported_or_ends_it, loop_deferred)
/* bad: 245 */
SOCKET_SCENARIO_TEST(test_alloc_failure_in_refusal_and_shutdown, loop_refusal_and_shutdown)
SOCKET_SCENARIO_TEST(test_alloc_failure_behind_proxies_is_reported_or_ends_it, loop_proxied)

static void test_allocator_cannot_change_once_used(void **state) {
  (void)state;
  assert_int_equal(scarce_set(NULL), WS_ERR_STATE);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_alloc_failure_in_engine_server_is_reported_or_ends_it),
      cmocka_unit_test(test_alloc_failure_in_engine_client_is_reported_or_ends_it),
      cmocka_unit_test(test_alloc_failure_in_refused_client_is_reported_or_ends_it),
      cmocka_unit_test(test_alloc_failure_in_big_message_is_reported_or_ends_it),
      cmocka_unit_test(test_alloc_failure_in_messages_and_timers_is_reported),
      cmocka_unit_test(test_alloc_failure_in_loop_echo_is_reported_or_ends_it),
      cmocka_unit_test(test_alloc_failure_in_loop_echo_of_a_big_message),
      cmocka_unit_test(test_alloc_failure_in_deferred_accept_is_reported_or_ends_it),
      cmocka_unit_test(test_alloc_failure_in_refusal_and_shutdown),
      cmocka_unit_test(test_alloc_failure_behind_proxies_is_reported_or_ends_it),
      cmocka_unit_test(test_allocator_cannot_change_once_used),
  };
  return cmocka_run_group_tests_name("alloc_failure", tests, scarce_set, NULL);
}
