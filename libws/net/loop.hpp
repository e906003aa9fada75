// The event loop: one thread, one turn at a time.
//
//   wait -> ready descriptors -> timers -> posted tasks -> deferred work -> the user's turn end
//        -> flush -> retire
//
// Everything a callback may trigger is put on one of the lists below instead of being done on
// the spot: a close is reported by deferred work, output of the whole turn leaves in flush, and
// objects die only in retire, when no event of the turn can still name them.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/error.hpp"
#include "libws/base/handle.hpp"
#include "libws/base/histogram.hpp"
#include "libws/base/log.hpp"
#include "libws/net/poller.hpp"
#include "libws/net/post_queue.hpp"
#include "libws/net/timers.hpp"
#include "libws/net/tls_buffers.hpp"

#include <libws/loop.h>

#include <atomic>
#include <cassert>
#include <cstdint>
#include <memory>
#include <thread>

namespace libws {

class Loop;
LIBWS_HANDLE(Loop, ws_loop);
class Resolver;

// Something that lives on a loop: a descriptor (or none), a timer, and a place on the lists of
// a turn.  One vtable serves all, which keeps an idle connection small.
class Watcher : public TimerNode {
 public:
  // The descriptor is ready.  Never called after unwatch() or retire().
  virtual void on_ready(uint32_t events) = 0;
  // Loop::defer() asked for it, perhaps before a retire().
  virtual void on_deferred() {}
  // Loop::flush_later() asked for it: write what was queued during the turn.  Calls no user code.
  virtual void on_flush() {}
  // Loop::abandon() found it on a list: as LoopMember::on_loop_abandoned(), for what has no owner.
  virtual void on_abandoned() {}
  // The last call: give back the memory (delete this, or drop the loop's reference).
  virtual void on_retired() = 0;

  int fd() const { return fd_; }
  uint32_t interest() const { return interest_; }
  bool retired() const { return retired_ != 0; }

 protected:
  Watcher() = default;
  // The loop must have let go: through on_retired(), or unwatch() if nothing else was asked of it.
  ~Watcher() override { assert(fd_ < 0 && !deferred_ && !flushing_); }

 private:
  friend class Loop;
  // The small members first: they fill the tail of TimerNode and keep this at 64 bytes.
  uint8_t interest_ : 2 = 0;
  uint8_t deferred_ : 1 = 0;
  uint8_t flushing_ : 1 = 0;
  uint8_t retired_ : 1 = 0;
  uint8_t watched_before_ : 1 = 0;  // events of an earlier descriptor may be in the batch
  int fd_ = -1;
  Watcher* next_deferred_ = nullptr;
  Watcher* next_flush_ = nullptr;
};

// What must be shut down when a loop is freed: servers, and later clients.
class LoopMember : public ListNode {
 public:
  // ws_loop_free() has begun: abort what the member owns, whose watchers deliver what they owe
  // through deferred work.  The member itself stays; may be called again.
  virtual void on_loop_stop() {}
  // Nothing is owed any more: free the member.
  virtual void on_loop_free() = 0;
  // The child of a fork forgets the loop: close this process's descriptors and free the member, or
  // retire it.  Sends nothing, logs nothing, calls nobody, and takes no lock, because a thread that
  // is not there any more may hold it.  The member is on no list of the loop's by now.
  virtual void on_loop_abandoned() = 0;

 protected:
  ~LoopMember() = default;
};

// What the layer above keeps once for each loop; the loop only carries it.
class LoopCompanion {
 public:
  // At the end of shut_down(): from here on nothing may reach for the loop.
  virtual void on_loop_gone() = 0;
  virtual void on_loop_abandoned() = 0;  // the same without a lock
  virtual void release() = 0;            // the loop's reference

 protected:
  ~LoopCompanion() = default;
};

struct LoopConfig {
  const char* poller = nullptr;
  uint32_t read_bytes = 128 * 1024;
  uint32_t max_events = 1024;
  bool time_callbacks = false;
  Log log;
};

class Loop : public Allocated {
 public:
  static Error create(const LoopConfig& config, std::unique_ptr<Loop>* out);
  ~Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;

