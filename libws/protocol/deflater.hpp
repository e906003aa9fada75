// Compressing messages (RFC 7692 7.2.1): raw DEFLATE, each message flushed to a byte boundary.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/bytes.hpp"

#include <zlib.h>
#include <array>
#include <span>

namespace libws {

// What each flushed piece ends with; the last of a message leaves without it.
inline constexpr size_t kFlushTailBytes = 4;

class Deflater : public Allocated {
 public:
  // window_bits 9 to 15, mem_level 1 to 9, level 1 to 9.  Null: out of memory.
  static Deflater* create(int window_bits, int mem_level, int level);
  ~Deflater();
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  // What create() takes from the allocator, about.
  static size_t memory_of(int window_bits, int mem_level);

  int level() const { return level_; }
  // Forgets what went before: the next piece refers to nothing.
  void restart();
  void restart(int level);

  // Compresses a piece from the front of `in` to the front of `out`, moves both, and flushes:
  // the last bytes are 00 00 ff ff.  False: `out` is full; call again with more room and the same
  // `in`.  `in` is not empty at the first call.  What comes out does not depend on where `out` is
  // cut.
  bool run(Bytes& in, std::span<uint8_t>& out);

 private:
  // A flush with nothing to flush: up to 7 bits that were waiting, 3 bits of a header, the tail.
  static constexpr size_t kMostMarker = 2 + kFlushTailBytes;

  Deflater() = default;
  void step(Bytes& in, std::span<uint8_t>& out, int flush);
  bool put_marker(std::span<uint8_t>& out);

  z_stream zlib_ = {};
  int level_ = 0;
  std::array<uint8_t, kMostMarker + 1> marker_ = {};  // where it does not fit into `out`
  Bytes marker_left_;
};

}  // namespace libws
