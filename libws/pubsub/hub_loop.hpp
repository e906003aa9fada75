// A hub's part on one loop: the subscribers there, and what is published to them elsewhere.
#pragma once

#include "libws/pubsub/loop_inbox.hpp"
#include "libws/pubsub/subscribers.hpp"

namespace libws {

class Hub;

class HubLoop final : public LoopInbox, private SharedTopics {
 public:
  // Thread: the loop's.  `place` is its own in the hub's list.
  HubLoop(Hub& hub, Loop& loop, uint32_t place);

  Subscribers& subscribers() { return subscribers_; }
  uint32_t place() const { return place_; }

  // In a turn of its loop: what waits first, then this.  Not while busy().
  void publish_here(const Published& what);
  // It is at what waits.  Who releases a message there publishes behind that.  Thread: the loop's.
  bool busy() const { return busy_; }

  // Thread: any.
  uint64_t delivered() const { return delivered_.load(std::memory_order_relaxed); }
  uint64_t dropped() const { return dropped_.load(std::memory_order_relaxed); }

 private:
  ~HubLoop() override;

  // LoopInbox
  void on_wake() override;
  void on_leave() override;
  void on_forget() override;
  // SharedTopics
  Error join(std::string_view name, uint32_t hash, bool pattern, Topic** out) override;
  void leave(Topic* topic) override;
  void subscriptions_changed(int by) override;

  void deliver(const Published& what);

  Ref<Hub> hub_;
  const uint32_t place_;
  Subscribers subscribers_;
  bool busy_ = false;
  std::atomic<uint64_t> delivered_{0}, dropped_{0};  // written by the loop's thread only
};

}  // namespace libws
