/*
 * Standard input, cut into lines or taken as it comes.  It is read only when the caller asks, once
 * each time, so that a slow connection slows down whoever writes to it.
 */
#ifndef WS_CLI_CONNECT_INPUT_H
#define WS_CLI_CONNECT_INPUT_H

#include <stddef.h>
#include <stdint.h>

/* Bound: one line of `max_line` bytes, and one read beyond it. */
struct input {
  char *data;
  size_t room, start, end; /* start to end: not yet taken */
  size_t searched;         /* from start: no newline there */
  size_t max_line;
  uint64_t lines; /* taken so far */
  int ended;      /* nothing more will be read */
  int skipping;   /* the rest of a line that was too long */
};

enum input_result { INPUT_NONE, INPUT_TAKEN, INPUT_TOO_LONG };

void input_init(struct input *in, uint64_t max_line);
void input_clear(struct input *in);

/* One read(2); sets `ended` at the end.  Returns 0, or the system's reason why it failed. */
int input_read(struct input *in);

/* The next line without its newline; the last one may have none.  INPUT_NONE: read first, or,
 * when `ended`, there is none.  INPUT_TOO_LONG: the line is dropped.  The bytes are valid until
 * the next call. */
enum input_result input_line(struct input *in, char **line, size_t *len);

/* All that was read. */
enum input_result input_all(struct input *in, char **data, size_t *len);

#endif /* WS_CLI_CONNECT_INPUT_H */
