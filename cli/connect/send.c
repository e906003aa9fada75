/*
 * From stdin to messages.
 */
#include <inttypes.h>
#include <string.h>

#include "../command.h"
#include "show.h"
#include "talk.h"

/* The payload of the ping behind the end of stdin; the library's own pings have another. */
static const char end_mark[] = "ws connect: end of input";

int is_end_mark(const void *data, size_t len) {
  return len == sizeof end_mark - 1 && memcmp(data, end_mark, len) == 0;
}

void talk_close(struct talk *t, int status) {
  if (t->status == EXIT_DONE) t->status = status;
  if (t->closing) return;
  t->closing = 1;
  output_no_prompt(&t->output);
  ws_timer_stop(t->linger);
  if (!t->done) ws_client_close(t->client, 1000, NULL);
}

/* Input that cannot be sent.  A person sees it and types another line; a script must not go on
 * with a part missing. */
static void bad_input(struct talk *t, const char *what) {
  if (t->output.interactive) {
    trace_always(&t->trace, "not sent: %s", what);
    return;
  }
  trace_always(&t->trace, "%s: standard input, line %" PRIu64 ": %s", CONNECT_COMMAND,
               t->input.lines, what);
  talk_close(t, EXIT_USAGE);
}

/* With --compress, messages up to this long are compressed even where that alone does not make one
 * smaller: it is the later ones, which can refer to it, that gain. */
enum { kAlwaysCompressedBytes = 255 };

static uint32_t send_flags(const struct talk *t, size_t len) {
  int always = t->settings.compress == COMPRESS_ON && len > 0 && len <= kAlwaysCompressedBytes;
  return always ? WS_SEND_LATER | WS_SEND_DEFLATE : WS_SEND_LATER;
}

static void send_message(struct talk *t, ws_opcode op, const char *data, size_t len) {
  int rc = ws_conn_send(t->conn, op, data, len, send_flags(t, len));
  if (rc == WS_ERR_UTF8) {
    bad_input(t, "the text is not UTF-8; see --binary and --hex");
  } else if (rc >= 0) {
    trace_message(&t->trace, 1, op, len);
    t->blocked = rc == WS_BACKPRESSURE;
  } else if (rc != WS_ERR_CLOSED) { /* else on_close will tell */
    trace_always(&t->trace, "%s: cannot send: %s", CONNECT_COMMAND, ws_last_detail());
    talk_close(t, EXIT_LOST);
  }
}

static void send_line(struct talk *t, char *line, size_t len) {
  if (t->settings.form != FORM_HEX) {
    send_message(t, WS_OP_TEXT, line, len);
    return;
  }
  ptrdiff_t bytes = read_hex(line, len);
  if (bytes < 0) {
    bad_input(t, "not hexadecimal digits, two for each byte");
  } else {
    send_message(t, WS_OP_BINARY, line, (size_t)bytes);
  }
}

/* Returns 0 when there is nothing left to send. */
static int send_next(struct talk *t) {
  char *line;
  size_t len;
  enum input_result result;
  int bytes = t->settings.form == FORM_BINARY;
  result = bytes ? input_all(&t->input, &line, &len) : input_line(&t->input, &line, &len);
  if (result == INPUT_NONE) return 0;
  t->output.prompt = 0; /* the terminal went to the next line with it */
  if (result == INPUT_TOO_LONG) {
    bad_input(t, "the line is too long; see --max-line");
  } else if (bytes) {
    send_message(t, WS_OP_BINARY, line, len);
  } else {
    send_line(t, line, len);
  }
  return 1;
}

void talk_send(struct talk *t) {
  while (t->conn != NULL && !t->blocked && !t->closing && send_next(t)) continue;
  if (t->conn == NULL || t->closing) return;
  ws_conn_flush(t->conn);
  if (!t->output.prompt && !t->input.ended) output_prompt(&t->output);
  if (!t->input.ended || t->blocked || t->asked) return;
  t->asked = 1;
  output_no_prompt(&t->output);
  if (t->settings.linger_ms == WS_NEVER) return;
  ws_conn_ping(t->conn, end_mark, sizeof end_mark - 1);
}
