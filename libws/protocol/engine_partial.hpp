// What the receiver keeps between reads while a frame or a message is unfinished; private to
// engine*.cpp.  It is taken from the pool when needed, so an idle connection has none.
#pragma once

#include "libws/protocol/engine.hpp"

namespace libws {

inline constexpr const char* kNotUtf8 = "text is not UTF-8";
inline constexpr const char* kMessageTooLong = "message longer than max_message_bytes";

struct Engine::Partial {
  // A header, or a whole control frame, that the end of a read has cut.
  uint8_t stash[kMaxFrameHeader + kMaxControlPayload];
  uint8_t stash_len = 0;

  // The data frame whose payload is arriving.
  bool in_frame : 1 = false;
  bool fin : 1 = false;

  // The message it belongs to.  RFC 6455 5.5: control frames may interleave with its fragments,
  // so it must survive them.  Hence the stash beside it.
  uint8_t op = 0;  // 0: no message is open
  bool compressed : 1 = false;
  bool more_output : 1 = false;  // the inflater has more than there was room for
  bool chunks : 1 = false;       // given in parts as they come, not assembled
  bool first_given : 1 = false;  // chunks: WS_PART_FIRST went out
  bool delivered : 1 = false;    // the event is out; release at the next step
  bool room_due : 1 = false;     // kEvRoom is to be given once enough has arrived
  Utf8Validator utf8;
  uint32_t key = 0;  // of the frame, rotated to the next byte
  uint32_t fragments = 0;
  uint64_t frame_left = 0;
  uint64_t message_bytes = 0;  // announced by the headers so far
  union {
    Inflater* inflater = nullptr;  // of a compressed message, until it is whole
    uint8_t* room;                 // of another: the owner's memory, instead of the assembly
  };
  Block* assembly = nullptr;
  Ref<Message> kept;  // owns the assembly once somebody keeps the message

  // Of a message in one frame.
  uint64_t taken() const { return message_bytes - frame_left; }
};

}  // namespace libws
