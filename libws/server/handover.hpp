// Offering listening sockets to a process that takes our place.
//
//   offering -> a taker is connected: the sockets were sent to it -> it said kReady: promised -> it
//   was told: taken
//
// A taker that ends earlier, or is too slow, leaves us offering.  What goes over the wire is
// described in handover_wire.hpp.
#pragma once

#include "libws/server/pool.hpp"

#include <libws/handover.h>

namespace libws {

class Handover final : public AcceptSink, public LoopMember, public Allocated {
 public:
  struct Options {
    Vector<Listener*> listeners;
    Vector<PoolListener*> pool_listeners;
    void (*on_taken)(void* user) = nullptr;
    void* user = nullptr;
    uint32_t timeout_ms = 30000;
  };
  Handover(Loop& loop, Options options) : loop_(loop), options_(std::move(options)) {
    loop.add_member(this);
  }

  // Errors: ADDR, INVALID, TOO_BIG, IO, NOMEM; free() is still the caller's to call.
  Error start(const char* path);
  void free();

  // AcceptSink
  void on_accept(Listener& from, int fd, const Address& peer) override;
  bool can_accept() override { return taker_ == nullptr; }
  void close_listener(Listener*) override {}
  // LoopMember
  void on_loop_free() override { free(); }
  void on_loop_abandoned() override;

 private:
  // The process at the other end.
  class Taker final : public Watcher, public Allocated {
   public:
    Taker(Handover& owner, int fd) : owner_(&owner), fd_(fd) {}
    Error start();
    void end();
    void answer();
    void on_ready(uint32_t events) override;
    void on_timeout() override;
    void on_retired() override { delete this; }

   private:
    ~Taker() override;
    Handover* owner_;
    int fd_;
    bool promised_ = false;  // it said kReady; kTaken is on its way
  };

  ~Handover() = default;
  Error send_to(int fd);
  void taker_failed(const char* why);
  void promised();
  void taken();
  void let_go();

  Loop& loop_;
  Options options_;
  Listener* door_ = nullptr;
  Taker* taker_ = nullptr;
};

LIBWS_HANDLE(Handover, ws_handover);

}  // namespace libws
