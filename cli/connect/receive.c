/*
 * From the server to stdout, and what becomes of the connection.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../command.h"
#include "../escape.h"
#include "show.h"
#include "talk.h"

/* Above the first the server is not read from, until stdout has taken it down to the second. */
enum { kHoldBytes = 1024 * 1024, kUnholdBytes = 256 * 1024 };

/* Of a binary message nobody asked to see, a terminal gets this much. */
enum { kShownBytes = 256 };

/* The silence that ends the connection is the server's, not that of a stdout that takes no more. */
static void wait_for_silence(struct talk *t) {
  if (t->answered && !t->held && !t->closing) ws_timer_start(t->linger, t->settings.linger_ms);
}

static void hold(struct talk *t) {
  if (t->held || output_queued(&t->output) <= kHoldBytes || t->conn == NULL) return;
  t->held = 1;
  ws_timer_stop(t->linger);
  ws_conn_pause(t->conn);
}

void talk_unhold(struct talk *t) {
  if (!t->held || output_queued(&t->output) > kUnholdBytes) return;
  t->held = 0;
  if (t->conn == NULL) return;
  ws_conn_resume(t->conn);
  wait_for_silence(t);
}

void talk_note(void *user, const char *line) {
  struct talk *t = user;
  if (t->output.interactive && isatty(STDERR_FILENO)) {
    output_lines(&t->output, line, strlen(line));
  } else {
    fprintf(stderr, "%s\n", line);
  }
}

/* "2026-11-22T15:04:05.678Z ", or nothing. */
static size_t timestamp(const struct talk *t, char out[32]) {
  struct timespec now;
  struct tm utc;
  if (!t->settings.timestamps) return 0;
  clock_gettime(CLOCK_REALTIME, &now);
  gmtime_r(&now.tv_sec, &utc);
  size_t len = strftime(out, 32, "%Y-%m-%dT%H:%M:%S", &utc);
  return len + (size_t)snprintf(out + len, 32 - len, ".%03dZ ", (int)(now.tv_nsec / 1000000));
}

/* A line for a program: text as it is, binary in hexadecimal. */
static void write_line(struct talk *t, ws_opcode op, const char *data, size_t len) {
  struct output *o = &t->output;
  char stamp[32];
  output_bytes(o, stamp, timestamp(t, stamp));
  if (op == WS_OP_TEXT) {
    output_bytes(o, data, len);
  } else {
    char part[2 * 512];
    for (size_t i = 0; i < len; i += 512) {
      size_t n = len - i < 512 ? len - i : 512;
      show_hex(part, data + i, n);
      output_bytes(o, part, 2 * n);
    }
  }
  output_bytes(o, "\n", 1);
}

/* For a person: nothing in it steers the terminal. */
static void show_message(struct talk *t, ws_opcode op, const char *data, size_t len) {
  char head[96];
  size_t used = timestamp(t, head);
  size_t shown = len;
  if (t->output.interactive) used += (size_t)snprintf(head + used, sizeof head - used, "< ");
  if (op == WS_OP_BINARY) {
    used += (size_t)snprintf(head + used, sizeof head - used, "(binary, %zu bytes) ", len);
    if (t->settings.form != FORM_HEX && shown > kShownBytes) shown = kShownBytes;
  }
  char *text = malloc(used + kShowGrowth * shown + 4);
  if (text == NULL) {
    t->output.error = ENOMEM;
    return;
  }
  memcpy(text, head, used);
  if (op == WS_OP_TEXT) {
    used += show_text(text + used, data, shown);
  } else {
    show_hex(text + used, data, shown);
    used += 2 * shown;
  }
  if (shown < len) {
    memcpy(text + used, "...", 3);
    used += 3;
  }
  output_lines(&t->output, text, used);
  free(text);
}

static void on_message(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  struct talk *t = user;
  (void)c;
  trace_message(&t->trace, 0, op, len);
  if (t->settings.one && t->got_one) return;
  t->got_one = 1;
  if (t->output.terminal) {
    show_message(t, op, data, len);
  } else if (t->settings.form == FORM_BINARY) {
    output_bytes(&t->output, data, len);
  } else {
    write_line(t, op, data, len);
  }
  if (t->settings.one) {
    talk_close(t, EXIT_DONE);
    return;
  }
  hold(t);
  wait_for_silence(t);
}

