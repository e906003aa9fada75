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
    "      --subprotocol NAME   agree to this subprotocol, the preferred one first\n"
    "\n"
    "Compression (permessage-deflate):\n"
    "      --deflate MODE       'off'; 'shared': each message for itself, no memory\n"
    "                           for a connection; 'dedicated[:WINDOW]': messages\n"
    "                           refer to earlier ones, up to 2^WINDOW bytes back,\n"
    "                           9 to 15 [12].  The default is shared\n"
    "      --deflate-level N    1 fast to 9 small [1]\n"
    "\n"
    "TLS (wss):\n"
    "      --tls-cert FILE      the certificate with its chain (PEM); SIGHUP loads\n"
    "                           the files again\n"
    "      --tls-key FILE       its private key [in the file of --tls-cert]\n"
    "      --tls-key-password-file FILE\n"
    "                           the password of the key: the first line of FILE\n"
    "      --client-ca FILE     ask clients for a certificate of these CAs (PEM)\n"
    "      --client-cert WHEN   'required' or 'optional' [required]\n"
    "      --tls-min VERSION    1.2 or 1.3 [1.2]\n"
    "      --self-signed[=NAME] a throw-away certificate for NAME [localhost]\n"
    "      --self-signed-out FILE\n"
    "                           write it to FILE, for 'ws connect --cacert FILE'\n"
    "\n"
    "Limits:\n"
    "      --max-message BYTES  longest message, such as 64K [16M; 4K with --chat]\n"
    "      --idle SECONDS       drop a connection that was silent this long and did\n"
    "                           not answer a ping either; 0 = never [40]\n"
    "\n"
    "Operation:\n"
    "      --threads N          serve with N threads; 0 = one for each processor [1]\n"
    "      --takeover PATH      take the sockets over from the 'ws serve' that offers\n"
    "                           them at the unix socket PATH, if there is one; it\n"
    "                           then stops (code 1012).  Then offer them there\n"
    "      --drain-spread SECONDS\n"
    "                           when stopping, spread the Close frames over this\n"
    "                           time [0]\n"
    "\n"
    "Output:\n"
    "      --metrics HOST:PORT  the figures for Prometheus, at /metrics there\n"
    "  -q, --quiet              nothing but the addresses and errors\n"
    "  -v, --verbose            one line for each connection opened and closed\n"
    "  -h, --help               show this help and exit\n"
    "\n"
    "--listen, --origin and --subprotocol may be repeated.  GET /healthz is answered\n"
    "with 200 \"ok\".\n"
    "SIGINT or SIGTERM closes all connections (code 1001) and stops the server; a\n"
    "second one stops it at once.\n"
    "Sockets that systemd passes (LISTEN_FDS), or that are taken over, are used\n"
    "instead of --listen.\n"
    "\n"
    "Examples:\n"
    "  ws serve                     echo on ws://127.0.0.1:9001/\n"
    "  ws serve --chat -l :8080     a chat page for everyone on the network\n"
    "  ws serve --broadcast --static site -l [::1]:0\n"
    "  ws serve --self-signed       wss:// for a first try\n"
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
  SUBPROTOCOL,
  DEFLATE,
  DEFLATE_LEVEL,
  TLS_CERT,
  TLS_KEY,
  TLS_KEY_PASSWORD_FILE,
  CLIENT_CA,
  CLIENT_CERT,
  TLS_MIN,
  SELF_SIGNED,
  SELF_SIGNED_OUT,
  THREADS,
  TAKEOVER,
  DRAIN_SPREAD,
  QUIET_OUTPUT,
  VERBOSE_OUTPUT,
  METRICS,
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
    [SUBPROTOCOL] = {0, "subprotocol", 1},
    [DEFLATE] = {0, "deflate", 1},
    [DEFLATE_LEVEL] = {0, "deflate-level", 1},
    [TLS_CERT] = {0, "tls-cert", 1},
    [TLS_KEY] = {0, "tls-key", 1},
    [TLS_KEY_PASSWORD_FILE] = {0, "tls-key-password-file", 1},
    [CLIENT_CA] = {0, "client-ca", 1},
    [CLIENT_CERT] = {0, "client-cert", 1},
    [TLS_MIN] = {0, "tls-min", 1},
    [SELF_SIGNED] = {0, "self-signed", MAYBE_VALUE},
    [SELF_SIGNED_OUT] = {0, "self-signed-out", 1},
    [THREADS] = {0, "threads", 1},
    [TAKEOVER] = {0, "takeover", 1},
    [DRAIN_SPREAD] = {0, "drain-spread", 1},
    [QUIET_OUTPUT] = {'q', "quiet", 0},
    [VERBOSE_OUTPUT] = {'v', "verbose", 0},
    [METRICS] = {0, "metrics", 1},
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

