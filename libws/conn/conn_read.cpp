// Reading: socket to engine to callbacks.
#include "libws/conn/conn.hpp"

#include <cerrno>

namespace libws {
namespace {

// Events one connection may have in a turn before the others get theirs; the rest of its input
// waits in the engine (bad_inputs 99, 180).
constexpr int kEventsPerTurn = 256;

// The same for what its compressed messages hold: a millisecond or two.  A connection may be looked
// at twice in a turn, when its bytes come and behind the others.
constexpr int64_t kInflatePerTurn = int64_t{768} << 10;

// While a request waits for its answer only this much of what follows is read.
constexpr size_t kEarlyData = 16 * 1024;

}  // namespace

// `events`: what the poller has told.
void Conn::read_in(uint32_t events) {
  size_t room = loop().read_bytes();
  if (!engine_.at_rest() || gated_) {
    if (!may_read(events)) return;
    if (gated_) return read_gated();
    std::span<uint8_t> landing = engine_.landing();
    if (!landing.empty()) return read_landing(landing);
    if (engine_.request() != nullptr && room > kEarlyData) room = kEarlyData;
  }
  uint8_t* buffer = loop().read_buffer();
  IoResult r = transport_.read(buffer, room);
  if (r.status != IoResult::kOk) return take_read(r);
  bytes_in_ += r.bytes;
  if (shared_->tracer != nullptr) shared_->tracer->passed(id_, false, {buffer, r.bytes});
  engine_.feed(buffer, r.bytes);
  pump();
}

bool Conn::wants_input() const {
  if (transport_.read_waits() || (engine_.want() & WS_WANT_READ) == 0) return false;
  if (!holding()) return !engine_.input_pending();
  return engine_.ahead_room() != 0 && !end_waits();
}

bool Conn::may_read(uint32_t events) {
  const bool answering = engine_.request() != nullptr && engine_.input_pending();
  const bool held = holding();
  if ((held && !wants_input()) || answering) {
    // Readable only: that was found out before reading stopped, in this turn.
    if ((events & kHangup) == 0) return false;
    // The peer has reset the connection, and level-triggered it would be reported for ever.
    loop().unwatch(this);
    engine_.abort(WS_ERR_EOF, 0, "the peer reset the connection");
    pump();
    return false;
  }
  if (held) return true;
  // Held input goes first; it is already on its way through on_deferred.
  if (engine_.input_pending()) return false;
  // A rate delays nothing any more when the peer is gone.
  return !engine_.reading_waits() || (events & kHangup) != 0;
}

// A large message is under way: its bytes go straight to their place, and what follows it into
// the shared buffer, in one call.
void Conn::read_landing(std::span<uint8_t> landing) {
  uint8_t* buffer = loop().read_buffer();
  IoResult r = transport_.read_two(landing.data(), landing.size(), buffer, loop().read_bytes());
  if (r.status != IoResult::kOk) return take_read(r);
  bytes_in_ += r.bytes;
  size_t landed = r.bytes < landing.size() ? r.bytes : landing.size();
  if (shared_->tracer != nullptr) {
    shared_->tracer->passed(id_, false, landing.first(landed));
    shared_->tracer->passed(id_, false, {buffer, r.bytes - landed});
  }
  engine_.landed(landed);
  pump();
  size_t more = r.bytes - landed;
  if (more == 0 || engine_.want() == WS_WANT_CLOSE) return;
  // The callback may have paused in between.
  if (holding()) {
    engine_.feed_behind(buffer, more);
  } else {
    engine_.feed(buffer, more);
  }
  pump();
}

void Conn::take_read(const IoResult& r) {
  if (r.status == IoResult::kWouldBlock) return;
  if (r.status == IoResult::kEof && !transport_.truncated()) {
    engine_.feed_eof();
  } else {
    const TransportFault fault = transport_.fault(r, "reading from the socket failed");
    engine_.abort(fault.error, fault.sys_errno, fault.detail);
  }
  pump();
}

void Conn::pump() {
  if (pumping_) return;
  // A callback that throws leaves events unread: they are looked at again through tell_later().
  resources().inflate_budget = kInflatePerTurn;
  if (loop().times_callbacks()) return pump_timed();
  call_back([this] { pump_events(); });
}

void Conn::pump_timed() {
  const uint64_t began_us = sys().now_us();
  call_back([this] { pump_events(); });
  loop().add_callback_time(sys().now_us() - began_us);
}

void Conn::callback_threw() {
  current_ = nullptr;
  engine_.hold_input();  // others read into the buffer before it is looked at again
  if (engine_.close(1011, "internal error").failed()) {
    engine_.abort(WS_ERR_CANCELLED, 0, "a callback threw an exception");
  }
  tell_later();
}

void Conn::pump_events() {
  Event ev;
  int budget = kEventsPerTurn + 1;
  while (!gated_) {
    if (--budget == 0) {
      if (engine_.hold_input()) tell_later();
      return;
    }
    if (!engine_.next(ev)) return;
    dispatch(ev);
  }
  pump_gated(budget);
}

void Conn::dispatch(const Event& ev) {
  const ws_handlers& h = *handlers_;
  ws_conn* handle = to_handle(this);
  switch (ev.type) {
    case WS_EV_MESSAGE: return dispatch_message(ev);
    case WS_EV_PING:
      if (h.on_ping != nullptr) h.on_ping(handle, ev.data, ev.len, user_);
      return;
    case WS_EV_PONG:
      if (h.on_pong != nullptr) h.on_pong(handle, ev.data, ev.len, user_);
      return;
    case WS_EV_REQUEST: return dispatch_request();
    case WS_EV_OPEN:
      opened_ = true;
      if (limits().has_rates()) set_gate(gate_ | kMetered);
      arm_timer();  // the one time in a connection's life that a deadline comes nearer by itself
      if (owner_ != nullptr) owner_->on_opened(*this);
      if (h.on_open != nullptr) h.on_open(handle, user_);
      return;
    case WS_EV_CLOSED: {
      drop_waiting();
      // The owner counts it until the callback is done, also when that throws.
      struct Ended {
        Conn& conn;
        ~Ended() { conn.closed_was_given(); }
      } ended{*this};
      end_attachments();
      if (opened_ && h.on_close != nullptr) h.on_close(handle, &engine_.close_info(), user_);
      return;
    }
  }
  dispatch_room(ev);  // kEvRoom
}

// A request that the library refused, or a peer whose TLS failed, never reaches the application;
// the operator hears of it here.
void Conn::log_refusal() const {
  const ws_close_info& how = engine_.close_info();
  const Log& log = loop().log();
  if (!log.enabled(WS_LOG_WARN) || engine_.role() == Role::kClient) return;
  char peer[kAddressTextBytes];
  peer_.print(peer);
  if (how.error == WS_ERR_TLS || how.error == WS_ERR_TLS_VERIFY) {
    log.write(WS_LOG_WARN, "tls peer=%s why=\"%s\"", peer, how.detail);
    return;
  }
  if (how.http_status == 0 || how.error == WS_ERR_HTTP_STATUS) return;
  const Request* request = engine_.request();
  log.write(WS_LOG_WARN, "refuse peer=%s status=%d path=\"%s\" origin=\"%s\" why=\"%s\"", peer,
            how.http_status, Escaped(request != nullptr ? request->path() : "").c_str(),
            Escaped(request != nullptr ? request->origin() : "").c_str(), how.detail);
}

void Conn::closed_was_given() {
  closed_given_ = true;
  if (!opened_) log_refusal();
  if (owner_ != nullptr) owner_->on_ended(*this);
}

void Conn::dispatch_message(const Event& ev) {
  const ws_handlers& h = *handlers_;
  if (h.on_chunk != nullptr && engine_.in_parts()) {
    return h.on_chunk(to_handle(this), ev.op, ev.flags, ev.data, ev.len, user_);
  }
  if (h.on_message == nullptr) return;
  current_ = &ev;
  h.on_message(to_handle(this), ev.op, ev.data, ev.len, user_);
  current_ = nullptr;
}

void Conn::dispatch_room(const Event& ev) {
  void* room = handlers_->on_room(to_handle(this), ev.op, ev.len, user_);
  engine_.give_room(static_cast<uint8_t*>(room));
}

void Conn::dispatch_request() {
  // The engine holds the only reference here, so the owner can tell whether somebody kept one.
  Request& request = *engine_.request();
  char peer[kAddressTextBytes];
  peer_.print(peer);
  request.set_peer(peer);
  request.set_host(this);
  if (owner_ != nullptr) owner_->on_request(*this, request);
}

Error Conn::keep_message(Ref<Message>* out) {
  if (current_ == nullptr) return fail(WS_ERR_STATE, "keep_message: not inside on_message");
  Ref<Message> m = engine_.keep(*current_);
  if (!m) return fail(WS_ERR_NOMEM, "keep_message");
  *out = std::move(m);
  return Error();
}

}  // namespace libws
