#include "libws/protocol/window.hpp"

#include "libws/base/alloc.hpp"

#include <algorithm>
#include <bit>

namespace libws {

namespace {

constexpr size_t kLeastCapacity = 1024;  // many connections never send more than a few messages

}  // namespace

Window::~Window() { release(ring_); }

bool Window::append(Bytes data) {
  if (data.empty()) return true;
  if (data.size() > limit_) data = data.last(limit_);
  if (!reserve(std::min(size_ + data.size(), limit_))) return false;
  // A ring that is not full begins at 0, so from here on it goes round only at its limit.
  size_t end = begin_ + size_;
  if (end >= capacity_) end -= capacity_;
  size_t first = std::min(data.size(), capacity_ - end);
  copy_bytes(ring_ + end, data.data(), first);
  copy_bytes(ring_, data.data() + first, data.size() - first);
  size_t all = size_ + data.size();
  size_ = std::min(all, capacity_);
  begin_ += all - size_;
  if (begin_ >= capacity_) begin_ -= capacity_;
  return true;
}

bool Window::reserve(size_t n) {
  if (n <= capacity_) return true;
  size_t capacity = std::min(limit_, std::max(kLeastCapacity, std::bit_ceil(n)));
  void* ring = try_resize(ring_, capacity);
  if (ring == nullptr) return false;
  ring_ = static_cast<uint8_t*>(ring);
  capacity_ = capacity;
  return true;
}

}  // namespace libws
