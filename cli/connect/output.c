/*
 * Standard output.
 *
 * It is shared with other processes (a shell has the same terminal), so it is not made
 * non-blocking; instead no more is written at a time than poll(2) promises room for.
 */
#include "output.h"

#include <errno.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <termios.h>
#include <unistd.h>

#include "show.h"

/* A pipe that is writable takes PIPE_BUF (POSIX: at least 512) without blocking, a terminal less.
 */
enum { kPipeChunk = 4096, kTerminalChunk = 256 };

static const char prompt[] = "> ";

/* A program that wraps another's terminal (rlwrap, a window opened for one command) makes it the
 * leader of its session, and edits or reshows the line itself: it must not be helped. */
static int can_insert(void) {
  const char *term = getenv("TERM");
  return term != NULL && *term != '\0' && strcmp(term, "dumb") != 0 && getsid(0) != getpid();
}

void output_init(struct output *o) {
  memset(o, 0, sizeof *o);
  o->terminal = isatty(STDOUT_FILENO);
  o->interactive = o->terminal && isatty(STDIN_FILENO);
  o->above = o->interactive && can_insert();
}

void output_clear(struct output *o) {
  free(o->data);
  o->data = NULL;
}

size_t output_queued(const struct output *o) { return o->end - o->start; }

static int make_room(struct output *o, size_t len) {
  if (o->start > 0) {
    memmove(o->data, o->data + o->start, o->end - o->start);
    o->end -= o->start;
    o->start = 0;
  }
  if (o->room - o->end >= len) return 1;
  size_t room = 2 * o->room < o->end + len ? o->end + len : 2 * o->room;
  char *data = realloc(o->data, room);
  if (data == NULL) return 0;
  o->data = data;
  o->room = room;
  return 1;
}

void output_bytes(struct output *o, const char *data, size_t len) {
  if (o->error != 0 || len == 0) return;
  if (o->room - o->end < len && !make_room(o, len)) {
    o->error = ENOMEM;
    return;
  }
  memcpy(o->data + o->end, data, len);
  o->end += len;
}

static void output_string(struct output *o, const char *text) {
  output_bytes(o, text, strlen(text));
}

/* How many rows the lines will take, or 0 if that cannot be told. */
static size_t rows_of(const char *text, size_t len) {
  struct winsize size;
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) < 0 || size.ws_col == 0) return 0;
  size_t rows = 0;
  for (const char *at = text;;) {
    const char *end = memchr(at, '\n', len - (size_t)(at - text));
    size_t width = show_width(at, end != NULL ? (size_t)(end - at) : len - (size_t)(at - text));
    rows += width == 0 ? 1 : (width + size.ws_col - 1) / size.ws_col;
    if (end == NULL) break;
    at = end + 1;
  }
  return rows < size.ws_row ? rows : 0;
}

/* Scroll as far as needed, insert empty rows where the prompt is, which moves the prompt and what
 * was typed behind it down, and write there. */
static void insert_above(struct output *o, const char *text, size_t len, size_t rows) {
  char move[64];
  output_string(o, "\0337");
  for (size_t i = 0; i < rows; i++) output_string(o, "\n");
  snprintf(move, sizeof move, "\r\033[%zuA\033[%zuL", rows, rows);
  output_string(o, move);
  output_bytes(o, text, len);
  snprintf(move, sizeof move, "\0338\033[%zuB", rows);
  output_string(o, move);
}

void output_lines(struct output *o, const char *text, size_t len) {
  size_t rows = o->prompt && o->above ? rows_of(text, len) : 0;
  if (rows > 0) {
    insert_above(o, text, len, rows);
    return;
  }
  if (o->prompt) output_string(o, "\r\033[K");
  output_bytes(o, text, len);
  output_string(o, "\n");
  if (o->prompt) output_string(o, prompt);
}

void output_prompt(struct output *o) {
  if (!o->interactive) return;
  o->prompt = 1;
  output_string(o, prompt);
}

void output_no_prompt(struct output *o) {
  if (o->prompt) output_string(o, "\r\033[K");
  o->prompt = 0;
}

static int writable(void) {
  struct pollfd p = {STDOUT_FILENO, POLLOUT, 0};
  return poll(&p, 1, 0) == 1;
}

void output_flush(struct output *o) {
  size_t chunk = o->terminal ? kTerminalChunk : kPipeChunk;
  while (o->error == 0 && o->start < o->end && writable()) {
    size_t len = o->end - o->start < chunk ? o->end - o->start : chunk;
    ssize_t put = write(STDOUT_FILENO, o->data + o->start, len);
    if (put > 0) {
      o->start += (size_t)put;
    } else if (put < 0 && errno == EINTR) {
      return; /* a signal is to be looked at first */
    } else if (put < 0 && errno != EAGAIN && errno != EWOULDBLOCK) {
      o->error = errno;
    }
  }
  if (o->start == o->end) o->start = o->end = 0;
}
