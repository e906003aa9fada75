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

/* Which field of a request the trusted proxies write. */
typedef enum ws_proxy_field {
  WS_PROXY_FIELD_DEFAULT = 0, /* X_FORWARDED_FOR */
  WS_PROXY_X_FORWARDED_FOR = 1,
  WS_PROXY_FORWARDED = 2 /* RFC 7239 */
} ws_proxy_field;

/* LISTS OF ADDRESSES (trusted_proxies, proxy_from) hold addresses, "192.0.2.7" or "2001:db8::1",
 * blocks of them, "10.0.0.0/8" or "fd00::/8", and "unix:" for every peer on a unix socket.  Bits
 * of a block's address beyond its length must be 0; names, ports and zones are INVALID.  IPv4 is
 * named as IPv4, on a listener for both too. */

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

  /* Against one client that takes everybody's place.  A connection above either limit is reset
   * (ECONNRESET) when it has been accepted, before anything is read.  An IPv6 address counts by its
   * /64; unix sockets do not count.  The address is the one of ws_conn_peer(), so behind a proxy
   * without WS_LISTEN_PROXY all clients are one. */
  uint32_t max_connections_per_ip; /* shaking hands and closing included [WS_NEVER] */
  uint32_t max_accept_rate_per_ip; /* new ones a second, and at once; those that were refused do
                                      not count [WS_NEVER] */

  /* What the connections may hold together: queued frames, messages under assembly, input that
   * waits, heads.  A message queued on many connections (ws_conn_send_message) counts once.  Above
   * it the connection that holds most is ended, then the next, until the rest fits.  That is looked
   * at once a turn, if 1/64 of the budget was added, so this much and a turn's may pass it.  The
   * one that is ended gets close code 1013 if nothing waits to be sent to it, else it is dropped;
   * ws_close_info.error is WS_ERR_FULL.  Not counted: compression (ws_loop_config has a budget of
   * its own), OpenSSL's memory, memory from on_room [1 GiB; WS_UNLIMITED = none]. */
  uint64_t memory_budget_bytes;

  /* For ws_request_client(): the proxies whose word is taken; none = nobody's. */
  const char *const *trusted_proxies;
  size_t trusted_proxy_count;
  ws_proxy_field proxy_field; /* the one they write or replace: the other may be a client's own */
} ws_server_config;

/* Errors: INVALID, UNSUPPORTED, NOMEM. */
WS_API int ws_server_new(ws_loop *l, const ws_server_config *cfg, ws_server **out);

/* Stop listening and abort all connections; their on_close follows from the loop, with
 * CANCELLED.  Also from a callback. */
WS_API void ws_server_free(ws_server *s);

/* ws_listen_config.flags */
enum {
  WS_LISTEN_REUSEPORT = 1u << 0, /* one server per thread on the same port */
  WS_LISTEN_V6ONLY = 1u << 1,    /* do not also take IPv4 on an IPv6 address */
  WS_LISTEN_PROXY = 1u << 2 /* connections begin with a PROXY protocol header, see proxy_from */
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

  /* WS_LISTEN_PROXY: every connection begins with a header of the PROXY protocol, version 1 or 2,
   * before TLS, and its source becomes the peer: ws_conn_peer(), ws_request_peer(), limits per
   * address.  A proxy that speaks for itself (LOCAL, UNKNOWN, UNSPEC) stays the peer.  Only the
   * addresses listed here may connect (a list as above, not empty); others are reset at once.
   * Anything but a header of at most 4096 bytes, whole within handshake_timeout_ms, ends the
   * connection without an answer; each is logged, see docs/limits.md. */
  const char *const *proxy_from;
  size_t proxy_from_count;
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

/* The same with TLS and the PROXY protocol: `tls`, WS_LISTEN_PROXY and `proxy_from` are used, the
 * other members say what has been decided already and must be 0.  `cfg` may be NULL.
 * Errors: INVALID, IO, NOMEM, STATE. */
WS_API int ws_server_listen_fd_config(ws_server *s, int fd, const ws_listen_config *cfg,
                                      ws_listener **out);

/* Certificates for connections accepted from now on; those that are open keep theirs.  Load the
 * new files with ws_tls_new(): when that fails the old ones stay in use.  NULL = plain.
 * Errors: INVALID (`tls` has no certificate). */
WS_API int ws_listener_set_tls(ws_listener *ln, ws_tls *tls);

WS_API uint16_t ws_listener_port(const ws_listener *ln); /* 0 for unix */
WS_API void ws_listener_close(ws_listener *ln);          /* open connections go on */

/* The listening descriptor, to hand to another process: do not close it or accept from it.  -1 for
 * NULL. */
WS_API int ws_listener_fd(const ws_listener *ln);
/* Another process serves the socket file from now on: closing leaves it where it is.
 * Thread: any. */
WS_API void ws_listener_leave_file(ws_listener *ln);

/* Connections between on_open and on_close.  Thread: any, while the server is not freed. */
WS_API size_t ws_server_count(const ws_server *s);

/* Visit open connections.  fn may send, close or abort any of them, and free the server, but not
 * run or free the loop; those that open meanwhile are not visited.  fn returns 0 to go on, anything
 * else to stop, and that value is returned. */
WS_API int ws_server_each(ws_server *s, int (*fn)(ws_conn *c, void *arg), void *arg);

/* ws_drain.flags */
enum {
  WS_DRAIN_FINISH = 1u << 0 /* requests on connections that were accepted before are answered as
                               ever, and what opens so gets its Close then: for a restart, where
                               nobody is to be refused */
};
typedef struct ws_drain {
  size_t size;         /* WS_INIT */
  uint16_t code;       /* of the Close frames, RFC 6455 7.4.1 [1001, going away] */
  const char *reason;  /* UTF-8, at most 123 bytes; NULL = none */
  uint32_t spread_ms;  /* the Close frames leave evenly over this time, the oldest connection's
                          first, so that clients do not all come back at once [0] */
  uint32_t timeout_ms; /* after that, and then what remains is aborted; WS_NEVER: not [10000] */
  uint32_t flags;
} ws_drain;

/* Graceful stop: the listeners close at once; requests under way and those that still come on
 * accepted connections get 503 with Connection: close, and a connection that has sent nothing is
 * dropped (but see WS_DRAIN_FINISH); open connections get a Close.  Once all are gone, done(s, arg)
 * once from the loop; done may free the server and may be NULL.  `how` NULL: all defaults.  Errors:
 * STATE (already shutting down), INVALID (code, reason, times), NOMEM. */
WS_API int ws_server_drain(ws_server *s, const ws_drain *how, void (*done)(ws_server *s, void *arg),
                           void *arg);

/* The same with all Close frames at once, and with timeout_ms as it is: 0 gives nobody time to
 * answer.  Errors: STATE (already shutting down), INVALID (code, time), NOMEM. */
WS_API int ws_server_shutdown(ws_server *s, uint16_t code, uint32_t timeout_ms,
                              void (*done)(ws_server *s, void *arg), void *arg);

#ifdef __cplusplus
} /* extern "C" */
#endif
#endif /* LIBWS_SERVER_H */
