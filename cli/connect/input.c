/*
 * Standard input.
 */
#include "input.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { kReadBytes = 64 * 1024 };

void input_init(struct input *in, uint64_t max_line) {
  memset(in, 0, sizeof *in);
  in->max_line = (size_t)max_line;
}

void input_clear(struct input *in) {
  free(in->data);
  in->data = NULL;
}

/* Room for one read behind `end`.  What is not yet taken is at most one unfinished line, or else
 * the caller would not read. */
static int make_room(struct input *in) {
  if (in->start > 0) {
    memmove(in->data, in->data + in->start, in->end - in->start);
    in->end -= in->start;
    in->start = 0;
  }
  if (in->room - in->end >= kReadBytes) return 1;
  size_t room = in->end + kReadBytes;
  if (room < 2 * in->room) room = 2 * in->room;
  char *data = realloc(in->data, room);
  if (data == NULL) return 0;
  in->data = data;
  in->room = room;
  return 1;
}

int input_read(struct input *in) {
  if (!make_room(in)) return ENOMEM;
  ssize_t got = read(STDIN_FILENO, in->data + in->end, kReadBytes);
  if (got > 0) {
    in->end += (size_t)got;
    return 0;
  }
  if (got < 0 && (errno == EINTR || errno == EAGAIN || errno == EWOULDBLOCK)) return 0;
  in->ended = 1;
  return got == 0 ? 0 : errno;
}

static void take(struct input *in, size_t bytes) {
  in->start += bytes;
  in->searched = 0;
}

enum input_result input_line(struct input *in, char **line, size_t *len) {
  if (in->data == NULL) return INPUT_NONE;
  char *from = in->data + in->start;
  size_t have = in->end - in->start;
  char *newline = NULL;
  if (have > in->searched) newline = memchr(from + in->searched, '\n', have - in->searched);
  size_t length = newline != NULL ? (size_t)(newline - from) : have;
  in->searched = have;
  if (newline == NULL && in->skipping) {
    take(in, have);
    return INPUT_NONE;
  }
  if (newline == NULL && length <= in->max_line && (!in->ended || have == 0)) return INPUT_NONE;
  take(in, newline != NULL ? length + 1 : length);
  if (in->skipping) {
    in->skipping = 0; /* this was its end */
    return input_line(in, line, len);
  }
  in->lines++;
  if (length > in->max_line) {
    in->skipping = newline == NULL;
    return INPUT_TOO_LONG;
  }
  *line = from;
  *len = length;
  return INPUT_TAKEN;
}

enum input_result input_all(struct input *in, char **data, size_t *len) {
  if (in->start == in->end) return INPUT_NONE;
  *data = in->data + in->start;
  *len = in->end - in->start;
  take(in, *len);
  return INPUT_TAKEN;
}
