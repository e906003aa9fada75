/*
 * Standard output, as a queue: a reader that is slow, or gone, does not keep the connection from
 * being served.  On a terminal it also knows about the prompt, and writes above it.
 */
#ifndef WS_CLI_CONNECT_OUTPUT_H
#define WS_CLI_CONNECT_OUTPUT_H

#include <stddef.h>

struct output {
  char *data;
  size_t room, start, end;
  int terminal;    /* stdout is one */
  int interactive; /* and stdin too: there is a prompt */
  int above;       /* the terminal can insert lines above the one being typed */
  int prompt;      /* it is shown */
  int error;       /* the system's reason why nothing more can be written; 0 = none */
};

void output_init(struct output *o);
void output_clear(struct output *o);

size_t output_queued(const struct output *o);

/* Queue bytes.  Nothing is queued any more after an error, ENOMEM among them. */
void output_bytes(struct output *o, const char *data, size_t len);

/* Queue lines of printable text, for a terminal: above the prompt if there is one.  `text` has no
 * newline at its end. */
void output_lines(struct output *o, const char *text, size_t len);

/* Show the prompt (again, after a line was typed), or take it away. */
void output_prompt(struct output *o);
void output_no_prompt(struct output *o);

/* Write as much as goes without waiting. */
void output_flush(struct output *o);

#endif /* WS_CLI_CONNECT_OUTPUT_H */
