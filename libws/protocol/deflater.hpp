// Compressing messages (RFC 7692 7.2.1): raw DEFLATE, each message flushed to a byte boundary.
#pragma once

#include "libws/base/alloc.hpp"
#include "libws/base/bytes.hpp"

#include <span>

namespace libws {

// What each flushed piece ends with; the last of a message leaves without it.
inline constexpr size_t kFlushTailBytes = 4;

class Deflater : public Allocated {
 public:
  // zlib's.  window_bits 9 to 15, mem_level 1 to 9, level 1 to 9.  Null: out of memory.
  static Deflater* create(int window_bits, int mem_level, int level);
  // What create() will take from the allocator, about; memory() has what it took.
  static size_t memory_of(int window_bits, int mem_level);
  // "1.2.13", of the library that is loaded.
  static const char* version_of_zlib();

  virtual ~Deflater() = default;
  Deflater(const Deflater&) = delete;
  Deflater& operator=(const Deflater&) = delete;

  int level() const { return level_; }
  size_t memory() const { return memory_; }
  // Forgets what went before: the next piece refers to nothing.
  void restart() { restart(level_); }
  virtual void restart(int level) = 0;

  // Compresses a piece from the front of `in` to the front of `out`, moves both, and flushes:
  // the last bytes are 00 00 ff ff.  False: `out` is full; call again with more room and the same
  // `in`.  `in` is not empty at the first call.  What comes out does not depend on where `out` is
  // cut.
  virtual bool run(Bytes& in, std::span<uint8_t>& out) = 0;

 protected:
  Deflater(int level, size_t memory) : memory_(memory), level_(level) {}

  size_t memory_;
  int level_;
};

}  // namespace libws
