/*
 * libws/message.h: an immutable, counted message that many connections can send.
 *
 * Its compressed forms are kept, so sending it to N connections deflates it once for each pair of
 * window and level among them (permessage-deflate, RFC 7692).
 * Every entry here: Thread: any.
 */
#ifndef LIBWS_MESSAGE_H
#define LIBWS_MESSAGE_H

#include <libws/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Frame opcodes, RFC 6455 11.8. */
typedef enum ws_opcode {
  WS_OP_TEXT = 1,
  WS_OP_BINARY = 2,
  WS_OP_CLOSE = 8,
  WS_OP_PING = 9,
  WS_OP_PONG = 10
} ws_opcode;

/* which part of a message this is */
enum { WS_PART_FIRST = 1u << 0, WS_PART_LAST = 1u << 1 };

/* flags of send */
enum {
  WS_SEND_NO_UTF8_CHECK = 1u << 0, /* the caller knows that text is UTF-8 */
  WS_SEND_LATER = 1u << 1,         /* leave the write to the end of the turn, or to flush */
  /* These three matter where permessage-deflate was agreed on, and are ignored elsewhere. */
  WS_SEND_NO_DEFLATE = 1u << 2, /* do not compress: compressed already, or a secret beside text
                                   that an attacker chooses (RFC 7692 8) */
  WS_SEND_DEFLATE = 1u << 3     /* compress whatever its size and content */
};
/* Compress this message with level n, 1 to 9, instead of deflate_level.  A connection with a
 * context of its own forgets it when the level changes. */
#define WS_SEND_LEVEL(n) ((uint32_t)(n) << 8)

/* What happens to a message when its receiver is slow (docs/slow-peers.md).  Nothing is dropped
 * once its first byte has been handed to the socket's queue.  A message that could never fit
 * send_limit_bytes is refused with FULL whatever its policy. */
typedef enum ws_slow {
  WS_SLOW_DEFAULT = 0, /* as the connection's ws_conn_config.slow */
  /* When it does not fit send_limit_bytes: */
  WS_SLOW_REFUSE = 1,      /* the send fails with FULL */
  WS_SLOW_CLOSE = 2,       /* the connection is closed with 1013, the send fails with CLOSED */
  WS_SLOW_DROP_NEWEST = 3, /* it is dropped */
  /* These wait where they can be dropped, above send_high_bytes.  When one does not fit, the oldest
   * of them that wait are dropped until it does, the least urgent first and none that is more
   * urgent; if that would not be enough, it is dropped itself. */
  WS_SLOW_DROP_OLDEST = 4,
  WS_SLOW_LATEST = 5 /* and it takes the place of the one with the same key that waits, which is
                        dropped */
} ws_slow;

/* A message with a copy of `data`.  `op` is TEXT or BINARY; `data` may be NULL when `len` is 0.
 * Text must be UTF-8 (RFC 6455 5.6): that is checked here, once.
 * Errors: INVALID, UTF8, NOMEM. */
WS_API int ws_message_new(ws_opcode op, const void *data, size_t len, ws_message **out);

/* The same without copying: `data` stays yours and unchanged until `release` is called, exactly
 * once, on whichever thread drops the last reference.  `release` may be NULL for static data.
 * When the call fails, `release` is not called.  Errors: as ws_message_new. */
WS_API int ws_message_wrap(ws_opcode op, const void *data, size_t len,
                           void (*release)(void *arg, const void *data, size_t len), void *arg,
                           ws_message **out);

/* Flags of ws_conn_send for whoever sends it: WS_SEND_LATER, WS_SEND_NO_DEFLATE, WS_SEND_DEFLATE,
 * WS_SEND_LEVEL.  To be called before it is first sent.  Errors: INVALID, UNSUPPORTED. */
WS_API int ws_message_set_flags(ws_message *m, uint32_t flags);

/* Instead of the connection's policy.  To be called before it is first sent.
 * Errors: INVALID (not a ws_slow). */
WS_API int ws_message_set_slow(ws_message *m, ws_slow slow);

/* What it tells of, for WS_SLOW_LATEST: 1 to 255 bytes, copied.  Messages without a key, and those
 * of ws_conn_send, are all of one kind.  To be called before it is first sent.
 * Errors: INVALID (length), NOMEM. */
WS_API int ws_message_set_key(ws_message *m, const void *key, size_t len);

/* 0, the default, to 3.  The more urgent of the messages that wait is sent first, those of one
 * urgency in order; it never comes between the frames of another.  Once a connection was sent an
 * urgent message, whatever is sent above send_high_bytes waits, so that the next can pass it.  To
 * be called before it is first sent.  Errors: INVALID (above 3). */
WS_API int ws_message_set_urgency(ws_message *m, unsigned urgency);

WS_API ws_message *ws_message_ref(ws_message *m); /* returns m */
WS_API void ws_message_unref(ws_message *m);

WS_API ws_opcode ws_message_opcode(const ws_message *m);

/* The payload; valid while the message is. */
WS_API ws_slice ws_message_data(const ws_message *m);

#ifdef __cplusplus
} /* extern "C" */
#endif
#endif /* LIBWS_MESSAGE_H */
