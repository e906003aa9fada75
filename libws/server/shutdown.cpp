#include "libws/server/shutdown.hpp"

#include "libws/server/server.hpp"

namespace libws {

Error check_drain(const DrainOptions& how) {
  // 0 is an empty Close, which is Conn::close()'s to send and says nothing to whom it is sent.
  if (how.code == 0) return fail(WS_ERR_INVALID, "shutdown: close code 0");
  if (Error e = Engine::check_close(Role::kServer, how.code, how.reason)) return e;
  if (how.spread_ms > INT32_MAX) {
    return fail(WS_ERR_INVALID, "shutdown: spread of %u ms is out of range", how.spread_ms);
  }
  if (how.timeout_ms != WS_NEVER && how.timeout_ms > INT32_MAX) {
    return fail(WS_ERR_INVALID, "shutdown: timeout of %u ms is out of range", how.timeout_ms);
  }
  return Error();
}

void Shutdown::start() {
  began_ms_ = server_->loop().fresh_now_ms();
  total_ = how_.finish ? server_->held() : server_->turn_away_new();
  if (how_.spread_ms == 0) {
    close_due(began_ms_);
  } else {
    // The caller may be walking through the connections, whose order closing changes.
    server_->loop().arm(this, began_ms_);
  }
  if (server_->empty()) finish();
}

// The i-th of n is due at spread * i / n: the first at once, and the same time between any two.
void Shutdown::close_due(uint64_t now_ms) {
  const uint64_t passed = now_ms - began_ms_;
  uint64_t due = total_;
  if (passed < how_.spread_ms) {
    due = passed * total_ / how_.spread_ms + 1;
    if (due > total_) due = total_;
  }
  server_->close_next(static_cast<size_t>(due - closed_), how_);
  closed_ = due;
  if (closed_ < total_) {
    const uint64_t after = (closed_ * how_.spread_ms + total_ - 1) / total_;
    return server_->loop().arm(this, began_ms_ + after);
  }
  if (how_.timeout_ms == WS_NEVER) return;
  server_->loop().arm(this, began_ms_ + how_.spread_ms + how_.timeout_ms);
}

void Shutdown::opened() {
  const uint64_t now = server_->loop().now_ms();
  if (spread_is_over(now)) server_->loop().arm(this, now);
}

void Shutdown::finish() {
  if (server_ != nullptr) server_->loop().defer(this);
}

void Shutdown::cancel() {
  Loop& loop = server_->loop();
  server_ = nullptr;
  loop.retire(this);
}

void Shutdown::on_timeout() {
  const uint64_t now = server_->loop().now_ms();
  if (!spread_is_over(now)) return close_due(now);
  server_->close_rest(how_);
  if (how_.timeout_ms == WS_NEVER) return;
  const uint64_t end = began_ms_ + how_.spread_ms + how_.timeout_ms;
  if (now < end) return server_->loop().arm(this, end);
  server_->abort_all();
}

void Shutdown::on_deferred() {
  if (server_ == nullptr || told_) return;
  told_ = true;
  // done() may free the server, which cancels this; the loop keeps us until the turn's end.
  if (done_ != nullptr) done_(to_handle(server_), arg_);
}

}  // namespace libws
