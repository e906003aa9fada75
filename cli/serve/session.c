/*
 * Sessions, and the lines of --verbose.  Each line is `ws: EVENT name=value...` with strings in
 * quotes, so that both people and grep can read it, and leaves in one write.
 */
#include "session.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../deflate.h"
#include "../escape.h"

int session_needed(const struct serve *s) {
  return s->mode->session_bytes != 0 || s->settings.verbosity == VERBOSE;
}

static void log_open(const ws_conn *c, const struct session *n) {
  char line[1024];
  char text[300];
  char in[kMaxDeflateName];
  char out[kMaxDeflateName];
  ws_tls_info tls;
  ws_deflate_info deflate;
  const char *subprotocol = ws_conn_subprotocol(c);
  int at = snprintf(line, sizeof line, "ws: open id=%" PRIu64 " peer=%s path=\"%s\"", ws_conn_id(c),
                    n->peer, n->path);
  if (subprotocol[0] != '\0') {
    escape_string(text, sizeof text, subprotocol);
    at += snprintf(line + at, sizeof line - (size_t)at, " subprotocol=\"%s\"", text);
  }
  WS_INIT(&deflate);
  ws_conn_get_deflate(c, &deflate);
  if (deflate.flags & WS_DEFLATE_AGREED) {
    deflate_receiving(&deflate, in);
    deflate_sending(&deflate, out);
    at += snprintf(line + at, sizeof line - (size_t)at, " deflate_in=%s deflate_out=%s", in, out);
  }
  WS_INIT(&tls);
  if (ws_conn_get_tls(c, &tls) == WS_OK) {
    escape_string(text, sizeof text, tls.peer_subject);
    snprintf(line + at, sizeof line - (size_t)at, " tls=%s cipher=%s client=\"%s\"", tls.version,
             tls.cipher, text);
  }
  fprintf(stderr, "%s\n", line);
}

enum { kMaxDeflated = 256 };

/* " plain_in=10240 deflated_in=1311 ratio_in=7.8", the ratio only where there is one. */
static size_t put_deflated(char *out, size_t room, const char *way, uint64_t plain, uint64_t wire) {
  int used =
      snprintf(out, room, " plain_%s=%" PRIu64 " deflated_%s=%" PRIu64, way, plain, way, wire);
  if (wire != 0) {
    used += snprintf(out + used, room - (size_t)used, " ratio_%s=%.1f", way,
                     deflate_ratio(plain, wire));
  }
  return (size_t)used;
}

/* What compression has brought, both ways; nothing if it was not agreed on. */
static void describe_deflated(const ws_conn *c, char out[kMaxDeflated]) {
  ws_deflate_info d;
  size_t used;
  WS_INIT(&d);
  out[0] = '\0';
  ws_conn_get_deflate(c, &d);
  if (!(d.flags & WS_DEFLATE_AGREED)) return;
  used = put_deflated(out, kMaxDeflated, "in", d.received_plain_bytes, d.received_wire_bytes);
  put_deflated(out + used, kMaxDeflated - used, "out", d.sent_plain_bytes, d.sent_wire_bytes);
}

