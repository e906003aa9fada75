/*
 * Containment has two halves.  realpath() decides: where a path ends, all symbolic links
 * followed, must be inside the root.  Then that answer, which has no links left, is opened
 * segment by segment without following any, so a link put there in between is an error and not
 * a way out.
 */
#include "static_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "content_type.h"
#include "static_path.h"

void site_init(struct site *site) {
  site->root = NULL;
  site->fd = -1;
}

const char *site_open(struct site *site, const char *dir) {
  site->root = realpath(dir, NULL);
  if (site->root == NULL) return strerror(errno);
  site->fd = open(site->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (site->fd < 0) {
    const char *problem = strerror(errno);
    site_close(site);
    return problem;
  }
  return NULL;
}

void site_close(struct site *site) {
  free(site->root);
  if (site->fd >= 0) close(site->fd);
  site_init(site);
}

static int status_of_errno(int error) {
  switch (error) {
    case ENOENT:
    case ENOTDIR:
    case ENAMETOOLONG: return 404;
    case EACCES:
    case EPERM:
    case ELOOP: return 403;
    default: return 500;
  }
}

/* Opens root-relative `path`, which has no links, without following any.  Cuts `path` up. */
static int open_beneath(int root, char *path) {
  int at = root;
  for (char *name = path; name != NULL;) {
    char *slash = strchr(name, '/');
    if (slash != NULL) *slash = '\0';
    /* O_NONBLOCK: a FIFO somebody left there must not stop the loop. */
    int flags = O_RDONLY | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | (slash ? O_DIRECTORY : 0);
    int next = openat(at, *name != '\0' ? name : ".", flags);
    int error = errno;
    if (at != root) close(at);
    if (next < 0) {
      errno = error;
      return -1;
    }
    at = next;
    name = slash != NULL ? slash + 1 : NULL;
  }
  return at;
}

/* Opens what `relative` resolves to, or returns minus the HTTP status of the refusal. */
static int open_inside(const struct site *site, const char *relative) {
  size_t root_len = strcmp(site->root, "/") == 0 ? 0 : strlen(site->root);
  char joined[4096];
  int len = snprintf(joined, sizeof joined, "%s/%s", site->root, relative);
  if (len < 0 || (size_t)len >= sizeof joined) return -404;
  char *real = realpath(joined, NULL);
  if (real == NULL) return -status_of_errno(errno);
  int fd = -403;
  if (strncmp(real, site->root, root_len) == 0 &&
      (real[root_len] == '/' || real[root_len] == '\0')) {
    fd = open_beneath(site->fd, real[root_len] == '/' ? real + root_len + 1 : real + root_len);
    if (fd < 0) fd = -status_of_errno(errno);
  }
  free(real);
  return fd;
}

static int read_whole(int fd, size_t size, struct file *out) {
  out->data = malloc(size + 1);
  if (out->data == NULL) return 500;
  while (out->len < size) {
    ssize_t n = read(fd, out->data + out->len, size - out->len);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return 500;
    if (n == 0) break; /* it shrank meanwhile; what there is is the file */
    out->len += (size_t)n;
  }
  return 200;
}

/* Takes `fd`.  Returns the HTTP status, 301 for a directory. */
static int read_file(int fd, struct file *out) {
  struct stat st;
  int status;
  if (fstat(fd, &st) < 0) {
    status = 500;
  } else if (S_ISDIR(st.st_mode)) {
    status = 301;
  } else if (!S_ISREG(st.st_mode)) {
    status = 403;
  } else if (st.st_size > kMaxFileBytes) {
    status = 413;
  } else {
    status = read_whole(fd, (size_t)st.st_size, out);
  }
  close(fd);
  if (status != 200) {
    free(out->data);
    out->data = NULL;
    out->len = 0;
  }
  return status;
}

static int read_relative(const struct site *site, const char *relative, struct file *out) {
  int fd = open_inside(site, relative);
  return fd < 0 ? -fd : read_file(fd, out);
}

void site_read(const struct site *site, const char *request_path, struct file *out) {
  static const char index[] = "/index.html";
  char path[kMaxStaticPath + sizeof index];
  memset(out, 0, sizeof *out);
  out->status = static_path(request_path, path);
  if (out->status != 200) return;
  int wants_directory = request_path[strlen(request_path) - 1] == '/';
  if (wants_directory) memcpy(path + strlen(path), index, sizeof index);
  out->status = read_relative(site, path, out);
  if (wants_directory && out->status == 301) out->status = 404;
  out->type = content_type(path);
}
