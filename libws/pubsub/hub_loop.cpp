#include "libws/pubsub/hub_loop.hpp"

#include "libws/pubsub/hub.hpp"

namespace libws {

HubLoop::HubLoop(Hub& hub, Loop& loop, uint32_t place)
    : LoopInbox(loop, hub.options().max_queued_bytes),
      hub_(Ref<Hub>::share(&hub)),
      place_(place),
      subscribers_(*this, hub.hash(), &hub, hub.options().max_subscriptions_per_conn) {}

HubLoop::~HubLoop() = default;

void HubLoop::deliver(const Published& what) {
  uint64_t delivered = 0, dropped = 0;
  subscribers_.deliver(what, &delivered, &dropped);
  delivered_.store(delivered_.load(std::memory_order_relaxed) + delivered,
                   std::memory_order_relaxed);
  if (dropped == 0) return;
  dropped_.store(dropped_.load(std::memory_order_relaxed) + dropped, std::memory_order_relaxed);
}

void HubLoop::on_wake() {
  busy_ = true;
  drain([this](const Published& what) {
    deliver(what);
    return !left();
  });
  busy_ = false;
}

void HubLoop::publish_here(const Published& what) {
  const Ref<LoopInbox> self = Ref<LoopInbox>::share(this);
  if (anything_waits()) on_wake();
  busy_ = true;
  if (!left()) deliver(what);
  busy_ = false;
}

void HubLoop::on_leave() {
  subscribers_.end_all();
  hub_->remove(*this);
}

void HubLoop::on_forget() {
  subscribers_.forget_all();
  hub_->abandon();
}

Error HubLoop::join(std::string_view name, uint32_t hash, bool pattern, Topic** out) {
  return hub_->join(name, hash, pattern, place_, out);
}

void HubLoop::leave(Topic* topic) { hub_->leave(topic, place_); }

void HubLoop::subscriptions_changed(int by) { hub_->subscriptions_changed(by); }

}  // namespace libws
