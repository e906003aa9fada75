/*
 * libws/engine.h: the WebSocket protocol without I/O, for programs that have their own.
 *
 * An engine is one connection, client or server (RFC 6455).  It never blocks, reads no clock,
 * opens nothing and calls nothing of yours but `random`.  Drive it like this:
 *
 *   ws_engine_tick(e, now);                           time goes in
 *   ws_engine_feed(e, buf, n);                        bytes go in
 *   while (ws_engine_next(e, &ev) == 1) handle(&ev);  events come out
 *   n = ws_engine_output(e, iov, 16);                 bytes come out
 *   ws_engine_sent(e, writev(fd, iov, n));
 *   wait as ws_engine_want(e) and ws_engine_deadline(e) say
 *
 * However the bytes are split between feeds, the events are the same.
 */
#ifndef LIBWS_ENGINE_H
#define LIBWS_ENGINE_H

#include <libws/config.h>
#include <libws/message.h>
#include <libws/request.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ws_engine_config.flags */
enum {
  WS_ENGINE_CHUNKS = 1u << 0 /* deliver parts of messages as they arrive, assemble nothing */
};
typedef struct ws_engine_config {
  size_t size; /* WS_INIT */
  uint32_t flags;
  const ws_conn_config *conn; /* NULL = defaults; WS_CONN_NAGLE is ignored */
  /* Fill `out` with unpredictable bytes and return 0; anything else fails the call that needed
   * them.  Masking keys and handshake keys come from here.  NULL = OpenSSL's generator. */
  int (*random)(void *user, void *out, size_t len);
  void *user;
} ws_engine_config;

/* What a client asks for (RFC 6455 4.1). */
typedef struct ws_open {
  size_t size;              /* WS_INIT */
  const char *host;         /* Host header, with the port unless it is the default; required */
  const char *target;       /* "/path?query"; NULL = "/" */
  const ws_header *headers; /* extra: Authorization, Cookie, Origin... */
  size_t header_count;
  const char *const *subprotocols; /* in order of preference, distinct tokens */
  size_t subprotocol_count;
} ws_open;

/* Errors: INVALID (config out of range; for a client a host, target, header or subprotocol
 * that cannot be sent), UNSUPPORTED, NOMEM, IO (no random bytes).  A client's request is ready
 * in ws_engine_output() at once. */
WS_API int ws_engine_new_server(const ws_engine_config *cfg, ws_engine **out);
WS_API int ws_engine_new_client(const ws_engine_config *cfg, const ws_open *open, ws_engine **out);
WS_API void ws_engine_free(ws_engine *e);

/* Give the engine bytes from the peer; all of them are taken.  Call ws_engine_next() until it
 * returns 0 before feeding again (else STATE).  The in-place form unmasks inside `data`, which
 * must stay valid and untouched until then; the plain form works on a copy.
 * Bytes given while a request waits for its answer are held, up to one feed: WS_WANT_READ is
 * off meanwhile.  Errors: STATE, NOMEM. */
WS_API int ws_engine_feed(ws_engine *e, const void *data, size_t len);
WS_API int ws_engine_feed_inplace(ws_engine *e, void *data, size_t len);

/* Receive without copying: where the engine wants the next bytes to be read, inside the message
 * it is assembling when that is larger than one read; *len is 0 when any buffer will do.  After
 * reading n bytes there call landed instead of feed, and then next as after feed.
 * Errors of landed: STATE, INVALID (n is more than was offered). */
WS_API void ws_engine_landing(ws_engine *e, void **buf, size_t *len);
WS_API int ws_engine_landed(ws_engine *e, size_t n);

/* The peer will send no more (read returned 0 or failed); then call next.  Idempotent. */
WS_API int ws_engine_feed_eof(ws_engine *e);

typedef enum ws_event_type {
  WS_EV_REQUEST = 1, /* server: answer ws_engine_request() by accept or respond */
  WS_EV_OPEN = 2,    /* handshake done */
  WS_EV_MESSAGE = 3, /* data, len, op: a whole message, or a part with WS_ENGINE_CHUNKS */
  WS_EV_PING = 4,    /* data, len; a pong is queued unless WS_CONN_NO_AUTO_PONG */
  WS_EV_PONG = 5,    /* data, len */
  WS_EV_CLOSED = 6   /* always last, exactly once: `close` says how */
} ws_event_type;

