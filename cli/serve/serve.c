/*
 * `ws serve`: from settings to a running server and back to nothing.
 */
#include "serve.h"

#include <stdio.h>
#include <string.h>

#include "../command.h"
#include "notify.h"
#include "session.h"
#include "sockets.h"
#include "stop.h"
#include "tls.h"

/* Kept apart from the library's defaults because the longest message here is larger: with
 * these marks a 256 KiB echo, the largest the benchmark sends, still passes without a pause,
 * and a peer that sends but does not read costs 1 MiB and one message. */
static const uint64_t kSendHighBytes = 1024 * 1024;
static const uint64_t kSendLowBytes = 256 * 1024;
static const uint64_t kMinSendLimitBytes = 16 * 1024 * 1024;

static const struct mode *find_mode(enum mode_name name) {
  switch (name) {
    case MODE_BROADCAST: return &broadcast_mode;
    case MODE_CHAT: return &chat_mode;
    default: return &echo_mode;
  }
}

static void fill_conn_config(const struct serve *s, ws_conn_config *conn) {
  uint64_t longest = s->settings.max_message_bytes;
  if (longest == 0) longest = s->mode->max_message_bytes;
  conn->max_message_bytes = longest;
  conn->send_high_bytes = kSendHighBytes;
  conn->send_low_bytes = kSendLowBytes;
  conn->send_limit_bytes = s->mode->send_limit_bytes;
  if (conn->send_limit_bytes == 0) {
    conn->send_limit_bytes = longest < kMinSendLimitBytes / 4 ? kMinSendLimitBytes : 4 * longest;
  }
  if (s->settings.idle_given) {
    uint32_t idle = s->settings.idle_ms;
    conn->idle_timeout_ms = idle == 0 ? WS_NEVER : idle;
    conn->ping_interval_ms = idle == 0 ? WS_NEVER : idle / 2 + 1;
  }
  conn->deflate = s->settings.deflate.mode;
  conn->deflate_window_bits = s->settings.deflate.window_bits;
  conn->deflate_level = s->settings.deflate.level;
}

static void print_library_line(void *user, ws_log_level level, const char *line, size_t len) {
  (void)user;
  (void)level;
  fprintf(stderr, "ws: %.*s\n", (int)len, line);
}

static ws_loop_config loop_config(const struct serve *s) {
  ws_loop_config cfg;
  WS_INIT(&cfg);
  /* Not INFO: session.c says more about each connection than the library can. */
  cfg.log_level = s->settings.verbosity == VERBOSE ? WS_LOG_WARN : WS_LOG_ERROR;
  cfg.log = print_library_line;
  return cfg;
}

static int make_pool(struct serve *s, const ws_loop_config *loop) {
  ws_pool_config pool;
  ws_conn_config conn;
  ws_handlers handlers = session_handlers(s);
  ws_server_config cfg;
  WS_INIT(&conn);
  WS_INIT(&cfg);
  fill_conn_config(s, &conn);
  cfg.handlers = &handlers;
  cfg.conn = &conn;
  cfg.user = s;
  cfg.on_request = answer_request;
  cfg.origins = s->settings.origins;
  cfg.origin_count = s->settings.origin_count;
  cfg.subprotocols = s->settings.subprotocols;
  cfg.subprotocol_count = s->settings.subprotocol_count;
  WS_INIT(&pool);
  pool.threads = s->settings.threads; /* 0: the library's idea is ours */
  pool.loop = loop;
  pool.server = &cfg;
  pool.on_stop = on_thread_end;
  pool.user = s;
  return ws_pool_new(&pool, &s->pool);
}

static int open_files(struct serve *s) {
  ws_files_config cfg;
  if (s->settings.static_dir == NULL) return WS_OK;
  WS_INIT(&cfg);
  cfg.directory = s->settings.static_dir;
  cfg.flags = WS_FILES_PASS;
  return ws_files_new(&cfg, &s->files);
}

static int serve(struct serve *s) {
  int status = tls_load(s);
  if (status != EXIT_DONE) return status;
  const ws_loop_config loop = loop_config(s);
  if (ws_loop_new(&loop, &s->loop) < 0) {
    return failure(SERVE_COMMAND, "cannot make an event loop: %s", ws_last_detail());
  }
  if (make_pool(s, &loop) < 0) {
    return failure(SERVE_COMMAND, "cannot make the server: %s", ws_last_detail());
  }
  catch_stop_signals(s); /* before anybody can know from the printed line that it runs */
  status = listen_all(s);
  if (status != EXIT_DONE) return status;
  notify_ready();
  return run_until_stopped(s);
}

int serve_command(int argc, char **argv) {
  static struct serve s; /* static: large, and the loop's callbacks point to it */
  int status = settings_read(&s.settings, argc, argv);
  if (status != SETTINGS_READ) return status;
  s.mode = find_mode(s.settings.mode);
  if (open_files(&s) < 0) return failure(SERVE_COMMAND, "--static: %s", ws_last_detail());
  status = serve(&s);
  sockets_keep(&s);
  ws_takeover_free(s.takeover);
  ws_pool_free(s.pool); /* on_close of what is left frees sessions */
  ws_loop_free(s.loop);
  ws_tls_unref(s.tls);
  if (s.mode->stop != NULL) s.mode->stop();
  ws_files_unref(s.files);
  return status;
}
