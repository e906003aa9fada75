/*
 * libws/base.h: what every other header of libws stands on: the export macro, version,
 * error codes, the allocator hook and the log levels.
 *
 * RULES THAT HOLD EVERYWHERE (entries of all headers state only the exceptions)
 *
 *   Returns    int: 0 or positive = success, negative = one of ws_error.
 *   Thread     the thread that runs the object's loop; for an engine, any one thread at a
 *              time.  Entries that may be called from anywhere say "Thread: any".
 *   Strings    names, paths and targets are NUL-terminated; payloads are pointer + length.
 *              Strings returned are NUL-terminated too.
 *   Borrowing  what you pass in is copied before the call returns, unless the name says
 *              `_wrap`.  What a callback gives you is valid until it returns.  What a getter
 *              returns is valid while its object is, or until the call named in its entry.
 *   NULL       `_free`, `_unref` and `_abort` accept NULL and do nothing.  `cfg` may be NULL
 *              where all defaults make sense.  A NULL handle or a NULL required argument is
 *              WS_ERR_INVALID from calls that return a code; getters then return NULL, 0 or
 *              an empty value.
 *   Ownership  `_new` / `_free`: one owner.  `_ref` / `_unref`: shared, atomically counted.
 *   Outputs    come last, and are untouched when the call fails.
 *   Units      in the name: `_ms`, `_us`, `_bytes`.  Absolute times: monotonic milliseconds.
 *   Failure    a failed call changes nothing, and ws_last_detail() says what was wrong.
 *   Types      no ssize_t, long, time_t, va_list or bit-fields: they differ between platforms
 *              or cannot be called through an FFI.  Build options never change a struct or
 *              remove a function; what was left out of a build returns WS_ERR_UNSUPPORTED.
 *   Growth     structs begin with `size`, set by WS_INIT at the caller's compile time; zero in
 *              a member means the library's default; members are only ever appended.  A newer
 *              caller on an older library is accepted if the unknown tail is zero, and gets
 *              WS_ERR_UNSUPPORTED (never silence) if it is not.
 *   Process    no signals (SIGPIPE is never raised), no exit, no output to stderr, no atexit;
 *              errno, locale and signal masks are left alone; no exception leaves the library
 *              and none may enter it.
 */
#ifndef LIBWS_BASE_H
#define LIBWS_BASE_H

#include <stddef.h>
#include <stdint.h>
#include <string.h> /* memset, for WS_INIT */

#if defined(_WIN32) && defined(LIBWS_SHARED)
#ifdef LIBWS_BUILDING
#define WS_API __declspec(dllexport)
#else
#define WS_API __declspec(dllimport)
#endif
#elif defined(__GNUC__)
#define WS_API __attribute__((visibility("default")))
#else
#define WS_API
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* The version of these headers.  The build system reads it from here. */
#define WS_VERSION_MAJOR 0
#define WS_VERSION_MINOR 1
#define WS_VERSION_PATCH 0

/* The number in the soname (libws.so.1).  It changes when a program would have to be
 * compiled again, which the rules above are there to prevent. */
#define WS_SOVERSION 1

/* The version of the library actually loaded, as 0x00MMmmpp.  Thread: any. */
WS_API uint32_t ws_version(void);

/* One line for bug reports: version, poller, SIMD path in use, versions of OpenSSL and of what
 * compresses.  Free-form: do not parse.  Static string, never NULL.  Thread: any. */
WS_API const char *ws_build_info(void);

/* Prepare a struct for the library: zero it and record the size this caller knows. */
#define WS_INIT(p) ((void)memset((p), 0, sizeof *(p)), (void)((p)->size = sizeof *(p)))

#define WS_NEVER UINT32_MAX     /* for `_ms` members and counts: no limit */
#define WS_UNLIMITED UINT64_MAX /* for `_bytes` members: no limit */

/* Values are pinned for the life of the soname; new ones fill the gaps.  Named WS_ERR_, not
 * WS_E_, because Windows headers own WS_E_*. */
