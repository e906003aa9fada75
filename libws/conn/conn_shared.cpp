#include "libws/conn/conn_shared.hpp"

#include <ctime>

namespace libws {
namespace {

// Freed blocks a loop keeps for reuse: enough for a few hundred connections that are busy in the
// same turn.
constexpr size_t kKeepBytes = size_t{2} << 20;

int64_t wall_seconds() { return static_cast<int64_t>(std::time(nullptr)); }

}  // namespace

ConnShared::ConnShared(Loop& loop) : resources(kKeepBytes, nullptr, nullptr), loop_(&loop) {
  resources.wall_clock = wall_seconds;
}

ConnShared& ConnShared::of(Loop& loop) {
  if (loop.companion() == nullptr) loop.set_companion(new ConnShared(loop));
  return *static_cast<ConnShared*>(loop.companion());
}

void ConnShared::add_stats(const Loop& loop, ws_loop_stats* out) {
  const auto* shared = static_cast<const ConnShared*>(loop.companion());
  if (shared == nullptr) return;
  out->deflated += shared->resources.deflate.deflated;
  out->inflated += shared->resources.deflate.inflated;
  out->deflate_bytes += shared->resources.deflate.held();
}

Error ConnShared::post(ws_task_fn fn, void* arg) {
  std::lock_guard lock(gate_);
  if (loop_ == nullptr) return fail(WS_ERR_CLOSED, "the loop of this connection is gone");
  return loop_->post_ours(fn, arg);
}

Error ConnShared::default_tls(Ref<TlsContext>* out) {
  if (!default_tls_) {
    ws_tls_config config;
    WS_INIT(&config);
    if (Error e = TlsContext::create(config, &default_tls_)) return e;
  }
  *out = default_tls_;
  return Error();
}

void ConnShared::on_loop_gone() {
  std::lock_guard lock(gate_);
  loop_ = nullptr;
}

}  // namespace libws
