// Input that the owner holds back: kept, and looked through for pings and pongs, which are handled
// and cut out.  Frames are told from each other as engine_recv.cpp does it, by their headers alone;
// where that would end the connection (a Close, a broken rule, a length above a limit) looking
// stops, and the receiver finds the same when it gets there.
#include "libws/protocol/engine_partial.hpp"

#include <cassert>
#include <new>

namespace libws {

// Stands at the front of the block, so that a connection without such input has none.
//
//   in_ ... kept, looked at ... | gap | at ... not looked at ... in_end_
//
// The gap is what was cut out since looking began; it is closed once for all that was found.
struct Engine::Look {
  uint8_t control[kMaxControlPayload];  // of the last event
  bool stopped = false;                 // `at` is where the connection ends
  bool open = false;                    // a message is, at `at`
  bool compressed = false;
  uint32_t fragments = 0;
  uint64_t message_bytes = 0;
  uint64_t skip = 0;  // payload of a data frame, from `at` on
  size_t gap = 0;
  uint8_t* at = nullptr;
};

Engine::Look& Engine::look() const {
  assert(looking_);
  return *reinterpret_cast<Look*>(held_->bytes());
}

void Engine::drop_held() {
  in_ = in_end_ = nullptr;
  shared_.blocks.give(held_);
  held_ = nullptr;
  looking_ = false;
}

// Moves the input into a block with a Look, behind the beginning of a header that was put aside:
// that frame may be one to cut out.  False: out of memory, the connection has failed.
bool Engine::begin_look() {
  Partial* p = partial_;
  const size_t put_aside = p != nullptr ? p->stash_len : 0;
  const size_t waiting = static_cast<size_t>(in_end_ - in_);
  Block* b = shared_.blocks.take(sizeof(Look) + put_aside + waiting);
  if (b == nullptr) {
    drop_held();
    abort(WS_ERR_NOMEM, 0, "out of memory for input that waits");
    return false;
  }
  Look& l = *new (b->bytes()) Look;
  uint8_t* data = b->bytes() + sizeof(Look);
  if (put_aside != 0) {
    std::memcpy(data, p->stash, put_aside);
    p->stash_len = 0;
  }
  copy_bytes(data + put_aside, in_, waiting);
  shared_.blocks.give(held_);
  held_ = b;
  looking_ = true;
  in_ = l.at = data;
  in_end_ = data + put_aside + waiting;
  if (p == nullptr || p->op == 0 || p->delivered) return true;
  l.open = !(p->in_frame && p->fin);
  l.compressed = p->compressed;
  l.fragments = p->fragments;
  l.message_bytes = p->message_bytes;
  if (p->in_frame) l.skip = p->frame_left;
  if (!p->first_given) meter_begun();
  return true;
}

void Engine::feed_behind(uint8_t* data, size_t len) {
  if (in_ == in_end_) {
    drop_held();
    return feed(data, len);
  }
  last_rx_us_ = shared_.now_us;
  if (!looking_ && !begin_look()) return;
  uint8_t* front = held_->bytes() + sizeof(Look);
  if (held_->capacity - static_cast<size_t>(in_end_ - held_->bytes()) < len) {
    // What was delivered makes room first.
    const size_t waste = static_cast<size_t>(in_ - front);
    std::memmove(front, in_, static_cast<size_t>(in_end_ - in_));
    in_ = front;
    in_end_ -= waste;
    look().at -= waste;
  }
  const size_t used = static_cast<size_t>(in_end_ - held_->bytes());
  if (held_->capacity - used < len) {
    // Steps double, and do not pass what may be read ahead.
    const size_t doubled = held_->capacity * 2;
    const uint64_t most = sizeof(Look) + limits_->read_ahead;
    const size_t want = doubled < most ? doubled : static_cast<size_t>(most);
    const size_t at = static_cast<size_t>(look().at - held_->bytes());
    held_->end = used;
    if (!BlockPool::grow(held_, want > used + len ? want : used + len)) {
      drop_held();
      return abort(WS_ERR_NOMEM, 0, "out of memory for input that waits");
    }
    in_ = held_->bytes() + sizeof(Look);
    in_end_ = held_->bytes() + used;
    look().at = held_->bytes() + at;
  }
  std::memcpy(in_end_, data, len);
  in_end_ += len;
}

size_t Engine::ahead_room() const {
  uint64_t waiting = static_cast<uint64_t>(in_end_ - in_);
  if (looking_) {
    if (look().stopped) return 0;
    waiting -= look().gap;
  }
  if (waiting >= limits_->read_ahead) return 0;
  const uint64_t room = limits_->read_ahead - waiting;
  return room < SIZE_MAX ? static_cast<size_t>(room) : SIZE_MAX;
}

bool Engine::next_control(Event& ev, bool end_too) {
  if (state_ != State::kOpen) return next(ev);
  if (in_ == in_end_) {
    drop_held();
    return end_too && eof_ && !yielded_ && next(ev);
  }
  if (looking_ && in_ > look().at) looking_ = false;  // the receiver has come further
  if (!looking_ && !begin_look()) return next(ev);
  Step step = Step::kAgain;
  while (step == Step::kAgain) step = look_step(ev);
  if (step == Step::kEvent) return true;
  if (state_ != State::kOpen) return next(ev);  // it has failed
  close_gap();
  if (in_ == in_end_) {
    drop_held();
    return end_too && eof_ && !yielded_ && next(ev);
  }
  return end_too && look().stopped && look().at == in_ && !yielded_ && next(ev);
}

// One frame, or what there is of its payload.  kMore: there is nothing more to see.
Engine::Step Engine::look_step(Event& ev) {
  Look& l = look();
  size_t n = static_cast<size_t>(in_end_ - l.at);
  if (l.skip != 0) {
    if (n > l.skip) n = static_cast<size_t>(l.skip);
    look_keep(n);
    l.skip -= n;
    return l.skip != 0 ? Step::kMore : Step::kAgain;
  }
  if (l.stopped || n < 2) return Step::kMore;
  const uint8_t opcode = l.at[0] & 0x0f;
  const bool compressed = l.open ? l.compressed : (l.at[0] & kRsv1Bit) != 0;
  const uint64_t room = room_after(l.open ? l.message_bytes : 0, compressed);
  FrameHeader h;
  const char* why = nullptr;
  const FrameStatus status = decode_frame(l.at, n, expects_mask(), deflate_.on, room, &h, &why);
  if (status == FrameStatus::kNeedMore) return Step::kMore;
  // RFC 6455 5.4: a continuation needs an open message, a new message needs none open.
  l.stopped =
      status != FrameStatus::kOk || (!is_control(opcode) && (opcode == kContinuation) != l.open);
  if (l.stopped) return Step::kMore;

  if (is_control(opcode)) {
    const size_t len = static_cast<size_t>(h.length);
    if (n < h.size + len) return Step::kMore;
    l.stopped = opcode == kClose;
    if (l.stopped) return Step::kMore;
    copy_bytes(l.control, l.at + h.size, len);
    if (expects_mask()) mask_in_place(l.control, len, h.key);
    l.at += h.size + len;
    l.gap += h.size + len;
    if (l.at - l.gap == in_) {
      in_ = l.at;
      l.gap = 0;
    }
    return handle_control(opcode, l.control, len, ev);
  }

  if (!l.open && !meter_held(l.at)) return Step::kMore;
  const uint32_t fragments = l.open ? l.fragments + 1 : 1;
  l.stopped = fragments > limits_->max_fragments && limits_->max_fragments != WS_NEVER;
  if (l.stopped) return Step::kMore;
  l.fragments = fragments;
  l.message_bytes = (l.open ? l.message_bytes : 0) + h.length;
  l.compressed = compressed;
  l.open = !h.fin;
  l.skip = h.length;
  look_keep(h.size);
  return Step::kAgain;
}

// The next `n` bytes stay; they move to where the gap begins.
void Engine::look_keep(size_t n) {
  Look& l = look();
  if (l.gap != 0) std::memmove(l.at - l.gap, l.at, n);
  l.at += n;
}

void Engine::close_gap() {
  Look& l = look();
  if (l.gap == 0) return;
  std::memmove(l.at - l.gap, l.at, static_cast<size_t>(in_end_ - l.at));
  l.at -= l.gap;
  in_end_ -= l.gap;
  l.gap = 0;
}

}  // namespace libws
