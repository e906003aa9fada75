/*
 * A log line must stay one line, and must not steer the terminal it is shown on.
 */
#include "escape.h"

#include <string.h>

static size_t escape_byte(char out[4], unsigned char byte, int quoted) {
  static const char digits[] = "0123456789abcdef";
  if (quoted && (byte == '"' || byte == '\\')) {
    out[0] = '\\';
    out[1] = (char)byte;
    return 2;
  }
  if (byte >= 0x20 && byte < 0x7f) {
    out[0] = (char)byte;
    return 1;
  }
  out[0] = '\\';
  out[1] = 'x';
  out[2] = digits[byte >> 4];
  out[3] = digits[byte & 15];
  return 4;
}

static void escape_all(char *out, size_t room, const char *text, size_t len, int quoted) {
  static const char more[] = "...";
  size_t used = 0;
  size_t cut = 0; /* the last place where the dots would fit */
  if (room == 0) return;
  for (size_t i = 0; i < len; i++) {
    char one[4];
    size_t n = escape_byte(one, (unsigned char)text[i], quoted);
    if (used + n + 1 > room) {
      used = cut;
      if (room >= sizeof more) {
        memcpy(out + used, more, sizeof more - 1);
        used += sizeof more - 1;
      }
      break;
    }
    memcpy(out + used, one, n);
    used += n;
    if (used + sizeof more <= room) cut = used;
  }
  out[used] = '\0';
}

void escape(char *out, size_t room, const char *text, size_t len) {
  escape_all(out, room, text, len, 1);
}

void escape_text(char *out, size_t room, const char *text, size_t len) {
  escape_all(out, room, text, len, 0);
}

void escape_string(char *out, size_t room, const char *text) {
  escape(out, room, text, strlen(text));
}