  // ---- the public calls of loop.h, same contracts ----
  Error run();
  // >= 0: descriptors, timers and tasks handled, the loop's own descriptors not counted; < 0: a
  // ws_error.
  int dispatch(uint32_t timeout_ms);
  // Ends every member and delivers what is owed; the destructor may follow.  REENTRANT inside a
  // callback.
  Error shut_down();
  // In the child of a fork.  True: the destructor may follow; false: a turn is on the stack, and it
  // may follow when that has returned, or the turn was another thread's, and it may never.
  bool abandon();
  bool abandoned() const { return abandoned_; }
  int pollable_fd();  // < 0: a ws_error
  void stop();
  void set_turn_end(ws_turn_fn fn, void* user) { turn_end_ = fn, turn_end_user_ = user; }
  Error post(ws_task_fn fn, void* arg) { return posts_.push(fn, arg); }
  Error post_ours(ws_task_fn fn, void* arg) { return posts_.push_ours(fn, arg); }
  void post(PostedTask& task) { posts_.push(task); }  // Thread: any
  // Tasks wait to be run.  Thread: any.
  bool posts_waiting() const { return posts_.pending(); }
  void get_stats(ws_loop_stats* out);
  // Adds what get_stats() gives to `out`, but for the longest turn.
  void add_stats(ws_loop_stats* out) const;
  const Histogram& turn_times() const { return turn_times_; }
  bool times_callbacks() const { return time_callbacks_; }
  const Histogram& callback_times() const { return callback_times_; }
  void add_callback_time(uint64_t us) { callback_times_.add(us); }

  // The time of this turn, or of the last one when between turns.
  uint64_t now_ms() const { return now_us_ / 1000; }
  uint64_t now_us() const { return now_us_; }
  ws_loop* handle() const { return to_handle(this); }
  const Log& log() const { return log_; }
  const char* poller_name() const { return poller_->name(); }
  // run(), dispatch() or shut_down() is on the stack.
  bool in_turn() const { return in_turn_; }
  // The loop whose turn is on top of this thread's stack, or null.  Thread: any.
  static const Loop* current();
  // The time to count a timeout from: now_ms() in a turn; read from the clock between turns, where
  // now_ms() may be long past.
  uint64_t fresh_now_us() const { return in_turn_ ? now_us_ : sys().now_us(); }
  uint64_t fresh_now_ms() const { return fresh_now_us() / 1000; }

  // ---- for what lives on the loop; all on the loop's thread ----

  // Starts watching; the watcher keeps the descriptor, the loop never closes it.
  Error watch(Watcher* w, int fd, uint32_t interest);
  // Changes the interest; does nothing when it is the same or w is not watched.  Failure is
  // possible only where the kernel needs memory for it.  Interest 0 still reports kHangup, again
  // and again: a watcher that pauses and gets kHangup must unwatch.
  Error set_interest(Watcher* w, uint32_t interest);
  // Stops watching; the descriptor may be closed at once afterwards.  Events of the current
  // batch for it are dropped.
  void unwatch(Watcher* w);

  void arm(TimerNode* timer, uint64_t deadline_ms) {
    timers_.arm(timer, deadline_ms);
    if (timer_fd_ >= 0 && !in_turn_) arm_kernel_timer();
  }
  // Does nothing on a retired watcher.
  void arm(Watcher* w, uint64_t deadline_ms) {
    if (!w->retired_) arm(static_cast<TimerNode*>(w), deadline_ms);
  }
  void disarm(TimerNode* timer) { timers_.stop(timer); }
  const TimerWheel& timers() const { return timers_; }  // to arm one, arm() above

  // Runs w->on_deferred() once, this turn or the next.  Deferring during the deferred phase or
  // later is for the next turn, which then does not wait.  Does nothing on a retired watcher, but
  // what was deferred before retire() still runs, and on_retired() waits for it.
  void defer(Watcher* w);
  // Runs w->on_flush() once, at the end of this turn (or of the next, outside one); not at all if
  // w is retired by then.
  void flush_later(Watcher* w);
  // Unwatches, disarms, and calls w->on_retired() at the end of the turn.  Twice is once.
  void retire(Watcher* w);

  void add_member(LoopMember* m) { members_.push_back(m); }
  void connection_added() { ++connections_; }
  void connection_removed() { --connections_; }