static int read_metrics(struct settings *s, const char *value) {
  const char *problem = parse_address(value, &s->metrics);
  if (problem != NULL) return usage_error(SERVE_COMMAND, "--metrics '%s': %s", value, problem);
  s->metrics_given = 1;
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

static int add_subprotocol(struct settings *s, const char *value) {
  if (s->subprotocol_count == kMaxSubprotocols) {
    return usage_error(SERVE_COMMAND, "more than %d times --subprotocol", (int)kMaxSubprotocols);
  }
  if (!is_token(value)) {
    return usage_error(SERVE_COMMAND, "--subprotocol '%s': it has no spaces, commas or quotes",
                       value);
  }
  s->subprotocols[s->subprotocol_count++] = value;
  return SETTINGS_READ;
}

static int read_deflate(struct deflate_settings *d, const char *value) {
  static const char dedicated[] = "dedicated";
  const size_t len = sizeof dedicated - 1;
  d->window_bits = 0;
  if (strcmp(value, "off") == 0) {
    d->mode = WS_DEFLATE_OFF;
  } else if (strcmp(value, "shared") == 0) {
    d->mode = WS_DEFLATE_SHARED;
  } else if (strcmp(value, dedicated) == 0) {
    d->mode = WS_DEFLATE_DEDICATED;
  } else if (strncmp(value, dedicated, len) == 0 && value[len] == ':' &&
             parse_count(value + len + 1, 15, &d->window_bits) && d->window_bits >= 9) {
    d->mode = WS_DEFLATE_DEDICATED;
  } else {
    return usage_error(SERVE_COMMAND,
                       "--deflate '%s': write off, shared, dedicated or dedicated:WINDOW, "
                       "with a WINDOW from 9 to 15",
                       value);
  }
  return SETTINGS_READ;
}

static int read_deflate_level(struct deflate_settings *d, const char *value) {
  if (parse_count(value, 9, &d->level) && d->level >= 1) return SETTINGS_READ;
  return usage_error(SERVE_COMMAND, "--deflate-level '%s': write a number from 1 to 9", value);
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
  int client_cert_chosen;
};

static int read_client_cert(struct settings *s, struct choices *c, const char *value) {
  c->client_cert_chosen = 1;
  s->tls.client_cert_optional = strcmp(value, "optional") == 0;
  if (s->tls.client_cert_optional || strcmp(value, "required") == 0) return SETTINGS_READ;
  return usage_error(SERVE_COMMAND, "--client-cert '%s': write 'required' or 'optional'", value);
}

static int apply_tls(struct settings *s, struct choices *c, int option, const char *value) {
  switch (option) {
    case TLS_CERT: s->tls.cert = value; break;
    case TLS_KEY: s->tls.key = value; break;
    case TLS_KEY_PASSWORD_FILE: s->tls.key_password_file = value; break;
    case CLIENT_CA: s->tls.client_ca = value; break;
    case CLIENT_CERT: return read_client_cert(s, c, value);
    case TLS_MIN:
      s->tls.min_version = strcmp(value, "1.3") == 0 ? 0x0304 : 0x0303;
      if (s->tls.min_version == 0x0304 || strcmp(value, "1.2") == 0) break;
      return usage_error(SERVE_COMMAND, "--tls-min '%s': write 1.2 or 1.3", value);
    case SELF_SIGNED: s->tls.self_signed = value != NULL ? value : "localhost"; break;
    default: s->tls.self_signed_out = value; break;
  }
  return SETTINGS_READ;
}

static int apply_operation(struct settings *s, int option, const char *value) {
  switch (option) {
    case THREADS:
      if (parse_count(value, kMaxThreads, &s->threads)) return SETTINGS_READ;
      return usage_error(SERVE_COMMAND, "--threads '%s': write a number from 0 to %d", value,
                         (int)kMaxThreads);
    case TAKEOVER:
      if (value[0] != '\0') {
        s->takeover = value;
        return SETTINGS_READ;
      }
      return usage_error(SERVE_COMMAND, "--takeover '': write the path of a unix socket");
    default:
      if (parse_seconds(value, &s->drain_spread_ms)) return SETTINGS_READ;
      return usage_error(SERVE_COMMAND, "--drain-spread '%s': write seconds", value);
  }
}

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
    case SUBPROTOCOL: return add_subprotocol(s, value);
    case DEFLATE: return read_deflate(&s->deflate, value);
    case DEFLATE_LEVEL: return read_deflate_level(&s->deflate, value);
    case THREADS:
    case TAKEOVER:
    case DRAIN_SPREAD: return apply_operation(s, option, value);
    case QUIET_OUTPUT: return choose(&c->verbosity_chosen, &c->verbosity, QUIET, outputs);
    case VERBOSE_OUTPUT: return choose(&c->verbosity_chosen, &c->verbosity, VERBOSE, outputs);
    case METRICS: return read_metrics(s, value);
    case HELP: return print_text(SERVE_COMMAND, help);
    default: return apply_tls(s, c, option, value);
  }
}

