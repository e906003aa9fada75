/*
 * A client for the interop suites, on the public C API alone: `client_echo [OPTION]... URL`.
 *
 * It sends text and binary messages of every interesting size to an echo server, checks what comes
 * back, pings, closes with 1000 and prints how it went as one line of JSON.  With --mixed they are
 * 50 for compression: like ones first, then up to 1 MiB, some in pieces.  With --rounds it stays
 * instead, while the test kills and restarts the server: whenever the connection is lost it queues
 * messages, and each round ends when all of them have come back in order.  --times makes several
 * connections, one after another, with the same TLS settings.
 *
 * Exit status: 0 all went well, 1 it did not (the JSON says why), 2 the command line was wrong.
 */
#include <libws/ws.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { kMaxHeaders = 16, kMaxSubprotocols = 8, kUnit = 10, kPrime = 65521 };
enum { kSendLimit = 64 << 20, kMaxSize = 16 << 20 };
enum { kTicks = 30, kTickSize = 1200, kNoiseSize = 65536, kPieces = 4, kPiecesEvery = 5 };

static const size_t sizes[] = {0, 1, 125, 126, 127, 65535, 65536, 1 << 20, kMaxSize};
static const size_t mixed_sizes[] = {0, 1, 125, 126, 127, 255, 256, 257, kNoiseSize, 1 << 20};
static const char ping_payload[] = "interop";

struct options {
  ws_client_config client;
  ws_conn_config conn;
  ws_tls_config tls, proxy_tls;
  ws_header headers[kMaxHeaders];
  const char* subprotocols[kMaxSubprotocols];
  size_t max_size; /* the longest message to send */
  uint32_t times, rounds, queue, deadline_ms;
  int mixed;
};

struct run {
  const struct options* options;
  ws_loop* loop;
  ws_client* client;
  size_t step; /* two for each size: binary, text; of --mixed, the ticks come first */
  unsigned messages, pongs, attempts, opened, rounds, failed_attempts;
  unsigned long next_sent, next_expected; /* with --rounds */
  int done;                               /* everything came back */
  int ended;
  char wrong[200];
  ws_close_info how;
  char how_detail[512], how_reason[124];
  ws_tls_info tls;
  char tls_version[32], tls_cipher[64], tls_name[256], tls_subject[256];
  char subprotocol[128], extensions[256];
  int status;                           /* of the HTTP response */
  ws_deflate_info deflate, after_ticks; /* at the end, and when the last of kTicks had come back */
};

static void fill(char* to, size_t size, ws_opcode op) {
  static const char unit[kUnit + 1] = "a\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80";
  size_t i, whole = size - size % kUnit;
  for (i = 0; i < size; i++) {
    if (op == WS_OP_TEXT) {
      to[i] = i < whole ? unit[i % kUnit] : 'z';
    } else {
      size_t at = i % kPrime;
      to[i] = (char)(unsigned char)((at * 7 + (at >> 8) * 13) & 0xff);
    }
  }
}

/* Bytes without a pattern, or hexadecimal digits: the same ones each time. */
static void fill_noise(char* to, size_t size, int digits) {
  uint32_t state = 2463534242u;
  size_t i;
  for (i = 0; i < size; i++) {
    state ^= state << 13;
    state ^= state >> 17;
    state ^= state << 5;
    to[i] = digits ? "0123456789abcdef"[state >> 28] : (char)(unsigned char)(state >> 24);
  }
}

static void copy(char* to, size_t room, const char* from) {
  size_t len = strlen(from);
  if (len >= room) len = room - 1;
  memcpy(to, from, len);
  to[len] = '\0';
}

/* The first thing that is wrong is the one worth knowing. */
static void wrong(struct run* r, const char* what, const char* detail) {
  if (r->wrong[0] == '\0') snprintf(r->wrong, sizeof r->wrong, "%s: %s", what, detail);
  ws_loop_stop(r->loop);
}

/* --- Echo: one message at a time, so that a wrong one is found where it is. */

struct message {
  ws_opcode op;
  size_t size;
  char* data; /* to be freed */
};

static size_t step_count(const struct options* o) {
  size_t n = 0;
  if (o->mixed) return kTicks + 2 * sizeof mixed_sizes / sizeof mixed_sizes[0];
  while (n < sizeof sizes / sizeof sizes[0] && sizes[n] <= o->max_size) n++;
  return 2 * n;
}

