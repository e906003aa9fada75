// A hierarchical timer wheel: arming, moving and stopping are O(1) and take no system call;
// finding the next deadline looks at one bitmap per level.  Times are monotonic milliseconds.
#pragma once

#include "libws/base/list.hpp"

#include <cstddef>
#include <cstdint>

namespace libws {

class TimerWheel;

// One deadline.  The owner derives from it; the wheel holds no reference, so an owner that goes
// away while armed must stop the timer first (the destructor does).
class TimerNode : private ListNode {
 public:
  virtual void on_timeout() = 0;
  bool armed() const { return wheel_ != nullptr; }
  uint64_t deadline_ms() const { return deadline_; }

 protected:
  TimerNode() = default;
  virtual ~TimerNode();

 private:
  friend class TimerWheel;
  friend class List<TimerNode>;
  uint64_t deadline_ = 0;
  TimerWheel* wheel_ = nullptr;  // while armed
  uint16_t slot_ = 0;            // index into the wheel's slots, or kDue
};

class TimerWheel {
 public:
  explicit TimerWheel(uint64_t now_ms) : now_(now_ms) {}
  ~TimerWheel();
  TimerWheel(const TimerWheel&) = delete;
  TimerWheel& operator=(const TimerWheel&) = delete;

  // Arms or moves.  A deadline that has passed fires on the next advance().
  void arm(TimerNode* timer, uint64_t deadline_ms);
  void stop(TimerNode* timer);

  // Moves the clock and fires what is due, in order of deadline up to the tick, each once.  A
  // timer armed by a callback for now or earlier waits for the next advance, so a callback that
  // re-arms itself cannot hold the loop.  Those armed for a time that had passed come first, in
  // the order of arming.  Returns how many fired.  A clock that jumps far ahead costs no more than
  // the number of levels and timers; one that stands still or steps back counts as standing still.
  size_t advance(uint64_t now_ms);

  // A time at or before the next deadline: never late, possibly early (a cascade); the time of
  // the last advance() if something is due, UINT64_MAX when nothing is armed.
  uint64_t next_deadline() const;
  size_t count() const { return count_; }

 private:
  // 64 slots a level, so that one word holds its bitmap; levels for all 64 bits of a deadline, so
  // that none is too far away to have its place.  11 KiB a loop.
  static constexpr int kBits = 6;
  static constexpr int kSlots = 1 << kBits;
  static constexpr int kLevels = (64 + kBits - 1) / kBits;
  static constexpr uint16_t kDue = kLevels * kSlots;

  void place(TimerNode* timer);
  void collect(uint64_t now_ms, List<TimerNode>& firing);
  void empty_slot(int level, int slot, List<TimerNode>& into);

  List<TimerNode> slots_[kLevels * kSlots];
  List<TimerNode> due_;  // armed for a time that had passed
  uint64_t occupied_[kLevels] = {};
  uint64_t now_;
  size_t count_ = 0;
};

}  // namespace libws
