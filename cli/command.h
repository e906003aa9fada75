/*
 * What every command of `ws` shares: its entry in the command table of main.c, the exit
 * statuses that ws(1) promises, and the two ways to complain.
 */
#ifndef WS_CLI_COMMAND_H
#define WS_CLI_COMMAND_H

enum exit_status {
  EXIT_DONE = 0,   /* did what it was asked, a stop by signal included */
  EXIT_FAILED = 1, /* could not: the system refused, or there was nobody to connect to */
  EXIT_USAGE = 2,  /* was asked in a way it does not understand */

  /* Only of the commands that connect. */
  EXIT_TLS = 3,       /* TLS: the certificate was not accepted, by either side, or it failed */
  EXIT_REFUSED = 4,   /* the peer refused the opening handshake, or its answer was wrong */
  EXIT_LOST = 5,      /* an open connection was lost, or closed because of an error */
  EXIT_NO_MESSAGE = 6 /* connect --one: no message came */
};

#if defined(__GNUC__)
#define PRINTF_LIKE(text, first) __attribute__((format(printf, text, first)))
#else
#define PRINTF_LIKE(text, first)
#endif

/* `run` gets the arguments from its own name on, as a main() would. */
struct command {
  const char *name;
  const char *summary;
  int (*run)(int argc, char **argv);
};

int serve_command(int argc, char **argv);
int connect_command(int argc, char **argv);
int ping_command(int argc, char **argv);

/* "COMMAND: sentence" on stderr; `command` is "ws" or "ws serve".  Both return the status to
 * exit with.  usage_error() adds where to read more. */
int failure(const char *command, const char *format, ...) PRINTF_LIKE(2, 3);
int usage_error(const char *command, const char *format, ...) PRINTF_LIKE(2, 3);

/* Print a help text or the version on stdout; fails if stdout does not take it. */
int print_text(const char *command, const char *text);

#endif /* WS_CLI_COMMAND_H */
