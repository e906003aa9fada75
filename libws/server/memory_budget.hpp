// What the connections of one server may hold together, and who goes when it is more.
//
// The connections tell how much they hold at most, which costs them nothing while they hold
// nothing.  Only when that passes the budget are they asked what it really is: a message that waits
// on many of them is there once, so each has its part of it.  After a look that found less than the
// budget the next is due when as much was added as was missing then, and not before 1/64 of the
// budget was; so a look, which costs a visit to each connection, is paid for by what was added.
//
// The largest go first, so nobody is ended for what a larger one holds.
#pragma once

#include "libws/conn/conn.hpp"

namespace libws {

class MemoryBudget final : public Watcher, public Allocated {
 public:
  using Conns = List<Conn, ConnLink>;

  // `conns` are looked at until close().
  MemoryBudget(Loop& loop, Conns& conns, uint64_t bytes)
      : loop_(loop), conns_(&conns), budget_(bytes) {}

  void changed(int64_t bytes);
  // The server goes; this does at the end of the turn.
  void close();

  void on_ready(uint32_t) override {}
  void on_timeout() override {}
  void on_deferred() override;
  void on_retired() override { delete this; }

 private:
  struct Largest;
  ~MemoryBudget() override = default;

  uint64_t look(Largest* largest);
  void end_largest(Largest& largest, uint64_t held);

  Loop& loop_;
  Conns* conns_;
  const uint64_t budget_;
  uint64_t at_most_ = 0;  // what they hold, as they tell it
  uint64_t added_ = 0;    // since the last look
  uint64_t look_after_ = 0;
};

}  // namespace libws
