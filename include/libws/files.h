/*
 * libws/files.h: small files for plain HTTP, from memory or a directory: the page that opens the
 * socket, its scripts, a health check.  Not a web server: a file is read whole while the loop
 * waits, there are no ranges (RFC 9110 14.2 lets a server ignore them) and no compression.
 */
#ifndef LIBWS_FILES_H
#define LIBWS_FILES_H

#include <libws/request.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ws_files_config.flags */
enum {
  WS_FILES_PASS = 1u << 0 /* what is not found is not answered, so that you can */
};

typedef struct ws_files_config {
  size_t size; /* WS_INIT */
  uint32_t flags;
  const char *directory;     /* opened now, by what its path means now; NULL = memory only */
  const char *index;         /* what "/" at the end of a path stands for ["index.html"] */
  uint64_t max_file_bytes;   /* larger ones are not found; at most the default [16 MiB] */
  const char *cache_control; /* of 200 and 304; "" = none sent ["no-cache": ask again, which costs a
                                304] */
} ws_files_config;

/* `cfg` may be NULL.  Thread: any.
 * Errors: IO (the directory cannot be opened), INVALID, UNSUPPORTED, NOMEM. */
WS_API int ws_files_new(const ws_files_config *cfg, ws_files **out);
WS_API ws_files *ws_files_ref(ws_files *f); /* returns f.  Thread: any */
WS_API void ws_files_unref(ws_files *f);    /* Thread: any */

/* A file in memory, found before the directory's.  `path` is decoded and begins with '/'; one
 * ending in '/' is the index there.  `content_type` NULL: by the ending of the path.  The same path
 * again replaces it.  Add all before the first ws_files_answer().
 * Errors: INVALID (a path that no request can name; a content type that cannot be sent), TOO_BIG
 * (max_file_bytes; more than 4,096 files), UNSUPPORTED (OpenSSL has no SHA-1), NOMEM. */
WS_API int ws_files_add(ws_files *f, const char *path, const char *content_type, const void *data,
                        size_t len);

/* Answer the request with the file that `path` names: decoded, with or without a '/' in front, such
 * as a parameter of the route; NULL: the request's path.  Returns the status it sent, or, with
 * WS_FILES_PASS and when nothing was found, 0, and the request is yours.
 *
 *   200  the file, with Content-Type by its ending (text is said to be UTF-8), a strong ETag,
 * X-Content- Type-Options: nosniff, and for files of the directory Last-Modified.  The ETag comes
 * from the content in memory; from inode, size and modification time on disk 304  If-None-Match
 * names its ETag, or without that field If-Modified-Since is not earlier (RFC 9110 13.2.2); other
 * preconditions are ignored 301  a directory was named without the slash that makes relative links
 * work 404  not there, too large, not a regular file, not readable.  And without looking: names
 * that begin with a dot (but ".well-known", RFC 8615), so "..", and names with a backslash, an
 *        encoded slash or NUL; empty segments; more than 1 KiB
 *   400  a '%' without two hexadecimal digits
 *   500  reading failed; 503: no descriptor or memory for it
 *
 * Symbolic links are followed where the kernel keeps them below the directory (Linux 5.6), relative
 * ones only; elsewhere none is.  A file that changes while it is read may arrive half old and half
 * new, but never cut short of its Content-Length.
 * Thread: the request's; any number of threads may use one ws_files.
 * Errors: STATE (answered already), INVALID, CLOSED, NOMEM. */
WS_API int ws_files_answer(const ws_files *f, ws_request *r, const char *path);

#ifdef __cplusplus
} /* extern "C" */
#endif
#endif /* LIBWS_FILES_H */
