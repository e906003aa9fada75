/*
 * Rules for text that other people's screens will show.  The page escapes nothing and needs to
 * escape nothing (it only sets text content), so this is about confusion, not about injection.
 */
#include "chat_text.h"

#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

/* How many bytes follow a first byte of UTF-8; more than 3 if none begins with it. */
static unsigned bytes_after(unsigned char first) {
  if (first < 0x80) return 0;
  if (first < 0xc2) return UINT_MAX;
  if (first < 0xe0) return 1;
  if (first < 0xf0) return 2;
  return first < 0xf5 ? 3 : UINT_MAX;
}

/* The code point at *at, which moves behind it; UINT32_MAX if the bytes are not UTF-8
 * (RFC 3629 4).  *at < end. */
static uint32_t next_code_point(const char **at, const char *end) {
  static const uint32_t least[] = {0, 0x80, 0x800, 0x10000}; /* by bytes that follow */
  static const uint32_t bits[] = {0x7f, 0x1f, 0x0f, 0x07};
  const unsigned char *p = (const unsigned char *)*at;
  unsigned more = bytes_after(*p);
  if (more > 3 || end - *at <= (ptrdiff_t)more) return UINT32_MAX;
  uint32_t c = *p++ & bits[more];
  for (unsigned i = 0; i < more; i++, p++) {
    if ((*p & 0xc0) != 0x80) return UINT32_MAX;
    c = c << 6 | (*p & 0x3fu);
  }
  if (c < least[more] || c > 0x10ffff || (c >= 0xd800 && c < 0xe000)) return UINT32_MAX;
  *at = (const char *)p;
  return c;
}

static int is_control(uint32_t c) { return c < 0x20 || (c >= 0x7f && c < 0xa0); }

/* Zero-width space and marks, line and paragraph separator, direction overrides and isolates,
 * byte order mark.  The zero-width joiners stay allowed: scripts and emoji need them. */
static int is_deceptive(uint32_t c) {
  return c == 0x200b || c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
         (c >= 0x2060 && c <= 0x206f) || c == 0xfeff;
}

const char *chat_name(const char *text, size_t len, char out[kMaxName + 1]) {
  const char *end = text + len;
  size_t used = 0;
  int space = 0;
  while (text < end) {
    const char *start = text;
    uint32_t c = next_code_point(&text, end);
    if (c == UINT32_MAX) return "the name is not UTF-8";
    if (is_control(c) || is_deceptive(c)) return "the name has characters that do not show";
    if (c == ' ' || c == 0xa0 || c == 0x3000) {
      space = 1;
      continue;
    }
    size_t bytes = (size_t)(text - start);
    size_t gap = space && used > 0 ? 1 : 0;
    if (used + gap + bytes > kMaxName) return "the name is longer than 40 bytes";
    if (gap) out[used++] = ' ';
    memcpy(out + used, start, bytes);
    used += bytes;
    space = 0;
  }
  out[used] = '\0';
  return used > 0 ? NULL : "the name is empty";
}

void chat_numbered_name(const char *name, unsigned number, char out[kMaxName + 1]) {
  char suffix[12];
  int n = snprintf(suffix, sizeof suffix, " %u", number);
  size_t keep = strlen(name);
  if (keep > (size_t)(kMaxName - n)) {
    keep = (size_t)(kMaxName - n);
    while (keep > 0 && ((unsigned char)name[keep] & 0xc0) == 0x80) keep--;
  }
  memcpy(out, name, keep);
  memcpy(out + keep, suffix, (size_t)n + 1);
}

int chat_same_name(const char *a, const char *b) { return strcasecmp(a, b) == 0; }

const char *chat_saying(const char *text, size_t len) {
  const char *end = text + len;
  int shows = 0;
  if (len > kMaxSaying) return "the message is longer than 2000 bytes";
  while (text < end) {
    uint32_t c = next_code_point(&text, end);
    if (c == UINT32_MAX) return "the message is not UTF-8";
    if (is_control(c) && c != '\n' && c != '\t') return "the message has control characters";
    if (c > ' ') shows = 1;
  }
  return shows ? NULL : "the message is empty";
}
