/*
 * The chat room: who is in it, what was said last, and telling everyone.
 *
 * Bounds: kMaxMembers members; kMaxHistory messages kept; per member at most the connection's
 * send limit queued, and who falls that far behind is closed with 1013.
 */
#ifndef WS_CLI_SERVE_CHAT_ROOM_H
#define WS_CLI_SERVE_CHAT_ROOM_H

#include "../command.h"
#include "chat_text.h"
#include "session.h"

enum { kMaxMembers = 250, kMaxHistory = 50 };

struct member {
  struct session session; /* first: this is the user pointer of the connection */
  ws_conn *conn;
  uint64_t id;
  int joined;
  char name[kMaxName + 1]; /* before joining: the one asked for, or "" */
};

struct room {
  struct member *members[kMaxMembers]; /* in the order they came */
  size_t count;
  ws_message *history[kMaxHistory]; /* a ring: finished "past" messages */
  size_t said;                      /* since the start; said % kMaxHistory is written next */
  uint64_t last_time;               /* of a saying */
};

/* The newcomer learns who it is, who is here and what was said; the others learn of it.
 * Returns 0 if the room is full. */
int room_join(struct room *room, struct member *m);
void room_leave(struct room *room, struct member *m); /* harmless if it never joined */

/* `name` has passed chat_name(); it is numbered if another member has it. */
void room_rename(struct room *room, struct member *m, const char *name);

/* `text` has passed chat_saying(). */
void room_say(struct room *room, const struct member *m, const char *text, size_t len);

/* One message to one member. */
void room_tell(struct member *m, const char *format, ...) PRINTF_LIKE(2, 3);

void room_clear(struct room *room);

#endif /* WS_CLI_SERVE_CHAT_ROOM_H */
