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
#include "libws/conn/conn_shared.hpp"
#include "libws/net/address.hpp"
#include "libws/net/loop.hpp"
#include "libws/net/transport.hpp"
#include "libws/protocol/engine.hpp"

#include <libws/conn.h>

#include <atomic>

namespace libws {

class Conn;

// Who made the connection: a server, later a client.
class ConnOwner {
 public:
  // A request to answer; if it returns unanswered, it must hold a reference or answer later.
  virtual void on_request(Conn& conn, Request& request) = 0;
  virtual void on_opened(Conn& conn) = 0;
  virtual void on_ended(Conn& conn) = 0;  // after on_close, or instead of it
  virtual void on_gone(Conn& conn) = 0;   // the descriptor is closed; forget the connection

 protected:
  ~ConnOwner() = default;
};

// What the connections of one owner have in common.  Counted, because a handle may outlive the
// owner.
struct ConnPolicy : RefCounted<ConnPolicy>, Allocated {
  Limits limits;
  ws_handlers handlers;
};

struct ConnLink : ListNode {};  // the owner's list

class Conn final : public Watcher,
                   public ConnLink,
                   private RequestHost,
                   public RefCounted<Conn>,
                   public Allocated {
 public:
  // Owns fd from here on, also when start() fails.  Throws std::bad_alloc.
  Conn(ConnShared& shared, ConnOwner& owner, Ref<ConnPolicy> policy, Role role, int fd,
       const Address& peer);

  // Puts it on the loop, which then holds a reference of its own until the end.
  Error start();

  // ---- the public calls of conn.h, same contracts ----
  Error send(ws_opcode op, Bytes data, uint32_t flags);
  Error send_part(ws_opcode op, Bytes data, bool last);
  Error send_message(const Message& m);
  Error post_message(Message& m);  // thread: any
  Error keep_message(Ref<Message>* out);
  Error ping(Bytes data);
  Error pong(Bytes data);
  Error flush();
  Error pause();
  Error resume();
  Error close(uint16_t code, std::string_view reason);
  void abort();
  void get_stats(ws_conn_stats* out) const;

  uint64_t id() const { return id_; }
  // Null once on_close has returned.
  ws_loop* loop_handle() const {
    return closed_given_ && !pumping_ ? nullptr : shared_->loop().handle();
  }
  void* user() const { return user_; }
  void set_user(void* user) { user_ = user; }
  const PackedAddress& peer() const { return peer_; }
  const char* subprotocol() const { return engine_.subprotocol(); }
  bool is_open() const { return engine_.is_open() && opened_; }
  uint64_t buffered() const { return engine_.buffered(); }

  // ---- for the owner ----
  // The library's own answer to the request that on_request() got.
  void refuse(int status, const char* why) { engine_.refuse(status, why); }
  bool opened() const { return opened_ && !closed_given_; }  // between on_open and on_close
  bool was_opened() const { return opened_; }
  // The owner is going away: no more calls to it.
  void disown() { owner_ = nullptr; }

  // ---- for the loop ----
  void on_ready(uint32_t events) override;
  void on_timeout() override;
  void on_deferred() override;
  void on_flush() override;
  void on_retired() override;

 private:
  friend class RefCounted<Conn>;
  ~Conn() override;

  // RequestHost
  Error accept(const AcceptOptions& how) override;
  Error respond(const Response& response) override;

  // conn_read.cpp
  void read_in();
  bool may_read();
  void read_landing(std::span<uint8_t> landing);
  void take_read(const IoResult& r);
  void pump();
  template <class Call>
  void call_back(Call call);
  void callback_threw();
  void pump_events();
  void dispatch(const Event& ev);
  void dispatch_request();
  void closed_was_given();
  void log_refusal() const;
  void dispatch_message(const Event& ev);

  // conn_write.cpp
  void write_out();
  IoResult write_many(size_t* total);
  Error finish(bool pressed_before, Error result, uint32_t flags);
  void output_queued(uint32_t flags);
  void wait_for_room();

  // conn.cpp
  void use_clock();
  Error enter(const char* what);
  void settle();
  void watch_what_is_wanted();
  void arm_timer();
  void tear_down();
  // Something happened outside a callback that only a callback can tell.
  void tell_later();
  Loop& loop() const { return shared_->loop(); }  // until inert
  EngineResources& resources() const { return shared_->resources; }

  Ref<ConnShared> shared_;
  Ref<ConnPolicy> policy_;
  ConnOwner* owner_;
  const ws_handlers* handlers_;  // the policy's, or own_handlers_
  ws_handlers* own_handlers_ = nullptr;
  void* user_ = nullptr;
  const uint64_t id_;
  const Event* current_ = nullptr;  // while on_message runs
  uint64_t bytes_in_ = 0;
  uint64_t bytes_out_ = 0;
  uint32_t dropped_ = 0;
  PackedAddress peer_;
  bool pumping_ : 1 = false;
  bool opened_ : 1 = false;
  bool closed_given_ : 1 = false;
  bool paused_ : 1 = false;
  bool blocked_ : 1 = false;  // the kernel takes no more; waiting for kWritable
  bool write_ended_ : 1 = false;
  std::atomic<bool> inert_{false};  // for other threads: posting is pointless
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
