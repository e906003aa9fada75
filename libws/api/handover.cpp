#include "libws/server/handover.hpp"

#include "libws/api/config.hpp"
#include "libws/api/guard.hpp"
#include "libws/server/takeover.hpp"

#include <libws/handover.h>

using namespace libws;

namespace {

template <class Impl, class Handle>
Error copy_handles(Handle* const* from, size_t count, Vector<Impl*>* out) {
  if (count > WS_HANDOVER_MAX) {
    return fail(WS_ERR_TOO_BIG, "handover: %zu listeners, at most %d", count, WS_HANDOVER_MAX);
  }
  if (count != 0 && from == nullptr) return null_argument("listeners");
  for (size_t i = 0; i < count; ++i) {
    if (from[i] == nullptr) return null_argument("a listener");
    out->push_back(from_handle<Impl>(from[i]));
  }
  return Error();
}

}  // namespace

int ws_handover_offer(ws_loop* l, const ws_handover_config* cfg, ws_handover** out) {
  return guarded([&] {
    if (l == nullptr) return null_argument("loop");
    ws_handover_config c;
    if (Error e = read_config(cfg, &c, "ws_handover_config")) return e;
    if (c.path == nullptr) return null_argument("path");
    if (c.on_taken == nullptr) return null_argument("on_taken");
    if (c.timeout_ms > INT32_MAX) {
      return fail(WS_ERR_INVALID, "handover: timeout of %u ms is out of range", c.timeout_ms);
    }
    Handover::Options options;
    if (Error e = copy_handles(c.listeners, c.listener_count, &options.listeners)) return e;
    if (Error e = copy_handles(c.pool_listeners, c.pool_listener_count, &options.pool_listeners)) {
      return e;
    }
    options.on_taken = c.on_taken;
    options.user = c.user;
    if (c.timeout_ms != 0) options.timeout_ms = c.timeout_ms;
    auto* handover = new Handover(*from_handle<Loop>(l), std::move(options));
    if (Error e = handover->start(c.path)) {
      handover->free();
      return e;
    }
    if (out != nullptr) *out = to_handle(handover);
    return Error();
  });
}

void ws_handover_free(ws_handover* h) {
  if (h != nullptr) from_handle<Handover>(h)->free();
}

int ws_handover_take(const char* path, uint32_t timeout_ms, ws_takeover** out) {
  return guarded([&] {
    if (path == nullptr) return null_argument("path");
    if (out == nullptr) return null_argument("out");
    std::unique_ptr<Takeover> taken;
    if (Error e = Takeover::take(path, timeout_ms, &taken)) return e;
    *out = to_handle(taken.release());
    return Error();
  });
}

size_t ws_takeover_count(const ws_takeover* t) {
  return t != nullptr ? from_handle<Takeover>(t)->count() : 0;
}

const char* ws_takeover_name(const ws_takeover* t, size_t index) {
  return t != nullptr ? from_handle<Takeover>(t)->name(index) : nullptr;
}

int ws_takeover_claim(ws_takeover* t, size_t index) {
  return t != nullptr ? from_handle<Takeover>(t)->claim(index) : -1;
}

int ws_takeover_ready(ws_takeover* t, uint32_t timeout_ms) {
  return guarded([&] {
    return t != nullptr ? from_handle<Takeover>(t)->ready(timeout_ms) : null_argument("takeover");
  });
}

void ws_takeover_free(ws_takeover* t) {
  if (t != nullptr) delete from_handle<Takeover>(t);
}