int settings_tls(const struct settings *s) {
  return s->tls.cert != NULL || s->tls.self_signed != NULL;
}

/* What does not go together. */
static int check(const struct settings *s, const struct choices *c) {
  const struct tls_settings *t = &s->tls;
  const char *problem = NULL;
  if (t->cert != NULL && t->self_signed != NULL) {
    problem = "choose one of --tls-cert and --self-signed";
  } else if (t->key != NULL && t->cert == NULL) {
    problem = "--tls-key needs --tls-cert";
  } else if (t->key_password_file != NULL && t->cert == NULL) {
    problem = "--tls-key-password-file needs --tls-cert";
  } else if (t->client_ca != NULL && t->cert == NULL) {
    problem = "--client-ca needs --tls-cert";
  } else if (c->client_cert_chosen && t->client_ca == NULL) {
    problem = "--client-cert needs --client-ca";
  } else if (t->min_version != 0 && t->cert == NULL) {
    problem = "--tls-min needs --tls-cert";
  } else if (t->self_signed_out != NULL && t->self_signed == NULL) {
    problem = "--self-signed-out needs --self-signed";
  } else if (s->deflate.level != 0 && s->deflate.mode == WS_DEFLATE_OFF) {
    problem = "choose one of --deflate off and --deflate-level";
  } else if (s->mode != MODE_ECHO && s->threads != 1) {
    problem = "--chat and --broadcast run on one thread: leave out --threads, or say 1";
  }
  return problem == NULL ? SETTINGS_READ : usage_error(SERVE_COMMAND, "%s", problem);
}

int settings_read(struct settings *out, int argc, char **argv) {
  struct option_reader reader = {
      SERVE_COMMAND, table, sizeof table / sizeof table[0], argc, argv, 1, NULL, 0, 0};
  struct choices choices = {0, MODE_ECHO, 0, NORMAL, 0};
  const char *value;
  int option;

  memset(out, 0, sizeof *out);
  out->threads = 1;
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
  return check(out, &choices);
}
