// The body of a response that refused a handshake: where it ends (RFC 9112 6.3) and what it says,
// chunked coding taken off (7.1).  Only its beginning is kept; a body that breaks the rules ends
// where it does.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/bytes.hpp"
#include "libws/protocol/http.hpp"

namespace libws {

class BodyReader {
 public:
  void begin(const Head& response);
  // Appends to *out until it holds `max` bytes.  True: nothing more is to come or to be kept.
  // Throws std::bad_alloc.
  bool feed(Bytes in, size_t max, Vector<uint8_t>* out);
  bool complete() const { return state_ == State::kDone; }

 private:
  //   state      next                             then
  //   kPlain     a byte of the body               kPlain, or kDone after the last
  //   kSize      hex digit                        kSize
  //              ';' ' ' HTAB CR                  kSizeRest
  //   kSizeRest  anything up to LF                kPlain, or kDone after a size of 0
  //   kChunkEnd  CR, LF                           kSize
  enum class State : uint8_t { kPlain, kSize, kSizeRest, kChunkEnd, kDone };

  void take_size(uint8_t c);

  State state_ = State::kDone;
  bool chunked_ = false;
  bool sized_ = false;       // a digit of this chunk's size was seen
  uint32_t line_bytes_ = 0;  // since the data of the chunk before
  uint64_t left_ = 0;        // of the body, or of this chunk; UINT64_MAX: until the stream ends
};

}  // namespace libws
