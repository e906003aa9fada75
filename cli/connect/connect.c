/*
 * `ws connect`: stdin and stdout as the two ends of a WebSocket connection.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "../client/signals.h"
#include "../command.h"
#include "talk.h"

/* Room for what one read of stdin can add to a queue that is nearly at its high mark. */
enum { kSendRoomBytes = 1024 * 1024 };

/* --compress asks for few bytes, whatever the memory and the CPU time: there is one connection. */
enum { kCompressLevel = 6, kCompressWindowBits = 15, kCompressMemLevel = 8 };

static void fill_compression(const struct connect_settings *s, ws_conn_config *conn) {
  switch (s->compress) {
    case COMPRESS_ON:
      conn->deflate = WS_DEFLATE_DEDICATED;
      conn->deflate_level = kCompressLevel;
      conn->deflate_window_bits = kCompressWindowBits;
      conn->deflate_mem_level = kCompressMemLevel;
      break;
    case COMPRESS_OFF: conn->deflate = WS_DEFLATE_OFF; break;
    default: break;
  }
}

static void fill_conn_config(const struct connect_settings *s, ws_conn_config *conn) {
  WS_INIT(conn);
  conn->max_message_bytes = s->max_message_bytes;
  conn->send_limit_bytes = s->max_line_bytes + kSendRoomBytes;
  if (s->ping_given) {
    conn->ping_interval_ms = s->ping_ms == 0 ? WS_NEVER : s->ping_ms;
    conn->idle_timeout_ms = s->ping_ms == 0 ? WS_NEVER : 2 * s->ping_ms;
  }
  fill_compression(s, conn);
}

static int start(struct talk *t) {
  ws_conn_config conn;
  ws_client_config cfg;
  int status = client_make_loop(&t->settings.client, &t->trace, &t->loop);
  if (status != EXIT_DONE) return status;
  if (ws_timer_new(t->loop, talk_on_linger, t, &t->linger) < 0) {
    return failure(CONNECT_COMMAND, "cannot make a timer: %s", ws_last_detail());
  }
  fill_conn_config(&t->settings, &conn);
  WS_INIT(&cfg);
  cfg.handlers = &talk_handlers;
  cfg.user = t;
  cfg.on_attempt = talk_on_attempt;
  cfg.on_down = talk_on_down;
  if (t->settings.reconnect) cfg.retry_count = WS_NEVER;
  return client_start(&t->settings.client, t->loop, &cfg, &conn, &t->client);
}

/* Standard input is not even looked at while nothing of it can be sent. */
static int wants_input(const struct talk *t) {
  return t->conn != NULL && !t->blocked && !t->closing && !t->input.ended;
}

static void read_input(struct talk *t) {
  int reason = input_read(&t->input);
  if (reason == 0) return;
  trace_always(&t->trace, "%s: cannot read standard input: %s", CONNECT_COMMAND, strerror(reason));
  talk_close(t, EXIT_FAILED);
}

/* Whoever read our output may have had enough (`| head`), which is no failure. */
static void lose_output(struct talk *t) {
  if (t->output_lost) return;
  t->output_lost = 1;
  if (t->output.error == EPIPE) {
    t->stopped = 1;
    talk_close(t, EXIT_DONE);
    return;
  }
  fprintf(stderr, "%s: cannot write to standard output: %s\n", CONNECT_COMMAND,
          strerror(t->output.error));
  talk_close(t, EXIT_FAILED);
}

/* Returns 0 to end at once. */
static int heed_signals(struct talk *t) {
  int count = signals_count();
  if (count == 0) return 1;
  t->stopped = 1;
  talk_close(t, EXIT_DONE);
  return count < 2;
}

static int run(struct talk *t, int signals, int loop_fd) {
  while (!t->done || (t->output.error == 0 && output_queued(&t->output) > 0)) {
    short out = output_queued(&t->output) > 0 ? POLLOUT : 0;
    struct pollfd fds[] = {
        {signals, POLLIN, 0},
        {loop_fd, POLLIN, 0},
        {t->output.error == 0 ? STDOUT_FILENO : -1, out, 0}, /* that its reader went, always */
        {wants_input(t) ? STDIN_FILENO : -1, POLLIN, 0},
    };
    if (poll(fds, sizeof fds / sizeof fds[0], -1) < 0) {
      if (errno == EINTR) continue;
      return failure(CONNECT_COMMAND, "cannot wait: %s", strerror(errno));
    }
    if (fds[0].revents != 0 && !heed_signals(t)) return talk_status(t, NULL);
    /* Before what the server sent: a line that was typed has left the prompt behind. */
    if (fds[3].revents != 0 && wants_input(t)) read_input(t);
    talk_send(t);
    if (fds[1].revents != 0 && ws_loop_dispatch(t->loop, 0) < 0) {
      return failure(CONNECT_COMMAND, "the event loop failed: %s", ws_last_detail());
    }
    talk_send(t); /* on_open or on_drain may have been called */
    if (fds[2].revents & (POLLERR | POLLHUP | POLLNVAL)) t->output.error = EPIPE;
    output_flush(&t->output);
    talk_unhold(t);
    if (t->output.error != 0) lose_output(t);
  }
  return t->status;
}

static int connect_and_run(struct talk *t) {
  int signals = signals_catch();
  if (signals < 0) return failure(CONNECT_COMMAND, "cannot make a pipe: %s", strerror(errno));
  int status = start(t);
  if (status != EXIT_DONE) return status;
  int loop_fd = ws_loop_fd(t->loop);
  if (loop_fd < 0) return failure(CONNECT_COMMAND, "no event loop: %s", ws_last_detail());
  return run(t, signals, loop_fd);
}

int connect_command(int argc, char **argv) {
  static struct talk t; /* static: large, and callbacks point to it */
  int status = connect_settings_read(&t.settings, argc, argv);
  if (status == SETTINGS_READ) {
    standard_streams_open();
    input_init(&t.input, t.settings.max_line_bytes);
    output_init(&t.output);
    t.trace.on = t.settings.client.verbose;
    t.trace.settings = &t.settings.client;
    t.trace.write = talk_note;
    t.trace.user = &t;
    status = connect_and_run(&t);
    ws_client_free(t.client);
    ws_loop_free(t.loop);
    output_flush(&t.output);
    input_clear(&t.input);
    output_clear(&t.output);
  }
  connect_settings_clear(&t.settings);
  return status;
}
