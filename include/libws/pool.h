/*
 * libws/pool.h: a server on several threads: N loops, each with a thread and a server of its own.
 *
 * A connection belongs to one loop for its life, and its callbacks run on that loop's thread: the
 * handlers of ws_server_config are called from all threads of the pool at once, for different
 * connections.  What they share needs a lock, or goes through ws_hub or ws_conn_post_message().
 *
 * fork(): a child has none of the threads.  It must use nothing of the pool and not free it;
 * calling exec is fine, because every descriptor is close-on-exec.  Fork before ws_pool_new().
 */
#ifndef LIBWS_POOL_H
#define LIBWS_POOL_H

#include <libws/server.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct ws_pool_config {
  size_t size;                    /* WS_INIT */
  uint32_t threads;               /* at most 1,024 [the processors that this process may use] */
  const ws_loop_config *loop;     /* copied; of each loop; NULL = defaults */
  const ws_server_config *server; /* copied; of the server on each loop, so max_connections and the
                                     like count per thread; NULL = defaults */

  /* On the thread of loop `index`, before that loop runs and before anything is accepted: the place
   * for timers and state of a thread.  Negative: ws_pool_new() fails with that. */
  int (*on_start)(ws_loop *l, ws_server *s, uint32_t index, void *user);
  /* On that thread, last, if on_start was called and did not fail: after the last on_close.  Server
   * and timers of the loop are gone; the handle is good for comparing only. */
  void (*on_stop)(ws_loop *l, uint32_t index, void *user);
  void *user;
} ws_pool_config;

/* Start the threads (all signals blocked in them, named ws-pool-N) and return when all are ready;
 * when one cannot start, all are stopped again.
 * Errors: INVALID, UNSUPPORTED, IO (no thread, no descriptors), NOMEM, or what on_start returned.
 */
WS_API int ws_pool_new(const ws_pool_config *cfg, ws_pool **out);

/* Stop as ws_pool_stop(), wait for the threads, release everything.  Every on_close has been called
 * when it returns, on its own thread; posted tasks that never ran are called with cancelled = 1,
 * some of them on the calling thread.  Errors: REENTRANT (from a thread of the pool; nothing was
 * done). */
WS_API int ws_pool_free(ws_pool *p);

/* How connections find a loop. */
typedef enum ws_spread {
  /* One listening socket.  One of the loops accepts, in batches, and hands each connection to the
   * loop that has the fewest, in turn among equals: numbers stay even whoever connects. */
  WS_SPREAD_HANDOVER = 0,
  /* One socket for each loop; the kernel chooses by a hash of the addresses (SO_REUSEPORT).  No
   * thread does another's work, which is cheapest for many short connections; but few peers, or
   * long-lived connections, spread unevenly, and a loop that is full keeps its share waiting. */
  WS_SPREAD_REUSEPORT = 1
} ws_spread;

/* Listen and accept, as ws_server_listen() does; the servers of a pool cannot listen themselves
 * (STATE).  `host` is looked up while the call waits.  With port 0 and REUSEPORT all sockets get
 * the same port.  The listener is the pool's; `out` may be NULL.  Thread: any but the pool's.
 * Errors: ADDR, INVALID (REUSEPORT is for TCP), IO, NOMEM, STATE (stopping), REENTRANT. */
WS_API int ws_pool_listen(ws_pool *p, const ws_listen_config *cfg, ws_spread spread,
                          ws_pool_listener **out);
/* The same, as WS_SPREAD_HANDOVER, on a listening socket you opened or inherited; it is the pool's
 * when this succeeds.  `tls` may be NULL: plain.  Errors: as above. */
WS_API int ws_pool_listen_fd(ws_pool *p, int fd, ws_tls *tls, ws_pool_listener **out);

/* As ws_listener_set_tls().  Thread: any.  Errors: INVALID (`tls` has no certificate). */
WS_API int ws_pool_set_tls(ws_pool_listener *ln, ws_tls *tls);
WS_API uint16_t ws_pool_port(const ws_pool_listener *ln); /* 0 for unix, or closed.  Thread: any */
/* The listening descriptors, one or with REUSEPORT one for each loop, to hand to another process;
 * do not close them or accept from them.  Writes at most `room` and returns how many there are; 0
 * once it is closed, and it is you who must not let that happen meanwhile.  Thread: any. */
WS_API size_t ws_pool_listener_fds(const ws_pool_listener *ln, int *fds, size_t room);
/* As ws_listener_leave_file().  Thread: any. */
WS_API void ws_pool_leave_file(ws_pool_listener *ln);

/* Loops and their servers, to call them on their threads; NULL for an index that is too large.
 * They live until ws_pool_free(); do not free, run or stop them.  Thread: any. */
WS_API ws_loop *ws_pool_loop(const ws_pool *p, uint32_t index);
WS_API ws_server *ws_pool_server(const ws_pool *p, uint32_t index);
WS_API uint32_t ws_pool_size(const ws_pool *p);
/* Connections between on_open and on_close, over all loops.  Thread: any. */
WS_API size_t ws_pool_count(const ws_pool *p);

/* Run fn(loop, arg, 0) once on each loop, as ws_loop_post() does; all loops or none.  Thread: any.
 * Errors: INVALID, NOMEM. */
WS_API int ws_pool_post(ws_pool *p, ws_task_fn fn, void *arg);

/* Graceful stop: no new connections, then ws_server_drain() with `how` on every loop.  When the
 * last connection of all is gone, done(p, arg) once, on one of the threads; done may be NULL.  Then
 * the pool stops, as by ws_pool_stop().  When it is stopped before, done is not called.
 * Thread: any.  Errors: STATE (already under way), INVALID, NOMEM. */
WS_API int ws_pool_shutdown(ws_pool *p, const ws_drain *how, void (*done)(ws_pool *p, void *arg),
                            void *arg);

/* Let every thread end soon: connections are aborted, their on_close comes with CANCELLED, then
 * on_stop.  Thread: any; async-signal-safe. */
WS_API void ws_pool_stop(ws_pool *p);

/* Wait until all threads have called on_stop, because of any of the three calls above.  Also the
 * end of all when a loop fails.  Errors: REENTRANT; IO (a loop failed). */
WS_API int ws_pool_wait(ws_pool *p);

#ifdef __cplusplus
} /* extern "C" */
#endif
#endif /* LIBWS_POOL_H */
