/*
 * The options that all commands that connect share.
 */
#include "settings.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "../command.h"
#include "../values.h"
#include "credentials.h"

const char client_help[] =
    "Request:\n"
    "  -H, --header 'NAME: VALUE'   add a header field\n"
    "      --subprotocol NAME       offer a subprotocol, the preferred one first\n"
    "      --origin ORIGIN          say that a page of ORIGIN connects\n"
    "  -u, --user USER:PASSWORD     send Basic authorization\n"
    "      --redirects N            follow up to N redirects [0]\n"
    "\n"
    "TLS (wss):\n"
    "      --cacert FILE            trust these CAs (PEM), not the system's\n"
    "      --cert FILE              show this certificate (PEM, with its chain)\n"
    "      --key FILE               its private key [in the file of --cert]\n"
    "      --key-password-file FILE the password of the key: the first line of FILE\n"
    "      --tls-name NAME          the name to ask for and verify [the URL's host]\n"
    "  -k, --insecure               take any certificate: for tests only\n"
    "\n"
    "Way:\n"
    "      --proxy URL              go through SCHEME://[USER:PASSWORD@]HOST[:PORT],\n"
    "                               http, https, socks5, socks5h or socks4a\n"
    "      --proxy-cacert FILE      trust these CAs (PEM) for an https proxy\n"
    "      --no-proxy               no proxy, whatever https_proxy and others say\n"
    "      --connect-to HOST:PORT   dial this address instead of the URL's\n"
    "      --timeout SECONDS        give up connecting after that; 0 = never [10]\n"
    "\n";

void client_settings_init(struct client_settings *s, const char *command) {
  memset(s, 0, sizeof *s);
  s->command = command;
  s->timeout_ms = 10 * 1000;
}

void client_settings_clear(struct client_settings *s) {
  for (size_t i = 0; i < s->header_count; i++) free((char *)(uintptr_t)s->headers[i].name);
  s->header_count = 0;
}

int is_secret_header(const char *name) {
  static const char *const parts[] = {"auth", "cookie", "token", "secret", "password", "key"};
  if (strncasecmp(name, "sec-websocket-", 14) == 0 || strcasecmp(name, "www-authenticate") == 0) {
    return 0;
  }
  for (; *name != '\0'; name++) {
    for (size_t i = 0; i < sizeof parts / sizeof parts[0]; i++) {
      if (strncasecmp(name, parts[i], strlen(parts[i])) == 0) return 1;
    }
  }
  return 0;
}

static int has_header(const struct client_settings *s, const char *name) {
  for (size_t i = 0; i < s->header_count; i++) {
    if (strcasecmp(s->headers[i].name, name) == 0) return 1;
  }
  return 0;
}

/* The name and the value share one allocation. */
static int add_field(struct client_settings *s, const char *name, size_t name_len,
                     const char *value, size_t value_len) {
  char *copy;
  if (s->header_count == kMaxHeaders) {
    return usage_error(s->command, "more than %d header fields", (int)kMaxHeaders);
  }
  copy = malloc(name_len + value_len + 2);
  if (copy == NULL) return failure(s->command, "out of memory");
  memcpy(copy, name, name_len);
  copy[name_len] = '\0';
  memcpy(copy + name_len + 1, value, value_len);
  copy[name_len + 1 + value_len] = '\0';
  s->headers[s->header_count].name = copy;
  s->headers[s->header_count].value = copy + name_len + 1;
  s->header_count++;
  return SETTINGS_READ;
}

/* Complaints do not quote the value: it may be a secret. */
static int add_header(struct client_settings *s, const char *text) {
  const char *colon = strchr(text, ':');
  size_t name_len = colon != NULL ? (size_t)(colon - text) : 0;
  int status;
  if (colon == NULL) return usage_error(s->command, "--header: write it as 'Name: value'");
  const char *value = colon + 1 + strspn(colon + 1, " \t");
  size_t len = strlen(value);
  while (len > 0 && (value[len - 1] == ' ' || value[len - 1] == '\t')) len--;
  status = add_field(s, text, name_len, value, len);
  if (status != SETTINGS_READ) return status;
  const char *name = s->headers[s->header_count - 1].name;
  if (!is_token(name)) {
    return usage_error(s->command, "--header: '%s' is not the name of a header field", name);
  }
  if (strpbrk(value, "\r\n") != NULL) {
    return usage_error(s->command, "--header: the value of '%s' has a line break", name);
  }
  return SETTINGS_READ;
}

