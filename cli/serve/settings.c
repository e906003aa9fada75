/*
 * The option table of `ws serve` and what each option does to the settings.
 */
#include "settings.h"

#include <string.h>

#include "../command.h"
#include "../options.h"

static const char help[] =
    "Usage: ws serve [OPTION]...\n"
    "\n"
    "Run a WebSocket server until it is interrupted.\n"
    "\n"
    "Where:\n"
    "  -l, --listen HOST:PORT   listen there [127.0.0.1:9001]; [::1]:9001 is IPv6,\n"
    "                           :9001 all interfaces, port 0 any free one\n"
    "  -l, --listen unix:PATH   listen on a unix socket; unix:@NAME is abstract\n"
    "      --origin ORIGIN      let pages of ORIGIN connect (https://example.com,\n"
    "                           * for any) instead of only this server's own\n"
    "\n"
    "What:\n"
    "      --echo               send each message back to its sender (the default)\n"
    "      --broadcast          send each message to everyone but its sender\n"
    "      --chat               a chat room, with a web page at /\n"
    "      --static DIR         also serve the files in DIR over HTTP\n"
    "\n"
    "Limits:\n"
    "      --max-message BYTES  longest message, such as 64K [16M; 4K with --chat]\n"
    "      --idle SECONDS       drop a connection that was silent this long and did\n"
    "                           not answer a ping either; 0 = never [40]\n"
    "\n"
    "Output:\n"
    "  -q, --quiet              nothing but the addresses and errors\n"
    "  -v, --verbose            one line for each connection opened and closed\n"
    "  -h, --help               show this help and exit\n"
    "\n"
    "--listen and --origin may be repeated.  GET /healthz is answered with 200 \"ok\".\n"
    "SIGINT or SIGTERM closes all connections (code 1001) and stops the server; a\n"
    "second one stops it at once.\n"
    "\n"
    "Examples:\n"
    "  ws serve                     echo on ws://127.0.0.1:9001/\n"
    "  ws serve --chat -l :8080     a chat page for everyone on the network\n"
    "  ws serve --broadcast --static site -l [::1]:0\n"
    "\n"
    "Exit status: 0 stopped by a signal, 1 could not listen or failed, 2 wrong usage.\n";

enum option_name {
  LISTEN,
  ECHO_MODE,
  BROADCAST_MODE,
  CHAT_MODE,
  STATIC,
  MAX_MESSAGE,
  IDLE,
  ORIGIN,
  QUIET_OUTPUT,
  VERBOSE_OUTPUT,
  HELP
};

static const struct option table[] = {
    [LISTEN] = {'l', "listen", 1},
    [ECHO_MODE] = {0, "echo", 0},
    [BROADCAST_MODE] = {0, "broadcast", 0},
    [CHAT_MODE] = {0, "chat", 0},
    [STATIC] = {0, "static", 1},
    [MAX_MESSAGE] = {0, "max-message", 1},
    [IDLE] = {0, "idle", 1},
    [ORIGIN] = {0, "origin", 1},
    [QUIET_OUTPUT] = {'q', "quiet", 0},
    [VERBOSE_OUTPUT] = {'v', "verbose", 0},
    [HELP] = {'h', "help", 0},
};

static int add_listen(struct settings *s, const char *value) {
  if (s->listen_count == kMaxListen) {
    return usage_error(SERVE_COMMAND, "more than %d times --listen", (int)kMaxListen);
  }
  const char *problem = parse_address(value, &s->listen[s->listen_count]);
  if (problem != NULL) return usage_error(SERVE_COMMAND, "--listen '%s': %s", value, problem);
  s->listen_count++;
  return SETTINGS_READ;
}

static int add_origin(struct settings *s, const char *value) {
  if (s->origin_count == kMaxOrigins) {
    return usage_error(SERVE_COMMAND, "more than %d times --origin", (int)kMaxOrigins);
  }
  if (!is_origin(value)) {
    return usage_error(SERVE_COMMAND, "--origin '%s': write it as https://example.com", value);
  }
  s->origins[s->origin_count++] = value;
  return SETTINGS_READ;
}

/* Each of the two choices may be made twice, but not in two ways. */
static int choose(int *chosen, int *target, int value, const char *names) {
  if (*chosen && *target != value) return usage_error(SERVE_COMMAND, "choose one of %s", names);
  *chosen = 1;
  *target = value;
  return SETTINGS_READ;
}

struct choices {
  int mode_chosen, mode;
  int verbosity_chosen, verbosity;
};

static int apply(struct settings *s, struct choices *c, int option, const char *value) {
  static const char modes[] = "--echo, --broadcast and --chat";
  static const char outputs[] = "--quiet and --verbose";
  switch (option) {
    case LISTEN: return add_listen(s, value);
    case ECHO_MODE: return choose(&c->mode_chosen, &c->mode, MODE_ECHO, modes);
    case BROADCAST_MODE: return choose(&c->mode_chosen, &c->mode, MODE_BROADCAST, modes);
    case CHAT_MODE: return choose(&c->mode_chosen, &c->mode, MODE_CHAT, modes);
    case STATIC: s->static_dir = value; return SETTINGS_READ;
    case MAX_MESSAGE:
      if (parse_bytes(value, &s->max_message_bytes)) return SETTINGS_READ;
      return usage_error(SERVE_COMMAND, "--max-message '%s': write bytes, or 64K, 16M or 1G",
                         value);
    case IDLE:
      s->idle_given = 1;
      if (parse_seconds(value, &s->idle_ms)) return SETTINGS_READ;
      return usage_error(SERVE_COMMAND, "--idle '%s': write seconds, or 0 for never", value);
    case ORIGIN: return add_origin(s, value);
    case QUIET_OUTPUT: return choose(&c->verbosity_chosen, &c->verbosity, QUIET, outputs);
    case VERBOSE_OUTPUT: return choose(&c->verbosity_chosen, &c->verbosity, VERBOSE, outputs);
    default: return print_text(SERVE_COMMAND, help);
  }
}

int settings_read(struct settings *out, int argc, char **argv) {
  struct option_reader reader = {
      SERVE_COMMAND, table, sizeof table / sizeof table[0], argc, argv, 1, NULL};
  struct choices choices = {0, MODE_ECHO, 0, NORMAL};
  const char *value;
  int option;

  memset(out, 0, sizeof *out);
  while ((option = options_next(&reader, &value)) >= 0) {
    int status = apply(out, &choices, option, value);
    if (status != SETTINGS_READ) return status;
  }
  if (option == OPTIONS_WRONG) return EXIT_USAGE;
  if (out->listen_count == 0) {
    int status = add_listen(out, "127.0.0.1:9001");
    if (status != SETTINGS_READ) return status;
  }
  out->mode = (enum mode_name)choices.mode;
  out->verbosity = (enum verbosity)choices.verbosity;
  return SETTINGS_READ;
}
