/*
 * libws/sync.h: a blocking client without callbacks, for programs that do one thing at a time.
 *
 *   ws_sync *ws;
 *   if (ws_sync_connect("wss://example.com/feed", NULL, &ws) < 0) die(ws_last_detail());
 *   ws_sync_send(ws, WS_OP_TEXT, "hello", 5);
 *   ws_opcode op; const void *data; size_t len;
 *   while (ws_sync_recv(ws, WS_NEVER, &op, &data, &len) == 0) use(data, len);
 *   ws_sync_free(ws);
 *
 * It has a loop of its own, which runs inside these calls only: pings are answered and timeouts
 * act while one of them runs.  A program that calls none for longer than the server's patience
 * should use client.h.  Thread: one at a time.
 */
#ifndef LIBWS_SYNC_H
#define LIBWS_SYNC_H

#include <libws/client.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Connect and return when the connection is open.  `cfg` may be NULL; its url, handlers and
 * callbacks must be NULL (INVALID), its retry_count counts attempts to open, and an open
 * connection that ends is not opened again.  Waits at most handshake_timeout_ms per attempt.
 * Errors: those of ws_client_new() and what ws_close_info.error can hold before on_open;
 * ws_last_detail() has its detail. */
WS_API int ws_sync_connect(const char *url, const ws_client_config *cfg, ws_sync **out);

/* Aborts if it is still open. */
WS_API void ws_sync_free(ws_sync *s);

/* Send one message; returns when the kernel has taken it up to send_high_bytes, so a slow peer
 * slows the program down.  Messages that arrive meanwhile wait for ws_sync_recv().
 * WS_DROPPED if ws_conn_config.slow says so.
 * Errors: CLOSED, UTF8, TOO_BIG, INVALID, NOMEM, TIMEOUT (send_timeout_ms: the connection has
 * ended). */
WS_API int ws_sync_send(ws_sync *s, ws_opcode op, const void *data, size_t len);

/* Wait for the next message, at most timeout_ms (0: only look; WS_NEVER).  `data` is valid until
 * the next call of recv or free.  What arrives while other calls run is kept, up to
 * send_limit_bytes with 512 added for each message; what arrives between calls waits in the kernel.
 * Errors: TIMEOUT (nothing came; try again), CLOSED (the connection ended, all messages were
 * given; ws_sync_how() tells how), INVALID, NOMEM. */
WS_API int ws_sync_recv(ws_sync *s, uint32_t timeout_ms, ws_opcode *op, const void **data,
                        size_t *len);

/* Closing handshake (code and reason as ws_conn_close): returns when the connection has ended, at
 * most close_timeout_ms later.  Messages that come meanwhile are dropped.  0 when both Close
 * frames went; otherwise what went wrong.  Calling it again is harmless. */
WS_API int ws_sync_close(ws_sync *s, uint16_t code, const char *reason);

/* How it ended; NULL while it is open.  Valid until free. */
WS_API const ws_close_info *ws_sync_how(const ws_sync *s);

/* The client and the connection inside, for what has no call here: subprotocol, response headers,
 * statistics.  Borrowed; do not free, close or send with them.  The connection is NULL when it has
 * ended. */
WS_API ws_client *ws_sync_client(const ws_sync *s);
WS_API ws_conn *ws_sync_conn(const ws_sync *s);

#ifdef __cplusplus
} /* extern "C" */
#endif
#endif /* LIBWS_SYNC_H */
