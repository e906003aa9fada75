/*
 * From the path of a request to a path below the directory of --static.  No I/O: what is
 * refused here never reaches the file system.
 */
#ifndef WS_CLI_SERVE_STATIC_PATH_H
#define WS_CLI_SERVE_STATIC_PATH_H

#include <stddef.h>

enum { kMaxStaticPath = 1024 };

/* Writes "a/b.txt" for "/a/b.txt", "a" for "/a/", "." for "/".  Returns 200, or the HTTP status
 * of the refusal: 400 not decodable, 403 a segment that could leave the directory ("..", or a
 * slash, backslash or NUL inside a name), 404 a name that is not served (empty, hidden, too
 * long). */
int static_path(const char *request_path, char out[kMaxStaticPath]);

#endif /* WS_CLI_SERVE_STATIC_PATH_H */