typedef struct ws_event {
  size_t size; /* WS_INIT, once */
  ws_event_type type;
  ws_opcode op;
  uint32_t flags;   /* MESSAGE: WS_PART_FIRST, WS_PART_LAST; a whole message has both */
  const void *data; /* valid until the next feed, next or free */
  size_t len;
  const ws_close_info *close; /* CLOSED only; valid while the engine is */
} ws_event;

/* 1: *ev holds the next event.  0: nothing more until more bytes, an answer or a tick.
 * A peer that breaks the protocol is an event (CLOSED with .error), not an error of this call;
 * the Close frame or the HTTP error for it is already queued.  Errors: INVALID. */
WS_API int ws_engine_next(ws_engine *e, ws_event *ev);

/* Up to `max` slices of what must be written, in order; returns how many.  They stay valid until
 * the next call on this engine that is not a getter; ws_engine_sent() says how many bytes went,
 * also when that was 0, which starts send_timeout_ms.
 * Errors of sent: INVALID (more than is queued). */
WS_API size_t ws_engine_output(ws_engine *e, ws_slice *out, size_t max);
WS_API int ws_engine_sent(ws_engine *e, size_t bytes);

enum {
  WS_WANT_READ = 1u << 0,
  WS_WANT_WRITE = 1u << 1, /* ws_engine_output() has something */
  WS_WANT_EOF = 1u << 2,   /* output is flushed: shut down the write side, go on reading */
  WS_WANT_CLOSE = 1u << 3  /* done: close the transport */
};
WS_API uint32_t ws_engine_want(const ws_engine *e);

/* Tell the engine the time and let due timeouts act; then call next.  Any monotonic millisecond
 * clock will do, a fake one too.  The first tick starts the handshake timeout.
 * deadline: when to tick at the latest; UINT64_MAX = never.
 * A peer above max_message_rate or max_byte_rate that is to be delayed: WS_WANT_READ is off until
 * the tick at the deadline, and so is next for messages already fed, which wait inside.  Bytes fed
 * all the same are a debt to max_byte_rate; for messages that wait, feed says STATE.
 * read_ahead_bytes is not used. */
WS_API int ws_engine_tick(ws_engine *e, uint64_t now_ms);
WS_API uint64_t ws_engine_deadline(const ws_engine *e);

/* The pending request between WS_EV_REQUEST and its answer, else NULL.  Borrowed. */
WS_API ws_request *ws_engine_request(ws_engine *e);

/* A header of the handshake response a client received; NULL if absent.  `len` may be NULL.
 * Valid until the engine is freed.  Repeated fields are joined with ", ". */
WS_API const char *ws_engine_response_header(const ws_engine *e, const char *name, size_t *len);

/* Body of a response that refused the handshake, as far as it has arrived, at most 64 KiB. */
WS_API ws_slice ws_engine_response_body(const ws_engine *e);

WS_API const char *ws_engine_subprotocol(const ws_engine *e); /* "" if none */

/* As ws_conn_get_deflate().  Streams that connections of a loop would share, an engine has for
 * itself: up to 400 KiB while it compresses and decompresses, given back by the first next after
 * deflate_idle_ms without either. */
WS_API int ws_engine_get_deflate(const ws_engine *e, ws_deflate_info *out);

WS_API uint64_t ws_engine_buffered(const ws_engine *e); /* bytes queued, not yet sent */

/* Queue output.  Same contract as their ws_conn_ twins in conn.h. */
WS_API int ws_engine_send(ws_engine *e, ws_opcode op, const void *data, size_t len, uint32_t flags);
WS_API int ws_engine_send_part(ws_engine *e, ws_opcode op, const void *data, size_t len, int last);
WS_API int ws_engine_begin_parts(ws_engine *e, uint32_t flags);
WS_API int ws_engine_send_message(ws_engine *e, ws_message *m);
WS_API int ws_engine_ping(ws_engine *e, const void *data, size_t len);
WS_API int ws_engine_pong(ws_engine *e, const void *data, size_t len);
WS_API int ws_engine_close(ws_engine *e, uint16_t code, const char *reason);

#ifdef __cplusplus
} /* extern "C" */
#endif
#endif /* LIBWS_ENGINE_H */
