#include "libws/conn/connect_turn.hpp"

#include <utility>

namespace libws {

bool ConnectTurns::take(ConnectTurn& turn, String place) {
  bool first = true;
  for (ConnectTurn* t = line_.front(); t != nullptr && first; t = line_.next(t)) {
    first = t->place_ != place;
  }
  turn.place_ = std::move(place);
  line_.push_back(&turn);
  return first;
}

void ConnectTurns::give_back(ConnectTurn& turn) {
  if (!turn.linked()) return;
  // Whoever stands before it in the same line has the turn, and it had not.
  ConnectTurn* t = line_.front();
  while (t != &turn && t->place_ != turn.place_) t = line_.next(t);
  const bool had_it = t == &turn;
  ConnectTurn* next = line_.next(&turn);
  turn.unlink();
  if (!had_it) return;
  while (next != nullptr && next->place_ != turn.place_) next = line_.next(next);
  if (next != nullptr) next->on_turn();
}

}  // namespace libws
