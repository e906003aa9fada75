// Sending compressed messages (RFC 7692 7.2.1), and the memory of a connection that does.
//
// A sender may begin a new context with any message; that is how everything here gets out of
// trouble: a message that does not get smaller, one that cannot be queued, a prepared message that
// was compressed for all, a compressor that was idle.
#include "libws/protocol/deflate_block.hpp"
#include "libws/protocol/engine_contexts.hpp"
#include "libws/protocol/mask.hpp"

#include <new>

namespace libws {
namespace {

// Payloads up to this are copied behind the frame before them, so that small ones leave together;
// the block they were made in is used again.
constexpr size_t kKeepBlockAbove = 4096;

// Defaults of deflate_min_bytes: where compressing begins to pay (docs/compression.md).
constexpr uint64_t kMinAlone = 256;
constexpr uint64_t kMinWithContext = 32;

// What a message may grow by when later ones can refer to it: it is their context that it pays for.
constexpr size_t kGrowth = 16;

constexpr uint8_t kEmptyMessage = 0;  // RFC 7692 7.2.3.6

}  // namespace

// What would be agreed to.  Contexts that the budget has no room for are not.
DeflateWish Engine::deflate_wish(const Limits& limits, ws_deflate send, ws_deflate recv) const {
  DeflateWish wish;
  wish.on = send != WS_DEFLATE_OFF;
  wish.compresses = limits.deflate_min != WS_UNLIMITED;
  wish.window_bits = limits.deflate_window_bits;
  uint64_t bytes = 0;
  if (send == WS_DEFLATE_DEDICATED && wish.compresses) {
    bytes += Deflater::memory_of(limits.deflate_window_bits, limits.deflate_mem_level);
  }
  // A peer need not be able to limit its window.
  if (recv == WS_DEFLATE_DEDICATED) bytes += uint64_t{1} << kMaxWindowBits;
  const bool room = shared_.deflate.has_room(bytes);
  wish.send_takeover = send == WS_DEFLATE_DEDICATED && wish.compresses && room;
  wish.recv_takeover = recv == WS_DEFLATE_DEDICATED && room;
  return wish;
}

void Engine::use_deflate(const DeflateAgreed& agreed) {
  deflate_ = agreed;
  if (agreed.compresses) {
    const uint64_t least = agreed.send_takeover ? kMinWithContext : kMinAlone;
    deflate_from_ = limits_->deflate_min != 0 ? limits_->deflate_min : least;
  }
  // The window has to be there when the peer fills it, so its room is taken at once.
  hold_window(agreed.recv_takeover ? uint32_t{1} << agreed.recv_bits : 0);
}

// Instead of what was held before.
void Engine::hold_window(uint32_t bytes) {
  shared_.deflate.let_go(window_held_);
  shared_.deflate.hold(bytes);
  window_held_ = bytes;
}

// Null: out of memory.
Engine::Contexts* Engine::contexts() {
  if (contexts_ == nullptr) contexts_ = new (std::nothrow) Contexts(deflate_.recv_bits);
  return contexts_;
}

// Null: there is none to be had.
Deflater* Engine::deflater(uint32_t flags) {
  const int level = deflate_level(flags);
  Deflater* own = deflate_.send_takeover ? own_deflater(level) : nullptr;
  return own != nullptr ? own : shared_.deflate.fresh_deflater(deflate_.send_bits, level);
}

// Null: no memory, or the budget is used up.
Deflater* Engine::own_deflater(int level) {
  Contexts* c = contexts();
  if (c == nullptr) return nullptr;
  if (c->deflater == nullptr) {
    const size_t bytes = Deflater::memory_of(deflate_.send_bits, limits_->deflate_mem_level);
    if (!shared_.deflate.has_room(bytes)) return nullptr;
    c->deflater.reset(Deflater::create(deflate_.send_bits, limits_->deflate_mem_level, level));
    if (c->deflater == nullptr) return nullptr;
    shared_.deflate.hold(c->deflater->memory());
    deadline_moved_ = true;
  } else if (c->deflater->level() != level) {
    c->deflater->restart(level);
  }
  c->used_us = shared_.now_us;
  return c->deflater.get();
}

// The next compressed message refers to nothing.
void Engine::forget_sent() {
  if (contexts_ != nullptr && contexts_->deflater != nullptr) contexts_->deflater->restart();
}

void Engine::count_sent(size_t plain, size_t wire) {
  sent_plain_ += plain;
  sent_wire_ += wire;
  shared_.deflate.used_us = shared_.now_us;
}

// Queues a frame with the payload in `b`, which is taken over.
Error Engine::put_block(bool fin, uint8_t opcode, Block* b) {
  const size_t len = b->size();
  uint8_t* payload = b->bytes() + b->begin;
  Error e;
  uint32_t key = 0;
  if (len <= kKeepBlockAbove) {
    e = put_frame(fin, opcode, {payload, len}, false);
    shared_.blocks.give(b);
    return e;
  }
  if (!fits(len)) {
    e = full(len);
  } else if (masks() && !shared_.random.take(&key, sizeof key)) {
    e = fail(WS_ERR_IO, "no random bytes for a masking key");
  }
  if (e) {
    shared_.blocks.give(b);
    return e;
  }
  b->begin -= frame_header_size(len, masks());
  encode_frame(b->bytes() + b->begin, fin, opcode, len, masks() ? &key : nullptr);
  if (masks()) mask_in_place(payload, len, key);
  outbox_.append_block(b);
  return e;
}

// False: nothing was queued, and it goes as it is.
bool Engine::put_deflated(ws_opcode op, Bytes data, uint32_t flags) {
  const auto opcode = static_cast<uint8_t>(op | kRsv1Bit);
  const bool forced = (flags & WS_SEND_DEFLATE) != 0;
  if (data.empty()) {
    if (put_frame(true, opcode, {&kEmptyMessage, 1}, false).failed()) return false;
    count_sent(0, 1);
    return true;
  }
  if (!forced && looks_random(data)) return false;
  Deflater* d = deflater(flags);
  if (d == nullptr) return false;
  const bool own = contexts_ != nullptr && contexts_->deflater.get() == d;
  const size_t most = forced ? SIZE_MAX : own ? data.size() + kGrowth : data.size() - 1;
  Block* b = deflate_block(shared_.blocks, *d, data, most);
  if (b != nullptr) b->end -= kFlushTailBytes;
  const size_t wire = b != nullptr ? b->size() : 0;
  if (b == nullptr || put_block(true, opcode, b).failed()) {
    d->restart();
    return false;
  }
  ++shared_.deflate.deflated;
  count_sent(data.size(), wire);
  return true;
}

// A piece of a message that is compressed.  Each is whole blocks of DEFLATE, so it does not matter
// which compressor they come from.
Error Engine::put_deflated_part(uint8_t opcode, Bytes data, bool last) {
  if (data.empty()) return put_frame(last, opcode, {&kEmptyMessage, last ? 1u : 0u}, false);
  Block* b = nullptr;
  if ((part_flags_ & WS_SEND_DEFLATE) == 0 && looks_random(data)) {
    b = stored_block(shared_.blocks, data, last);
    forget_sent();
  } else if (Deflater* d = deflater(part_flags_)) {
    b = deflate_block(shared_.blocks, *d, data, SIZE_MAX);
    if (b == nullptr) d->restart();
    if (b != nullptr && last) b->end -= kFlushTailBytes;
  } else {
    b = stored_block(shared_.blocks, data, last);
  }
  if (b == nullptr) return fail(WS_ERR_NOMEM, "part of %zu bytes", data.size());
  const size_t wire = b->size();
  if (Error e = put_block(last, opcode, b)) {
    forget_sent();
    return e;
  }
  count_sent(data.size(), wire);
  return Error();
}

// As put_deflated().  The form is the message's own and refers to nothing, and what follows cannot
// refer to it.
bool Engine::put_deflated_message(const Message& m) {
  const Bytes form =
      m.deflated(shared_.blocks, shared_.deflate, deflate_.send_bits, deflate_level(m.flags()));
  if (form.empty()) return false;
  const auto opcode = static_cast<uint8_t>(m.opcode() | kRsv1Bit);
  if (masks() || form.size() <= kCopyBelow) {
    if (put_frame(true, opcode, form, false).failed()) return false;
  } else {
    if (!fits(form.size()) || put_header(opcode, form).failed()) return false;
    outbox_.share_external(&m);
  }
  forget_sent();
  count_sent(m.data().size(), form.size());
  return true;
}

uint64_t Engine::deflater_deadline_us() const {
  if (contexts_ == nullptr || contexts_->deflater == nullptr) return kNeverUs;
  return limits_->deflate_idle_us == kNeverUs ? kNeverUs
                                              : contexts_->used_us + limits_->deflate_idle_us;
}

void Engine::free_deflater() {
  if (contexts_ == nullptr || contexts_->deflater == nullptr) return;
  shared_.deflate.let_go(contexts_->deflater->memory());
  contexts_->deflater.reset();
}

void Engine::drop_contexts() {
  free_deflater();
  delete std::exchange(contexts_, nullptr);
  hold_window(0);
}

void Engine::deflate_info(ws_deflate_info* out) const {
  *out = {};
  if (!deflate_.on) return;
  out->flags = WS_DEFLATE_AGREED;
  if (deflate_.send_takeover) out->flags |= WS_DEFLATE_SEND_TAKEOVER;
  if (deflate_.recv_takeover) out->flags |= WS_DEFLATE_RECV_TAKEOVER;
  out->send_window_bits = deflate_.send_bits;
  out->recv_window_bits = deflate_.recv_bits;
  out->sent_plain_bytes = sent_plain_;
  out->sent_wire_bytes = sent_wire_;
  out->received_plain_bytes = received_plain_;
  out->received_wire_bytes = received_wire_;
  if (contexts_ == nullptr) return;
  out->context_bytes = contexts_->received.capacity();
  if (contexts_->deflater != nullptr) out->context_bytes += contexts_->deflater->memory();
}

}  // namespace libws
