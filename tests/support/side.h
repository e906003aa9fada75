/*
 * One engine under test with a fake clock, and the bytes of its peer: the same script runs
 * against a server and a client.
 */
#ifndef TESTS_SUPPORT_SIDE_H
#define TESTS_SUPPORT_SIDE_H

#include "check.h"
#include "wire.h"

enum { SERVER = 0, CLIENT = 1 };
typedef enum Cut { WHOLE, BYTES, RANDOM, IN_PLACE } Cut;

#define FOR_BOTH_ROLES(role) for (int role = SERVER; role <= CLIENT; ++role)

typedef struct Side {
  ws_engine *e;
  int role;
  Cut cut; /* how what is fed is delivered */
  uint64_t now;
  uint32_t seed;
  int answer_later; /* do not accept requests */
  ws_conn_config limits;
  ws_engine_config config;
  ws_close_info how;
  char reason[128];
  char log[8192]; /* events: "request open text:hi close:1000/1000/0 " */
  uint8_t *sent;  /* taken from the engine, not yet expected */
  size_t sent_len, sent_taken;
} Side;

/* Defaults, to be changed before side_start(). */
void side_prepare(Side *s, int role);
/* Make the engine and tick it at time 1000; a client's request is in `sent`. */
void side_start(Side *s);
/* The opening handshake; the log is empty afterwards. */
void side_open(Side *s);
void side_start_open(Side *s, int role);
void side_free(Side *s);

/* Give it bytes, as `cut` says, and log what comes out. */
void side_feed(Side *s, const void *data, size_t len);
void side_say(Side *s, const char *text);
/* A frame as this side's peer sends it. */
void side_frame(Side *s, uint8_t first, const void *payload, size_t len);
size_t side_peer_frame(const Side *s, uint8_t *out, uint8_t first, const void *payload, size_t len);
void side_close_frame(Side *s, uint16_t code, const char *reason);
void side_eof(Side *s);
void side_tick(Side *s, uint64_t now);
void side_events(Side *s); /* next() until 0 */

/* The log is exactly this; it is empty afterwards. */
void side_expect(Side *s, const char *log);
void side_expect_sent(Side *s, uint8_t first, const void *payload, size_t len);
void side_expect_sent_close(Side *s, uint16_t code);
void side_expect_sent_text(Side *s, const char *start); /* HTTP; takes all of it */
void side_expect_sent_nothing(Side *s);
void side_take_output(Side *s);

/* Random bytes that make a client's key the sample key. */
int side_random(void *user, void *out, size_t len);

#endif /* TESTS_SUPPORT_SIDE_H */
