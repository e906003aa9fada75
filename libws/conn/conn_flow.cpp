// The receive side under control: pause, credit and rates, the paths of a connection that has any
// of them.  While messages are held back, reading goes on as far as read_ahead_bytes, and only
// control frames are told.
#include "libws/conn/conn.hpp"

namespace libws {

// No message may be told now.
bool Conn::holding() const {
  if (!gated_ || !opened_ || !engine_.is_open()) return false;
  if ((gate_ & kPaused) != 0 || ((gate_ & kCredit) != 0 && credit_ == 0)) return true;
  return engine_.messages_wait();
}

// The end of the stream was read and may not be told yet: in a pause, or behind messages.
bool Conn::end_waits() const {
  return end_seen_ && ((gate_ & kPaused) != 0 || engine_.input_pending());
}

// Keepalive stands still where nothing is read because of us.
void Conn::tell_hold() {
  if (!gated_) return;
  const bool held = holding();
  const bool full = engine_.ahead_room() == 0 || end_waits();
  engine_.set_held(held, held && full);
}

void Conn::hold_ended() {
  engine_.end_hold();
  engine_.set_held(false, false);
}

Error Conn::pause() {
  if (Error e = enter("pause")) return e;
  if (!engine_.is_open()) return Error();  // closing: the peer's Close must be read
  set_gate(gate_ | kPaused);
  if (!pumping_) watch_what_is_wanted();
  return Error();
}

Error Conn::resume() {
  if (Error e = enter("resume")) return e;
  if ((gate_ & kPaused) == 0) return Error();
  set_gate(gate_ & ~unsigned{kPaused});
  if (!holding()) hold_ended();
  tell_later();  // held input first, then the socket
  return Error();
}

Error Conn::demand(uint32_t n) {
  if (Error e = enter("demand")) return e;
  if (!engine_.is_open()) return Error();
  const bool held = holding();
  if (n == WS_NEVER) {
    set_gate(gate_ & ~unsigned{kCredit});
    credit_ = 0;
  } else {
    set_gate(gate_ | kCredit);
    const uint32_t room = WS_NEVER - 1 - credit_;
    credit_ += n < room ? n : room;
  }
  if (holding()) {
    if (!pumping_) watch_what_is_wanted();
  } else if (held) {
    hold_ended();
    if (!pumping_) tell_later();
  }
  return Error();
}

// The end of pump_events() where there is a gate.
void Conn::pump_gated(int budget) {
  Event ev;
  for (;;) {
    if (--budget <= 0) {
      if (engine_.hold_input()) tell_later();
      return;
    }
    if (holding()) {
      if (!engine_.next_control(ev, (gate_ & kPaused) == 0)) return;
    } else {
      if (!engine_.next_metered(ev)) return;
      const bool whole = ev.type == WS_EV_MESSAGE && (ev.flags & WS_PART_LAST) != 0;
      if (whole && credit_ != 0) --credit_;
    }
    dispatch(ev);
  }
}

// read_in() where there is a gate.
void Conn::read_gated() {
  const bool held = holding();
  size_t room = loop().read_bytes();
  if (held) {
    const size_t ahead = engine_.ahead_room();
    if (ahead < room) room = ahead;
  } else if (limits().max_byte_rate == WS_UNLIMITED) {
    std::span<uint8_t> landing = engine_.landing();
    if (!landing.empty()) return read_landing(landing);
  }
  room = engine_.read_room(room);
  uint8_t* buffer = loop().read_buffer();
  const IoResult r = transport_.read(buffer, room);
  if (r.status == IoResult::kEof && held) {
    // Read again, to the same effect, when its turn comes.
    end_seen_ = true;
    if (end_waits()) return;
  }
  if (r.status != IoResult::kOk) return take_read(r);
  bytes_in_ += r.bytes;
  if (shared_->tracer != nullptr) shared_->tracer->passed(id_, false, {buffer, r.bytes});
  engine_.charge(r.bytes);
  engine_.feed_behind(buffer, r.bytes);
  pump();
}

}  // namespace libws
