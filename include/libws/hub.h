/*
 * libws/hub.h: topics and their subscribers, over any number of loops and threads of a process.
 *
 * A topic is a name of 1 to 1024 bytes, in segments separated by '/'; a segment may be empty.  It
 * exists while somebody is subscribed to it.  A connection subscribes to a name, or to a pattern of
 * at most 32 segments: a segment "*" stands for exactly one segment, and "**", only as the last
 * one, for one or more.  So "news/" followed by "**" matches "news/a" and "news/a/b", not "news".
 * A '*' anywhere else is WS_ERR_INVALID.  Names are compared byte by byte.
 *
 * What is published reaches each subscriber through its own loop: at once on the loop inside whose
 * turn the call is made, otherwise in the next turn of the loop, with everything else that was
 * published by then; it is written when the turn ends.  A subscriber gets the messages of one
 * thread in the order of their publishing.
 *
 * In the child of a fork() a hub that was made before can only be released: first
 * ws_loop_abandon() for its loops, then ws_hub_unref(); other calls return CLOSED.
 */
#ifndef LIBWS_HUB_H
#define LIBWS_HUB_H

#include <libws/conn.h>
#include <libws/loop.h>
#include <libws/message.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ws_hub_config {
  size_t size;                         /* WS_INIT */
  uint32_t max_topics;                 /* names and patterns with a subscriber [1048576] */
  uint32_t max_subscriptions_per_conn; /* [65536] */
  uint64_t max_queued_bytes;           /* what may wait for one loop that is busy: payloads and
                                          topics, 64 bytes added for each message [64 MiB] */
} ws_hub_config;

/* Errors: INVALID, UNSUPPORTED, NOMEM.  Thread: any. */
WS_API int ws_hub_new(const ws_hub_config *cfg, ws_hub **out);

/* Subscriptions hold no reference.  Dropping the last one ends them all, each on its own loop, and
 * the bridge; what was published before still arrives.  Nobody is told. */
WS_API ws_hub *ws_hub_ref(ws_hub *h); /* returns h.  Thread: any */
WS_API void ws_hub_unref(ws_hub *h);  /* Thread: any */

/* Begin and end one subscription of an open connection.  Beginning one that there is, and ending
 * one that there is not, change nothing and return 0.  All of a connection's end with it, before
 * its on_close is called.  A message that was published before the subscription began, but waits
 * for the loop, is delivered too.  Thread: the connection's loop's.
 * Errors: CLOSED (the connection is closing or closed; unsubscribe: closed), INVALID (topic), FULL
 * (max_topics, max_subscriptions_per_conn, or more than 1,024 loops), NOMEM. */
WS_API int ws_hub_subscribe(ws_hub *h, ws_conn *c, const char *topic);
WS_API int ws_hub_unsubscribe(ws_hub *h, ws_conn *c, const char *topic);
WS_API int ws_hub_unsubscribe_all(ws_hub *h, ws_conn *c); /* Errors: CLOSED, INVALID */

/* flags of publish */
enum { WS_PUBLISH_LOCAL = 1u << 0 /* not to the bridge: it came from there */ };

/* Send m to every subscriber of `topic` but `except`, which may be NULL or closed; to one that is
 * subscribed to several matching patterns once.  The hub takes its own references.  No subscribers
 * is no error.  A subscriber whose send queue is full, or that is in the middle of a message sent
 * in parts, misses it: counted in its messages_dropped and in `dropped`.
 * WS_DROPPED: a loop had max_queued_bytes waiting, and its subscribers miss it; counted in
 * `dropped_busy`.  Thread: any, inside and outside of callbacks.
 * Errors: INVALID (topic, or it holds a '*'), UNSUPPORTED (flags), CLOSED (fork), NOMEM. */
WS_API int ws_hub_publish(ws_hub *h, const char *topic, ws_message *m, const ws_conn *except,
                          uint32_t flags);

/* How many are subscribed to exactly this name or pattern, over all loops; 0 when it is malformed.
 * Thread: any. */
WS_API size_t ws_hub_count(const ws_hub *h, const char *topic);

typedef struct ws_hub_stats {
  size_t size;             /* WS_INIT */
  uint64_t topics;         /* names and patterns with a subscriber, now */
  uint64_t subscriptions;  /* now */
  uint64_t published;      /* calls of ws_hub_publish that returned 0 or WS_DROPPED */
  uint64_t delivered;      /* messages queued with a subscriber */
  uint64_t dropped;        /* a subscriber took no more */
  uint64_t dropped_busy;   /* a loop took no more; once for each loop, whatever its subscribers */
  uint64_t queued_bytes;   /* waiting for loops now, counted as max_queued_bytes is */
  uint64_t bridge_queued;  /* the same for the bridge */
  uint64_t bridge_dropped; /* messages that on_publish misses because its loop was busy */
} ws_hub_stats;

/* Thread: any.  Errors: INVALID, CLOSED (fork). */
WS_API int ws_hub_get_stats(const ws_hub *h, ws_hub_stats *out);

/* What carries messages to other processes.  Callbacks run in turns of `loop`. */
typedef struct ws_hub_bridge {
  size_t size; /* WS_INIT */
  ws_loop *loop;

  /* A topic or pattern has gained its first (active: 1) or lost its last subscriber (0) over all
   * loops, in the order of the changes; those that are there already when the bridge is set come
   * first, in no order.  A change that was undone before it could be told is not told.  `topic` is
   * valid during the call. */
  void (*on_topic)(ws_hub *h, const char *topic, int active, void *user);

  /* Something was published without WS_PUBLISH_LOCAL; in order per publishing thread.  `topic` is
   * valid during the call, `m` as long as you hold a reference. */
  void (*on_publish)(ws_hub *h, const char *topic, ws_message *m, void *user);

  void *user;
  uint64_t max_queued_bytes; /* what may wait for on_publish, as in ws_hub_config [64 MiB] */
} ws_hub_bridge;

/* Set the bridge, in place of the one before; NULL: none.  When it returns on the thread of the old
 * one's loop, that one is not called any more; on another thread a call may still be under way.
 * A bridge ends with its loop and with the last reference to the hub.
 * Thread: that of the new bridge's loop; with NULL any.  Errors: INVALID, CLOSED (fork), NOMEM. */
WS_API int ws_hub_set_bridge(ws_hub *h, const ws_hub_bridge *bridge);

#ifdef __cplusplus
} /* extern "C" */
#endif
#endif /* LIBWS_HUB_H */
