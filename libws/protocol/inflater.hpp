// Decompressing one message at a time (RFC 7692 7.2.2).  A stream belongs to no connection: what a
// message may refer to is handed in when it begins, so one stream serves any number of them.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/bytes.hpp"

#include <zlib.h>
#include <span>

namespace libws {

class Inflater : public Allocated {
 public:
  enum class Result : uint8_t {
    kOk,       // all input is used, or the output is full
    kCorrupt,  // what came is not DEFLATE
    kOutOfMemory
  };

  static Inflater* create();  // null: out of memory
  ~Inflater();
  Inflater(const Inflater&) = delete;
  Inflater& operator=(const Inflater&) = delete;

  // A message begins, which may refer back to `older` followed by `newer`, at most 32 KiB in all.
  // If there is no memory for them, the message's first byte is answered with kOutOfMemory.
  void begin(Bytes older, Bytes newer);

  // Inflates from the front of `in` to the front of `out` and moves both.  A final block does not
  // end anything (RFC 7692 7.2.3.4): what follows it is inflated with the same window.  kOk with
  // `out` empty: there may be more output even if `in` is empty, call again with more room; with no
  // room at all, it goes on as far as there is nothing to put there.
  Result run(Bytes& in, std::span<uint8_t>& out);

  // After the message's last byte: the four octets that the sender took away (RFC 7692 7.2.1).
  // kOk with `*done` false: the output is full, call again with more room; a byte is enough to tell
  // that there is no more.  Before, run() has used all its input.
  Result finish(std::span<uint8_t>& out, bool* done);

  // Bytes of output since begin().
  uint64_t produced() const { return produced_; }
  // Final blocks that have been passed since begin(); each costs as much as moving a window.
  uint32_t restarts() const { return restarts_; }
  // zlib's words for kCorrupt, static.
  const char* why() const { return why_; }

 private:
  Inflater() = default;
  Result inflate_all(Bytes& in, std::span<uint8_t>& out);
  Result step(Bytes& in, std::span<uint8_t>& out);
  bool refer_to(Bytes data);
  bool restart();

  z_stream zlib_ = {};
  const char* why_ = "";
  uint8_t* saved_ = nullptr;  // the window, while zlib restarts; made when first needed
  uint64_t produced_ = 0;
  uint32_t restarts_ = 0;
  bool ready_ = false;  // zlib has the window it should have
  bool any_input_ = false;
  bool drained_ = true;  // zlib keeps no output back for want of room
  bool ended_ = false;   // by a final block, and nothing has followed yet
};

}  // namespace libws