static struct message step_message(const struct run* r) {
  struct message m;
  int tick = r->options->mixed && r->step < kTicks;
  m.op = r->step % 2 == 0 ? WS_OP_BINARY : WS_OP_TEXT;
  if (tick) {
    m.size = kTickSize;
  } else if (r->options->mixed) {
    m.size = mixed_sizes[(r->step - kTicks) / 2];
    if (m.size > r->options->max_size) m.size = r->options->max_size;
  } else {
    m.size = sizes[r->step / 2];
  }
  m.data = malloc(m.size + 1);
  if (m.data == NULL) abort();
  if (tick) { /* alone they compress badly, and each says little that is new */
    fill_noise(m.data, m.size, 1);
    m.data[m.size / 2] = (char)('A' + r->step % 26);
  } else if (r->options->mixed && m.size == kNoiseSize && m.op == WS_OP_BINARY) {
    fill_noise(m.data, m.size, 0);
  } else {
    fill(m.data, m.size, m.op);
  }
  return m;
}

/* The second one empty, and text cut anywhere. */
static int send_pieces(ws_conn* c, const struct message* m) {
  size_t piece = m->size / kPieces + 1, at = 0;
  int i, status = 0;
  for (i = 0; i < kPieces && status >= 0; i++) {
    size_t len = i == 1 ? 0 : piece;
    if (i == kPieces - 1 || len > m->size - at) len = m->size - at;
    status = ws_conn_send_part(c, m->op, m->data + at, len, i == kPieces - 1);
    at += len;
  }
  return status;
}

static void send_step(struct run* r, ws_conn* c) {
  struct message m = step_message(r);
  int status;
  if (r->options->mixed && r->step % kPiecesEvery == 0) {
    status = send_pieces(c, &m);
  } else {
    status = ws_conn_send(c, m.op, m.data, m.size, 0);
  }
  free(m.data);
  if (status < 0) wrong(r, "send", ws_last_detail());
}

static void echo_message(struct run* r, ws_conn* c, ws_opcode op, const void* data, size_t len) {
  struct message m = step_message(r);
  int same = op == m.op && len == m.size && (len == 0 || memcmp(data, m.data, len) == 0);
  free(m.data);
  if (!same) {
    char detail[80];
    snprintf(detail, sizeof detail, "opcode %d, %zu bytes, for %zu", (int)op, len, m.size);
    wrong(r, "echo", detail);
    return;
  }
  r->messages++;
  r->step++;
  if (r->step == kTicks && ws_conn_get_deflate(c, &r->after_ticks) < 0) {
    wrong(r, "deflate", ws_last_detail());
  }
  if (r->step < step_count(r->options)) {
    send_step(r, c);
  } else if (ws_conn_ping(c, ping_payload, sizeof ping_payload - 1) < 0) {
    wrong(r, "ping", ws_last_detail());
  }
}

static void on_pong(ws_conn* c, const void* data, size_t len, void* user) {
  struct run* r = user;
  if (len != sizeof ping_payload - 1 || memcmp(data, ping_payload, len) != 0) return;
  r->pongs++;
  if (r->done) return;
  r->done = 1;
  if (ws_conn_get_deflate(c, &r->deflate) < 0) wrong(r, "deflate", ws_last_detail());
  if (ws_conn_close(c, 1000, "done") < 0) wrong(r, "close", ws_last_detail());
}

/* --- Rounds: what was queued while nothing was open comes back in order, and all of it. */

static void queue_round(struct run* r) {
  uint32_t i;
  for (i = 0; i < r->options->queue; i++) {
    char text[32];
    int len = snprintf(text, sizeof text, "%lu", r->next_sent);
    if (ws_client_send(r->client, WS_OP_TEXT, text, (size_t)len, 0) < 0) {
      wrong(r, "queue", ws_last_detail());
      return;
    }
    r->next_sent++;
  }
}

static void round_message(struct run* r, ws_opcode op, const char* data, size_t len) {
  char wanted[32];
  int wanted_len = snprintf(wanted, sizeof wanted, "%lu", r->next_expected);
  if (op != WS_OP_TEXT || len != (size_t)wanted_len || memcmp(data, wanted, len) != 0) {
    wrong(r, "out of order, wanted", wanted);
    return;
  }
  r->messages++;
  r->next_expected++;
  if (r->next_expected != r->next_sent) return;
  r->rounds++;
  printf("round %u attempts %u\n", r->rounds, r->attempts);
  fflush(stdout);
  if (r->rounds < r->options->rounds) return;
  r->done = 1;
  if (ws_client_close(r->client, 1000, "done") < 0) wrong(r, "close", ws_last_detail());
}

/* --- Callbacks */

