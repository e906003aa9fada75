#include "libws/server/shutdown.hpp"

#include "libws/server/server.hpp"

namespace libws {

void Shutdown::start(uint32_t timeout_ms) {
  if (timeout_ms == WS_NEVER) return;
  server_->loop().arm(this, server_->loop().fresh_now_ms() + timeout_ms);
}

void Shutdown::finish() {
  if (server_ != nullptr) server_->loop().defer(this);
}

void Shutdown::cancel() {
  Loop& loop = server_->loop();
  server_ = nullptr;
  loop.retire(this);
}

void Shutdown::on_timeout() { server_->abort_all(); }

void Shutdown::on_deferred() {
  if (server_ == nullptr || told_) return;
  told_ = true;
  // done() may free the server, which cancels this; the loop keeps us until the turn's end.
  if (done_ != nullptr) done_(to_handle(server_), arg_);
}

}  // namespace libws
