/*
 * Reading a command's options, one at a time, from a table: `--name VALUE`, `--name=VALUE`,
 * `-n VALUE`, `-nVALUE`, and flags in a row (`-qv`).  What cannot be read is complained about
 * here, in one wording for all commands.
 */
#ifndef WS_CLI_OPTIONS_H
#define WS_CLI_OPTIONS_H

#include <stddef.h>

struct option {
  char letter;      /* 0 = has no short form */
  const char *name; /* without the dashes */
  int takes_value;
};

struct option_reader {
  const char *command; /* for complaints, "ws serve" */
  const struct option *table;
  size_t count;
  int argc;
  char **argv;
  int next;          /* argument to look at; start at 1 */
  const char *flags; /* rest of a row of short options; start at NULL */
};

enum { OPTIONS_END = -1, OPTIONS_WRONG = -2 };

/* The index in the table of the next option, with its value or NULL in *value; OPTIONS_END
 * after the last; OPTIONS_WRONG after a complaint.  Commands take no operands so far: one is
 * wrong too. */
int options_next(struct option_reader *r, const char **value);

#endif /* WS_CLI_OPTIONS_H */
