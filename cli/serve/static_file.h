/*
 * The files of --static: found below one directory and nowhere else, read whole.
 */
#ifndef WS_CLI_SERVE_STATIC_FILE_H
#define WS_CLI_SERVE_STATIC_FILE_H

#include <stddef.h>

struct site {
  char *root; /* real path, NULL when there is no site */
  int fd;     /* that directory, open */
};

struct file {
  int status; /* 200, or why there is no data: 301, 400, 403, 404, 413, 500 */
  const char *type;
  char *data; /* malloc'ed; NULL unless status is 200 */
  size_t len;
};

enum { kMaxFileBytes = 16 * 1024 * 1024 /* what ws_request_respond() takes */ };

void site_init(struct site *site);

/* Returns NULL, or what is wrong with the directory as the end of a sentence. */
const char *site_open(struct site *site, const char *dir);
void site_close(struct site *site);

/* Read what `request_path` (as sent, not decoded) names; a directory means its index.html, and
 * 301 when the slash at its end is missing, because relative links would go astray.  Symbolic
 * links are followed if they end inside the site.  Reads from disk while the loop waits. */
void site_read(const struct site *site, const char *request_path, struct file *out);

#endif /* WS_CLI_SERVE_STATIC_FILE_H */
