/*
 * files.h: files from memory and from a directory, with what HTTP says about copies, and nothing
 * from anywhere else.
 */
#include "world.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

typedef struct Site {
  World w;
  ws_files *files;
  const char *path; /* for ws_files_answer() */
  int answered;     /* what it returned */
  char dir[64];
} Site;

static void answer(ws_request *r, void *user) {
  Site *s = user;
  s->answered = ws_files_answer(s->files, r, s->path);
}

static void write_file(const Site *s, const char *name, const char *text) {
  char path[128];
  snprintf(path, sizeof path, "%s/%s", s->dir, name);
  FILE *f = fopen(path, "w");
  assert_non_null(f);
  assert_true(fputs(text, f) >= 0);
  assert_int_equal(fclose(f), 0);
}

static void make_directory(Site *s) {
  char path[128];
  strcpy(s->dir, "/tmp/libws-files-XXXXXX");
  assert_non_null(mkdtemp(s->dir));
  snprintf(path, sizeof path, "%s/site", s->dir);
  assert_int_equal(mkdir(path, 0700), 0);
  snprintf(path, sizeof path, "%s/site/sub", s->dir);
  assert_int_equal(mkdir(path, 0700), 0);
  write_file(s, "outside", "outside");
  strcat(s->dir, "/site");
  write_file(s, "index.html", "<p>index");
  write_file(s, "a b.txt", "space");
  write_file(s, "empty", "");
  write_file(s, "sub/index.html", "sub");
  write_file(s, ".hidden", "hidden");
}

static void remove_all(Site *s) {
  static const char *const kNames[] = {
      "sub/index.html", "sub/link", "sub", "index.html", "a b.txt", "empty",      ".hidden",
      "inside",         "out",      "abs", "pipe",       "big",     "../outside", "",
  };
  char path[128];
  for (size_t i = 0; i < COUNT_OF(kNames); ++i) {
    snprintf(path, sizeof path, "%s/%s", s->dir, kNames[i]);
    remove(path);
  }
  *strrchr(s->dir, '/') = '\0';
  assert_int_equal(rmdir(s->dir), 0);
}

static void site_start(Site *s, ws_files_config *config) {
  world_prepare(&s->w);
  s->w.config.on_request = answer;
  s->w.config.user = s;
  assert_ok(ws_files_new(config, &s->files));
  world_start(&s->w);
}

static void site_with_directory(Site *s) {
  ws_files_config config;
  memset(s, 0, sizeof *s);
  make_directory(s);
  WS_INIT(&config);
  config.directory = s->dir;
  site_start(s, &config);
}

static void site_in_memory(Site *s) {
  memset(s, 0, sizeof *s);
  site_start(s, NULL);
}

static void site_stop(Site *s) {
  world_stop(&s->w);
  ws_files_unref(s->files);
  if (s->dir[0] != '\0') remove_all(s);
}

/* `fields` are further lines; the head is for the caller, and the body must be `body`. */
static void expect(Site *s, const char *method, const char *target, const char *fields, int status,
                   const char *body, char *head, size_t room) {
  Peer p;
  char request[2048], own_head[2048], line[64];
  if (head == NULL) {
    head = own_head;
    room = sizeof own_head;
  }
  snprintf(request, sizeof request, "%s %s HTTP/1.1\r\nHost: h\r\n%s\r\n", method, target, fields);
  peer_connect(&p, s->w.loop, s->w.port);
  peer_say(&p, request);
  peer_expect_status(&p, status, head, room);
  if (status != 304) {
    assert_non_null(strstr(head, "\r\nX-Content-Type-Options: nosniff\r\n"));
    snprintf(line, sizeof line, "\r\nContent-Length: %zu\r\n", strlen(body));
    assert_non_null(strstr(head, line));
  }
  if (method[0] == 'G' && status != 304) peer_expect_bytes(&p, body);
  peer_expect_end(&p);
  peer_drop(&p);
  assert_int_equal(s->answered, status);
}

static void expect_file(Site *s, const char *target, const char *type, const char *body) {
  char head[2048], again[2048], line[128];
  expect(s, "GET", target, "", 200, body, head, sizeof head);
  snprintf(line, sizeof line, "\r\nContent-Type: %s\r\n", type);
  assert_non_null(strstr(head, line));
  assert_non_null(strstr(head, "\r\nCache-Control: no-cache\r\n"));
  expect(s, "HEAD", target, "", 200, body, again, sizeof again);
  assert_string_equal(strstr(again, "\r\nETag: "), strstr(head, "\r\nETag: "));
}

