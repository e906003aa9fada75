/*
 * libws/request.h: one HTTP request that a server received, an upgrade or plain HTTP, and its
 * one answer.
 *
 * The library has already refused what RFC 6455 4.2.1 and RFC 9112 forbid (400, 405, 413, 414,
 * 417, 426, 431, 501, 505): what arrives here is a well-formed GET or HEAD without a body.
 *
 * Answer it once, with accept or respond.  To answer later (say, after a database look-up) keep
 * a reference; handshake_timeout_ms still runs, and nothing more is read from the peer until
 * then.  Once the peer is gone, answering returns WS_ERR_CLOSED.
 */
#ifndef LIBWS_REQUEST_H
#define LIBWS_REQUEST_H

#include <libws/config.h>

#ifdef __cplusplus
extern "C" {
#endif

WS_API ws_request *ws_request_ref(ws_request *r); /* returns r.  Thread: any */
WS_API void ws_request_unref(ws_request *r);      /* Thread: any */

/* 1 for a WebSocket opening handshake (RFC 6455 4.2.1), 0 for plain HTTP. */
WS_API int ws_request_is_upgrade(const ws_request *r);

WS_API const char *ws_request_method(const ws_request *r); /* "GET" or "HEAD" */

/* The path as sent, not decoded, without the query; at least "/". */
WS_API const char *ws_request_path(const ws_request *r);

/* What follows '?', not decoded; "" if there is none. */
WS_API const char *ws_request_query(const ws_request *r);

/* Value of a header field, name compared without case; NULL if absent.  Repeated fields are
 * joined with ", " (RFC 9110 5.3).  `len` may be NULL.  Valid while the request is. */
WS_API const char *ws_request_header(const ws_request *r, const char *name, size_t *len);

/* Iterate over the fields as received: i = 0, 1, 2...  Returns 1 and fills *out, or 0 past
 * the end. */
WS_API int ws_request_header_at(const ws_request *r, size_t i, ws_header *out);

/* Value of a cookie (RFC 6265 4.2), name compared with case, quotes not removed; NULL if absent.
 * The first of several, which is the one with the longest path (5.4).
 * `len` may be NULL.  Valid until the next call of this function on this request. */
WS_API const char *ws_request_cookie(const ws_request *r, const char *name, size_t *len);

/* i-th subprotocol the client offered, in its order of preference; NULL past the end. */
WS_API const char *ws_request_subprotocol(const ws_request *r, size_t i);

/* What the segment ":name", or all behind "*name", of the route's pattern stands for (router.h),
 * percent-decoded, so that it may hold any byte but NUL; NULL if there is no such name, or no
 * route. `len` may be NULL.  Valid while the request is. */
WS_API const char *ws_request_param(const ws_request *r, const char *name, size_t *len);

/* "192.0.2.7:50412", "[2001:db8::1]:443", "unix:", or "" when there is no socket. */
WS_API const char *ws_request_peer(const ws_request *r);

/* Who is behind the proxies, without a port: "192.0.2.7", "2001:db8::1", "unix:", or "".  It is the
 * address of ws_request_peer() unless that is one of ws_server_config.trusted_proxies.  Then the
 * addresses in X-Forwarded-For or, if so configured, in Forwarded (RFC 7239) are followed from the
 * last to the first, for as long as the one before is trusted; "unknown", an obfuscated name or
 * what is malformed ends that, and the last address before it is the client.  A connection has no
 * place for it: keep it in `user`. */
WS_API const char *ws_request_client(const ws_request *r);

/* The same as ws_request_peer() for the address on our side: what the client has connected to, as
 * the system knows it when this is called first; "" too when the connection is gone by then. */
WS_API const char *ws_request_local(const ws_request *r);

/* How the request came over TLS (tls.h), the client's certificate included.  The strings are
 * valid while the request's connection is.
 * Errors: STATE (plain), CLOSED (the connection is gone), INVALID. */
WS_API int ws_request_get_tls(const ws_request *r, ws_tls_info *out);

/* The user name and password of `Authorization: Basic` (RFC 7617), each with a NUL behind it.  1:
 * here they are.  0: the request has no Authorization, or of another scheme.  They are not text of
 * any known encoding (UTF-8 if your challenge asked for it); compare with ws_secret_equal().
 * Errors: HTTP (not base64 of "user:password", a control character in it, more than one
 * Authorization), TOO_BIG (longer than its room; nothing is written), INVALID. */
WS_API int ws_request_basic(const ws_request *r, char *user, size_t user_cap, char *password,
                            size_t password_cap);

/* The token of `Authorization: Bearer` (RFC 6750 2.1); NULL if there is none, or if it is not what
 * that section allows.  `len` may be NULL.  Valid while the request is. */
WS_API const char *ws_request_bearer(const ws_request *r, size_t *len);

/* 1 if both are the same bytes, else 0.  How long it takes depends on the lengths and on nothing
 * else of them: where a length must not show, compare digests.  Two of length 0 are the same; NULL
 * is fine there.  Thread: any. */
WS_API int ws_secret_equal(const void *a, size_t a_len, const void *b, size_t b_len);

/* How to accept.  `handlers` and `user` are ignored when the request belongs to a bare engine. */
typedef struct ws_accept {
  size_t size;              /* WS_INIT */
  const char *subprotocol;  /* exactly one the client offered, or NULL for none */
  const ws_header *headers; /* added to the 101 response */
  size_t header_count;
  const ws_handlers *handlers; /* NULL = the server's; lets paths differ */
  void *user;                  /* this connection's user pointer; NULL = the server's */
  ws_deflate deflate;          /* instead of the ones in ws_conn_config; 0 = as configured */
  ws_deflate deflate_recv;
  /* This connection's limits and timeouts, all of them, its defaults included, instead of the
   * server's; NULL = the server's.  What is past, the handshake's, has no effect any more. */
  const ws_conn_config *conn;
} ws_accept;

/* Finish the upgrade.  `how` may be NULL.  After a success on_open and on_close follow from the
 * loop, once each, whatever happens meanwhile, so `how->user` may be freed in on_close.
 * Errors: STATE (answered already, or not an upgrade), INVALID (a subprotocol that was not
 * offered; a header that is not a token, holds CR, LF or NUL, or is one the handshake writes
 * itself; a ws_deflate or a member of `conn` out of range), CLOSED, NOMEM. */
WS_API int ws_request_accept(ws_request *r, const ws_accept *how);

/* Send a complete HTTP response (health check, small file, 401, redirect) and close.
 * `status` is 200 to 599; Content-Length, Date and Connection are added; `body` may be NULL when
 * `len` is 0, must be so for 204, 205 and 304, and is not sent in answer to HEAD.  `len` is at most
 * 16 MiB. Errors: STATE (answered already), INVALID (status, a bad or reserved header), TOO_BIG,
 * CLOSED, NOMEM. */
WS_API int ws_request_respond(ws_request *r, int status, const ws_header *headers,
                              size_t header_count, const void *body, size_t len);

/* Respond 401 with this WWW-Authenticate (RFC 9110 11.6.1), such as
 *   Basic realm="rooms", charset="UTF-8"
 * and a line of text.  Browsers do not ask for a password when a WebSocket gets 401.
 * Errors: as ws_request_respond. */
WS_API int ws_request_challenge(ws_request *r, const char *scheme_and_params);

#ifdef __cplusplus
} /* extern "C" */
#endif
#endif /* LIBWS_REQUEST_H */