static int add_origin(struct client_settings *s, const char *value) {
  if (strcmp(value, "*") == 0 || !is_origin(value)) {
    return usage_error(s->command, "--origin '%s': write it as https://example.com", value);
  }
  if (has_header(s, "Origin")) return usage_error(s->command, "the origin is given twice");
  return add_field(s, "Origin", 6, value, strlen(value));
}

static int add_subprotocol(struct client_settings *s, const char *value) {
  if (s->subprotocol_count == kMaxSubprotocols) {
    return usage_error(s->command, "more than %d times --subprotocol", (int)kMaxSubprotocols);
  }
  if (!is_token(value)) {
    return usage_error(s->command, "--subprotocol '%s': it has no spaces, commas or quotes", value);
  }
  for (size_t i = 0; i < s->subprotocol_count; i++) {
    if (strcmp(s->subprotocols[i], value) == 0) {
      return usage_error(s->command, "--subprotocol '%s' is given twice", value);
    }
  }
  s->subprotocols[s->subprotocol_count++] = value;
  return SETTINGS_READ;
}

static int read_user(struct client_settings *s, const char *value) {
  if (strchr(value, ':') == NULL) {
    return usage_error(s->command, "--user: write it as USER:PASSWORD");
  }
  s->user = value;
  return SETTINGS_READ;
}

static int read_number(struct client_settings *s, int option, const char *value) {
  if (option == OPT_REDIRECTS) {
    if (parse_count(value, 100, &s->redirects)) return SETTINGS_READ;
    return usage_error(s->command, "--redirects '%s': write a number from 0 to 100", value);
  }
  if (!parse_seconds(value, &s->timeout_ms)) {
    return usage_error(s->command, "--timeout '%s': write seconds, or 0 for never", value);
  }
  if (s->timeout_ms == 0) s->timeout_ms = WS_NEVER;
  return SETTINGS_READ;
}

int client_settings_apply(struct client_settings *s, int option, const char *value) {
  switch (option) {
    case OPT_HEADER: return add_header(s, value);
    case OPT_SUBPROTOCOL: return add_subprotocol(s, value);
    case OPT_ORIGIN: return add_origin(s, value);
    case OPT_USER: return read_user(s, value);
    case OPT_CACERT: s->cacert = value; break;
    case OPT_CERT: s->cert = value; break;
    case OPT_KEY: s->key = value; break;
    case OPT_KEY_PASSWORD_FILE: s->key_password_file = value; break;
    case OPT_INSECURE: s->insecure = 1; break;
    case OPT_TLS_NAME: s->tls_name = value; break;
    case OPT_PROXY: s->proxy = value; break;
    case OPT_PROXY_CACERT: s->proxy_cacert = value; break;
    case OPT_NO_PROXY: s->no_proxy = 1; break;
    case OPT_CONNECT_TO: s->connect_to = value; break;
    case OPT_REDIRECTS:
    case OPT_TIMEOUT: return read_number(s, option, value);
    default: s->verbose = 1; break;
  }
  return SETTINGS_READ;
}

int client_settings_url(struct client_settings *s, const char *url) {
  s->url = url;
  return SETTINGS_READ;
}

/* Does user:password@ stand before the host? */
static int url_has_user(const char *url) {
  const char *start = strstr(url, "://");
  if (start == NULL) return 0;
  start += 3;
  return memchr(start, '@', strcspn(start, "/?#")) != NULL;
}

int client_settings_check(struct client_settings *s) {
  const char *problem = NULL;
  char *basic;
  int status;
  if (s->url == NULL) {
    problem = "the URL is missing";
  } else if (s->key != NULL && s->cert == NULL) {
    problem = "--key needs --cert";
  } else if (s->key_password_file != NULL && s->cert == NULL) {
    problem = "--key-password-file needs --cert";
  } else if (s->insecure && s->cacert != NULL) {
    problem = "choose one of --insecure and --cacert";
  } else if (s->tls_name != NULL && *s->tls_name == '\0') {
    problem = "--tls-name is empty";
  } else if (s->no_proxy && s->proxy != NULL) {
    problem = "choose one of --proxy and --no-proxy";
  } else if (s->user != NULL && has_header(s, "Authorization")) {
    problem = "choose one of --user and the header Authorization";
  } else if (s->user != NULL && url_has_user(s->url)) {
    problem = "the user is given both in the URL and by --user";
  }
  if (problem != NULL) return usage_error(s->command, "%s", problem);
  if (s->user == NULL) return SETTINGS_READ;
  basic = basic_authorization(s->user);
  if (basic == NULL) return failure(s->command, "out of memory");
  status = add_field(s, "Authorization", 13, basic, strlen(basic));
  free(basic);
  return status;
}
