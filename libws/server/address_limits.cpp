#include "libws/server/address_limits.hpp"

#include <cassert>
#include <cstring>

namespace libws {
namespace {

constexpr size_t kFirstSlots = 64;
constexpr uint64_t kSecondUs = 1'000'000;

// What counts as one address: all of an IPv4 one; the /64 of an IPv6 one, which is what one
// customer gets at least.  The family keeps the two apart: no /64 that is routed looks like the
// first.
uint64_t key_of(const PackedAddress& a) {
  uint64_t key = 0;
  if (a.family == PackedAddress::kV4) {
    std::memcpy(&key, a.ip, 4);
    return key ^ 0xff00ff00ff00ff00u;
  }
  std::memcpy(&key, a.ip, 8);
  return key;
}

// The finishing steps of a 64-bit hash: each input bit changes half of the output's.
uint64_t mix(uint64_t x) {
  x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
  x = (x ^ (x >> 32)) * 0xd6e8feb86659fd93u;
  return x ^ (x >> 32);
}

}  // namespace

struct AddressLimits::Entry : ListNode, Allocated {
  uint64_t key;
  Entry* next = nullptr;  // in its slot
  uint32_t connections = 0;
  uint64_t credit;  // connections that may come now, in millionths
  uint64_t credit_at_us;
};

AddressLimits::~AddressLimits() {
  for (Entry* entry : slots_) {
    while (entry != nullptr) {
      Entry* next = entry->next;
      if (entry->linked()) entry->unlink();
      delete entry;
      entry = next;
    }
  }
}

bool AddressLimits::counts(const PackedAddress& from) {
  return from.family == PackedAddress::kV4 || from.family == PackedAddress::kV6;
}

uint64_t AddressLimits::full() const { return max_rate_ * kSecondUs; }

size_t AddressLimits::slot_of(uint64_t key) const {
  return static_cast<size_t>(mix(key ^ seed_)) & (slots_.size() - 1);
}

AddressLimits::Entry* AddressLimits::find(uint64_t key) const {
  if (slots_.empty()) return nullptr;
  Entry* entry = slots_[slot_of(key)];
  while (entry != nullptr && entry->key != key) entry = entry->next;
  return entry;
}

// Without memory the chains get longer instead.
void AddressLimits::grow() {
  Vector<Entry*> old;
  try {
    old.resize(slots_.empty() ? kFirstSlots : slots_.size() * 2);
  } catch (const std::bad_alloc&) {
    return;
  }
  old.swap(slots_);
  for (Entry* entry : old) {
    while (entry != nullptr) {
      Entry* next = entry->next;
      Entry*& slot = slots_[slot_of(entry->key)];
      entry->next = slot;
      slot = entry;
      entry = next;
    }
  }
}

// It is on the list of those without connections.  Null: out of memory.
AddressLimits::Entry* AddressLimits::insert(uint64_t key, uint64_t now_us) {
  if (count_ >= slots_.size()) grow();
  if (slots_.empty()) return nullptr;
  auto* entry = new (std::nothrow) Entry;
  if (entry == nullptr) return nullptr;
  entry->key = key;
  entry->credit = full();
  entry->credit_at_us = now_us;
  Entry*& slot = slots_[slot_of(key)];
  entry->next = slot;
  slot = entry;
  ++count_;
  idle_.push_back(entry);
  ++idle_count_;
  return entry;
}

void AddressLimits::erase(Entry* entry) {
  Entry** at = &slots_[slot_of(entry->key)];
  while (*at != entry) at = &(*at)->next;
  *at = entry->next;
  entry->unlink();
  --idle_count_;
  --count_;
  delete entry;
}

// The front is the one that has been without connections longest.  A full bucket is the same as
// none.
void AddressLimits::forget_idle(uint64_t now_us) {
  while (Entry* oldest = idle_.front()) {
    if (max_rate_ != WS_NEVER && idle_count_ < kMaxIdle) {
      refill(*oldest, now_us);
      if (oldest->credit != full()) return;
    }
    erase(oldest);
  }
}

void AddressLimits::refill(Entry& entry, uint64_t now_us) const {
  const uint64_t passed = now_us - entry.credit_at_us;
  entry.credit += (passed < kSecondUs ? passed : kSecondUs) * max_rate_;
  if (entry.credit > full()) entry.credit = full();
  entry.credit_at_us = now_us;
}

AddressLimits::Verdict AddressLimits::admit(const PackedAddress& from, uint64_t now_us) {
  if (!active() || !counts(from)) return Verdict::kOk;
  const uint64_t key = key_of(from);
  Entry* entry = find(key);
  if (entry == nullptr) {
    forget_idle(now_us);
    entry = insert(key, now_us);
    if (entry == nullptr) return Verdict::kNoMemory;
  }
  if (entry->connections >= max_connections_) return Verdict::kTooMany;
  if (max_rate_ != WS_NEVER) {
    refill(*entry, now_us);
    if (entry->credit < kSecondUs) return Verdict::kTooFast;
    entry->credit -= kSecondUs;
  }
  if (entry->connections++ == 0) {
    entry->unlink();
    --idle_count_;
  }
  return Verdict::kOk;
}

void AddressLimits::release(const PackedAddress& from, uint64_t now_us) {
  if (!active() || !counts(from)) return;
  Entry* entry = find(key_of(from));
  assert(entry != nullptr && entry->connections != 0);
  if (--entry->connections != 0) return;
  idle_.push_back(entry);
  ++idle_count_;
  forget_idle(now_us);
}

}  // namespace libws
