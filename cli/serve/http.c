/*
 * Every request that reaches the server: upgrades go to the mode; GET and HEAD get /healthz,
 * then a file of --static, then the chat page.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "chat_page.h"
#include "serve.h"
#include "session.h"

/* The library's own limit; answers that are no files are far below. */
enum { kMaxLocation = 2048 };

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

static const char *refusal(int status) {
  switch (status) {
    case 400: return "the path is not valid\n";
    case 403: return "not allowed\n";
    case 413: return "the file is larger than this server sends\n";
    case 500: return "the file cannot be read\n";
    default: return "not found\n";
  }
}

/* Only called for the path of a directory that exists, and such a path has no empty segment:
 * it cannot begin with "//" and send the browser to another host. */
static void redirect_to_directory(struct serve *s, ws_request *r) {
  char location[kMaxLocation];
  const char *query = ws_request_query(r);
  int len = snprintf(location, sizeof location, "%s/%s%s", ws_request_path(r),
                     query[0] != '\0' ? "?" : "", query);
  if (len < 0 || (size_t)len >= sizeof location) {
    respond_text(s, r, 404, refusal(404));
    return;
  }
  struct answer a = {.status = 301, .type = "text/plain; charset=utf-8"};
  a.extra_name = "Location";
  a.extra_value = location;
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

static void respond_file(struct serve *s, ws_request *r, struct file *f) {
  struct answer a = {.status = 200};
  if (f->status == 301) {
    redirect_to_directory(s, r);
  } else if (f->status != 200) {
    /* 413 would speak of the request's content; for a response there is no such status. */
    respond_text(s, r, f->status == 413 ? 404 : f->status, refusal(f->status));
  } else {
    a.type = f->type;
    a.body = f->data;
    a.len = f->len;
    respond(s, r, &a);
  }
  free(f->data);
}

static void answer_plain(struct serve *s, ws_request *r) {
  const char *path = ws_request_path(r);
  int wants_page = s->mode->has_page && strcmp(path, "/") == 0;
  if (strcmp(path, "/healthz") == 0) {
    respond_text(s, r, 200, "ok\n");
    return;
  }
  if (s->site.root != NULL) {
    struct file f;
    site_read(&s->site, path, &f);
    if (f.status != 404 || !wants_page) {
      respond_file(s, r, &f);
      return;
    }
  }
  if (wants_page) {
    respond_page(s, r);
  } else if (s->mode->has_page) {
    respond_text(s, r, 404, refusal(404));
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
