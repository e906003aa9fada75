// The vector validator, written once for all vector widths.  The file of an instruction set
// defines LIBWS_SIMD (its target attribute) and, in an unnamed namespace, Vec with load(),
// store(), splat(), splat_key(), table(), lookup(), low_nibbles(), high_nibbles(), minus(), any()
// and any_top_bit(); then it includes this and has its Utf8Ops in valid_prefix() and
// unmask_ascii().  mask_kernel.hpp says why this is not done with compiler flags.
//
// The method is that of Keiser and Lemire, "Validating UTF-8 in less than one instruction per
// byte" (Software: Practice and Experience 51, 2021).  Whatever can be wrong with two adjacent
// bytes depends on three nibbles: both of the first byte and the high one of the second.  A table
// per nibble gives the set of rules that it allows to be broken, one bit per rule; the rules
// broken are those in all three sets.  Only the third and fourth byte of a code point look
// further back: they have to be continuations if the byte two or three before is a lead of three
// or four.
//
// Each vector is compared with the same bytes loaded again one, two and three positions earlier,
// not shuffled together from two registers: it needs no state between vectors, so the last block
// can simply overlap the one before, and no remainder is left for the scalar code.
#pragma once

#include <array>

#include "libws/protocol/mask.hpp"
#include "libws/protocol/utf8.hpp"

