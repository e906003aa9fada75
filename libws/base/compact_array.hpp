// A growing array with a small head and little slack, for things there are very many of.
#pragma once

#include "libws/base/alloc.hpp"

#include <cassert>
#include <cstdint>
#include <type_traits>

namespace libws {

template <class T>
class CompactArray {
  static_assert(std::is_trivially_copyable_v<T>);

 public:
  CompactArray() = default;
  CompactArray(const CompactArray&) = delete;
  CompactArray& operator=(const CompactArray&) = delete;
  ~CompactArray() { release(items_); }

  uint32_t size() const { return size_; }
  T& operator[](uint32_t i) {
    assert(i < size_);
    return items_[i];
  }
  T& back() { return (*this)[size_ - 1]; }

  // Room for one more.  Throws std::bad_alloc.
  void reserve_one() {
    if (size_ < capacity_) return;
    if (capacity_ > UINT32_MAX / 2 || !resize(capacity_ + capacity_ / 2 + 1)) {
      throw std::bad_alloc();
    }
  }
  void push_back(T item) {
    assert(size_ < capacity_);
    items_[size_++] = item;
  }
  // Gives memory back when three quarters are unused, if it can.
  void pop_back() {
    assert(size_ != 0);
    if (--size_ < capacity_ / 4) (void)resize(size_ + size_ / 2 + 1);
  }

 private:
  bool resize(uint32_t capacity) {
    void* p = try_resize(items_, sizeof(T) * capacity);
    if (p == nullptr) return false;
    items_ = static_cast<T*>(p);
    capacity_ = capacity;
    return true;
  }

  T* items_ = nullptr;
  uint32_t size_ = 0, capacity_ = 0;
};

}  // namespace libws
