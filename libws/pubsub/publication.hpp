// One published message on its way to several loops: one allocation, with a place in the inbox of
// each of them, so that once it is made nothing can fail.
#pragma once

#include "libws/base/ref.hpp"
#include "libws/protocol/message.hpp"

#include <atomic>
#include <cstdint>
#include <span>
#include <string_view>

namespace libws {

// Counted for each message that waits, besides its payload and topic.
inline constexpr uint64_t kWaitingOverhead = 64;

// What is published, to whom.
struct Published {
  std::string_view topic;  // NUL-terminated
  uint32_t hash;
  uint64_t except;  // id of a connection; 0: none
  Message* message;
};

class Publication {
 public:
  struct Place {
    Publication* of;
    Place* next;
  };

  // Null when out of memory.  The caller has one reference.
  static Publication* make(const Published& what, uint32_t places);

  // Each place is put into one inbox, which holds a reference.
  Place& place(uint32_t i) { return places()[i]; }
  void ref() { count_.fetch_add(1, std::memory_order_relaxed); }
  void unref();

  uint64_t cost() const { return cost_; }
  const Published& what() const { return what_; }

 private:
  Publication(const Published& what, uint32_t places);
  ~Publication() = default;
  Place* places() { return reinterpret_cast<Place*>(this + 1); }

  std::atomic<uint32_t> count_{1};
  Published what_;
  uint64_t cost_;
  Ref<Message> message_;
};

}  // namespace libws
