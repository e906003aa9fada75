#include "libws/pubsub/bridge.hpp"

#include "libws/pubsub/hub.hpp"

namespace libws {

Bridge::Bridge(Hub& hub, Loop& loop, const ws_hub_bridge& hooks, uint64_t max_queued_bytes)
    : LoopInbox(loop, max_queued_bytes), hub_(Ref<Hub>::share(&hub)), hooks_(hooks) {}

Bridge::~Bridge() = default;

// Each call may remove the bridge, or be in the child of a fork() and abandon the loop; and no
// exception may come in.
void Bridge::on_wake() {
  char name[kMaxTopicBytes + 1];
  bool active;
  while (!ending() && !left() && hub_->take_change(*this, name, &active)) {
    try {
      hooks_.on_topic(to_handle(hub_.get()), name, active ? 1 : 0, hooks_.user);
    } catch (...) {
    }
  }
  drain([this](const Published& what) {
    if (ending() || left()) return false;
    try {
      hooks_.on_publish(to_handle(hub_.get()), what.topic.data(), to_handle(what.message),
                        hooks_.user);
    } catch (...) {
    }
    return true;
  });
}

void Bridge::on_leave() { hub_->remove(*this); }

void Bridge::on_forget() { hub_->abandon(); }

}  // namespace libws
