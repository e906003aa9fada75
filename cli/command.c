/*
 * Complaints and answers of a command, in one form for all of them.
 */
#include "command.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static void complain(const char *command, const char *format, va_list args) {
  fprintf(stderr, "%s: ", command);
  vfprintf(stderr, format, args);
  fputc('\n', stderr);
}

int failure(const char *command, const char *format, ...) {
  va_list args;
  va_start(args, format);
  complain(command, format, args);
  va_end(args);
  return EXIT_FAILED;
}

int usage_error(const char *command, const char *format, ...) {
  va_list args;
  va_start(args, format);
  complain(command, format, args);
  va_end(args);
  fprintf(stderr, "Try '%s --help'.\n", command);
  return EXIT_USAGE;
}

int print_text(const char *command, const char *text) {
  if (fputs(text, stdout) == EOF || fflush(stdout) == EOF) {
    return failure(command, "cannot write to standard output: %s", strerror(errno));
  }
  return EXIT_DONE;
}
