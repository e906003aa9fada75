// The frame of the state machine: construction, time, end of input, what the owner shall wait for.
#include "libws/protocol/engine.hpp"

#include "libws/protocol/engine_contexts.hpp"
#include "libws/protocol/engine_flow.hpp"
#include "libws/protocol/engine_opening.hpp"
#include "libws/protocol/engine_partial.hpp"

#include <new>

namespace libws {

Engine::Engine(Role role, const Limits& limits, EngineResources& shared, bool chunks)
    : limits_(&limits),
      shared_(shared),
      opening_(new Opening(
          role == Role::kServer ? HeadParser::Kind::kRequest : HeadParser::Kind::kResponse,
          limits)),
      role_(role),
      chunks_(chunks) {
  if (!limits.has_rates() && limits.lifetime_us == kNeverUs) return;
  flow_ = new (std::nothrow) Flow;
  if (flow_ != nullptr) return;
  delete opening_;  // no destructor runs for what is not whole
  throw std::bad_alloc();
}

Engine::~Engine() {
  if (Request* r = request()) r->detach();
  release_buffers();
  release(protocol_);
  delete opening_;
  delete flow_;
}

void Engine::release_buffers() {
  drop_partial();
  drop_contexts();
  drop_held();
  outbox_.clear(shared_.blocks);
}

size_t Engine::held_apart_from_output() const {
  size_t held = held_ != nullptr ? sizeof(Block) + held_->capacity : 0;
  if (partial_ != nullptr) {
    held += sizeof(Block) + sizeof(Partial);
    const Block* assembly = partial_->assembly;
    if (assembly != nullptr) held += sizeof(Block) + assembly->capacity;
  }
  if (opening_ == nullptr) return held;
  held += opening_->parser.bytes_held() + opening_->body.capacity();
  if (opening_->request) held += opening_->request->head().bytes_held();
  return held;
}

Request* Engine::request() const { return opening_ != nullptr ? opening_->request.get() : nullptr; }

void Engine::feed(uint8_t* data, size_t len) {
  last_rx_us_ = shared_.now_us;
  in_ = data;
  in_end_ = data + len;
}

Error Engine::feed_copy(Bytes data) {
  Block* b = shared_.blocks.take(data.size());
  if (b == nullptr) return fail(WS_ERR_NOMEM, "feed of %zu bytes", data.size());
  std::memcpy(b->bytes(), data.data(), data.size());
  drop_held();
  held_ = b;
  feed(b->bytes(), data.size());
  return Error();
}

bool Engine::next_slow(Event& ev) {
  for (;;) {
    if (open_pending_) {
      open_pending_ = false;
      if (role_ == Role::kServer) leave_opening();
      control_ms_ = static_cast<uint32_t>(shared_.now_us / 1000);
      if (flow_ != nullptr) start_flow();
      ev = {WS_EV_OPEN, WS_OP_TEXT, 0, nullptr, 0};
      return true;
    }
    if (closed_pending_) return give_closed(ev);
    State before = state_;
    switch (state_) {
      case State::kOpening:
      case State::kRefused:
        if (open_step(ev)) return true;
        break;
      case State::kOpen:
      case State::kClosing:
        if (receive(ev)) return true;
        break;
      case State::kAnswering: break;
      case State::kDrain:
      case State::kDone:
        lingered_ += static_cast<uint32_t>(in_end_ - in_);
        in_ = in_end_;
        break;
    }
    if (state_ != before || open_pending_ || closed_pending_) continue;
    finish_input();
    if (yielded()) return false;
    if (!eof_ || state_ == State::kDone) return false;
    take_eof();
    if (!closed_pending_) return false;
  }
}

// The input was looked at, or belongs to a time after the answer; either way the buffer it came
// from is the caller's again.
void Engine::finish_input() { hold_input(); }

bool Engine::hold_input() {
  // A block that is used up must not stand for the owner's buffer, which is fed from next.
  if (in_ == in_end_) drop_held();
  if (in_ == in_end_ || held_ != nullptr) return true;
  size_t n = static_cast<size_t>(in_end_ - in_);
  Block* b = shared_.blocks.take(n);
  if (b == nullptr) {
    in_ = in_end_ = nullptr;
    abort(WS_ERR_NOMEM, 0, "out of memory for input that waits");
    return false;
  }
  std::memcpy(b->bytes(), in_, n);
  held_ = b;
  in_ = b->bytes();
  in_end_ = in_ + n;
  return true;
}

void Engine::take_eof() {
  switch (state_) {
    case State::kDrain:
      if (outbox_.empty()) state_ = State::kDone;
      return;
    case State::kRefused: return end(State::kDone, error_, detail_);
    case State::kOpening:
    case State::kAnswering:
      return end(State::kDone, WS_ERR_EOF, "the peer went away during the handshake");
    default:
      if (sent_code_ == 0) close_flags_ |= WS_CLOSE_BY_PEER;
      outbox_.clear(shared_.blocks);
      return end(State::kDone, WS_ERR_EOF, "the peer went away without a Close frame");
  }
}

uint32_t Engine::want() const {
  const uint32_t write = outbox_.empty() ? 0u : uint32_t{WS_WANT_WRITE};
  switch (state_) {
    case State::kOpen:
      if (reading_waits() || (messages_wait() && !held_back_)) return write;
      return WS_WANT_READ | write;
    case State::kOpening:
    case State::kRefused:
    case State::kClosing: return WS_WANT_READ | write;
    // Reading goes on until there is something to hold, so that a peer that leaves is noticed.
    case State::kAnswering: return held_ == nullptr ? WS_WANT_READ | write : write;
    case State::kDone: return WS_WANT_CLOSE;
    case State::kDrain: break;
  }
  if (write != 0) return eof_ ? write : WS_WANT_READ | write;
  if (eof_ || (http_drain_ && lingered_ > kLingerBytes)) return WS_WANT_CLOSE;
  // RFC 6455 7.1.1: after a clean close the server closes the transport first.
  bool peer_first = role_ == Role::kClient && error_ == WS_OK;
  return peer_first ? uint32_t{WS_WANT_READ} : WS_WANT_READ | WS_WANT_EOF;
}

void Engine::set_phase_deadline(uint64_t after_us) {
  phase_deadline_us_ = after_us == kNeverUs ? kNeverUs : shared_.now_us + after_us;
}

uint64_t Engine::deadline_us() const {
  if (state_ == State::kDone) return kNeverUs;
  if (!started_) return shared_.now_us;
  uint64_t stalled = kNeverUs;
  if (stalled_us_ != 0 && limits_->send_us != kNeverUs) stalled = stalled_us_ + limits_->send_us;
  if (state_ == State::kDrain && stalled < phase_deadline_us_) return stalled;
  if (state_ != State::kOpen) return phase_deadline_us_;
  uint64_t deadline = keepalive_deadline_us();
  const uint64_t unused = deflater_deadline_us();
  if (unused < deadline) deadline = unused;
  const uint64_t flow = flow_ != nullptr ? flow_deadline_us() : kNeverUs;
  return flow < deadline ? flow : deadline;
}

// While open: the peer's silence, and what it does not take.
uint64_t Engine::keepalive_deadline_us() const {
  uint64_t stalled = kNeverUs;
  if (stalled_us_ != 0 && limits_->send_us != kNeverUs) stalled = stalled_us_ + limits_->send_us;
  if (suspended_ || reading_waits()) return stalled;
  uint64_t deadline = limits_->idle_us == kNeverUs ? kNeverUs : last_rx_us_ + limits_->idle_us;
  if (limits_->ping_us != kNeverUs) {
    uint64_t quiet_since = ping_at_us_ > last_rx_us_ ? ping_at_us_ : last_rx_us_;
    if (quiet_since + limits_->ping_us < deadline) deadline = quiet_since + limits_->ping_us;
  }
  return stalled < deadline ? stalled : deadline;
}

void Engine::tick() {
  if (!started_) {
    started_ = true;
    last_rx_us_ = shared_.now_us;
    if (state_ == State::kOpening) set_phase_deadline(limits_->handshake_us);
    return;
  }
  if (shared_.now_us < deadline_us()) return;
  switch (state_) {
    case State::kOpening:
      // Whoever sent nothing gets nothing (bad_inputs 49, 50).
      if (role_ == Role::kServer && opening_->parser.started()) {
        return refuse(408, "the request did not arrive in time");
      }
      return abort(WS_ERR_TIMEOUT, 0, "handshake timeout");
    case State::kAnswering: return refuse(503, "no answer in time");
    case State::kRefused: return end(State::kDone, error_, detail_);
    case State::kOpen:
      if (flow_ != nullptr) tick_flow();
      if (state_ != State::kOpen) return;
      if (shared_.now_us >= deflater_deadline_us()) free_deflater();
      if (shared_.now_us >= keepalive_deadline_us()) keepalive();
      return;
    case State::kClosing: return abort(WS_ERR_TIMEOUT, 0, "the peer did not answer our Close");
    case State::kDrain: return abort(0, 0, "");
    case State::kDone: return;
  }
}

void Engine::began_at(uint64_t us) {
  started_ = true;
  last_rx_us_ = shared_.now_us;
  phase_deadline_us_ = limits_->handshake_us == kNeverUs ? kNeverUs : us + limits_->handshake_us;
}

void Engine::keepalive() {
  if (stalled_us_ != 0 && limits_->send_us != kNeverUs &&
      shared_.now_us >= stalled_us_ + limits_->send_us) {
    return abort(WS_ERR_TIMEOUT, 0, "the peer took nothing within the send timeout");
  }
  // What the peer sent still waits here, and there may be more in the socket: the silence is ours.
  // Not so where messages are held back and reading goes on behind them.
  if (input_pending() && !held_back_) {
    last_rx_us_ = shared_.now_us;
    return;
  }
  if (limits_->idle_us != kNeverUs && shared_.now_us >= last_rx_us_ + limits_->idle_us) {
    return abort(WS_ERR_TIMEOUT, 0, "nothing received within the idle timeout");
  }
  // Without memory or random bytes the ping waits for the next interval; the idle timeout stands.
  if (shared_.random.take(&ping_id_, sizeof ping_id_)) {
    (void)put_frame(true, kPing, bytes(&ping_id_, sizeof ping_id_), true).failed();
  }
  ping_at_us_ = shared_.now_us;
}

void Engine::was_away() {
  if (limits_->ping_us >= limits_->idle_us || ping_at_us_ > last_rx_us_) return;
  if (shared_.now_us - last_rx_us_ > limits_->ping_us)
    last_rx_us_ = shared_.now_us - limits_->ping_us;
}

void Engine::set_held(bool held, bool suspended) {
  if (suspended_ && !suspended) last_rx_us_ = shared_.now_us;
  held_back_ = held;
  suspended_ = suspended;
}

}  // namespace libws
