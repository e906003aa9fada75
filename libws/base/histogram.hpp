// How long something took, counted in powers of two.
#pragma once

#include <bit>
#include <cstddef>
#include <cstdint>

namespace libws {

struct Histogram {
  static constexpr size_t kBuckets = 24;

  uint64_t count = 0;
  uint64_t sum_us = 0;
  uint64_t buckets[kBuckets] = {};  // [i]: below 2^i us, and not in one before; the last: the rest

  void add(uint64_t us) {
    ++count;
    sum_us += us;
    const auto wide = static_cast<size_t>(std::bit_width(us));
    ++buckets[wide < kBuckets ? wide : kBuckets - 1];
  }
  void add(const Histogram& more) {
    count += more.count;
    sum_us += more.sum_us;
    for (size_t i = 0; i < kBuckets; ++i) buckets[i] += more.buckets[i];
  }
};

}  // namespace libws
