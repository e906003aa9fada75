// The engine that stands alone behind ws_engine: with pools of its own, and as the host of its
// request's answer.
#pragma once

#include "libws/base/handle.hpp"
#include "libws/protocol/engine.hpp"

#include <libws/engine.h>

#include <span>
#include <utility>

namespace libws {

class ApiEngine final : private RequestHost, public Allocated {
 public:
  ApiEngine(Role role, const Limits& limits, const ws_engine_config& config)
      : limits_(limits),
        resources_(kKeepBytes, config.random, config.user),
        engine_(role, limits_, resources_, (config.flags & WS_ENGINE_CHUNKS) != 0) {}

  Engine& engine() { return engine_; }

  Error feed(uint8_t* data, size_t len) {
    if (engine_.input_pending()) {
      return fail(WS_ERR_STATE, "feed: call ws_engine_next until it returns 0 first");
    }
    engine_.charge(len);
    engine_.feed(data, len);
    return Error();
  }
  Error feed_copy(Bytes data) {
    if (data.empty()) return Error();
    if (engine_.input_pending()) {
      return fail(WS_ERR_STATE, "feed: call ws_engine_next until it returns 0 first");
    }
    if (Error e = engine_.feed_copy(data)) return e;
    engine_.charge(data.size());
    return Error();
  }

  std::span<uint8_t> landing() {
    offered_ = engine_.landing();
    return offered_;
  }
  Error landed(size_t n) {
    std::span<uint8_t> offered = std::exchange(offered_, {});
    if (n > offered.size()) {
      return fail(WS_ERR_INVALID, "landed: %zu bytes, but %zu were offered", n, offered.size());
    }
    if (n == 0) return Error();
    // A feed or a close in between has moved on: what was offered is not the message's any more.
    if (engine_.landing().data() != offered.data()) {
      return fail(WS_ERR_STATE, "landed: the engine wants nothing there any more");
    }
    engine_.charge(n);
    engine_.landed(n);
    return Error();
  }

  // 1: *out holds an event.
  Error next(ws_event* out);

  void tick(uint64_t now_ms) {
    resources_.now_us = now_ms * 1000;
    engine_.tick();
  }
  uint64_t deadline_ms() const {
    const uint64_t streams = streams_deadline_us();
    uint64_t us = engine_.deadline_us();
    if (streams < us) us = streams;
    return us == kNeverUs ? UINT64_MAX : (us + 999) / 1000;
  }

  ws_request* pending_request() {
    Request* r = engine_.request();
    return r != nullptr && !r->answered() && !engine_.ended() ? to_handle(r) : nullptr;
  }

 private:
  // When streams that nobody has used are given back: what connections of a loop would share is
  // here one engine's.
  uint64_t streams_deadline_us() const {
    if (limits_.deflate_idle_us == kNeverUs || resources_.deflate.empty()) return kNeverUs;
    return resources_.deflate.used_us + limits_.deflate_idle_us;
  }

  // Blocks kept between messages, so that the steady path does not allocate.
  static constexpr size_t kKeepBytes = 8 * 1024;

  Error accept(const AcceptOptions& how) override {
    if (how.limits == nullptr) return engine_.accept(how);
    const Limits own = *how.limits;
    AcceptOptions with_own = how;
    with_own.limits = &accepted_;
    accepted_ = own;  // nobody looks at it before this call succeeds
    return engine_.accept(with_own);
  }
  Error respond(const Response& response) override { return engine_.respond(response); }
  void refuse(int status, const char* why) override { engine_.refuse(status, why); }

  Limits limits_;
  Limits accepted_;  // instead, once a request was accepted with limits of its own
  EngineResources resources_;
  Engine engine_;
  std::span<uint8_t> offered_;  // by the last landing()
};
LIBWS_HANDLE(ApiEngine, ws_engine);

inline Error ApiEngine::next(ws_event* out) {
  // Events have not grown since 0.1, so the whole struct is there.
  if (out->size < sizeof *out) {
    return fail(WS_ERR_INVALID, "ws_event.size is %zu: set the struct up with WS_INIT", out->size);
  }
  Event ev;
  if (!engine_.next_metered(ev)) {
    // Not in tick(): the last event may still be looked at then.
    if (resources_.now_us >= streams_deadline_us()) resources_.deflate.trim();
    return Error();
  }
  if (ev.type == WS_EV_REQUEST) engine_.request()->set_host(this);
  out->type = ev.type;
  out->op = ev.op;
  out->flags = ev.flags;
  out->data = ev.data;
  out->len = ev.len;
  out->close = ev.type == WS_EV_CLOSED ? &engine_.close_info() : nullptr;
  return Error(1);
}

}  // namespace libws
