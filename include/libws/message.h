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

WS_API ws_message *ws_message_ref(ws_message *m); /* returns m */
WS_API void ws_message_unref(ws_message *m);

WS_API ws_opcode ws_message_opcode(const ws_message *m);

/* The payload; valid while the message is. */
WS_API ws_slice ws_message_data(const ws_message *m);

#ifdef __cplusplus
} /* extern "C" */
#endif
#endif /* LIBWS_MESSAGE_H */
