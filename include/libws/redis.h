/*
 * libws/redis.h: the topics of a hub in many processes, by way of Redis.
 *
 * A bridge publishes to Redis what is published to its hub, and publishes to its hub what other
 * bridges put there; so each process keeps its own connections, and all have the same topics.
 * It is a library of its own, libws-redis, on the public functions of libws.  libws/ws.h does not
 * include this header, and libws does not need it.
 *
 * What it promises.  A bridge receives what another one published while both were connected
 * exactly once, and in the order in which the other hub handed it to its bridge.  What Redis did
 * not confirm before a connection was lost is sent again, and who has it already drops it.  What
 * is published while this bridge has lost Redis waits, up to max_queued_bytes.  Redis itself keeps
 * nothing: what others publish while this bridge is not connected, it misses.
 *
 * What is on the wire.  Messages travel by PUBLISH in the channel `prefix` + topic; topics are
 * subscribed to with SUBSCRIBE, patterns with PSUBSCRIBE.  The payload has 26 bytes before the
 * message: 1 (version), the opcode, 16 random bytes that name the bridge, and a number of 8 bytes
 * in network order that counts its messages.  Flags (ws_message_set_flags) do not travel.
 * Anything else in these channels is ignored and counted.  Channels are common to all databases of
 * a Redis: keep applications apart by prefix.  A Redis before 6.0 and a cluster's redirections have
 * not been tried.
 *
 * Who can publish to Redis can publish to every client: protect it.  Patterns cost Redis time for
 * each message it gets, so think before you let clients choose them.
 *
 * Every entry: Thread: the loop's; ws_redis_last_detail: any.  A bridge that was made before a
 * fork() cannot be used or freed in the child.  Its own memory, hiredis' and OpenSSL's do not come
 * from ws_set_allocator().
 */
#ifndef LIBWS_REDIS_H
#define LIBWS_REDIS_H

#include <libws/hub.h>
#include <libws/loop.h>
#include <libws/tls.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ws_redis_bridge ws_redis_bridge; /* owner */

typedef enum ws_redis_event {
  WS_REDIS_CONNECTED = 1, /* all topics are subscribed to; what waited is on its way */
  WS_REDIS_LOST = 2,      /* it was connected */
  WS_REDIS_FAILED = 3     /* an attempt to connect has failed */
} ws_redis_event;

typedef struct ws_redis_state {
  size_t size;
  ws_redis_event event;

  /* LOST, FAILED: a ws_error and what happened, with Redis' own words where it gave some: DNS,
   * CONNECT (no connection, or Redis refused what was asked of it), TLS, TLS_VERIFY, EOF, IO,
   * TIMEOUT, PROTOCOL (what came is not Redis' protocol), TOO_BIG, NOMEM. */
  int error;
  const char *detail;
  uint32_t retry_in_ms; /* when the next attempt starts */

  /* CONNECTED: the gap. */
  int missed;       /* 1: others may have published what this hub never got; 0: the first time */
  uint64_t down_ms; /* since LOST, or since the bridge was made */
  uint64_t dropped; /* own messages given up since the last CONNECTED */
} ws_redis_state;

typedef struct ws_redis_config {
  size_t size; /* WS_INIT */

  /* redis://[[user]:password@]host[:port][/database], with TLS: rediss://..., or
   * unix://[[user]:password@]/path.  A password may have %XX.  Port [6379].  Required. */
  const char *url;
  const char *prefix; /* of channels, up to 256 bytes ["ws:"] */

  uint32_t retry_min_ms;       /* bound of the first delay, doubled each time [100] */
  uint32_t retry_max_ms;       /* up to this; the delay is uniformly random below the bound, so
                                  that many processes do not come back at once [5000] */
  uint32_t connect_timeout_ms; /* from the look-up to the last subscription [10000] */
  uint32_t ping_interval_ms;   /* a connection is lost when nothing moved for two of them [5000] */

  uint64_t max_queued_bytes;  /* published, not yet confirmed by Redis: payloads and topics, 64
                                 bytes added for each message; beyond, what waits longest for
                                 being sent is dropped, and counted [16 MiB] */
  uint64_t max_message_bytes; /* what one answer of Redis may take; beyond, the connection is lost
                                 (TOO_BIG) [64 MiB] */

  /* rediss: as in ws_tls_config. */
  const char *ca_file;              /* [the system's roots] */
  const char *cert_file, *key_file; /* our own, for a Redis that asks; key [in cert_file] */
  ws_tls_verify verify;             /* DEFAULT (chain and name) or NONE, for tests only */

  void (*on_state)(ws_redis_bridge *b, const ws_redis_state *state, void *user);
  void *user;
} ws_redis_config;

/* Set the bridge of `hub` (ws_hub_set_bridge) and start to connect.  The bridge holds a reference
 * to the hub.  Free it before the loop: ws_loop_free() does not.
 * Errors: INVALID, UNSUPPORTED, TLS_CONFIG, IO (no random bytes), NOMEM, those of
 * ws_hub_set_bridge. */
WS_API int ws_redis_bridge_new(ws_hub *hub, ws_loop *loop, const ws_redis_config *cfg,
                               ws_redis_bridge **out);

/* Take the bridge off its hub, and close its connections after one attempt to write what waits.
 * Also from on_state. */
WS_API void ws_redis_bridge_free(ws_redis_bridge *b);

typedef struct ws_redis_stats {
  size_t size;           /* WS_INIT */
  int connected;         /* now */
  uint64_t connects;     /* times it became connected */
  uint64_t published;    /* messages Redis has confirmed */
  uint64_t received;     /* messages of others published to the hub */
  uint64_t own;          /* messages of our own that came back */
  uint64_t duplicates;   /* messages of others that came before */
  uint64_t malformed;    /* what came in our channels and is no message of a bridge */
  uint64_t dropped;      /* own messages given up: queue full, memory, or refused */
  uint64_t refused;      /* those of them that Redis answered with an error */
  uint64_t queued_bytes; /* counted as max_queued_bytes is, now */
  uint64_t queued;       /* messages in the queue, now */
  uint64_t topics;       /* names and patterns subscribed to, or to be */
} ws_redis_stats;
WS_API int ws_redis_bridge_get_stats(const ws_redis_bridge *b, ws_redis_stats *out);

/* What ws_last_detail() is for libws. */
WS_API const char *ws_redis_last_detail(void);

#ifdef __cplusplus
} /* extern "C" */
#endif
#endif /* LIBWS_REDIS_H */
