// Who on one loop is subscribed to what.  Used on the loop's thread only, without a lock.
//
// A subscription is two entries that know each other's place: in the topic's array, by which it is
// delivered to, and in the subscriber's, by which it ends with its connection.  Removing one moves
// the last entry into the gap.
#pragma once

#include "libws/base/compact_array.hpp"
#include "libws/base/hash_table.hpp"
#include "libws/conn/conn.hpp"
#include "libws/pubsub/directory.hpp"
#include "libws/pubsub/publication.hpp"

#include <cstdint>

namespace libws {

class Subscribers;
class Subscriber;

// A topic on one loop.
struct LocalTopic : Allocated {
  struct Entry {
    Subscriber* who;
    uint32_t held;  // its place in who->held
  };

  Topic* topic = nullptr;  // the shared one, which has the name
  uint32_t hash = 0;
  CompactArray<Entry> entries;
  LocalTopic* next = nullptr;  // while a message is delivered: the next that matches it
  LocalTopic* next_dead = nullptr;
};

// What one connection holds of one hub; there while it holds something.
class Subscriber final : public ConnAttachment, public Allocated {
 public:
  struct Held {
    LocalTopic* topic;
    uint32_t entry;  // its place in topic->entries
  };

  Subscriber(const void* hub, Subscribers& in, Conn& to)
      : ConnAttachment(hub), conn(to), subscribers_(in) {}
  ~Subscriber() = default;
  void on_conn_ended() override;

  Subscribers& subscribers() const { return subscribers_; }

  Conn& conn;
  CompactArray<Held> held;
  uint64_t seen = 0;  // the delivery that has come by here

 private:
  Subscribers& subscribers_;
};

// What it needs from the hub.
class SharedTopics {
 public:
  // As Directory::join() and leave(), for the loop of this.
  virtual Error join(std::string_view name, uint32_t hash, bool pattern, Topic** out) = 0;
  virtual void leave(Topic* topic) = 0;
  virtual void subscriptions_changed(int by) = 0;

 protected:
  ~SharedTopics() = default;
};

class Subscribers {
 public:
  // `tag` is what attachments to connections are known by.
  Subscribers(SharedTopics& shared, const KeyedHash& hash, const void* tag, uint32_t max_per_conn)
      : shared_(shared), patterns_(hash), tag_(tag), max_per_conn_(max_per_conn) {}
  ~Subscribers();
  Subscribers(const Subscribers&) = delete;
  Subscribers& operator=(const Subscribers&) = delete;

  // Throws std::bad_alloc; what fails changes nothing.  Errors: FULL.
  Error subscribe(Conn& conn, std::string_view name, uint32_t hash, bool pattern);
  void unsubscribe(Conn& conn, std::string_view name, uint32_t hash);
  void unsubscribe_all(Conn& conn);
  void end_all();
  // The same in the child of a fork(): tells nobody, and the connections may be gone.
  void forget_all();
  void ended(Subscriber* who);

  // Sends the message to each subscriber once.  Not from inside itself.
  void deliver(const Published& what, uint64_t* delivered, uint64_t* dropped);

 private:
  static constexpr uint32_t kNone = UINT32_MAX;

  Subscriber* subscriber(const Conn& conn) const {
    return static_cast<Subscriber*>(conn.attachment(tag_));
  }
  LocalTopic* find(std::string_view name, uint32_t hash) const;
  static uint32_t place_of(LocalTopic& topic, Subscriber& who);
  Error add_topic(std::string_view name, uint32_t hash, bool pattern, LocalTopic** out);
  void remove(Subscriber& who, uint32_t place);
  void remove_topic(LocalTopic* topic);
  void deliver_to(LocalTopic& topic, const Published& what, uint64_t* delivered, uint64_t* dropped);

  SharedTopics& shared_;
  HashTable<LocalTopic> topics_;
  Patterns patterns_;  // to LocalTopic
  const void* tag_;
  const uint32_t max_per_conn_;
  uint64_t deliveries_ = 0;
  bool delivering_ = false;
  bool forgetting_ = false;
  LocalTopic* dead_ = nullptr;  // removed while a message is delivered
};

}  // namespace libws
