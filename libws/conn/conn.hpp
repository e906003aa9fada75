// One protocol engine on one transport on one loop: pulls events out of what is read, calls the
// application, and writes what it queued.
//
// Who may call what when: callbacks run only from on_ready, on_timeout and on_deferred, that is
// inside a turn of the loop.  Calls of the application (send, close, abort...) change the engine
// and ask the loop for a flush or for deferred work; they call nobody back.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/list.hpp"
#include "libws/base/ref.hpp"
#include "libws/conn/backlog.hpp"
#include "libws/conn/conn_attachment.hpp"
#include "libws/conn/conn_shared.hpp"
#include "libws/net/address.hpp"
#include "libws/net/loop.hpp"
#include "libws/net/transport.hpp"
#include "libws/protocol/engine.hpp"

#include <libws/conn.h>

#include <atomic>

namespace libws {

class Conn;

// Who made the connection: a server or a client.
class ConnOwner {
 public:
  // A request to answer; if it returns unanswered, it must hold a reference or answer later.
  virtual void on_request(Conn& conn, Request& request) = 0;
  virtual void on_opened(Conn& conn) = 0;  // before on_open
  virtual void on_drained(Conn&) {}        // before on_drain
  virtual void on_ended(Conn& conn) = 0;   // after on_close, or instead of it
  virtual void on_gone(Conn& conn) = 0;    // the descriptor is closed; forget the connection
  // ConnPolicy::counts_memory: it holds at most this much more, or less, than it has told before.
  virtual void on_memory(Conn&, int64_t) {}

