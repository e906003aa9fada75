// What a connection still has to write: a chain of blocks with whole frames in order, handed out
// as slices for one writev.  Small frames of a turn share a block; a large payload hangs on its
// header's block by reference and is not copied.
#pragma once

#include "libws/protocol/block.hpp"
#include "libws/protocol/frame.hpp"

#include <libws/base.h>

namespace libws {

class Outbox {
 public:
  bool empty() const { return head_ == nullptr; }
  size_t bytes() const { return bytes_; }

  // A frame of `len` surely stays within the limit, whatever its header; Engine::fits is exact.
  bool fits(size_t len, uint64_t limit) const {
    return len < limit && bytes_ + kMaxFrameHeader <= limit - len;
  }

  // Room for n contiguous bytes at the end, or null when out of memory.  Follow with commit().
  uint8_t* reserve(BlockPool& pool, size_t n) {
    if (tail_ != nullptr && tail_->room() >= n) return tail_->tail();
    return reserve_slow(pool, n);
  }
  // The same for the header of what attach() follows with: nothing can be added behind that, so
  // the block is no larger than it must be.
  uint8_t* reserve_header(BlockPool& pool);
  void commit(size_t n) {
    tail_->end += n;
    bytes_ += n;
  }

  // After commit(): the payload that follows the bytes just committed.  The memory is the caller's:
  // share_external() or own_external() must follow before it goes away.
  void attach(const uint8_t* data, size_t len);
  // What was attached last belongs to this message, which is counted.
  void share_external(const Message* message);
  // Copies what is left of the caller's memory at the end of the chain.  False: out of memory.
  bool own_external(BlockPool& pool);

  // Whole frames in a block of their own, which is taken over.
  void append_block(Block* block) {
    bytes_ += block->size();
    append(block);
  }

  // The pong that waits here is replaced by a later one (RFC 6455 5.5.3) unless it has begun to
  // leave.  False: out of memory.
  bool put_pong(BlockPool& pool, const uint8_t* frame, size_t len);

  size_t slices(ws_slice* out, size_t max) const;
  ws_slice only_slice() const {
    if (head_ == nullptr || head_ != tail_ || head_->ext_len != 0) return {nullptr, 0};
    return {head_->bytes() + head_->begin, head_->size()};
  }
  // What the blocks take, and the messages that hang on them: told from both ends, at least what
  // it is.  Blocks between those two are as good as full.
  size_t held_at_most() const;
  size_t held_bytes() const;  // exactly, block by block; of a message, the part of one holder
  void consume(BlockPool& pool, size_t n);
  void clear(BlockPool& pool);

 private:
  uint8_t* reserve_slow(BlockPool& pool, size_t n);
  void append(Block* block);
  void drop_head(BlockPool& pool);
  static void drop(BlockPool& pool, Block* b);

  Block* head_ = nullptr;
  Block* tail_ = nullptr;
  Block* pong_ = nullptr;  // in the chain, not begun
  size_t bytes_ = 0;
};

}  // namespace libws
