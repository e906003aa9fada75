// The place of a timer follows from the highest bit in which its deadline differs from now: six
// bits a level, and within the level the deadline's six bits are the slot.  What must stay true
// between calls:
//
//   a timer on level L has the same bits as now above level L, and larger ones on it,
//
// so every slot of a level lies in the future, a lower level is wholly before a higher one, and
// the lowest set bit of the lowest bitmap that has one is the next slot to do something about.
// When the clock reaches a slot of level 0 its timers are due; on a higher level they are placed
// again, and land lower.
#include "libws/net/timers.hpp"

#include <bit>
#include <cassert>

namespace libws {

TimerNode::~TimerNode() {
  if (wheel_ != nullptr) wheel_->stop(this);
}

TimerWheel::~TimerWheel() {
  // Owners may outlive the wheel; they must not come back to it.
  auto forget = [](List<TimerNode>& list) {
    while (TimerNode* timer = list.pop_front()) timer->wheel_ = nullptr;
  };
  for (List<TimerNode>& slot : slots_) forget(slot);
  forget(due_);
}

void TimerWheel::arm(TimerNode* timer, uint64_t deadline_ms) {
  if (timer->wheel_ != nullptr) timer->wheel_->stop(timer);
  timer->wheel_ = this;
  timer->deadline_ = deadline_ms;
  ++count_;
  place(timer);
}

void TimerWheel::stop(TimerNode* timer) {
  if (timer->wheel_ == nullptr) return;
  assert(timer->wheel_ == this);
  List<TimerNode>::remove(timer);
  timer->wheel_ = nullptr;
  --count_;
  // Also right for a timer that advance() has already taken out of its slot.
  if (timer->slot_ != kDue && slots_[timer->slot_].empty()) {
    occupied_[timer->slot_ / kSlots] &= ~(uint64_t{1} << (timer->slot_ % kSlots));
  }
}

void TimerWheel::place(TimerNode* timer) {
  if (timer->deadline_ <= now_) {
    timer->slot_ = kDue;
    due_.push_back(timer);
    return;
  }
  int highest_bit = 63 - std::countl_zero(timer->deadline_ ^ now_);
  int level = highest_bit / kBits;
  int slot = static_cast<int>((timer->deadline_ >> (level * kBits)) % kSlots);
  timer->slot_ = static_cast<uint16_t>(level * kSlots + slot);
  slots_[timer->slot_].push_back(timer);
  occupied_[level] |= uint64_t{1} << slot;
}

uint64_t TimerWheel::next_deadline() const {
  if (!due_.empty()) return now_;
  for (int level = 0; level < kLevels; ++level) {
    if (occupied_[level] == 0) continue;
    uint64_t slot = static_cast<uint64_t>(std::countr_zero(occupied_[level]));
    int shift = level * kBits;
    // now_ with this level's bits replaced and the lower ones cleared; the top level has no bits
    // above it, where a shift by 64 would be undefined.
    uint64_t above = shift + kBits >= 64 ? 0 : now_ >> (shift + kBits) << (shift + kBits);
    return above | slot << shift;
  }
  return UINT64_MAX;
}

void TimerWheel::empty_slot(int level, int slot, List<TimerNode>& into) {
  into.splice(slots_[level * kSlots + slot]);
  occupied_[level] &= ~(uint64_t{1} << slot);
}

void TimerWheel::collect(uint64_t now_ms, List<TimerNode>& firing) {
  firing.splice(due_);
  for (;;) {
    uint64_t next = next_deadline();
    if (next > now_ms) break;
    bool any = false;
    now_ = next;
    for (int level = kLevels - 1; level > 0; --level) {
      int slot = static_cast<int>((now_ >> (level * kBits)) % kSlots);
      if ((occupied_[level] >> slot & 1) == 0) continue;
      any = true;
      List<TimerNode> cascade;
      empty_slot(level, slot, cascade);
      while (TimerNode* timer = cascade.pop_front()) place(timer);
    }
    int slot = static_cast<int>(now_ % kSlots);
    any |= (occupied_[0] >> slot & 1) != 0;
    empty_slot(0, slot, firing);
    firing.splice(due_);
    // UINT64_MAX is both a deadline and the answer for "none".
    if (!any) break;
  }
  now_ = now_ms;
}

size_t TimerWheel::advance(uint64_t now_ms) {
  // All that is due is taken out before the first callback, and the clock stands at its new value:
  // what callbacks arm is measured against that, and cannot be fired by this call.
  List<TimerNode> firing;
  collect(now_ms > now_ ? now_ms : now_, firing);
  size_t fired = 0;
  while (TimerNode* timer = firing.pop_front()) {
    timer->wheel_ = nullptr;
    --count_;
    ++fired;
    timer->on_timeout();  // may stop or move any other, or delete this one
  }
  return fired;
}

}  // namespace libws
