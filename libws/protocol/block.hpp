// Blocks: the one kind of buffer that frames are queued in and messages are assembled in, and the
// pool that recycles them.  A connection that is idle holds none; a busy one takes the block that
// was used last, which is still in the cache.
#pragma once

#include "libws/base/alloc.hpp"

#include <cstddef>
#include <cstdint>

namespace libws {

class Message;

// Bytes [begin, end) of bytes(), then, for the outbox, `ext_len` bytes that live elsewhere: in a
// message it holds a reference to, or (message null) in the caller's memory for one call.
struct Block {
  Block* next;
  size_t capacity;
  size_t begin;
  size_t end;
  const uint8_t* ext;
  size_t ext_len;
  const Message* message;
  bool sealed;  // nothing may be appended

  uint8_t* bytes() { return reinterpret_cast<uint8_t*>(this + 1); }
  const uint8_t* bytes() const { return reinterpret_cast<const uint8_t*>(this + 1); }
  uint8_t* tail() { return bytes() + end; }
  size_t size() const { return end - begin; }
  size_t room() const { return sealed ? 0 : capacity - end; }
};

// Not thread-safe: one per loop, or one per engine that stands alone.
class BlockPool {
 public:
  // Free bytes kept for reuse; what is above goes back to the allocator.
  explicit BlockPool(size_t keep_bytes) : keep_bytes_(keep_bytes) {}
  ~BlockPool();
  BlockPool(const BlockPool&) = delete;
  BlockPool& operator=(const BlockPool&) = delete;

  // An empty block of at least `capacity` bytes; null when out of memory.
  Block* take(size_t capacity);
  void give(Block* block);

  // Makes room for `capacity` bytes in all, keeping [0, end).  On failure the block is unchanged
  // and still the caller's.
  static bool grow(Block*& block, size_t capacity);
  // For blocks that leave the pool's care, e.g. inside a message.
  static void destroy(Block* block) { release(block); }

 private:
  // Block sizes, header included, so that they fit the allocator's classes.
  static constexpr size_t kSizes[] = {256, 1024, 4096, 16384, 65536};
  static constexpr size_t kClasses = sizeof kSizes / sizeof kSizes[0];
  static int class_of(size_t total);

  Block* free_[kClasses] = {};
  // One larger block of up to kSpareBytes is kept too: the next large message starts with it and
  // need not grow step by step.
  static constexpr size_t kSpareBytes = size_t{1} << 20;
  Block* spare_ = nullptr;
  size_t kept_ = 0;
  size_t keep_bytes_;
};

}  // namespace libws
