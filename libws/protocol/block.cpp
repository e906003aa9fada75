#include "libws/protocol/block.hpp"

#include "libws/base/bytes.hpp"

#include <cassert>

namespace libws {
namespace {

void reset(Block* b) {
  b->next = nullptr;
  b->begin = b->end = 0;
  b->ext = nullptr;
  b->ext_len = 0;
  b->message = nullptr;
  b->sealed = false;
}

Block* make(size_t total) {
  auto* b = static_cast<Block*>(try_alloc(total));
  if (b == nullptr) return nullptr;
  b->capacity = total - sizeof(Block);
  reset(b);
  return b;
}

}  // namespace

BlockPool::~BlockPool() {
  for (Block*& list : free_) {
    while (list != nullptr) {
      Block* next = list->next;
      release(list);
      list = next;
    }
  }
  release(spare_);
}

int BlockPool::class_of(size_t total) {
  for (size_t i = 0; i < kClasses; ++i) {
    if (total <= kSizes[i]) return static_cast<int>(i);
  }
  return -1;
}

Block* BlockPool::take(size_t capacity) {
  if (capacity > SIZE_MAX - sizeof(Block)) return nullptr;
  size_t total = capacity + sizeof(Block);
  int c = class_of(total);
  if (c < 0) {
    if (spare_ != nullptr && spare_->capacity >= capacity) {
      Block* b = spare_;
      spare_ = nullptr;
      reset(b);
      return b;
    }
    return make(total);
  }
  Block*& list = free_[c];
  if (list == nullptr) return make(kSizes[c]);
  Block* b = list;
  list = b->next;
  kept_ -= kSizes[c];
  reset(b);
  return b;
}

void BlockPool::give(Block* block) {
  if (block == nullptr) return;
  assert(block->message == nullptr);
  size_t total = block->capacity + sizeof(Block);
  int c = class_of(total);
  if (c >= 0 && kSizes[c] == total && kept_ + total <= keep_bytes_) {
    block->next = free_[c];
    free_[c] = block;
    kept_ += total;
    return;
  }
  if (c < 0 && keep_bytes_ >= kSpareBytes && total <= kSpareBytes &&
      (spare_ == nullptr || spare_->capacity < block->capacity)) {
    release(spare_);
    spare_ = block;
    return;
  }
  release(block);
}

bool BlockPool::grow(Block*& block, size_t capacity) {
  if (capacity <= block->capacity) return true;
  if (capacity > SIZE_MAX - sizeof(Block)) return false;
  auto* b = static_cast<Block*>(try_resize(block, capacity + sizeof(Block)));
  if (b == nullptr) return false;
  b->capacity = capacity;
  block = b;
  return true;
}

}  // namespace libws
