/*
 * The option table of `ws ping` and what each option does to the settings.
 */
#include "settings.h"

#include <string.h>

#include "../command.h"
#include "../values.h"

static const char help_start[] =
    "Usage: ws ping [OPTION]... URL\n"
    "\n"
    "Connect to a WebSocket server, send pings, and print how long each pong took.\n"
    "\n"
    "Pings:\n"
    "  -c, --count N                stop after N pings [when interrupted]\n"
    "  -i, --interval SECONDS       from one ping to the next, at least 0.01 [1]\n"
    "  -W, --wait SECONDS           how long to wait for a pong [5]\n"
    "\n";

static const char help_end[] =
    "Output:\n"
    "  -v, --verbose                show on standard error how it goes: addresses,\n"
    "                               TLS, headers; no credentials\n"
    "  -h, --help                   show this help and exit\n"
    "\n"
    "Examples:\n"
    "  ws ping ws://127.0.0.1:9001/\n"
    "  ws ping -c 5 -i 0.2 wss://example.com/\n"
    "\n"
    "Exit status: 0 at least one pong came, 1 none came or could not connect, 2 wrong\n"
    "usage, 3 TLS failed, 4 handshake refused, 5 connection lost.\n";

enum option_name { COUNT = CLIENT_OPTION_COUNT, INTERVAL, WAIT, HELP, OPERAND };

static const struct option table[] = {
    CLIENT_OPTION_TABLE,       [COUNT] = {'c', "count", 1}, [INTERVAL] = {'i', "interval", 1},
    [WAIT] = {'W', "wait", 1}, [HELP] = {'h', "help", 0},
};

enum { kMinIntervalMs = 10 };

static int show_help(void) {
  int status = print_text(PING_COMMAND, help_start);
  if (status == EXIT_DONE) status = print_text(PING_COMMAND, client_help);
  return status == EXIT_DONE ? print_text(PING_COMMAND, help_end) : status;
}

static int apply(struct ping_settings *s, int option, const char *value) {
  switch (option) {
    case COUNT:
      if (parse_count(value, 1000000000, &s->count) && s->count > 0) return SETTINGS_READ;
      return usage_error(PING_COMMAND, "--count '%s': write a number from 1 on", value);
    case INTERVAL:
      if (parse_seconds(value, &s->interval_ms) && s->interval_ms >= kMinIntervalMs) {
        return SETTINGS_READ;
      }
      return usage_error(PING_COMMAND, "--interval '%s': write seconds, at least 0.01", value);
    case WAIT:
      if (parse_seconds(value, &s->wait_ms) && s->wait_ms > 0) return SETTINGS_READ;
      return usage_error(PING_COMMAND, "--wait '%s': write seconds, more than 0", value);
    case HELP: return show_help();
    case OPERAND: return client_settings_url(&s->client, value);
    default: return client_settings_apply(&s->client, option, value);
  }
}

int ping_settings_read(struct ping_settings *out, int argc, char **argv) {
  struct option_reader reader = {
      PING_COMMAND, table, sizeof table / sizeof table[0], argc, argv, 1, NULL, 1, 0};
  const char *value;
  int option;

  memset(out, 0, sizeof *out);
  client_settings_init(&out->client, PING_COMMAND);
  out->interval_ms = 1000;
  out->wait_ms = 5000;
  while ((option = options_next(&reader, &value)) >= 0) {
    int status = apply(out, option, value);
    if (status != SETTINGS_READ) return status;
  }
  return option == OPTIONS_WRONG ? EXIT_USAGE : client_settings_check(&out->client);
}
