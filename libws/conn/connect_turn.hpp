// Taking turns to connect: RFC 6455 4.1-2 wants at most one connection to a place that is not yet
// open.  For clients that ask for it; the line of those who wait is the loop's.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/list.hpp"

namespace libws {

class ConnectTurn : public ListNode {
 public:
  // It is this one's turn now.  Called from inside give_back() of another.
  virtual void on_turn() = 0;

 protected:
  ConnectTurn() = default;
  ~ConnectTurn() = default;

 private:
  friend class ConnectTurns;
  String place_;
};

class ConnectTurns {
 public:
  // True: go ahead.  False: wait for on_turn().  Throws std::bad_alloc.
  bool take(ConnectTurn& turn, String place);
  // The turn is over, or not wanted any more; harmless when there was none.
  void give_back(ConnectTurn& turn);

 private:
  List<ConnectTurn> line_;  // of all places, in order; the first of a place has its turn
};

}  // namespace libws
