/*
 * libws/router.h: which request goes where: paths and hosts to callbacks, limits, subprotocols
 * and origins.
 *
 *   ws_router_new(NULL, &router);
 *   ws_router_add(router, &rooms);              then once for each route
 *   config.on_request = ws_router_on_request;   of ws_server_config
 *   config.user = router;
 *
 * PATHS  A request's path is cut at its slashes, then each segment is percent-decoded, once, and
 * compared byte for byte: case counts, and "%61" is "a".  What could mean one thing here and
 * another behind is refused with 400: an empty segment (but the last), a segment that decodes to
 * "." or "..", an encoded slash or NUL, and a '%' without two hexadecimal digits.  "/a" and "/a/"
 * are two paths.  The query is not looked at.
 *
 * PATTERNS  Segments of the same kind, written decoded, in UTF-8 where they are not ASCII:
 *   name    this segment
 *   :name   any one segment that is not empty; ws_request_param() gives it
 *   *name   last only: all that follows, slashes included, "" too
 * A name is one or more of A-Z a-z 0-9 and '_'.  "/files/" is another pattern than "/files"; what
 * "/files/" followed by "*rest" names begins at "/files/" itself.
 *
 * WHICH ONE  Only routes of the request's kind (WS_ROUTE_*) count.  A named host goes before
 * "*.example.com", a longer such before a shorter, any of them before NULL; of those, segment by
 * segment, a literal goes before ':' and that before '*'.  What no route takes gets 404
 * (RFC 6455 4.2.2); plain HTTP where there is one for upgrades alone gets 426 (RFC 9110 15.5.22).
 *
 * Add all routes first; from then on a router is only read, so servers on any number of threads
 * may use one.  It must outlive them; requests that wait for their answer it need not.
 */
#ifndef LIBWS_ROUTER_H
#define LIBWS_ROUTER_H

#include <libws/server.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ws_router_config {
  size_t size;         /* WS_INIT */
  uint32_t max_routes; /* [1024] */
} ws_router_config;

/* `cfg` may be NULL.  Errors: INVALID, UNSUPPORTED, NOMEM.  Thread: any. */
WS_API int ws_router_new(const ws_router_config *cfg, ws_router **out);
WS_API void ws_router_free(ws_router *router); /* Thread: any, after the servers that use it */

/* ws_route.flags: the kinds of request a route is for. */
enum {
  WS_ROUTE_UPGRADE = 1u << 0, /* opening handshakes (RFC 6455 4.2.1) */
  WS_ROUTE_HTTP = 1u << 1     /* plain GET and HEAD */
};

/* All is copied.  NULL, or a count of 0, stands for the server's setting everywhere. */
typedef struct ws_route {
  size_t size;         /* WS_INIT */
  const char *pattern; /* "/rooms/:id"; at most 1024 bytes and 64 segments */
  /* Host the request names, without its port: "example.com", an address, or "*.example.com" for
   * all names below it but not itself.  Case and one dot at the end do not count. */
  const char *host;
  const ws_handlers *handlers; /* of the connections accepted here */
  const ws_conn_config *conn;  /* their limits, as ws_accept.conn */
  const char *const *subprotocols;
  size_t subprotocol_count;
  /* As in ws_server_config, and instead of the server's. */
  const char *const *origins;
  size_t origin_count;
  /* May answer, at once or later; what it leaves unanswered, without keeping a reference, is
   * answered as ws_server_config.on_request says, with the settings of the route.  NULL = always
   * that, which for plain HTTP is no answer, so WS_ROUTE_HTTP needs one. */
  void (*on_request)(ws_request *r, void *user);
  /* For on_request and, unless accept says else, for connections.  Where the server's is the
   * router, connections get NULL instead. */
  void *user;
  uint32_t flags; /* WS_ROUTE_* [WS_ROUTE_UPGRADE] */
} ws_route;

/* Errors: INVALID (a pattern, host, subprotocol or origin that cannot be one, a route of this kind
 * is there for the same pattern and host, whatever its parameters are called), TOO_BIG
 * (max_routes), UNSUPPORTED, NOMEM. */
WS_API int ws_router_add(ws_router *router, const ws_route *route);

/* Find the route of a request and act on it: an on_request for ws_server_config, whose `user` is
 * the router.  A server that has this very function leaves Origin to the routes; one whose own
 * function calls it asks its own `origins` first.  A request without a route is
 * answered when this returns. */
WS_API void ws_router_on_request(ws_request *r, void *router);

#ifdef __cplusplus
} /* extern "C" */
#endif
#endif /* LIBWS_ROUTER_H */