typedef enum ws_error {
  WS_OK = 0,
  WS_BACKPRESSURE = 1, /* success; the send queue is above its high mark */
  WS_DROPPED = 2,      /* success of a kind: a slow receiver's policy dropped it; counted */

  /* How the call was made. */
  WS_ERR_INVALID = -1,     /* an argument or config member is out of range */
  WS_ERR_STATE = -2,       /* not allowed now, e.g. a whole message between parts */
  WS_ERR_REENTRANT = -3,   /* run, dispatch or free of a loop from inside its callback */
  WS_ERR_UNSUPPORTED = -4, /* not in this build, this platform or this version */
  WS_ERR_NOMEM = -5,       /* the allocator returned NULL */
  WS_ERR_CLOSED = -6,      /* the connection no longer takes this call */
  WS_ERR_FULL = -7,        /* would exceed send_limit_bytes; nothing was queued.  Of a connection:
                              ended because of its server's memory_budget_bytes */
  WS_ERR_TOO_BIG = -8,     /* a message or header exceeds a configured limit */
  WS_ERR_TIMEOUT = -9,     /* handshake, idle or close timeout */
  WS_ERR_CANCELLED = -10,  /* ended by this side: abort, or its server or loop was freed */

  /* Network; ws_close_info.sys_errno has the system's reason. */
  WS_ERR_IO = -20,      /* a system call on the socket failed */
  WS_ERR_DNS = -21,     /* the host's name has no address, or could not be looked up */
  WS_ERR_CONNECT = -22, /* no address of the host took the connection */
  WS_ERR_EOF = -23,     /* the peer closed the transport without a Close frame */
  WS_ERR_ADDR = -24,    /* cannot bind: in use, forbidden or malformed */
  WS_ERR_PROXY = -25,   /* the proxy refused, or did not speak its protocol */

  /* TLS; ws_close_info.detail has OpenSSL's reason. */
  WS_ERR_TLS = -40,        /* handshake or record failed, or the peer sent an alert */
  WS_ERR_TLS_CONFIG = -41, /* certificate, key, CA or ciphers cannot be used */
  WS_ERR_TLS_VERIFY = -42, /* the peer's certificate chain or name was not accepted */

  /* Opening handshake. */
  WS_ERR_HTTP = -60,        /* malformed HTTP */
  WS_ERR_HTTP_STATUS = -61, /* refused with an HTTP status other than 101 */
  WS_ERR_HANDSHAKE = -62,   /* 101, but key, version, protocol or extension is wrong */

  /* WebSocket. */
  WS_ERR_PROTOCOL = -80, /* RFC 6455 violation (close code 1002) */
  WS_ERR_UTF8 = -81,     /* text that is not UTF-8 (close code 1007) */
  WS_ERR_DEFLATE = -82   /* compressed data that is not DEFLATE, RFC 7692 7.2.2 (close code 1007) */
} ws_error;

/* English sentence for a code; never NULL, static; unknown codes have one too.  Thread: any. */
WS_API const char *ws_strerror(int code);

/* What exactly went wrong in the last failing libws call on this thread, e.g.
 * "listen 0.0.0.0:443: Permission denied".  For people and logs.  Never NULL, "" before the
 * first failure; valid until this thread's next failing libws call.  Thread: any. */
WS_API const char *ws_last_detail(void);

/* All memory of the library, its C++ objects included (OpenSSL keeps its own hook).
 * `resize(user, NULL, n)` allocates n bytes aligned for any type and returns NULL on failure;
 * `resize(user, p, n)` moves or grows a block as realloc does; `resize(user, p, 0)` frees and
 * returns NULL.  It must be thread-safe and must not call libws.
 * Set it once, before anything is created.  Thread: any, before others use libws.
 * Errors: INVALID (no resize), STATE (libws has already allocated). */
typedef struct ws_allocator {
  size_t size; /* WS_INIT */
  void *(*resize)(void *user, void *ptr, size_t bytes);
  void *user;
} ws_allocator;
WS_API int ws_set_allocator(const ws_allocator *a);

typedef enum ws_log_level {
  WS_LOG_OFF = 0,
  WS_LOG_ERROR = 1, /* libws cannot do what it was told, e.g. accepting stopped */
  WS_LOG_WARN = 2,  /* a peer broke a rule or a limit was met */
  WS_LOG_INFO = 3,  /* a connection opened or closed */
  WS_LOG_DEBUG = 4
} ws_log_level;

/* Receives finished lines without a newline (no va_list, so any language can implement it).
 * Bytes that came from a peer are escaped to printable ASCII and cut short; payloads and
 * credentials are never logged.  `line` is valid during the call.  Thread: the loop's. */
typedef void (*ws_log_fn)(void *user, ws_log_level level, const char *line, size_t len);

typedef struct ws_slice {
  const void *data;
  size_t len;
} ws_slice;

/* A header field.  Names are RFC 9110 tokens; values hold no CR, LF or NUL. */
typedef struct ws_header {
  const char *name;
  const char *value;
} ws_header;

/* Opaque handles.                           kind */
typedef struct ws_message ws_message;   /* shared */
typedef struct ws_request ws_request;   /* shared */
typedef struct ws_engine ws_engine;     /* owner  */
typedef struct ws_loop ws_loop;         /* owner  */
typedef struct ws_timer ws_timer;       /* owner  */
typedef struct ws_watch ws_watch;       /* owner  */
typedef struct ws_tls ws_tls;           /* shared */
typedef struct ws_conn ws_conn;         /* shared */
typedef struct ws_server ws_server;     /* owner  */
typedef struct ws_listener ws_listener; /* owned by its server */
typedef struct ws_pool ws_pool;         /* owner  */
typedef struct ws_handover ws_handover; /* owner  */
typedef struct ws_takeover ws_takeover; /* owner  */
typedef struct ws_router ws_router;     /* owner  */
typedef struct ws_files ws_files;       /* shared */
typedef struct ws_client ws_client;     /* owner  */
typedef struct ws_sync ws_sync;         /* owner  */
typedef struct ws_hub ws_hub;           /* shared */

typedef struct ws_pool_listener ws_pool_listener; /* owned by its pool */

typedef struct ws_tls_info ws_tls_info; /* tls.h: how a connection is secured */
typedef struct ws_handlers ws_handlers; /* conn.h: the callbacks of a connection */

#ifdef __cplusplus
} /* extern "C" */
#endif
#endif /* LIBWS_BASE_H */
