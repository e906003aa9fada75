/*
 * The option table of `ws connect` and what each option does to the settings.
 */
#include "settings.h"

#include <string.h>

#include "../command.h"
#include "../values.h"

static const char help_start[] =
    "Usage: ws connect [OPTION]... URL\n"
    "\n"
    "Connect to ws://HOST[:PORT]/PATH, wss://... or ws+unix:///SOCKET[:/PATH].\n"
    "Each line of standard input is sent as a text message; each message that comes\n"
    "is printed as a line.\n"
    "\n"
    "Messages:\n"
    "      --binary                 send what is read as binary messages, print\n"
    "                               the bytes of each that comes, nothing else\n"
    "      --hex                    send lines of hexadecimal digits as binary\n"
    "      --one                    exit after the first message that comes\n"
    "      --timestamps             print the time (UTC) before each message\n"
    "      --max-message BYTES      longest message to take, such as 64K [16M]\n"
    "      --max-line BYTES         longest line to send [1M]\n"
    "\n"
    "Connection:\n"
    "      --linger SECONDS         after the end of the input, close when nothing\n"
    "                               came for so long [1; 30 with --one]; 'never'\n"
    "                               waits for the server\n"
    "      --ping SECONDS           send a ping when nothing came for so long, and\n"
    "                               give up after twice that; 0 = never [20]\n"
    "      --reconnect              connect again when it failed or was lost\n"
    "      --compress               compress harder: messages refer to earlier ones,\n"
    "                               and short ones are compressed too\n"
    "      --no-compress            do not offer permessage-deflate; else it is, with\n"
    "                               each message for itself\n"
    "\n";

static const char help_end[] =
    "Output:\n"
    "  -v, --verbose                show on standard error how it goes: addresses,\n"
    "                               TLS, headers, each message; no credentials\n"
    "  -h, --help                   show this help and exit\n"
    "\n"
    "SIGINT and SIGTERM close the connection politely; a second one ends it at once.\n"
    "\n"
    "Examples:\n"
    "  ws connect ws://127.0.0.1:9001/          type lines, Ctrl-D ends\n"
    "  echo hi | ws connect --one wss://example.com/echo\n"
    "  ws connect --linger never --timestamps wss://example.com/feed < /dev/null\n"
    "  rlwrap ws connect ws://127.0.0.1:9001/   the same with a history of lines\n"
    "\n"
    "Exit status: 0 closed cleanly, 1 could not connect, 2 wrong usage or input,\n"
    "3 TLS failed, 4 handshake refused, 5 connection lost or closed with an error,\n"
    "6 --one and no message came.\n";

enum option_name {
  BINARY = CLIENT_OPTION_COUNT,
  HEX,
  ONE,
  TIMESTAMPS,
  MAX_MESSAGE,
  MAX_LINE,
  LINGER,
  PING,
  RECONNECT,
  COMPRESS,
  NO_COMPRESS,
  HELP,
  OPERAND
};

static const struct option table[] = {
    CLIENT_OPTION_TABLE,
    [BINARY] = {0, "binary", 0},
    [HEX] = {0, "hex", 0},
    [ONE] = {0, "one", 0},
    [TIMESTAMPS] = {0, "timestamps", 0},
    [MAX_MESSAGE] = {0, "max-message", 1},
    [MAX_LINE] = {0, "max-line", 1},
    [LINGER] = {0, "linger", 1},
    [PING] = {0, "ping", 1},
    [RECONNECT] = {0, "reconnect", 0},
    [COMPRESS] = {0, "compress", 0},
    [NO_COMPRESS] = {0, "no-compress", 0},
    [HELP] = {'h', "help", 0},
};

static int show_help(void) {
  int status = print_text(CONNECT_COMMAND, help_start);
  if (status == EXIT_DONE) status = print_text(CONNECT_COMMAND, client_help);
  return status == EXIT_DONE ? print_text(CONNECT_COMMAND, help_end) : status;
}

