/*
 * libws/conn.h: an open WebSocket connection and its callbacks; client and server alike.
 *
 * Lifetime: for each connection on_open comes once, then any of the middle callbacks, then
 * on_close once, always.  A connection whose handshake is not accepted has none of them.  A handle
 * that is still held after on_close (ws_conn_ref) is inert: every call on it returns WS_ERR_CLOSED
 * or an empty value, so "used a connection after it closed" cannot be a crash.
 *
 * Sending is all or nothing.  < 0: refused, nothing was queued.  0: accepted.
 * WS_BACKPRESSURE (1): accepted, now slow down until on_drain.  There is no partial write to
 * resume.  WS_DROPPED (2): the policy for slow receivers (ws_slow) has dropped this message; also
 * slow down.
 */
#ifndef LIBWS_CONN_H
#define LIBWS_CONN_H

#include <libws/config.h>
#include <libws/loop.h>
#include <libws/message.h>
#include <libws/tls.h>

#ifdef __cplusplus
extern "C" {
#endif

/* One table, shared by all connections of a server or client; NULL means "not interested".
 * `user` is the connection's user pointer.  Thread: the loop's. */
struct ws_handlers {
  size_t size; /* WS_INIT */
  void (*on_open)(ws_conn *c, void *user);

  /* A whole message, assembled and (text) checked to be UTF-8. */
  void (*on_message)(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user);

  /* If set, used instead of on_message, until ws_conn_set_chunks says otherwise: parts as they
   * arrive; `flags` holds WS_PART_FIRST on the first and WS_PART_LAST on the last.
   * max_message_bytes still bounds the sum. */
  void (*on_chunk)(ws_conn *c, ws_opcode op, uint32_t flags, const void *data, size_t len,
                   void *user);

  /* The queue fell to send_low_bytes, and nothing waits behind it, after a send reported
   * WS_BACKPRESSURE or WS_DROPPED. */
  void (*on_drain)(ws_conn *c, void *user);

  void (*on_ping)(ws_conn *c, const void *data, size_t len, void *user);
  void (*on_pong)(ws_conn *c, const void *data, size_t len, void *user);

  /* Last.  Free what `user` points to here.  `how` is valid during the call. */
  void (*on_close)(ws_conn *c, const ws_close_info *how, void *user);

  /* Where shall this message go?  Asked, where whole messages go to on_message, for one of 16 KiB
   * or more in a single frame, not compressed, that did not come in one read; when 16 KiB of it
   * are there.  Return `len` bytes: the payload is put there, without a copy of the library's, and
   * on_message gets that pointer as `data`.  They must stay valid until it does; when the
   * connection ends or is closed first, until on_close, and on_message does not come.  NULL: into
   * memory of the library.  max_message_bytes was judged before, so a peer that sends 16 KiB can
   * make you allocate that much for its connection, and no more at a time. */
  void *(*on_room)(ws_conn *c, ws_opcode op, size_t len, void *user);
};

WS_API ws_conn *ws_conn_ref(ws_conn *c); /* returns c.  Thread: any */
WS_API void ws_conn_unref(ws_conn *c);   /* Thread: any */

WS_API uint64_t ws_conn_id(const ws_conn *c);   /* unique in the process.  Thread: any */
WS_API ws_loop *ws_conn_loop(const ws_conn *c); /* NULL once on_close has returned */
WS_API void *ws_conn_user(const ws_conn *c);
WS_API void ws_conn_set_user(ws_conn *c, void *user);
WS_API const char *ws_conn_peer(const ws_conn *c); /* as ws_request_peer; valid until the next
                                                      call of it on this thread */

/* The same for the address on our side, as the system knows it when asked: of the socket, so a
 * client behind a proxy has the way to that.  "" once on_close has returned.  Valid until the next
 * call of it on this thread. */
WS_API const char *ws_conn_local(const ws_conn *c);

WS_API const char *ws_conn_subprotocol(const ws_conn *c); /* "" if none */
WS_API int ws_conn_is_open(const ws_conn *c);             /* 1 from on_open until a close begins */

/* How it is secured.  The strings are valid until on_close has returned.
 * Errors: STATE (plain), CLOSED, INVALID. */
WS_API int ws_conn_get_tls(const ws_conn *c, ws_tls_info *out);

/* The compression agreed on and what it has brought; a closed handle gives the final figures.
 * Errors: INVALID. */
WS_API int ws_conn_get_deflate(const ws_conn *c, ws_deflate_info *out);

/* Queue one message (op TEXT or BINARY).  Sends made inside a callback are written together when
 * the turn ends; outside one, at once, unless WS_SEND_LATER.  Text must be UTF-8 (RFC 6455 5.6)
 * and is checked, unless WS_SEND_NO_UTF8_CHECK.  `data` may be NULL when `len` is 0.
 * Where permessage-deflate was agreed on, a message of at least deflate_min_bytes is compressed
 * before this returns, unless it would get larger (with WS_DEFLATE_DEDICATED: by more
 * than 16 bytes); `flags` choose for one message.  One that waits (ws_conn_config.slow,
 * fragment_bytes) is copied, and compressed when its turn has come.
 * Errors: CLOSED, FULL, STATE (a message sent in parts is unfinished), UTF8, INVALID, NOMEM. */
WS_API int ws_conn_send(ws_conn *c, ws_opcode op, const void *data, size_t len, uint32_t flags);

/* Queue one piece of a message of unknown length as a frame of its own (RFC 6455 5.4); `last`
 * ends it.  `op` must be the same for all pieces.  Text is checked over all of them: a piece may
 * end inside a code point, the last may not.  Control frames may pass between pieces.  Pieces are
 * compressed where that was agreed on, whatever their size, and each leaves at once; with no
 * context (WS_DEFLATE_SHARED) each for itself.  What waits is queued before the first, and can no
 * longer be dropped.  Errors: as ws_conn_send. */
WS_API int ws_conn_send_part(ws_conn *c, ws_opcode op, const void *data, size_t len, int last);

/* Flags of ws_conn_send for the message that the next ws_conn_send_part begins.  Optional.
 * Errors: CLOSED, STATE (a message sent in parts is unfinished), UNSUPPORTED, INVALID (flags). */
WS_API int ws_conn_begin_parts(ws_conn *c, uint32_t flags);

/* Queue a prepared message; takes its own reference and, on servers, copies no more than
 * 256 bytes of it, or than one frame where fragment_bytes cuts it.
 * Compressed as by ws_conn_send, but each form of it only once; where messages may refer to earlier
 * ones, this one does not, and the next one after it cannot. */
WS_API int ws_conn_send_message(ws_conn *c, ws_message *m);

/* The same from any thread: in order per calling thread, silently dropped if the connection has
 * ended or is full by then (counted in messages_dropped).  Thread: any.
 * Errors: CLOSED (known already), INVALID, NOMEM. */
WS_API int ws_conn_post_message(ws_conn *c, ws_message *m);

/* ws_conn_close and ws_conn_abort from any thread, on any handle that is held: behind what this
 * thread has posted before.  `reason` is copied.  Thread: any.
 * Errors: CLOSED (known already), INVALID (NULL; code or reason), NOMEM. */
WS_API int ws_conn_post_close(ws_conn *c, uint16_t code, const char *reason);
WS_API int ws_conn_post_abort(ws_conn *c);

/* Inside on_message only: keep the message beyond the callback.  Free of copies when it was
 * assembled in a buffer of its own, one copy when it was not.  Errors: STATE, NOMEM. */
WS_API int ws_conn_keep_message(ws_conn *c, ws_message **out);

/* Control frames (RFC 6455 5.5.2, 5.5.3); at most 125 bytes.  pong is only needed for unsolicited
 * pongs or with WS_CONN_NO_AUTO_PONG.  Errors: CLOSED, FULL, INVALID, NOMEM. */
WS_API int ws_conn_ping(ws_conn *c, const void *data, size_t len);
WS_API int ws_conn_pong(ws_conn *c, const void *data, size_t len);

/* Write queued data now instead of at the end of the turn.  Errors: CLOSED. */
WS_API int ws_conn_flush(ws_conn *c);

/* Bytes queued, not yet written; of messages that wait, as if they were not compressed. */
WS_API uint64_t ws_conn_buffered(const ws_conn *c);

/* Hold messages back, and let them come again.  After pause no on_message or on_chunk runs; resume
 * continues on the next turn.  They do not nest, and ws_conn_close ends a pause: the peer's Close
 * must be read.
 *
 * Meanwhile read_ahead_bytes more are read and kept, and TCP pushes back on the peer beyond them.
 * Pings and pongs among them are handled when they are found, although they stand behind messages
 * that wait or between the fragments of one (RFC 6455 5.5): a ping is answered, on_ping and on_pong
 * run.  A Close, a broken rule and the end of the stream wait for their turn, and with them what
 * stands behind.  What only the content of a message shows (UTF-8, compressed data) is found when
 * it is told.  A connection that is lost (reset, TLS failure) ends at once.
 *
 * While there is room to read ahead, idle_timeout_ms and pings go on: the peer's pongs are seen.
 * Once it is full they are suspended, for then the silence is ours, and when reading goes on the
 * peer has a full interval.  Errors: CLOSED. */
WS_API int ws_conn_pause(ws_conn *c);
WS_API int ws_conn_resume(ws_conn *c);

/* Receive by credit: `n` more messages may come, each takes one (in chunks: the last chunk does);
 * with none left they are held back as by pause, but a Close with no message in front of it needs
 * no credit.  The first call, with 0 too, begins it; before it everything comes.  Called in on_open
 * it holds for what the peer sent with its handshake.  Calls add up, to WS_NEVER - 1 at most;
 * WS_NEVER itself ends it: everything comes again.  A pause and missing credit are independent:
 * messages come when neither is in the way.  ws_conn_close ends both.  Errors: CLOSED. */
WS_API int ws_conn_demand(ws_conn *c, uint32_t n);

/* How messages are told.  1: parts go to on_chunk as they arrive; 0: whole messages go to
 * on_message.  A connection whose handlers have on_chunk begins with 1.  It holds from the next
 * message on: one whose first frame has begun is finished the way it was begun.  Calling it again
 * is harmless.  Errors: INVALID (its handlers have no such callback), CLOSED. */
WS_API int ws_conn_set_chunks(ws_conn *c, int on);

/* Closing handshake (RFC 6455 7.1.2): what is queued, or waits, is sent, then Close(code, reason);
 * later sends fail with CLOSED and later messages are dropped.  on_close follows from the loop
 * within close_timeout_ms.  `code` is 1000 to 1003, 1007 to 1014 or 3000 to 4999 (RFC 6455 7.4;
 * 1010 only from a client), or 0 for a Close without a code; `reason` is UTF-8 of at most 123
 * bytes, or NULL. Calling it again is harmless: CLOSED.  Errors: INVALID (code or reason), CLOSED.
 */
WS_API int ws_conn_close(ws_conn *c, uint16_t code, const char *reason);

/* Drop it now: nothing more is sent; on_close follows from the loop, with CANCELLED. */
WS_API void ws_conn_abort(ws_conn *c);

typedef struct ws_conn_stats {
  size_t size; /* WS_INIT */
  uint64_t messages_in, messages_out;
  uint64_t bytes_in, bytes_out; /* on the transport, handshake included */
  uint64_t messages_dropped;    /* posted or published, but it was full or had ended; dropped by a
                                   policy; or waiting when it ended */
  uint32_t rtt_us;              /* last keepalive ping; UINT32_MAX before the first */
  /* What can still be dropped, replaced or passed, or is yet to be cut into frames;
   * ws_conn_buffered counts it too. */
  uint32_t waiting_messages;
  uint64_t waiting_bytes;
} ws_conn_stats;

/* Works on closed handles too: the final figures.  Errors: INVALID. */
WS_API int ws_conn_get_stats(const ws_conn *c, ws_conn_stats *out);

#ifdef __cplusplus
} /* extern "C" */
#endif
#endif /* LIBWS_CONN_H */
