/*
 * libws/config.h: limits and timeouts of one connection, and how a connection ended.
 * docs/limits.md lists each limit with what the peer sees when it is met.
 */
#ifndef LIBWS_CONFIG_H
#define LIBWS_CONFIG_H

#include <libws/base.h>
#include <libws/message.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ws_conn_config.flags */
enum {
  WS_CONN_NO_AUTO_PONG = 1u << 0,  /* pings are reported and you answer them */
  WS_CONN_NO_UTF8_CHECK = 1u << 1, /* incoming text is not validated */
  WS_CONN_NAGLE = 1u << 2          /* leave TCP_NODELAY off */
};

/* How permessage-deflate (RFC 7692) is used; docs/compression.md has figures to choose by. */
typedef enum ws_deflate {
  WS_DEFLATE_DEFAULT = 0,  /* SHARED */
  WS_DEFLATE_OFF = 1,      /* never offered, never agreed to */
  WS_DEFLATE_SHARED = 2,   /* each message for itself ("no context takeover"): the streams belong to
                              the loop, and a connection needs no memory */
  WS_DEFLATE_DEDICATED = 3 /* a message may refer to earlier ones: better ratio for small messages
                              of one kind, memory for each connection */
} ws_deflate;

/* What happens to a peer that sends more than max_message_rate or max_byte_rate. */
typedef enum ws_rate {
  WS_RATE_DEFAULT = 0, /* DELAY */
  WS_RATE_DELAY = 1,   /* nothing more is read, or told, until the rate has room; TCP pushes back */
  WS_RATE_CLOSE = 2    /* close 1008 */
} ws_rate;

/* Limits, keepalive and compression of one connection, shared by the engine, the server and the
 * client.  Zero means the default in brackets.  Times are at most INT32_MAX ms, or WS_NEVER. */
typedef struct ws_conn_config {
  size_t size; /* WS_INIT */
  uint32_t flags;
  uint32_t handshake_timeout_ms; /* accept to open, absolute: bytes do not re-arm it [10000] */
  uint32_t idle_timeout_ms;      /* nothing received, pongs count [40000] */
  uint32_t ping_interval_ms;     /* ping when nothing was received this long [20000] */
  uint32_t send_timeout_ms;      /* data is queued and the peer takes none of it; runs while
                                    paused too [30000] */
  uint32_t close_timeout_ms;     /* closing handshake, absolute; then abort [5000] */
  uint64_t max_message_bytes;    /* payload of one message, decompressed; above: close 1009
                                    [1 MiB] */
  uint64_t max_header_bytes;     /* whole HTTP head; above: 431 [16 KiB] */
  uint32_t max_header_count;     /* header lines; above: 431 [100] */
  uint32_t max_fragments;        /* frames of one message, empty ones count; above: close 1008
                                    [1024 + max_message_bytes / 256] */
  /* The three marks count frames; over TLS up to 132 KiB of ciphertext wait below them. */
  uint64_t send_high_bytes;  /* sends report WS_BACKPRESSURE above [256 KiB] */
  uint64_t send_low_bytes;   /* on_drain at or below [64 KiB] */
  uint64_t send_limit_bytes; /* sends that would pass it fail with WS_ERR_FULL, or as `slow` says;
                                a message that waits counts with 192 bytes more [16 MiB] */

  /* permessage-deflate.  What is agreed on is never more than what both sides ask for. */
  ws_deflate deflate;           /* for what we send; OFF turns the extension off [SHARED] */
  ws_deflate deflate_recv;      /* for what the peer sends: SHARED or DEDICATED [as deflate] */
  uint32_t deflate_level;       /* 1 fast to 9 small [1] */
  uint32_t deflate_window_bits; /* DEDICATED, both ways: how far a message may refer back is
                                   2^this bytes, 9 to 15 [12] */
  uint32_t deflate_mem_level;   /* DEDICATED: 1 to 9, of the compressor (zlib's memLevel) [5] */
  uint32_t deflate_idle_ms;     /* DEDICATED: a compressor unused this long is freed, and the next
                                   message begins a new context [30000] */
  uint64_t deflate_min_bytes;   /* shorter messages are sent as they are; WS_UNLIMITED: all are, the
                                   peer alone compresses [256; 32 where what we send may refer to
                                   earlier messages] */

  /* Of a connection; an engine alone has nothing that waits and ignores these two. */
  ws_slow slow; /* for messages that do not choose [REFUSE] */
  /* A larger message leaves as frames of this size (RFC 6455 5.4), made as the queue empties:
   * control frames pass between them, and urgent messages wait for one message at most.
   * At least 1024 [0: one frame] */
  uint64_t fragment_bytes;

  /* What the peer may send.  The rates are token buckets that hold one second's worth and begin
   * full, at the open. */
  uint64_t read_ahead_bytes; /* read while messages are held back (ws_conn_pause, ws_conn_demand)
                                or delayed, to find control frames behind them [64 KiB] */
  uint32_t max_control_rate; /* pings and pongs a second, after a burst of as many; pongs that
                                answer a keepalive ping do not count; above: close 1008; at most
                                65535, or WS_NEVER [100] */
  uint32_t max_message_rate; /* messages a second, a chunked one by its first chunk [WS_NEVER] */
  uint64_t max_byte_rate;    /* bytes a second on the transport, at most 2^40; a message that
                                begins while there is room passes whole, and leaves a debt when
                                it is longer [WS_UNLIMITED] */
  ws_rate over_rate;         /* for the two above; to close, messages count when they arrive, held
                                back or not; to delay, when they are told [WS_RATE_DELAY] */
  uint32_t lifetime_ms;      /* from on_open, absolute; then Close 1001 "lifetime", as by
                                ws_conn_close: messages held back are dropped; a client connects
                                again if it may [WS_NEVER] */
} ws_conn_config;