static void log_close(const ws_conn *c, const struct session *n, const ws_close_info *how) {
  char reason[3 * 123 + 1];
  char detail[200];
  char line[1024];
  char deflated[kMaxDeflated];
  ws_conn_stats stats;
  uint64_t ms = ws_loop_now(ws_conn_loop(c)) - n->opened_ms;
  WS_INIT(&stats);
  ws_conn_get_stats(c, &stats);
  describe_deflated(c, deflated);
  escape(reason, sizeof reason, how->reason, how->reason_len);
  escape_string(detail, sizeof detail, how->detail);
  int at = snprintf(line, sizeof line,
                    "ws: close id=%" PRIu64
                    " peer=%s path=\"%s\" code=%u sent=%u clean=%s by=%s"
                    " reason=\"%s\"",
                    ws_conn_id(c), n->peer, n->path, how->code, how->sent_code,
                    how->flags & WS_CLOSE_CLEAN ? "yes" : "no",
                    how->flags & WS_CLOSE_BY_PEER ? "peer" : "us", reason);
  if (how->error != WS_OK) {
    at += snprintf(line + at, sizeof line - (size_t)at, " error=\"%s\" detail=\"%s\"",
                   ws_strerror(how->error), detail);
  }
  fprintf(stderr,
          "%s messages_in=%" PRIu64 " messages_out=%" PRIu64 " bytes_in=%" PRIu64
          " bytes_out=%" PRIu64 "%s seconds=%" PRIu64 ".%03u\n",
          line, stats.messages_in, stats.messages_out, stats.bytes_in, stats.bytes_out, deflated,
          ms / 1000, (unsigned)(ms % 1000));
}

void log_request(const struct serve *s, const ws_request *r, int status, size_t len) {
  char peer[kMaxPeer];
  char path[kMaxLoggedPath];
  if (s->settings.verbosity != VERBOSE) return;
  escape_string(peer, sizeof peer, ws_request_peer(r));
  escape_string(path, sizeof path, ws_request_path(r));
  char bytes[32] = "";
  if (len != kUnknownLength) snprintf(bytes, sizeof bytes, " bytes=%zu", len);
  fprintf(stderr, "ws: request peer=%s method=%s path=\"%s\" status=%d%s\n", peer,
          ws_request_method(r), path, status, bytes);
}

static void on_open(ws_conn *c, void *user) {
  struct session *n = user;
  n->opened_ms = ws_loop_now(ws_conn_loop(c));
  if (n->serve->settings.verbosity == VERBOSE) log_open(c, n);
  if (n->serve->mode->handlers.on_open != NULL) n->serve->mode->handlers.on_open(c, user);
}

static void on_close(ws_conn *c, const ws_close_info *how, void *user) {
  struct session *n = user;
  if (n->serve->mode->handlers.on_close != NULL) n->serve->mode->handlers.on_close(c, how, user);
  if (n->serve->settings.verbosity == VERBOSE) log_close(c, n, how);
  free(n);
}

ws_handlers session_handlers(const struct serve *s) {
  ws_handlers handlers = s->mode->handlers;
  if (session_needed(s)) {
    handlers.on_open = on_open;
    handlers.on_close = on_close;
  }
  return handlers;
}

static struct session *session_new(struct serve *s, const ws_request *r) {
  size_t bytes = s->mode->session_bytes;
  struct session *n = calloc(1, bytes != 0 ? bytes : sizeof *n);
  if (n == NULL) return NULL;
  n->serve = s;
  escape_string(n->peer, sizeof n->peer, ws_request_peer(r));
  escape_string(n->path, sizeof n->path, ws_request_path(r));
  if (s->mode->on_upgrade != NULL) s->mode->on_upgrade(n, r);
  return n;
}

/* The first of ours that the client offers, as the library chooses; NULL = none. */
static const char *agreed_subprotocol(const struct serve *s, const ws_request *r) {
  for (size_t i = 0; i < s->settings.subprotocol_count; i++) {
    const char *offered;
    for (size_t k = 0; (offered = ws_request_subprotocol(r, k)) != NULL; k++) {
      if (strcmp(offered, s->settings.subprotocols[i]) == 0) return offered;
    }
  }
  return NULL;
}

void session_accept(struct serve *s, ws_request *r) {
  struct session *n = session_new(s, r);
  ws_accept how;
  if (n == NULL) {
    ws_request_respond(r, 503, NULL, 0, NULL, 0);
    return;
  }
  WS_INIT(&how);
  how.user = n;
  how.subprotocol = agreed_subprotocol(s, r);
  /* Once it is accepted, on_close owns the session: on_open and on_close always follow. */
  if (ws_request_accept(r, &how) < 0) free(n);
}
