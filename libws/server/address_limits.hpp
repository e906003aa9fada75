// How many connections one address has, and how fast it makes new ones.
//
// An address has an entry while it has connections or its bucket is not full again, which takes a
// second.  Entries without connections are on a list, oldest first, and there are at most
// kMaxIdle of them: who makes more addresses than that connect within a second finds the oldest
// forgotten.  So the table is bounded by the connections and 16,384 entries of 64 bytes.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/list.hpp"
#include "libws/net/address.hpp"

#include <libws/base.h>

namespace libws {

class AddressLimits : public Allocated {
 public:
  static constexpr size_t kMaxIdle = 16384;

  // WS_NEVER: no limit.  `seed` is random: nobody shall choose addresses that collide.
  AddressLimits(uint32_t max_connections, uint32_t max_rate, uint64_t seed)
      : max_connections_(max_connections), max_rate_(max_rate), seed_(seed) {}
  ~AddressLimits();
  AddressLimits(const AddressLimits&) = delete;
  AddressLimits& operator=(const AddressLimits&) = delete;

  bool active() const { return max_connections_ != WS_NEVER || max_rate_ != WS_NEVER; }

  enum class Verdict : uint8_t { kOk, kTooMany, kTooFast, kNoMemory };
  // kOk: it counts until release().
  Verdict admit(const PackedAddress& from, uint64_t now_us);
  void release(const PackedAddress& from, uint64_t now_us);

  size_t entries() const { return count_; }

 private:
  struct Entry;

  static bool counts(const PackedAddress& from);
  size_t slot_of(uint64_t key) const;
  Entry* find(uint64_t key) const;
  Entry* insert(uint64_t key, uint64_t now_us);
  void grow();
  void erase(Entry* entry);
  void forget_idle(uint64_t now_us);
  void refill(Entry& entry, uint64_t now_us) const;
  uint64_t full() const;

  const uint32_t max_connections_;
  const uint32_t max_rate_;
  const uint64_t seed_;
  Vector<Entry*> slots_;  // chains; a power of two of them
  size_t count_ = 0;
  List<Entry> idle_;  // no connections
  size_t idle_count_ = 0;
};

}  // namespace libws
