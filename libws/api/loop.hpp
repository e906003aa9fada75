// Making a loop from its config; and what an application puts on one: a deadline on its wheel
// (ws_timer) or a descriptor in its poller (ws_watch), and a function to call.
#pragma once

#include "libws/base/handle.hpp"
#include "libws/net/loop.hpp"

namespace libws {

// Throws std::bad_alloc.  Errors: those of ws_loop_new().
Error make_loop(const ws_loop_config* cfg, std::unique_ptr<Loop>* out);

class UserTimer final : public TimerNode, public LoopMember, public Allocated {
 public:
  UserTimer(Loop& loop, void (*fn)(ws_timer*, void*), void* user)
      : loop_(loop), fn_(fn), user_(user) {
    loop.add_member(this);
  }
  ~UserTimer() override {
    stop();
    LoopMember* member = this;
    if (member->linked()) member->unlink();
  }

  void start(uint32_t after_ms) {
    loop_.arm(static_cast<TimerNode*>(this), loop_.fresh_now_ms() + after_ms);
  }
  void stop() { loop_.disarm(this); }

  void on_timeout() override;
  void on_loop_free() override { delete this; }
  void on_loop_abandoned() override { delete this; }

 private:
  Loop& loop_;
  void (*fn_)(ws_timer*, void*);
  void* user_;
};
LIBWS_HANDLE(UserTimer, ws_timer);

// The callback may free the timer, so it comes last.
inline void UserTimer::on_timeout() { fn_(to_handle(this), user_); }

class UserWatch final : public Watcher, public LoopMember, public Allocated {
 public:
  UserWatch(Loop& loop, ws_watch_fn fn, void* user) : loop_(loop), fn_(fn), user_(user) {}

  Error start(int fd, uint32_t events) {
    if (Error e = loop_.watch(this, fd, events)) return e;
    loop_.add_member(this);
    return {};
  }
  Error set(uint32_t events) { return loop_.set_interest(this, events); }
  // The last call from outside.  The batch of this turn may still name the watcher.
  void end() {
    LoopMember* member = this;
    if (member->linked()) member->unlink();
    loop_.retire(this);
  }

  void on_ready(uint32_t events) override;
  void on_timeout() override {}
  void on_retired() override { delete this; }
  void on_loop_free() override { end(); }
  void on_loop_abandoned() override { end(); }

 private:
  Loop& loop_;
  ws_watch_fn fn_;
  void* user_;
};
LIBWS_HANDLE(UserWatch, ws_watch);

static_assert(uint32_t{WS_WATCH_READ} == kReadable && uint32_t{WS_WATCH_WRITE} == kWritable &&
              uint32_t{WS_WATCH_HANGUP} == kHangup);
inline void UserWatch::on_ready(uint32_t events) { fn_(to_handle(this), events, user_); }

}  // namespace libws
