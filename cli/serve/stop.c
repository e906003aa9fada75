/*
 * Running and stopping.  A signal handler may do next to nothing, so it only counts and stops
 * the loop; run_until_stopped() sees the count, starts the graceful stop and runs the loop
 * again until that is complete, or a second signal comes.  SIGHUP goes the same way.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "../command.h"
#include "serve.h"
#include "tls.h"

enum { kStopCode = 1001 /* going away, RFC 6455 7.4.1 */, kStopTimeoutMs = 5000 };

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

static void on_stopped(ws_server *server, void *arg) {
  struct serve *s = arg;
  (void)server;
  s->stopped = 1;
  ws_loop_stop(s->loop);
}

int run_until_stopped(struct serve *s) {
  int stopping = 0;
  while (!s->stopped && signals_seen < 2) {
    if (ws_loop_run(s->loop) < 0) {
      return failure(SERVE_COMMAND, "the event loop failed: %s", ws_last_detail());
    }
    if (reload_asked) {
      reload_asked = 0;
      tls_reload(s);
    }
    if (signals_seen >= 1 && !stopping) {
      stopping = 1;
      if (s->settings.verbosity != QUIET) {
        fprintf(stderr, "ws: stopping, %zu open\n", ws_server_count(s->server));
      }
      if (ws_server_shutdown(s->server, kStopCode, kStopTimeoutMs, on_stopped, s) < 0) {
        return failure(SERVE_COMMAND, "cannot stop gracefully: %s", ws_last_detail());
      }
    }
  }
  return EXIT_DONE;
}
