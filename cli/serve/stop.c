/*
 * A signal handler may do next to nothing, so it only counts and stops the main thread's loop;
 * run_until_stopped() sees the count, starts the graceful stop and runs the loop again until the
 * pool has ended, or a second signal comes.  SIGHUP and a takeover go the same way.
 */
#include "stop.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../command.h"
#include "notify.h"
#include "sockets.h"
#include "tls.h"

/* RFC 6455 7.4.1 and the registry of RFC 6455 11.7: going away; service restart. */
enum { kStopCode = 1001, kRestartCode = 1012, kStopTimeoutMs = 5000 };

static volatile sig_atomic_t signals_seen;
static volatile sig_atomic_t reload_asked;
static ws_loop *signalled_loop;

static void on_signal(int number) {
  /* Third time: whatever keeps the loop from ending, the system's own way works. */
  if (signals_seen >= 1) signal(number, SIG_DFL);
  signals_seen++;
  ws_loop_stop(signalled_loop);
}

static void on_hangup(int number) {
  (void)number;
  reload_asked = 1;
  ws_loop_stop(signalled_loop);
}

void catch_stop_signals(struct serve *s) {
  struct sigaction action;
  memset(&action, 0, sizeof action);
  signalled_loop = s->loop;
  action.sa_handler = on_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaddset(&action.sa_mask, SIGINT); /* so that the count is not raced for */
  sigaddset(&action.sa_mask, SIGTERM);
  sigaction(SIGINT, &action, NULL);
  sigaction(SIGTERM, &action, NULL);
  /* Only where there is something to load: else a hangup ends the server, as ever. */
  if (s->settings.tls.cert == NULL) return;
  action.sa_handler = on_hangup;
  sigaction(SIGHUP, &action, NULL);
}

static void on_ended(ws_loop *l, void *arg, int cancelled) {
  struct serve *s = arg;
  if (cancelled) return;
  s->stopped = 1;
  ws_loop_stop(l);
}

/* One ends when all do. */
void on_thread_end(ws_loop *l, uint32_t index, void *user) {
  struct serve *s = user;
  (void)l;
  if (index == 0) ws_loop_post(s->loop, on_ended, s);
}

void stop_for_successor(struct serve *s) {
  if (s->stop_code == 0) s->stop_code = kRestartCode;
  ws_loop_stop(s->loop);
}

static int begin_stop(struct serve *s) {
  ws_drain how;
  WS_INIT(&how);
  how.code = (uint16_t)s->stop_code;
  how.spread_ms = s->settings.drain_spread_ms;
  how.timeout_ms = kStopTimeoutMs;
  if (s->stop_code == kRestartCode) how.flags = WS_DRAIN_FINISH;
  if (s->settings.verbosity != QUIET) {
    fprintf(stderr, "ws: stopping, %zu open\n", ws_pool_count(s->pool));
  }
  /* A successor has told systemd that it is the one to watch. */
  if (s->stop_code == kStopCode) notify_stopping();
  sockets_keep(s);
  if (ws_pool_shutdown(s->pool, &how, NULL, NULL) == WS_OK) return EXIT_DONE;
  return failure(SERVE_COMMAND, "cannot stop gracefully: %s", ws_last_detail());
}

int run_until_stopped(struct serve *s) {
  int stopping = 0;
  while (!s->stopped && signals_seen < 2) {
    if (ws_loop_run(s->loop) < 0) {
      return failure(SERVE_COMMAND, "the event loop failed: %s", ws_last_detail());
    }
    if (reload_asked) {
      reload_asked = 0;
      notify_reloading();
      tls_reload(s);
      notify_ready();
    }
    if (signals_seen >= 1 && s->stop_code == 0) s->stop_code = kStopCode;
    if (s->stop_code != 0 && !stopping && !s->stopped) {
      stopping = 1;
      int status = begin_stop(s);
      if (status != EXIT_DONE) return status;
    }
  }
  if (s->stopped && ws_pool_wait(s->pool) < 0) {
    return failure(SERVE_COMMAND, "the event loop failed: %s", ws_last_detail());
  }
  return EXIT_DONE;
}
