#include "libws/server/memory_budget.hpp"

namespace libws {
namespace {

// How many one look finds to end; if they do not suffice, the next turn looks again.
constexpr size_t kEndedATurn = 32;

// So little of the budget is not worth a look.
constexpr uint64_t kLeastShare = 64;

}  // namespace

// The largest so far, largest first.
struct MemoryBudget::Largest {
  struct Item {
    Conn* conn;
    uint64_t bytes;
  };
  Item items[kEndedATurn];
  size_t count = 0;

  void offer(Conn* conn, uint64_t bytes) {
    if (count == kEndedATurn && bytes <= items[count - 1].bytes) return;
    size_t at = count < kEndedATurn ? count++ : count - 1;
    for (; at != 0 && items[at - 1].bytes < bytes; --at) items[at] = items[at - 1];
    items[at] = {conn, bytes};
  }
};

void MemoryBudget::changed(int64_t bytes) {
  at_most_ += static_cast<uint64_t>(bytes);  // modulo 2^64, as the subtraction needs it
  if (bytes < 0) return;
  added_ += static_cast<uint64_t>(bytes);
  if (at_most_ > budget_ && added_ >= look_after_) loop_.defer(this);
}

void MemoryBudget::close() {
  conns_ = nullptr;
  loop_.retire(this);
}

uint64_t MemoryBudget::look(Largest* largest) {
  uint64_t held = 0;
  for (Conn* c = conns_->front(); c != nullptr; c = conns_->next(c)) {
    const uint64_t bytes = c->uses_memory() ? c->memory_bytes() : 0;
    if (bytes == 0) continue;
    held += bytes;
    largest->offer(c, bytes);
  }
  return held;
}

// Ending calls nobody back: on_close follows from the loop.
void MemoryBudget::end_largest(Largest& largest, uint64_t held) {
  for (size_t i = 0; i < largest.count && held > budget_; ++i) {
    held -= largest.items[i].bytes;
    largest.items[i].conn->end_for_memory();
  }
}

void MemoryBudget::on_deferred() {
  if (conns_ == nullptr) return;
  Largest largest;
  const uint64_t held = look(&largest);
  added_ = 0;
  const uint64_t least = budget_ / kLeastShare;
  if (held <= budget_) {
    look_after_ = budget_ - held > least ? budget_ - held : least;
    return;
  }
  // Parts of a message that others wait for too are not given back: the next look tells.
  look_after_ = 0;
  end_largest(largest, held);
  loop_.defer(this);
}

}  // namespace libws
