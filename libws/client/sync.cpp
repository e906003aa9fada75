#include "libws/client/sync.hpp"

#include <cassert>
#include <utility>

namespace libws {
namespace {

// An empty message costs memory too: an object, and a block if it came in fragments.
constexpr uint64_t kOverhead = 512;

uint64_t deadline_after(uint64_t now_ms, uint32_t timeout_ms) {
  return timeout_ms == WS_NEVER ? UINT64_MAX : now_ms + timeout_ms;
}

}  // namespace

Error Sync::connect(ClientOptions options, std::unique_ptr<Sync>* out) {
  std::unique_ptr<Sync> s(new Sync);
  if (Error e = Loop::create(LoopConfig(), &s->loop_)) return e;
  s->inbox_limit_ = options.policy->limits.send_limit;
  options.policy->handlers.on_open = on_open;
  options.policy->handlers.on_message = on_message;
  options.on_down = on_down;
  options.user = s.get();
  auto* client = new Client(*s->loop_, std::move(options));
  if (Error e = client->start()) {
    client->unref();
    return e;
  }
  s->client_ = client;
  while (!s->opened_ && !s->ended_) {
    if (Error e = s->turn(UINT64_MAX)) return e;
  }
  if (s->ended_) {
    const ws_close_info& why = s->outcome_.info();
    // A server may close in the same read that opened: that is an end too.
    return fail(why.error != WS_OK ? why.error : WS_ERR_CLOSED, "%s", why.detail);
  }
  *out = std::move(s);
  return Error();
}

Sync::~Sync() {
  if (loop_ == nullptr) return;
  ended_ = true;
  // Frees the client and delivers what is owed to the callbacks below.
  (void)loop_->shut_down().failed();
}

void Sync::on_open(ws_conn*, void* user) { static_cast<Sync*>(user)->opened_ = true; }

void Sync::on_message(ws_conn* c, ws_opcode, const void*, size_t, void* user) {
  static_cast<Sync*>(user)->keep(*from_handle<Conn>(c));
}

void Sync::keep(Conn& conn) {
  Ref<Message> m;
  try {
    if (conn.keep_message(&m).failed()) throw std::bad_alloc();
    inbox_.push_back(m);
  } catch (const std::bad_alloc&) {
    // A message that is lost in silence would be worse than no connection.
    failure_ = WS_ERR_NOMEM;
    return conn.abort();
  }
  inbox_bytes_ += m->data().size() + kOverhead;
  if (inbox_bytes_ >= inbox_limit_) (void)conn.pause().failed();
}

void Sync::on_down(ws_client*, const ws_close_info* why, uint32_t retry_in_ms, void* user) {
  auto* s = static_cast<Sync*>(user);
  s->outcome_.set(*why);
  if (s->opened_) {
    s->ended_ = true;
    if (retry_in_ms != WS_NEVER) (void)s->client_->close(0, {}).failed();
  } else if (retry_in_ms == WS_NEVER) {
    s->ended_ = true;
  }
}

Error Sync::turn(uint64_t deadline_ms) {
  if (conn() != nullptr) conn()->was_away();
  uint32_t wait_ms = WS_NEVER;
  if (deadline_ms != UINT64_MAX) {
    const uint64_t now_ms = sys().now_us() / 1000;
    wait_ms = deadline_ms > now_ms ? static_cast<uint32_t>(deadline_ms - now_ms) : 0;
  }
  const int handled = loop_->dispatch(wait_ms);
  return handled < 0 ? Error(handled) : Error();
}

// Waits for on_down, which has the reason, and is on its way.
Error Sync::closed() {
  while (!ended_) {
    if (Error e = turn(UINT64_MAX)) return e;
  }
  if (failure_ != 0) return fail(failure_, "out of memory for a message that arrived");
  return fail(WS_ERR_CLOSED, "the connection has ended: %s", outcome_.info().detail);
}

// The connection ended while send() waited.
Error Sync::send_ended() {
  Error e = closed();
  if (outcome_.info().error != WS_ERR_TIMEOUT) return e;
  return fail(WS_ERR_TIMEOUT, "send: %s", outcome_.info().detail);
}

Error Sync::send(ws_opcode op, Bytes data) {
  if (conn() == nullptr) return closed();
  Error e;
  while ((e = conn()->send(op, data, 0)).code() == WS_ERR_FULL) {
    // Nothing waits and it still does not fit: it never will.
    if (conn()->buffered() == 0) {
      return fail(WS_ERR_TOO_BIG, "send: %zu bytes are more than send_limit_bytes", data.size());
    }
    if (Error t = turn(UINT64_MAX)) return t;
    if (conn() == nullptr) return send_ended();
  }
  if (e.code() == WS_ERR_CLOSED) return closed();
  if (e.failed() || e.code() == WS_DROPPED) return e;
  while (e.code() == WS_BACKPRESSURE && conn() != nullptr && conn()->above_high()) {
    if (Error t = turn(UINT64_MAX)) return t;
  }
  return conn() != nullptr ? Error() : send_ended();
}

Error Sync::recv(uint32_t timeout_ms, const Message** out) {
  const uint64_t deadline_ms = deadline_after(sys().now_us() / 1000, timeout_ms);
  bool looked = false;
  while (inbox_.empty()) {
    if (ended_) return closed();
    if (looked && deadline_ms != UINT64_MAX && sys().now_us() / 1000 >= deadline_ms) {
      return fail(WS_ERR_TIMEOUT, "recv: no message within %u ms", timeout_ms);
    }
    looked = true;
    if (Error e = turn(deadline_ms)) return e;
  }
  current_ = std::move(inbox_.front());
  inbox_.pop_front();
  inbox_bytes_ -= current_->data().size() + kOverhead;
  if (conn() != nullptr && inbox_bytes_ < inbox_limit_) (void)conn()->resume().failed();
  *out = current_.get();
  return Error();
}

Error Sync::close(uint16_t code, std::string_view reason) {
  if (!ended_) {
    if (Error e = client_->close(code, reason)) return e;
    inbox_.clear();
    inbox_bytes_ = 0;
  }
  while (!ended_) {
    if (Error e = turn(UINT64_MAX)) return e;
  }
  const ws_close_info& how = outcome_.info();
  return how.error == WS_OK ? Error() : fail(how.error, "%s", how.detail);
}

}  // namespace libws
