// What the receiver keeps between reads while a frame or a message is unfinished; private to
// engine*.cpp.  It is taken from the pool when needed, so an idle connection has none.
#pragma once

#include "libws/protocol/engine.hpp"

namespace libws {

struct Engine::Partial {
  // A header, or a whole control frame, that the end of a read has cut.
  uint8_t stash[kMaxFrameHeader + kMaxControlPayload];
  uint8_t stash_len = 0;

  // The data frame whose payload is arriving.
  bool in_frame = false;
  bool fin = false;

  // The message it belongs to.  RFC 6455 5.5: control frames may interleave with its fragments,
  // so it must survive them.  Hence the stash beside it.
  uint8_t op = 0;            // 0: no message is open
  bool first_given = false;  // chunks: WS_PART_FIRST went out
  bool delivered = false;    // the event is out; release at the next step
  Utf8Validator utf8;
  uint32_t key = 0;  // of the frame, rotated to the next byte
  uint32_t fragments = 0;
  uint64_t frame_left = 0;
  uint64_t message_bytes = 0;  // announced by the headers so far
  Block* assembly = nullptr;
  Ref<Message> kept;  // owns the assembly once somebody keeps the message
};

}  // namespace libws
