/*
 * Each line to everyone is one ws_message, framed once.  Sending runs no callbacks, so the
 * list of members does not change while it is walked.
 */
#include "chat_room.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

/* A whole message fits: a verb, a time, an id, a name and a saying. */
enum { kMaxLine = 96 + kMaxName + kMaxSaying };

static void close_if_slow(struct member *m, int sent) {
  if (sent == WS_ERR_FULL) ws_conn_close(m->conn, 1013, "reads too slowly");
}

void room_tell(struct member *m, const char *format, ...) {
  char line[kMaxLine];
  va_list args;
  va_start(args, format);
  int len = vsnprintf(line, sizeof line, format, args);
  va_end(args);
  if (len < 0 || (size_t)len >= sizeof line) return;
  close_if_slow(m, ws_conn_send(m->conn, WS_OP_TEXT, line, (size_t)len, 0));
}

static void tell_message(struct room *room, const struct member *except, ws_message *message) {
  for (size_t i = 0; i < room->count; i++) {
    struct member *m = room->members[i];
    if (m != except) close_if_slow(m, ws_conn_send_message(m->conn, message));
  }
}

/* Returns NULL when there is no memory; the line is then lost, and the room goes on. */
static ws_message *make_message(const char *format, va_list args) {
  char line[kMaxLine];
  ws_message *message = NULL;
  int len = vsnprintf(line, sizeof line, format, args);
  if (len < 0 || (size_t)len >= sizeof line) return NULL;
  if (ws_message_new(WS_OP_TEXT, line, (size_t)len, &message) < 0) return NULL;
  return message;
}

static void tell_all(struct room *room, const struct member *except, const char *format, ...)
    PRINTF_LIKE(3, 4);
static void tell_all(struct room *room, const struct member *except, const char *format, ...) {
  va_list args;
  va_start(args, format);
  ws_message *message = make_message(format, args);
  va_end(args);
  if (message == NULL) return;
  tell_message(room, except, message);
  ws_message_unref(message);
}

static int is_taken(const struct room *room, const struct member *by_other_than, const char *name) {
  for (size_t i = 0; i < room->count; i++) {
    const struct member *m = room->members[i];
    if (m != by_other_than && chat_same_name(m->name, name)) return 1;
  }
  return 0;
}

/* Ends: among the first kMaxMembers + 1 candidates one is free, as members hold one each. */
static void take_name(struct room *room, struct member *m, const char *wish) {
  char name[kMaxName + 1];
  snprintf(name, sizeof name, "%s", wish);
  for (unsigned n = 2; is_taken(room, m, name); n++) chat_numbered_name(wish, n, name);
  memcpy(m->name, name, sizeof name);
}

static void tell_history(struct room *room, struct member *m) {
  size_t kept = room->said < kMaxHistory ? room->said : kMaxHistory;
  for (size_t i = room->said - kept; i < room->said; i++) {
    close_if_slow(m, ws_conn_send_message(m->conn, room->history[i % kMaxHistory]));
  }
}

int room_join(struct room *room, struct member *m) {
  if (room->count == kMaxMembers) return 0;
  char wish[kMaxName + 1];
  memcpy(wish, m->name, sizeof wish);
  take_name(room, m, wish[0] != '\0' ? wish : "Guest");
  room_tell(m, "you %" PRIu64 " %s", m->id, m->name);
  for (size_t i = 0; i < room->count; i++) {
    room_tell(m, "who %" PRIu64 " %s", room->members[i]->id, room->members[i]->name);
  }
  tell_history(room, m);
  tell_all(room, NULL, "join %" PRIu64 " %s", m->id, m->name);
  room->members[room->count++] = m;
  m->joined = 1;
  return 1;
}

void room_leave(struct room *room, struct member *m) {
  if (!m->joined) return;
  size_t i = 0;
  while (room->members[i] != m) i++;
  room->count--;
  memmove(&room->members[i], &room->members[i + 1], (room->count - i) * sizeof room->members[0]);
  m->joined = 0;
  tell_all(room, NULL, "leave %" PRIu64, m->id);
}

void room_rename(struct room *room, struct member *m, const char *name) {
  take_name(room, m, name);
  tell_all(room, NULL, "name %" PRIu64 " %s", m->id, m->name);
}

static ws_message *make_past(const char *format, ...) PRINTF_LIKE(1, 2);
static ws_message *make_past(const char *format, ...) {
  va_list args;
  va_start(args, format);
  ws_message *message = make_message(format, args);
  va_end(args);
  return message;
}

static uint64_t unix_time_ms(void) {
  struct timespec now;
  clock_gettime(CLOCK_REALTIME, &now);
  return (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
}

static void remember(struct room *room, const struct member *m, uint64_t ms, const char *text,
                     size_t len) {
  ws_message *past =
      make_past("past %" PRIu64 " %" PRIu64 " %s\n%.*s", ms, m->id, m->name, (int)len, text);
  if (past == NULL) return;
  size_t at = room->said++ % kMaxHistory;
  ws_message_unref(room->history[at]);
  room->history[at] = past;
}

void room_say(struct room *room, const struct member *m, const char *text, size_t len) {
  uint64_t ms = unix_time_ms();
  if (ms <= room->last_time) ms = room->last_time + 1; /* it also tells sayings apart */
  room->last_time = ms;
  remember(room, m, ms, text, len);
  tell_all(room, NULL, "say %" PRIu64 " %" PRIu64 " %.*s", ms, m->id, (int)len, text);
}

void room_clear(struct room *room) {
  for (size_t i = 0; i < kMaxHistory; i++) {
    ws_message_unref(room->history[i]);
    room->history[i] = NULL;
  }
}
