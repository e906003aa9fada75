/*
 * libws/client.h: a client keeps one connection to one URL, again and again if asked to.
 *
 * Each attempt looks up the name, tries the addresses side by side (RFC 8305), goes through the
 * proxy if there is one, makes TLS, and does the WebSocket handshake (RFC 6455 4.1); all of it
 * within handshake_timeout_ms.  Success is a new ws_conn with its own on_open and on_close.
 *
 *   attempt:   on_attempt -> (on_open ... on_close) -> on_down -> wait -> on_attempt ...
 *
 * on_down is called once for every attempt, whatever became of it, and says what comes next.
 * Nothing is called from inside ws_client_new(): the first attempt starts with the loop.
 */
#ifndef LIBWS_CLIENT_H
#define LIBWS_CLIENT_H

#include <libws/conn.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ws_client_config.flags */
enum {
  WS_CLIENT_PROXY_ENV = 1u << 0,  /* take the proxy from the environment, see `proxy` */
  WS_CLIENT_RETRY_ALL = 1u << 1,  /* retry permanent failures too, see `retry_count` */
  WS_CLIENT_TAKE_TURNS = 1u << 2, /* wait while another client of this loop with this flag connects
                                     to the same host and port, or through the same proxy, and is
                                     not open yet, as RFC 6455 4.1 asks of browsers; the wait is
                                     not part of handshake_timeout_ms */
  WS_CLIENT_FD = 1u << 3          /* use the socket `fd` */
};

typedef struct ws_client_config {
  size_t size; /* WS_INIT */
  uint32_t flags;

  /* ws://host[:port]/target, wss://..., ws+unix:///path[:/target] (@name for an abstract socket),
   * wss+unix://...  user:password@ becomes Basic authorization (RFC 7617), percent-decoded.
   * Spaces and non-ASCII bytes of the target are percent-encoded; a fragment is an error (RFC
   * 6455 3).  IPv6 zones are written [fe80::1%25eth0] (RFC 6874).  Host names are looked up as
   * given: convert international names to xn-- yourself.  ws_last_detail() says what is wrong and
   * at which byte. */
  const char *url;

  const ws_handlers *handlers; /* copied; NULL = none */
  const ws_conn_config *conn;  /* NULL = defaults */
  void *user;                  /* of on_attempt, on_down and each connection */

  const ws_header *headers; /* added to the request: Authorization, Cookie, Origin... */
  size_t header_count;
  const char *const *subprotocols; /* in order of preference, distinct tokens */
  size_t subprotocol_count;

  ws_tls *tls;          /* for wss; NULL = the system's roots, verified */
  const char *tls_name; /* ask for and verify this name instead of the URL's host; for
                           wss+unix [localhost] */

  /* http://, https:// (RFC 9110 9.3.6 CONNECT, Basic authorization), socks5://, socks5h:// (RFC
   * 1928, RFC 1929) or socks4a://, each [user:password@]host[:port].  The proxy looks up the name.
   * NULL = none, or with WS_CLIENT_PROXY_ENV: wss_proxy then https_proxy for wss, ws_proxy then
   * http_proxy for ws, then all_proxy, each in lower case before upper case (HTTP_PROXY in upper
   * case is not used: a CGI program has it from its peer); not for hosts in no_proxy. */
  const char *proxy;
  ws_tls *proxy_tls; /* for https proxies; NULL = the system's roots, verified */

  const char *connect_to; /* "host:port" to dial instead of the URL's; Host and TLS name stay */

  uint32_t max_redirects; /* 301, 302, 303, 307, 308 followed per attempt; never from wss to ws;
                             Authorization and Cookie are not sent to another origin [0] */

  /* Attempts after one has failed or a connection has ended other than by ws_conn_close(),
   * ws_conn_abort() or ws_client_close() on this side [0 = none, WS_NEVER = for ever].  An attempt
   * that stayed open for 5 s sets the count back.  Not retried, because the next attempt would end
   * the same: a setting that cannot be used (INVALID, UNSUPPORTED, TLS_CONFIG), TLS_VERIFY,
   * HANDSHAKE, and HTTP statuses of the server or the proxy from 300 to 499 except 408, 425 and
   * 429; WS_CLIENT_RETRY_ALL retries them. */
  uint32_t retry_count;
  uint32_t retry_min_ms; /* bound of the first delay, doubled each time [500] */
  uint32_t retry_max_ms; /* up to this; the delay is uniformly random below the bound, so that
                            clients do not come back all at once [30000] */

  /* Messages given to ws_client_send() while no connection is open are kept, up to this many bytes
   * (payload plus 64 for each), and sent in order after the next on_open [0 = refused with
   * CLOSED].  They stay through on_down, and are dropped by ws_client_free(). */
  uint64_t queue_bytes;

  /* Attempt `number` begins, from 1: the time for ws_client_set_headers(). */
  void (*on_attempt)(ws_client *cl, uint32_t number, void *user);

  /* An attempt has failed, or its connection has ended; after on_close if there was an on_open.
   * retry_in_ms: when the next one starts; WS_NEVER: none will.  A Retry-After of the server
   * (RFC 9110 10.2.3), up to one hour, lengthens it.  The response that refused can be read here.
   * The client may be freed here. */
  void (*on_down)(ws_client *cl, const ws_close_info *why, uint32_t retry_in_ms, void *user);

  /* With WS_CLIENT_FD: a connected stream socket (TCP or unix) to use instead of looking up and
   * dialling; the URL still gives Host, target and TLS name.  There is one attempt:
   * ws_client_retry_now() does nothing, and what would need another connection is INVALID
   * (retry_count, max_redirects, proxy, WS_CLIENT_PROXY_ENV, connect_to).  Once ws_client_new() has
   * succeeded the descriptor is the client's, who closes it, used or not; it becomes non-blocking
   * and close-on-exec. */
  int fd;
} ws_client_config;

