/*
 * The path is split at its slashes first and each segment decoded after, so that an encoded
 * slash can never become a separator.
 */
#include "static_path.h"

#include <string.h>

#include "percent.h"

/* Names that begin with a dot (.git, .env, .htpasswd) are private by convention; the one
 * exception is the place where RFC 8615 puts public files. */
static int is_hidden(const char *name, size_t len) {
  static const char well_known[] = ".well-known";
  return name[0] == '.' && !(len == sizeof well_known - 1 && memcmp(name, well_known, len) == 0);
}

static int check_segment(const char *name, size_t len) {
  if (memchr(name, '\0', len) != NULL || memchr(name, '/', len) != NULL ||
      memchr(name, '\\', len) != NULL) {
    return 403;
  }
  if (len == 2 && memcmp(name, "..", 2) == 0) return 403;
  return len == 0 || is_hidden(name, len) ? 404 : 200;
}

int static_path(const char *request_path, char out[kMaxStaticPath]) {
  const char *at = request_path;
  size_t used = 0;
  if (*at++ != '/') return 400;
  while (*at != '\0') {
    size_t raw = strcspn(at, "/");
    if (used + raw + 2 > kMaxStaticPath) return 404;
    if (used > 0) out[used++] = '/';
    int len = percent_decode(at, raw, out + used);
    if (len < 0) return 400;
    int status = check_segment(out + used, (size_t)len);
    if (status != 200) return status;
    used += (size_t)len;
    at += raw;
    if (*at == '/') at++; /* one at the end is allowed: it asks for a directory */
  }
  if (used == 0) out[used++] = '.';
  out[used] = '\0';
  return 200;
}
