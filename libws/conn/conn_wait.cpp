// What slow receivers get: messages that wait above the engine's queue until it is short, so that
// they can be dropped, replaced, passed by urgent ones, or cut into frames.
//
// A message is compressed when it leaves the backlog, never before: what was dropped must not be in
// the context that the peer's decompressor shares.  While anything waits the queue is above its low
// mark and the descriptor is watched for room, so that writing it brings the next.
#include "libws/conn/conn.hpp"

#include <new>

namespace libws {

struct Conn::Manners {
  ws_slow slow;
  unsigned urgency = 0;
  std::string_view key = {};
};

bool Conn::managed_by_policy() const {
  return limits().slow != WS_SLOW_REFUSE || limits().fragment != UINT64_MAX;
}

Error Conn::send_managed(ws_opcode op, Bytes data, uint32_t flags) {
  const Manners how{limits().slow};
  if (!must_wait(data.size(), how)) {
    Error e = send_now(op, data, flags);
    if (e.code() == WS_ERR_FULL && !blocked_) {
      try_writing();
      e = send_now(op, data, flags);
    }
    return e.code() == WS_ERR_FULL ? too_slow(data.size(), how.slow) : e;
  }
  if (Error e = engine_.check_send(op, data, flags, "send")) return e;
  if (Error e = make_room(data.size(), how); e.code() != WS_OK) return e;
  Ref<Message> copy;
  if (Error e = Message::copy(op, data, &copy, (flags & WS_SEND_NO_UTF8_CHECK) == 0)) return e;
  if (Error e = copy->set_flags(flags & ~uint32_t{WS_SEND_NO_UTF8_CHECK})) return e;
  return make_wait(std::move(copy), true, how);
}

Error Conn::send_message_managed(const Message& m) {
  const ws_slow slow = m.slow() != WS_SLOW_DEFAULT ? m.slow() : limits().slow;
  const Manners how{slow, m.urgency(), m.key()};
  const size_t len = m.data().size();
  if (how.urgency != 0 && engine_.is_open()) sorts_ = managed_ = true;
  if (!must_wait(len, how)) {
    Error e = send_message_now(m);
    if (e.code() == WS_ERR_FULL && !blocked_) {
      try_writing();
      e = send_message_now(m);
    }
    return e.code() == WS_ERR_FULL ? too_slow(len, slow) : e;
  }
  if (Error e = make_room(len, how); e.code() != WS_OK) return e;
  return make_wait(Ref<Message>::share(const_cast<Message*>(&m)), false, how);
}

// Where it would be refused it need not wait for that.
bool Conn::must_wait(size_t len, const Manners& how) {
  if (backlog_ == nullptr && engine_.in_sent_parts()) return false;
  if (backlog_ != nullptr || len > limits().fragment || may_drop_later(how.slow) || sorts_) {
    // Inside a turn the queue only grows, which alone does not mean that the peer is slow.
    if (above_high()) try_writing();
  }
  if (!engine_.is_open()) return false;
  if (backlog_ != nullptr || len > limits().fragment) return true;
  return (may_drop_later(how.slow) || sorts_) && engine_.above_high();
}

// Whether an empty queue takes it.
bool Conn::could_fit(size_t len) const {
  const uint64_t limit = limits().send_limit;
  const size_t header = frame_header_size(len, engine_.role() == Role::kClient);
  return header <= limit && len <= limit - header;
}

// Whether it can wait, after others were dropped for it if need be.
bool Conn::has_room(size_t len, const Manners& how) const {
  const uint64_t queued = engine_.buffered();
  const uint64_t limit = limits().send_limit;
  // Alone it may wait if it fits as a frame: it only waits to be cut into several.
  if (queued == 0 && backlog_ == nullptr) return could_fit(len);
  const uint64_t room = queued < limit ? limit - queued : 0;
  if (len > room || room - len < Backlog::kOverhead) return false;
  if (backlog_ == nullptr) return true;
  const uint64_t held = backlog_->held() - backlog_->could_free(how.slow, how.urgency, how.key);
  return held <= room - len - Backlog::kOverhead;
}

// OK: it may wait.  Anything else is what the send returns.
Error Conn::make_room(size_t len, const Manners& how) {
  if (has_room(len, how)) return Error();
  try_writing();
  if (!engine_.is_open()) return fail(WS_ERR_CLOSED, "send: the connection is not open");
  return has_room(len, how) ? Error() : too_slow(len, how.slow);
}

Error Conn::make_wait(Ref<Message> m, bool ours, const Manners& how) {
  const bool pressed = engine_.pressed_or_drained();
  const uint32_t flags = m->flags();
  auto* entry = new (std::nothrow) Backlog::Entry;
  if (entry != nullptr && backlog_ == nullptr) backlog_ = new (std::nothrow) Backlog;
  if (entry == nullptr || backlog_ == nullptr) {
    delete entry;
    return fail(WS_ERR_NOMEM, "send: a message that has to wait");
  }
  managed_ = true;
  entry->message = std::move(m);
  entry->slow = how.slow;
  entry->urgency = static_cast<uint8_t>(how.urgency);
  entry->ours = ours;
  const uint64_t limit = limits().send_limit;
  const uint64_t queued = engine_.buffered();
  dropped_ += backlog_->push(entry, queued < limit ? limit - queued : 0);
  return finish_wait(pressed, flags);
}

// As finish(), for a message that waits.
Error Conn::finish_wait(bool pressed_before, uint32_t flags) {
  output_queued(flags);
  if (above_high() && !blocked_) write_out();
  if (above_high()) {
    engine_.press_again();
    if (blocked_ && !pumping_) wait_for_room();
    return Error(WS_BACKPRESSURE);
  }
  if (!pressed_before) engine_.forget_pressure();
  return Error();
}

// It does not fit.
Error Conn::too_slow(size_t len, ws_slow slow) {
  if (!could_fit(len)) return fail(WS_ERR_FULL, "%zu bytes can never fit send_limit_bytes", len);
  switch (slow) {
    case WS_SLOW_CLOSE: {
      // Not the application's wish: a client may connect again.
      const bool asked = asked_to_close_;
      if (Error e = close(1013, "too slow")) return e;
      asked_to_close_ = asked;
      return fail(WS_ERR_CLOSED, "send: the receiver is too slow, the connection is closed");
    }
    case WS_SLOW_DROP_NEWEST:
    case WS_SLOW_DROP_OLDEST:
    case WS_SLOW_LATEST:
      ++dropped_;
      engine_.press_again();
      return Error(WS_DROPPED);
    default:
      return fail(WS_ERR_FULL, "%llu bytes queued, %zu more would pass send_limit_bytes",
                  static_cast<unsigned long long>(unwritten()), len);
  }
}

void Conn::try_writing() {
  if (blocked_) return;
  write_out();
  if (!pumping_) wait_for_room();
}

// Moves something to the engine if that is short.  True: it can be written.
bool Conn::feed() {
  if (!engine_.is_open()) {
    drop_waiting();
    return false;
  }
  const size_t before = engine_.buffered();
  if (before > limits().send_low) return false;
  const Error e = move_waiting(limits().send_high, limits().fragment);
  // With output left there is another chance when that has gone.
  if (e && !engine_.has_output() && !blocked_) {
    engine_.abort(e.code(), 0, "a message that waited could not be queued");
    drop_waiting();
    tell_later();
  }
  return engine_.buffered() != before && !blocked_;
}

// As many as bring the queue to `most` bytes, in frames of at most `fragment`.  Whether on_drain is
// due is not decided here: the application was told of pressure when it sent them.
Error Conn::move_waiting(uint64_t most, uint64_t fragment) {
  const bool pressed = engine_.pressed_or_drained();
  engine_.set_bounded(false);
  Error e;
  while (!e && engine_.buffered() < most) {
    Backlog::Entry* next = backlog_->next();
    if (next == nullptr) break;
    e = move_entry(*next, fragment);
  }
  engine_.set_bounded(true);
  pressed ? engine_.press_again() : engine_.forget_pressure();
  if (backlog_->empty()) end_backlog();
  return e.failed() ? e : Error();
}

Error Conn::move_entry(Backlog::Entry& w, uint64_t fragment) {
  const Message& m = *w.message;
  const Bytes rest = m.data().subspan(w.sent);
  const bool deflates = engine_.may_deflate(m.data().size(), m.flags());
  if (w.sent == 0 && rest.size() <= fragment) {
    // A copy that nobody else sends may as well refer to the messages before it.
    const Error e = w.ours && deflates ? engine_.send(m.opcode(), rest,
                                                      m.flags() | uint32_t{WS_SEND_NO_UTF8_CHECK})
                                       : engine_.send_message(m);
    if (!e) backlog_->remove(&w);
    return e;
  }
  const bool first = w.sent == 0;
  if (first) {
    backlog_->part_flags = engine_.part_flags();
    const uint32_t plain = deflates ? 0 : uint32_t{WS_SEND_NO_DEFLATE};
    if (Error e = engine_.begin_parts(m.flags() | WS_SEND_NO_UTF8_CHECK | plain)) return e;
  }
  const size_t n = rest.size() > fragment ? static_cast<size_t>(fragment) : rest.size();
  const bool last = n == rest.size();
  Error e = engine_.send_part(m.opcode(), rest.first(n), last);
  if (!e) {
    if (first) backlog_->begin(&w);
    backlog_->sent(&w, n);
  }
  // The flags that the application has given are for the next message that it begins.
  if (e ? first : last) (void)engine_.begin_parts(backlog_->part_flags).failed();
  if (!e && last) backlog_->remove(&w);
  return e;
}

Error Conn::move_all() {
  if (backlog_ == nullptr || !engine_.is_open()) return Error();
  return move_waiting(UINT64_MAX, UINT64_MAX);
}

void Conn::drop_waiting() {
  if (backlog_ == nullptr) return;
  dropped_ += backlog_->count();
  end_backlog();
}

void Conn::end_backlog() {
  delete std::exchange(backlog_, nullptr);
  managed_ = sorts_ || managed_by_policy();
}

}  // namespace libws
