/*
 * libws/server.h: accepting connections: listeners, requests, default answers, stopping.
 */
#ifndef LIBWS_SERVER_H
#define LIBWS_SERVER_H

#include <libws/conn.h>
#include <libws/request.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ws_server_config {
  size_t size;                 /* WS_INIT */
  const ws_handlers *handlers; /* copied; NULL = none */
  const ws_conn_config *conn;  /* copied; NULL = defaults */
  void *user;                  /* for on_request, and for connections unless accept says else */

  /* Every HTTP request that is well-formed and, for an upgrade, whose Origin is allowed.  If it
   * returns without answering and without keeping a reference: an upgrade is accepted with the
   * first of `subprotocols` the client offered, and plain HTTP gets 426.  NULL = always that. */
  void (*on_request)(ws_request *r, void *user);

  const char *const *subprotocols; /* in our order of preference */
  size_t subprotocol_count;

  /* Allowed Origin values (RFC 6455 10.2), "https://example.com" or with a port, "null", or "*"
   * for any; anything else is INVALID.
   * None = only the host that the request itself names.  Others get 403.  A request without
   * Origin does not come from a browser and passes. */
  const char *const *origins;
  size_t origin_count;

  uint32_t max_connections;  /* further ones wait in the kernel [65536] */
  const char *server_header; /* NULL = none sent */
} ws_server_config;

/* Errors: INVALID, UNSUPPORTED, NOMEM. */
WS_API int ws_server_new(ws_loop *l, const ws_server_config *cfg, ws_server **out);

/* Stop listening and abort all connections; their on_close follows from the loop, with
 * CANCELLED.  Also from a callback. */
WS_API void ws_server_free(ws_server *s);

/* ws_listen_config.flags */
enum {
  WS_LISTEN_REUSEPORT = 1u << 0, /* one server per thread on the same port */
  WS_LISTEN_V6ONLY = 1u << 1     /* do not also take IPv4 on an IPv6 address */
};
typedef struct ws_listen_config {
  size_t size;           /* WS_INIT */
  const char *host;      /* name or address; NULL = all interfaces, IPv6 and IPv4 */
  uint16_t port;         /* 0 = any free one, see ws_listener_port */
  const char *unix_path; /* instead of host and port; a leading '@' = abstract */
  uint32_t unix_mode;    /* permission bits of the socket file [0600] */
  uint32_t backlog;      /* [511] */
  uint32_t flags;
  ws_tls *tls; /* with a certificate; the listener keeps a reference.  NULL = plain */
} ws_listen_config;

/* Start accepting.  The listener belongs to the server and lives until ws_listener_close() or
 * the server's end; `out` may be NULL.  A stale socket file (one that nobody answers) is
 * replaced; a live one, or a file that is no socket, is an error.
 * Errors: ADDR, INVALID, IO, NOMEM, STATE (shutting down). */
WS_API int ws_server_listen(ws_server *s, const ws_listen_config *cfg, ws_listener **out);

/* The same on a listening socket you opened or inherited (socket activation).  The server owns
 * and closes `fd` once this succeeds; it becomes non-blocking and close-on-exec.
 * Errors: INVALID (not a listening stream socket), IO, NOMEM, STATE. */
WS_API int ws_server_listen_fd(ws_server *s, int fd, ws_listener **out);

/* Certificates for connections accepted from now on; those that are open keep theirs.  Load the
 * new files with ws_tls_new(): when that fails the old ones stay in use.  NULL = plain.
 * Errors: INVALID (`tls` has no certificate). */
WS_API int ws_listener_set_tls(ws_listener *ln, ws_tls *tls);

WS_API uint16_t ws_listener_port(const ws_listener *ln); /* 0 for unix */
WS_API void ws_listener_close(ws_listener *ln);          /* open connections go on */

WS_API size_t ws_server_count(const ws_server *s); /* connections between on_open and on_close */

/* Visit open connections.  fn may send, close or abort any of them, and free the server, but not
 * run or free the loop; those that open meanwhile are not visited.  fn returns 0 to go on, anything
 * else to stop, and that value is returned. */
WS_API int ws_server_each(ws_server *s, int (*fn)(ws_conn *c, void *arg), void *arg);

/* Graceful stop: no new connections, Close(code) to all, abort what remains after timeout_ms,
 * then done(s, arg) once from the loop; done may free the server and may be NULL.
 * Errors: STATE (already shutting down), INVALID (code). */
WS_API int ws_server_shutdown(ws_server *s, uint16_t code, uint32_t timeout_ms,
                              void (*done)(ws_server *s, void *arg), void *arg);

#ifdef __cplusplus
} /* extern "C" */
#endif
#endif /* LIBWS_SERVER_H */
