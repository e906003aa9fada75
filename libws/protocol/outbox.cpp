#include "libws/protocol/outbox.hpp"

#include "libws/base/bytes.hpp"
#include "libws/protocol/frame.hpp"
#include "libws/protocol/message.hpp"

#include <cassert>
#include <utility>

namespace libws {
namespace {

// A first block this large holds the replies of a deep pipeline of small messages; each further
// block is as large as all before it, so a long queue is a short chain.
constexpr size_t kFirstBlock = 1024 - sizeof(Block);
constexpr size_t kLargestShared = 65536 - sizeof(Block);

}  // namespace

uint8_t* Outbox::reserve_slow(BlockPool& pool, size_t n) {
  size_t want = bytes_ < kFirstBlock      ? kFirstBlock
                : bytes_ < kLargestShared ? bytes_
                                          : kLargestShared;
  Block* b = pool.take(n > want ? n : want);
  if (b == nullptr) return nullptr;
  append(b);
  return b->tail();
}

uint8_t* Outbox::reserve_header(BlockPool& pool) {
  if (tail_ != nullptr && tail_->room() >= kMaxFrameHeader) return tail_->tail();
  Block* b = pool.take(kMaxFrameHeader);
  if (b == nullptr) return nullptr;
  append(b);
  return b->tail();
}

void Outbox::append(Block* block) {
  if (tail_ == nullptr) {
    head_ = block;
  } else {
    tail_->next = block;
  }
  tail_ = block;
}

void Outbox::attach(const uint8_t* data, size_t len) {
  assert(!tail_->sealed);
  tail_->ext = data;
  tail_->ext_len = len;
  tail_->sealed = true;
  bytes_ += len;
}

void Outbox::share_external(const Message* message) {
  message->ref();
  tail_->message = message;
}

bool Outbox::own_external(BlockPool& pool) {
  if (tail_ == nullptr || tail_->ext_len == 0 || tail_->message != nullptr) return true;
  Block* copy = pool.take(tail_->ext_len);
  if (copy == nullptr) return false;
  std::memcpy(copy->bytes(), tail_->ext, tail_->ext_len);
  copy->end = tail_->ext_len;
  tail_->ext = nullptr;
  tail_->ext_len = 0;
  Block* bare = tail_->size() == 0 && head_ == tail_ ? tail_ : nullptr;
  append(copy);
  if (bare != nullptr) drop_head(pool);  // its header has left already
  return true;
}

bool Outbox::put_pong(BlockPool& pool, const uint8_t* frame, size_t len) {
  if (pong_ != nullptr) {
    bytes_ -= pong_->size();
  } else {
    Block* b = pool.take(kMaxControlPayload + kMaxFrameHeader);
    if (b == nullptr) return false;
    b->sealed = true;
    append(b);
    pong_ = b;
  }
  std::memcpy(pong_->bytes(), frame, len);
  pong_->end = len;
  bytes_ += len;
  return true;
}

size_t Outbox::slices(ws_slice* out, size_t max) const {
  size_t n = 0;
  for (const Block* b = head_; b != nullptr && n < max; b = b->next) {
    if (b->size() != 0) out[n++] = {b->bytes() + b->begin, b->size()};
    if (b->ext_len != 0 && n < max) out[n++] = {b->ext, b->ext_len};
  }
  return n;
}

size_t Outbox::held_at_most() const {
  if (head_ == nullptr) return 0;
  const size_t ends = head_->capacity + (head_ != tail_ ? tail_->capacity : 0);
  return ends + 2 * (sizeof(Block) + bytes_);
}

size_t Outbox::held_bytes() const {
  size_t held = 0;
  for (const Block* b = head_; b != nullptr; b = b->next) {
    held += sizeof(Block) + b->capacity;
    if (b->message != nullptr) held += b->message->data().size() / b->message->holders();
  }
  return held;
}

void Outbox::consume(BlockPool& pool, size_t n) {
  assert(n <= bytes_);
  bytes_ -= n;
  Block* done = head_;
  Block* last = nullptr;
  for (Block* b = head_; b != nullptr; b = b->next) {
    if (b == pong_ && n != 0) pong_ = nullptr;
    size_t own = b->size() < n ? b->size() : n;
    b->begin += own;
    n -= own;
    size_t ext = b->ext_len < n ? b->ext_len : n;
    b->ext += ext;
    b->ext_len -= ext;
    n -= ext;
    if (b->size() != 0 || b->ext_len != 0) break;
    if (b == pong_) pong_ = nullptr;
    last = b;
  }
  if (last == nullptr) return;
  head_ = last->next;
  if (head_ == nullptr) tail_ = nullptr;
  last->next = nullptr;
  // Only now: who releases a wrapped message may send on this connection.
  while (done != nullptr) drop(pool, std::exchange(done, done->next));
}

void Outbox::drop_head(BlockPool& pool) {
  Block* b = head_;
  head_ = b->next;
  if (head_ == nullptr) tail_ = nullptr;
  if (b == pong_) pong_ = nullptr;
  drop(pool, b);
}

void Outbox::drop(BlockPool& pool, Block* b) {
  if (b->message != nullptr) b->message->unref();
  b->message = nullptr;
  pool.give(b);
}

void Outbox::clear(BlockPool& pool) {
  while (head_ != nullptr) drop_head(pool);
  bytes_ = 0;
}

}  // namespace libws
