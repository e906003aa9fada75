/*
 * A sender, in either role, and a receiver of libws that takes nothing until it is told to: what
 * then waits at the sender, and what of it arrives in the end.
 */
#ifndef TESTS_SUPPORT_SLOW_H
#define TESTS_SUPPORT_SLOW_H

#include "both.h"

/* What a message that waits counts beside its payload, as config.h says. */
#define WAITING_OVERHEAD 192

typedef struct Slow {
  World *w;
  Caller *c;
  int role;      /* the sender's */
  ws_conn *from; /* not referenced */
  ws_conn *to;   /* the receiver: paused */
  uint32_t *got; /* numbers of the messages that arrived, in order, without 0 */
  size_t count, room;
  int ended; /* the last message has arrived */
  /* Called with each message that has a number. */
  void (*on)(struct Slow *s, const uint8_t *data, size_t len);
} Slow;

enum { FILLER = 0, THE_END = INT32_MAX };

/* The sender's limits, before it is open. */
ws_conn_config *slow_limits(World *w, Caller *c, int role);
/* For a pair that is open. */
void slow_begin(Slow *s, World *w, Caller *c, int role);
void slow_free(Slow *s); /* before the pair is closed */

/* A message of `len` bytes, at least 4, that begins with its number; the rest repeats. */
ws_message *numbered(uint32_t number, size_t len);
/* Send one with this policy and return what the send returned. */
int send_numbered(Slow *s, uint32_t number, size_t len, ws_slow slow, unsigned urgency,
                  const char *key);
int send_raw(Slow *s, uint32_t number, size_t len);

/* Until the kernel takes no more, and then until `queued` bytes are queued. */
void slow_fill(Slow *s, uint64_t queued);

/* The receiver reads; until all has arrived that was sent. */
void slow_read_all(Slow *s);

ws_conn_stats stats_of(const ws_conn *c);

/* Exactly these, first to last, have arrived. */
void expect_got_range(Slow *s, uint32_t first, uint32_t last);
void expect_got(Slow *s, const uint32_t *numbers, size_t count);

#endif /* TESTS_SUPPORT_SLOW_H */
