/*
 * client.h against servers that answer too much, too slowly, not at all or go away in the middle:
 * what the opening handshake costs at most, and how it ends.
 */
#include "caller.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

/* The library's memory, so that a test can say that it did not grow. */
static size_t held, peak;
static void *count_memory(void *user, void *ptr, size_t bytes) {
  size_t *block = ptr != NULL ? (size_t *)ptr - 2 : NULL;
  (void)user;
  if (block != NULL) held -= *block;
  if (bytes == 0) {
    free(block);
    return NULL;
  }
  size_t *moved = realloc(block, bytes + 2 * sizeof *moved);
  if (moved == NULL) {
    if (block != NULL) held += *block;
    return NULL;
  }
  *moved = bytes;
  held += bytes;
  if (held > peak) peak = held;
  return moved + 2;
}

#define STATUS_LINE "HTTP/1.1 101 Switching Protocols\r\n"
#define UPGRADE "Upgrade: websocket\r\n"
#define CONNECTION "Connection: Upgrade\r\n"
#define ACCEPT "Sec-WebSocket-Accept: %s\r\n"
#define GOOD STATUS_LINE UPGRADE CONNECTION ACCEPT
#define END "\r\n"

/* The handshake failed: nothing was said beyond the request. */
static void expect_silent_end(Peer *p) {
  peer_expect_gone(p);
  assert_bytes(p->in + p->taken, p->len - p->taken, "", 0);
}

/* A new client of the Call, whose last one has ended. */
static void begin_again(Call *call) {
  peer_drop(&call->p);
  ws_client_free(call->c.client);
  call->c.client = NULL;
  run_for(call->c.loop, 0); /* its on_close, if it was open */
  call->c.opened = call->c.closed = call->c.downs = call->c.messages = 0;
  call->c.log[0] = '\0';
  call_begin(call);
}

/* req: 121 */
/* bad: 64 */
static void test_handshake_takes_eight_interim_answers(void **state) {
  static const char *const kinds[] = {"HTTP/1.1 100 Continue\r\n\r\n",
                                      "HTTP/1.1 103 Early\r\nLink: </a>\r\n\r\n",
                                      "HTTP/1.1 199 x\r\nSec-WebSocket-Accept: x\r\n\r\n"};
  (void)state;
  for (int n = 7; n <= 9; ++n) {
    void *one;
    call_setup(&one);
    Call *call = one;
    call_begin(call);
    for (int i = 0; i < n; ++i) peer_say(&call->p, kinds[i % 3]);
    target_switch(&call->t, &call->p, "");
    if (n <= 8) {
      caller_wait_open(&call->c, 1);
      assert_int_equal(ws_client_response_status(call->c.client), 101);
      assert_null(ws_client_response_header(call->c.client, "Link", NULL));
    } else {
      call_expect_refused(call, WS_ERR_TOO_BIG, 0);
    }
    call_teardown(&one);
  }
}

/* Says it again and again until the client has enough; 64 KiB must be enough. */
static void flood(Call *call, const char *piece) {
  uint64_t end = clock_ms() + PATIENCE_MS;
  size_t len = strlen(piece), before = held, total = 0;
  peak = held;
  while (call->c.downs == 0) {
    ssize_t n = total < 65536 ? send(call->p.fd, piece, len, MSG_NOSIGNAL) : 0;
    if (n > 0) total += (size_t)n;
    run_for(call->c.loop, 0);
    if (clock_ms() > end) fail_msg("%zu bytes of head are not too many", total);
  }
  /* The head's 16 KiB at most twice while they move, what describes its fields, and small change.
   */
  assert_in_range(peak - before, 0, 60 * 1024);
}

/* req: 112 */
/* bad: 63, 64 */
static void test_handshake_answer_without_end_is_bounded(void **state) {
  static char longer[4096];
  static const struct {
    const char *begin, *piece;
  } all[] = {
      {"HTTP/1.1 101 ", "x"},
      {"HTTP/1.1 101 ", longer},
      {STATUS_LINE "X: ", longer},
      {STATUS_LINE, longer},
      {STATUS_LINE, "X: y\r\n"},
      {STATUS_LINE,
       "Set-Cookie: 0123456789012345678901234567890123456789012345678901234567890123"
       "456789012345678901234567890123456789012345678901234567890123456789012345678"
       "901234567890123456789012345678901234567890123456789012345678901234567890\r\n"},
      {"", "HTTP/1.1 102 Processing\r\n\r\n"},
  };
  (void)state;
  memset(longer, 'a', sizeof longer - 1);
  for (size_t i = 0; i < COUNT_OF(all); ++i) {
    void *one;
    call_setup(&one);
    Call *call = one;
    call_begin(call);
    peer_say(&call->p, all[i].begin);
    flood(call, all[i].piece);
    call_expect_refused(call, WS_ERR_TOO_BIG, 0);
    call_teardown(&one);
  }
}

