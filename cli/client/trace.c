/*
 * The lines of --verbose of the commands that connect.
 */
#include "trace.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "../deflate.h"
#include "../escape.h"

static void write_line(struct trace *t, const char *format, va_list args) {
  char line[1024];
  vsnprintf(line, sizeof line, format, args);
  if (t->write != NULL) {
    t->write(t->user, line);
  } else {
    fprintf(stderr, "%s\n", line);
  }
}

void trace_line(struct trace *t, const char *format, ...) {
  va_list args;
  if (!t->on) return;
  va_start(args, format);
  write_line(t, format, args);
  va_end(args);
}

void trace_always(struct trace *t, const char *format, ...) {
  va_list args;
  va_start(args, format);
  write_line(t, format, args);
  va_end(args);
}

static void trace_field(struct trace *t, char mark, const ws_header *h) {
  char name[100];
  char value[600];
  escape_text(name, sizeof name, h->name, strlen(h->name));
  if (is_secret_header(h->name)) {
    trace_line(t, "%c %s: (not shown)", mark, name);
    return;
  }
  escape_text(value, sizeof value, h->value, strlen(h->value));
  trace_line(t, "%c %s: %s", mark, name, value);
}

void trace_attempt(struct trace *t, ws_client *cl, uint32_t number) {
  char url[600];
  if (!t->on) return;
  escape_text(url, sizeof url, ws_client_url(cl), strlen(ws_client_url(cl)));
  trace_line(t, "* attempt %u: %s", (unsigned)number, url);
}

/* The request line and the fields that the command line decides; the others are those of every
 * handshake (RFC 6455 4.1).  Of several requests in an attempt (redirects) the last. */
static void trace_request(struct trace *t, ws_client *cl) {
  const struct client_settings *s = t->settings;
  char url[600];
  escape_text(url, sizeof url, ws_client_url(cl), strlen(ws_client_url(cl)));
  const char *host = strstr(url, "://");
  if (host != NULL && strncmp(url, "ws+unix", 7) != 0 && strncmp(url, "wss+unix", 8) != 0) {
    host += 3;
    size_t len = strcspn(host, "/?");
    const char *target = host + len;
    trace_line(t, "> GET %s%s HTTP/1.1", *target == '/' ? "" : "/", target);
    trace_line(t, "> Host: %.*s", (int)len, host);
  }
  for (size_t i = 0; i < s->subprotocol_count; i++) {
    trace_line(t, "> Sec-WebSocket-Protocol: %s", s->subprotocols[i]);
  }
  for (size_t i = 0; i < s->header_count; i++) trace_field(t, '>', &s->headers[i]);
}

/* And the request that it answers. */
static void trace_exchange(struct trace *t, ws_client *cl) {
  ws_header h;
  int status = ws_client_response_status(cl);
  if (status == 0) return;
  trace_request(t, cl);
  trace_line(t, "< HTTP/1.1 %d", status);
  for (size_t i = 0; ws_client_response_header_at(cl, i, &h); i++) trace_field(t, '<', &h);
}

void trace_open(struct trace *t, ws_client *cl, const ws_conn *c) {
  char url[600];
  ws_tls_info tls;
  if (!t->on) return;
  escape_text(url, sizeof url, ws_client_url(cl), strlen(ws_client_url(cl)));
  trace_line(t, "* connected to %s for %s", ws_conn_peer(c), url);
  WS_INIT(&tls);
  if (ws_conn_get_tls(c, &tls) == WS_OK) {
    trace_line(t, "* %s, %s%s", tls.version, tls.cipher, tls.resumed ? ", resumed" : "");
    if (tls.peer_subject[0] != '\0') trace_line(t, "* certificate of %s", tls.peer_subject);
    if (tls.peer_fingerprint[0] != '\0') trace_line(t, "* SHA-256 %s", tls.peer_fingerprint);
    if (tls.peer_fingerprint[0] == '\0') trace_line(t, "* certificate not verified");
  }
  trace_exchange(t, cl);
}

void trace_deflate(struct trace *t, const ws_conn *c, int offered) {
  char sending[kMaxDeflateName];
  char receiving[kMaxDeflateName];
  ws_deflate_info d;
  WS_INIT(&d);
  ws_conn_get_deflate(c, &d);
  if (d.flags & WS_DEFLATE_AGREED) {
    deflate_sending(&d, sending);
    deflate_receiving(&d, receiving);
    trace_line(t, "* deflate: agreed, sending %s, receiving %s", sending, receiving);
  } else {
    trace_line(t, "* deflate: %s", offered ? "declined by the server" : "not offered");
  }
}

static void put_deflated(char *out, size_t room, uint64_t plain, uint64_t wire) {
  if (wire == 0) {
    snprintf(out, room, "nothing compressed");
  } else {
    snprintf(out, room, "%" PRIu64 " -> %" PRIu64 " bytes (%.1f:1)", plain, wire,
             deflate_ratio(plain, wire));
  }
}

void trace_deflated(struct trace *t, const ws_conn *c) {
  char sent[80];
  char received[80];
  ws_deflate_info d;
  WS_INIT(&d);
  ws_conn_get_deflate(c, &d);
  if (!(d.flags & WS_DEFLATE_AGREED)) return;
  put_deflated(sent, sizeof sent, d.sent_plain_bytes, d.sent_wire_bytes);
  put_deflated(received, sizeof received, d.received_plain_bytes, d.received_wire_bytes);
  trace_line(t, "* deflate: sent %s, received %s", sent, received);
}

void trace_message(struct trace *t, int out, ws_opcode op, size_t len) {
  const char *name = op == WS_OP_TEXT     ? "text"
                     : op == WS_OP_BINARY ? "binary"
                     : op == WS_OP_PING   ? "ping"
                                          : "pong";
  trace_line(t, "%c %s, %zu bytes", out ? '>' : '<', name, len);
}

void trace_end(struct trace *t, ws_client *cl, const ws_close_info *how, int opened) {
  char text[400];
  if (!t->on) return;
  if (!opened) trace_exchange(t, cl);
  if (how->sent_code != 0) trace_line(t, "> close, code %u", how->sent_code);
  if (how->code != 1006) {
    escape(text, sizeof text, how->reason, how->reason_len);
    trace_line(t, "< close, code %u \"%s\"", how->code, text);
  }
  if (how->error != WS_OK) {
    escape_text(text, sizeof text, how->detail, strlen(how->detail));
    trace_line(t, "* ended: %s: %s", ws_strerror(how->error), text);
  }
}
