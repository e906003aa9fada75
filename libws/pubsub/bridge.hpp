// The hub's way to other processes: tells on one loop which topics there are and what is published.
#pragma once

#include "libws/pubsub/loop_inbox.hpp"

#include <libws/hub.h>

namespace libws {

class Hub;

class Bridge final : public LoopInbox {
 public:
  // Thread: the loop's.
  Bridge(Hub& hub, Loop& loop, const ws_hub_bridge& hooks, uint64_t max_queued_bytes);

  bool wants_topics() const { return hooks_.on_topic != nullptr; }
  bool wants_messages() const { return hooks_.on_publish != nullptr; }

 private:
  ~Bridge() override;

  void on_wake() override;
  void on_leave() override;
  void on_forget() override;

  Ref<Hub> hub_;
  const ws_hub_bridge hooks_;
};

}  // namespace libws
