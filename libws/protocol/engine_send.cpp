// Sending: messages to frames in the outbox.  All or nothing: a frame is queued whole or the call
// fails and nothing has changed.
#include "libws/protocol/engine.hpp"
#include "libws/protocol/mask.hpp"

#include <cassert>

namespace libws {
Error Engine::check_send(ws_opcode op, Bytes data, uint32_t flags, const char* what) const {
  if (state_ != State::kOpen) return fail(WS_ERR_CLOSED, "%s: the connection is not open", what);
  if (op != WS_OP_TEXT && op != WS_OP_BINARY) {
    return fail(WS_ERR_INVALID, "%s: opcode %d is not TEXT or BINARY", what, static_cast<int>(op));
  }
  if (Error e = check_send_flags(flags, what)) return e;
  if (data.data() == nullptr && !data.empty()) {
    return fail(WS_ERR_INVALID, "%s: data is NULL but the length is %zu", what, data.size());
  }
  return Error();
}

// RFC 6455 5.6: what we send as text is UTF-8, so a peer never closes on us for our caller's bytes.
Error Engine::check_text(ws_opcode op, Bytes data, uint32_t flags) const {
  if (op != WS_OP_TEXT || (flags & WS_SEND_NO_UTF8_CHECK) != 0) return Error();
  if (utf8_valid(data.data(), data.size())) return Error();
  return fail(WS_ERR_UTF8, "send: text of %zu bytes is not UTF-8", data.size());
}

Error Engine::full(size_t len) const {
  return fail(WS_ERR_FULL, "%zu bytes queued, %zu more would pass send_limit_bytes",
              outbox_.bytes(), len);
}

// `exempt`: control frames that the protocol owes the peer pass the limit of the queue; they are
// bounded by being one Close and one keepalive ping an interval.
Error Engine::put_frame(bool fin, uint8_t opcode, Bytes data, bool exempt) {
  size_t len = data.size();
  if (!exempt && !fits(len)) return full(len);
  if (len > SIZE_MAX - kMaxFrameHeader) return fail(WS_ERR_NOMEM, "frame of %zu bytes", len);
  uint32_t key = 0;
  if (masks() && !shared_.random.take(&key, sizeof key)) {
    return fail(WS_ERR_IO, "no random bytes for a masking key");
  }
  uint8_t* out = outbox_.reserve(shared_.blocks, kMaxFrameHeader + len);
  if (out == nullptr) return fail(WS_ERR_NOMEM, "frame of %zu bytes", len);
  size_t n = encode_frame(out, fin, opcode, len, masks() ? &key : nullptr);
  // RFC 6455 10.3: masked into our own memory before any of it leaves.
  if (masks()) {
    mask_copy(out + n, data.data(), len, key);
  } else {
    copy_bytes(out + n, data.data(), len);
  }
  outbox_.commit(n + len);
  return Error();
}

// Of a message that is sent in one.  The limit of the queue is asked before the bytes are looked
// at, and so before they are compressed.
Error Engine::check_whole(ws_opcode op, Bytes data, uint32_t flags) const {
  if (Error e = check_send(op, data, flags, "send")) return e;
  if (sending_op_ != 0) return fail(WS_ERR_STATE, "send: a message sent in parts is unfinished");
  if (!fits(data.size())) return full(data.size());
  return check_text(op, data, flags);
}

Error Engine::send_checked(ws_opcode op, Bytes data, uint32_t flags) {
  if (Error e = check_whole(op, data, flags)) return e;
  if (!may_deflate(data.size(), flags) || !put_deflated(op, data, flags)) {
    if (Error e = put_frame(true, static_cast<uint8_t>(op), data, false)) return e;
  }
  return finish_send();
}

Error Engine::begin_parts(uint32_t flags) {
  if (state_ != State::kOpen) return fail(WS_ERR_CLOSED, "begin_parts: the connection is not open");
  if (sending_op_ != 0) {
    return fail(WS_ERR_STATE, "begin_parts: a message sent in parts is unfinished");
  }
  if (Error e = check_send_flags(flags, "begin_parts")) return e;
  part_flags_ = static_cast<uint16_t>(flags);
  return Error();
}

Error Engine::send_part(ws_opcode op, Bytes data, bool last) {
  if (Error e = check_send(op, data, 0, "send_part")) return e;
  if (sending_op_ != 0 && sending_op_ != op) {
    return fail(WS_ERR_STATE, "send_part: opcode differs from the first part's");
  }
  const bool first = sending_op_ == 0;
  const bool deflated = deflate_.compresses && (part_flags_ & WS_SEND_NO_DEFLATE) == 0;
  uint8_t opcode = first ? static_cast<uint8_t>(op) : uint8_t{kContinuation};
  if (first && deflated) opcode |= kRsv1Bit;
  if (!fits(data.size())) return full(data.size());
  Utf8Validator utf8 = first ? Utf8Validator() : sending_utf8_;
  if (op == WS_OP_TEXT && (part_flags_ & WS_SEND_NO_UTF8_CHECK) == 0 &&
      (utf8.validate(data.data(), data.size()) != data.size() || (last && !utf8.complete()))) {
    return fail(WS_ERR_UTF8, "send_part: text is not UTF-8");
  }
  if (Error e =
          deflated ? put_deflated_part(opcode, data, last) : put_frame(last, opcode, data, false)) {
    return e;
  }
  if (first && deflated) ++shared_.deflate.deflated;
  sending_utf8_ = utf8;
  sending_op_ = last ? 0 : static_cast<uint8_t>(op);
  if (last) part_flags_ = 0;
  Error result = finish_send();
  if (!last) --messages_out_;
  return result;
}

Error Engine::send_message(const Message& m) {
  // Its text was checked when it was made.
  constexpr uint32_t kChecked = WS_SEND_NO_UTF8_CHECK | WS_SEND_NO_DEFLATE;
  if (may_deflate(m.data().size(), m.flags())) {
    if (Error e = check_whole(m.opcode(), m.data(), kChecked)) return e;
    if (put_deflated_message(m)) return finish_send();
  }
  if (masks() || m.data().size() <= kCopyBelow) return send(m.opcode(), m.data(), kChecked);
  if (Error e = send_borrowed(m.opcode(), m.data(), kChecked)) return e;
  outbox_.share_external(&m);
  return Error(above_high() ? WS_BACKPRESSURE : WS_OK);
}

Error Engine::send_borrowed(ws_opcode op, Bytes data, uint32_t flags) {
  assert(!masks());
  if (Error e = check_whole(op, data, flags)) return e;
  if (Error e = put_header(static_cast<uint8_t>(op), data)) return e;
  return finish_send();
}

// The header of a whole message whose payload stays where it is.
Error Engine::put_header(uint8_t opcode, Bytes data) {
  uint8_t* out = outbox_.reserve_header(shared_.blocks);
  if (out == nullptr) return fail(WS_ERR_NOMEM, "frame of %zu bytes", data.size());
  outbox_.commit(encode_frame(out, true, opcode, data.size(), nullptr));
  outbox_.attach(data.data(), data.size());
  return Error();
}

bool Engine::own_external() { return outbox_.own_external(shared_.blocks); }

Error Engine::ping(Bytes data) {
  if (data.size() > kMaxControlPayload) {
    return fail(WS_ERR_INVALID, "ping of %zu bytes, at most 125", data.size());
  }
  if (state_ != State::kOpen) return fail(WS_ERR_CLOSED, "ping: the connection is not open");
  return put_frame(true, kPing, data, false);
}

Error Engine::pong(Bytes data) {
  if (data.size() > kMaxControlPayload) {
    return fail(WS_ERR_INVALID, "pong of %zu bytes, at most 125", data.size());
  }
  if (state_ != State::kOpen) return fail(WS_ERR_CLOSED, "pong: the connection is not open");
  uint32_t key = 0;
  if (masks() && !shared_.random.take(&key, sizeof key)) {
    return fail(WS_ERR_IO, "no random bytes for a masking key");
  }
  uint8_t frame[kMaxFrameHeader + kMaxControlPayload];
  size_t n = encode_frame(frame, true, kPong, data.size(), masks() ? &key : nullptr);
  mask_copy(frame + n, data.data(), data.size(), key);  // a key of 0 copies
  if (!outbox_.put_pong(shared_.blocks, frame, n + data.size())) return fail(WS_ERR_NOMEM, "pong");
  return Error();
}

void Engine::sent(size_t n) {
  outbox_.consume(shared_.blocks, n);
  if (outbox_.empty()) {
    stalled_us_ = 0;
  } else if (n != 0 || stalled_us_ == 0) {
    stalled_us_ = shared_.now_us;
  }
  if (pressed_ && outbox_.bytes() <= limits_->send_low) {
    pressed_ = false;
    drained_ = true;
  }
  if (state_ == State::kDrain && outbox_.empty()) {
    // Our last word has left; the peer gets a moment to read it before the socket goes.  A client
    // waits for the server to close first (RFC 6455 7.1.1), a failure for the peer to notice.
    bool brief = http_drain_ || (error_ == WS_OK && role_ == Role::kServer);
    if (brief && phase_deadline_us_ - shared_.now_us > kLingerUs) {
      phase_deadline_us_ = shared_.now_us + kLingerUs;
    }
  }
}

void Engine::below_has(size_t unsent, bool moved) {
  if (unsent == 0 && outbox_.empty()) {
    stalled_us_ = 0;
  } else if (moved || stalled_us_ == 0) {
    stalled_us_ = shared_.now_us;
  }
}

bool Engine::take_drained() {
  if (!drained_) return false;
  drained_ = false;
  return state_ == State::kOpen;
}

}  // namespace libws