 protected:
  ~ConnOwner() = default;
};

// What the connections of one owner have in common.  Counted, because a handle may outlive the
// owner.
struct ConnPolicy : RefCounted<ConnPolicy>, Allocated {
  Limits limits;
  ws_handlers handlers;
  bool counts_memory = false;  // the owner is told what its connections hold
};

struct ConnLink : ListNode {};  // the owner's list

class Conn final : public Watcher,
                   public ConnLink,
                   private RequestHost,
                   public RefCounted<Conn>,
                   public Allocated {
 public:
  // Owns the transport from here on, also when start() fails.  Throws std::bad_alloc.
  Conn(ConnShared& shared, ConnOwner& owner, Ref<ConnPolicy> policy, Role role,
       Transport&& transport, const PackedAddress& peer);

  // A server's: puts it on the loop, which then holds a reference of its own until the end.  The
  // handshake timeout counts from `began_us`.
  Error start(uint64_t began_us);
  // A client's, the same: the request leaves with the loop, and the handshake timeout counts from
  // `began_us`.
  Error start(const OpenRequest& open, uint64_t began_us);

  // ---- the public calls of conn.h, same contracts ----
  Error send(ws_opcode op, Bytes data, uint32_t flags);
  Error begin_parts(uint32_t flags);
  Error send_part(ws_opcode op, Bytes data, bool last);
  Error send_message(const Message& m);
  Error post_message(Message& m);                            // thread: any
  Error post_close(uint16_t code, std::string_view reason);  // thread: any
  Error post_abort();                                        // thread: any
  Error keep_message(Ref<Message>* out);
  Error ping(Bytes data);
  Error pong(Bytes data);
  Error flush();
  Error pause();
  Error resume();
  Error demand(uint32_t n);
  Error close(uint16_t code, std::string_view reason);
  Error set_chunks(bool on);
  void abort();
  void get_stats(ws_conn_stats* out) const;
  Error get_tls(ws_tls_info* out);
  void get_deflate(ws_deflate_info* out) const { engine_.deflate_info(out); }

  uint64_t id() const { return id_; }
  // Null once on_close has returned.
  ws_loop* loop_handle() const {
    return closed_given_ && !pumping_ ? nullptr : shared_->loop().handle();
  }
  void* user() const { return user_; }
  void set_user(void* user) { user_ = user; }
  const PackedAddress& peer() const { return peer_; }
  void print_local(char (&out)[kAddressTextBytes]) const override;
  const char* subprotocol() const { return engine_.subprotocol(); }
  bool is_open() const { return engine_.is_open() && opened_; }
  uint64_t buffered() const { return unwritten() + transport_.unsent(); }

  // ---- for the owner ----
  // The library's own answer to the request that on_request() got.
  void refuse(int status, const char* why) override;
  // The same for one that is still shaking hands, outside a callback too; see Engine::turn_away().
  Error turn_away(const char* why);
  bool opened() const { return opened_ && !closed_given_; }  // between on_open and on_close
  bool above_high() const { return unwritten() > limits().send_high; }
  // Calls on_drained() once the queue is short, although no send has reported BACKPRESSURE.
  void report_drain() { engine_.press(); }
  // For a loop that turns only now and then.
  void was_away() {
    use_clock();
    engine_.was_away();
  }
  // Whether memory_bytes() is more than 0; may be true too long, but not for ever.
  bool uses_memory() const { return uses_memory_; }
  // What it holds in buffers; of a message that others hold too, its part.
  uint64_t memory_bytes() const;
  // The owner has no memory for what this one holds.
  void end_for_memory();
  bool was_opened() const { return opened_; }
  bool secure() const { return transport_.secure(); }
  // close() or abort() was called: the end is this side's wish.
  bool asked_to_close() const { return asked_to_close_; }
  const ws_close_info& close_info() const { return engine_.close_info(); }  // in on_ended()
  const Head* response() const { return engine_.response(); }
  const char* response_header(std::string_view name, size_t* len) {
    return engine_.response_header(name, len);
  }
  Bytes response_body() const { return engine_.response_body(); }
  // The owner is going away: no more calls to it.
  void disown();

  // ---- for what is attached to it (conn_attachment.hpp) ----
  // Only while is_open().
  void attach(ConnAttachment& a) {
    a.next_ = attachments_;
    attachments_ = &a;
  }
  void detach(ConnAttachment& a);
  ConnAttachment* attachment(const void* tag) const;
  Loop& home() const { return shared_->loop(); }  // only while not ended
  // CLOSED when there is nothing to attach to any more.
  Error not_ended(const char* what) { return enter(what); }
  // As send_message(), but what the connection does not take now is counted in messages_dropped.
  Error send_or_drop(const Message& m);

  // ---- for the loop ----
  void on_ready(uint32_t events) override;
  void on_timeout() override;
  void on_deferred() override;
  void on_flush() override;
  void on_abandoned() override;
  void on_retired() override;

 private:
  friend class RefCounted<Conn>;
  ~Conn() override;

  // What may stand between the peer and the application.  The plain path asks only whether there is
  // any of it.
  static constexpr uint8_t kPaused = 1;
  static constexpr uint8_t kCredit = 2;   // by demand()
  static constexpr uint8_t kMetered = 4;  // the limits have rates

  // RequestHost
  Error accept(const AcceptOptions& how) override;
  Error respond(const Response& response) override;
  Error tls_info(ws_tls_info* out) override { return get_tls(out); }

  // conn_read.cpp
  void read_in(uint32_t events);
  bool wants_input() const;
  bool may_read(uint32_t events);
  void read_landing(std::span<uint8_t> landing);
  void take_read(const IoResult& r);
  void pump();
  void pump_timed();
  template <class Call>
  void call_back(Call call);
  void callback_threw();
  void pump_events();
  void dispatch(const Event& ev);
  void dispatch_request();
  void closed_was_given();
  void end_attachments();
  void log_refusal() const;
  void dispatch_message(const Event& ev);
  void dispatch_room(const Event& ev);

  // conn_flow.cpp
  bool holding() const;
  void set_gate(unsigned gate) {
    gate_ = static_cast<uint8_t>(gate);
    gated_ = gate != 0;
  }
  bool end_waits() const;
  void tell_hold();
  void hold_ended();
  void pump_gated(int budget);
  void read_gated();

  // conn_write.cpp
  void write_out();
  void trace_sent(size_t len);
  Error send_now(ws_opcode op, Bytes data, uint32_t flags);
  Error send_message_now(const Message& m);
  void flush_transport();
  void write_failed(const IoResult& r);
  IoResult write_many(size_t* total);
  Error finish(bool pressed_before, Error result, uint32_t flags);
  void output_queued(uint32_t flags);
  void wait_for_room();

  // conn_wait.cpp
  struct Manners;
  Error send_managed(ws_opcode op, Bytes data, uint32_t flags);
  Error send_message_managed(const Message& m);
  bool must_wait(size_t len, const Manners& how);
  bool could_fit(size_t len) const;
  bool has_room(size_t len, const Manners& how) const;
  Error make_room(size_t len, const Manners& how);
  Error make_wait(Ref<Message> m, bool ours, const Manners& how);
  Error finish_wait(bool pressed_before, uint32_t flags);
  Error too_slow(size_t len, ws_slow slow);
  void try_writing();
  bool feed();
  Error move_waiting(uint64_t most, uint64_t fragment);
  Error move_entry(Backlog::Entry& w, uint64_t fragment);
  // What waits is queued for good: something shall follow it that cannot wait.  Errors: NOMEM, IO.
  Error move_all();
  void drop_waiting();
  void end_backlog();
  bool managed_by_policy() const;
  // What is queued, and what waits.
  uint64_t unwritten() const {
    return engine_.buffered() + (backlog_ != nullptr ? backlog_->bytes() : 0);
  }

  // conn.cpp
  void use_handlers(const ws_handlers* handlers);
  void take_policy(Ref<ConnPolicy> own, const AcceptOptions& how);
  Error watch();
  void use_clock();
  Error enter(const char* what);
  void settle();
  void watch_what_is_wanted();
  void arm_timer();
  void tear_down();
  void tell_memory();
  void tell_memory(uint64_t bytes);
  // Something happened outside a callback that only a callback can tell.
  void tell_later();
  Loop& loop() const { return shared_->loop(); }  // until inert
  const Limits& limits() const { return engine_.limits(); }
  EngineResources& resources() const { return shared_->resources; }

  Ref<ConnShared> shared_;
  Ref<ConnPolicy> policy_;
  ConnOwner* owner_;
  Ref<ConnPolicy> own_policy_;   // of accept(), where it replaces part of policy_ or all
  const ws_handlers* handlers_;  // of one or the other
  ConnAttachment* attachments_ = nullptr;
  void* user_ = nullptr;
  const uint64_t id_;
  const Event* current_ = nullptr;  // while on_message runs
  uint64_t bytes_in_ = 0;
  uint64_t bytes_out_ = 0;
  uint64_t dropped_ = 0;
  Backlog* backlog_ = nullptr;  // while messages wait
  PackedAddress peer_;
  bool pumping_ : 1 = false;
  bool opened_ : 1 = false;
  bool closed_given_ : 1 = false;
  bool blocked_ : 1 = false;  // the kernel takes no more; waiting for kWritable
  bool write_ended_ : 1 = false;
  bool gated_ : 1 = false;  // gate_ != 0, beside what is asked with it
  bool asked_to_close_ : 1 = false;
  bool managed_ : 1 = false;        // not every message goes straight to the engine
  bool sorts_ : 1 = false;          // it was sent an urgent message
  bool end_seen_ : 1 = false;       // the stream's, behind input that is held back
  bool uses_memory_ : 1 = false;    // memory_told_ is not 0
  std::atomic<bool> inert_{false};  // for other threads: posting is pointless
  uint8_t gate_ = 0;                // kPaused..., what stands between
  uint32_t credit_ = 0;             // messages that may come, with kCredit
  uint32_t memory_told_ = 0;        // in kHeldUnit
  Transport transport_;
  Engine engine_;
};
LIBWS_HANDLE(Conn, ws_conn);

// No exception may enter through a callback (base.h); one that does ends its connection and
// nothing else (bad_inputs 235).
template <class Call>
void Conn::call_back(Call call) {
  pumping_ = true;
  try {
    call();
  } catch (...) {
    callback_threw();
  }
  pumping_ = false;
}

}  // namespace libws
