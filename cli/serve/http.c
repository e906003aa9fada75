/*
 * Every request that reaches the server: upgrades go to the mode; GET and HEAD get /healthz,
 * then a file of --static, then the chat page.
 */
#include <string.h>

#include "chat_page.h"
#include "serve.h"
#include "session.h"

struct answer {
  int status;
  const char *type;
  const void *body;
  size_t len;
  const char *extra_name; /* one more header field, or NULL */
  const char *extra_value;
};

static void respond(struct serve *s, ws_request *r, const struct answer *a) {
  ws_header headers[4] = {
      {"Content-Type", a->type},
      {"X-Content-Type-Options", "nosniff"},
      {"Cache-Control", "no-cache"},
      {a->extra_name, a->extra_value},
  };
  size_t count = a->extra_name != NULL ? 4 : 3;
  int rc = ws_request_respond(r, a->status, headers, count, a->body, a->len);
  if (rc < 0 && rc != WS_ERR_CLOSED) ws_request_respond(r, 500, NULL, 0, NULL, 0);
  log_request(s, r, rc < 0 ? 500 : a->status, rc < 0 ? 0 : a->len);
}

static void respond_text(struct serve *s, ws_request *r, int status, const char *text) {
  struct answer a = {.status = status, .type = "text/plain; charset=utf-8"};
  a.body = text;
  a.len = strlen(text);
  respond(s, r, &a);
}

static void respond_page(struct serve *s, ws_request *r) {
  struct answer a = {.status = 200, .type = "text/html; charset=utf-8"};
  a.body = chat_page;
  a.len = chat_page_len;
  a.extra_name = "Content-Security-Policy";
  a.extra_value = chat_page_policy;
  respond(s, r, &a);
}

/* 1: it is answered. */
static int respond_file(struct serve *s, ws_request *r) {
  int status = s->files != NULL ? ws_files_answer(s->files, r, NULL) : 0;
  if (status == 0) return 0;
  if (status < 0 && status != WS_ERR_CLOSED) ws_request_respond(r, 500, NULL, 0, NULL, 0);
  log_request(s, r, status < 0 ? 500 : status, kUnknownLength);
  return 1;
}

static void answer_plain(struct serve *s, ws_request *r) {
  const char *path = ws_request_path(r);
  int wants_page = s->mode->has_page && strcmp(path, "/") == 0;
  if (strcmp(path, "/healthz") == 0) {
    respond_text(s, r, 200, "ok\n");
    return;
  }
  if (respond_file(s, r)) return;
  if (wants_page) {
    respond_page(s, r);
  } else if (s->mode->has_page || s->files != NULL) {
    respond_text(s, r, 404, "not found\n");
  }
  /* Else nothing is served here but WebSocket, and the library's 426 says that best. */
}

void answer_request(ws_request *r, void *user) {
  struct serve *s = user;
  if (!ws_request_is_upgrade(r)) {
    answer_plain(s, r);
  } else if (session_needed(s)) {
    session_accept(s, r);
  } /* Else the library accepts it, as it does without an on_request. */
}
