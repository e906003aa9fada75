/*
 * Parsers of option values.  By hand instead of strtoull(): that takes signs, spaces and
 * hexadecimal, which a person at a command line never means.
 */
#include "values.h"

#include <string.h>

/* Digits from *at on; stops behind them.  Returns 0 when there are none or they pass `max`. */
static int read_digits(const char **at, uint64_t max, uint64_t *out) {
  const char *p = *at;
  uint64_t n = 0;
  if (*p < '0' || *p > '9') return 0;
  for (; *p >= '0' && *p <= '9'; p++) {
    uint64_t digit = (uint64_t)(*p - '0');
    if (n > (max - digit) / 10) return 0;
    n = n * 10 + digit;
  }
  *at = p;
  *out = n;
  return 1;
}

int parse_bytes(const char *text, uint64_t *bytes) {
  const uint64_t max = (uint64_t)1 << 40;
  unsigned shift = 0;
  uint64_t n;
  if (!read_digits(&text, max, &n) || n == 0) return 0;
  switch (*text) {
    case 'K':
    case 'k': shift = 10; break;
    case 'M':
    case 'm': shift = 20; break;
    case 'G':
    case 'g': shift = 30; break;
    default: break;
  }
  if (shift != 0) text++;
  /* The message and its echo must fit into this machine's memory, 32 bits included. */
  if (*text != '\0' || n > max >> shift || n << shift > SIZE_MAX / 8) return 0;
  *bytes = n << shift;
  return 1;
}

int parse_seconds(const char *text, uint32_t *ms) {
  uint64_t whole;
  uint64_t part = 0;
  if (!read_digits(&text, INT32_MAX / 1000, &whole)) return 0;
  if (*text == '.') {
    unsigned scale = 100;
    text++;
    if (*text == '\0') return 0;
    for (; *text >= '0' && *text <= '9'; text++) {
      part += scale * (unsigned)(*text - '0'); /* finer than a millisecond adds nothing */
      scale /= 10;
    }
  }
  if (*text != '\0' || whole * 1000 + part > INT32_MAX) return 0;
  *ms = (uint32_t)(whole * 1000 + part);
  return 1;
}

int parse_count(const char *text, uint32_t max, uint32_t *count) {
  uint64_t n;
  if (!read_digits(&text, max, &n) || *text != '\0') return 0;
  *count = (uint32_t)n;
  return 1;
}

int is_token(const char *text) {
  static const char marks[] = "!#$%&'*+-.^_`|~";
  if (*text == '\0') return 0;
  for (; *text != '\0'; text++) {
    char lower = (char)(*text | 0x20);
    int plain = (lower >= 'a' && lower <= 'z') || (*text >= '0' && *text <= '9');
    if (!plain && strchr(marks, *text) == NULL) return 0;
  }
  return 1;
}

const char *parse_address(const char *text, struct address *out) {
  const char *host = text;
  const char *colon = strrchr(text, ':');
  size_t len;
  uint64_t port;

  memset(out, 0, sizeof *out);
  if (strncmp(text, "unix:", 5) == 0) {
    out->unix_path = text + 5;
    return text[5] != '\0' ? NULL : "the path after 'unix:' is missing";
  }
  if (colon == NULL) return "the port is missing, write HOST:PORT or :PORT";
  len = (size_t)(colon - text);
  if (text[0] == '[') {
    if (len < 3 || colon[-1] != ']') return "write [ADDRESS]:PORT for an IPv6 address";
    host++;
    len -= 2;
    if (memchr(host, ':', len) == NULL) return "only an IPv6 address is written in brackets";
  } else if (memchr(host, ':', len) != NULL) {
    return "write [ADDRESS]:PORT for an IPv6 address";
  }
  if (len > kMaxHost) return "the host name is too long";
  colon++;
  if (!read_digits(&colon, UINT16_MAX, &port) || *colon != '\0') {
    return "the port must be a number from 0 to 65535";
  }
  memcpy(out->host, host, len);
  out->port = (uint16_t)port;
  return NULL;
}

int is_origin(const char *text) {
  const char *host = strstr(text, "://");
  if (strcmp(text, "*") == 0 || strcmp(text, "null") == 0) return 1;
  if (host == NULL || host == text || strpbrk(text, " \t@?#\"\\") != NULL) return 0;
  return host[3] != '\0' && strchr(host + 3, '/') == NULL;
}
