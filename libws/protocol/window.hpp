// The last bytes of what a peer has sent: all that decompressing its next message needs when
// messages may refer to earlier ones (RFC 7692 7.2.2).
#pragma once

#include "libws/base/bytes.hpp"

#include <cstddef>
#include <cstdint>

namespace libws {

class Window {
 public:
  explicit Window(int bits) : limit_(size_t{1} << bits) {}
  ~Window();
  Window(const Window&) = delete;
  Window& operator=(const Window&) = delete;

  // False: out of memory, and the window is no longer what the peer thinks it is.
  bool append(Bytes data);
  // In order: older() then newer().
  Bytes older() const { return {ring_ + begin_, size_ - newer_size()}; }
  Bytes newer() const { return {ring_, newer_size()}; }
  size_t capacity() const { return capacity_; }

 private:
  // What has gone round to the front.
  size_t newer_size() const { return begin_ + size_ > capacity_ ? begin_ + size_ - capacity_ : 0; }
  bool reserve(size_t n);

  size_t limit_;
  uint8_t* ring_ = nullptr;
  size_t capacity_ = 0;  // grows to limit_ with what comes, then goes round
  size_t begin_ = 0;
  size_t size_ = 0;
};

}  // namespace libws
