// Which loops have subscribers of which topic: what a publisher asks before it posts to them.  One
// for each hub, under the hub's mutex; a loop comes here only when it gains the first subscriber of
// a topic or loses the last.
//
// While somebody watches (the bridge), it also keeps the changes over all loops that are not told
// yet.  What is told at last is what counts: a topic that comes and goes in between is not listed,
// so the list is no longer than the topics told of and those there are.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/error.hpp"
#include "libws/base/hash_table.hpp"
#include "libws/base/list.hpp"
#include "libws/pubsub/patterns.hpp"

#include <array>
#include <atomic>
#include <bit>
#include <cstdint>

namespace libws {

inline constexpr uint32_t kMaxLoopsPerHub = 1024;

// The places of loops, as bits.
struct LoopMask {
  std::array<uint64_t, kMaxLoopsPerHub / 64> words{};

  template <class Each>
  void for_each(Each each) const {
    for (uint32_t w = 0; w < words.size(); ++w) {
      for (uint64_t bits = words[w]; bits != 0; bits &= bits - 1) {
        each(w * 64 + static_cast<uint32_t>(std::countr_zero(bits)));
      }
    }
  }
};

// The same in 16 bytes for as long as there are no more than 64 loops.
class LoopSet {
 public:
  LoopSet() = default;
  LoopSet(const LoopSet&) = delete;
  LoopSet& operator=(const LoopSet&) = delete;
  ~LoopSet() { release(more_); }

  void add(uint32_t place);  // throws std::bad_alloc
  void remove(uint32_t place);
  bool empty() const;
  void add_to(LoopMask* mask) const;

 private:
  static constexpr uint32_t kMoreWords = kMaxLoopsPerHub / 64 - 1;
  uint64_t first_ = 0;
  uint64_t* more_ = nullptr;
};

// A name or pattern; the name follows it in memory.  Stays where it is while a loop is in `loops`.
struct Topic : ListNode, Allocated {
  uint32_t hash;
  std::atomic<uint32_t> subscribers{0};  // over all loops; each adds and takes away its own
  LoopSet loops;
  uint16_t len;
  bool pattern;
  bool told = false;  // to who watches: that it is there

  std::string_view name() const { return {reinterpret_cast<const char*>(this + 1), len}; }
};

class Directory {
 public:
  Directory(const KeyedHash& hash, uint32_t max_topics) : patterns_(hash), max_(max_topics) {}
  Directory(const Directory&) = delete;
  Directory& operator=(const Directory&) = delete;
  ~Directory();

  uint32_t size() const { return present_; }

  // The loop at `place`, which was not in its set, has a subscriber now.  Throws std::bad_alloc;
  // what fails changes nothing.  Errors: FULL.
  Error join(std::string_view name, uint32_t hash, bool pattern, uint32_t place, Topic** out);
  void leave(Topic* topic, uint32_t place);

  // Null when nobody is subscribed.
  const Topic* find(std::string_view name, uint32_t hash) const;
  // Adds the loops that have subscribers of exactly this name or of a pattern that it matches.
  void route(std::string_view name, uint32_t hash, LoopMask* mask) const;

  // Begins (with all there are) and ends the listing of changes.
  void watch(bool on);
  bool has_changes() const { return !changes_.empty(); }
  // Takes the first change; false when there is none.  `name` has room for kMaxTopicBytes + 1.
  bool take_change(char* name, bool* active);

 private:
  Topic* lookup(std::string_view name, uint32_t hash) const;
  void changed(Topic* topic);
  void destroy(Topic* topic);

  HashTable<Topic> table_;  // also topics that are gone, when that is to be told
  Patterns patterns_;       // to Topic
  List<Topic> changes_;
  const uint32_t max_;
  uint32_t present_ = 0;
  bool watched_ = false;
};

}  // namespace libws
