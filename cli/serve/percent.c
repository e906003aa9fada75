/*
 * Used for paths and for the chat name in the query.  What is decoded is never decoded again:
 * "%252e" is the file name "%2e".
 */
#include "percent.h"

static int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

int percent_decode(const char *text, size_t len, char *out) {
  int n = 0;
  for (size_t i = 0; i < len; i++) {
    char c = text[i];
    if (c == '%') {
      if (len - i < 3) return -1;
      int high = hex_digit(text[i + 1]);
      int low = hex_digit(text[i + 2]);
      if (high < 0 || low < 0) return -1;
      c = (char)(high << 4 | low);
      i += 2;
    }
    out[n++] = c;
  }
  return n;
}