static void keep_tls(struct run* r, const ws_tls_info* info) {
  r->tls = *info;
  copy(r->tls_version, sizeof r->tls_version, info->version);
  copy(r->tls_cipher, sizeof r->tls_cipher, info->cipher);
  copy(r->tls_name, sizeof r->tls_name, info->server_name);
  copy(r->tls_subject, sizeof r->tls_subject, info->peer_subject);
}

static void on_open(ws_conn* c, void* user) {
  struct run* r = user;
  const char* extensions = ws_client_response_header(r->client, "Sec-WebSocket-Extensions", NULL);
  ws_tls_info info;
  WS_INIT(&info);
  r->opened++;
  if (ws_conn_get_tls(c, &info) == WS_OK) keep_tls(r, &info);
  copy(r->subprotocol, sizeof r->subprotocol, ws_conn_subprotocol(c));
  if (extensions != NULL) copy(r->extensions, sizeof r->extensions, extensions);
  r->status = ws_client_response_status(r->client);
  if (r->options->rounds == 0) send_step(r, c);
}

static void on_message(ws_conn* c, ws_opcode op, const void* data, size_t len, void* user) {
  struct run* r = user;
  if (r->done) return;
  if (r->options->rounds != 0) {
    round_message(r, op, data, len);
  } else {
    echo_message(r, c, op, data, len);
  }
}

static void on_attempt(ws_client* cl, uint32_t number, void* user) {
  struct run* r = user;
  (void)cl;
  (void)number;
  r->attempts++;
}

static void on_down(ws_client* cl, const ws_close_info* why, uint32_t retry_in_ms, void* user) {
  struct run* r = user;
  r->how = *why;
  copy(r->how_detail, sizeof r->how_detail, why->detail);
  copy(r->how_reason, sizeof r->how_reason, why->reason);
  if (ws_client_response_status(cl) != 0) r->status = ws_client_response_status(cl);
  if (retry_in_ms == WS_NEVER) {
    r->ended = 1;
    ws_loop_stop(r->loop);
    return;
  }
  if (r->options->rounds == 0 || r->wrong[0] != '\0') return;
  if (r->next_sent == r->next_expected) {
    queue_round(r);
    printf("down\n");
    fflush(stdout);
  }
}

static void on_deadline(ws_timer* t, void* user) {
  struct run* r = user;
  (void)t;
  if (r->wrong[0] == '\0') copy(r->wrong, sizeof r->wrong, "the deadline of the test has passed");
  ws_loop_stop(r->loop);
}

/* --- Report */

static void print_string(const char* name, const char* value) {
  printf(", \"%s\": \"", name);
  for (; *value != '\0'; value++) {
    unsigned char byte = (unsigned char)*value;
    if (byte == '"' || byte == '\\') putchar('\\');
    if (byte < 0x20) {
      printf("\\u%04x", byte);
    } else {
      putchar(byte);
    }
  }
  putchar('"');
}

static void print_deflate(const char* name, const ws_deflate_info* d) {
  printf(", \"%s\": {\"agreed\": %s, \"sends\": [%s, %u], \"receives\": [%s, %u]", name,
         d->flags & WS_DEFLATE_AGREED ? "true" : "false",
         d->flags & WS_DEFLATE_SEND_TAKEOVER ? "true" : "false", d->send_window_bits,
         d->flags & WS_DEFLATE_RECV_TAKEOVER ? "true" : "false", d->recv_window_bits);
  printf(", \"sent\": [%llu, %llu], \"received\": [%llu, %llu]}",
         (unsigned long long)d->sent_plain_bytes, (unsigned long long)d->sent_wire_bytes,
         (unsigned long long)d->received_plain_bytes, (unsigned long long)d->received_wire_bytes);
}

static void report(const struct run* r) {
  printf("{\"ok\": %s", r->done && r->wrong[0] == '\0' ? "true" : "false");
  printf(", \"error\": %d, \"code\": %u, \"sent_code\": %u, \"clean\": %s", r->how.error,
         r->how.code, r->how.sent_code, r->how.flags & WS_CLOSE_CLEAN ? "true" : "false");
  printf(", \"http_status\": %d, \"status\": %d, \"errno\": %d", r->how.http_status, r->status,
         r->how.sys_errno);
  printf(", \"opened\": %u, \"attempts\": %u, \"messages\": %u, \"pongs\": %u, \"rounds\": %u",
         r->opened, r->attempts, r->messages, r->pongs, r->rounds);
  printf(", \"resumed\": %s", r->tls.resumed ? "true" : "false");
  print_string("error_text", ws_strerror(r->how.error));
  print_string("detail", r->how_detail);
  print_string("reason", r->how_reason);
  print_string("wrong", r->wrong);
  print_string("tls", r->tls_version);
  print_string("cipher", r->tls_cipher);
  print_string("server_name", r->tls_name);
  print_string("peer_subject", r->tls_subject);
  print_string("subprotocol", r->subprotocol);
  print_string("extensions", r->extensions);
  print_deflate("deflate", &r->deflate);
  print_deflate("after_ticks", &r->after_ticks);
  printf("}\n");
  fflush(stdout);
}

