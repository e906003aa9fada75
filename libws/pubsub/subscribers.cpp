// A send calls nobody back, with one exception: a wrapped message that has left the queue may be
// released there, and its owner may do as he likes.  So while a message is delivered, topics are
// kept that have lost their last subscriber, and the arrays are walked from the end: what moves
// into a gap was passed already, or is passed twice and known by its mark.
#include "libws/pubsub/subscribers.hpp"

#include <new>
#include <utility>

namespace libws {

void Subscriber::on_conn_ended() { subscribers_.ended(this); }

Subscribers::~Subscribers() {
  while (dead_ != nullptr) delete std::exchange(dead_, dead_->next_dead);
}

LocalTopic* Subscribers::find(std::string_view name, uint32_t hash) const {
  return topics_.find(hash, [&](const LocalTopic& t) { return t.topic->name() == name; });
}

// Where `who` holds `topic`; looked for on the shorter side.
uint32_t Subscribers::place_of(LocalTopic& topic, Subscriber& who) {
  if (topic.entries.size() < who.held.size()) {
    for (uint32_t i = 0; i < topic.entries.size(); ++i) {
      if (topic.entries[i].who == &who) return topic.entries[i].held;
    }
    return kNone;
  }
  for (uint32_t i = 0; i < who.held.size(); ++i) {
    if (who.held[i].topic == &topic) return i;
  }
  return kNone;
}

Error Subscribers::add_topic(std::string_view name, uint32_t hash, bool pattern, LocalTopic** out) {
  std::unique_ptr<LocalTopic> topic(new LocalTopic);
  topic->hash = hash;
  topic->entries.reserve_one();
  topics_.reserve_one();
  if (pattern) patterns_.insert(name, topic.get());
  try {
    if (Error e = shared_.join(name, hash, pattern, &topic->topic)) {
      if (pattern) patterns_.erase(name);
      return e;
    }
  } catch (const std::bad_alloc&) {
    if (pattern) patterns_.erase(name);
    throw;
  }
  topics_.insert(topic.get());
  *out = topic.release();
  return Error();
}

Error Subscribers::subscribe(Conn& conn, std::string_view name, uint32_t hash, bool pattern) {
  Subscriber* who = subscriber(conn);
  LocalTopic* topic = find(name, hash);
  if (who != nullptr && topic != nullptr && place_of(*topic, *who) != kNone) return Error();
  if (who != nullptr && who->held.size() >= max_per_conn_) {
    return fail(WS_ERR_FULL, "subscribe: the connection has %u subscriptions", max_per_conn_);
  }
  std::unique_ptr<Subscriber> fresh;
  if (who == nullptr) {
    fresh.reset(new Subscriber(tag_, *this, conn));
    fresh->seen = deliveries_;  // one that is under way it may have had already
    who = fresh.get();
  }
  who->held.reserve_one();
  if (topic == nullptr) {
    if (Error e = add_topic(name, hash, pattern, &topic)) return e;
  } else {
    topic->entries.reserve_one();
  }
  topic->entries.push_back({who, who->held.size()});
  who->held.push_back({topic, topic->entries.size() - 1});
  topic->topic->subscribers.fetch_add(1, std::memory_order_relaxed);
  shared_.subscriptions_changed(1);
  if (fresh) conn.attach(*fresh.release());
  return Error();
}

void Subscribers::remove(Subscriber& who, uint32_t place) {
  const Subscriber::Held gone = who.held[place];
  LocalTopic& topic = *gone.topic;
  const LocalTopic::Entry last = topic.entries.back();
  topic.entries[gone.entry] = last;
  last.who->held[last.held].entry = gone.entry;
  topic.entries.pop_back();

  const Subscriber::Held last_held = who.held.back();
  who.held[place] = last_held;
  who.held.pop_back();
  if (place < who.held.size()) last_held.topic->entries[who.held[place].entry].held = place;

  if (!forgetting_) {
    topic.topic->subscribers.fetch_sub(1, std::memory_order_relaxed);
    shared_.subscriptions_changed(-1);
  }
  if (topic.entries.size() == 0) remove_topic(&topic);
}

void Subscribers::remove_topic(LocalTopic* topic) {
  if (topic->topic->pattern && !forgetting_) patterns_.erase(topic->topic->name());
  topics_.erase(topic);
  if (!forgetting_) shared_.leave(topic->topic);
  if (!delivering_) {
    delete topic;
    return;
  }
  topic->next_dead = std::exchange(dead_, topic);
}

void Subscribers::unsubscribe(Conn& conn, std::string_view name, uint32_t hash) {
  Subscriber* who = subscriber(conn);
  LocalTopic* topic = find(name, hash);
  if (who == nullptr || topic == nullptr) return;
  const uint32_t place = place_of(*topic, *who);
  if (place == kNone) return;
  remove(*who, place);
  topics_.shrink();
  if (who->held.size() != 0) return;
  conn.detach(*who);
  delete who;
}

void Subscribers::ended(Subscriber* who) {
  while (who->held.size() != 0) remove(*who, who->held.size() - 1);
  topics_.shrink();
  delete who;
}

void Subscribers::unsubscribe_all(Conn& conn) {
  Subscriber* who = subscriber(conn);
  if (who == nullptr) return;
  conn.detach(*who);
  ended(who);
}

void Subscribers::end_all() {
  for (size_t cursor = 0; LocalTopic* topic = topics_.at(&cursor); cursor = 0) {
    Subscriber* who = topic->entries.back().who;
    if (!forgetting_) who->conn.detach(*who);
    ended(who);
  }
}

void Subscribers::forget_all() {
  forgetting_ = true;
  end_all();
}

void Subscribers::deliver(const Published& what, uint64_t* delivered, uint64_t* dropped) {
  delivering_ = true;
  ++deliveries_;
  LocalTopic* first = find(what.topic, what.hash);
  if (first != nullptr) first->next = nullptr;
  if (!patterns_.empty()) {
    patterns_.match(what.topic, [&](void* found) {
      auto* topic = static_cast<LocalTopic*>(found);
      topic->next = std::exchange(first, topic);
    });
  }
  for (LocalTopic* topic = first; topic != nullptr && !forgetting_; topic = topic->next) {
    deliver_to(*topic, what, delivered, dropped);
  }
  delivering_ = false;
  while (dead_ != nullptr) delete std::exchange(dead_, dead_->next_dead);
}

void Subscribers::deliver_to(LocalTopic& topic, const Published& what, uint64_t* delivered,
                             uint64_t* dropped) {
  for (uint32_t i = topic.entries.size(); i-- != 0;) {
    if (i >= topic.entries.size()) continue;
    Subscriber& who = *topic.entries[i].who;
    if (who.seen == deliveries_) continue;
    who.seen = deliveries_;
    if (who.conn.id() == what.except) continue;
    const Error sent = who.conn.send_or_drop(*what.message);  // `who` may be gone behind it
    if (sent.code() == WS_DROPPED || (sent.failed() && sent.code() != WS_ERR_CLOSED)) {
      ++*dropped;
    } else if (!sent.failed()) {
      ++*delivered;
    }
  }
}

}  // namespace libws
