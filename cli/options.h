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
  int takes_value;  /* 0, 1, or MAYBE_VALUE */
};

/* The value may be left out, and is only read from `--name=VALUE`: the next argument is never
 * taken for it. */
enum { MAYBE_VALUE = 2 };

struct option_reader {
  const char *command; /* for complaints, "ws serve" */
  const struct option *table;
  size_t count;
  int argc;
  char **argv;
  int next;          /* argument to look at; start at 1 */
  const char *flags; /* rest of a row of short options; start at NULL */
  int operands;      /* how many arguments that are no options may still come */
  int options_over;  /* `--` was there; start at 0 */
};

enum { OPTIONS_END = -1, OPTIONS_WRONG = -2 };

/* The index in the table of the next option, with its value or NULL in *value, or `count` for an
 * operand, which is then the value; OPTIONS_END after the last; OPTIONS_WRONG after a complaint.
 * Operands and options may come in any order. */
int options_next(struct option_reader *r, const char **value);

/* What the readers of a command's settings return when the command is to go on; else they return
 * the status to exit with at once (help shown, or a complaint made). */
enum { SETTINGS_READ = -1 };

#endif /* WS_CLI_OPTIONS_H */
