// Tells of each frame that passes on the connections of a loop, for debugging (ws_trace_fn).  A
// loop that traces has one; others pay a test for each read and write.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/protocol/frame_tap.hpp"

#include <libws/loop.h>

#include <unordered_map>

namespace libws {

class Tracer : public Allocated {
 public:
  Tracer(ws_trace_fn tell, void* user) : tell_(tell), user_(user) {}

  // What was read or written, in order and from the first byte on.  Without memory for a
  // connection nothing is told of it.
  void passed(uint64_t conn_id, bool sent, Bytes bytes);
  void forget(uint64_t conn_id) { taps_.erase(conn_id); }

 private:
  struct Taps {
    FrameTap received, sent;
  };
  using Map = std::unordered_map<uint64_t, Taps, std::hash<uint64_t>, std::equal_to<uint64_t>,
                                 Allocator<std::pair<const uint64_t, Taps>>>;

  ws_trace_fn tell_;
  void* user_;
  Map taps_;
};

}  // namespace libws
