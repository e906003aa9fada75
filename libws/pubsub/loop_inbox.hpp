// What waits for one loop, from any thread, and the task that makes the loop look at it.
//
// Lives until the loop goes or end() is called; who holds a reference may push after that, and is
// told that nobody is there.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/ref.hpp"
#include "libws/net/loop.hpp"
#include "libws/pubsub/publication.hpp"

#include <atomic>
#include <mutex>

namespace libws {

class LoopInbox : public LoopMember, public RefCounted<LoopInbox>, public Allocated {
 public:
  // The first reference is the loop's.  Thread: the loop's.
  LoopInbox(Loop& loop, uint64_t max_bytes);
  LoopInbox(const LoopInbox&) = delete;
  LoopInbox& operator=(const LoopInbox&) = delete;

  // ---- thread: any ----
  enum class Pushed { kTaken, kFull, kGone };
  Pushed push(Publication::Place& place);
  // on_wake() soon.
  void wake();
  // The same; behind what waits it leaves the loop.
  void end();
  uint64_t queued_bytes() const { return queued_.load(std::memory_order_relaxed); }
  // Only an identity: the loop may be gone.
  const Loop* home() const { return home_; }

  // LoopMember
  void on_loop_free() override;
  void on_loop_abandoned() override;

 protected:
  friend class RefCounted<LoopInbox>;
  virtual ~LoopInbox();

  // ---- thread: the loop's ----
  // There may be something; not while the loop is being freed.
  virtual void on_wake() = 0;
  // Nothing comes any more: let go of everything else, and for fork() without a lock.
  virtual void on_leave() = 0;
  virtual void on_forget() = 0;

  // Calls deliver(const Published&) for what waits, in order, until it returns false; what is
  // pushed meanwhile is for the next time.
  template <class Deliver>
  void drain(Deliver deliver) {
    Publication::Place* place = take();
    for (bool more = true; place != nullptr;) {
      Publication* p = place->of;
      place = place->next;
      more = more && deliver(p->what());
      queued_.fetch_sub(p->cost(), std::memory_order_relaxed);
      p->unref();
    }
  }
  bool anything_waits() const { return waits_.load(std::memory_order_acquire); }
  bool ending() const { return ending_.load(std::memory_order_acquire); }
  bool left() const { return left_; }
  Loop& loop() const { return *loop_; }  // until left()

 private:
  static void run(ws_loop*, void* arg, int cancelled);
  Publication::Place* take();
  Publication::Place* take_locked();
  void discard(Publication::Place* first);
  void wake_locked();
  void depart();

  const Loop* const home_;
  const uint64_t max_bytes_;
  PostedTask task_;
  std::atomic<uint64_t> queued_{0};  // raised under the mutex
  std::atomic<bool> waits_{false};   // changed under the mutex
  std::atomic<bool> ending_{false};
  bool left_ = false;
  std::mutex mutex_;
  Loop* loop_;           // null once left
  bool posted_ = false;  // the loop has task_, which holds a reference
  Publication::Place* head_ = nullptr;
  Publication::Place* tail_ = nullptr;
};

}  // namespace libws
