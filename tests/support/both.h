/*
 * A server and a client of libws on one loop, with permessage-deflate as by default: they talk to
 * each other, or each of them to a Peer that the test speaks for.  And zlib, to make and read what
 * libws shall read and has made.
 */
#ifndef TESTS_SUPPORT_BOTH_H
#define TESTS_SUPPORT_BOTH_H

#include "caller.h"
#include "side.h"
#include "world.h"

#define DEFLATE_FIELD "Sec-WebSocket-Extensions: "
#define NO_TAKEOVER "permessage-deflate; server_no_context_takeover; client_no_context_takeover"

enum { RSV1 = 0x40, ZIPPED_TEXT = FIN_TEXT | RSV1, ZIPPED_BINARY = FIN_BINARY | RSV1 };

typedef struct Both {
  World w;
  Caller c;
  Target t; /* of a client whose server the test speaks for */
  ws_loop *loop;
} Both;

/* CMocka fixtures: *state is a Both that is prepared: w.limits, c.limits and w.loop_config may be
 * changed. */
int both_setup(void **state);
int both_teardown(void **state);

/* The loop and the server; the client's URL is its "/". */
void both_start(Both *b);
/* From there to an open connection on both sides. */
void both_join(Both *b);
/* The two together. */
void both_open(Both *b);
/* End the client and what it has open; another may be started. */
void both_leave(Both *b);
/* In libws' place as `role`, from both_start() on: the connection of libws with `p`, which has
 * offered or answered `extension` ("" for none). */
ws_conn *both_meet(Both *b, int role, Peer *p, const char *extension);
/* What libws has offered or answered by both_meet(), "" for nothing. */
const char *both_agreed(Both *b, int role);
ws_conn_config *both_limits(Both *b, int role);

void both_wait(Both *b, const int *value, int want);
ws_deflate_info deflate_info_of(const ws_conn *c);
ws_loop_stats loop_stats_of(ws_loop *l);

/* JSON that differs with `seed`, `len` bytes of it; to be freed. */
char *some_json(size_t len, unsigned seed);
/* Bytes that do not compress; to be freed. */
uint8_t *some_noise(size_t len, unsigned seed);

/* The payload of one message that refers to nothing, without the last four bytes; to be freed. */
uint8_t *zip(const void *data, size_t len, size_t *zipped);
/* The same back, for a payload that refers to nothing; to be freed. */
uint8_t *unzip(const void *payload, size_t len, size_t *out_len);
/* The frame, a whole compressed message, holds `data` and refers to nothing before it. */
void expect_unzipped(const WireFrame *f, const void *data, size_t len);

#endif /* TESTS_SUPPORT_BOTH_H */
