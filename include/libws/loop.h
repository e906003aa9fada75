/*
 * libws/loop.h: the event loop: sockets, timers and tasks from other threads.
 *
 * A loop owns connections and runs their callbacks on one thread.  Either
 *   ws_loop_run(loop);                                           it is the main loop
 * or embed it: watch ws_loop_fd(loop) for readability, level-triggered, and call
 *   ws_loop_dispatch(loop, 0);                                   whenever it is
 * asyncio: loop.add_reader(fd, dispatch)    GLib: g_unix_fd_add(fd, G_IO_IN, ...)
 * libuv:   uv_poll_start(p, UV_READABLE, .) Qt:   QSocketNotifier(fd, Read)
 *
 * Callbacks run only inside ws_loop_run(), ws_loop_dispatch() and ws_loop_free(), never from
 * inside another call you make.  From a callback anything may be called; those three, on the
 * same loop, return WS_ERR_REENTRANT.
 */
#ifndef LIBWS_LOOP_H
#define LIBWS_LOOP_H

#include <libws/base.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A frame that went over a connection (RFC 6455 5.2). */
typedef struct ws_frame_info {
  size_t size;         /* check it before reading members newer than 0.1 */
  uint64_t conn_id;    /* ws_conn_id */
  int sent;            /* 1: by us, 0: by the peer */
  int fin;             /* the last of its message */
  uint32_t rsv;        /* RSV1 is 4: compressed (RFC 7692 6); RSV2 2, RSV3 1 */
  uint32_t opcode;     /* 0: continuation, else as ws_opcode, or what the RFC reserves */
  int masked;          /* as frames of clients are */
  uint32_t close_code; /* of a Close that has one, else 0 */
  uint64_t length;     /* of the payload */
} ws_frame_info;

/* Told of each frame of all connections of the loop, in the order in which they pass in each
 * direction: of a sent one when the kernel, or TLS, has its header, of a received one before it is
 * judged, so also of the one that breaks a rule; what follows that one means nothing.  Frames that
 * came with the handshake are included, the handshake is not.  Like a log function it comes from
 * any call on the loop's thread and must not call libws.  `frame` is valid during the call. */
typedef void (*ws_trace_fn)(void *user, const ws_frame_info *frame);

/* ws_loop_config.flags */
enum {
  WS_LOOP_TIME_CALLBACKS = 1u << 0 /* fill WS_TIMES_CALLBACKS: the clock is read twice more for each
                                      connection that is ready */
};

typedef struct ws_loop_config {
  size_t size;            /* WS_INIT */
  const char *poller;     /* "epoll" or "poll"; NULL = the best one here */
  uint32_t read_bytes;    /* shared receive buffer, 4 KiB to 16 MiB [128 KiB] */
  uint32_t max_events;    /* descriptors handled per turn, bounds its length [1024] */
  ws_log_level log_level; /* [OFF] */
  ws_log_fn log;
  void *log_user;
  uint64_t deflate_budget_bytes; /* all that connections with WS_DEFLATE_DEDICATED may hold; when it
                                    is used up, new ones get WS_DEFLATE_SHARED and compressors are
                                    shared; WS_UNLIMITED: no bound [64 MiB] */
  uint32_t flags;                /* WS_LOOP_* */
  ws_trace_fn trace;             /* for debugging; NULL = none */
  void *trace_user;
} ws_loop_config;

/* Errors: INVALID, UNSUPPORTED (poller), IO (no descriptors left), NOMEM.  Thread: any. */
WS_API int ws_loop_new(const ws_loop_config *cfg, ws_loop **out);

/* Abort everything still on the loop, deliver each on_close (and each posted task with
 * cancelled = 1), then release it.  Servers, listeners, clients and timers of this loop are
 * gone with it; connections and requests still held become inert.
 * Errors: REENTRANT (nothing was done). */
WS_API int ws_loop_free(ws_loop *l);

/* For the child of a fork(): forget a loop that was made before it.  Closes this process's copies
 * of its descriptors and releases its memory as ws_loop_free() does, but sends nothing (no Close,
 * no TLS alert, no FIN while the parent has the connection), takes nothing from what the parent
 * watches, removes no socket file, calls no callback and drops posted tasks; only what was wrapped
 * in messages is released.  Connections and requests still held become inert (CLOSED), also for
 * ws_conn_post_message().  Waits for no lock that a thread of the parent held, so that what such a
 * thread was working on (a look-up) is leaked.
 *
 * A child that was forked inside a callback of this loop may call it there.  The descriptors are
 * closed at once, nothing is called any more, and when the callback returns ws_loop_run() or
 * ws_loop_dispatch() release the memory and return CLOSED.  Where another thread of the parent was
 * running this loop and not just waiting in it, only the loop's own descriptors are closed, and
 * the rest is leaked: its connections stay open until the child ends or calls exec, and must not
 * be used.
 *
 * In the process that made the loop, use ws_loop_free().  NULL is accepted. */
WS_API void ws_loop_abandon(ws_loop *l);

/* Until ws_loop_stop(), which also counts when it came before this call.  Returns 0, or an
 * error that makes the poller unusable.  Errors: REENTRANT, IO. */
WS_API int ws_loop_run(ws_loop *l);

/* One turn: wait up to timeout_ms (0: do not wait; WS_NEVER: as long as it takes), run what is
 * due.  Returns how many events were handled.  Errors: REENTRANT, IO. */
