#include "libws/client/client.hpp"

#include "libws/protocol/handshake.hpp"

#include <utility>

namespace libws {
namespace {

// The queue could not be sent for want of memory: tried again after this.
constexpr uint64_t kQueueRetryMs = 100;

}  // namespace

Client::Client(Loop& loop, ClientOptions options)
    : loop_(loop),
      options_(std::move(options)),
      url_(options_.url),
      url_text_(options_.url.text()),
      queue_(options_.queue_bytes),
      backoff_(options_.retry_min_ms, options_.retry_max_ms) {
  ConnShared::of(loop);  // now, so that connecting does not fail for it later
}

Error Client::start() {
  if (Error e = load_roots()) return e;
  if (options_.fd >= 0) {
    if (Error e = socket_adopt_connected(options_.fd)) return e;
    fd_ = options_.fd;
  }
  loop_.add_member(this);
  loop_.defer(this);
  return Error();
}

Error Client::check(const ClientOptions& options, const FieldList& headers) {
  Vector<const char*> subprotocols;
  for (const String& s : options.subprotocols) subprotocols.push_back(s.c_str());
  const Vector<ws_header> fields = headers.views([](std::string_view) { return true; });
  const String host = options.url.host_field();
  return check_open_request({host, options.url.target, fields, subprotocols});
}

void Client::free() {
  if (freed_) return;
  freed_ = true;
  if (LoopMember::linked()) LoopMember::unlink();
  cancel_attempt();
  close_descriptor();
  let_go(conn_);
  let_go(draining_);
  loop_.retire(this);
}

// Others that wait for their turn are abandoned too, so this one's is not given back.
void Client::on_loop_abandoned() {
  freed_ = true;
  turn_.unlink();
  if (attempt_ != nullptr) std::exchange(attempt_, nullptr)->abandon();
  close_descriptor();
  for (Ref<Conn>* conn : {&conn_, &draining_}) {
    if (*conn) (*conn)->on_abandoned();
    *conn = {};
  }
  loop_.retire(this);
}

void Client::let_go(Ref<Conn>& conn) {
  if (!conn) return;
  conn->disown();
  conn->abort();
  conn = {};
}

// Its end was told, but our Close may still be leaving, or the peer has not ended TCP.  One of them
// at most, or a server that never does would collect descriptors.
void Client::drop_conn() {
  if (!conn_) return;
  let_go(draining_);
  if (!conn_->retired()) draining_ = std::move(conn_);
  conn_ = {};
}

void Client::on_gone(Conn& conn) {
  if (draining_.get() == &conn) draining_ = {};
}

void Client::cancel_attempt() {
  waiting_turn_ = false;
  ConnShared::of(loop_).connect_turns.give_back(turn_);
  if (attempt_ != nullptr) std::exchange(attempt_, nullptr)->cancel();
}

// The one that no attempt has taken.
void Client::close_descriptor() {
  if (fd_ >= 0) socket_close(std::exchange(fd_, -1));
}

void Client::on_loop_stop() {
  let_go(draining_);
  switch (state_) {
    case State::kShaking:
    case State::kOpen: conn_->abort(); break;
    case State::kConnecting: failed(WS_ERR_CANCELLED, 0, 0, "the loop was freed"); break;
    case State::kDue:
    case State::kWaiting: state_ = State::kIdle; break;
    case State::kDown:
    case State::kIdle: break;
  }
  leaving_ = true;
  stopped_ = true;
}

Conn* Client::conn() const { return state_ == State::kOpen ? conn_.get() : nullptr; }

Error Client::close(uint16_t code, std::string_view reason) {
  if (state_ == State::kOpen || state_ == State::kShaking) {
    Error e = conn_->close(code, reason);
    if (e && e.code() != WS_ERR_CLOSED) return e;
    // The server has refused, and only the body of that is still to come.
    if (e && state_ == State::kShaking) conn_->abort();
  } else if (Error e = Engine::check_close(Role::kClient, code, reason)) {
    return e;
  } else if (state_ != State::kDown && state_ != State::kIdle) {
    failed(WS_ERR_CANCELLED, 0, 0, "closed by this side before it was open");
  }
  leaving_ = true;
  return Error();
}

bool Client::may_queue() const {
  if (leaving_ || !queue_.takes_any() || state_ == State::kIdle) return false;
  if (state_ == State::kOpen && conn_->asked_to_close()) return false;
  const bool ending = state_ == State::kOpen || state_ == State::kDown;
  return !ending || options_.retry_count != 0;
}

Error Client::send(ws_opcode op, Bytes data, uint32_t flags) {
  if (state_ == State::kOpen && queue_.empty()) {
    Error e = conn_->send(op, data, flags);
    if (e.code() != WS_ERR_CLOSED || !may_queue()) return e;
  }
  const bool open = state_ == State::kOpen && !leaving_ && !conn_->asked_to_close();
  if (!may_queue() && !open) {
    return fail(WS_ERR_CLOSED, "send: the client is not open");
  }
  if (Error e = check_send_flags(flags, "send")) return e;
  const uint64_t limit = options_.policy->limits.send_limit;
  const size_t header = frame_header_size(data.size(), true);
  if (header > limit || data.size() > limit - header) {
    return fail(WS_ERR_FULL, "send: %zu bytes are more than send_limit_bytes", data.size());
  }
  return queue_.push(op, data, flags);
}

// In order, as far as the connection takes them; on_drained() goes on.
void Client::flush_queue() {
  while (state_ == State::kOpen && !queue_.empty()) {
    const OfflineQueue::Waiting& first = queue_.front();
    // Its text was checked when it was queued.
    const uint32_t flags = first.flags | WS_SEND_NO_UTF8_CHECK;
    Error e = conn_->send(first.message->opcode(), first.message->data(), flags);
    if (e.code() == WS_ERR_FULL && !conn_->flush().failed()) {
      e = conn_->send(first.message->opcode(), first.message->data(), flags);
      // It may be full below its high mark, which alone would not tell of room again.
      if (e.code() == WS_ERR_FULL) return conn_->report_drain();
    }
    if (e.code() == WS_ERR_NOMEM) return loop_.arm(this, loop_.now_ms() + kQueueRetryMs);
    if (e) return;  // CLOSED: until the next on_open
    queue_.pop();
    if (e.code() != WS_OK) return;  // BACKPRESSURE or DROPPED: on_drained() follows
  }
}

void Client::retry_now() {
  if (stopped_ || (state_ != State::kWaiting && state_ != State::kIdle)) return;
  if (options_.fd >= 0) return;  // it was used
  if (state_ == State::kIdle) {
    tries_ = 0;
    backoff_.reset();
    leaving_ = false;
  }
  loop_.disarm(this);
  state_ = State::kDue;
  loop_.defer(this);
}

Error Client::set_headers(FieldList headers) {
  if (Error e = check(options_, headers)) return e;
  options_.headers = std::move(headers);
  return Error();
}

void Client::on_opened(Conn&) {
  state_ = State::kOpen;
  was_open_ = true;
  opened_us_ = loop_.now_us();
  loop_.disarm(this);
  ConnShared::of(loop_).connect_turns.give_back(turn_);
  if (!queue_.empty()) loop_.defer(this);  // after on_open, and what it sends
}

void Client::on_drained(Conn&) { flush_queue(); }

void Client::on_ended(Conn& conn) {
  outcome_.set(conn.close_info());
  if (const Head* head = conn.response(); head != nullptr && head->status() != 101) {
    outcome_.set_detail("the server answered %d %s: %s", head->status(),
                        Escaped(head->reason()).c_str(), conn.close_info().detail);
  }
  if (conn.asked_to_close()) leaving_ = true;
  ConnShared::of(loop_).connect_turns.give_back(turn_);
  state_ = State::kDown;
  loop_.defer(this);
}

void Client::on_timeout() {
  const Ref<Client> self = Ref<Client>::share(this);
  if (state_ == State::kConnecting) {
    char detail[120];
    std::snprintf(detail, sizeof detail, "no connection in time: still %s",
                  attempt_ != nullptr ? attempt_->doing() : "connecting");
    return failed(WS_ERR_TIMEOUT, 0, 0, detail);
  }
  if (state_ == State::kWaiting) return begin_attempt();
  if (state_ == State::kOpen) flush_queue();
}

void Client::on_deferred() {
  if (freed_) return;
  const Ref<Client> self = Ref<Client>::share(this);
  if (state_ == State::kDue) return begin_attempt();
  if (state_ == State::kConnecting && waiting_turn_) return connect();
  if (state_ == State::kOpen) return flush_queue();
  if (state_ == State::kDown) conclude();
}

}  // namespace libws