/* A call was refused before there was anything to run. */
static int refused(const char* what, int error) {
  struct run r;
  memset(&r, 0, sizeof r);
  r.how.error = error;
  copy(r.how_detail, sizeof r.how_detail, ws_last_detail());
  copy(r.wrong, sizeof r.wrong, what);
  report(&r);
  return 1;
}

/* --- Running */

static int run_once(const struct options* o) {
  static const ws_handlers handlers = {
      .size = sizeof handlers, .on_open = on_open, .on_message = on_message, .on_pong = on_pong};
  struct run r;
  ws_client_config cfg = o->client;
  ws_timer* deadline = NULL;
  int status;
  memset(&r, 0, sizeof r);
  WS_INIT(&r.deflate);
  WS_INIT(&r.after_ticks);
  r.options = o;
  cfg.handlers = &handlers;
  cfg.conn = &o->conn;
  cfg.user = &r;
  cfg.on_attempt = on_attempt;
  cfg.on_down = on_down;
  if ((status = ws_loop_new(NULL, &r.loop)) < 0) return refused("ws_loop_new", status);
  if ((status = ws_client_new(r.loop, &cfg, &r.client)) < 0) {
    status = refused("ws_client_new", status);
    ws_loop_free(r.loop);
    return status;
  }
  if (ws_timer_new(r.loop, on_deadline, &r, &deadline) < 0 ||
      ws_timer_start(deadline, o->deadline_ms) < 0) {
    wrong(&r, "timer", ws_last_detail());
  }
  if (o->rounds != 0) queue_round(&r);
  ws_loop_run(r.loop);
  report(&r);
  ws_client_free(r.client);
  ws_loop_free(r.loop);
  return r.done && r.ended && r.wrong[0] == '\0' ? 0 : 1;
}

/* --- The command line */

static void usage(void) {
  fputs(
      "Usage: client_echo [OPTION]... URL\n"
      "  --cacert FILE | --insecure | --cert FILE | --key FILE | --tls-name NAME\n"
      "  --proxy URL | --proxy-env | --proxy-cacert FILE | --connect-to HOST:PORT\n"
      "  --subprotocol NAME | -H 'NAME: VALUE' | --max-size BYTES | --redirects N\n"
      "  --times N | --rounds N | --queue N | --retries N | --retry-ms MIN:MAX\n"
      "  --handshake-ms N | --deadline-ms N\n"
      "  --deflate off|shared|dedicated | --deflate-recv shared|dedicated | --window BITS\n"
      "  --level N | --deflate-min BYTES | --mixed\n",
      stderr);
  exit(2);
}

static uint32_t number(const char* text) {
  char* end;
  unsigned long value = strtoul(text, &end, 10);
  if (end == text || *end != '\0' || value > INT32_MAX) usage();
  return (uint32_t)value;
}

static ws_deflate mode(const char* text) {
  if (strcmp(text, "off") == 0) return WS_DEFLATE_OFF;
  if (strcmp(text, "shared") == 0) return WS_DEFLATE_SHARED;
  if (strcmp(text, "dedicated") != 0) usage();
  return WS_DEFLATE_DEDICATED;
}

static void add_header(struct options* o, char* line) {
  char* colon = strstr(line, ": ");
  if (colon == NULL || o->client.header_count == kMaxHeaders) usage();
  *colon = '\0';
  o->headers[o->client.header_count].name = line;
  o->headers[o->client.header_count].value = colon + 2;
  o->client.header_count++;
}

static void set_retry(struct options* o, char* range) {
  char* colon = strchr(range, ':');
  if (colon == NULL) usage();
  *colon = '\0';
  o->client.retry_min_ms = number(range);
  o->client.retry_max_ms = number(colon + 1);
}

static int is_flag(struct options* o, const char* name) {
  if (strcmp(name, "--insecure") == 0) {
    o->tls.verify = WS_TLS_VERIFY_NONE;
  } else if (strcmp(name, "--proxy-env") == 0) {
    o->client.flags |= WS_CLIENT_PROXY_ENV;
  } else if (strcmp(name, "--mixed") == 0) {
    o->mixed = 1;
  } else {
    return 0;
  }
  return 1;
}