static void expect_missing(Site *s, const char *target) {
  expect(s, "GET", target, "", 404, "not found\n", NULL, 0);
}

/* The field with its line end, to be sent back under another name. */
static void take_field(const char *head, const char *name, const char *other, char *out,
                       size_t room) {
  char line[64];
  snprintf(line, sizeof line, "\r\n%s: ", name);
  const char *from = strstr(head, line);
  assert_non_null(from);
  from += strlen(line);
  snprintf(out, room, "%s: %.*s\r\n", other, (int)(strstr(from, "\r\n") - from), from);
}

static void test_files_of_a_directory_have_type_length_and_tag(void **state) {
  (void)state;
  Site s;
  char head[2048];
  site_with_directory(&s);
  expect_file(&s, "/", "text/html; charset=utf-8", "<p>index");
  expect_file(&s, "/index.html?x=/../y", "text/html; charset=utf-8", "<p>index");
  expect_file(&s, "/a%20b.txt", "text/plain; charset=utf-8", "space");
  expect_file(&s, "/empty", "application/octet-stream", "");
  expect_file(&s, "/sub/", "text/html; charset=utf-8", "sub");
  expect(&s, "GET", "/sub?q=1", "", 301, "it is a directory\n", head, sizeof head);
  assert_non_null(strstr(head, "\r\nLocation: /sub/?q=1\r\n"));
  expect(&s, "GET", "/%73ub", "", 301, "it is a directory\n", head, sizeof head);
  assert_non_null(strstr(head, "\r\nLocation: /%73ub/\r\n"));
  site_stop(&s);
}

static void test_files_copy_that_is_good_is_not_sent_again(void **state) {
  (void)state;
  Site s;
  char head[2048], field[256], both[512];
  site_with_directory(&s);
  expect(&s, "GET", "/", "", 200, "<p>index", head, sizeof head);
  take_field(head, "ETag", "If-None-Match", field, sizeof field);
  char not_modified[2048];
  expect(&s, "GET", "/", field, 304, "", not_modified, sizeof not_modified);
  assert_non_null(strstr(not_modified, "\r\nETag: \""));
  assert_non_null(strstr(not_modified, "\r\nCache-Control: no-cache\r\n"));
  assert_null(strstr(not_modified, "\r\nContent-Type: "));
  expect(&s, "HEAD", "/", field, 304, "", NULL, 0);
  expect(&s, "GET", "/", "If-None-Match: *\r\n", 304, "", NULL, 0);
  expect(&s, "GET", "/sub/", field, 200, "sub", NULL, 0); /* another file's */
  take_field(head, "Last-Modified", "If-Modified-Since", field, sizeof field);
  expect(&s, "GET", "/", field, 304, "", NULL, 0);
  snprintf(both, sizeof both, "If-None-Match: \"other\"\r\n%s", field);
  expect(&s, "GET", "/", both, 200, "<p>index", NULL, 0); /* the tag alone counts */
  expect(&s, "GET", "/", "If-Modified-Since: Sun, 06 Nov 1994 08:49:37 GMT\r\n", 200, "<p>index",
         NULL, 0);
  expect_missing(&s, "/none");
  site_stop(&s);
}

static void test_files_that_change_get_another_tag(void **state) {
  (void)state;
  Site s;
  char head[2048], field[256], path[128];
  const struct timeval times[2] = {{784111777, 0}, {784111777, 0}};
  site_with_directory(&s);
  expect(&s, "GET", "/", "", 200, "<p>index", head, sizeof head);
  take_field(head, "ETag", "If-None-Match", field, sizeof field);
  snprintf(path, sizeof path, "%s/index.html", s.dir);
  assert_int_equal(utimes(path, times), 0);
  expect(&s, "GET", "/", field, 200, "<p>index", head, sizeof head);
  assert_non_null(strstr(head, "\r\nLast-Modified: Sun, 06 Nov 1994 08:49:37 GMT\r\n"));
  take_field(head, "ETag", "If-None-Match", field, sizeof field);
  write_file(&s, "index.html", "longer than it was");
  assert_int_equal(utimes(path, times), 0);
  expect(&s, "GET", "/", field, 200, "longer than it was", NULL, 0);
  site_stop(&s);
}