WS_API int ws_loop_dispatch(ws_loop *l, uint32_t timeout_ms);

/* Call fn(loop, user) in every turn, once its other callbacks have been called and before anything
 * they sent is written: so a binding hands the events of a turn to its language in one go, and what
 * that answers leaves with the turn.  fn is a callback like others; what it closes, or resumes, is
 * told in the next turn, which comes at once.  Not called by ws_loop_free().  The one of before is
 * replaced; NULL for fn: none.  Errors: INVALID (no loop). */
typedef void (*ws_turn_fn)(ws_loop *l, void *user);
WS_API int ws_loop_set_turn_end(ws_loop *l, ws_turn_fn fn, void *user);

/* The descriptor to watch: do not read, write or close it.  From the first call on the loop
 * keeps a kernel timer armed so that timeouts show on the descriptor too; loops that are only
 * ever run do not pay for it.  Errors: UNSUPPORTED with the "poll" poller, IO. */
WS_API int ws_loop_fd(ws_loop *l);

WS_API uint64_t ws_loop_now(const ws_loop *l); /* monotonic ms, read once per turn */

/* Make ws_loop_run() return soon.  Thread: any; async-signal-safe. */
WS_API void ws_loop_stop(ws_loop *l);

/* Run fn(loop, arg, 0) on the loop's thread, in order per posting thread; or fn(loop, arg, 1)
 * from ws_loop_free().  Exactly once either way, so fn may own arg.
 * Thread: any.  Errors: NOMEM. */
typedef void (*ws_task_fn)(ws_loop *l, void *arg, int cancelled);
WS_API int ws_loop_post(ws_loop *l, ws_task_fn fn, void *arg);

/* A restartable one-shot timer.  Starting a running timer moves it.  Freed with the loop if
 * you do not.  `after_ms` is at most INT32_MAX; 0 fires on the next turn. */
WS_API int ws_timer_new(ws_loop *l, void (*fn)(ws_timer *t, void *user), void *user,
                        ws_timer **out);
WS_API void ws_timer_free(ws_timer *t); /* also from its own callback */
WS_API int ws_timer_start(ws_timer *t, uint32_t after_ms);
WS_API void ws_timer_stop(ws_timer *t);

/* A descriptor of the application's on the loop: another library's socket, a pipe.  Linux: any
 * that epoll takes, which is not a plain file. */
enum {
  WS_WATCH_READ = 1u << 0,
  WS_WATCH_WRITE = 1u << 1,
  WS_WATCH_HANGUP = 1u << 2 /* only told: an error, or both directions are closed */
};

/* Call fn in each turn in which `fd` is ready for one of `events`, which may be 0, or hung up,
 * which is told whatever the events and in every turn: read or write to learn why, then free the
 * watch.  Level-triggered: what is left unread is told again.  The loop never reads, writes or
 * closes `fd`.  A descriptor has one watch in a loop; free it before you close the descriptor.
 * Errors: INVALID (events, a negative fd), IO (the descriptor cannot be watched, or is already),
 * CLOSED (fork), NOMEM. */
typedef void (*ws_watch_fn)(ws_watch *w, uint32_t ready, void *user);
WS_API int ws_watch_new(ws_loop *l, int fd, uint32_t events, ws_watch_fn fn, void *user,
                        ws_watch **out);
/* fn is not called again, also when more of this turn was ready.  Freed with the loop if you do
 * not; the descriptor stays open.  Also from its own callback. */
WS_API void ws_watch_free(ws_watch *w);
/* Wait for other events.  Errors: INVALID, IO, NOMEM. */
WS_API int ws_watch_set(ws_watch *w, uint32_t events);

typedef struct ws_loop_stats {
  size_t size;              /* WS_INIT */
  uint64_t turns;           /* since the loop was made, as the next two */
  uint64_t events;          /* descriptors that were ready */
  uint64_t tasks;           /* posted tasks run */
  uint64_t connections;     /* on the loop now, those still closing included */
  uint64_t timers;          /* running now */
  uint64_t longest_turn_us; /* since the last call of this function, waiting not counted:
                               finds the callback that blocks a loop */
  uint64_t deflated;        /* messages compressed; one sent to many counts once */
  uint64_t inflated;        /* messages decompressed */
  uint64_t deflate_bytes;   /* of deflate_budget_bytes in use now */
} ws_loop_stats;
WS_API int ws_loop_get_stats(ws_loop *l, ws_loop_stats *out);

/* How long something took, counted in powers of two. */
typedef struct ws_histogram {
  size_t size;          /* WS_INIT */
  uint64_t count;       /* all of it */
  uint64_t sum_us;      /* taken together */
  uint64_t buckets[24]; /* [0]: below 1 us; [i]: 2^(i-1) us and more, below 2^i; [23]: the rest */
} ws_histogram;

typedef enum ws_times {
  WS_TIMES_TURNS = 0,    /* a turn, waiting not counted */
  WS_TIMES_CALLBACKS = 1 /* all callbacks of one connection in a turn, with what the library did
                            between them; needs WS_LOOP_TIME_CALLBACKS */
} ws_times;

/* Since the loop was made.  Errors: INVALID, STATE (callbacks are not timed). */
WS_API int ws_loop_get_times(const ws_loop *l, ws_times which, ws_histogram *out);

#ifdef __cplusplus
} /* extern "C" */
#endif
#endif /* LIBWS_LOOP_H */
