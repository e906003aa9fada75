/*
 * Messages as text.
 */
#include "show.h"

#include <stdint.h>
#include <string.h>

static const char digits[] = "0123456789abcdef";

void show_hex(char *out, const void *data, size_t len) {
  const unsigned char *bytes = data;
  for (size_t i = 0; i < len; i++) {
    out[2 * i] = digits[bytes[i] >> 4];
    out[2 * i + 1] = digits[bytes[i] & 15];
  }
}

static int digit_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

ptrdiff_t read_hex(char *line, size_t len) {
  size_t out = 0;
  for (size_t i = 0; i < len; i++) {
    if (line[i] == ' ' || line[i] == '\t' || line[i] == '\r') continue;
    int high = digit_value(line[i]);
    int low = i + 1 < len ? digit_value(line[i + 1]) : -1;
    if (high < 0 || low < 0) return -1;
    line[out++] = (char)(high << 4 | low);
    i++;
  }
  return (ptrdiff_t)out;
}

/* The code point at `text`, which is UTF-8, and how many bytes it has.  What is not UTF-8 is taken
 * byte by byte. */
static uint32_t decode(const char *text, size_t left, size_t *bytes) {
  const unsigned char *p = (const unsigned char *)text;
  size_t n = p[0] < 0xc0 ? 1 : p[0] < 0xe0 ? 2 : p[0] < 0xf0 ? 3 : 4;
  *bytes = 1;
  if (n == 1 || n > left) return p[0];
  uint32_t code = p[0] & (0xffU >> (n + 1));
  for (size_t i = 1; i < n; i++) code = code << 6 | (p[i] & 0x3f);
  *bytes = n;
  return code;
}

/* Unicode's controls of direction (UAX 9) and line ends: with them a text can look like another. */
static int is_disguise(uint32_t code) {
  return code == 0x61c || (code >= 0x200e && code <= 0x200f) ||
         (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

static size_t show_escaped(char *out, uint32_t code) {
  size_t n = 0;
  out[n++] = '\\';
  out[n++] = code < 0x80 ? 'x' : 'u';
  for (int shift = code < 0x80 ? 4 : 12; shift >= 0; shift -= 4)
    out[n++] = digits[code >> shift & 15];
  return n;
}

size_t show_text(char *out, const char *text, size_t len) {
  size_t used = 0;
  for (size_t i = 0; i < len;) {
    size_t bytes;
    uint32_t code = decode(text + i, len - i, &bytes);
    if (code == '\t') {
      memcpy(out + used, "    ", 4);
      used += 4;
    } else if (code == '\n') {
      memcpy(out + used, "\n  ", 3);
      used += 3;
    } else if (code < 0x20 || (code >= 0x7f && code < 0xa0) || is_disguise(code)) {
      used += show_escaped(out + used, code);
    } else {
      memcpy(out + used, text + i, bytes);
      used += bytes;
    }
    i += bytes;
  }
  return used;
}

/* Wide in nearly every terminal: East Asian scripts and pictures (Unicode UAX 11). */
static int is_wide(uint32_t code) {
  static const uint32_t ranges[][2] = {
      {0x1100, 0x115f}, {0x2e80, 0xa4cf}, {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe30, 0xfe6f},
      {0xff00, 0xff60}, {0xffe0, 0xffe6}, {0x1f300, 0x1faff}, {0x20000, 0x3fffd},
  };
  for (size_t i = 0; i < sizeof ranges / sizeof ranges[0]; i++) {
    if (code >= ranges[i][0] && code <= ranges[i][1]) return 1;
  }
  return 0;
}

static int is_mark(uint32_t code) {
  return (code >= 0x300 && code <= 0x36f) || (code >= 0x200b && code <= 0x200d) ||
         (code >= 0xfe00 && code <= 0xfe0f);
}

size_t show_width(const char *text, size_t len) {
  size_t columns = 0;
  for (size_t i = 0; i < len;) {
    size_t bytes;
    uint32_t code = decode(text + i, len - i, &bytes);
    columns += is_mark(code) ? 0 : is_wide(code) ? 2 : 1;
    i += bytes;
  }
  return columns;
}
