// Messages sent while no connection is open, bounded, in order.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/bytes.hpp"
#include "libws/base/error.hpp"
#include "libws/base/ref.hpp"
#include "libws/protocol/message.hpp"

#include <libws/message.h>

#include <deque>

namespace libws {

class OfflineQueue {
 public:
  explicit OfflineQueue(uint64_t limit) : limit_(limit) {}

  bool takes_any() const { return limit_ != 0; }
  bool empty() const { return waiting_.empty(); }
  uint64_t bytes() const { return bytes_; }

  // Errors: FULL, nothing was queued.  Throws std::bad_alloc.
  Error push(ws_opcode op, Bytes data, uint32_t flags);

  struct Waiting {
    Ref<Message> message;
    uint32_t flags;
  };
  const Waiting& front() const { return waiting_.front(); }
  void pop();

 private:
  // An empty message costs memory too.
  static constexpr uint64_t kOverhead = 64;

  std::deque<Waiting, Allocator<Waiting>> waiting_;
  uint64_t bytes_ = 0;
  uint64_t held_ = 0;  // with the overhead: this is what the limit bounds
  uint64_t limit_;
};

}  // namespace libws
