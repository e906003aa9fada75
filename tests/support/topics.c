#include "topics.h"

ws_hub *hub_new(uint32_t max_topics, uint32_t max_per_conn, uint64_t max_queued) {
  ws_hub_config c;
  ws_hub *h = NULL;
  WS_INIT(&c);
  c.max_topics = max_topics;
  c.max_subscriptions_per_conn = max_per_conn;
  c.max_queued_bytes = max_queued;
  assert_ok(ws_hub_new(&c, &h));
  return h;
}

int hub_say(ws_hub *h, const char *topic, const char *text, ws_conn *except, uint32_t flags) {
  ws_message *m = NULL;
  assert_ok(ws_message_new(WS_OP_TEXT, text, strlen(text), &m));
  const int rc = ws_hub_publish(h, topic, m, except, flags);
  ws_message_unref(m);
  return rc;
}

ws_hub_stats hub_stats(ws_hub *h) {
  ws_hub_stats s;
  WS_INIT(&s);
  assert_ok(ws_hub_get_stats(h, &s));
  return s;
}
