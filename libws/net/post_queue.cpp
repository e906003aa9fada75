// `pending_` goes up with the first task and down when run() takes the list, both under the mutex,
// so a list that is not empty is always announced; only the change from down to up writes to the
// wake-up descriptor, which makes a burst of posts cost one system call.
#include "libws/net/post_queue.hpp"

#include "libws/base/system.hpp"

#include <unistd.h>
#include <cerrno>
#include <utility>

namespace libws {

PostQueue::~PostQueue() {
  // The loop has run what was there (Loop::shut_down), unless it never came to life.
  while (head_ != nullptr) {
    PostedTask* next = head_->next_;
    if (head_->queues_own_) delete head_;
    head_ = next;
  }
  if (fd_ >= 0) sys().close(fd_);
}

Error PostQueue::open() {
  fd_ = sys().eventfd();
  if (fd_ < 0) return fail_errno(WS_ERR_IO, errno, "eventfd");
  return {};
}

Error PostQueue::push(ws_task_fn fn, void* arg, bool ours) {
  PostedTask* task = new (std::nothrow) PostedTask(fn, arg);
  if (task == nullptr) return fail(WS_ERR_NOMEM, "posted task");
  task->queues_own_ = true;
  task->ours_ = ours;
  push(*task);
  return {};
}

void PostQueue::push(PostedTask& task) {
  bool first;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    task.next_ = nullptr;
    (tail_ != nullptr ? tail_->next_ : head_) = &task;
    tail_ = &task;
    first = !pending_.exchange(true, std::memory_order_release);
  }
  if (first) wake();
}

size_t PostQueue::run(ws_loop* loop, int cancelled) {
  PostedTask* task;
  {
    std::lock_guard<std::mutex> lock(mutex_);
    task = head_;
    head_ = tail_ = nullptr;
    pending_.store(false, std::memory_order_relaxed);
  }
  size_t count = 0;
  while (task != nullptr) {
    PostedTask* next = task->next_;
    ws_task_fn fn = task->fn_;
    void* arg = task->arg_;
    if (task->queues_own_) delete task;
    fn(loop, arg, cancelled);
    task = next;
    ++count;
    if (!abandoned_) continue;
    drop(task);
    break;
  }
  return count;
}

void PostQueue::abandon() {
  abandoned_ = true;
  if (fd_ >= 0) sys().close(std::exchange(fd_, -1));
  const bool whole = mutex_.try_lock();
  PostedTask* first = std::exchange(head_, nullptr);
  tail_ = nullptr;
  pending_.store(false, std::memory_order_relaxed);
  if (!whole) return;
  mutex_.unlock();
  drop(first);
}

void PostQueue::drop(PostedTask* first) {
  while (first != nullptr) {
    PostedTask* task = std::exchange(first, first->next_);
    if (task->ours_) task->fn_(nullptr, task->arg_, 1);
    if (task->queues_own_) delete task;
  }
}

void PostQueue::wake() {
  int saved = errno;  // a signal handler must leave it as it was
  uint64_t one = 1;
  // Fails only with EAGAIN, when the counter is full: then it is readable already.
  while (write(fd_, &one, sizeof one) < 0 && errno == EINTR) {
  }
  errno = saved;
}

void PostQueue::clear_wake() {
  uint64_t count;
  while (read(fd_, &count, sizeof count) < 0 && errno == EINTR) {
  }
}

}  // namespace libws
