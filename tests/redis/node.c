/*
 * One of several servers with the same topics: what a client sends is a command.
 *
 *     sub TOPIC        pub TOPIC TEXT        stats
 *
 * Says `listening PORT` and what the bridge tells on its standard output.  Ends when its standard
 * input does.
 */
#include <inttypes.h>
#include <libws/redis.h>
#include <libws/ws.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static ws_hub *hub;
static ws_redis_bridge *bridge;

static void answer(ws_conn *c, const char *text) {
  ws_conn_send(c, WS_OP_TEXT, text, strlen(text), 0);
}

static void publish(ws_conn *c, char *topic) {
  ws_message *m = NULL;
  char *text = strchr(topic, ' ');
  if (text == NULL) {
    answer(c, "error: pub TOPIC TEXT");
    return;
  }
  *text++ = '\0';
  if (ws_message_new(WS_OP_TEXT, text, strlen(text), &m) < 0 ||
      ws_hub_publish(hub, topic, m, NULL, 0) < 0) {
    answer(c, ws_last_detail());
  }
  ws_message_unref(m);
}

static void stats(ws_conn *c) {
  ws_redis_stats s;
  char text[512];
  WS_INIT(&s);
  ws_redis_bridge_get_stats(bridge, &s);
  snprintf(text, sizeof text,
           "stats connected=%d connects=%" PRIu64 " published=%" PRIu64 " received=%" PRIu64
           " own=%" PRIu64 " duplicates=%" PRIu64 " malformed=%" PRIu64 " dropped=%" PRIu64
           " queued=%" PRIu64 " topics=%" PRIu64,
           s.connected, s.connects, s.published, s.received, s.own, s.duplicates, s.malformed,
           s.dropped, s.queued, s.topics);
  answer(c, text);
}

static void on_message(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  char line[4096];
  (void)op, (void)user;
  if (len >= sizeof line) return;
  memcpy(line, data, len);
  line[len] = '\0';
  if (strncmp(line, "sub ", 4) == 0) {
    answer(c, ws_hub_subscribe(hub, c, line + 4) < 0 ? ws_last_detail() : "ok");
  } else if (strncmp(line, "pub ", 4) == 0) {
    publish(c, line + 4);
  } else if (strcmp(line, "stats") == 0) {
    stats(c);
  }
}

static void on_state(ws_redis_bridge *b, const ws_redis_state *s, void *user) {
  (void)b, (void)user;
  switch (s->event) {
    case WS_REDIS_CONNECTED:
      printf("connected missed=%d dropped=%" PRIu64 "\n", s->missed, s->dropped);
      break;
    case WS_REDIS_LOST: printf("lost error=%d %s\n", s->error, s->detail); break;
    case WS_REDIS_FAILED: printf("failed error=%d %s\n", s->error, s->detail); break;
  }
  fflush(stdout);
}

static void on_stdin(ws_watch *w, uint32_t ready, void *user) {
  char byte;
  (void)ready;
  if (read(0, &byte, 1) > 0) return;
  ws_watch_free(w);
  ws_loop_stop(user);
}

static int fail(const char *what, const char *why) {
  fprintf(stderr, "%s: %s\n", what, why);
  return 1;
}

int main(int argc, char **argv) {
  ws_handlers handlers;
  ws_server_config config;
  ws_listen_config where;
  ws_redis_config redis;
  ws_loop *loop;
  ws_server *server;
  ws_listener *listener;
  ws_watch *input;
  WS_INIT(&handlers);
  WS_INIT(&config);
  WS_INIT(&where);
  WS_INIT(&redis);
  if (argc < 2) return fail("usage", "node REDIS-URL [QUEUED-BYTES [CA-FILE]]");
  handlers.on_message = on_message;
  config.handlers = &handlers;
  where.host = "127.0.0.1";
  redis.url = argv[1];
  redis.retry_min_ms = 10;
  redis.retry_max_ms = 50;
  redis.on_state = on_state;
  if (argc > 2) redis.max_queued_bytes = strtoull(argv[2], NULL, 10);
  if (argc > 3) redis.ca_file = argv[3];
  if (ws_loop_new(NULL, &loop) < 0 || ws_hub_new(NULL, &hub) < 0 ||
      ws_server_new(loop, &config, &server) < 0 ||
      ws_server_listen(server, &where, &listener) < 0 ||
      ws_watch_new(loop, 0, WS_WATCH_READ, on_stdin, loop, &input) < 0) {
    return fail("node", ws_last_detail());
  }
  if (ws_redis_bridge_new(hub, loop, &redis, &bridge) < 0) {
    return fail("bridge", ws_redis_last_detail());
  }
  printf("listening %d\n", ws_listener_port(listener));
  fflush(stdout);
  int code = ws_loop_run(loop);
  ws_redis_bridge_free(bridge);
  ws_loop_free(loop);
  ws_hub_unref(hub);
  return code < 0;
}
