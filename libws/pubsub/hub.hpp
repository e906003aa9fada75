// Topics over all loops of a process.
//
// Who knows what: the Directory, under the mutex here, which loops have subscribers of a topic;
// each HubLoop, on its own thread and without a lock, which connections.  A publisher asks the
// first, and hands the message to the inboxes of those loops, or to the subscribers when the loop
// is the one whose turn it is in.  The loop's own inbox is emptied before that, so that what its
// thread has published outside of a turn does not come later.
//
// Locks are taken in this order: the hub's, an inbox's, a loop's post queue's; no message is
// released and nobody called under any of them.
#pragma once

#include "libws/base/handle.hpp"
#include "libws/pubsub/bridge.hpp"
#include "libws/pubsub/directory.hpp"
#include "libws/pubsub/hub_loop.hpp"

#include <libws/hub.h>

#include <memory>
#include <mutex>

namespace libws {

struct HubOptions {
  uint32_t max_topics = 1048576;
  uint32_t max_subscriptions_per_conn = 65536;
  uint64_t max_queued_bytes = uint64_t{64} << 20;
};

// The count of RefCounted is of what is inside: each HubLoop, the bridge, and all handles together.
class Hub final : public RefCounted<Hub>, public Allocated {
 public:
  // With one handle.  Throws std::bad_alloc.
  explicit Hub(const HubOptions& options);

  // ---- the public calls of hub.h, same contracts ----
  void hold() { handles_.fetch_add(1, std::memory_order_relaxed); }
  void drop();
  Error subscribe(Conn& conn, const char* topic);
  Error unsubscribe(Conn& conn, const char* topic);
  Error unsubscribe_all(Conn& conn);
  Error publish(const char* topic, Message& m, const Conn* except, uint32_t flags);
  size_t count(const char* topic);
  Error get_stats(ws_hub_stats* out);
  Error set_bridge(const ws_hub_bridge* hooks);  // read already

  // ---- for its parts ----
  const HubOptions& options() const { return options_; }
  const KeyedHash& hash() const { return hash_; }
  Error join(std::string_view name, uint32_t hash, bool pattern, uint32_t place, Topic** out);
  void leave(Topic* topic, uint32_t place);
  void subscriptions_changed(int by) {
    subscriptions_.fetch_add(static_cast<uint64_t>(int64_t{by}), std::memory_order_relaxed);
  }
  bool take_change(const Bridge& for_whom, char* name, bool* active);
  void remove(HubLoop& loop);
  void remove(Bridge& bridge);
  // One of its loops was abandoned: this is the child of a fork(), where somebody who is not there
  // may hold the mutex for ever.
  void abandon() { abandoned_.store(true, std::memory_order_relaxed); }

 private:
  friend class RefCounted<Hub>;
  struct Route;
  ~Hub();

  uint32_t hash_of(std::string_view name) const { return static_cast<uint32_t>(hash_(name)); }
  Error usable(const char* what) const;
  Error part_on(Loop& loop, HubLoop** out);
  void find_route(const Published& what, bool to_bridge, Route* route);
  void end();
  Ref<Bridge> bridge_to_wake() const;
  Ref<Bridge> exchange_bridge(Ref<Bridge> bridge);

  const HubOptions options_;
  const KeyedHash hash_;
  std::atomic<uint32_t> handles_{1};
  std::atomic<bool> abandoned_{false};
  std::atomic<uint64_t> subscriptions_{0}, published_{0}, dropped_busy_{0}, bridge_dropped_{0};
  std::mutex mutex_;
  // Under the mutex.
  std::unique_ptr<Directory> directory_;
  Vector<HubLoop*> loops_;  // by place; null where none is any more
  Ref<Bridge> bridge_;
  uint64_t delivered_before_ = 0, dropped_before_ = 0;  // on loops that are gone
};
LIBWS_HANDLE(Hub, ws_hub);

}  // namespace libws
