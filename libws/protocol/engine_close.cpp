// Ending: control frames, the closing handshake, failing the connection, and how it all ended.
#include "libws/protocol/engine_partial.hpp"

#include <cassert>

namespace libws {

// 1004, 1005, 1006 and 1015 never stand in a frame; 1016 to 2999 are not assigned by IANA.
bool Engine::may_send_code(uint16_t code) {
  return (code >= 1000 && code <= 1003) || (code >= 1007 && code <= 1014) ||
         (code >= 3000 && code <= 4999);
}

Engine::Step Engine::handle_control(uint8_t opcode, uint8_t* payload, size_t len, Event& ev) {
  if (opcode == kClose) return handle_close(payload, len, ev);
  // After our Close the peer only waits for the end; nothing of this is worth an event.
  if (dropping()) return Step::kAgain;
  Bytes data{payload, len};
  const bool ours = opcode == kPong && ping_at_us_ != 0 && len == sizeof ping_id_ &&
                    std::memcmp(payload, &ping_id_, sizeof ping_id_) == 0;
  if (ours) {
    rtt_us_ = static_cast<uint32_t>(shared_.now_us - ping_at_us_);
    ping_at_us_ = 0;
    return Step::kAgain;  // not the application's
  }
  if (!control_may_come()) return fail_connection(1008, WS_ERR_TOO_BIG, "too many control frames");
  if (opcode == kPing) {
    if ((limits_->flags & WS_CONN_NO_AUTO_PONG) == 0) {
      // RFC 6455 5.5.2, 5.5.3: answered at once, and the latest stands for all that wait.
      if (pong(data).code() == WS_ERR_NOMEM) {
        return fail_connection(1011, WS_ERR_NOMEM, "out of memory for a pong");
      }
    }
    ev = {WS_EV_PING, WS_OP_PING, 0, payload, len};
    return Step::kEvent;
  }
  ev = {WS_EV_PONG, WS_OP_PONG, 0, payload, len};
  return Step::kEvent;
}

Engine::Step Engine::handle_close(uint8_t* payload, size_t len, Event&) {
  uint16_t code = 1005;
  if (len == 1) return fail_connection(1002, WS_ERR_PROTOCOL, "Close with a body of one byte");
  if (len >= 2) {
    code = load_be16(payload);
    if (!may_send_code(code)) {
      return fail_connection(1002, WS_ERR_PROTOCOL, "Close with a code that must not be sent");
    }
    if (!utf8_valid(payload + 2, len - 2)) {
      return fail_connection(1007, WS_ERR_UTF8, "close reason is not UTF-8");
    }
  }
  code_ = code;
  size_t reason_len = len > 2 ? len - 2 : 0;
  if (reason_len != 0) std::memcpy(shared_.close_reason, payload + 2, reason_len);
  shared_.close_reason[reason_len] = '\0';
  shared_.close_info.reason_len = reason_len;

  if (state_ == State::kOpen) {
    close_flags_ |= WS_CLOSE_BY_PEER;
    set_phase_deadline(limits_->close_us);
    // RFC 6455 5.5.1: the answer echoes the code; an empty Close is answered by an empty one.
    if (!put_close(code == 1005 ? 0 : code, {})) {
      end(State::kDrain, WS_ERR_NOMEM, "out of memory for the answer to a Close");
      return Step::kMore;
    }
  }
  close_flags_ |= WS_CLOSE_CLEAN;
  end(State::kDrain, WS_OK, "closed");
  return Step::kMore;
}

Engine::Step Engine::fail_connection(uint16_t code, int error, const char* why) {
  if (state_ == State::kOpen) {
    set_phase_deadline(limits_->close_us);
    put_close(code, why);  // without memory the peer sees the end of the stream instead
  }
  end(State::kDrain, error, why);
  return Step::kMore;
}

// Queues our only Close.  False: out of memory.
bool Engine::put_close(uint16_t code, std::string_view reason) {
  uint8_t body[kMaxControlPayload];
  size_t len = 0;
  if (code != 0) {
    store_be16(body, code);
    assert(reason.size() <= sizeof body - 2);
    copy_bytes(body + 2, reason.data(), reason.size());
    len = 2 + reason.size();
  }
  if (put_frame(true, kClose, {body, len}, true).failed()) return false;
  sent_code_ = code != 0 ? code : 1005;
  return true;
}

Error Engine::check_close(Role role, uint16_t code, std::string_view reason) {
  if (code != 0 && !may_send_code(code)) {
    return fail(WS_ERR_INVALID, "close: code %u must not be sent", code);
  }
  if (code == 1010 && role == Role::kServer) {
    // RFC 6455 7.4.1: a server says no in the handshake instead.
    return fail(WS_ERR_INVALID, "close: code 1010 is for clients");
  }
  if (code == 0 && !reason.empty()) {
    return fail(WS_ERR_INVALID, "close: a reason needs a code");
  }
  if (reason.size() > kMaxControlPayload - 2) {
    return fail(WS_ERR_INVALID, "close: reason of %zu bytes, at most %zu", reason.size(),
                kMaxControlPayload - 2);
  }
  Bytes r = bytes(reason);
  if (!utf8_valid(r.data(), r.size())) {
    return fail(WS_ERR_INVALID, "close: reason is not UTF-8");
  }
  return Error();
}

Error Engine::close(uint16_t code, std::string_view reason) {
  if (Error e = check_close(role_, code, reason)) return e;
  if (state_ == State::kOpening || state_ == State::kAnswering) {
    abort(WS_ERR_CANCELLED, 0, "closed before the handshake was done");
    return Error();
  }
  if (state_ != State::kOpen) return fail(WS_ERR_CLOSED, "close: closed already");
  if (!put_close(code, reason)) return fail(WS_ERR_NOMEM, "close");
  state_ = State::kClosing;
  set_phase_deadline(limits_->close_us);
  // What was being assembled will not be delivered; only the frame boundaries still matter.
  if (partial_ == nullptr || partial_->delivered) return Error();
  give_inflater();
  partial_->room = nullptr;
  if (partial_->assembly != nullptr) {
    shared_.blocks.give(partial_->assembly);
    partial_->assembly = nullptr;
  }
  return Error();
}

void Engine::abort(int error, int sys_errno, const char* detail) {
  if (state_ == State::kDone) return;
  outbox_.clear(shared_.blocks);
  if (state_ == State::kDrain) {
    state_ = State::kDone;  // the outcome stands, only the flushing ends
    return;
  }
  // The refusal is the outcome; only its body was still to come.
  if (state_ == State::kRefused) return end(State::kDone, error_, detail_);
  sys_errno_ = sys_errno;
  if (error == WS_ERR_EOF && sent_code_ == 0) close_flags_ |= WS_CLOSE_BY_PEER;
  end(State::kDone, error, detail);
}

// A Close behind a queue that the peer does not take would free nothing, and none fits into the
// frame that is half sent.
void Engine::end_for_memory() {
  constexpr const char* kWhy = "the server's memory_budget_bytes are used up";
  const bool tell = state_ == State::kOpen && outbox_.empty();
  release_buffers();
  if (tell) {
    fail_connection(1013, WS_ERR_FULL, kWhy);
  } else {
    abort(WS_ERR_FULL, 0, kWhy);
  }
}

void Engine::abandon() {
  abort(WS_ERR_CANCELLED, 0, "abandoned");
  open_pending_ = closed_pending_ = false;
}

void Engine::end(State state, int error, const char* detail) {
  if (ended()) return;
  state_ = state;
  lingered_ = 0;
  error_ = static_cast<int16_t>(error);
  detail_ = detail;
  closed_pending_ = true;
  // An OPEN that accept() has promised still comes first: the application pairs it with CLOSED.
  if (Request* r = request()) r->detach();
}

bool Engine::give_closed(Event& ev) {
  closed_pending_ = false;
  // The reason was stored by handle_close just before; without a Close there is none.
  if (code_ == 1005 || code_ == 1006) {
    shared_.close_reason[0] = '\0';
    shared_.close_info.reason_len = 0;
  }
  ws_close_info& info = shared_.close_info;
  info.size = sizeof info;
  info.error = error_;
  info.code = code_;
  info.sent_code = sent_code_;
  info.flags = close_flags_;
  info.sys_errno = sys_errno_;
  info.http_status = http_status_;
  info.reason = shared_.close_reason;
  info.detail = detail_;
  drop_partial();
  ev = {WS_EV_CLOSED, WS_OP_CLOSE, 0, nullptr, 0};
  return true;
}

}  // namespace libws