static int choose_form(struct connect_settings *s, enum form form) {
  if (s->form != FORM_TEXT && s->form != form) {
    return usage_error(CONNECT_COMMAND, "choose one of --binary and --hex");
  }
  s->form = form;
  return SETTINGS_READ;
}

static int choose_compress(struct connect_settings *s, enum compress compress) {
  if (s->compress != COMPRESS_DEFAULT && s->compress != compress) {
    return usage_error(CONNECT_COMMAND, "choose one of --compress and --no-compress");
  }
  s->compress = compress;
  return SETTINGS_READ;
}

static int read_bytes(const char *name, const char *value, uint64_t *bytes) {
  if (parse_bytes(value, bytes)) return SETTINGS_READ;
  return usage_error(CONNECT_COMMAND, "%s '%s': write bytes, or 64K, 16M or 1G", name, value);
}

static int read_linger(struct connect_settings *s, const char *value) {
  if (strcmp(value, "never") == 0) {
    s->linger_ms = WS_NEVER;
  } else if (!parse_seconds(value, &s->linger_ms)) {
    return usage_error(CONNECT_COMMAND, "--linger '%s': write seconds, or 'never'", value);
  }
  return SETTINGS_READ;
}

static int apply(struct connect_settings *s, int *linger_given, int option, const char *value) {
  switch (option) {
    case BINARY: return choose_form(s, FORM_BINARY);
    case HEX: return choose_form(s, FORM_HEX);
    case ONE: s->one = 1; return SETTINGS_READ;
    case TIMESTAMPS: s->timestamps = 1; return SETTINGS_READ;
    case MAX_MESSAGE: return read_bytes("--max-message", value, &s->max_message_bytes);
    case MAX_LINE: return read_bytes("--max-line", value, &s->max_line_bytes);
    case LINGER: *linger_given = 1; return read_linger(s, value);
    case PING:
      s->ping_given = 1;
      /* Twice the time must be one that the library takes. */
      if (parse_seconds(value, &s->ping_ms) && s->ping_ms <= INT32_MAX / 2) return SETTINGS_READ;
      return usage_error(CONNECT_COMMAND, "--ping '%s': write seconds, or 0 for never", value);
    case RECONNECT: s->reconnect = 1; return SETTINGS_READ;
    case COMPRESS: return choose_compress(s, COMPRESS_ON);
    case NO_COMPRESS: return choose_compress(s, COMPRESS_OFF);
    case HELP: return show_help();
    case OPERAND: return client_settings_url(&s->client, value);
    default: return client_settings_apply(&s->client, option, value);
  }
}

static int check(struct connect_settings *s) {
  if (s->timestamps && s->form == FORM_BINARY) {
    return usage_error(CONNECT_COMMAND, "choose one of --binary and --timestamps");
  }
  if (s->one && s->reconnect) {
    return usage_error(CONNECT_COMMAND, "choose one of --one and --reconnect");
  }
  return client_settings_check(&s->client);
}

int connect_settings_read(struct connect_settings *out, int argc, char **argv) {
  struct option_reader reader = {
      CONNECT_COMMAND, table, sizeof table / sizeof table[0], argc, argv, 1, NULL, 1, 0};
  int linger_given = 0;
  const char *value;
  int option;

  memset(out, 0, sizeof *out);
  client_settings_init(&out->client, CONNECT_COMMAND);
  out->max_message_bytes = 16 * 1024 * 1024;
  out->max_line_bytes = 1024 * 1024;
  while ((option = options_next(&reader, &value)) >= 0) {
    int status = apply(out, &linger_given, option, value);
    if (status != SETTINGS_READ) return status;
  }
  if (option == OPTIONS_WRONG) return EXIT_USAGE;
  if (!linger_given) out->linger_ms = out->one ? 30 * 1000 : 1000;
  return check(out);
}

void connect_settings_clear(struct connect_settings *s) { client_settings_clear(&s->client); }