namespace libws {
namespace {

using Nibbles = std::array<uint8_t, 16>;

struct PairTables {
  Nibbles first_high{}, first_low{}, second_high{};
};

// Bit n of a mask stands for the nibble n.
constexpr void add_rule(PairTables& t, uint8_t bit, unsigned first_high, unsigned first_low,
                        unsigned second_high) {
  for (size_t n = 0; n < 16; ++n) {
    if (first_high >> n & 1) t.first_high[n] = static_cast<uint8_t>(t.first_high[n] | bit);
    if (first_low >> n & 1) t.first_low[n] = static_cast<uint8_t>(t.first_low[n] | bit);
    if (second_high >> n & 1) t.second_high[n] = static_cast<uint8_t>(t.second_high[n] | bit);
  }
}

constexpr unsigned nibbles(unsigned from, unsigned to) { return (2u << to) - (1u << from); }

// Two continuations in a row are right or wrong depending on what came before, so this bit is
// the top one, where minus() leaves its answer to that question.
constexpr uint8_t kTwoTails = 0x80;

constexpr PairTables pair_tables() {
  constexpr unsigned kAny = nibbles(0x0, 0xF), kAscii = nibbles(0x0, 0x7);
  constexpr unsigned kTail = nibbles(0x8, 0xB), kLead = nibbles(0xC, 0xF);
  constexpr unsigned kC = nibbles(0xC, 0xC), kE = nibbles(0xE, 0xE), kF = nibbles(0xF, 0xF);
  PairTables t;
  add_rule(t, 0x01, kLead, kAny, kAscii | kLead);               // lead without continuation
  add_rule(t, 0x02, kAscii, kAny, kTail);                       // continuation without lead
  add_rule(t, 0x04, kC, nibbles(0x0, 0x1), kTail);              // C0, C1: overlong
  add_rule(t, 0x08, kE, nibbles(0x0, 0x0), nibbles(0x8, 0x9));  // E0 80-9F: overlong
  add_rule(t, 0x10, kE, nibbles(0xD, 0xD), nibbles(0xA, 0xB));  // ED A0-BF: surrogates
  add_rule(t, 0x20, kF, nibbles(0x4, 0xF), nibbles(0x9, 0xB));  // F4 90 and above: too large
  add_rule(t, 0x40, kF, nibbles(0x5, 0xF) | nibbles(0x0, 0x0),  // F5-FF 80-8F: too large;
           nibbles(0x8, 0x8));                                  // F0 80-8F: overlong
  add_rule(t, kTwoTails, kTail, kAny, kTail);
  return t;
}

constexpr PairTables kPairTables = pair_tables();

// 64 bytes whichever the width: a block is what one branch decides on.
constexpr size_t kBlock = 64;
constexpr size_t kLookBack = 3;

// How many of the n bytes are whole code points, if nothing but a cut code point at the end can be
// wrong with them.
inline size_t whole_code_points(const uint8_t* data, size_t n) {
  if (n >= 1 && data[n - 1] >= 0xC0) return n - 1;
  if (n >= 2 && data[n - 2] >= 0xE0) return n - 2;
  if (n >= 3 && data[n - 3] >= 0xF0) return n - 3;
  return n;
}

LIBWS_SIMD inline bool is_ascii(const uint8_t* block) {
  Vec all = load(block);
  for (size_t j = sizeof(Vec); j < kBlock; j += sizeof(Vec)) all |= load(block + j);
  return !any_top_bit(all);
}

// False if any byte of the block is wrong after the bytes before it; reads from p - kLookBack.  A
// code point cut off by the end of the block is not wrong yet.
LIBWS_SIMD inline bool block_is_valid(const uint8_t* p) {
  const Vec first_high = table(kPairTables.first_high.data());
  const Vec first_low = table(kPairTables.first_low.data());
  const Vec second_high = table(kPairTables.second_high.data());
  Vec wrong = splat(0);
  for (size_t j = 0; j < kBlock; j += sizeof(Vec), p += sizeof(Vec)) {
    const Vec second = load(p);
    const Vec first = load(p - 1);
    const Vec broken = lookup(first_high, high_nibbles(first)) &
                       lookup(first_low, low_nibbles(first)) &
                       lookup(second_high, high_nibbles(second));
    // Saturating, so the top bit stays exactly for E0-FF two before and F0-FF three before.
    const Vec must_be_tails = minus(load(p - 2), 0xE0 - 0x80) | minus(load(p - 3), 0xF0 - 0x80);
    wrong |= (must_be_tails & splat(kTwoTails)) ^ broken;
  }
  return !any(wrong);
}

// How many whole blocks, in bytes, are ASCII.
LIBWS_SIMD inline size_t ascii_prefix(const uint8_t* data, size_t len) {
  constexpr size_t kRun = 4 * sizeof(Vec);  // one branch for more than a block, if vectors are wide
  static_assert(kRun % kBlock == 0);
  size_t i = 0;
  for (; len - i >= kRun; i += kRun) {
    const Vec left = load(data + i) | load(data + i + sizeof(Vec));
    const Vec right = load(data + i + 2 * sizeof(Vec)) | load(data + i + 3 * sizeof(Vec));
    if (any_top_bit(left | right)) break;
  }
  while (len - i >= kBlock && is_ascii(data + i)) i += kBlock;
  return i;
}

LIBWS_SIMD size_t valid_prefix(const uint8_t* data, size_t len) {
  if (len < kBlock + kLookBack) return 0;
  size_t i = ascii_prefix(data, len);
  if (i == 0) {
    // Looking back needs bytes that belong to the text.
    i = detail::utf8_prefix_scalar(data, kLookBack + 3);
    if (i < kLookBack) return i;
  }
  while (len - i >= kBlock) {
    // The first block of ASCII after others is looked at in full as well, since only there would a
    // code point cut off by the end of the block before it show.
    bool ascii;
    do {
      if (!block_is_valid(data + i)) return whole_code_points(data, i);
      ascii = is_ascii(data + i);
      i += kBlock;
    } while (!ascii && len - i >= kBlock);
    if (ascii) i += ascii_prefix(data + i, len - i);
  }
  if (i == len) return whole_code_points(data, len);
  // The last block overlaps what was looked at, so if it is ASCII nothing was cut off before it.
  const uint8_t* const last = data + (len - kBlock);
  if (is_ascii(last)) return len;
  return whole_code_points(data, block_is_valid(last) ? len : i);
}

// As in mask_kernel(), the tail is loaded before the loop overwrites part of it and stored last, so
// that no remainder is left.
LIBWS_SIMD size_t unmask_ascii(uint8_t* dst, const uint8_t* src, size_t len, uint32_t key) {
  constexpr size_t kWidth = sizeof(Vec);
  if (len < 2 * kWidth) return 0;
  const Vec head_key = splat_key(key);
  const Vec tail_key = splat_key(mask_rotate(key, len));
  const Vec tail0 = load(src + len - 2 * kWidth) ^ tail_key;
  const Vec tail1 = load(src + len - kWidth) ^ tail_key;
  size_t i = 0;
  for (; i < len - 2 * kWidth; i += 2 * kWidth) {
    const Vec a = load(src + i) ^ head_key;
    const Vec b = load(src + i + kWidth) ^ head_key;
    if (any_top_bit(a | b)) return i;
    store(dst + i, a);
    store(dst + i + kWidth, b);
  }
  if (any_top_bit(tail0 | tail1)) return i;
  store(dst + len - 2 * kWidth, tail0);
  store(dst + len - kWidth, tail1);
  return len;
}

}  // namespace
}  // namespace libws
