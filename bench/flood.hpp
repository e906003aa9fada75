// One message again and again, as fast as a socket takes it, and how much of it the other side has
// read: what the kernel still holds between the two does not count.
#pragma once

#include <sys/types.h>

#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "window.hpp"

namespace bench {

struct Flood {
  int fd;                      // connected, does not block
  std::vector<uint8_t> frame;  // of one message
  double seconds;              // length of the measured window
  double warmup;               // the same before it, not counted
  double stall;                // the program ends when nothing moves for so long
  pid_t reader;                // measured; 0: not known
};

// From begin to end of the window.  The program ends when the other side says anything.
struct FloodReadings {
  WindowReading begin, end;
};
FloodReadings run_flood(const Flood& flood);

}  // namespace bench
