// Unpredictable bytes in small pieces: masking keys are four bytes each, a system call or an
// OpenSSL call per frame would cost more than the frame (RFC 6455 5.3, 10.3).
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

namespace libws {

class RandomPool {
 public:
  using Source = int (*)(void* user, void* out, size_t len);  // 0 = filled

  // `source` null: the system's generator.
  RandomPool(Source source, void* user) : source_(source), user_(user) {}

  // False when the source failed; `out` is then not to be used.
  bool take(void* out, size_t len) {
    if (len <= left_ && fork_generation_ == current_generation()) {
      left_ -= len;
      std::memcpy(out, bytes_ + left_, len);
      return true;
    }
    return take_slow(out, len);
  }

 private:
  static uint32_t current_generation();
  bool take_slow(void* out, size_t len);
  bool fill(void* out, size_t len);

  static constexpr size_t kPoolBytes = 512;
  Source source_;
  void* user_;
  size_t left_ = 0;
  uint32_t fork_generation_ = 0;
  uint8_t bytes_[kPoolBytes];
};

}  // namespace libws
