// Making a loop from its config; the timer behind ws_timer: a deadline on a loop's wheel and a
// function to call.
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

}  // namespace libws