static void on_open(ws_conn *c, void *user) {
  struct talk *t = user;
  t->conn = c;
  t->opened = t->ever_opened = 1;
  t->blocked = t->held = t->asked = t->answered = 0;
  trace_open(&t->trace, t->client, c);
  trace_deflate(&t->trace, c, t->settings.compress != COMPRESS_OFF);
  if (t->output.interactive) {
    const char *protocol = ws_conn_subprotocol(c);
    trace_always(&t->trace, "connected to %s%s%s; Ctrl-D ends", ws_client_url(t->client),
                 protocol[0] != '\0' ? ", " : "", protocol);
  }
  if (!t->input.ended) output_prompt(&t->output);
}

static void on_drain(ws_conn *c, void *user) {
  struct talk *t = user;
  (void)c;
  t->blocked = 0; /* connect.c goes on with stdin */
}

static void on_ping(ws_conn *c, const void *data, size_t len, void *user) {
  struct talk *t = user;
  (void)c;
  (void)data;
  trace_message(&t->trace, 0, WS_OP_PING, len);
}

static void on_pong(ws_conn *c, const void *data, size_t len, void *user) {
  struct talk *t = user;
  (void)c;
  trace_message(&t->trace, 0, WS_OP_PONG, len);
  if (!t->asked || t->answered || !is_end_mark(data, len)) return;
  t->answered = 1;
  wait_for_silence(t);
}

void talk_on_linger(ws_timer *timer, void *user) {
  struct talk *t = user;
  (void)timer;
  talk_close(t, EXIT_DONE);
}

static void on_close(ws_conn *c, const ws_close_info *how, void *user) {
  struct talk *t = user;
  (void)how; /* on_down has it too */
  trace_deflated(&t->trace, c);
  t->conn = NULL;
  t->held = 0;
  ws_timer_stop(t->linger);
  output_no_prompt(&t->output);
}

const ws_handlers talk_handlers = {
    .size = sizeof(ws_handlers),
    .on_open = on_open,
    .on_message = on_message,
    .on_drain = on_drain,
    .on_ping = on_ping,
    .on_pong = on_pong,
    .on_close = on_close,
};

void talk_on_attempt(ws_client *cl, uint32_t number, void *user) {
  struct talk *t = user;
  t->opened = 0;
  trace_attempt(&t->trace, cl, number);
}

/* How the last connection ended decides, unless a complaint was made already. */
int talk_status(struct talk *t, const ws_close_info *why) {
  if (t->status != EXIT_DONE || (t->settings.one && t->got_one)) return t->status;
  int status = t->ever_opened ? EXIT_DONE : EXIT_FAILED;
  if (!t->stopped && why != NULL) {
    /* Without a Close of the peer (1006), ours was the first. */
    int by_us = t->closing && (!(why->flags & WS_CLOSE_BY_PEER) || why->code == 1006);
    status = client_status(why, t->opened, by_us);
    if (status != EXIT_DONE) {
      client_complain(&t->settings.client, &t->trace, t->client, why, t->opened);
    } else if (t->output.interactive && !t->closing) {
      trace_always(&t->trace, "closed by the server");
    }
  }
  if (status == EXIT_DONE && t->settings.one) {
    trace_always(&t->trace, "%s: no message came", CONNECT_COMMAND);
    status = EXIT_NO_MESSAGE;
  }
  return status;
}

void talk_on_down(ws_client *cl, const ws_close_info *why, uint32_t retry_in_ms, void *user) {
  struct talk *t = user;
  trace_end(&t->trace, cl, why, t->opened);
  if (retry_in_ms == WS_NEVER) {
    t->done = 1;
    t->status = talk_status(t, why);
    return;
  }
  char detail[300];
  escape_text(detail, sizeof detail, why->detail, strlen(why->detail));
  trace_always(&t->trace, "%s: %s; again in %" PRIu32 ".%" PRIu32 " s", CONNECT_COMMAND,
               detail[0] != '\0' ? detail : "closed by the server", retry_in_ms / 1000,
               retry_in_ms % 1000 / 100);
}