  LoopCompanion* companion() const { return companion_; }
  void set_companion(LoopCompanion* companion) { companion_ = companion; }

  // The loop's name look-ups, made on first use.  Throws std::bad_alloc.
  Resolver& resolver();

  // The receive buffer that every connection of this loop shares.
  uint8_t* read_buffer() { return read_buffer_; }
  size_t read_bytes() const { return read_bytes_; }
  TlsBuffers& tls_buffers() { return tls_buffers_; }

 private:
  // Singly linked through one of the watcher's two next pointers.
  template <Watcher* Watcher::*Next>
  struct Queue {
    Watcher* head = nullptr;
    Watcher* tail = nullptr;

    void push(Watcher* w) {
      w->*Next = nullptr;
      (tail != nullptr ? tail->*Next : head) = w;
      tail = w;
    }
    Watcher* pop() {
      Watcher* w = head;
      if (w == nullptr) return nullptr;
      head = w->*Next;
      if (head == nullptr) tail = nullptr;
      return w;
    }
  };

  // The loop's own descriptors: posts and stop(); the kernel timer behind ws_loop_fd().
  class Wakeup final : public Watcher {
   public:
    explicit Wakeup(Loop& loop) : loop_(loop) {}
    void on_ready(uint32_t events) override;
    void on_timeout() override {}
    void on_retired() override {}

   private:
    Loop& loop_;
  };
  class KernelTimer final : public Watcher {
   public:
    explicit KernelTimer(Loop& loop) : loop_(loop) {}
    void on_ready(uint32_t events) override;
    void on_timeout() override {}
    void on_retired() override {}

   private:
    Loop& loop_;
  };
  class Entered;

  explicit Loop(const LoopConfig& config);
  Error open(const LoopConfig& config);
  int turn(uint32_t timeout_ms);
  int wait_timeout(uint32_t timeout_ms) const;
  size_t run_ready(int count);
  void drop_ready(const Watcher* w);
  size_t run_posts(int cancelled);
  void run_deferred();
  void run_flush();
  void run_retired();
  void abandon_deferred();
  void let_go();
  bool work_pending() const;
  void arm_kernel_timer();
  void wake_if_idle();  // outside a turn, deferred work must make the descriptor readable

  Log log_;
  std::unique_ptr<Poller> poller_;
  ReadyEvent* events_ = nullptr;
  int events_next_ = 0, events_end_ = 0;  // the part of the batch not yet dispatched
  ws_turn_fn turn_end_ = nullptr;
  void* turn_end_user_ = nullptr;
  uint64_t now_us_;
  uint64_t turn_end_us_;
  TimerWheel timers_;
  PostQueue posts_;
  LoopCompanion* companion_ = nullptr;
  std::unique_ptr<Resolver> resolver_;
  Wakeup wakeup_{*this};
  KernelTimer kernel_timer_{*this};
  List<LoopMember> members_;
  Queue<&Watcher::next_deferred_> deferred_;
  Queue<&Watcher::next_deferred_> deferred_now_;  // what run_deferred() has not come to yet
  Watcher* deferring_ = nullptr;                  // what it is at
  Queue<&Watcher::next_flush_> flush_;
  List<TimerNode> retired_;  // a retired watcher is disarmed, so its timer's links are free
  uint8_t* read_buffer_ = nullptr;
  TlsBuffers tls_buffers_;
  size_t read_bytes_;
  int max_events_;
  int timer_fd_ = -1;                         // only once ws_loop_fd() was called
  uint64_t kernel_deadline_ms_ = UINT64_MAX;  // what timer_fd_ is set to
  std::atomic<bool> stop_{false};
  std::thread::id thread_;            // of the turn, while in_turn_
  std::atomic<bool> waiting_{false};  // the turn is in the poller: nothing is half done
  const bool time_callbacks_;
  bool in_turn_ = false;
  bool abandoned_ = false;
  bool woken_ = false;  // wake_if_idle() has been here since the last turn
  uint64_t turns_ = 0, handled_ = 0, tasks_ = 0, connections_ = 0, longest_turn_us_ = 0;
  Histogram turn_times_;
  Histogram callback_times_;
};

}  // namespace libws
