/*
 * libws/handover.h: restarting without a refused connection.
 *
 * The running process offers its listening sockets on a unix socket.  A new process takes them, so
 * that both accept for a moment, says that it is ready, and the old one stops gracefully.  No
 * moment is without a process that accepts, and what waits in the kernel's queue waits for either.
 *
 *   old: ws_handover_offer(loop, &cfg, &h);        on_taken: ws_server_drain() or
 * ws_pool_shutdown() new: ws_handover_take(path, 5000, &t);         CONNECT: nobody is there,
 * listen yourself ws_server_listen_fd(s, ws_takeover_claim(t, i), NULL);                       for
 * each ws_takeover_ready(t, 5000);  ws_takeover_free(t);  ws_handover_offer(...)
 *
 * Only a process of the same user, or of root, is given sockets, and only theirs are taken.
 * Connections are not handed over: they end with the old process, at its pace.
 */
#ifndef LIBWS_HANDOVER_H
#define LIBWS_HANDOVER_H

#include <libws/pool.h>
#include <libws/server.h>

#ifdef __cplusplus
extern "C" {
#endif

#define WS_HANDOVER_MAX 64 /* descriptors in one handover */

typedef struct ws_handover_config {
  size_t size;      /* WS_INIT */
  const char *path; /* of the unix socket, mode 0600; a leading '@' = abstract */

  /* What to hand over; the arrays are copied.  Before you close one of these, or free its server or
   * pool, free the handover. */
  ws_listener *const *listeners; /* of servers on the loop that makes the offer */
  size_t listener_count;
  ws_pool_listener *const *pool_listeners;
  size_t pool_listener_count;

  /* Somebody has taken the sockets and is ready: stop gracefully.  The path is free again, and the
   * files of unix sockets stay when the listeners close.  Once; may free the handover. */
  void (*on_taken)(void *user);
  void *user;
  uint32_t timeout_ms; /* for a taker, from connecting until it is ready [30000] */
} ws_handover_config;

/* Offer until it is taken or freed; takers come one after the other.  One that fails, dies or is
 * too slow before it was ready has changed nothing.  A stale socket file is replaced.
 * Errors: ADDR (path), INVALID (nothing to hand over, no on_taken), TOO_BIG (more than
 * WS_HANDOVER_MAX descriptors), IO, NOMEM. */
WS_API int ws_handover_offer(ws_loop *l, const ws_handover_config *cfg, ws_handover **out);

/* End the offer; the path is removed if it is still ours.  Gone with the loop if you do not. */
WS_API void ws_handover_free(ws_handover *h);

/* Ask for the sockets of whoever offers them at `path`, waiting up to timeout_ms (0: 5 seconds).
 * Not for a thread that runs a loop.  Thread: any.
 * Errors: CONNECT (nobody is there), INVALID (another user's; path), TIMEOUT, EOF (it ended, or
 * has been taken by another), PROTOCOL (what came makes no sense), IO, NOMEM. */
WS_API int ws_handover_take(const char *path, uint32_t timeout_ms, ws_takeover **out);

WS_API size_t ws_takeover_count(const ws_takeover *t); /* at least 1 */
/* Where the socket listens: "192.0.2.7:80", "[::]:443", "unix:PATH"; the same for several sockets
 * with SO_REUSEPORT, all of which must be served.  NULL for an index that is too large. */
WS_API const char *ws_takeover_name(const ws_takeover *t, size_t index);
/* The listening descriptor, which is yours from here on, for ws_server_listen_fd() or
 * ws_pool_listen_fd(); -1 when it has been claimed, or the index is too large. */
WS_API int ws_takeover_claim(ws_takeover *t, size_t index);

/* Tell the old process that this one accepts, and wait until it knows: from then on it stops, and
 * the path is free.  Errors: TIMEOUT, IO; EOF: it has ended, or gave up on us and goes on; STATE
 * (told already). */
WS_API int ws_takeover_ready(ws_takeover *t, uint32_t timeout_ms);

/* Close what was not claimed.  Before ws_takeover_ready(): the old process goes on as if nothing
 * had happened. */
WS_API void ws_takeover_free(ws_takeover *t);

#ifdef __cplusplus
} /* extern "C" */
#endif
#endif /* LIBWS_HANDOVER_H */
