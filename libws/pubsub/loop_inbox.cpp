#include "libws/pubsub/loop_inbox.hpp"

#include <cassert>
#include <utility>

namespace libws {

LoopInbox::LoopInbox(Loop& loop, uint64_t max_bytes)
    : home_(&loop), max_bytes_(max_bytes), task_(run, this), loop_(&loop) {
  loop.add_member(this);
}

LoopInbox::~LoopInbox() { assert(left_ && !posted_ && !linked()); }

LoopInbox::Pushed LoopInbox::push(Publication::Place& place) {
  const uint64_t cost = place.of->cost();
  std::lock_guard lock(mutex_);
  if (loop_ == nullptr) return Pushed::kGone;
  const uint64_t queued = queued_bytes();
  if (cost > max_bytes_ || queued > max_bytes_ - cost) return Pushed::kFull;
  place.of->ref();
  (tail_ != nullptr ? tail_->next : head_) = &place;
  tail_ = &place;
  queued_.fetch_add(cost, std::memory_order_relaxed);
  waits_.store(true, std::memory_order_release);
  wake_locked();
  return Pushed::kTaken;
}

void LoopInbox::wake() {
  std::lock_guard lock(mutex_);
  wake_locked();
}

void LoopInbox::wake_locked() {
  if (loop_ == nullptr || posted_) return;
  posted_ = true;
  ref();
  loop_->post(task_);
}

void LoopInbox::end() {
  ending_.store(true, std::memory_order_release);
  wake();
}

Publication::Place* LoopInbox::take_locked() {
  tail_ = nullptr;
  waits_.store(false, std::memory_order_relaxed);
  return std::exchange(head_, nullptr);
}

Publication::Place* LoopInbox::take() {
  std::lock_guard lock(mutex_);
  return take_locked();
}

// Outside the lock: the last reference to a message may call the application.
void LoopInbox::discard(Publication::Place* first) {
  while (first != nullptr) std::exchange(first, first->next)->of->unref();
}

void LoopInbox::run(ws_loop*, void* arg, int cancelled) {
  const Ref<LoopInbox> self = Ref<LoopInbox>::adopt(static_cast<LoopInbox*>(arg));
  {
    std::lock_guard lock(self->mutex_);
    self->posted_ = false;
  }
  if (self->left_) return;
  // The end was asked for after all that is to arrive before it was pushed.
  const bool ending = self->ending();
  if (cancelled == 0) {
    self->on_wake();
  } else {
    self->drain([](const Published&) { return false; });
  }
  if (ending && !self->left_) self->depart();
}

void LoopInbox::depart() {
  left_ = true;
  if (linked()) unlink();
  on_leave();
  Publication::Place* waiting;
  {
    std::lock_guard lock(mutex_);
    loop_ = nullptr;
    waiting = take_locked();
  }
  discard(waiting);
  queued_.store(0, std::memory_order_relaxed);
  unref();
}

void LoopInbox::on_loop_free() {
  if (!left_) depart();
}

// The loop has dropped its tasks, ours with them, unless it is on the stack.
void LoopInbox::on_loop_abandoned() {
  left_ = true;
  on_forget();
  if (mutex_.try_lock()) {
    loop_ = nullptr;
    Publication::Place* waiting = take_locked();
    const bool posted = std::exchange(posted_, false);
    mutex_.unlock();
    discard(waiting);
    if (posted) unref();
  }
  unref();
}

}  // namespace libws
