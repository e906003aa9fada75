/*
 * A hub with what its tests do all the time.
 */
#ifndef TESTS_SUPPORT_TOPICS_H
#define TESTS_SUPPORT_TOPICS_H

#include "world.h"

ws_hub *hub_new(uint32_t max_topics, uint32_t max_per_conn, uint64_t max_queued);
/* A text message to a topic; returns what ws_hub_publish() does. */
int hub_say(ws_hub *h, const char *topic, const char *text, ws_conn *except, uint32_t flags);
ws_hub_stats hub_stats(ws_hub *h);

#endif /* TESTS_SUPPORT_TOPICS_H */
