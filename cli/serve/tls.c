/*
 * Certificates of the server.
 */
#include "tls.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "../client/credentials.h"
#include "../command.h"

/* Returns NULL, or what is wrong, which may point into `reason`. */
static const char *load_files(const struct tls_settings *t, ws_tls **out, char *reason,
                              size_t room) {
  char password[kMaxPassword + 1];
  ws_tls_config cfg;
  WS_INIT(&cfg);
  cfg.cert_file = t->cert;
  cfg.key_file = t->key;
  cfg.ca_file = t->client_ca;
  cfg.min_version = t->min_version;
  if (t->client_ca != NULL) {
    cfg.verify = t->client_cert_optional ? WS_TLS_VERIFY_OPTIONAL : WS_TLS_VERIFY_REQUIRE;
  }
  if (t->key_password_file != NULL) {
    const char *problem = read_password(t->key_password_file, password);
    if (problem != NULL) {
      snprintf(reason, room, "--tls-key-password-file '%s': %s", t->key_password_file, problem);
      return reason;
    }
    cfg.key_password = password;
  }
  int rc = ws_tls_new(&cfg, out);
  memset(password, 0, sizeof password);
  return rc == WS_OK ? NULL : ws_last_detail();
}

static int write_certificate(const struct serve *s) {
  const char *path = s->settings.tls.self_signed_out;
  FILE *file = fopen(path, "w");
  int wrong = file == NULL || fputs(ws_tls_certificate(s->tls), file) == EOF;
  if (file != NULL && fclose(file) == EOF) wrong = 1;
  if (!wrong) return EXIT_DONE;
  return failure(SERVE_COMMAND, "--self-signed-out '%s': %s", path, strerror(errno));
}

int tls_load(struct serve *s) {
  const struct tls_settings *t = &s->settings.tls;
  char reason[512];
  if (!settings_tls(&s->settings)) return EXIT_DONE;
  if (t->self_signed != NULL) {
    if (ws_tls_new_self_signed(t->self_signed, &s->tls) < 0) {
      return failure(SERVE_COMMAND, "--self-signed: %s", ws_last_detail());
    }
    return t->self_signed_out != NULL ? write_certificate(s) : EXIT_DONE;
  }
  const char *problem = load_files(t, &s->tls, reason, sizeof reason);
  if (problem == NULL) return EXIT_DONE;
  return failure(SERVE_COMMAND, "cannot load the certificate: %s", problem);
}

void tls_reload(struct serve *s) {
  ws_tls *fresh = NULL;
  char reason[512];
  const char *problem = load_files(&s->settings.tls, &fresh, reason, sizeof reason);
  for (size_t i = 0; problem == NULL && i < s->served_count; i++) {
    if (ws_pool_set_tls(s->served[i].listener, fresh) < 0) problem = ws_last_detail();
  }
  if (problem != NULL) {
    fprintf(stderr, "ws: reload failed, the old certificate stays in use: %s\n", problem);
    ws_tls_unref(fresh);
    return;
  }
  ws_tls_unref(s->tls);
  s->tls = fresh;
  if (s->settings.verbosity != QUIET) fprintf(stderr, "ws: the certificate was loaded again\n");
}

void tls_hint(const struct serve *s, const char *url) {
  const struct tls_settings *t = &s->settings.tls;
  if (t->self_signed == NULL || s->settings.verbosity == QUIET) return;
  if (t->self_signed_out != NULL) {
    fprintf(stderr, "ws: try: ws connect --cacert '%s' %s\n", t->self_signed_out, url);
  } else {
    fprintf(stderr, "ws: try: ws connect --insecure %s\n", url);
  }
}
