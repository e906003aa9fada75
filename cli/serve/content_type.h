/*
 * The Content-Type that the ending of a file name stands for.
 */
#ifndef WS_CLI_SERVE_CONTENT_TYPE_H
#define WS_CLI_SERVE_CONTENT_TYPE_H

/* "text/html; charset=utf-8" for "a/b.html"; "application/octet-stream" if it is not known. */
const char *content_type(const char *path);

#endif /* WS_CLI_SERVE_CONTENT_TYPE_H */
