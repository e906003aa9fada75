// Receiving compressed messages (RFC 7692 7.2.2).  Output comes in steps of the pool's work area,
// and each step is bounded, counted and checked before it is kept: what a message turns out to hold
// takes memory only as far as max_message allows.
#include "libws/protocol/engine_contexts.hpp"
#include "libws/protocol/engine_partial.hpp"
#include "libws/protocol/mask.hpp"

namespace libws {
namespace {

// Input of one step.  Also what is unmasked at a time.
constexpr size_t kInputStep = 2 * 1024;

// What decompressing costs besides its output, in bytes of output that take as long (1.8 ns for
// zeros): a byte of input can belong to the head of a block (70 to 100 ns), and passing a final
// block moves a whole window (1.3 us, and up to a thousand of them pass in one step).
constexpr int64_t kCostOfInput = 32;
constexpr int64_t kCostOfRestart = 64 * 1024;

// As for messages that are not compressed, so that the pool has a block of that size.
constexpr size_t kFirstAssembly = 64 * 1024;

constexpr const char* kNoMemory = "out of memory for decompressing";

}  // namespace

bool Engine::begin_inflating() {
  Partial& p = *partial_;
  const bool takeover = deflate_.recv_takeover;
  shared_.deflate.used_us = shared_.now_us;
  p.inflater = shared_.deflate.take_inflater();
  if (p.inflater == nullptr || (takeover && contexts() == nullptr)) {
    fail_connection(1011, WS_ERR_NOMEM, kNoMemory);
    return false;
  }
  if (takeover) {
    p.inflater->begin(contexts_->received.older(), contexts_->received.newer());
  } else {
    p.inflater->begin({}, {});
  }
  return true;
}

void Engine::give_inflater() {
  if (partial_ == nullptr || !partial_->compressed || partial_->inflater == nullptr) return;
  shared_.deflate.give(partial_->inflater);
  partial_->inflater = nullptr;
}

// Inflates what has arrived of the frame, until the message is whole or there is an event.
Engine::Step Engine::receive_compressed(Event& ev) {
  Partial& p = *partial_;
  yielded_ = false;
  const std::span<uint8_t> area = shared_.deflate.work_area();
  if (area.empty()) return fail_connection(1011, WS_ERR_NOMEM, kNoMemory);
  for (;;) {
    if (shared_.inflate_budget <= 0) {
      yielded_ = true;
      return Step::kMore;
    }
    // One byte more than there is room for tells a message that is too long from one that is not.
    const uint64_t room = limits_->max_message - p.inflater->produced();
    std::span<uint8_t> out =
        area.first(room < area.size() ? static_cast<size_t>(room) + 1 : area.size());
    const uint8_t* end = out.data();
    const Inflated what = inflate_input(out);
    const Bytes data{area.data(), static_cast<size_t>(out.data() - end)};
    // First, so that of two faults the one that comes first counts, however the bytes were cut.
    if (!take_inflated(data)) return Step::kMore;
    if (what == Inflated::kCorrupt) {
      return fail_connection(1007, WS_ERR_DEFLATE, p.inflater->why());
    }
    if (what == Inflated::kOutOfMemory) {
      return fail_connection(1011, WS_ERR_NOMEM, kNoMemory);
    }

    const bool last = what == Inflated::kMessage;
    if (last) {
      p.in_frame = false;
      give_inflater();
      ++shared_.deflate.inflated;
      shared_.deflate.used_us = shared_.now_us;
      if (p.chunks) return give_chunk(ev, data.data(), data.size(), true);
      if (p.assembly == nullptr) return give_message(ev, data.data(), data.size());
    } else if (p.chunks && !data.empty()) {
      return give_chunk(ev, data.data(), data.size(), false);
    }
    if (!data.empty() && !assemble(data)) {
      return fail_connection(1011, WS_ERR_NOMEM, "out of memory for a message");
    }
    if (last) return give_message(ev, p.assembly->bytes(), p.assembly->end);
    if (what == Inflated::kStarved) {
      if (p.frame_left != 0) return Step::kMore;
      p.in_frame = false;  // and another one follows
      return Step::kAgain;
    }
  }
}

// Until `out` is full, the input or the budget is used up, or the message is whole.
Engine::Inflated Engine::inflate_input(std::span<uint8_t>& out) {
  Partial& p = *partial_;
  Inflater& inflater = *p.inflater;
  while (!out.empty() && shared_.inflate_budget > 0) {
    bool done = false;
    Inflater::Result result;
    if (p.frame_left == 0 && p.fin) {
      result = inflater.finish(out, &done);
    } else {
      size_t n = static_cast<size_t>(in_end_ - in_);
      if (n > p.frame_left) n = static_cast<size_t>(p.frame_left);
      if (n > kInputStep) n = kInputStep;
      if (n == 0 && !p.more_output) return Inflated::kStarved;
      result = inflate_step(n, out);
    }
    if (result == Inflater::Result::kCorrupt) return Inflated::kCorrupt;
    if (result == Inflater::Result::kOutOfMemory) return Inflated::kOutOfMemory;
    if (done) return Inflated::kMessage;
  }
  return Inflated::kStopped;
}

// The next `n` bytes of the frame, as far as there is room.
Inflater::Result Engine::inflate_step(size_t n, std::span<uint8_t>& out) {
  Partial& p = *partial_;
  const uint32_t restarts = p.inflater->restarts();
  if (expects_mask()) mask_in_place(in_, n, p.key);
  Bytes in{in_, n};
  const Inflater::Result result = p.inflater->run(in, out);
  const size_t used = n - in.size();
  p.key = mask_rotate(p.key, used);
  if (expects_mask()) mask_in_place(in_ + used, in.size(), p.key);  // for the next time
  in_ += used;
  p.frame_left -= used;
  p.more_output = out.empty();
  received_wire_ += used;
  shared_.inflate_budget -= kCostOfInput * static_cast<int64_t>(used) +
                            kCostOfRestart * int64_t{p.inflater->restarts() - restarts};
  return result;
}

// The step's output, before it is kept anywhere.  False: the connection has failed.
bool Engine::take_inflated(Bytes data) {
  Partial& p = *partial_;
  shared_.inflate_budget -= static_cast<int64_t>(data.size());
  const bool too_long = p.inflater->produced() > limits_->max_message;  // by the last byte
  if (too_long) data = data.first(data.size() - 1);
  received_plain_ += data.size();
  const bool check = p.op == kText && (limits_->flags & WS_CONN_NO_UTF8_CHECK) == 0;
  if (check && p.utf8.validate(data.data(), data.size()) != data.size()) {
    fail_connection(1007, WS_ERR_UTF8, kNotUtf8);
    return false;
  }
  if (too_long) {
    fail_connection(1009, WS_ERR_TOO_BIG, kMessageTooLong);
    return false;
  }
  if (deflate_.recv_takeover && !contexts_->received.append(data)) {
    fail_connection(1011, WS_ERR_NOMEM, kNoMemory);
    return false;
  }
  return true;
}

// Behind what the message has so far.  False: out of memory.
bool Engine::assemble(Bytes data) {
  Partial& p = *partial_;
  if (p.assembly == nullptr) {
    p.assembly = shared_.blocks.take(data.size() > kFirstAssembly ? data.size() : kFirstAssembly);
    if (p.assembly == nullptr) return false;
  }
  const size_t need = p.assembly->end + data.size();
  if (need > p.assembly->capacity) {
    // Steps double, so that a message costs few moves, and never pass what it may have.
    const size_t doubled = p.assembly->capacity * 2;
    const uint64_t most = limits_->max_message;
    const size_t want = doubled < most ? doubled : static_cast<size_t>(most);
    if (!BlockPool::grow(p.assembly, want > need ? want : need)) return false;
  }
  copy_bytes(p.assembly->tail(), data.data(), data.size());
  p.assembly->end += data.size();
  return true;
}

}  // namespace libws
