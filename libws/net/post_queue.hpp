// Tasks from other threads, and the descriptor that wakes the loop for them.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/error.hpp"

#include <libws/loop.h>

#include <atomic>
#include <mutex>

namespace libws {

class PostQueue;

// A task that is part of its poster, so that posting it cannot fail.  It may be posted again once
// it runs, and stays where it is until then.
class PostedTask : public Allocated {
 public:
  // `ours`: cancelled in the child of a fork too, as PostQueue::push_ours() says.
  PostedTask(ws_task_fn fn, void* arg, bool ours = false) : fn_(fn), arg_(arg), ours_(ours) {}
  PostedTask(const PostedTask&) = delete;
  PostedTask& operator=(const PostedTask&) = delete;

 private:
  friend class PostQueue;
  ws_task_fn fn_;
  void* arg_;
  PostedTask* next_ = nullptr;
  bool queues_own_ = false;  // made by push()
  bool ours_;
};

class PostQueue {
 public:
  PostQueue() = default;
  ~PostQueue();
  PostQueue(const PostQueue&) = delete;
  PostQueue& operator=(const PostQueue&) = delete;

  Error open();  // makes the wake-up descriptor
  int fd() const { return fd_; }

  // Thread: any.  In order per calling thread; one wake-up for many posts.
  Error push(ws_task_fn fn, void* arg) { return push(fn, arg, false); }
  // One that only tidies up when it is cancelled, and calls nobody then: abandon() cancels it, and
  // drops the others.
  Error push_ours(ws_task_fn fn, void* arg) { return push(fn, arg, true); }
  // The same with the poster's memory.
  void push(PostedTask& task);

  // True when run() has something to do; a plain load, so a loop can ask every turn.
  bool pending() const { return pending_.load(std::memory_order_acquire); }

  // Runs what was queued when it was called, in order, outside the lock, so that tasks may post.
  // Returns how many.
  size_t run(ws_loop* loop, int cancelled);

  // Makes fd() readable.  Thread: any; async-signal-safe.
  void wake();
  // Makes fd() unreadable again, before looking at the queue.
  void clear_wake();

  // In the child of a fork: closes the descriptor and forgets what is queued, also what a run() on
  // the stack has not come to.  Another thread may have held the mutex; what it was changing is
  // left as it is.
  void abandon();

 private:
  Error push(ws_task_fn fn, void* arg, bool ours);
  static void drop(PostedTask* first);

  std::mutex mutex_;
  PostedTask* head_ = nullptr;
  PostedTask* tail_ = nullptr;
  std::atomic<bool> pending_{false};  // changed under the mutex; true while the list is not empty
  bool abandoned_ = false;
  int fd_ = -1;
};

}  // namespace libws
