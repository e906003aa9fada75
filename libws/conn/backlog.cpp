#include "libws/conn/backlog.hpp"

#include <cassert>
#include <functional>
#include <utility>

namespace libws {
namespace {

uint32_t hash_of(std::string_view key) {
  return static_cast<uint32_t>(std::hash<std::string_view>()(key));
}

}  // namespace

Backlog::Backlog() = default;

Backlog::~Backlog() {
  while (Entry* e = next()) remove(e);
  if (table_ != small_) release(table_);
}

Backlog::Entry* Backlog::find(std::string_view key, uint32_t hash) const {
  Entry* e = *bucket(hash);
  while (e != nullptr && (e->hash != hash || e->message->key() != key)) e = e->next_of_bucket;
  return e;
}

uint64_t Backlog::could_free(ws_slow slow, unsigned urgency, std::string_view key) const {
  if (!may_drop_later(slow)) return 0;
  uint64_t cost = 0;
  for (unsigned u = 0; u <= urgency; ++u) cost += droppable_cost_[u];
  if (slow != WS_SLOW_LATEST) return cost;
  const Entry* old = find(key, hash_of(key));
  return old != nullptr && old->urgency > urgency ? cost + old->cost() : cost;
}

uint32_t Backlog::push(Entry* entry, uint64_t most) {
  const unsigned urgency = entry->urgency;
  ++count_;
  bytes_ += entry->message->data().size();
  Entry* old = nullptr;
  if (entry->slow == WS_SLOW_LATEST) {
    entry->hash = hash_of(entry->message->key());
    old = find(entry->message->key(), entry->hash);
  }
  if (old != nullptr && old->urgency == urgency) {
    static_cast<InOrder*>(old)->insert_before(static_cast<InOrder*>(entry));
  } else {
    waiting_[urgency].push_back(entry);
  }
  if (!may_drop_later(entry->slow)) return 0;
  droppable_[urgency].push_back(entry);
  droppable_cost_[urgency] += entry->cost();
  if (entry->slow == WS_SLOW_LATEST) index(entry);
  uint32_t dropped = 0;
  if (old != nullptr) {
    remove(old);
    ++dropped;
  }
  for (unsigned u = 0; u <= urgency; ++u) {
    while (held() > most && !droppable_[u].empty() && droppable_[u].front() != entry) {
      remove(droppable_[u].front());
      ++dropped;
    }
  }
  return dropped;
}

Backlog::Entry* Backlog::next() {
  if (begun_ != nullptr) return begun_;
  for (unsigned u = kUrgencies; u-- != 0;) {
    if (Entry* e = waiting_[u].front()) return e;
  }
  return nullptr;
}

void Backlog::begin(Entry* entry) {
  assert(begun_ == nullptr);
  forget(entry);
  begun_ = entry;
}

void Backlog::remove(Entry* entry) {
  forget(entry);
  if (begun_ == entry) begun_ = nullptr;
  bytes_ -= entry->message->data().size() - entry->sent;
  --count_;
  delete entry;
}

void Backlog::index(Entry* entry) {
  if (++keyed_ > 2 * buckets_) grow();
  Entry** head = bucket(entry->hash);
  entry->next_of_bucket = std::exchange(*head, entry);
}

// Off every list, and out of the table.
void Backlog::forget(Entry* entry) {
  List<Entry, InOrder>::remove(entry);
  if (!List<Entry, Droppable>::linked(entry)) return;
  List<Entry, Droppable>::remove(entry);
  droppable_cost_[entry->urgency] -= entry->cost();
  if (entry->slow != WS_SLOW_LATEST) return;
  Entry** at = bucket(entry->hash);
  while (*at != entry) at = &(*at)->next_of_bucket;
  *at = entry->next_of_bucket;
  --keyed_;
}

// Without memory the chains get longer, that is all.
void Backlog::grow() {
  const size_t more = 4 * buckets_;
  auto** table = static_cast<Entry**>(try_alloc(more * sizeof(Entry*)));
  if (table == nullptr) return;
  for (size_t i = 0; i < more; ++i) table[i] = nullptr;
  for (size_t i = 0; i < buckets_; ++i) {
    for (Entry* e = table_[i]; e != nullptr;) {
      Entry* next = e->next_of_bucket;
      e->next_of_bucket = std::exchange(table[e->hash & (more - 1)], e);
      e = next;
    }
  }
  if (table_ != small_) release(table_);
  table_ = table;
  buckets_ = more;
}

}  // namespace libws
