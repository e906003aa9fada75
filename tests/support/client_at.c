#include "client_at.h"

#include <stdio.h>

const char *at_name(At at) {
  static const char *const names[] = {"due",  "connecting", "tunnel", "shaking",
                                      "open", "waiting",    "idle"};
  return names[at];
}

static void wait_proxy_asked(Call *call) {
  char head[1024];
  target_accept(&call->t, &call->p);
  peer_read_head(&call->p, head, sizeof head);
  assert_int_equal(strncmp(head, "CONNECT ", 8), 0);
}

void bring_to(Call *call, At at) {
  char proxy[64];
  Caller *c = &call->c;
  c->config.retry_count = at == IDLE ? 0 : WS_NEVER;
  if (at == CONNECTING) caller_set_url(c, "ws://localhost:%d/", call->t.port);
  snprintf(proxy, sizeof proxy, "http://127.0.0.1:%d", call->t.port);
  if (at == TUNNEL) c->config.proxy = proxy;
  caller_start(c);
  c->config.proxy = NULL;
  switch (at) {
    case DUE: break;
    case CONNECTING:
      while (c->attempts == 0) ws_loop_dispatch(c->loop, 0);
      break;
    case TUNNEL: wait_proxy_asked(call); break;
    case SHAKING: target_take(&call->t, &call->p); break;
    case OPEN:
      target_welcome(&call->t, &call->p);
      caller_wait_open(c, 1);
      break;
    default:
      target_take(&call->t, &call->p);
      peer_say(&call->p, "HTTP/1.1 503 No\r\nContent-Length: 0\r\nRetry-After: 1000\r\n\r\n");
      caller_wait_down(c, 1);
      break;
  }
  c->log[0] = '\0';
}

Call *fresh_call(void **state) {
  call_teardown(state);
  assert_int_equal(call_setup(state), 0);
  return *state;
}

void expect_nothing_told(Caller *c) {
  char before[sizeof c->log];
  memcpy(before, c->log, sizeof before);
  run_for(c->loop, 30);
  assert_string_equal(c->log, before);
}

void retry_fast(Call *call, uint32_t count) {
  call->c.config.retry_count = count;
  call->c.config.retry_min_ms = 1;
  call->c.config.retry_max_ms = 2;
}

void lead_to_refusal(Call *call) {
  target_stop(&call->t);
  target_refuse(&call->t, call->c.loop);
  caller_set_url(&call->c, "ws://127.0.0.1:%d/", call->t.port);
}
