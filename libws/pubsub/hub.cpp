#include "libws/pubsub/hub.hpp"

#include <utility>

namespace libws {

Hub::Hub(const HubOptions& options) : options_(options) {
  directory_.reset(new Directory(hash_, options.max_topics));
}

Hub::~Hub() {
  if (!abandoned_.load(std::memory_order_relaxed)) return;
  // Another thread of the parent may have been at work on it: then it is not to be touched.
  if (!mutex_.try_lock()) {
    (void)directory_.release();
    return;
  }
  mutex_.unlock();
}

Error Hub::usable(const char* what) const {
  if (!abandoned_.load(std::memory_order_relaxed)) return Error();
  return fail(WS_ERR_CLOSED, "%s: the hub was made before fork()", what);
}

void Hub::drop() {
  if (handles_.fetch_sub(1, std::memory_order_acq_rel) != 1) return;
  end();
  unref();
}

void Hub::end() {
  if (abandoned_.load(std::memory_order_relaxed)) {
    bridge_ = {};
    return;
  }
  Ref<Bridge> bridge = exchange_bridge({});
  if (bridge) bridge->end();
  // A loop that leaves meanwhile waits in remove() for the mutex.
  std::lock_guard lock(mutex_);
  for (HubLoop* loop : loops_) {
    if (loop != nullptr) loop->end();
  }
}

// ---- loops ----

// The part of the hub on this loop, made on first use.  Throws std::bad_alloc.
Error Hub::part_on(Loop& loop, HubLoop** out) {
  std::lock_guard lock(mutex_);
  size_t place = loops_.size();
  for (size_t i = loops_.size(); i-- != 0;) {
    if (loops_[i] == nullptr) {
      place = i;
    } else if (loops_[i]->home() == &loop) {
      *out = loops_[i];
      return Error();
    }
  }
  if (place >= kMaxLoopsPerHub) {
    return fail(WS_ERR_FULL, "subscribe: the hub has %u loops already", kMaxLoopsPerHub);
  }
  if (place == loops_.size()) loops_.push_back(nullptr);
  *out = loops_[place] = new HubLoop(*this, loop, static_cast<uint32_t>(place));
  return Error();
}

void Hub::remove(HubLoop& loop) {
  std::lock_guard lock(mutex_);
  loops_[loop.place()] = nullptr;
  delivered_before_ += loop.delivered();
  dropped_before_ += loop.dropped();
}

Error Hub::join(std::string_view name, uint32_t hash, bool pattern, uint32_t place, Topic** out) {
  Ref<Bridge> bridge;
  {
    std::lock_guard lock(mutex_);
    if (Error e = directory_->join(name, hash, pattern, place, out)) return e;
    bridge = bridge_to_wake();
  }
  if (bridge) bridge->wake();
  return Error();
}

void Hub::leave(Topic* topic, uint32_t place) {
  Ref<Bridge> bridge;
  {
    std::lock_guard lock(mutex_);
    directory_->leave(topic, place);
    bridge = bridge_to_wake();
  }
  if (bridge) bridge->wake();
}

// ---- subscriptions ----

Error Hub::subscribe(Conn& conn, const char* topic) {
  std::string_view name;
  TopicKind kind;
  if (Error e = check_topic(topic, &name, &kind)) return e;
  if (Error e = usable("subscribe")) return e;
  if (!conn.is_open()) return fail(WS_ERR_CLOSED, "subscribe: the connection is not open");
  const bool pattern = kind == TopicKind::kPattern;
  if (auto* who = static_cast<Subscriber*>(conn.attachment(this))) {
    return who->subscribers().subscribe(conn, name, hash_of(name), pattern);
  }
  HubLoop* part = nullptr;
  if (Error e = part_on(conn.home(), &part)) return e;
  return part->subscribers().subscribe(conn, name, hash_of(name), pattern);
}

Error Hub::unsubscribe(Conn& conn, const char* topic) {
  std::string_view name;
  TopicKind kind;
  if (Error e = check_topic(topic, &name, &kind)) return e;
  if (Error e = usable("unsubscribe")) return e;
  if (Error e = conn.not_ended("unsubscribe")) return e;
  auto* who = static_cast<Subscriber*>(conn.attachment(this));
  if (who != nullptr) who->subscribers().unsubscribe(conn, name, hash_of(name));
  return Error();
}

Error Hub::unsubscribe_all(Conn& conn) {
  if (Error e = usable("unsubscribe_all")) return e;
  if (Error e = conn.not_ended("unsubscribe_all")) return e;
  auto* who = static_cast<Subscriber*>(conn.attachment(this));
  if (who != nullptr) who->subscribers().unsubscribe_all(conn);
  return Error();
}

// ---- publishing ----

// Where a message goes, with a reference to each.
struct Hub::Route {
  Route() {}
  Route(const Route&) = delete;
  Route& operator=(const Route&) = delete;
  ~Route() {
    for (uint32_t i = 0; i < count; ++i) loops[i]->unref();
  }
  void add(HubLoop* loop) {
    loop->ref();
    loops[count++] = loop;
  }