static void test_files_outside_hidden_and_odd_ones_do_not_exist(void **state) {
  (void)state;
  static const char *const kTargets[] = {
      "/..",
      "/../outside",
      "/sub/../../outside",
      "/%2e%2e/outside",
      "/..%2foutside",
      "/%2e%2e%2fo",
      "//outside",
      "/.hidden",
      "/%2ehidden",
      "/.",
      "/./",
      "/sub//",
      "/..\\outside",
      "/..%5coutside",
      "/index.html%00",
      "/index.html/",
      "/a%20b.txt/x",
      "/none",
      "/none/",
      "/out",
      "/abs",
      "/sub/link",
      "/pipe",
      "/%252e%252e/",
      "/sub/.",
  };
  Site s;
  char path[128], target[128];
  site_with_directory(&s);
  snprintf(path, sizeof path, "%s/out", s.dir);
  assert_int_equal(symlink("../outside", path), 0);
  snprintf(path, sizeof path, "%s/abs", s.dir);
  snprintf(target, sizeof target, "%s/index.html", s.dir);
  assert_int_equal(symlink(target, path), 0);
  snprintf(path, sizeof path, "%s/sub/link", s.dir);
  assert_int_equal(symlink("../../site/../outside", path), 0);
  snprintf(path, sizeof path, "%s/pipe", s.dir);
  assert_int_equal(mkfifo(path, 0600), 0);
  for (size_t i = 0; i < COUNT_OF(kTargets); ++i) expect_missing(&s, kTargets[i]);
  expect(&s, "GET", "/%zz", "", 400, "the path is not percent-encoded as it should be\n", NULL, 0);
  expect(&s, "HEAD", "/%", "", 400, "the path is not percent-encoded as it should be\n", NULL, 0);
  site_stop(&s);
}

static void test_files_link_that_stays_inside_is_followed_or_missing(void **state) {
  (void)state;
  Site s;
  Peer p;
  char path[128], head[1024];
  site_with_directory(&s);
  snprintf(path, sizeof path, "%s/inside", s.dir);
  assert_int_equal(symlink("sub/index.html", path), 0);
  peer_connect(&p, s.w.loop, s.w.port);
  peer_say(&p, WIRE_GET("/inside", ""));
  peer_read_head(&p, head, sizeof head);
  assert_true(s.answered == 200 || s.answered == 404); /* as the kernel can keep it inside */
  peer_expect_bytes(&p, s.answered == 200 ? "sub" : "not found\n");
  peer_drop(&p);
  site_stop(&s);
}

static void test_files_as_large_as_allowed_are_served(void **state) {
  (void)state;
  ws_files_config config;
  Site s;
  memset(&s, 0, sizeof s);
  make_directory(&s);
  WS_INIT(&config);
  config.directory = s.dir;
  config.max_file_bytes = 10;
  config.cache_control = "";
  config.index = "a b.txt";
  site_start(&s, &config);
  char head[2048];
  write_file(&s, "big", "123456789");
  expect(&s, "GET", "/big", "", 200, "123456789", head, sizeof head);
  assert_null(strstr(head, "Cache-Control"));
  write_file(&s, "big", "1234567890");
  expect(&s, "GET", "/big", "", 200, "1234567890", NULL, 0);
  write_file(&s, "big", "1234567890x");
  expect_missing(&s, "/big");
  expect(&s, "GET", "/", "", 200, "space", NULL, 0);
  assert_ok(ws_files_add(s.files, "/m", NULL, "1234567890", 10));
  assert_fails(WS_ERR_TOO_BIG, ws_files_add(s.files, "/m", NULL, "1234567890x", 11));
  expect(&s, "GET", "/m", "", 200, "1234567890", NULL, 0);
  site_stop(&s);
}