/* ws_close_info.flags */
enum {
  WS_CLOSE_CLEAN = 1u << 0,  /* Close frames went both ways (RFC 6455 7.1.4) */
  WS_CLOSE_BY_PEER = 1u << 1 /* the peer's Close, or the end of its stream, came first */
};

/* How a connection ended, or why it never opened.  The library fills it: check `size` before
 * reading members newer than 0.1. */
typedef struct ws_close_info {
  size_t size;
  int error;          /* WS_OK after a clean close, else a ws_error */
  uint16_t code;      /* code received; 1005: a Close without one; 1006: no Close frame */
  uint16_t sent_code; /* code we sent; 1005: a Close without one; 0: none sent */
  uint32_t flags;     /* WS_CLOSE_* */
  int sys_errno;      /* 0 unless the system gave one */
  int http_status;    /* the status that refused the handshake, sent or received; else 0 */
  const char *reason; /* the peer's close reason, valid UTF-8, "" if none */
  size_t reason_len;
  const char *detail; /* for logs, never NULL, printable */
} ws_close_info;

/* ws_deflate_info.flags */
enum {
  WS_DEFLATE_AGREED = 1u << 0,        /* permessage-deflate is in use; else all members are 0 */
  WS_DEFLATE_SEND_TAKEOVER = 1u << 1, /* our messages may refer to earlier ones */
  WS_DEFLATE_RECV_TAKEOVER = 1u << 2  /* the peer's may */
};

/* What was agreed on in the opening handshake, and what it has brought.  The bytes are payload of
 * the messages that were compressed, without frame headers: before, and as they travelled. */
typedef struct ws_deflate_info {
  size_t size;               /* WS_INIT */
  uint32_t flags;            /* WS_DEFLATE_* */
  uint32_t send_window_bits; /* 8 to 15.  8: nothing is compressed, see docs/compression.md */
  uint32_t recv_window_bits; /* 8 to 15 */
  uint64_t sent_plain_bytes, sent_wire_bytes;
  uint64_t received_plain_bytes, received_wire_bytes;
  uint64_t context_bytes; /* held for this connection now */
} ws_deflate_info;

#ifdef __cplusplus
} /* extern "C" */
#endif
#endif /* LIBWS_CONFIG_H */