/* Start connecting.  Errors: INVALID (the URL, proxy, connect_to, a header that the handshake
 * writes itself or that holds CR, LF or NUL, an fd that is not a connected stream socket...),
 * UNSUPPORTED, TLS_CONFIG (the system's roots cannot be loaded), NOMEM.  What goes wrong later is
 * told by on_down. */
WS_API int ws_client_new(ws_loop *l, const ws_client_config *cfg, ws_client **out);

/* No further attempts and no on_down; an open connection is aborted and its on_close follows.
 * Also from a callback.  Queued messages are dropped. */
WS_API void ws_client_free(ws_client *cl);

/* Leave politely: close the open connection (codes and reason as ws_conn_close), or give up the
 * attempt or the wait; on_down follows with WS_NEVER. */
WS_API int ws_client_close(ws_client *cl, uint16_t code, const char *reason);

WS_API ws_conn *ws_client_conn(const ws_client *cl); /* borrowed; NULL unless open */

/* As ws_conn_send(); while no connection is open, or earlier messages still wait in the queue, the
 * message is queued, see queue_bytes.
 * Errors: CLOSED (not open and nothing is queued, or no further attempt will be made), FULL (it
 * does not fit, nothing was queued), and those of ws_conn_send(). */
WS_API int ws_client_send(ws_client *cl, ws_opcode op, const void *data, size_t len,
                          uint32_t flags);
WS_API uint64_t ws_client_queued(const ws_client *cl); /* payload bytes kept, see queue_bytes */

/* Do not wait any longer, e.g. because the network came back: the next attempt begins with the
 * next turn.  After the last on_down it begins a new series of attempts.  Does nothing while an
 * attempt is under way or open. */
WS_API int ws_client_retry_now(ws_client *cl);

/* Replace the headers of requests that are not sent yet, e.g. by a fresh token.  Errors: INVALID,
 * NOMEM. */
WS_API int ws_client_set_headers(ws_client *cl, const ws_header *headers, size_t count);

/* The HTTP response of the last attempt, from the handshake's end until the next attempt.  A field
 * by its name, without case, repeated ones joined with ", ", NULL if absent, `len` may be NULL; or
 * the i-th field: 1 and *out, or 0 past the end.  The body of a refusal, at most 64 KiB of it. */
WS_API int ws_client_response_status(const ws_client *cl); /* 0: there was none */
WS_API const char *ws_client_response_header(ws_client *cl, const char *name, size_t *len);
WS_API int ws_client_response_header_at(const ws_client *cl, size_t i, ws_header *out);
WS_API ws_slice ws_client_response_body(const ws_client *cl);

/* The URL of the last attempt, without user and password: differs from the given one after a
 * redirect.  Valid until the next attempt. */
WS_API const char *ws_client_url(const ws_client *cl);

#ifdef __cplusplus
} /* extern "C" */
#endif
#endif /* LIBWS_CLIENT_H */
