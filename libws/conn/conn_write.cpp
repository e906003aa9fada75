// Writing: everything queued in a turn leaves in one system call; what the kernel does not take
// waits for it to be writable again.
#include "libws/conn/conn.hpp"

#include <algorithm>
#include <new>

namespace libws {
namespace {

constexpr size_t kSlicesPerWrite = 16;

// From here a payload is offered to the kernel from where it lies; only what the kernel does not
// take is copied.  Below, gathering with the turn's other output is cheaper than a call of its own.
constexpr size_t kDirectWriteBytes = 64 * 1024;

}  // namespace

void Conn::write_out() {
  do {
    while (engine_.has_output() && !blocked_) {
      const ws_slice only = engine_.only_output();
      size_t total = only.len;
      const IoResult r = total != 0 ? transport_.write(only.data, total) : write_many(&total);
      if (r.status == IoResult::kFailed) return write_failed(r);
      if (r.status != IoResult::kOk) {
        blocked_ = true;
        engine_.sent(0);
        return;
      }
      bytes_out_ += r.bytes;
      if (shared_->tracer != nullptr) trace_sent(r.bytes);
      engine_.sent(r.bytes);
      // A socket that takes less than all is full; TLS takes a buffer at a time.
      if (r.bytes < total && !transport_.secure()) blocked_ = true;
    }
    // TLS: records that the kernel did not take, also those that a read has caused.
    if (const size_t unsent = transport_.unsent(); unsent != 0) {
      blocked_ = true;
      engine_.below_has(unsent, false);
    }
  } while (backlog_ != nullptr && feed());
}

// The first `len` bytes of the output, which is still there.
void Conn::trace_sent(size_t len) {
  ws_slice slices[kSlicesPerWrite];
  const size_t n = engine_.output(slices, kSlicesPerWrite);
  for (size_t i = 0; i < n && len != 0; ++i) {
    const size_t passed = std::min(len, slices[i].len);
    shared_->tracer->passed(id_, true, bytes(slices[i].data, passed));
    len -= passed;
  }
}

// The descriptor is writable: what is below the engine leaves first.
void Conn::flush_transport() {
  const size_t before = transport_.unsent();
  if (before == 0) return;
  const IoResult r = transport_.flush();
  if (r.status == IoResult::kFailed) return write_failed(r);
  const size_t after = transport_.unsent();
  engine_.below_has(after, after < before);
}

void Conn::write_failed(const IoResult& r) {
  const TransportFault fault = transport_.fault(r, "writing to the socket failed");
  engine_.abort(fault.error, fault.sys_errno, fault.detail);
  tell_later();
}

IoResult Conn::write_many(size_t* total) {
  ws_slice slices[kSlicesPerWrite];
  iovec iov[kSlicesPerWrite];
  size_t n = engine_.output(slices, kSlicesPerWrite);
  *total = 0;
  for (size_t i = 0; i < n; ++i) {
    iov[i] = {const_cast<void*>(slices[i].data), slices[i].len};
    *total += slices[i].len;
  }
  return transport_.write(iov, n);
}

// A call of the application has queued something.
void Conn::output_queued(uint32_t flags) {
  if (pumping_) return;  // settle() will write it
  // kWritable will, or the send timeout ends it.  A large send may just have found the kernel full,
  // so neither may be asked for yet.
  if (blocked_) return wait_for_room();
  if (loop().in_turn() || (flags & WS_SEND_LATER) != 0) return loop().flush_later(this);
  write_out();
  wait_for_room();
}

void Conn::wait_for_room() {
  tell_memory();
  watch_what_is_wanted();
  arm_timer();
}

// Inside a turn the queue only grows until the turn ends, so the high mark alone does not mean
// that the peer is slow: try to write before saying so.
Error Conn::finish(bool pressed_before, Error result, uint32_t flags) {
  if (result.failed()) return result;
  output_queued(flags);
  if (result.code() != WS_BACKPRESSURE) return result;
  if (!blocked_) write_out();
  if (engine_.above_high()) {
    if (blocked_ && !pumping_) wait_for_room();
    return result;
  }
  if (!pressed_before) engine_.forget_pressure();
  return Error();
}

Error Conn::send(ws_opcode op, Bytes data, uint32_t flags) {
  // In answer to a message, which is what most sends are: settle() writes it.
  if (pumping_ && !managed_ && data.size() < kDirectWriteBytes) {
    bool pressed = engine_.pressed();
    Error result = engine_.send(op, data, flags);
    return result.code() == WS_OK ? result : finish(pressed, result, flags);
  }
  if (Error e = enter("send")) return e;
  return managed_ ? send_managed(op, data, flags) : send_now(op, data, flags);
}

Error Conn::send_now(ws_opcode op, Bytes data, uint32_t flags) {
  bool pressed = engine_.pressed();
  if (data.size() < kDirectWriteBytes || blocked_ || engine_.role() == Role::kClient ||
      (flags & WS_SEND_LATER) != 0 || engine_.may_deflate(data.size(), flags)) {
    return finish(pressed, engine_.send(op, data, flags), flags);
  }
  Error result = engine_.send_borrowed(op, data, flags);
  if (result.failed()) return result;
  write_out();
  if (!engine_.own_external()) {
    // Part of the frame may have left, so nothing else can follow it.
    engine_.abort(WS_ERR_NOMEM, 0, "out of memory for a message that was half sent");
    tell_later();
    return fail(WS_ERR_NOMEM, "send of %zu bytes", data.size());
  }
  return finish(pressed, result, flags);
}

Error Conn::begin_parts(uint32_t flags) {
  if (Error e = enter("begin_parts")) return e;
  if (Error e = move_all()) return e;
  return engine_.begin_parts(flags);
}

Error Conn::send_part(ws_opcode op, Bytes data, bool last) {
  if (Error e = enter("send_part")) return e;
  if (Error e = move_all()) return e;
  bool pressed = engine_.pressed();
  const uint32_t flags = engine_.part_flags();
  return finish(pressed, engine_.send_part(op, data, last), flags);
}

Error Conn::send_message(const Message& m) {
  if (Error e = enter("send_message")) return e;
  return managed_ || m.has_manners() ? send_message_managed(m) : send_message_now(m);
}

Error Conn::send_message_now(const Message& m) {
  bool pressed = engine_.pressed();
  return finish(pressed, engine_.send_message(m), m.flags());
}

Error Conn::send_or_drop(const Message& m) {
  Error result = send_message(m);
  if (result.failed() && result.code() != WS_ERR_CLOSED) ++dropped_;
  return result;
}

Error Conn::ping(Bytes data) {
  if (Error e = enter("ping")) return e;
  if (backlog_ != nullptr && unwritten() + data.size() > limits().send_limit) {
    return fail(WS_ERR_FULL, "ping: what waits fills send_limit_bytes");
  }
  if (Error e = engine_.ping(data)) return e;
  output_queued(0);
  return Error();
}

Error Conn::pong(Bytes data) {
  if (Error e = enter("pong")) return e;
  if (Error e = engine_.pong(data)) return e;
  output_queued(0);
  return Error();
}

Error Conn::flush() {
  if (Error e = enter("flush")) return e;
  write_out();
  if (!pumping_) wait_for_room();
  return Error();
}

namespace {

struct PostedMessage : Allocated {
  Ref<Conn> conn;
  Ref<Message> message;
};

}  // namespace

Error Conn::post_message(Message& m) {
  if (inert_.load(std::memory_order_acquire)) return fail(WS_ERR_CLOSED, "post_message: closed");
  auto* task = new (std::nothrow) PostedMessage;
  if (task == nullptr) return fail(WS_ERR_NOMEM, "post_message");
  task->conn = Ref<Conn>::share(this);
  task->message = Ref<Message>::share(&m);
  Error e = shared_->post(
      [](ws_loop*, void* arg, int cancelled) {
        auto* posted = static_cast<PostedMessage*>(arg);
        Conn& conn = *posted->conn;
        if (cancelled != 0 || conn.send_message(*posted->message).failed()) ++conn.dropped_;
        delete posted;
      },
      task);
  if (e) delete task;
  return e;
}

}  // namespace libws
