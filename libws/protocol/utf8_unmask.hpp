// Unmasking and validating in one pass over memory, for the text frames a server receives.
#pragma once

#include <cstddef>
#include <cstdint>

#include "libws/protocol/mask.hpp"
#include "libws/protocol/utf8.hpp"

namespace libws {

namespace detail {

// The general case, and any case with a given implementation, for tests and benchmarks.
size_t unmask_copy_validate_with(const Utf8Ops& ops, uint8_t* dst, const uint8_t* src, size_t len,
                                 uint32_t key, Utf8Validator& v);

}  // namespace detail

// Unmasks src into dst (the same, or not overlapping) and feeds the result to `v`.  Returns len if
// the text can still become valid, else the index of the first bad byte; then the bytes after it
// may be unmasked or not.
inline size_t unmask_copy_validate(uint8_t* dst, const uint8_t* src, size_t len, uint32_t key,
                                   Utf8Validator& v) {
  if (len > kMaskShort || !v.complete()) {
    const Utf8Ops& ops = *detail::utf8_active.load(std::memory_order_relaxed);
    return detail::unmask_copy_validate_with(ops, dst, src, len, key, v);
  }
  const uint64_t all = detail::mask_short(dst, src, len, key);
  return (all & detail::kUtf8TopBits) == 0 ? len : v.validate(dst, len);
}

inline size_t unmask_validate(uint8_t* data, size_t len, uint32_t key, Utf8Validator& v) {
  return unmask_copy_validate(data, data, len, key, v);
}

}  // namespace libws