static void test_files_in_memory_come_before_the_directory(void **state) {
  (void)state;
  Site s;
  char head[2048], field[256];
  char page[] = "memory";
  site_with_directory(&s);
  assert_ok(ws_files_add(s.files, "/", NULL, page, 6));
  assert_ok(ws_files_add(s.files, "/health", "text/plain", "ok\n", 3));
  assert_ok(ws_files_add(s.files, "/deep/er/x.js", NULL, NULL, 0));
  page[0] = 'M'; /* it was copied */
  expect_file(&s, "/", "text/html; charset=utf-8", "memory");
  expect_file(&s, "/index.html", "text/html; charset=utf-8", "memory");
  expect_file(&s, "/health", "text/plain", "ok\n");
  expect_file(&s, "/deep/er/x.js", "text/javascript; charset=utf-8", "");
  expect_file(&s, "/a%20b.txt", "text/plain; charset=utf-8", "space");
  expect(&s, "GET", "/deep/er", "", 301, "it is a directory\n", head, sizeof head);
  assert_non_null(strstr(head, "\r\nLocation: /deep/er/\r\n"));
  expect_missing(&s, "/deep/er/");
  expect_missing(&s, "/deep/e");
  expect(&s, "GET", "/health", "", 200, "ok\n", head, sizeof head);
  assert_null(strstr(head, "Last-Modified"));
  take_field(head, "ETag", "If-None-Match", field, sizeof field);
  expect(&s, "GET", "/health", field, 304, "", NULL, 0);
  expect(&s, "GET", "/health", "If-Modified-Since: Sun, 06 Nov 2094 08:49:37 GMT\r\n", 200, "ok\n",
         NULL, 0);
  assert_ok(ws_files_add(s.files, "/health", NULL, "no\n", 3)); /* instead */
  expect(&s, "GET", "/health", field, 200, "no\n", NULL, 0);
  assert_ok(ws_files_add(s.files, "/health", NULL, "ok\n", 3));
  expect(&s, "GET", "/health", field, 304, "", NULL, 0); /* the same content, the same tag */
  site_stop(&s);
}

static void test_files_path_given_is_decoded_already(void **state) {
  (void)state;
  Site s;
  char head[2048];
  site_in_memory(&s);
  assert_ok(ws_files_add(s.files, "/100%.txt", NULL, "percent", 7));
  assert_ok(ws_files_add(s.files, "/sub/x", NULL, "x", 1));
  s.path = "100%.txt";
  expect(&s, "GET", "/any", "", 200, "percent", NULL, 0);
  s.path = "/100%.txt";
  expect(&s, "GET", "/any", "", 200, "percent", NULL, 0);
  s.path = "100%25.txt";
  expect_missing(&s, "/any");
  s.path = "../sub/x";
  expect_missing(&s, "/any");
  s.path = "sub";
  expect(&s, "GET", "/prefix/sub", "", 301, "it is a directory\n", head, sizeof head);
  assert_non_null(strstr(head, "\r\nLocation: /prefix/sub/\r\n"));
  expect_missing(&s, "/prefix/"); /* it would go round in circles */
  expect_missing(&s, "//evil.example");
  expect_missing(&s, "/\\evil.example");
  site_stop(&s);
}

static void pass_on(ws_request *r, void *user) {
  Site *s = user;
  answer(r, s);
  if (s->answered == 0) {
    assert_ok(ws_request_respond(r, 418, NULL, 0, "mine", 4));
  } else {
    assert_fails(WS_ERR_STATE, ws_files_answer(s->files, r, NULL));
  }
}

static void test_files_that_are_not_there_may_be_passed_on(void **state) {
  (void)state;
  Site s;
  Peer p;
  ws_files_config config;
  memset(&s, 0, sizeof s);
  WS_INIT(&config);
  config.flags = WS_FILES_PASS;
  world_prepare(&s.w);
  s.w.config.on_request = pass_on;
  s.w.config.user = &s;
  assert_ok(ws_files_new(&config, &s.files));
  assert_ok(ws_files_add(s.files, "/a/b", NULL, "b", 1));
  world_start(&s.w);
  static const char *const kMissing[] = {WIRE_GET("/", ""), WIRE_GET("/..", ""),
                                         WIRE_GET("/a/", ""), WIRE_GET("/.a", "")};
  for (size_t i = 0; i < COUNT_OF(kMissing); ++i) {
    peer_connect(&p, s.w.loop, s.w.port);
    peer_say(&p, kMissing[i]);
    peer_expect_status(&p, 418, NULL, 0);
    peer_expect_bytes(&p, "mine");
    peer_drop(&p);
  }
  expect(&s, "GET", "/a/b", "", 200, "b", NULL, 0);
  expect(&s, "GET", "/a", "", 301, "it is a directory\n", NULL, 0);
  site_stop(&s);
}