  uint32_t count = 0;
  HubLoop* loops[kMaxLoopsPerHub];  // only the first `count` are set
  HubLoop* here = nullptr;          // the loop in whose turn this is
  Ref<Bridge> bridge;
};

void Hub::find_route(const Published& what, bool to_bridge, Route* route) {
  const Loop* current = Loop::current();
  std::lock_guard lock(mutex_);
  LoopMask mask;
  directory_->route(what.topic, what.hash, &mask);
  mask.for_each([&](uint32_t place) {
    HubLoop* loop = loops_[place];
    if (loop->home() == current && !loop->busy()) {
      route->here = loop;
    } else {
      route->add(loop);
    }
  });
  if (to_bridge && bridge_ && bridge_->wants_messages()) route->bridge = bridge_;
}

Error Hub::publish(const char* topic, Message& m, const Conn* except, uint32_t flags) {
  Published what = {};
  TopicKind kind;
  if (Error e = check_topic(topic, &what.topic, &kind)) return e;
  if (kind == TopicKind::kPattern) return fail(WS_ERR_INVALID, "publish: the topic holds a '*'");
  if ((flags & ~uint32_t{WS_PUBLISH_LOCAL}) != 0) {
    return fail(WS_ERR_UNSUPPORTED, "publish: unknown flags 0x%x", flags);
  }
  if (Error e = usable("publish")) return e;
  what.hash = hash_of(what.topic);
  what.except = except != nullptr ? except->id() : 0;
  what.message = &m;

  Route route;
  find_route(what, (flags & WS_PUBLISH_LOCAL) == 0, &route);
  uint32_t busy = 0;
  if (route.count != 0 || route.bridge) {
    Publication* p = Publication::make(what, route.count + 1);
    if (p == nullptr) return fail(WS_ERR_NOMEM, "publish");
    for (uint32_t i = 0; i < route.count; ++i) {
      if (route.loops[i]->push(p->place(i)) == LoopInbox::Pushed::kFull) ++busy;
    }
    if (route.bridge && route.bridge->push(p->place(route.count)) == LoopInbox::Pushed::kFull) {
      bridge_dropped_.fetch_add(1, std::memory_order_relaxed);
    }
    p->unref();
  }
  published_.fetch_add(1, std::memory_order_relaxed);
  if (busy != 0) dropped_busy_.fetch_add(busy, std::memory_order_relaxed);
  if (route.here != nullptr) route.here->publish_here(what);
  return Error(busy != 0 ? WS_DROPPED : WS_OK);
}

// ---- figures ----

size_t Hub::count(const char* topic) {
  std::string_view name;
  TopicKind kind;
  if (check_topic(topic, &name, &kind) || usable("count")) return 0;
  const uint32_t hash = hash_of(name);
  std::lock_guard lock(mutex_);
  const Topic* found = directory_->find(name, hash);
  return found != nullptr ? found->subscribers.load(std::memory_order_relaxed) : 0;
}

Error Hub::get_stats(ws_hub_stats* out) {
  if (Error e = usable("get_stats")) return e;
  out->subscriptions = subscriptions_.load(std::memory_order_relaxed);
  out->published = published_.load(std::memory_order_relaxed);
  out->dropped_busy = dropped_busy_.load(std::memory_order_relaxed);
  out->bridge_dropped = bridge_dropped_.load(std::memory_order_relaxed);
  std::lock_guard lock(mutex_);
  out->topics = directory_->size();
  out->delivered = delivered_before_;
  out->dropped = dropped_before_;
  for (const HubLoop* loop : loops_) {
    if (loop == nullptr) continue;
    out->delivered += loop->delivered();
    out->dropped += loop->dropped();
    out->queued_bytes += loop->queued_bytes();
  }
  if (bridge_) out->bridge_queued = bridge_->queued_bytes();
  return Error();
}

// ---- the bridge ----

Ref<Bridge> Hub::bridge_to_wake() const {
  return directory_->has_changes() ? bridge_ : Ref<Bridge>();
}

bool Hub::take_change(const Bridge& for_whom, char* name, bool* active) {
  std::lock_guard lock(mutex_);
  return bridge_.get() == &for_whom && directory_->take_change(name, active);
}

Ref<Bridge> Hub::exchange_bridge(Ref<Bridge> bridge) {
  std::lock_guard lock(mutex_);
  std::swap(bridge_, bridge);
  directory_->watch(bridge_ && bridge_->wants_topics());
  return bridge;
}

Error Hub::set_bridge(const ws_hub_bridge* hooks) {
  if (Error e = usable("set_bridge")) return e;
  Ref<Bridge> fresh;
  if (hooks != nullptr) {
    const uint64_t max =
        hooks->max_queued_bytes != 0 ? hooks->max_queued_bytes : HubOptions().max_queued_bytes;
    // The first reference is the loop's.
    fresh = Ref<Bridge>::share(new Bridge(*this, *from_handle<Loop>(hooks->loop), *hooks, max));
  }
  const Ref<Bridge> old = exchange_bridge(fresh);
  if (old) old->end();
  if (fresh) fresh->wake();
  return Error();
}

void Hub::remove(Bridge& bridge) {
  std::lock_guard lock(mutex_);
  if (bridge_.get() != &bridge) return;
  directory_->watch(false);
  bridge_ = {};  // not the last reference: it is at work
}

}  // namespace libws
