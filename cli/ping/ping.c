/*
 * `ws ping`: round trips of ping frames (RFC 6455 5.5.2).
 *
 * A server may answer only the latest of several pings (RFC 6455 5.5.3), so each is numbered.  The
 * time is taken here, right before a ping is written and when its pong is handed over.
 */
#include <inttypes.h>
#include <math.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "../client/client.h"
#include "../client/signals.h"
#include "../command.h"
#include "settings.h"

/* Pings under way at a time that can be told apart; older ones count as lost. */
enum { kUnderWay = 1024 };

/* Nothing is under way that a longer wait would save. */
enum { kCloseTimeoutMs = 1000 };

struct flight {
  uint32_t seq;
  int flying;
  uint64_t sent_us;
};

struct ping {
  struct ping_settings settings;
  struct trace trace;
  ws_loop *loop;
  ws_client *client;
  ws_conn *conn; /* borrowed; NULL unless open */
  ws_timer *next, *late;
  struct flight flights[kUnderWay];
  uint32_t sent, received;
  uint32_t settled; /* pings up to this number were answered or given up */
  uint64_t started_us;
  double min, max, sum, squares; /* of the round trips, in ms */
  int opened, closing, done;
  int status;
};

/* Ours, apart from the library's own pings. */
static const char payload_format[] = "ws ping %" PRIu32;

