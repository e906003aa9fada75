// Receiving: bytes to frames to messages.  A whole unfragmented message in the buffer is
// unmasked, checked and reported where it lies; everything else goes through Partial.
#include "libws/protocol/engine_partial.hpp"
#include "libws/protocol/mask.hpp"
#include "libws/protocol/utf8_unmask.hpp"

#include <cassert>
#include <new>

namespace libws {
namespace {

// Memory taken before the bytes that justify it have arrived: an announced length alone buys no
// more than this (bad_inputs 82).
constexpr size_t kFirstAssembly = 64 * 1024;

// Messages of this size are worth asking for a room; and so much must have arrived, for that too
// is memory.  What came before the answer is copied, a microsecond.
constexpr size_t kRoomFrom = 16 * 1024;

constexpr const char* kTextCutShort = "text ends inside a code point";

}  // namespace

// Unmasks, checks and reports a message where it lies; `in_` is behind it already.
inline Engine::Step Engine::deliver_whole(uint8_t opcode, uint8_t* data, size_t len, uint32_t key,
                                          Event& ev) {
  if (opcode == kText && (limits_->flags & WS_CONN_NO_UTF8_CHECK) == 0) {
    Utf8Validator utf8;
    size_t good = expects_mask() ? unmask_validate(data, len, key, utf8) : utf8.validate(data, len);
    if (good != len) return fail_connection(1007, WS_ERR_UTF8, kNotUtf8);
    if (!utf8.complete()) return fail_connection(1007, WS_ERR_UTF8, kTextCutShort);
  } else if (expects_mask()) {
    mask_in_place(data, len, key);
  }
  ++messages_in_;
  ev = {WS_EV_MESSAGE, static_cast<ws_opcode>(opcode), WS_PART_FIRST | WS_PART_LAST, data, len};
  return Step::kEvent;
}

// The steady path: a whole, unfragmented message of at most 65535 bytes lies in the buffer and
// nothing unfinished before it.  kAgain: it is something else, bad input included, and was not
// touched.
inline Engine::Step Engine::receive_whole(Event& ev) {
  size_t n = static_cast<size_t>(in_end_ - in_);
  if (n < 4 || dropping()) return Step::kAgain;
  uint8_t opcode = in_[0] ^ kFinBit;  // anything but FIN and an opcode shows as a large number
  if (opcode != kText && opcode != kBinary) return Step::kAgain;
  size_t len = in_[1] ^ (expects_mask() ? kMaskBit : 0u);  // and here a wrong mask bit
  size_t header = expects_mask() ? 6 : 2;
  if (len > 125) {
    if (len != 126) return Step::kAgain;
    len = load_be16(in_ + 2);
    if (len <= 125) return Step::kAgain;
    header += 2;
  }
  if (n < header || n - header < len || len > limits_->max_message) return Step::kAgain;
  uint8_t* data = in_ + header;
  uint32_t key = 0;
  if (expects_mask()) std::memcpy(&key, data - 4, 4);
  in_ = data + len;
  return deliver_whole(opcode, data, len, key, ev);
}

bool Engine::receive(Event& ev) {
  Step step = Step::kAgain;
  if (partial_ == nullptr) {
    step = receive_whole(ev);
  } else {
    release_delivered();
  }
  while (step == Step::kAgain) step = receive_step(ev);
  return step == Step::kEvent;
}

Engine::Step Engine::receive_step(Event& ev) {
  size_t n = static_cast<size_t>(in_end_ - in_);
  if (partial_ != nullptr) {
    if (partial_->in_frame) return receive_payload(ev);
    if (partial_->stash_len != 0) return n == 0 ? Step::kMore : receive_stash(ev);
  }
  if (n == 0) return Step::kMore;
  if (n < 2) return stash_input(n);

  const char* why = check_frame_start(in_[0], in_[1], expects_mask(), deflate_.on);
  if (why == nullptr) why = check_sequence(in_[0]);
  if (why != nullptr) return fail_connection(1002, WS_ERR_PROTOCOL, why);
  FrameHeader h;
  switch (decode_frame(in_, n, expects_mask(), deflate_.on, message_room(in_[0]), &h, &why)) {
    case FrameStatus::kOk: break;
    case FrameStatus::kNeedMore: return stash_input(n);
    case FrameStatus::kBad: return fail_connection(1002, WS_ERR_PROTOCOL, why);
    case FrameStatus::kTooBig: return fail_connection(1009, WS_ERR_TOO_BIG, kMessageTooLong);
  }
  if (is_control(h.opcode)) {
    if (n < h.size + h.length) return stash_input(n);
    uint8_t* payload = in_ + h.size;
    size_t len = static_cast<size_t>(h.length);
    in_ = payload + len;
    if (expects_mask()) mask_in_place(payload, len, h.key);
    return handle_control(h.opcode, payload, len, ev);
  }
  in_ += h.size;
  return begin_frame(h, ev);
}

// The header was cut: collect the rest of it, byte for byte what is missing and no more.
Engine::Step Engine::receive_stash(Event& ev) {
  Partial& p = *partial_;
  FrameHeader h;
  for (;;) {
    const char* why = nullptr;
    if (p.stash_len >= 2) {
      why = check_frame_start(p.stash[0], p.stash[1], expects_mask(), deflate_.on);
      if (why == nullptr) why = check_sequence(p.stash[0]);
      if (why != nullptr) return fail_connection(1002, WS_ERR_PROTOCOL, why);
    }
    FrameStatus status = decode_frame(p.stash, p.stash_len, expects_mask(), deflate_.on,
                                      message_room(p.stash[0]), &h, &why);
    if (status == FrameStatus::kBad) return fail_connection(1002, WS_ERR_PROTOCOL, why);
    if (status == FrameStatus::kTooBig) {
      return fail_connection(1009, WS_ERR_TOO_BIG, kMessageTooLong);
    }
    if (status == FrameStatus::kOk && (!is_control(h.opcode) || p.stash_len == h.size + h.length)) {
      break;
    }
    if (in_ == in_end_) return Step::kMore;
    p.stash[p.stash_len++] = *in_++;
  }
  p.stash_len = 0;
  if (!is_control(h.opcode)) return begin_frame(h, ev);
  size_t len = static_cast<size_t>(h.length);
  if (expects_mask()) mask_in_place(p.stash + h.size, len, h.key);
  return handle_control(h.opcode, p.stash + h.size, len, ev);
}

Engine::Step Engine::stash_input(size_t n) {
  if (!ensure_partial()) return Step::kMore;
  assert(partial_->stash_len == 0 && n <= sizeof partial_->stash);
  copy_bytes(partial_->stash, in_, n);
  partial_->stash_len = static_cast<uint8_t>(n);
  in_ += n;
  return Step::kMore;
}

// RFC 6455 5.4: a continuation needs an open message, a new message needs none open.
const char* Engine::check_sequence(uint8_t first) const {
  uint8_t opcode = first & 0x0f;
  if (is_control(opcode)) return nullptr;
  bool open = message_is_open();
  if (opcode == kContinuation) return open ? nullptr : "continuation without a message";
  return open ? "new message inside a fragmented one" : nullptr;
}

bool Engine::message_is_open() const { return partial_ != nullptr && partial_->op != 0; }

// What was whole in the buffer has no Partial: it began and ended since chunks_ was set.
bool Engine::in_parts() const { return message_is_open() ? partial_->chunks : chunks_; }

// The one place that bounds the frames of a message, before they have come; `first` is the first
// byte of the next one.  After our Close nothing is stored, so nothing is bounded.
uint64_t Engine::message_room(uint8_t first) const {
  if (dropping()) return UINT64_MAX;
  if (message_is_open()) return room_after(partial_->message_bytes, partial_->compressed);
  return room_after(0, (first & kRsv1Bit) != 0);
}

uint64_t Engine::room_after(uint64_t used, bool compressed) const {
  uint64_t limit = limits_->max_message;
  if (compressed) {
    // What does not compress grows, by up to 11 bytes for each piece that its sender flushes (RFC
    // 7692 leaves that to the sender).  No memory is taken for it, and what is inside is bounded by
    // take_inflated().
    const uint64_t slack = limit + 64;
    limit = limit < UINT64_MAX - slack ? limit + slack : UINT64_MAX;
  }
  return limit - used;
}

// `in_` is behind the header now.
Engine::Step Engine::begin_frame(const FrameHeader& h, Event& ev) {
  size_t available = static_cast<size_t>(in_end_ - in_);
  bool open = message_is_open();
  if (!open && h.fin && !h.rsv1 && h.length <= available && !dropping()) {
    uint8_t* data = in_;
    in_ += h.length;
    return deliver_whole(h.opcode, data, static_cast<size_t>(h.length), h.key, ev);
  }

  if (!ensure_partial()) return Step::kMore;
  Partial& p = *partial_;
  if (!open) {
    p.op = h.opcode;
    p.fragments = 0;
    p.message_bytes = 0;
    p.first_given = false;
    p.utf8.reset();
    p.compressed = h.rsv1;
    p.chunks = chunks_;
    p.more_output = false;
    p.room_due = rooms_ && h.fin && !h.rsv1 && !chunks_ && h.length >= kRoomFrom &&
                 h.length == static_cast<size_t>(h.length);
    if (h.rsv1 && !dropping() && !begin_inflating()) return Step::kMore;
  }
  if (!dropping() && ++p.fragments > limits_->max_fragments && limits_->max_fragments != WS_NEVER) {
    return fail_connection(1008, WS_ERR_TOO_BIG, "message in more frames than max_fragments");
  }
  p.message_bytes += h.length;
  p.in_frame = true;
  p.fin = h.fin;
  p.key = h.key;
  p.frame_left = h.length;
  return Step::kAgain;
}

Engine::Step Engine::receive_payload(Event& ev) {
  Partial& p = *partial_;
  size_t available = static_cast<size_t>(in_end_ - in_);
  size_t n = p.frame_left < available ? static_cast<size_t>(p.frame_left) : available;
  if (n == 0 && p.frame_left != 0 && !p.compressed) return Step::kMore;
  if (dropping()) {
    if (n == 0 && p.frame_left != 0) return Step::kMore;
    in_ += n;
    p.frame_left -= n;
    if (p.frame_left == 0) {
      p.in_frame = false;
      if (p.fin) p.op = 0;
    }
    return Step::kAgain;
  }
  if (p.compressed) return receive_compressed(ev);
  if (p.chunks) return receive_chunk(ev, n);

  if (n != 0) {
    if (p.room_due && p.taken() + n >= kRoomFrom) {
      p.room_due = false;
      ev = {kEvRoom, static_cast<ws_opcode>(p.op), 0, nullptr,
            static_cast<size_t>(p.message_bytes)};
      return Step::kEvent;
    }
    uint8_t* to = place_for(n);
    if (to == nullptr) {
      return fail_connection(1011, WS_ERR_NOMEM, "out of memory for a message");
    }
    if (!take_text(to, in_, n, p.key)) {
      return fail_connection(1007, WS_ERR_UTF8, kNotUtf8);
    }
    if (p.room == nullptr) p.assembly->end += n;
    in_ += n;
    p.frame_left -= n;
    p.key = mask_rotate(p.key, n);
  }
  return p.frame_left == 0 ? end_frame(ev) : Step::kMore;
}

// Moves a piece of payload to its place, unmasked; `to` may be `from`.  False: not UTF-8.
bool Engine::take_text(uint8_t* to, const uint8_t* from, size_t n, uint32_t key) {
  bool check = partial_->op == kText && (limits_->flags & WS_CONN_NO_UTF8_CHECK) == 0;
  if (expects_mask()) {
    if (check) return unmask_copy_validate(to, from, n, key, partial_->utf8) == n;
    mask_copy(to, from, n, key);
    return true;
  }
  if (to != from) copy_bytes(to, from, n);
  return !check || partial_->utf8.validate(to, n) == n;
}

Engine::Step Engine::end_frame(Event& ev) {
  Partial& p = *partial_;
  p.in_frame = false;
  if (!p.fin) return Step::kAgain;
  if (p.room != nullptr) return give_message(ev, p.room, static_cast<size_t>(p.message_bytes));
  if (p.assembly == nullptr) return give_message(ev, p.stash, 0);
  return give_message(ev, p.assembly->bytes(), p.assembly->end);
}

// A message is whole.
Engine::Step Engine::give_message(Event& ev, const uint8_t* data, size_t len) {
  if (!partial_->utf8.complete()) return fail_connection(1007, WS_ERR_UTF8, kTextCutShort);
  ++messages_in_;
  partial_->delivered = true;
  ev = {WS_EV_MESSAGE, static_cast<ws_opcode>(partial_->op), WS_PART_FIRST | WS_PART_LAST, data,
        len};
  return Step::kEvent;
}

// WS_ENGINE_CHUNKS: what has arrived goes out at once and is not stored.
Engine::Step Engine::receive_chunk(Event& ev, size_t n) {
  Partial& p = *partial_;
  uint8_t* data = in_;
  if (!take_text(data, data, n, p.key)) {
    return fail_connection(1007, WS_ERR_UTF8, kNotUtf8);
  }
  in_ += n;
  p.frame_left -= n;
  p.key = mask_rotate(p.key, n);
  bool last = false;
  if (p.frame_left == 0) {
    p.in_frame = false;
    last = p.fin;
  }
  if (n == 0 && !last) return Step::kAgain;  // an empty fragment tells nothing
  return give_chunk(ev, data, n, last);
}

Engine::Step Engine::give_chunk(Event& ev, const uint8_t* data, size_t len, bool last) {
  Partial& p = *partial_;
  if (last && !p.utf8.complete()) {
    return fail_connection(1007, WS_ERR_UTF8, kTextCutShort);
  }
  uint32_t flags = 0;
  if (!p.first_given) flags |= WS_PART_FIRST;
  if (last) flags |= WS_PART_LAST;
  p.first_given = true;
  ev = {WS_EV_MESSAGE, static_cast<ws_opcode>(p.op), flags, data, len};
  if (last) {
    ++messages_in_;
    p.delivered = true;
  }
  return Step::kEvent;
}

// The owner's callback may have ended everything meanwhile: then the memory is not ours to write.
void Engine::give_room(uint8_t* room) {
  if (room == nullptr || dropping()) return;
  Partial& p = *partial_;
  if (p.assembly != nullptr) {
    assert(p.assembly->end == p.taken());
    copy_bytes(room, p.assembly->bytes(), p.assembly->end);
    shared_.blocks.give(p.assembly);
    p.assembly = nullptr;
  }
  p.room = room;
}

// Where the next n bytes go.  Null: out of memory.
uint8_t* Engine::place_for(size_t n) {
  Partial& p = *partial_;
  if (p.room != nullptr) return p.room + p.taken();
  return grow_assembly(n) ? p.assembly->tail() : nullptr;
}

// Room for n more bytes.  Steps double, so that a message costs few moves, and never pass what
// the headers have announced.
bool Engine::grow_assembly(size_t n) {
  Partial& p = *partial_;
  uint64_t announced = p.message_bytes;
  if (p.assembly == nullptr) {
    uint64_t first = announced < kFirstAssembly ? announced : kFirstAssembly;
    if (first < n) first = n;
    p.assembly = shared_.blocks.take(static_cast<size_t>(first));
    return p.assembly != nullptr;
  }
  size_t need = p.assembly->end + n;
  if (need <= p.assembly->capacity) return true;
  size_t doubled = p.assembly->capacity * 2;
  size_t want = doubled < announced ? doubled : static_cast<size_t>(announced);
  return BlockPool::grow(p.assembly, want > need ? want : need);
}

std::span<uint8_t> Engine::landing() {
  if (partial_ == nullptr || !partial_->in_frame || state_ != State::kOpen || partial_->chunks ||
      partial_->compressed || partial_->frame_left == 0 || in_ != in_end_) {
    return {};
  }
  Partial& p = *partial_;
  if (p.room != nullptr) return {p.room + p.taken(), static_cast<size_t>(p.frame_left)};
  // What comes before the owner is asked is little, and its block does not stay.
  if (p.assembly == nullptr || p.room_due) return {};
  // A message that will not fit in what it has grows now, while the step is still justified by
  // the bytes that have arrived.  Out of memory: the ordinary path reports it.
  if (p.assembly->capacity == p.assembly->end && !grow_assembly(1)) return {};
  size_t room = p.assembly->capacity - p.assembly->end;
  size_t len = p.frame_left < room ? static_cast<size_t>(p.frame_left) : room;
  return {p.assembly->tail(), len};
}

// The bytes are in place already: feed them to the ordinary path, which sees that source and
// destination are the same.
void Engine::landed(size_t n) {
  last_rx_us_ = shared_.now_us;
  Partial& p = *partial_;
  in_ = p.room != nullptr ? p.room + p.taken() : p.assembly->tail();
  in_end_ = in_ + n;
}

bool Engine::ensure_partial() {
  if (partial_ != nullptr) return true;
  static_assert(sizeof(Partial) <= 256 - sizeof(Block), "one small block of the pool");
  Block* b = shared_.blocks.take(sizeof(Partial));
  if (b == nullptr) {
    fail_connection(1011, WS_ERR_NOMEM, "out of memory for a frame");
    return false;
  }
  partial_ = new (b->bytes()) Partial;
  return true;
}

void Engine::drop_partial() {
  if (partial_ == nullptr) return;
  give_inflater();
  shared_.blocks.give(partial_->assembly);
  partial_->~Partial();
  shared_.blocks.give(reinterpret_cast<Block*>(partial_) - 1);
  partial_ = nullptr;
}

// The message that was reported is done with.  A header that follows it in the stash stays.
void Engine::release_delivered() {
  Partial& p = *partial_;
  if (p.delivered) {
    shared_.blocks.give(p.assembly);
    p.assembly = nullptr;
    p.room = nullptr;
    p.kept = Ref<Message>();
    p.delivered = false;
    p.compressed = false;
    p.op = 0;
    p.message_bytes = 0;
  }
  if (p.op == 0 && p.stash_len == 0 && !p.in_frame) drop_partial();
}

Ref<Message> Engine::keep(const Event& ev) {
  if (partial_ != nullptr && partial_->delivered && !partial_->chunks) {
    Partial& p = *partial_;
    if (p.kept) return p.kept;
    if (p.assembly != nullptr) {
      p.kept = Message::adopt(ev.op, p.assembly);
      if (p.kept) p.assembly = nullptr;
      return p.kept;
    }
  }
  Ref<Message> copy;
  if (Message::copy(ev.op, {ev.data, ev.len}, &copy)) return Ref<Message>();
  return copy;
}

}  // namespace libws
