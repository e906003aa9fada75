#include "sockets.h"

#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "../command.h"
#include "stop.h"

enum { kFirstPassed = 3 /* sd_listen_fds(3) */, kTakeoverMs = 5000 };

static int serve_fd(struct serve *s, int fd, const char *name) {
  struct served *at = &s->served[s->served_count];
  snprintf(at->text, sizeof at->text, "%s", name);
  if (ws_pool_listen_fd(s->pool, fd, s->tls, &at->listener) < 0) {
    close(fd);
    return failure(SERVE_COMMAND, "cannot listen: %s", ws_last_detail());
  }
  s->served_count++;
  return EXIT_DONE;
}

static int take_over(struct serve *s) {
  const char *path = s->settings.takeover;
  int rc = ws_handover_take(path, kTakeoverMs, &s->takeover);
  if (rc == WS_ERR_CONNECT) return EXIT_DONE; /* the first of its kind */
  if (rc < 0) return failure(SERVE_COMMAND, "--takeover '%s': %s", path, ws_last_detail());
  for (size_t i = 0; i < ws_takeover_count(s->takeover); i++) {
    int status = serve_fd(s, ws_takeover_claim(s->takeover, i), ws_takeover_name(s->takeover, i));
    if (status != EXIT_DONE) return status;
  }
  return EXIT_DONE;
}

/* As an address of --listen is written. */
static void name_socket(int fd, char *out, size_t room) {
  struct sockaddr_storage at;
  socklen_t len = sizeof at;
  char host[kMaxHost + 1];
  char port[8];
  snprintf(out, room, "descriptor %d", fd);
  if (getsockname(fd, (struct sockaddr *)&at, &len) < 0) return;
  if (at.ss_family == AF_UNIX) {
    const char *path = ((struct sockaddr_un *)&at)->sun_path;
    snprintf(out, room, "unix:%s%s", path[0] == '\0' ? "@" : "", path[0] == '\0' ? path + 1 : path);
  } else if (getnameinfo((struct sockaddr *)&at, len, host, sizeof host, port, sizeof port,
                         NI_NUMERICHOST | NI_NUMERICSERV) == 0) {
    int bracket = strchr(host, ':') != NULL;
    snprintf(out, room, "%s%s%s:%s", bracket ? "[" : "", host, bracket ? "]" : "", port);
  }
}

/* sd_listen_fds(3): how many were passed to this very process, and not to its parent.  Children
 * must not believe that they were meant. */
static uint32_t passed_count(void) {
  const char *pid = getenv("LISTEN_PID");
  const char *fds = getenv("LISTEN_FDS");
  uint32_t count = 0;
  char own[24];
  snprintf(own, sizeof own, "%ld", (long)getpid());
  if (pid == NULL || fds == NULL || strcmp(pid, own) != 0) return 0;
  if (!parse_count(fds, 1u << 16, &count)) count = 0;
  unsetenv("LISTEN_PID");
  unsetenv("LISTEN_FDS");
  unsetenv("LISTEN_FDNAMES");
  return count;
}

static int use_passed(struct serve *s, uint32_t count) {
  char name[kMaxServedText];
  if (count > WS_HANDOVER_MAX) {
    return failure(SERVE_COMMAND, "LISTEN_FDS: %u sockets, at most %d", (unsigned)count,
                   WS_HANDOVER_MAX);
  }
  for (int fd = kFirstPassed; fd < kFirstPassed + (int)count; fd++) {
    name_socket(fd, name, sizeof name);
    int status = serve_fd(s, fd, name);
    if (status != EXIT_DONE) return status;
  }
  return EXIT_DONE;
}

int sockets_inherit(struct serve *s) {
  uint32_t passed = passed_count();
  if (s->settings.takeover != NULL) {
    int status = take_over(s);
    if (status != EXIT_DONE) return status;
  }
  /* The sockets that were taken over are those that were passed to the first of us. */
  if (s->served_count != 0) {
    for (uint32_t i = 0; i < passed; i++) close(kFirstPassed + (int)i);
    return EXIT_DONE;
  }
  return use_passed(s, passed);
}

static void on_taken(void *user) { stop_for_successor(user); }

int sockets_offer(struct serve *s) {
  ws_pool_listener *listeners[WS_HANDOVER_MAX];
  ws_handover_config cfg;
  int took = s->takeover != NULL;
  if (s->settings.takeover == NULL) return EXIT_DONE;
  if (s->takeover != NULL) {
    /* Without an answer it has died, or it goes on too: serving is right in both cases. */
    if (ws_takeover_ready(s->takeover, kTakeoverMs) < 0) {
      fprintf(stderr, "ws: --takeover: %s\n", ws_last_detail());
    }
    ws_takeover_free(s->takeover);
    s->takeover = NULL;
  }
  for (size_t i = 0; i < s->served_count; i++) listeners[i] = s->served[i].listener;
  WS_INIT(&cfg);
  cfg.path = s->settings.takeover;
  cfg.pool_listeners = listeners;
  cfg.pool_listener_count = s->served_count;
  cfg.on_taken = on_taken;
  cfg.user = s;
  if (ws_handover_offer(s->loop, &cfg, &s->handover) == WS_OK) return EXIT_DONE;
  if (!took) return failure(SERVE_COMMAND, "--takeover: %s", ws_last_detail());
  /* Nobody else serves by now, so this one must; the next restart will not be as smooth. */
  fprintf(stderr, "ws: --takeover: %s\n", ws_last_detail());
  return EXIT_DONE;
}

void sockets_keep(struct serve *s) {
  ws_handover_free(s->handover);
  s->handover = NULL;
}
