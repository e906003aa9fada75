// Follows one direction of a connection without taking part in it: tells of each frame that
// passes.  It believes what it sees; where that is not WebSocket, what it tells means nothing.
#pragma once

#include "libws/base/bytes.hpp"
#include "libws/protocol/frame.hpp"

namespace libws {

struct PassedFrame {
  uint64_t length;  // of the payload
  uint16_t code;    // of a Close that has one, else 0
  uint8_t opcode;
  uint8_t rsv;  // RSV1 is 4, RSV2 2, RSV3 1
  bool fin;
  bool masked;
};

class FrameTap {
 public:
  // Takes bytes until a frame is to be told, which is when its header has passed, and of a Close
  // its code; or until there are none.  Returns how many it took, and whether *out is a frame.
  size_t take(Bytes in, PassedFrame* out, bool* found);

 private:
  enum class State : uint8_t { kHead, kHeader, kCode, kPayload };

  size_t take_head(Bytes in);
  size_t take_header(Bytes in, PassedFrame* out, bool* found);
  size_t take_code(Bytes in, PassedFrame* out, bool* found);
  size_t key_at() const;
  size_t header_size() const;
  void read_header(PassedFrame* out) const;
  void begin_payload(uint64_t length);

  State state_ = State::kHead;
  uint8_t have_ = 0;  // of the header or the code; of the empty line that ends the head
  uint8_t header_[kMaxFrameHeader] = {};
  uint8_t code_[2] = {};
  uint64_t left_ = 0;  // of the payload
};

}  // namespace libws
