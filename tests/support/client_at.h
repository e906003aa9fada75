/*
 * The states a client can be in, for tests that do the same in each of them.
 */
#ifndef TESTS_SUPPORT_CLIENT_AT_H
#define TESTS_SUPPORT_CLIENT_AT_H

#include "caller.h"

typedef enum At { DUE, CONNECTING, TUNNEL, SHAKING, OPEN, WAITING, IDLE, STATES } At;

#define FOR_EACH_STATE(at) for (At at = DUE; at < STATES; at = (At)(at + 1))

const char *at_name(At at);

/* From a call that is prepared to that state; the log is empty afterwards.  A client that waits
 * does so for long.  CONNECTING: a name is being looked up.  TUNNEL: the target is a proxy that
 * has not answered yet. */
void bring_to(Call *call, At at);

/* Another one that is prepared, in place of *state. */
Call *fresh_call(void **state);

/* Nothing more is told. */
void expect_nothing_told(Caller *c);

/* Attempts follow each other within 2 ms. */
void retry_fast(Call *call, uint32_t count);

/* Leads the client to a port that refuses. */
void lead_to_refusal(Call *call);

#endif /* TESTS_SUPPORT_CLIENT_AT_H */