static void test_files_arguments_that_are_wrong_are_told(void **state) {
  (void)state;
  static const char *const kPaths[] = {"", "a", "//", "/..", "/a/../b", "/.a", "/a\\b", "/a//b"};
  ws_files_config config;
  ws_files *f;
  WS_INIT(&config);
  config.directory = "/none/such";
  assert_fails(WS_ERR_IO, ws_files_new(&config, &f));
  assert_detail_has("/none/such");
  config.directory = "/dev/null";
  assert_fails(WS_ERR_IO, ws_files_new(&config, &f));
  WS_INIT(&config);
  config.index = "a/b";
  assert_fails(WS_ERR_INVALID, ws_files_new(&config, &f));
  WS_INIT(&config);
  config.cache_control = "a\r\nb";
  assert_fails(WS_ERR_INVALID, ws_files_new(&config, &f));
  WS_INIT(&config);
  config.max_file_bytes = 16 * 1024 * 1024 + 1;
  assert_fails(WS_ERR_INVALID, ws_files_new(&config, &f));
  WS_INIT(&config);
  config.flags = 2;
  assert_fails(WS_ERR_UNSUPPORTED, ws_files_new(&config, &f));
  assert_fails(WS_ERR_INVALID, ws_files_new(NULL, NULL));
  assert_ok(ws_files_new(NULL, &f));
  for (size_t i = 0; i < COUNT_OF(kPaths); ++i) {
    assert_fails(WS_ERR_INVALID, ws_files_add(f, kPaths[i], NULL, "x", 1));
  }
  assert_fails(WS_ERR_INVALID, ws_files_add(f, NULL, NULL, "x", 1));
  assert_fails(WS_ERR_INVALID, ws_files_add(f, "/a", NULL, NULL, 1));
  assert_fails(WS_ERR_INVALID, ws_files_add(f, "/a", "", "x", 1));
  assert_fails(WS_ERR_INVALID, ws_files_add(f, "/a", "a\nb", "x", 1));
  assert_fails(WS_ERR_INVALID, ws_files_add(NULL, "/a", NULL, "x", 1));
  assert_fails(WS_ERR_INVALID, ws_files_answer(f, NULL, NULL));
  assert_ptr_equal(ws_files_ref(f), f);
  ws_files_unref(f);
  for (int i = 0; i < 4096; ++i) {
    char path[16];
    snprintf(path, sizeof path, "/%d", i);
    assert_ok(ws_files_add(f, path, NULL, "x", 1));
  }
  assert_ok(ws_files_add(f, "/4095", NULL, "y", 1));
  assert_fails(WS_ERR_TOO_BIG, ws_files_add(f, "/4096", NULL, "x", 1));
  ws_files_unref(f);
  ws_files_unref(NULL);
  assert_null(ws_files_ref(NULL));
}

enum { LOOPS = 3, ROUNDS = 30 };

static void *serve_and_ask(void *arg) {
  const Site *shared = arg;
  Site s;
  memset(&s, 0, sizeof s);
  world_prepare(&s.w);
  s.w.config.on_request = answer;
  s.w.config.user = &s;
  s.files = ws_files_ref(shared->files);
  world_start(&s.w);
  for (int i = 0; i < ROUNDS; ++i) {
    expect(&s, "GET", "/", "", 200, "<p>index", NULL, 0);
    expect(&s, "GET", "/m", "", 200, "memory", NULL, 0);
    expect_missing(&s, "/none");
  }
  site_stop(&s);
  return NULL;
}

static void test_files_serve_several_loops_at_once(void **state) {
  (void)state;
  Site s;
  pthread_t threads[LOOPS];
  site_with_directory(&s);
  assert_ok(ws_files_add(s.files, "/m", NULL, "memory", 6));
  for (int i = 0; i < LOOPS; ++i) {
    assert_int_equal(pthread_create(&threads[i], NULL, serve_and_ask, &s), 0);
  }
  for (int i = 0; i < LOOPS; ++i) assert_int_equal(pthread_join(threads[i], NULL), 0);
  site_stop(&s);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_files_of_a_directory_have_type_length_and_tag),
      cmocka_unit_test(test_files_copy_that_is_good_is_not_sent_again),
      cmocka_unit_test(test_files_that_change_get_another_tag),
      cmocka_unit_test(test_files_outside_hidden_and_odd_ones_do_not_exist),
      cmocka_unit_test(test_files_link_that_stays_inside_is_followed_or_missing),
      cmocka_unit_test(test_files_as_large_as_allowed_are_served),
      cmocka_unit_test(test_files_in_memory_come_before_the_directory),
      cmocka_unit_test(test_files_path_given_is_decoded_already),
      cmocka_unit_test(test_files_that_are_not_there_may_be_passed_on),
      cmocka_unit_test(test_files_arguments_that_are_wrong_are_told),
      cmocka_unit_test(test_files_serve_several_loops_at_once),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
