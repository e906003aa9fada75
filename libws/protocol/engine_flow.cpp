// How much the peer may send in a second, and how long it may stay.  What may
// close the connection is judged message by message, when one is about to be told or is found among
// what is held back, so that it does not matter how its bytes were cut; a rate that delays looks at
// the bytes as they are read.
#include "libws/protocol/engine_flow.hpp"

namespace libws {
namespace {

// Reading goes on with this much room at least, or an eighth of a second's worth: a byte at a time
// would cost a turn of the loop each.
constexpr uint64_t kReadQuantum = 16 * 1024;

uint64_t read_quantum(uint64_t rate) {
  const uint64_t part = rate / 8 != 0 ? rate / 8 : 1;
  return part < kReadQuantum ? part : kReadQuantum;
}

}  // namespace

void Engine::start_flow() {
  Flow& f = *flow_;
  if (limits_->max_message_rate != WS_NEVER) {
    f.messages.start(limits_->max_message_rate, shared_.now_us);
  }
  if (limits_->max_byte_rate != WS_UNLIMITED) f.bytes.start(limits_->max_byte_rate, shared_.now_us);
  f.fed = static_cast<uint64_t>(in_end_ - in_);  // what came with the handshake
  if (limits_->lifetime_us != kNeverUs) f.ends_us = shared_.now_us + limits_->lifetime_us;
}

bool Engine::messages_late() const { return flow_->messages_from_us != 0; }

bool Engine::reading_late() const { return flow_->reading_from_us != 0; }

uint64_t Engine::flow_deadline_us() const {
  const Flow& f = *flow_;
  uint64_t deadline = f.ends_us;
  if (messages_late() && f.messages_from_us < deadline) deadline = f.messages_from_us;
  if (reading_late() && f.reading_from_us < deadline) deadline = f.reading_from_us;
  return deadline;
}

void Engine::tick_flow() {
  Flow& f = *flow_;
  if (shared_.now_us >= f.ends_us) {
    f.ends_us = kNeverUs;
    if (close(1001, "lifetime").failed()) abort(WS_ERR_NOMEM, 0, "out of memory for a Close");
    return;
  }
  if (shared_.now_us >= f.messages_from_us) f.messages_from_us = 0;
  if (reading_late() && shared_.now_us >= f.reading_from_us) {
    f.reading_from_us = 0;
    last_rx_us_ = shared_.now_us;  // the silence was ours
  }
}

void Engine::charge_flow(size_t n) {
  if (state_ != State::kOpen || open_pending_ || limits_->max_byte_rate == WS_UNLIMITED) return;
  Flow& f = *flow_;
  if (limits_->over_rate == WS_RATE_CLOSE) {
    f.fed += n;
    return;
  }
  f.bytes.refill(shared_.now_us);
  f.bytes.take(n);
  const uint64_t quantum = read_quantum(f.bytes.rate());
  if (f.bytes.room() < quantum) f.reading_from_us = f.bytes.ready_us(quantum);
}

size_t Engine::read_room(size_t n) const {
  if (flow_ == nullptr || state_ != State::kOpen || limits_->max_byte_rate == WS_UNLIMITED ||
      limits_->over_rate == WS_RATE_CLOSE) {
    return n;
  }
  TokenBucket bytes = flow_->bytes;
  bytes.refill(shared_.now_us);
  const uint64_t room = bytes.room() != 0 ? bytes.room() : 1;
  return room < n ? static_cast<size_t>(room) : n;
}

bool Engine::next_metered(Event& ev) {
  end_hold();
  if (flow_ == nullptr) return next(ev);
  if (messages_late() && state_ == State::kOpen) {
    hold_input();
    return state_ != State::kOpen && next(ev);  // out of memory: that is an event
  }
  if (!next(ev)) return false;
  return ev.type == WS_EV_MESSAGE ? meter(ev) : true;
}

// Whether one more message is too many; else it is counted.
const char* Engine::over_rate() {
  Flow& f = *flow_;
  if (limits_->max_byte_rate != WS_UNLIMITED) {
    f.bytes.refill(shared_.now_us);
    if (f.bytes.room() == 0) return "more bytes a second than max_byte_rate";
  }
  if (limits_->max_message_rate != WS_NEVER) {
    f.messages.refill(shared_.now_us);
    if (f.messages.room() == 0) return "more messages a second than max_message_rate";
    f.messages.take(1);
  }
  return nullptr;
}

// The bytes before `at` count from now on.
void Engine::charge_until(const uint8_t* at) {
  Flow& f = *flow_;
  if (limits_->max_byte_rate == WS_UNLIMITED) return;
  const uint64_t used = f.fed - static_cast<uint64_t>(in_end_ - at);
  if (used <= f.charged) return;
  f.bytes.refill(shared_.now_us);
  f.bytes.take(used - f.charged);
  f.charged = used;
}

// A message, or a chunk of one, that is about to be told.
bool Engine::meter(Event& ev) {
  Flow& f = *flow_;
  const bool first = (ev.flags & WS_PART_FIRST) != 0;
  if (limits_->over_rate != WS_RATE_CLOSE) {
    if (!first || limits_->max_message_rate == WS_NEVER) return true;
    f.messages.refill(shared_.now_us);
    f.messages.take(1);
    if (f.messages.room() == 0) f.messages_from_us = f.messages.ready_us(1);
    return true;
  }
  const char* why = nullptr;
  if (first && f.judged != 0) {
    --f.judged;
  } else if (first) {
    why = over_rate();
  }
  charge_until(in_);
  if (why == nullptr) return true;
  if ((ev.flags & WS_PART_LAST) != 0) --messages_in_;  // it is not told
  fail_connection(1008, WS_ERR_TOO_BIG, why);
  return next(ev);
}

// A message is held back whose frame begins at `at`.  When it comes is what counts, and not when
// the owner takes it.  False: it was too many, the connection has failed.
bool Engine::meter_held(const uint8_t* at) {
  if (flow_ == nullptr || limits_->over_rate != WS_RATE_CLOSE) return true;
  charge_until(at);
  if (const char* why = over_rate()) {
    fail_connection(1008, WS_ERR_TOO_BIG, why);
    return false;
  }
  ++flow_->judged;
  return true;
}

// The same for one that had begun before: it is the first of those that wait, so it was judged if
// any was.
void Engine::meter_begun() {
  if (flow_ == nullptr || flow_->judged != 0 || limits_->over_rate != WS_RATE_CLOSE) return;
  flow_->messages.take(1);
  flow_->judged = 1;
}

// A token bucket in six bytes: only the time at which it will be full again is kept, in 2^-16 ms
// and 2^48 of them.  Full is one second away at most, so a time that seems further away has passed.
bool Engine::control_may_come() {
  if (limits_->max_control_rate == WS_NEVER) return true;
  constexpr uint64_t kMask = (uint64_t{1} << 48) - 1;
  const uint64_t each = (uint64_t{1000} << 16) / limits_->max_control_rate;
  const uint64_t burst = each * limits_->max_control_rate;
  const uint64_t now =
      (((shared_.now_us / 1000) << 16) + ((shared_.now_us % 1000) << 16) / 1000) & kMask;
  uint64_t ahead = (((uint64_t{control_ms_} << 16) | control_frac_) - now) & kMask;
  if (ahead > burst) ahead = 0;
  if (ahead + each > burst) return false;
  const uint64_t full = (now + ahead + each) & kMask;
  control_ms_ = static_cast<uint32_t>(full >> 16);
  control_frac_ = static_cast<uint16_t>(full & 0xffff);
  return true;
}

}  // namespace libws
