// UTF-8 (RFC 3629), strict: no overlong forms, no surrogates, nothing above U+10FFFF.  RFC 6455
// 8.1 fails a connection whose text is not valid, and we do so at the first byte that cannot
// continue any valid text: f4 90 is refused at the 90, before the peer has sent the rest.
//
// The vector code only ever answers "valid up to here"; cuts, ends and the exact bad byte are
// left to the scalar code, so there is one place that decides what an error is.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "libws/base/cpu.hpp"

namespace libws {

// Texts up to this many bytes are checked for ASCII inline.
inline constexpr size_t kUtf8Short = 64;

// What an instruction set has to offer.
struct Utf8Ops {
  // Returns n <= len such that the first n bytes are whole, valid code points.  It never passes a
  // bad byte, but may stop up to 66 bytes before one, or before the end.
  size_t (*prefix)(const uint8_t* data, size_t len);

  // Unmasks src into dst (the same, or not overlapping) for as long as the result is ASCII.
  // Returns how far that was: len, or a multiple of 4 that is less than 128 bytes before the end
  // or the first byte that is not ASCII.  Beyond it nothing is written.
  size_t (*unmask_ascii)(uint8_t* dst, const uint8_t* src, size_t len, uint32_t key);
};

// The implementation for exactly this level; null if there is none or this machine cannot run it.
const Utf8Ops* utf8_ops(CpuLevel level);

namespace detail {

// As mask_active: starts as functions that choose and then replace themselves.
extern std::atomic<const Utf8Ops*> utf8_active;

inline constexpr uint64_t kUtf8TopBits = 0x8080808080808080;

template <class T>
inline T utf8_load(const uint8_t* p) {
  T value;
  std::memcpy(&value, p, sizeof(T));
  return value;
}

// At most kUtf8Short bytes.  Words from both ends that may overlap, as in mask_short().
inline bool utf8_short_is_ascii(const uint8_t* data, size_t len) {
  using Vec = uint64_t __attribute__((vector_size(16)));
  const uint8_t* const end = data + len;
  if (len >= 16) {
    Vec all = utf8_load<Vec>(data) | utf8_load<Vec>(end - 16);
    if (len > 32) all |= utf8_load<Vec>(data + 16) | utf8_load<Vec>(end - 32);
    return ((all[0] | all[1]) & kUtf8TopBits) == 0;
  }
  if (len >= 8) {
    return ((utf8_load<uint64_t>(data) | utf8_load<uint64_t>(end - 8)) & kUtf8TopBits) == 0;
  }
  if (len >= 4) {
    const uint32_t all = utf8_load<uint32_t>(data) | utf8_load<uint32_t>(end - 4);
    return (all & static_cast<uint32_t>(kUtf8TopBits)) == 0;
  }
  uint8_t all = 0;
  for (size_t i = 0; i < len; ++i) all |= data[i];
  return all < 0x80;
}

// Goes further than Utf8Ops::prefix has to: stops exactly before the first code point that is bad
// or cut off.
size_t utf8_prefix_scalar(const uint8_t* data, size_t len);

// One per file, for utf8_ops() only.
extern const Utf8Ops utf8_ssse3, utf8_avx2, utf8_avx512, utf8_neon;

}  // namespace detail

// Validates one text that arrives in pieces, cut anywhere.  One byte of state; copying it copies
// the position, so a caller can look ahead and come back.
class Utf8Validator {
 public:
  // Takes the next piece.  Returns len if the text can still become valid, else the index of the
  // first byte because of which it cannot.  After that it has failed for good: every later piece
  // is bad at index 0, until reset().
  size_t validate(const uint8_t* data, size_t len) {
    if (state_ == State::kBoundary && len <= kUtf8Short && detail::utf8_short_is_ascii(data, len)) {
      return len;
    }
    return validate_with(*detail::utf8_active.load(std::memory_order_relaxed), data, len);
  }

  // The same with a given implementation, for tests and benchmarks.
  size_t validate_with(const Utf8Ops& ops, const uint8_t* data, size_t len);

  // True if the text so far is valid as a whole: it does not end inside a code point.
  bool complete() const { return state_ == State::kBoundary; }
  bool failed() const { return state_ == State::kFailed; }
  void reset() { state_ = State::kBoundary; }

 private:
  // What the next byte must be.  Table 3-7 of the Unicode standard, RFC 3629 section 4:
  //
  //   state        reached by            next byte   then
  //   kBoundary    a whole code point    00-7F       kBoundary
  //                                      C2-DF       kLast
  //                                      E0          kAfterE0
  //                                      E1-EC EE EF kTwoLeft
  //                                      ED          kAfterED
  //                                      F0          kAfterF0
  //                                      F1-F3       kThreeLeft
  //                                      F4          kAfterF4
  //   kLast                              80-BF       kBoundary
  //   kTwoLeft                           80-BF       kLast
  //   kThreeLeft                         80-BF       kTwoLeft
  //   kAfterE0     less is overlong      A0-BF       kLast
  //   kAfterED     more is a surrogate   80-9F       kLast
  //   kAfterF0     less is overlong      90-BF       kTwoLeft
  //   kAfterF4     more is > U+10FFFF    80-8F       kTwoLeft
  //   kFailed      anything else         none
  enum class State : uint8_t {
    kBoundary,
    kLast,
    kTwoLeft,
    kThreeLeft,
    kAfterE0,
    kAfterED,
    kAfterF0,
    kAfterF4,
    kFailed
  };

  static State after_lead(uint8_t byte);  // of any code point that is not ASCII
  bool step(uint8_t byte);

  State state_ = State::kBoundary;
};

// True if the whole buffer is valid text.
inline bool utf8_valid(const uint8_t* data, size_t len) {
  Utf8Validator v;
  return v.validate(data, len) == len && v.complete();
}

}  // namespace libws
