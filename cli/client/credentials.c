/*
 * Basic authorization, and password files.
 */
#include "credentials.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

char *basic_authorization(const char *user) {
  static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  static const char scheme[] = "Basic ";
  const unsigned char *in = (const unsigned char *)user;
  size_t len = strlen(user);
  char *text = malloc(sizeof scheme + (len + 2) / 3 * 4);
  if (text == NULL) return NULL;
  memcpy(text, scheme, sizeof scheme - 1);
  char *out = text + sizeof scheme - 1;
  for (size_t i = 0; i < len; i += 3) {
    unsigned bits = (unsigned)in[i] << 16;
    if (i + 1 < len) bits |= (unsigned)in[i + 1] << 8;
    if (i + 2 < len) bits |= in[i + 2];
    *out++ = digits[bits >> 18];
    *out++ = digits[bits >> 12 & 63];
    *out++ = i + 1 < len ? digits[bits >> 6 & 63] : '=';
    *out++ = i + 2 < len ? digits[bits & 63] : '=';
  }
  *out = '\0';
  return text;
}

const char *read_password(const char *path, char out[kMaxPassword + 1]) {
  FILE *file = fopen(path, "r");
  if (file == NULL) return strerror(errno);
  size_t got = fread(out, 1, kMaxPassword + 1, file);
  int failed = ferror(file);
  int reason = errno;
  fclose(file);
  if (failed) return strerror(reason);
  char *end = memchr(out, '\n', got);
  if (end != NULL) got = (size_t)(end - out);
  if (got > 0 && out[got - 1] == '\r') got--;
  if (got > kMaxPassword) return "its first line is longer than 1024 bytes";
  if (memchr(out, '\0', got) != NULL) return "its first line is not text";
  out[got] = '\0';
  return NULL;
}