static int set_text(struct options* o, const char* name, char* value) {
  struct {
    const char *name, **value;
  } const texts[] = {{"--cacert", &o->tls.ca_file},
                     {"--cert", &o->tls.cert_file},
                     {"--key", &o->tls.key_file},
                     {"--tls-name", &o->client.tls_name},
                     {"--proxy", &o->client.proxy},
                     {"--proxy-cacert", &o->proxy_tls.ca_file},
                     {"--connect-to", &o->client.connect_to}};
  size_t i;
  for (i = 0; i < sizeof texts / sizeof texts[0]; i++) {
    if (strcmp(name, texts[i].name) != 0) continue;
    *texts[i].value = value;
    return 1;
  }
  return 0;
}

static int set_number(struct options* o, const char* name, const char* value) {
  struct {
    const char* name;
    uint32_t* value;
  } const numbers[] = {{"--redirects", &o->client.max_redirects},
                       {"--times", &o->times},
                       {"--rounds", &o->rounds},
                       {"--queue", &o->queue},
                       {"--retries", &o->client.retry_count},
                       {"--handshake-ms", &o->conn.handshake_timeout_ms},
                       {"--window", &o->conn.deflate_window_bits},
                       {"--level", &o->conn.deflate_level},
                       {"--deadline-ms", &o->deadline_ms}};
  size_t i;
  if (strcmp(name, "--max-size") == 0) {
    o->max_size = number(value);
    return 1;
  }
  for (i = 0; i < sizeof numbers / sizeof numbers[0]; i++) {
    if (strcmp(name, numbers[i].name) != 0) continue;
    *numbers[i].value = number(value);
    return 1;
  }
  return 0;
}

static void set_option(struct options* o, const char* name, char* value) {
  if (strcmp(name, "-H") == 0) {
    add_header(o, value);
  } else if (strcmp(name, "--retry-ms") == 0) {
    set_retry(o, value);
  } else if (strcmp(name, "--deflate") == 0) {
    o->conn.deflate = mode(value);
  } else if (strcmp(name, "--deflate-recv") == 0) {
    o->conn.deflate_recv = mode(value);
  } else if (strcmp(name, "--deflate-min") == 0) {
    o->conn.deflate_min_bytes = number(value);
  } else if (strcmp(name, "--subprotocol") == 0) {
    if (o->client.subprotocol_count == kMaxSubprotocols) usage();
    o->subprotocols[o->client.subprotocol_count++] = value;
  } else if (!set_text(o, name, value) && !set_number(o, name, value)) {
    usage();
  }
}

static void read_options(struct options* o, int argc, char** argv) {
  int i;
  memset(o, 0, sizeof *o);
  WS_INIT(&o->client);
  WS_INIT(&o->conn);
  WS_INIT(&o->tls);
  WS_INIT(&o->proxy_tls);
  o->client.headers = o->headers;
  o->client.subprotocols = o->subprotocols;
  o->client.queue_bytes = 1 << 20;
  o->conn.send_limit_bytes = kSendLimit;
  o->conn.max_message_bytes = kMaxSize;
  o->max_size = kMaxSize;
  o->times = 1;
  o->queue = 5;
  o->deadline_ms = 20000;
  for (i = 1; i < argc && argv[i][0] == '-'; i++) {
    if (is_flag(o, argv[i])) continue;
    if (i + 1 == argc) usage();
    set_option(o, argv[i], argv[i + 1]);
    i++;
  }
  if (i + 1 != argc) usage();
  o->client.url = argv[i];
  if (o->rounds != 0) o->client.retry_count = WS_NEVER;
}

int main(int argc, char** argv) {
  struct options o;
  uint32_t i;
  int status = 0;
  read_options(&o, argc, argv);
  if (o.tls.ca_file != NULL || o.tls.cert_file != NULL || o.tls.verify != WS_TLS_VERIFY_DEFAULT) {
    if ((status = ws_tls_new(&o.tls, &o.client.tls)) < 0) return refused("ws_tls_new", status);
  }
  if (o.proxy_tls.ca_file != NULL) {
    status = ws_tls_new(&o.proxy_tls, &o.client.proxy_tls);
    if (status < 0) return refused("ws_tls_new", status);
  }
  for (i = 0; i < o.times && status == 0; i++) status = run_once(&o);
  ws_tls_unref(o.client.tls);
  ws_tls_unref(o.client.proxy_tls);
  return status;
}