/* bad: 63 */
static void test_handshake_limits_of_the_head_are_exact(void **state) {
  Call *call = *state;
  call->c.limits.max_header_bytes = 400;
  call->c.limits.max_header_count = 8;
  call_begin(call);
  for (int over = -1; over <= 1; ++over) {
    char filler[400];
    int rest = 400 + over - (int)strlen(GOOD END) - ACCEPT_CHARS + 2;
    snprintf(filler, sizeof filler, "X: %0*d\r\n", rest - 5, 0);
    target_switch(&call->t, &call->p, filler);
    if (over <= 0) {
      caller_wait_open(&call->c, 1);
    } else {
      call_expect_refused(call, WS_ERR_TOO_BIG, 0);
    }
    begin_again(call);
  }
  for (int count = 7; count <= 9; ++count) {
    char filler[64] = "";
    for (int i = 3; i < count; ++i) strcat(filler, "X: y\r\n");
    target_switch(&call->t, &call->p, filler);
    if (count <= 8) {
      caller_wait_open(&call->c, 1);
    } else {
      call_expect_refused(call, WS_ERR_TOO_BIG, 0);
    }
    begin_again(call);
  }
}

/* bad: 50, 63 */
static void test_handshake_timeout_is_for_all_of_it(void **state) {
  static const char *const begins[] = {"", "HTTP/1.1 101 ", STATUS_LINE "X: "};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(begins); ++i) {
    for (int drips = 0; drips < 2; ++drips) {
      void *one;
      call_setup(&one);
      Call *call = one;
      call->c.limits.handshake_timeout_ms = short_timeout_ms();
      call_begin(call);
      peer_say(&call->p, begins[i]);
      /* A byte now and then does not help. */
      for (int n = 0; n < 2000 && call->c.downs == 0; ++n) {
        run_for(call->c.loop, 5);
        if (drips && begins[i][0] != '\0') (void)send(call->p.fd, "a", 1, MSG_NOSIGNAL);
      }
      call_expect_refused(call, WS_ERR_TIMEOUT, 0);
      expect_silent_end(&call->p);
      call_teardown(&one);
    }
  }
}

/* Nobody takes the connection off the queue: the kernel has it, and the request too. */
static void test_handshake_timeout_when_nobody_accepts(void **state) {
  Call *call = *state;
  call->c.limits.handshake_timeout_ms = short_timeout_ms();
  caller_start(&call->c);
  call_expect_refused(call, WS_ERR_TIMEOUT, 0);
}

/* req: 93 */
/* bad: 70, 258 */
static void test_handshake_server_that_goes_away(void **state) {
  static const char *const begins[] = {"", "H", "HTTP/1.1 101 x\r\nUpgr", "HTTP/1.1 100 x\r\n\r\n"};
  (void)state;
  for (size_t i = 0; i < COUNT_OF(begins); ++i) {
    for (int resets = 0; resets < 2; ++resets) {
      void *one;
      call_setup(&one);
      Call *call = one;
      call_begin(call);
      peer_say(&call->p, begins[i]);
      run_for(call->c.loop, 2);
      if (resets) {
        peer_reset(&call->p);
      } else {
        peer_fin(&call->p);
      }
      call_expect_refused(call, WS_ERR_EOF, 0);
      assert_int_equal(call->c.why.sys_errno, resets ? ECONNRESET : 0);
      assert_int_equal(ws_client_response_status(call->c.client), 0);
      call_teardown(&one);
    }
  }
}

/* bad: 70, 258 */
static void test_handshake_server_that_closes_at_once(void **state) {
  Call *call = *state;
  caller_start(&call->c);
  target_accept(&call->t, &call->p);
  peer_drop(&call->p); /* with the request unread this may be a reset */
  call_expect_refused(call, WS_ERR_EOF, 0);
}

/* req: 88, 93 */
/* bad: 70 */
static void test_handshake_then_end_of_stream_opens_and_ends(void **state) {
  Call *call = *state;
  call_begin(call);
  target_switch(&call->t, &call->p, "");
  peer_fin(&call->p);
  caller_wait_down(&call->c, 1);
  caller_expect_log(&call->c, "attempt:1 open close:1006/0/-23 down:-23/0/never ");
  assert_int_equal(call->c.why.flags & WS_CLOSE_CLEAN, 0);
  assert_true(call->c.why_detail[0] != '\0');
}

#define test_of(f) cmocka_unit_test_setup_teardown(f, call_setup, call_teardown)

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(test_handshake_takes_eight_interim_answers),
      cmocka_unit_test(test_handshake_answer_without_end_is_bounded),
      test_of(test_handshake_limits_of_the_head_are_exact),
      cmocka_unit_test(test_handshake_timeout_is_for_all_of_it),
      test_of(test_handshake_timeout_when_nobody_accepts),
      cmocka_unit_test(test_handshake_server_that_goes_away),
      test_of(test_handshake_server_that_closes_at_once),
      test_of(test_handshake_then_end_of_stream_opens_and_ends),
  };
  ws_allocator allocator;
  WS_INIT(&allocator);
  allocator.resize = count_memory;
  if (ws_set_allocator(&allocator) != WS_OK) return 1;
  return cmocka_run_group_tests_name("client_handshake_limits", tests, NULL, NULL);
}
