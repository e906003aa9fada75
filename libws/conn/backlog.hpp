// Messages that wait above the engine's queue, where they can still be dropped, replaced and
// passed.  A connection that needs one owns one, and has none when nothing waits.
//
// Each message is on the list of its urgency, in order.  One whose policy lets it be dropped later
// is on a second list of that urgency, the oldest first, and found by its key when only the latest
// counts.  A message that has begun to leave in pieces is on no list: it is finished first.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/bytes.hpp"
#include "libws/base/list.hpp"
#include "libws/base/ref.hpp"
#include "libws/protocol/message.hpp"

#include <libws/message.h>

namespace libws {

// True for the policies under which a message that was accepted may be dropped later.
inline bool may_drop_later(ws_slow slow) {
  return slow == WS_SLOW_DROP_OLDEST || slow == WS_SLOW_LATEST;
}

class Backlog : public Allocated {
 public:
  // What a message that waits costs beside its payload, at most: it counts against the limit, as
  // many small ones would otherwise take a multiple of it.
  static constexpr size_t kOverhead = 192;

  struct InOrder : ListNode {};
  struct Droppable : ListNode {};
  struct Entry : InOrder, Droppable, Allocated {
    Ref<Message> message;
    Entry* next_of_bucket = nullptr;
    size_t sent = 0;  // of the payload, when it leaves in pieces
    uint32_t hash = 0;
    ws_slow slow = WS_SLOW_REFUSE;
    uint8_t urgency = 0;
    bool ours = false;  // a copy of what was sent, nobody else has the message

    size_t cost() const { return message->data().size() + kOverhead; }
  };

  Backlog();
  ~Backlog();
  Backlog(const Backlog&) = delete;
  Backlog& operator=(const Backlog&) = delete;

  bool empty() const { return count_ == 0; }
  uint32_t count() const { return count_; }
  uint64_t bytes() const { return bytes_; }  // of payload, yet to leave
  uint64_t held() const { return bytes_ + count_ * uint64_t{kOverhead}; }

  // What push() would free for such a message.
  uint64_t could_free(ws_slow slow, unsigned urgency, std::string_view key) const;
  // Takes the entry over.  Where it is one of those that may be dropped, others of them are until
  // no more than `most` are held; returns how many.
  uint32_t push(Entry* entry, uint64_t most);

  // The one to send next; null when none waits.
  Entry* next();
  // From here on it can neither be dropped nor passed.
  void begin(Entry* entry);
  // So much more of the payload has left.
  void sent(Entry* entry, size_t n) {
    entry->sent += n;
    bytes_ -= n;
  }
  void remove(Entry* entry);

  uint32_t part_flags = 0;  // the application's, while the one that has begun uses the engine's

 private:
  static constexpr unsigned kUrgencies = 4;
  static constexpr size_t kBuckets = 64;

  Entry* find(std::string_view key, uint32_t hash) const;
  Entry** bucket(uint32_t hash) const { return &table_[hash & (buckets_ - 1)]; }
  void index(Entry* entry);
  void forget(Entry* entry);
  void grow();

  List<Entry, InOrder> waiting_[kUrgencies];
  List<Entry, Droppable> droppable_[kUrgencies];
  uint64_t droppable_cost_[kUrgencies] = {};
  Entry* begun_ = nullptr;
  uint64_t bytes_ = 0;
  uint32_t count_ = 0;
  uint32_t keyed_ = 0;
  size_t buckets_ = kBuckets;
  Entry** table_ = small_;
  Entry* small_[kBuckets] = {};
};
static_assert(sizeof(Backlog::Entry) + sizeof(Message) <= Backlog::kOverhead);

}  // namespace libws