static uint64_t now_us(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static struct flight *flight_of(struct ping *p, uint32_t seq) {
  return &p->flights[seq % kUnderWay];
}

static void end(struct ping *p) {
  if (p->closing) return;
  p->closing = 1;
  ws_timer_stop(p->next);
  ws_timer_stop(p->late);
  if (!p->done) ws_client_close(p->client, 1000, NULL);
}

static void give_up(struct ping *p, uint32_t seq) {
  struct flight *f = flight_of(p, seq);
  if (!f->flying || f->seq != seq) return;
  f->flying = 0;
  printf("no pong for seq=%" PRIu32 "\n", seq);
}

/* Go over the oldest pings under way, and see to it that this is called again when the next of
 * them is late. */
static void settle(struct ping *p) {
  uint64_t now = now_us();
  uint64_t wait_us = (uint64_t)p->settings.wait_ms * 1000;
  while (p->settled < p->sent) {
    struct flight *f = flight_of(p, p->settled + 1);
    if (f->flying && f->seq == p->settled + 1) {
      uint64_t age = now - f->sent_us;
      if (age < wait_us) {
        ws_timer_start(p->late, (uint32_t)((wait_us - age) / 1000) + 1);
        return;
      }
      give_up(p, f->seq);
    }
    p->settled++;
  }
  ws_timer_stop(p->late);
  if (p->settings.count != 0 && p->sent == p->settings.count) end(p);
}

static void on_late(ws_timer *timer, void *user) {
  (void)timer;
  settle(user);
}

static void on_next(ws_timer *timer, void *user) {
  struct ping *p = user;
  char payload[32];
  if (p->conn == NULL || p->closing) return;
  struct flight *f = flight_of(p, p->sent + 1);
  if (f->flying) give_up(p, f->seq);
  *f = (struct flight){++p->sent, 1, now_us()};
  int len = snprintf(payload, sizeof payload, payload_format, f->seq);
  trace_message(&p->trace, 1, WS_OP_PING, (size_t)len);
  ws_conn_ping(p->conn, payload, (size_t)len); /* if that fails, on_close tells why */
  ws_conn_flush(p->conn);
  if (p->settings.count == 0 || p->sent < p->settings.count) {
    ws_timer_start(timer, p->settings.interval_ms);
  }
  settle(p);
}

static void count_pong(struct ping *p, const struct flight *f, uint64_t now) {
  double ms = (double)(now - f->sent_us) / 1000;
  p->received++;
  p->sum += ms;
  p->squares += ms * ms;
  if (p->received == 1 || ms < p->min) p->min = ms;
  if (ms > p->max) p->max = ms;
  printf("pong from %s seq=%" PRIu32 " time=%.2f ms\n", ws_conn_peer(p->conn), f->seq, ms);
  fflush(stdout);
}

static void on_pong(ws_conn *c, const void *data, size_t len, void *user) {
  struct ping *p = user;
  uint64_t now = now_us();
  char payload[32];
  (void)c;
  trace_message(&p->trace, 0, WS_OP_PONG, len);
  for (uint32_t seq = p->sent; seq > p->settled; seq--) {
    struct flight *f = flight_of(p, seq);
    size_t wanted = (size_t)snprintf(payload, sizeof payload, payload_format, seq);
    if (wanted != len || memcmp(payload, data, len) != 0 || !f->flying || f->seq != seq) continue;
    f->flying = 0;
    count_pong(p, f, now);
    settle(p);
    return;
  }
}

static void on_message(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  struct ping *p = user;
  (void)c;
  (void)data;
  trace_message(&p->trace, 0, op, len);
}

static void on_open(ws_conn *c, void *user) {
  struct ping *p = user;
  p->conn = c;
  p->opened = 1;
  p->started_us = now_us();
  trace_open(&p->trace, p->client, c);
  printf("PING %s (%s)\n", ws_client_url(p->client), ws_conn_peer(c));
  fflush(stdout);
  ws_timer_start(p->next, 0);
}

static void on_close(ws_conn *c, const ws_close_info *how, void *user) {
  struct ping *p = user;
  (void)c;
  (void)how;
  p->conn = NULL;
}

static void on_attempt(ws_client *cl, uint32_t number, void *user) {
  struct ping *p = user;
  trace_attempt(&p->trace, cl, number);
}

static void on_down(ws_client *cl, const ws_close_info *why, uint32_t retry_in_ms, void *user) {
  struct ping *p = user;
  (void)retry_in_ms;
  p->done = 1;
  trace_end(&p->trace, cl, why, p->opened);
  if (p->closing) return;
  p->status = client_status(why, p->opened, 0);
  if (p->opened && p->status == EXIT_DONE) p->status = EXIT_LOST; /* politely, but too early */
  client_complain(&p->settings.client, &p->trace, cl, why, p->opened);
}

static void print_statistics(const struct ping *p) {
  uint32_t lost = p->sent - p->received;
  unsigned percent = p->sent == 0 ? 0 : (unsigned)((uint64_t)lost * 100 / p->sent);
  printf("\n--- %s ping statistics ---\n", ws_client_url(p->client));
  printf("%" PRIu32 " pings, %" PRIu32 " pongs, %u%% lost, time %" PRIu64 " ms\n", p->sent,
         p->received, percent, (now_us() - p->started_us) / 1000);
  if (p->received == 0) return;
  double mean = p->sum / p->received;
  double variance = p->squares / p->received - mean * mean;
  printf("rtt min/avg/max/mdev = %.2f/%.2f/%.2f/%.2f ms\n", p->min, mean, p->max,
         variance > 0 ? sqrt(variance) : 0.0);
}

static int start(struct ping *p) {
  static const ws_handlers handlers = {
      .size = sizeof(ws_handlers),
      .on_open = on_open,
      .on_message = on_message,
      .on_pong = on_pong,
      .on_close = on_close,
  };
  ws_conn_config conn;
  ws_client_config cfg;
  int status = client_make_loop(&p->settings.client, &p->trace, &p->loop);
  if (status != EXIT_DONE) return status;
  if (ws_timer_new(p->loop, on_next, p, &p->next) < 0 ||
      ws_timer_new(p->loop, on_late, p, &p->late) < 0) {
    return failure(PING_COMMAND, "cannot make a timer: %s", ws_last_detail());
  }
  WS_INIT(&conn);
  conn.ping_interval_ms = WS_NEVER; /* we ping ourselves, and see who does not answer */
  conn.idle_timeout_ms = WS_NEVER;
  conn.close_timeout_ms = kCloseTimeoutMs;
  conn.deflate = WS_DEFLATE_OFF; /* no message is sent, and those that come are not looked at */
  WS_INIT(&cfg);
  cfg.handlers = &handlers;
  cfg.user = p;
  cfg.on_attempt = on_attempt;
  cfg.on_down = on_down;
  return client_start(&p->settings.client, p->loop, &cfg, &conn, &p->client);
}

/* Until the connection has ended, or a second signal came. */
static int run(struct ping *p, int signals, int loop_fd) {
  while (!p->done) {
    struct pollfd fds[] = {{signals, POLLIN, 0}, {loop_fd, POLLIN, 0}};
    poll(fds, 2, -1);
    int count = signals_count();
    if (count >= 1) end(p);
    if (count >= 2) break;
    if (fds[1].revents != 0 && ws_loop_dispatch(p->loop, 0) < 0) {
      return failure(PING_COMMAND, "the event loop failed: %s", ws_last_detail());
    }
    if (fflush(stdout) == EOF) end(p); /* nobody reads it any more */
  }
  if (p->opened) print_statistics(p);
  if (p->status == EXIT_DONE && p->received == 0) p->status = EXIT_FAILED;
  return p->status;
}

static int connect_and_run(struct ping *p) {
  int signals = signals_catch();
  if (signals < 0) return failure(PING_COMMAND, "cannot make a pipe");
  int status = start(p);
  if (status != EXIT_DONE) return status;
  int loop_fd = ws_loop_fd(p->loop);
  if (loop_fd < 0) return failure(PING_COMMAND, "no event loop: %s", ws_last_detail());
  return run(p, signals, loop_fd);
}

int ping_command(int argc, char **argv) {
  static struct ping p; /* static: large, and callbacks point to it */
  int status = ping_settings_read(&p.settings, argc, argv);
  if (status == SETTINGS_READ) {
    standard_streams_open();
    p.trace.on = p.settings.client.verbose;
    p.trace.settings = &p.settings.client;
    status = connect_and_run(&p);
    ws_client_free(p.client);
    ws_loop_free(p.loop);
  }
  client_settings_clear(&p.settings.client);
  return status;
}
