// What an engine has that was given rates or a lifetime; private to engine*.cpp.
#pragma once

#include "libws/protocol/engine.hpp"
#include "libws/protocol/token_bucket.hpp"

namespace libws {

struct Engine::Flow : Allocated {
  TokenBucket messages;
  TokenBucket bytes;
  // WS_RATE_CLOSE: bytes since the open, how many of them were judged, and how many messages were
  // judged when they came and wait to be told.
  uint64_t fed = 0;
  uint64_t charged = 0;
  uint64_t judged = 0;
  // WS_RATE_DELAY: until when; 0: not at all.
  uint64_t messages_from_us = 0;
  uint64_t reading_from_us = 0;
  uint64_t ends_us = kNeverUs;  // the lifetime
};

}  // namespace libws
