/*
 * --chat: the protocol between the chat page and the server.
 *
 * Each text message is one command: a word, a space, its arguments.  IDs are decimal numbers,
 * never used twice while the server runs.  A NAME (at most 40 bytes of UTF-8) may have spaces
 * and therefore comes last on its line; a TEXT (at most 2000) may have newlines and comes last
 * of all.
 *
 *   to the server
 *     name NAME                  be called NAME; also asked for as ?name=NAME in the URL
 *     say TEXT                   say it to everyone, the sender included
 *     ping TOKEN                 be answered "pong TOKEN"; at most 64 bytes
 *
 *   from the server, on joining, in this order
 *     you ID NAME                who you are
 *     who ID NAME                once per member that was here before
 *     past TIME ID NAME\nTEXT    up to 50 latest sayings, oldest first
 *   and then as it happens
 *     join ID NAME               a newcomer
 *     name ID NAME               a member, perhaps you, has a new name
 *     leave ID
 *     say TIME ID TEXT
 *     pong TOKEN
 *     error TEXT                 your last command was not done, and why
 *
 * TIME is in ms since 1970 (UTC), differs between any two sayings, and is the same in `say` and
 * the later `past`, so that a client that comes back can tell what it has already shown.
 *
 * A name that another member has is made unique with a number.  Binary messages are answered
 * with close 1003, a full room and a member that reads too slowly with 1013.
 */
#include <string.h>

#include "chat_room.h"
#include "percent.h"

enum { kMaxToken = 64, kMaxQueryName = 3 * kMaxName };

static struct room the_room;

/* The name asked for in "a=b&name=Bob%20B&c=d"; it stays "" if there is none or it is no name. */
static void on_upgrade(struct session *session, const ws_request *request) {
  struct member *m = (struct member *)session;
  const char *at = ws_request_query(request);
  char name[kMaxQueryName];
  while (*at != '\0') {
    size_t len = strcspn(at, "&");
    if (len > 5 && len - 5 <= sizeof name && memcmp(at, "name=", 5) == 0) {
      int n = percent_decode(at + 5, len - 5, name);
      if (n < 0 || chat_name(name, (size_t)n, m->name) != NULL) m->name[0] = '\0';
      return;
    }
    at += len;
    if (*at == '&') at++;
  }
}

static void on_open(ws_conn *c, void *user) {
  struct member *m = user;
  m->conn = c;
  m->id = ws_conn_id(c);
  if (!room_join(&the_room, m)) ws_conn_close(c, 1013, "the room is full");
}

static void on_close(ws_conn *c, const ws_close_info *how, void *user) {
  (void)c;
  (void)how;
  room_leave(&the_room, user);
}

static void rename_member(struct member *m, const char *text, size_t len) {
  char name[kMaxName + 1];
  const char *problem = chat_name(text, len, name);
  if (problem != NULL) {
    room_tell(m, "error %s", problem);
  } else {
    room_rename(&the_room, m, name);
  }
}

static void say(struct member *m, const char *text, size_t len) {
  const char *problem = chat_saying(text, len);
  if (problem != NULL) {
    room_tell(m, "error %s", problem);
  } else {
    room_say(&the_room, m, text, len);
  }
}

static void answer_ping(struct member *m, const char *token, size_t len) {
  if (len > kMaxToken) {
    room_tell(m, "error the token is longer than 64 bytes");
  } else {
    room_tell(m, "pong %.*s", (int)len, token);
  }
}

/* If the message is `word` and arguments, point *at and *len at those. */
static int is_command(const char *word, const char **at, size_t *len) {
  size_t n = strlen(word);
  if (*len <= n || memcmp(*at, word, n) != 0 || (*at)[n] != ' ') return 0;
  *at += n + 1;
  *len -= n + 1;
  return 1;
}

static void on_message(ws_conn *c, ws_opcode op, const void *data, size_t len, void *user) {
  struct member *m = user;
  const char *at = data;
  if (op != WS_OP_TEXT) {
    ws_conn_close(c, 1003, "text only");
  } else if (is_command("ping", &at, &len)) {
    answer_ping(m, at, len);
  } else if (is_command("say", &at, &len)) {
    say(m, at, len);
  } else if (is_command("name", &at, &len)) {
    rename_member(m, at, len);
  } else {
    room_tell(m, "error the commands are: name NAME, say TEXT, ping TOKEN");
  }
}

static void stop(void) { room_clear(&the_room); }

const struct mode chat_mode = {
    .name = "chat",
    .max_message_bytes = 4 * 1024, /* a saying, with room to answer a longer one politely */
    .send_limit_bytes = 1024 * 1024,
    .has_page = 1,
    .session_bytes = sizeof(struct member),
    .on_upgrade = on_upgrade,
    .handlers = {.size = sizeof(ws_handlers),
                 .on_open = on_open,
                 .on_message = on_message,
                 .on_close = on_close},
    .stop = stop,
};
