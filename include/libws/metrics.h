/*
 * libws/metrics.h: what servers and their loops have done, summed up, and as text for a monitoring
 * system.
 *
 * Counting costs the hot path nothing: a connection counts for itself, its figures go to the server
 * when it ends, and those that are open are visited when somebody asks.
 */
#ifndef LIBWS_METRICS_H
#define LIBWS_METRICS_H

#include <libws/server.h>

#ifdef __cplusplus
extern "C" {
#endif

/* What a server has seen since it was made.  The last four members and the first two are of now. */
typedef struct ws_server_stats {
  size_t size;           /* WS_INIT */
  uint64_t connections;  /* now, between on_open and on_close */
  uint64_t opening;      /* now, accepted and not open, or answered over HTTP and not gone */
  uint64_t accepted;     /* sockets, TLS handshakes that fail included */
  uint64_t opened;       /* became connections */
  uint64_t answered;     /* got another HTTP response than 101, of the application or the library */
  uint64_t failed;       /* gone before any answer: TLS, a timeout, a peer that left */
  uint64_t closed;       /* were open and are not any more */
  uint64_t closed_clean; /* of those, with a Close frame both ways (RFC 6455 7.1.4) */
  uint64_t closed_by_peer;   /* of those, where the peer's Close or end of stream came first */
  uint64_t closed_timeout;   /* of those, because the peer was silent or took nothing */
  uint64_t closed_violation; /* of those, because the peer broke a rule or a limit */
  uint64_t closed_code[16];  /* by the code the peer sent: [1] 1000, [2] 1001, ... [15] 1014; [7]:
                                1006, none; [0] all others */
  uint64_t messages_in, messages_out;
  uint64_t bytes_in, bytes_out; /* on the transport */
  uint64_t messages_dropped;
  uint64_t waiting_bytes;     /* now, queued for all connections and not yet written */
  uint64_t max_waiting_bytes; /* now, of the connection that has most */
  uint64_t rtt_count;         /* now, connections whose round trip is known */
  uint64_t rtt_sum_us;        /* now, of those */
} ws_server_stats;

/* Visits the open connections.  Errors: INVALID. */
WS_API int ws_server_get_stats(const ws_server *s, ws_server_stats *out);

/* A sum over servers and their loops, to be written as text. */
typedef struct ws_metrics ws_metrics; /* owner */

/* Errors: INVALID, NOMEM.  Thread: any. */
WS_API int ws_metrics_new(ws_metrics **out);
WS_API void ws_metrics_free(ws_metrics *m); /* Thread: any */

/* Add what the server and its loop have done so far.  A loop with two servers that are added counts
 * twice.  Thread: the server's; one after the other for one `m`.  Errors: INVALID. */
WS_API int ws_metrics_add_server(ws_metrics *m, const ws_server *s);

/* Write the sum in OpenMetrics 1.0 text format, which Prometheus reads too, with "# EOF" at its
 * end: names begin with "libws_", times are seconds.  At most `cap` bytes, the NUL included, go to
 * `out`, which may be NULL when `cap` is 0.  Returns how long the text is without the NUL, so that
 * it was cut when that is not below `cap`.  Its media type is "application/openmetrics-text;
 * version=1.0.0; charset=utf-8". Thread: as ws_metrics_add_server.  Errors: INVALID. */
WS_API int ws_metrics_text(const ws_metrics *m, char *out, size_t cap);

/* The same for one server and its loop. */
WS_API int ws_server_metrics_text(const ws_server *s, char *out, size_t cap);

#ifdef __cplusplus
} /* extern "C" */
#endif
#endif /* LIBWS_METRICS_H */
